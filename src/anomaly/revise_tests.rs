//! Incidents whose windows are revised.

use super::*;
use crate::{
    anomaly::{
        AlertKind, AlertRule, IncidentState, Reading, RuleEvent, Threshold,
        merge::tests::{facts, reading},
    },
    window::{Cell, SliceRow},
};

const MINUTE: i64 = 60_000;

struct Bench {
    facts: MonitorFacts,
    slices: [SliceKey; 3],
    tracker: AnomalyTracker,
    book: IncidentBook,
    /// Values and marks of each window so far.
    windows: Vec<([f64; 3], WindowMarks)>,
}

impl Bench {
    /// One measure over the slices everything, DE and FR, of which 100, 60 and 40 are expected; ten windows can be
    /// revised.
    fn new(events: Option<Vec<RuleEvent>>) -> Self {
        let mut facts = facts(&["orders"]);
        facts.revisable_millis = 10 * MINUTE;
        facts.rules = vec![AlertRule::new(Threshold::Severity(70.0), vec!["mail".to_owned()])];
        facts.rules[0].conditions.events = events;
        Self {
            facts,
            slices: [None, Some("DE"), Some("FR")].map(|value| SliceKey(vec![value.map(Into::into)])),
            tracker: AnomalyTracker::default(),
            book: IncidentBook::default(),
            windows: Vec::new(),
        }
    }

    fn window(&mut self, values: [f64; 3], severity: f64) -> Updates {
        let readings: [Option<Reading>; 3] = [
            reading(100.0, values[0], severity - 2.0),
            reading(60.0, values[1], severity),
            reading(40.0, values[2], 5.0),
        ];
        let start_millis = self.windows.len() as i64 * MINUTE;
        let view = WindowView {
            facts: &self.facts,
            slices: &self.slices,
            readings: &readings,
            start_millis,
            end_millis: start_millis + MINUTE,
        };
        let (changed, closed) = self.tracker.update(&view);
        let mut updates = self.book.update(&view, &changed, &closed);
        self.windows.push((values, std::mem::take(&mut updates.marks)));
        updates
    }

    fn broken(&mut self) -> Updates {
        self.window([60.0, 20.0, 40.0], 80.0)
    }

    fn calm(&mut self) -> Updates {
        self.window([100.0, 60.0, 40.0], 10.0)
    }

    /// Brings late events to a window.
    fn revise(&mut self, window: usize, values: [f64; 3]) -> Updates {
        let frame = |values: [f64; 3]| {
            let row = |value| SliceRow { events: 1, cells: vec![Some(Cell { value, weight: value })] };
            let slices = values.map(row).to_vec();
            Frame { start_millis: 0, end_millis: MINUTE, slices, refused_slices: 0 }
        };
        let at_millis = self.windows.len() as i64 * MINUTE;
        let (known, marks) = &mut self.windows[window];
        let (before, after) = (frame(*known), frame(values));
        *known = values;
        let start_millis = window as i64 * MINUTE;
        let span_millis = (start_millis, start_millis + MINUTE);
        let revised = RevisedWindow { span_millis, before: &before, after: &after, at_millis };
        self.book.revise(&self.facts, &self.slices, &mut self.tracker, &revised, marks, 3)
    }
}

fn kinds(updates: &Updates) -> Vec<AlertKind> {
    updates.alerts.iter().map(|alert| alert.kind).collect()
}

#[test]
fn numbers_follow_and_an_incident_without_a_window_is_taken_back() {
    let mut bench = Bench::new(None);
    bench.broken();
    let opened = bench.broken().incidents[0].clone();
    assert_eq!((opened.actual, opened.expected), (40.0, 120.0));
    // More, and still not enough: the sum moves.
    let more = bench.revise(0, [70.0, 30.0, 40.0]);
    let incident = &more.incidents[0];
    assert_eq!((incident.actual, incident.expected), (50.0, 120.0));
    assert!(incident.summary.contains("50 instead of 120"), "{}", incident.summary);
    let revision = incident.revision.unwrap();
    assert_eq!((revision.times, revision.actual, revision.expected), (1, 40.0, 120.0));
    assert!(more.alerts.is_empty(), "revisions are told to those who ask");
    assert_eq!(more.news, [incident.id.as_str()]);
    // Within the band: the window is none of its any more.
    let less = bench.revise(0, [95.0, 55.0, 40.0]);
    let incident = &less.incidents[0];
    assert_eq!((incident.actual, incident.expected, incident.state), (20.0, 60.0, IncidentState::Open));
    // The next window goes on from there.
    let next = bench.broken().incidents[0].clone();
    assert_eq!((next.actual, next.expected), (40.0, 120.0));
    bench.revise(2, [100.0, 60.0, 40.0]);
    let gone = bench.revise(1, [100.0, 60.0, 40.0]);
    assert_eq!(gone.incidents[0].state, IncidentState::Retracted);
    assert_eq!(gone.incidents[0].severity, next.severity, "severities are not rewritten");
    assert_eq!(kinds(&gone), [AlertKind::Retracted]);
    assert!(bench.book.open().next().is_none() && bench.tracker.num_open() == 0);
    let after = bench.calm();
    assert!(after.incidents.is_empty() && after.alerts.is_empty(), "its end was told");
    assert_eq!(bench.broken().incidents[0].id, "shop-2", "the next one is another");
}

#[test]
fn an_incident_that_is_over_can_be_revised_until_its_windows_cannot() {
    let asked = vec![RuleEvent::Opened, RuleEvent::Closed, RuleEvent::Revised, RuleEvent::Retracted];
    let mut bench = Bench::new(Some(asked));
    bench.broken();
    bench.broken();
    (0..4).for_each(|_| drop(bench.calm()));
    assert!(bench.book.open().next().is_none());
    let revised = bench.revise(0, [75.0, 35.0, 40.0]);
    assert_eq!(
        (kinds(&revised), revised.incidents[0].state),
        (vec![AlertKind::Revised], IncidentState::Closed)
    );
    let little = bench.revise(0, [75.5, 35.5, 40.0]);
    assert!(little.alerts.is_empty() && little.news.is_empty(), "half an order is no news");
    // The first window is beyond reach now, so one that stays anomalous is left.
    (0..6).for_each(|_| drop(bench.calm()));
    let rest = bench.revise(1, [100.0, 60.0, 40.0]);
    assert_eq!(rest.incidents[0].state, IncidentState::Closed);
    assert_eq!((rest.incidents[0].actual, rest.incidents[0].expected), (35.5, 60.0));
    (0..3).for_each(|_| drop(bench.calm()));
    assert!(bench.book.past.is_empty(), "nothing of it can be revised");
}

#[test]
fn who_hears_of_ends_hears_that_an_open_incident_was_taken_back() {
    for (events, told) in [
        (vec![RuleEvent::Opened, RuleEvent::Closed], vec![AlertKind::Retracted]),
        (vec![RuleEvent::Opened], vec![]),
    ] {
        let mut bench = Bench::new(Some(events));
        bench.broken();
        assert_eq!(kinds(&bench.revise(0, [100.0, 60.0, 40.0])), told);
    }
}

#[test]
fn a_revised_window_opens_nothing() {
    let mut bench = Bench::new(None);
    bench.calm();
    let updates = bench.revise(0, [500.0, 400.0, 100.0]);
    assert_eq!(updates, Updates::default());
}
