//! Late events within the correction period: the value they make is the one they would have made on time, what was
//! first closed stands beside it, and incidents are revised or taken back. In any batching and on any threads.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use support::{Results, assert_conserved, batches, corrected, engine};
use tidewatch::{
    anomaly::{Incident, IncidentState},
    pipeline::{FrameBlob, SHARD_SLICES, ShardFrame, Totals},
    record::{PartitionId, RecordBatch},
    window::{Cell, SliceKey},
};
use tidewatch_datasets::shop::{FaultPlan, Shop, ShopConfig, ShopEvent};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// Measures of the shop whose values are sketched: equal within their error only.
const VISITORS: &str = "visitors";

fn shop(days: u32, rate: f64) -> Vec<ShopEvent> {
    let faults = FaultPlan::Given(Vec::new());
    Shop::new(&ShopConfig { seed: 5, start_millis: START, days, rate, faults }).collect()
}

/// The lines of two partitions in the order in which they come: each event later than it was by `delay`; `None` never
/// comes.
fn lines(
    events: &[ShopEvent],
    delay: impl Fn(usize, &ShopEvent) -> Option<i64>,
) -> BTreeMap<&'static str, Vec<String>> {
    let mut coming: Vec<(i64, &ShopEvent)> = events
        .iter()
        .enumerate()
        .filter_map(|(index, event)| Some((event.time_millis + delay(index, event)?, event)))
        .collect();
    coming.sort_by_key(|(at, _)| *at);
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (_, event) in coming {
        let mut line = Vec::new();
        event.write_json(&mut line);
        let partition = if event.visitor_id % 3 == 0 { "a" } else { "b" };
        lines.entry(partition).or_default().push(String::from_utf8(line).expect("JSON is text"));
    }
    lines
}

/// Feeds all lines in turns of these sizes and commits after each turn.
fn run(
    text: &str,
    lines: &BTreeMap<&'static str, Vec<String>>,
    sizes: &[usize],
    threads: usize,
) -> (Results, Totals) {
    let mut queues: Vec<std::vec::IntoIter<RecordBatch>> =
        lines.iter().map(|(partition, lines)| batches(partition, lines, sizes).into_iter()).collect();
    let mut engine = engine(text, threads);
    let names: Vec<PartitionId> = lines.keys().map(|name| PartitionId::new(*name)).collect();
    engine.await_partitions(&names, 0);
    let mut results = Results::default();
    while !queues.is_empty() {
        let turn: Vec<RecordBatch> = queues.iter_mut().filter_map(Iterator::next).collect();
        queues.retain(|queue| queue.len() > 0);
        engine.ingest(turn, 0).expect("batches fit");
        results.take(engine.take_commit(true, 0).map(|(commit, _)| commit).as_ref());
    }
    let totals = assert_conserved(&engine);
    assert_eq!(totals.waiting, 0, "everything has closed");
    (results, totals)
}

/// By start, slice and measure: the value as it stands, and the one first closed where that differs.
type Values = BTreeMap<(i64, SliceKey, usize), (Option<Cell>, Option<Option<Cell>>)>;

fn values(results: &Results) -> Values {
    let mut values = Values::new();
    for ((start_millis, shard), bytes) in &results.frames {
        let blob = FrameBlob {
            start_millis: *start_millis,
            end_millis: start_millis + 5 * MINUTE,
            shard: *shard,
            bytes: bytes.clone(),
            revision: results.revisions.get(&(*start_millis, *shard)).cloned(),
        };
        let frame = ShardFrame::of(&blob).expect("it was just encoded");
        let width = frame.cells.len() / frame.events.len();
        for index in 0..frame.num_series() {
            let slice = results.slices[shard * SHARD_SLICES + index / width].clone();
            let observed = frame.observed(index);
            values.insert((*start_millis, slice, index % width), (observed.cell, observed.as_closed));
        }
    }
    values
}

