//! The same records give bit-identical windows, scores, incidents and alerts: in any batching, interleaving
//! of partitions and number of threads, and in a replay that repeats what the wall clock did.

mod support;

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use support::{Results, assert_conserved, batches, corrected, engine};
use tidewatch::{
    backtest::backtest,
    pipeline::{EngineLimits, History, HistoryRange, RecordedInput, SourceState, StatusBoard, SystemClock},
    record::{Checkpoint, PartitionId, RecordBatch},
    sources::{FileSource, FileSourceConfig},
};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, Shop, ShopConfig};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const HOUR: i64 = 3_600_000;
/// How late some events come.
const LATE_MILLIS: i64 = HOUR / 3;

/// Two days of a shop in three partitions, with a rush, late events, one of them too late, and two bad records.
fn partitions() -> BTreeMap<&'static str, Vec<String>> {
    let rush = Fault {
        start_millis: START + 40 * HOUR,
        end_millis: START + 41 * HOUR,
        measure: "views",
        slice: vec![],
        kind: FaultKind::Rise,
        size: 9.0,
    };
    let config =
        ShopConfig { seed: 3, start_millis: START, days: 2, rate: 8.0, faults: FaultPlan::Given(vec![rush]) };
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let late = |time: i64, visitor: u64| if visitor.is_multiple_of(29) { time + LATE_MILLIS } else { time };
    let mut events: Vec<_> = Shop::new(&config).collect();
    events.sort_by_key(|event| late(event.time_millis, event.visitor_id));
    for event in events {
        let partition = ["a", "b", "c"][(event.visitor_id % 3) as usize];
        let mut line = Vec::new();
        event.write_json(&mut line);
        lines.entry(partition).or_default().push(String::from_utf8(line).expect("JSON is text"));
    }
    let a = lines.get_mut("a").expect("a third of the visitors");
    let late = a[60].clone();
    a.insert(3000, late);
    a.insert(2000, "{\"event_time\":\"soon\"}".to_owned());
    a.insert(1000, "no JSON".to_owned());
    lines
}

/// Feeds batches in the order that `turns` picks partitions; partitions run dry in any order.
fn run(lines: &BTreeMap<&str, Vec<String>>, sizes: &[usize], turns: &[usize], threads: usize) -> Results {
    let mut queues: Vec<std::vec::IntoIter<RecordBatch>> =
        lines.iter().map(|(partition, lines)| batches(partition, lines, sizes).into_iter()).collect();
    let mut engine = engine(&corrected("3h"), threads);
    let names: Vec<PartitionId> = lines.keys().map(|name| PartitionId::new(*name)).collect();
    engine.await_partitions(&names, 0);
    let mut results = Results::default();
    let mut turn = 0;
    while !queues.is_empty() {
        let pick = turns[turn % turns.len()];
        turn += 1;
        // Sometimes one batch, sometimes one of each partition at once, as a parallel source would give.
        let chosen: Vec<usize> =
            if pick % 4 == 3 { (0..queues.len()).collect() } else { vec![pick % queues.len()] };
        let group: Vec<RecordBatch> = chosen.iter().filter_map(|index| queues[*index].next()).collect();
        queues.retain(|queue| queue.len() > 0);
        engine.ingest(group, 0).expect("batches fit");
        if pick.is_multiple_of(5) {
            results.take(engine.take_commit(true, 0).map(|(commit, _)| commit).as_ref());
        }
    }
    results.take(engine.take_commit(true, 0).map(|(commit, _)| commit).as_ref());
    let totals = assert_conserved(&engine);
    assert_eq!((totals.num_rejected(), totals.late, totals.waiting), (2, 1, 0));
    assert!(totals.revised > 200, "{totals:?}");
    results
}

