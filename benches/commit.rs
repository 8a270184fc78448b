//! Commit cost on a real file: light commits (one HTTP post) and full commits (one closed window), at several
//! numbers of series and both durabilities.
//!
//! `cargo bench --bench commit`. The file lies in the system's temporary folder: what a full commit waits for
//! depends on its disk.

use std::sync::Arc;

use bytes::Bytes;
use divan::Bencher;
use tidewatch::{
    config::{Config, Environment},
    pipeline::{Commit, Engine, EngineLimits, Monitor, Store},
    record::{Checkpoint, PartitionId, Position, Record, RecordBatch},
    store::{Durability, SqliteStore},
};

fn main() {
    divan::main();
}

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const CONFIG: &str = r#"
    [sources.events]
    kind = "http"
    [monitors.shop]
    source = "events"
    timestamp = "at"
    interval = "1m"
    allowed_lateness = "0s"
    dimensions = { slice = "slice" }
    [monitors.shop.measures]
    views = { count = true }
    total = { sum = "total" }
"#;

struct Bench {
    engine: Engine,
    store: SqliteStore,
    position: u64,
    minute: i64,
    slices: usize,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(slices: usize, durability: Durability) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("bench.db"), durability).expect("opens");
        let source = Config::parse(CONFIG, &Environment::default()).expect("valid").sources.remove(0);
        let monitors = source.monitors.iter().map(|spec| Monitor::new(Arc::clone(spec))).collect();
        let limits = EngineLimits::default();
        let engine = Engine::new(source.id, source.decoder, monitors, Checkpoint::default(), true, limits);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("starts");
        let mut bench = Self { engine, store, position: 0, minute: 0, slices, runtime, _folder: folder };
        // The first window admits the slices and writes every model; later ones are the ordinary case.
        for _ in 0..3 {
            let commit = bench.next_window();
            bench.store(&commit);
        }
        bench
    }

    fn ingest(&mut self, lines: &[String]) {
        let records: Vec<Record> = lines.iter().map(|line| Record::new(Bytes::from(line.clone()))).collect();
        let position = |count: u64| if count == 0 { Position::Beginning } else { Position::at(count) };
        let from_exclusive = position(self.position);
        self.position += records.len() as u64;
        let batch = RecordBatch {
            partition: PartitionId::new("http"),
            records,
            from_exclusive,
            to_inclusive: position(self.position),
            header: None,
            received_millis: None,
            lag_millis: None,
            ends_partition: false,
        };
        self.engine.ingest(vec![batch], 0).expect("fits");
    }

    fn line(&self, slice: usize) -> String {
        let at = START + self.minute * 60_000 + slice as i64 % 60_000;
        format!(r#"{{"at":{at},"slice":"s{slice:06}","total":3.5}}"#)
    }

    /// One event in each slice, and one that closes the window.
    fn next_window(&mut self) -> Commit {
        let mut lines: Vec<String> = (0..self.slices).map(|slice| self.line(slice)).collect();
        self.minute += 1;
        lines.push(self.line(0));
        self.ingest(&lines);
        self.engine.take_commit(true, 0).expect("a window closed").0
    }

    /// One post of twenty events in the open window.
    fn next_post(&mut self) -> Commit {
        let lines: Vec<String> = (0..20).map(|slice| self.line(slice % self.slices)).collect();
        self.ingest(&[lines.join("\n")]);
        self.engine.take_commit(false, 0).expect("a post came").0
    }

    fn store(&self, commit: &Commit) {
        self.runtime.block_on(async { self.store.commit(commit).await }).expect("stored");
    }
}

/// One closed window of that many slices (two measures each).
#[divan::bench(args = [10, 1_000, 10_000], sample_count = 30, sample_size = 1)]
fn full_commit_durability_full(bencher: Bencher<'_, '_>, slices: usize) {
    let bench = std::cell::RefCell::new(Bench::new(slices, Durability::Full));
    bencher
        .with_inputs(|| bench.borrow_mut().next_window())
        .bench_local_refs(|commit| bench.borrow().store(commit));
}

/// One post of twenty events.
#[divan::bench(args = [Durability::Full, Durability::Normal], sample_count = 200, sample_size = 1)]
fn light_commit(bencher: Bencher<'_, '_>, durability: Durability) {
    let bench = std::cell::RefCell::new(Bench::new(10, durability));
    bencher
        .with_inputs(|| bench.borrow_mut().next_post())
        .bench_local_refs(|commit| bench.borrow().store(commit));
}
