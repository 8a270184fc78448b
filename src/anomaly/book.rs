//! The open incidents of a monitor, window by window.
//!
//! Anomalies that share time and cause are one incident (`group.rs`), across roll-up levels and measures; it closes
//! when the last of its anomalies has. Anomalies that never reached page severity 60 make incidents of their own, which are
//! listed and never page. Ids count up per monitor, so the same records give the same ids in every run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Alert, Anomaly, Incident, IncidentKind, MonitorFacts, Mute, SeverityTrack, WindowView,
    alert::{self, Moment},
    group::{self, OpenIncident, OpenIncidents},
    pace::{HeldBack, Pace},
    related::Associations,
    space::Space,
    words,
};
use crate::window::SliceKey;

/// The open incidents of a monitor and the number of the next one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IncidentBook {
    open: OpenIncidents,
    num_opened: u64,
    /// What each rule remembers.
    paces: BTreeMap<usize, Pace>,
    associations: Associations,
}

/// Below every threshold, and still a number that JSON can hold.
const CERTAIN_LOG10_RATE: f64 = -300.0;

/// What one window did to incidents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Updates {
    /// Incidents opened, changed or closed, as they stand now.
    pub incidents: Vec<Incident>,
    /// Alerts to send.
    pub alerts: Vec<Alert>,
    /// Alerts held back for the first time.
    pub held_back: HeldBack,
}