#[test]
fn any_batching_interleaving_and_thread_count_give_the_same_bits() {
    let lines = partitions();
    let straight = run(&lines, &[500], &[0, 1, 2], 1);
    assert!(straight.frames.len() > 500, "{} windows", straight.frames.len());
    assert!(straight.revisions.len() > 100, "{} revisions", straight.revisions.len());
    assert!(!straight.alerts.is_empty(), "the rush opens an incident");
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        proptest::test_runner::Config { cases: 12, ..Default::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let plans =
        (prop::collection::vec(1_usize..2_000, 1..6), prop::collection::vec(0_usize..20, 3..30), 1_usize..4);
    runner
        .run(&plans, |(sizes, turns, threads)| {
            prop_assert!(run(&lines, &sizes, &turns, threads) == straight, "{sizes:?} {turns:?} {threads}");
            Ok(())
        })
        .unwrap();
}

/// The backtest, which reads files, commits to a store and restarts from it, says what the engine alone says.
#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_of_the_same_records_gives_the_same_bits() {
    let lines = partitions();
    let straight = run(&lines, &[500], &[0, 1, 2], 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (partition, lines) in &lines {
        std::fs::write(folder.path().join(partition), lines.join("\n")).expect("a temporary file");
    }
    let source = support::source(&corrected("3h"));
    let files = FileSourceConfig {
        paths: vec![format!("{}/*", folder.path().display())],
        format: source.format,
        fields: source.decoder.fields().to_vec(),
        record_bytes_max: source.record_bytes_max,
        speed: None,
    };
    let files = FileSource::new(files, &Checkpoint::default()).expect("the files are there");
    let found = backtest(
        Box::new(files),
        source.decoder,
        source.monitors[0].clone(),
        EngineLimits { threads: 2, ..EngineLimits::default() },
        Arc::new(SystemClock),
        StatusBoard::default(),
    )
    .await
    .expect("the backtest runs");
    let range = HistoryRange { from_millis: i64::MIN, to_millis: i64::MAX, shard: None, limit: 100_000 };
    let blobs = found.store.frames("shop", range).await.expect("frames can be read");
    let frames: BTreeMap<(i64, usize), Vec<u8>> =
        blobs.iter().map(|blob| ((blob.start_millis, blob.shard), blob.bytes.clone())).collect();
    assert!(frames == straight.frames, "windows and scores are the same bits");
    let revised =
        blobs.into_iter().filter_map(|blob| Some(((blob.start_millis, blob.shard), blob.revision?)));
    assert!(
        revised.collect::<BTreeMap<_, _>>() == straight.revisions,
        "revisions stand beside their windows"
    );
    let incidents: BTreeMap<String, String> = found
        .incidents
        .iter()
        .map(|incident| (incident.id.clone(), serde_json::to_string(incident).expect("plain data")))
        .collect();
    assert_eq!(incidents, straight.incidents);
    let summary = found.summary;
    assert_eq!((summary.rejected, summary.late), (2, 1));
    assert_eq!(summary.records_in, lines.values().map(|lines| lines.len() as u64).sum::<u64>());
}

/// A live run in which partitions fall silent and the clock closes windows; then its replay from records and
/// recorded inputs, in other batches.
#[test]
fn a_replay_repeats_what_the_wall_clock_did() {
    let lines = partitions();
    let (live, inputs) = live(&lines);
    assert!(inputs.len() >= 4, "{inputs:?}");
    assert_eq!(replay(&lines, &inputs, 37), live);
    assert_eq!(replay(&lines, &inputs, 5_000), live);
}

fn live(lines: &BTreeMap<&str, Vec<String>>) -> (Results, Vec<RecordedInput>) {
    let mut engine = engine(&corrected("3h"), 2);
    engine.await_partitions(&lines.keys().map(|name| PartitionId::new(*name)).collect::<Vec<_>>(), START);
    let mut results = Results::default();
    let mut inputs = Vec::new();
    let mut queues: BTreeMap<&str, std::vec::IntoIter<RecordBatch>> = lines
        .iter()
        .map(|(partition, lines)| (*partition, batches(partition, lines, &[50]).into_iter()))
        .collect();
    let mut now = START;
    for turn in 0..10_000 {
        now += 40_000;
        // `b` speaks only now and then, `c` stops early, and for a while nobody says anything.
        let silent = (300..320).contains(&turn);
        for (partition, queue) in &mut queues {
            let speaks = !silent
                && match *partition {
                    "a" => true,
                    "b" => turn % 9 == 0,
                    _ => turn < 60,
                };
            if let Some(batch) = speaks.then(|| queue.next()).flatten() {
                engine
                    .ingest(vec![RecordBatch { ends_partition: false, ..batch }], now)
                    .expect("batches fit");
            }
        }
        engine.tick(now, &SourceState::CaughtUp);
        if let Some((commit, _)) = engine.take_commit(true, now) {
            inputs.extend(commit.inputs.iter().cloned());
            results.take(Some(&commit));
        }
        if queues["a"].len() == 0 {
            break;
        }
    }
    assert_conserved(&engine);
    (results, inputs)
}

fn replay(lines: &BTreeMap<&str, Vec<String>>, inputs: &[RecordedInput], size: usize) -> Results {
    let mut engine = engine(&corrected("3h"), 1);
    engine.await_partitions(&lines.keys().map(|name| PartitionId::new(*name)).collect::<Vec<_>>(), START);
    let mut fed: BTreeMap<&str, usize> = lines.keys().map(|name| (*name, 0)).collect();
    let mut results = Results::default();
    let mut feed = |engine: &mut tidewatch::pipeline::Engine, partition: &'static str, to: usize| {
        let from = fed[partition];
        let mut at = from;
        while at < to {
            let until = (at + size).min(to);
            let batch = support::batch(partition, at, &lines[partition][at..until], false);
            engine.ingest(vec![batch], START).expect("batches fit");
            at = until;
        }
        fed.insert(partition, to);
    };
    for input in inputs {
        for partition in ["c", "b", "a"] {
            let reached = input.at.position(&PartitionId::new(partition)).number().unwrap_or(0);
            feed(&mut engine, partition, reached as usize);
        }
        engine.apply(input);
        results.take(engine.take_commit(true, START).map(|(commit, _)| commit).as_ref());
    }
    // Partitions that were silent at the end have said nothing more in the live run either.
    feed(&mut engine, "a", lines["a"].len());
    results.take(engine.take_commit(true, START).map(|(commit, _)| commit).as_ref());
    results
}
