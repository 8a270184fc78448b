//! The open incidents of a monitor, window by window.
//!
//! Anomalies that share time and cause are one incident (`group.rs`), across roll-up levels and measures; it closes
//! when the last of its anomalies has and what explains it is no longer off. Anomalies that never reached page severity
//! 60 make incidents of their own, which are listed and never page. Ids count up per monitor, so the same records give
//! the same ids in every run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Alert, Anomaly, Incident, IncidentKind, MonitorFacts, Mute, SeverityTrack, WindowMarks, WindowView,
    alert::{self, Moment},
    group::{self, Along, OpenIncident, OpenIncidents},
    pace::{HeldBack, Pace},
    related::Associations,
    space::Space,
    words,
};
use crate::window::SliceKey;

/// The open incidents of a monitor and the number of the next one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IncidentBook {
    pub(super) open: OpenIncidents,
    num_opened: u64,
    /// What each rule remembers.
    pub(super) paces: BTreeMap<usize, Pace>,
    associations: Associations,
    along: Along,
    /// Incidents that are over and of which a window can still be revised.
    pub(super) past: OpenIncidents,
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
    /// What must be known of the window to revise it.
    pub marks: WindowMarks,
    /// Ids of incidents that late events changed enough to say so.
    pub news: Vec<String>,
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
        let (touched, joined) =
            if changed.is_empty() { (Vec::new(), Vec::new()) } else { self.take(view, changed) };
        if view.facts.revisable_millis > 0 {
            updates.marks = self.mark(view, &joined);
        }
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
        self.along.retain(|_, until_millis| *until_millis > view.end_millis);
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
            let is_off = touched.contains(number) || open.wait(view);
            if open.active.is_empty() && !open.lingers(view) {
                open.incident.close();
            }
            let (incident, paces) = (&mut open.incident, &mut self.paces);
            let is_calm = !is_off && !incident.is_closed();
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
        self.let_go(view.facts);
        updates
    }

    /// Gives the anomalies of a window to their incidents; says which incidents changed, and which series joined
    /// which.
    fn take(&mut self, view: &WindowView<'_>, changed: &[Anomaly]) -> (Vec<u64>, Vec<(u64, usize)>) {
        let (page, minor): (Vec<_>, Vec<_>) = changed.iter().partition(|anomaly| anomaly.is_page());
        let space = Space::new(view);
        let mut num_opened = self.num_opened;
        let mut open = |kind: IncidentKind, first: &Anomaly| {
            num_opened += 1;
            let id = format!("{}-{num_opened}", view.facts.monitor);
            let mut incident = Incident::open(id, kind, &view.facts.monitor, first.opened_millis);
            incident.severity = SeverityTrack::starting(first.severity.last);
            (num_opened, OpenIncident::new(incident))
        };
        let (all, mut homes) = (&mut self.open, group::Homes::default());
        let at = (&space, view);
        group::house(all, at, IncidentKind::Deviation, &page, &mut homes, |first| {
            open(IncidentKind::Deviation, first)
        });
        let alone = group::accompany(all, view, minor, &mut homes, &mut self.along);
        group::house(all, at, IncidentKind::Minor, &alone, &mut homes, |first| {
            open(IncidentKind::Minor, first)
        });
        self.num_opened = num_opened;
        let joined = |(number, joining): (&u64, &Vec<&Anomaly>)| {
            joining.iter().map(|anomaly| (*number, anomaly.series)).collect::<Vec<_>>()
        };
        let joined = homes.joining.iter().flat_map(joined).collect();
        (self.explain(view, &space, &homes), joined)
    }

    fn explain(&mut self, view: &WindowView<'_>, space: &Space<'_>, homes: &group::Homes<'_>) -> Vec<u64> {
        let is_page = |open: &OpenIncident| open.incident.kind == IncidentKind::Deviation;
        for (number, joining) in &homes.joining {
            let Some(kind) = self.open.get(number).map(|open| open.incident.kind) else { continue };
            let others: Vec<SliceKey> = self
                .open
                .iter()
                .filter(|(other, open)| *other != number && open.incident.kind == kind)
                .flat_map(|(_, open)| open.explained.slices.clone())
                .collect();
            let Some(open) = self.open.get_mut(number) else { continue };
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
        self.past.clear();
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
#[path = "book_tests.rs"]
mod tests;
