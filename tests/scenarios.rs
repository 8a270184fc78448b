//! What happens when traffic stops, when a source is lost, and when events come late: time passes on a clock
//! that the test moves, and every event is accounted for.

mod support;

use support::{Results, SHOP, assert_conserved, batch, engine};
use tidewatch::{
    anomaly::{Incident, IncidentKind, IncidentState},
    pipeline::{Commit, Engine, EngineLimits, SourceState, Store, restore},
    record::PartitionId,
    store::SqliteStore,
};
use tidewatch_datasets::shop::{FaultPlan, Shop, ShopConfig};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// A healthy shop for some days, up to `minutes` before their end.
fn lines(days: u32, rate: f64) -> Vec<String> {
    let config = ShopConfig { seed: 5, start_millis: START, days, rate, faults: FaultPlan::None };
    Shop::new(&config)
        .map(|event| {
            let mut line = Vec::new();
            event.write_json(&mut line);
            String::from_utf8(line).expect("JSON is text")
        })
        .collect()
}

struct Bench {
    engine: Engine,
    results: Results,
    incidents: Vec<Incident>,
    num_lines: usize,
}

impl Bench {
    /// An engine that has read `lines` by the end of day `days`.
    fn after(lines: &[String], days: i64) -> Self {
        let mut engine = engine(SHOP, 2);
        engine.await_partitions(&[PartitionId::new("p")], START);
        engine.ingest(vec![batch("p", 0, lines, false)], START + days * DAY).expect("the batch fits");
        let mut bench =
            Self { engine, results: Results::default(), incidents: Vec::new(), num_lines: lines.len() };
        bench.commit(START + days * DAY);
        bench.incidents.clear();
        bench
    }

    fn tick(&mut self, now: i64, state: &SourceState) -> &mut Self {
        self.engine.tick(now, state);
        self.commit(now);
        self
    }

    fn commit(&mut self, now: i64) {
        let commit: Option<Commit> = self.engine.take_commit(true, now).map(|(commit, _)| commit);
        self.results.take(commit.as_ref());
        for monitor in commit.into_iter().flat_map(|commit| commit.monitors.into_iter().flatten()) {
            self.incidents.extend(monitor.incidents);
        }
    }

    fn of_kind(&self, kind: IncidentKind) -> Vec<&Incident> {
        self.incidents.iter().filter(|incident| incident.kind == kind).collect()
    }
}

#[test]
fn when_all_traffic_stops_the_clock_closes_windows_and_the_zero_is_an_incident() {
    let lines = lines(8, 40.0);
    let mut bench = Bench::after(&lines, 8);
    let windows_before = bench.results.frames.len();
    for minute in 1..=25 {
        bench.tick(START + 8 * DAY + minute * MINUTE, &SourceState::CaughtUp);
    }
    assert!(bench.results.frames.len() >= windows_before + 4, "the clock closed windows");
    let open = bench.of_kind(IncidentKind::Deviation);
    let worst = open.iter().max_by(|a, b| a.severity.peak.total_cmp(&b.severity.peak)).expect("an incident");
    assert!(worst.severity.peak >= 70.0, "{worst:?}");
    assert!(worst.summary.contains("at zero"), "{}", worst.summary);
    assert!(bench.of_kind(IncidentKind::NoData).is_empty());
    assert!(!bench.results.alerts.is_empty());
    assert_conserved(&bench.engine);
}

#[test]
fn a_lost_source_is_no_data_and_not_a_drop_to_zero() {
    let lines = lines(8, 40.0);
    let mut bench = Bench::after(&lines, 8);
    let windows_before = bench.results.frames.len();
    let lost = SourceState::Unreachable { why: "connection refused".to_owned() };
    for minute in 1..=25 {
        bench.tick(START + 8 * DAY + minute * MINUTE, &lost);
    }
    assert_eq!(bench.results.frames.len(), windows_before, "nothing is known, so nothing closes");
    let told = bench.of_kind(IncidentKind::NoData);
    assert_eq!(told.len(), 1);
    assert!(told[0].summary.contains("connection refused"), "{}", told[0].summary);
    bench.incidents.clear();
    bench.tick(START + 8 * DAY + 26 * MINUTE, &SourceState::CaughtUp);
    assert_eq!(bench.of_kind(IncidentKind::NoData)[0].state, IncidentState::Closed);
    assert!(bench.of_kind(IncidentKind::Deviation).is_empty(), "our silence is not the shop's");
    assert_conserved(&bench.engine);
}

