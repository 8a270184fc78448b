//! What the console waits for: a chart of a hundred thousand windows, and lists, histograms and lanes over two thousand
//! incidents, as answered by the API over a file.
//!
//! `cargo bench --bench console`.

use std::{collections::BTreeMap, fmt::Write, path::Path, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use divan::Bencher;
use serde_json::json;
use tidewatch::{
    anomaly::Incident,
    api::{ApiLimits, ApiState, Feed, MonitorInfo, router},
    config::{Config, Environment},
    pipeline::{
        Commit, FrameBlob, ManualClock, MonitorCommit, ShardFrame, SlicesFrom, StatusBoard, Store,
        StoredScore, Telemetry,
    },
    record::{CheckpointDelta, SourceId},
    store::{Durability, SqliteStore},
    window::{Cell, SliceKey},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

fn main() {
    divan::main();
}

const START: i64 = 1_741_132_800_000; // 2025-03-05T00:00:00Z
const WINDOWS: i64 = 100_000;
const MINUTE: i64 = 60_000;
const INCIDENTS: i64 = 2_000;
const CONFIG: &str = r#"
    [sources.events]
    kind = "http"
    [monitors.shop]
    source = "events"
    timestamp = "at"
    interval = "5m"
    dimensions = { country = "country" }
    [monitors.shop.measures]
    views = { count = true }
    total = { sum = "total" }
"#;

/// The API over a stored past.
struct Console {
    router: Router,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Console {
    fn new(slices: usize, windows: i64, incidents: i64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("starts");
        let store = runtime.block_on(stored(folder.path(), slices, windows, incidents));
        let source = Config::parse(CONFIG, &Environment::default()).expect("valid").sources.remove(0);
        let state = ApiState {
            history: store,
            board: StatusBoard::default(),
            telemetry: Arc::new(Telemetry::new()),
            clock: Arc::new(ManualClock::at(START + WINDOWS * 5 * MINUTE)),
            monitors: vec![MonitorInfo::of(&source.id, &source.monitors[0])],
            specs: BTreeMap::new(),
            desks: BTreeMap::new(),
            notifiers: BTreeMap::new(),
            feed: Feed::new(CancellationToken::new()),
            intakes: BTreeMap::new(),
            backtests: None,
            configuring: None,
            token: None,
        };
        Self { router: router(state, ApiLimits::default()), runtime, _folder: folder }
    }

    /// The size of an answer.
    fn get(&self, path: &str) -> usize {
        self.runtime.block_on(async {
            let request = Request::get(path).body(Body::empty()).expect("a path");
            let answer = self.router.clone().oneshot(request).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
            to_bytes(answer.into_body(), usize::MAX).await.expect("a body").len()
        })
    }
}

fn commit(slices: Vec<SliceKey>, frames: Vec<FrameBlob>, incidents: Vec<Incident>) -> Commit {
    let monitor = MonitorCommit {
        monitor: "shop".to_owned(),
        state: Vec::new(),
        slices: SlicesFrom { first: 0, keys: slices },
        revisions: Vec::new(),
        correctable: Vec::new(),
        correctable_from_millis: i64::MAX,
        frames,
        models: Vec::new(),
        incidents,
        milestones: Vec::new(),
        instructed: Vec::new(),
        alerts: Vec::new(),
        retain_from_millis: None,
    };
    Commit {
        source: SourceId::new("events"),
        delta: CheckpointDelta::default(),
        journal: Vec::new(),
        receipts: Vec::new(),
        receipts_kept_millis: 0,
        inputs: Vec::new(),
        monitors: Some(vec![monitor]),
        at_millis: 0,
    }
}

async fn stored(folder: &Path, slices: usize, windows: i64, incidents: i64) -> Arc<SqliteStore> {
    let store = SqliteStore::open(&folder.join("bench.db"), Durability::Normal).expect("opens");
    let key = |slice: usize| SliceKey(vec![(slice > 0).then(|| format!("c{slice}").into())]);
    let incidents = (0..incidents).map(incident).collect();
    let first = commit((0..slices).map(key).collect(), Vec::new(), incidents);
    store.commit(&first).await.expect("stored");
    for page in 0..windows.div_euclid(1_000) {
        let frames = (page * 1_000..(page + 1) * 1_000).map(|window| frame(slices, window)).collect();
        store.commit(&commit(Vec::new(), frames, Vec::new())).await.expect("stored");
    }
    Arc::new(store)
}

fn frame(slices: usize, window: i64) -> FrameBlob {
    let value = |index: usize| {
        let wave = (window as f64 / 288.0 * std::f64::consts::TAU).sin();
        (1_000.0 + 500.0 * wave) / (index + 1) as f64 + (window * 7_919 % 97) as f64
    };
    let score = |index: usize| StoredScore {
        expected: value(index) + 3.25,
        lower: value(index) * 0.8,
        upper: value(index) * 1.2,
        severity: (window * 31 % 89) as f32,
        minor: 0.0,
        expected_alarm: false,
    };
    let frame = ShardFrame {
        events: (0..slices as u64).map(|slice| 1_000 / (slice + 1)).collect(),
        cells: (0..slices * 2).map(|index| Some(Cell { value: value(index), weight: 10.0 })).collect(),
        scores: (0..slices * 2).map(|index| Some(score(index))).collect(),
        revision: None,
    };
    let start_millis = START + window * 5 * MINUTE;
    FrameBlob {
        start_millis,
        end_millis: start_millis + 5 * MINUTE,
        shard: 0,
        bytes: frame.encode(),
        revision: None,
    }
}

/// One of many incidents over a hundred days, with twenty series.
fn incident(number: i64) -> Incident {
    let opened = START + number * 72 * MINUTE;
    let severity = json!({"first": 60.0, "peak": 50 + number % 50, "final": 55.0});
    let member = |index: i64| {
        let anomaly = json!({
            "series": index, "side": "drop", "opened_millis": opened, "until_millis": opened + 30 * MINUTE,
            "severity": severity, "minor_peak": 80.0, "page_log10_rate": -2.0, "expected": 120.0, "actual": 14.0,
            "lower": 90.0, "upper": 150.0, "num_windows": 6, "calm": 0,
        });
        json!({"measure": if index % 2 == 0 { "views" } else { "total" },
               "slice": {"country": format!("c{}", (index + number) % 40)}, "anomaly": anomaly})
    };
    let mut summary = String::new();
    write!(summary, "views 88 % below expected in country c{}", number % 40).expect("text");
    let incident = json!({
        "id": format!("shop-{number}"), "monitor": "shop", "kind": "deviation", "state": "closed",
        "opened_millis": opened, "closed_millis": opened + 30 * MINUTE, "until_millis": opened + 30 * MINUTE,
        "severity": severity, "minor_peak": 99.0, "page_log10_rate": -3.0, "measure": "views", "side": "drop",
        "slice": {"country": "c1"}, "share": 0.93, "expected": 120.0, "actual": 14.0,
        "impact": {"value": -106.0, "lower": -120.0, "upper": -90.0, "unit": "views"}, "summary": summary,
        "members": (0..20).map(member).collect::<Vec<_>>(), "num_members": 20, "told": {},
    });
    serde_json::from_value(incident).expect("an incident as it is stored")
}

/// A hundred thousand windows in two thousand points, of a monitor with so many slices (two measures each).
#[divan::bench(args = [10, 100], sample_count = 5, sample_size = 1)]
fn chart(bencher: Bencher<'_, '_>, slices: usize) {
    let console = Console::new(slices, WINDOWS, 0);
    let path = "/api/v1/monitors/shop/observations?measure=views&slice.country=c5&points=2000";
    bencher.bench_local(|| console.get(path));
}

/// Over two thousand incidents of twenty series each.
#[divan::bench(args = [
    "/api/v1/incidents",
    "/api/v1/incidents?measure=views&slice.country=c7",
    "/api/v1/incidents/histogram",
    "/api/v1/incidents/histogram?measure=views&slice.country=c7",
    "/api/v1/lanes?by=country",
    "/api/v1/lanes?by=country&hours=2400&to=2025-06-14T00:00:00Z",
], sample_count = 20, sample_size = 1)]
fn incidents(bencher: Bencher<'_, '_>, path: &str) {
    let console = Console::new(40, 0, INCIDENTS);
    bencher.bench_local(|| console.get(path));
}