/// Sums are added in another order, and sketches of many values are about as large; everything else is the same.
fn assert_same(late: &Values, on_time: &Values) {
    let names: Vec<String> = support::source(&corrected("3h")).monitors[0]
        .facts
        .measures
        .iter()
        .map(|measure| measure.name.clone())
        .collect();
    for key in late.keys().chain(on_time.keys()) {
        let of = |values: &Values| {
            let cell = values.get(key).and_then(|(cell, _)| *cell).filter(|cell| cell.weight > 0.0);
            cell.map_or((0.0, 0.0), |cell| (cell.value, cell.weight))
        };
        let ((found, found_weight), (expected, expected_weight)) = (of(late), of(on_time));
        let name = names[key.2].as_str();
        let close = |found: f64, expected: f64| {
            let error = if name == VISITORS { 0.02 } else { 1e-9 };
            (found - expected).abs() <= error * expected.abs()
        };
        assert!(
            close(found, expected) && close(found_weight, expected_weight),
            "{name} of {} at {}: {found} ({found_weight}) instead of {expected} ({expected_weight})",
            key.1,
            (key.0 - START) / MINUTE
        );
    }
}

#[test]
fn late_events_in_any_order_make_the_values_they_would_have_made_on_time() {
    let events = shop(1, 8.0);
    let text = corrected("3h");
    let on_time = values(&run(&text, &lines(&events, |_, _| Some(0)), &[1_000], 1).0);
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        proptest::test_runner::Config { cases: 6, ..Default::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let plans = (any::<u64>(), 1_u64..60, prop::collection::vec(1_usize..1_500, 1..4));
    runner
        .run(&plans, |(seed, percent, sizes)| {
            // Nothing of the first hour is late: a window before the first one that closes is never known.
            let delay = |index: usize, event: &ShopEvent| {
                let random = (index as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
                let is_late = random % 100 < percent && event.time_millis >= START + HOUR;
                Some(if is_late { (random / 100 % 170) as i64 * MINUTE } else { 0 })
            };
            let (results, totals) = run(&text, &lines(&events, delay), &sizes, 2);
            prop_assert_eq!((totals.late, totals.after_close, totals.over_limit), (0, 0, 0));
            prop_assert!(totals.revised > 0 && totals.revisions > 0);
            let found = values(&results);
            assert_same(&found, &on_time);
            prop_assert!(found.values().any(|(_, as_closed)| as_closed.is_some()));
            Ok(())
        })
        .unwrap();
}

/// From hour 40 on half an hour of everything comes late by so much.
fn held_back(events: &[ShopEvent], by_millis: i64) -> BTreeMap<&'static str, Vec<String>> {
    let held = START + 40 * HOUR..START + 40 * HOUR + 30 * MINUTE;
    lines(events, |_, event| Some(if held.contains(&event.time_millis) { by_millis } else { 0 }))
}

fn kinds_of<'a>(results: &'a Results, incident: &str) -> Vec<&'a str> {
    let mine = results.alerts.iter().filter(|id| id.starts_with(&format!("{incident}:")));
    mine.map(|id| id.split(':').nth(3).expect("incident:rule:times:kind:notifier")).collect()
}

fn incidents(results: &Results) -> Vec<Incident> {
    let read = |text: &String| serde_json::from_str(text).expect("an incident as it is stored");
    results.incidents.values().map(read).collect()
}