#[test]
fn a_source_that_is_still_reading_closes_nothing_by_the_clock() {
    let lines = lines(1, 40.0);
    let mut bench = Bench::after(&lines, 1);
    let windows_before = bench.results.frames.len();
    for minute in 1..=60 {
        bench.tick(START + DAY + minute * MINUTE, &SourceState::Reading);
    }
    assert_eq!(bench.results.frames.len(), windows_before);
}

#[test]
fn events_after_a_close_by_the_clock_are_told_apart_and_counted() {
    let lines = lines(1, 40.0);
    let (early, rest) = lines.split_at(lines.len() - 200);
    let mut bench = Bench::after(early, 1);
    for minute in 1..=60 {
        bench.tick(START + DAY + minute * MINUTE, &SourceState::CaughtUp);
    }
    let from = bench.num_lines;
    bench
        .engine
        .ingest(vec![batch("p", from, rest, false)], START + DAY + 61 * MINUTE)
        .expect("the batch fits");
    let totals = assert_conserved(&bench.engine);
    assert_eq!(totals.events, lines.len() as u64);
    assert!(totals.after_close > 0, "{totals:?}");
}

/// A push source: while the service was down nobody could send, so the empty windows of that time are gaps
/// and no outage of the shop.
#[tokio::test(flavor = "multi_thread")]
async fn our_own_absence_is_not_an_outage_of_the_shop() {
    let lines = lines(8, 40.0);
    let http = SHOP.replace("kind = \"file\"\n    path = \"unused.ndjson\"", "kind = \"http\"");
    let store = SqliteStore::in_memory().expect("a store in memory");
    let now = START + 8 * DAY;
    let mut engine = restored(&store, &http, now).await;
    engine.ingest(vec![batch("http", 0, &lines, false)], now).expect("the batch fits");
    store.commit(&engine.take_commit(true, now).expect("windows closed").0).await.expect("stored");
    // Six hours later the service starts again; events come from then on.
    let later = now + 6 * 60 * MINUTE;
    let mut engine = restored(&store, &http, later).await;
    for minute in 0..3 {
        engine.tick(later + minute * MINUTE, &SourceState::CaughtUp);
    }
    let commit = engine.take_commit(true, later).expect("the clock closed windows").0;
    let monitor = commit.monitors.iter().flatten().next().expect("one monitor");
    assert!(monitor.frames.len() > 60, "{} windows", monitor.frames.len());
    let paging: Vec<&Incident> =
        monitor.incidents.iter().filter(|incident| incident.kind == IncidentKind::Deviation).collect();
    assert!(paging.iter().all(|incident| incident.opened_millis < now), "{paging:?}");
}

async fn restored(store: &SqliteStore, config: &str, now_millis: i64) -> Engine {
    let source = support::source(config);
    let limits = EngineLimits::default();
    restore(store, source.id, source.decoder, source.monitors, true, limits, now_millis)
        .await
        .expect("what was stored can be restored")
}

#[test]
fn a_batch_that_does_not_fit_is_refused() {
    let lines = lines(1, 1.0);
    let mut engine = engine(SHOP, 1);
    engine.ingest(vec![batch("p", 0, &lines[..10], false)], START).expect("fits");
    assert!(engine.ingest(vec![batch("p", 0, &lines[..10], false)], START).is_err(), "read before");
    assert!(engine.ingest(vec![batch("p", 20, &lines[20..30], false)], START).is_err(), "a hole");
}
