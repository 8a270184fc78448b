//! Incidents of one monitor, window by window: what opens, closes, is told and held back.

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
    assert!(began.incidents[0].summary.contains("cannot use what it is sent"), "{:?}", began.incidents[0]);
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
    assert_eq!((back.incidents[0].closed_millis, back.alerts[0].kind), (Some(150_000), AlertKind::Closed));
    assert_eq!(bench.book.source_back(&facts, 160_000), Updates::default());
}

#[test]
fn a_budget_is_shared_by_all_series() {
    let budget = Threshold::Budget { per_week: 1.0 };
    assert!(budget.passes(-2.1, 100));
    assert!(!budget.passes(-1.9, 100));
    assert!(Threshold::Severity(70.0).passes(-0.1, 100));
}