impl IncidentBook {
    /// The open incidents.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.open.values().map(|open| &open.incident)
    }

    /// Sets or ends the quiet about an open incident; `None` when it is not open.
    pub fn mute(&mut self, id: &str, mute: Option<Mute>) -> Option<Incident> {
        let open = self.open.values_mut().find(|open| open.incident.id == id)?;
        open.incident.mute = mute;
        Some(open.incident.clone())
    }

    /// The alerts that say that somebody takes care of an open incident.
    pub fn acknowledge(&self, facts: &MonitorFacts, id: &str, at_millis: i64) -> Vec<Alert> {
        let open = self.open().find(|incident| incident.id == id);
        open.map(|incident| alert::acknowledged(incident, facts, at_millis)).unwrap_or_default()
    }

    /// Takes the anomalies that a window changed and closed.
    pub fn update(&mut self, view: &WindowView<'_>, changed: &[Anomaly], closed: &[Anomaly]) -> Updates {
        let mut updates = Updates::default();
        alert::flush_digests(view.facts, &mut self.paces, view.end_millis, &mut updates.alerts);
        self.associations.learn(view);
        let touched = if changed.is_empty() { Vec::new() } else { self.take(view, changed) };
        for open in self.open.values_mut() {
            if open.incident.kind == IncidentKind::Minor {
                // An anomaly that grew up lives on in the paging incident.
                for grown in changed.iter().filter(|anomaly| anomaly.is_page()) {
                    open.active.remove(&grown.series);
                }
            }
            for over in closed {
                open.active.remove(&over.series);
            }
        }
        let moment = || Moment {
            facts: view.facts,
            num_series: view.num_judged(),
            at_millis: view.end_millis,
            interval_millis: view.end_millis - view.start_millis,
        };
        for (number, open) in &mut self.open {
            if is_certain(open.incident.kind) {
                continue;
            }
            if open.active.is_empty() {
                open.incident.close();
            }
            let (incident, paces) = (&mut open.incident, &mut self.paces);
            let is_calm = !touched.contains(number) && !incident.is_closed();
            let is_news = match (incident.kind, is_calm) {
                (IncidentKind::Deviation, true) => {
                    alert::tell_recovery(incident, paces, moment(), &mut updates)
                }
                (IncidentKind::Deviation, false) => {
                    alert::tell(incident, paces, moment(), &mut updates);
                    true
                }
                _ => !is_calm,
            };
            if !is_news {
                continue;
            }
            updates.incidents.push(open.incident.clone());
        }
        self.open.retain(|_, open| !open.incident.is_closed());
        updates
    }

    /// Gives the anomalies of a window to their incidents; says which those are.
    fn take(&mut self, view: &WindowView<'_>, changed: &[Anomaly]) -> Vec<u64> {
        let (page, minor): (Vec<_>, Vec<_>) = changed.iter().partition(|anomaly| anomaly.is_page());
        let space = Space::new(view);
        let mut num_opened = self.num_opened;
        let mut next = |kind: IncidentKind, opened_millis: i64, severity: f64| {
            num_opened += 1;
            let id = format!("{}-{num_opened}", view.facts.monitor);
            let mut incident = Incident::open(id, kind, &view.facts.monitor, opened_millis);
            incident.severity = SeverityTrack::starting(severity);
            (num_opened, OpenIncident::new(incident))
        };
        let open_page = |first: &Anomaly| {
            let same = page.iter().filter(|anomaly| anomaly.series == first.series);
            let opened_millis = same.map(|anomaly| anomaly.opened_millis).min().unwrap_or(view.start_millis);
            next(IncidentKind::Deviation, opened_millis, first.severity.last)
        };
        let mut homes = group::house(&mut self.open, &space, view, &page, open_page);
        let minor = group::accompany(&mut self.open, view, minor, &mut homes);
        if let Some(opened_millis) = minor.iter().map(|anomaly| anomaly.opened_millis).min() {
            let known = self.open.iter().find(|(_, open)| open.incident.kind == IncidentKind::Minor);
            let known = known.map(|(number, _)| *number);
            let number = known.unwrap_or_else(|| {
                let severity = minor.iter().map(|anomaly| anomaly.severity.last).fold(0.0, f64::max);
                let (number, opened) = next(IncidentKind::Minor, opened_millis, severity);
                self.open.insert(number, opened);
                number
            });
            homes.joining.insert(number, minor);
        }
        self.num_opened = num_opened;
        self.explain(view, &space, &homes)
    }

    fn explain(&mut self, view: &WindowView<'_>, space: &Space<'_>, homes: &group::Homes<'_>) -> Vec<u64> {
        let is_page = |open: &OpenIncident| open.incident.kind == IncidentKind::Deviation;
        for (number, joining) in &homes.joining {
            let others: Vec<SliceKey> = self
                .open
                .iter()
                .filter(|(other, open)| *other != number && is_page(open))
                .flat_map(|(_, open)| open.explained.slices.clone())
                .collect();
            let Some(open) = self.open.get_mut(number) else { continue };
            let others = if is_page(open) { others } else { Vec::new() };
            open.take(view, space, joining, &homes.passing, &others);
        }
        let pages: Vec<u64> =
            homes.joining.keys().copied().filter(|number| is_page(&self.open[number])).collect();
        let mut touched: Vec<u64> = homes.joining.keys().copied().collect();
        if let Some((younger, older)) = group::merge(&mut self.open, space, &pages) {
            touched.extend([younger, older]);
        }
        for number in &touched {
            let Some(open) = self.open.get_mut(number) else { continue };
            let name = |measure: usize| view.facts.measures[measure].name.clone();
            let measure = view.facts.measures.iter().position(|fact| fact.name == open.incident.measure);
            open.incident.related =
                measure.map(|measure| self.associations.of(measure, name)).unwrap_or_default();
        }
        touched
    }

    /// Opens the incident for a source that cannot be read, once.
    pub fn source_lost(
        &mut self,
        facts: &MonitorFacts,
        since_millis: i64,
        at_millis: i64,
        why: &str,
    ) -> Updates {
        let since = words::local_time(since_millis, &facts.zone);
        let summary = format!("No data for {} since {since}: {why}", facts.monitor);
        self.begin(IncidentKind::NoData, facts, (since_millis, at_millis), summary)
    }

    /// Closes the incident of [`IncidentBook::source_lost`], if one is open.
    pub fn source_back(&mut self, facts: &MonitorFacts, at_millis: i64) -> Updates {
        self.end(IncidentKind::NoData, facts, at_millis)
    }

    /// Opens the incident for a monitor that cannot use most of what it is sent, once.
    pub fn trouble_began(
        &mut self,
        facts: &MonitorFacts,
        since_millis: i64,
        at_millis: i64,
        what: &str,
    ) -> Updates {
        let since = words::local_time(since_millis, &facts.zone);
        let summary = format!("{} cannot use what it is sent since {since}: {what}", facts.monitor);
        self.begin(IncidentKind::EngineTrouble, facts, (since_millis, at_millis), summary)
    }

    /// Closes the incident of [`IncidentBook::trouble_began`], if one is open.
    pub fn trouble_over(&mut self, facts: &MonitorFacts, at_millis: i64) -> Updates {
        self.end(IncidentKind::EngineTrouble, facts, at_millis)
    }

    /// Opens an incident that is certain, unless one of its kind is open.
    fn begin(
        &mut self,
        kind: IncidentKind,
        facts: &MonitorFacts,
        (since_millis, at_millis): (i64, i64),
        summary: String,
    ) -> Updates {
        let mut updates = Updates::default();
        if self.number_of(kind).is_some() {
            return updates;
        }
        self.num_opened += 1;
        let id = format!("{}-{}", facts.monitor, self.num_opened);
        let mut incident = Incident::open(id, kind, &facts.monitor, since_millis);
        // Certain, not a statement about rarity: every rule tells it.
        incident.severity = SeverityTrack::starting(100.0);
        incident.page_log10_rate = CERTAIN_LOG10_RATE;
        incident.until_millis = at_millis;
        incident.summary = summary;
        let moment = Moment { facts, num_series: 1, at_millis, interval_millis: 1 };
        alert::tell(&mut incident, &mut self.paces, moment, &mut updates);
        updates.incidents.push(incident.clone());
        self.open.insert(self.num_opened, OpenIncident::new(incident));
        updates
    }

    fn end(&mut self, kind: IncidentKind, facts: &MonitorFacts, at_millis: i64) -> Updates {
        let mut updates = Updates::default();
        if let Some(mut open) = self.number_of(kind).and_then(|number| self.open.remove(&number)) {
            open.incident.until_millis = at_millis;
            open.incident.close();
            let moment = Moment { facts, num_series: 1, at_millis, interval_millis: 1 };
            alert::tell(&mut open.incident, &mut self.paces, moment, &mut updates);
            updates.incidents.push(open.incident);
        }
        updates
    }

    /// Closes every open incident and tells nobody; numbering goes on.
    pub fn close_all(&mut self) -> Vec<Incident> {
        let closed = |mut open: OpenIncident| {
            open.incident.close();
            open.incident
        };
        std::mem::take(&mut self.open).into_values().map(closed).collect()
    }

    fn number_of(&self, kind: IncidentKind) -> Option<u64> {
        self.open.iter().find(|(_, open)| open.incident.kind == kind).map(|(number, _)| *number)
    }
}