fn milestones_of(results: &Results, incident: &str) -> Vec<String> {
    let all =
        results.milestones.iter().map(|text| serde_json::from_str::<serde_json::Value>(text).expect("JSON"));
    all.filter(|one| one["incident"] == incident)
        .map(|one| one["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_outage_that_was_only_late_is_taken_back_whether_it_is_over_or_not() {
    let events = shop(2, 10.0);
    for (by_millis, told) in [(12 * MINUTE, "opened retracted"), (90 * MINUTE, "opened closed retracted")] {
        let (results, totals) = run(&corrected("3h"), &held_back(&events, by_millis), &[700], 2);
        let found = incidents(&results);
        let retracted: Vec<&Incident> =
            found.iter().filter(|incident| incident.state == IncidentState::Retracted).collect();
        let paged: Vec<&&Incident> = retracted.iter().filter(|incident| incident.is_told()).collect();
        assert_eq!(paged.len(), 1, "{:?}", results.alerts);
        let incident = paged[0];
        let kinds = kinds_of(&results, &incident.id);
        let ends: Vec<&str> = kinds.into_iter().filter(|kind| *kind != "escalated").collect();
        assert_eq!(ends.join(" "), told);
        assert_eq!(milestones_of(&results, &incident.id).last().map(String::as_str), Some("retracted"));
        assert!(incident.severity.peak >= 70.0, "severities are not rewritten");
        let revision = incident.revision.expect("it was revised");
        assert!(revision.times > 0 && revision.actual < revision.expected, "{revision:?}");
        assert_eq!(totals.retracted as usize, retracted.len());
        assert_eq!((totals.late, totals.after_close), (0, 0));
    }
}

#[test]
fn what_stays_missing_stays_an_incident_with_its_numbers_revised() {
    let events = shop(2, 10.0);
    let held = START + 40 * HOUR..START + 40 * HOUR + 30 * MINUTE;
    // A third of the half hour comes late, the rest never.
    let delay = |index: usize, event: &ShopEvent| match (held.contains(&event.time_millis), index % 3) {
        (true, 0) => Some(90 * MINUTE),
        (true, _) => None,
        _ => Some(0),
    };
    let text = corrected("3h")
        .replace("severity = 70", "severity = 70\nevents = [\"opened\", \"closed\", \"revised\"]");
    let (results, totals) = run(&text, &lines(&events, delay), &[700], 1);
    assert!(totals.revised > 20, "{totals:?}");
    let found = incidents(&results);
    let revised = found.iter().find(|incident| incident.is_told() && incident.revision.is_some());
    let incident = revised.expect("an incident was revised");
    let revision = incident.revision.expect("just looked");
    assert_eq!(incident.state, IncidentState::Closed);
    assert!(incident.actual > revision.actual, "{} and before {}", incident.actual, revision.actual);
    assert!((incident.expected - revision.expected).abs() < 1e-6 * revision.expected);
    let impact = incident.impact.as_ref().expect("views add up");
    assert!((impact.value - (incident.actual - incident.expected)).abs() < 1e-6);
    assert!(!incident.summary.contains("at zero"), "{}", incident.summary);
    let kinds = kinds_of(&results, &incident.id);
    assert!(kinds.starts_with(&["opened", "closed", "revised"]), "{kinds:?}");
    assert!(milestones_of(&results, &incident.id).contains(&"revised".to_owned()));
}

#[test]
fn revisions_are_the_same_in_any_batches_and_on_any_threads() {
    let lines = held_back(&shop(2, 10.0), 50 * MINUTE);
    let text = corrected("2h");
    let (straight, totals) = run(&text, &lines, &[400], 1);
    assert!(totals.retracted > 0, "{totals:?}");
    for (sizes, threads) in [(vec![1, 3, 50, 2_000], 1), (vec![7], 2), (vec![9_000], 3), (vec![1_000_000], 2)]
    {
        let (found, again) = run(&text, &lines, &sizes, threads);
        assert!(found == straight, "{sizes:?} {threads}");
        assert_eq!(again, totals);
    }
}

#[test]
fn models_keep_to_what_was_first_closed() {
    let events = shop(2, 10.0);
    let lines = held_back(&events, 90 * MINUTE);
    let (with, _) = run(&corrected("3h"), &lines, &[700], 1);
    let (without, totals) = run(&corrected("0s"), &lines, &[700], 1);
    assert!(totals.late > 100 && totals.revised == 0, "{totals:?}");
    assert!(with.frames == without.frames, "values first closed and scores are the same bits");
    assert!(without.revisions.is_empty() && !with.revisions.is_empty());
}

#[test]
fn beyond_the_period_events_are_late_and_beyond_the_limit_they_are_counted() {
    let events = shop(2, 4.0);
    let lines = held_back(&events, 90 * MINUTE);
    let (_, totals) = run(&corrected("30m"), &lines, &[700], 1);
    assert!(totals.late > 100, "{totals:?}");
    let small =
        corrected("3h").replace("correction_period", "correction_bytes = \"2KiB\"\ncorrection_period");
    let (_, totals) = run(&small, &lines, &[700], 1);
    assert!(totals.over_limit > 100 && totals.late == 0, "{totals:?}");
}