/// Not about what a window showed, so no window ends it.
fn is_certain(kind: IncidentKind) -> bool {
    matches!(kind, IncidentKind::NoData | IncidentKind::EngineTrouble)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        anomaly::{
            AlertKind, AlertRule, AnomalyTracker, Conditions, Reading, Threshold,
            merge::tests::{facts, reading},
        },
        window::SliceKey,
    };

    struct Bench {
        facts: MonitorFacts,
        tracker: AnomalyTracker,
        book: IncidentBook,
        window: i64,
    }

    impl Bench {
        fn new() -> Self {
            let mut facts = facts(&["orders"]);
            let threshold = Threshold::Severity(70.0);
            facts.rules = vec![AlertRule::new(threshold, vec!["mail".to_owned()])];
            Self { facts, tracker: AnomalyTracker::default(), book: IncidentBook::default(), window: 0 }
        }

        /// One window over the slices everything, DE, FR.
        fn window(&mut self, readings: [Option<Reading>; 3]) -> Updates {
            let slices = [None, Some("DE"), Some("FR")].map(|value| SliceKey(vec![value.map(Into::into)]));
            let start_millis = self.window * 60_000;
            self.window += 1;
            let view = WindowView {
                facts: &self.facts,
                slices: &slices,
                readings: &readings,
                start_millis,
                end_millis: start_millis + 60_000,
            };
            let (changed, closed) = self.tracker.update(&view);
            self.book.update(&view, &changed, &closed)
        }

        fn calm(&mut self) -> Updates {
            self.window([reading(100.0, 100.0, 10.0), reading(60.0, 60.0, 10.0), reading(40.0, 40.0, 10.0)])
        }
    }

    #[test]
    fn one_incident_opens_escalates_closes_and_names_the_slice() {
        let mut bench = Bench::new();
        let drop = |severity| {
            [reading(100.0, 60.0, severity), reading(60.0, 20.0, severity + 2.0), reading(40.0, 40.0, 5.0)]
        };
        let opened = bench.window(drop(72.0));
        let incident = &opened.incidents[0];
        assert_eq!(incident.id, "shop-1");
        assert_eq!(incident.slice["country"], "DE");
        assert_eq!(
            incident.summary,
            "orders 67 % below expected in country DE since Thu 01 Jan 00:00 (20 instead of 60)"
        );
        assert_eq!(opened.alerts[0].id, "shop-1:0:1:opened:mail");
        assert!(bench.window(drop(74.0)).alerts.is_empty());
        assert_eq!(bench.window(drop(85.0)).alerts[0].kind, AlertKind::Escalated);
        assert!(bench.calm().incidents.is_empty());
        bench.calm();
        let closed = bench.calm();
        assert_eq!(closed.alerts[0].kind, AlertKind::Closed);
        let incident = &closed.incidents[0];
        assert_eq!((incident.closed_millis, incident.severity.peak.round()), (Some(180_000), 87.0));
        assert_eq!(incident.impact.as_ref().unwrap().value, -120.0);
        assert_eq!(bench.window(drop(72.0)).incidents[0].id, "shop-2");
    }

    #[test]
    fn below_the_threshold_an_incident_is_listed_and_nobody_told() {
        let mut bench = Bench::new();
        let updates = bench.window([reading(100.0, 80.0, 64.0), None, None]);
        assert_eq!((updates.incidents.len(), updates.alerts.len()), (1, 0));
        for _ in 0..2 {
            bench.calm();
        }
        let closed = bench.calm();
        assert_eq!((closed.incidents.len(), closed.alerts.len()), (1, 0));
    }

    fn drop_in_germany(severity: f64) -> [Option<Reading>; 3] {
        [reading(100.0, 60.0, severity), reading(60.0, 20.0, severity + 2.0), reading(40.0, 40.0, 5.0)]
    }

    #[test]
    fn conditions_on_slice_and_duration_hold_an_alert_back_until_they_are_met() {
        let mut bench = Bench::new();
        let duration = Some(crate::anomaly::MinDuration { n: 2, m: 3 });
        let elsewhere = BTreeMap::from([("country".to_owned(), vec!["FR".to_owned()])]);
        let here = BTreeMap::from([("country".to_owned(), vec!["DE".to_owned(), "AT".to_owned()])]);
        let mut other = bench.facts.rules[0].clone();
        other.conditions.slices = elsewhere;
        bench.facts.rules[0].conditions = Conditions { slices: here, duration, ..Conditions::default() };
        bench.facts.rules.push(other);
        assert!(bench.window(drop_in_germany(75.0)).alerts.is_empty(), "one window is not two");
        let told = bench.window(drop_in_germany(75.0)).alerts;
        assert_eq!(told.len(), 1, "nobody who asked for France");
        assert_eq!((told[0].id.as_str(), told[0].kind), ("shop-1:0:1:opened:mail", AlertKind::Opened));
    }

    #[test]
    fn a_mute_delays_and_a_digest_gathers() {
        let mut bench = Bench::new();
        bench.facts.rules[0].conditions.mutes = vec![(0, 120_000)];
        assert!(bench.window(drop_in_germany(75.0)).alerts.is_empty(), "muted");
        let told = bench.window(drop_in_germany(75.0)).alerts;
        assert_eq!(told[0].kind, AlertKind::Opened, "told when the mute is over and it still goes on");

        let mut bench = Bench::new();
        bench.facts.rules[0].pacing.digest = Some(crate::anomaly::DigestEvery::Hour);
        let mut told = bench.window(drop_in_germany(75.0)).alerts;
        for _ in 0..60 {
            // A restart in between changes nothing.
            let saved = serde_json::to_string(&bench.book).unwrap();
            bench.book = serde_json::from_str(&saved).unwrap();
            told.extend(bench.calm().alerts);
        }
        assert_eq!(told.len(), 1);
        let kinds: Vec<_> = told[0].digest.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [AlertKind::Opened, AlertKind::Closed]);
        assert_eq!(told[0].id, "shop:0:3600000:digest:mail");
    }

    #[test]
    fn events_that_nobody_wants_are_not_told() {
        let mut bench = Bench::new();
        bench.facts.rules[0].conditions.events = Some(vec![crate::anomaly::RuleEvent::Closed]);
        let mut told = bench.window(drop_in_germany(75.0)).alerts;
        for _ in 0..3 {
            told.extend(bench.calm().alerts);
        }
        let kinds: Vec<_> = told.iter().map(|alert| alert.kind).collect();
        assert_eq!(kinds, [AlertKind::Closed]);
    }

    #[test]
    fn a_recovery_is_told_to_who_asked_for_it_and_so_is_what_comes_after() {
        use crate::anomaly::RuleEvent::{Closed, Opened, Recovered};
        let mut bench = Bench::new();
        let mut quiet = bench.facts.rules[0].clone();
        quiet.to = vec!["quiet".to_owned()];
        bench.facts.rules[0].conditions.events = Some(vec![Opened, Recovered, Closed]);
        bench.facts.rules.push(quiet);
        let mut told = bench.window(drop_in_germany(75.0)).alerts;
        for calm in [true, true, false, true, true, true] {
            let updates = if calm { bench.calm() } else { bench.window(drop_in_germany(75.0)) };
            told.extend(updates.alerts);
        }
        let kinds = |to: &str| {
            let of = told.iter().filter(|alert| alert.notifier == to);
            of.map(|alert| alert.kind.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(kinds("mail"), ["opened", "recovered", "resumed", "recovered", "closed"]);
        assert_eq!(kinds("quiet"), ["opened", "closed"]);
        let ids: BTreeSet<&str> = told.iter().map(|alert| alert.id.as_str()).collect();
        assert_eq!(ids.len(), told.len(), "each message has an id of its own");
    }

    #[test]
    fn another_explanation_is_told_to_who_asked_for_it() {
        use crate::anomaly::RuleEvent::{Opened, Revised};
        let mut bench = Bench::new();
        bench.facts.rules[0].conditions.events = Some(vec![Opened, Revised]);
        let first = bench.window([reading(100.0, 80.0, 71.0), reading(60.0, 40.0, 73.0), None]);
        assert_ne!(first.alerts[0].incident.slice.get("country").map(String::as_str), Some("FR"));
        let france = [reading(100.0, 70.0, 71.0), reading(60.0, 58.0, 5.0), reading(40.0, 10.0, 76.0)];
        let told = bench.window(france).alerts;
        assert_eq!((told[0].kind, told[0].incident.slice["country"].as_str()), (AlertKind::Revised, "FR"));
        assert!(bench.window(france).alerts.is_empty(), "once");
    }

    #[test]
    fn what_rules_hold_back_is_counted_once_by_reason() {
        let mut bench = Bench::new();
        let mut held_back = HeldBack::default();
        let mut later = bench.facts.rules[0].clone();
        later.conditions.mutes = vec![(0, 1_000_000)];
        let mut capped = bench.facts.rules[0].clone();
        capped.pacing.per_hour = Some(1);
        let mut cooling = bench.facts.rules[0].clone();
        cooling.pacing.cool_down_millis = 3_600_000;
        bench.facts.rules.extend([later, capped, cooling]);
        for _ in 0..2 {
            for _ in 0..2 {
                held_back += bench.window(drop_in_germany(75.0)).held_back;
            }
            for _ in 0..3 {
                held_back += bench.calm().held_back;
            }
        }
        // Two incidents are muted; the second of them is over the cap and within the cool-down.
        assert_eq!(held_back, HeldBack { cap: 1, cool_down: 1, schedule: 2 });
    }

    #[test]
    fn trouble_is_told_once_unless_nobody_wants_it() {
        let mut bench = Bench::new();
        let facts = bench.facts.clone();
        let began = bench.book.trouble_began(&facts, 0, 90_000, "80 % of 400 events were refused");
        assert_eq!((began.incidents[0].kind, began.alerts.len()), (IncidentKind::EngineTrouble, 1));
        assert!(
            began.incidents[0].summary.contains("cannot use what it is sent"),
            "{:?}",
            began.incidents[0]
        );
        assert_eq!(bench.book.trouble_began(&facts, 0, 120_000, "still"), Updates::default());
        assert_eq!(bench.book.trouble_over(&facts, 150_000).alerts[0].kind, AlertKind::Closed);
        let mut deaf = facts;
        deaf.rules[0].conditions.events = Some(vec![crate::anomaly::RuleEvent::Opened]);
        assert!(bench.book.trouble_began(&deaf, 0, 160_000, "again").alerts.is_empty());
    }

    #[test]
    fn a_lost_source_is_told_once_and_closed_when_it_is_back() {
        let mut bench = Bench::new();
        let facts = bench.facts.clone();
        let lost = bench.book.source_lost(&facts, 0, 90_000, "connection refused");
        assert_eq!(lost.incidents[0].kind, IncidentKind::NoData);
        assert_eq!(lost.alerts.len(), 1);
        assert_eq!(bench.book.source_lost(&facts, 0, 120_000, "still"), Updates::default());
        let stored = serde_json::to_string(&lost.incidents[0]).unwrap();
        assert_eq!(serde_json::from_str::<Incident>(&stored).unwrap(), lost.incidents[0]);
        let back = bench.book.source_back(&facts, 150_000);
        assert_eq!(
            (back.incidents[0].closed_millis, back.alerts[0].kind),
            (Some(150_000), AlertKind::Closed)
        );
        assert_eq!(bench.book.source_back(&facts, 160_000), Updates::default());
    }

    #[test]
    fn a_budget_is_shared_by_all_series() {
        let budget = Threshold::Budget { per_week: 1.0 };
        assert!(budget.passes(-2.1, 100));
        assert!(!budget.passes(-1.9, 100));
        assert!(Threshold::Severity(70.0).passes(-0.1, 100));
    }
}
