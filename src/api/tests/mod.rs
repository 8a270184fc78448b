//! The routes over real parts: a store in memory, a run loop with its engine, an HTTP source.

mod care;
mod console;
mod events;
mod firehose;
mod guards;
mod pages;
mod reads;
mod special;

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use jiff::tz::TimeZone;
use serde_json::Value;
use tidewatch_detectors::{DetectorConfig, Direction, SeasonalConfig, ValueKind};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{ApiLimits, ApiState, Feed, MonitorInfo, router};
use crate::{
    anomaly::{MeasureFacts, MeasureShape, MonitorFacts},
    pipeline::{
        Desk, Engine, EngineLimits, Judging, ManualClock, Monitor, MonitorSpec, RunPolicy, Runner,
        SliceZones, StatusBoard, Telemetry,
    },
    record::{
        Checkpoint, Decoder, FieldPaths, Format, InputKind, Mapping, MeasureInput, SourceId, TimestampFormat,
    },
    sources::{HttpSource, HttpSourceConfig},
    store::SqliteStore,
    window::{AggregateKind, Measure, MeasureKind, WindowGrid, WindowSpec, WindowWidth},
};

const HOUR: i64 = 3_600_000;
/// 2026-03-02T00:00:00Z, a Monday.
const START: i64 = 1_772_409_600_000;

/// The API over a running shop of hourly orders and revenue by country.
struct Bench {
    router: Router,
    state: Arc<dyn Fn() -> ApiState>,
    store: Arc<SqliteStore>,
    board: StatusBoard,
    stop: CancellationToken,
    source: Option<(Runner, CancellationToken)>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Bench {
    /// With its run loop under way.
    async fn running() -> Self {
        let mut bench = Self::stopped(10);
        bench.start();
        bench.until(|bench| !bench.board.sources().is_empty()).await;
        bench
    }

    /// With nobody reading the posts yet; at most `queue` wait.
    fn stopped(queue: usize) -> Self {
        Self::stopped_with(HttpSourceConfig { queue, ..HttpSourceConfig::default() })
    }

    /// With its run loop under way, and a source that takes what `config` says.
    async fn running_with(config: HttpSourceConfig) -> Self {
        let mut bench = Self::stopped_with(config);
        bench.start();
        bench.until(|bench| !bench.board.sources().is_empty()).await;
        bench
    }

    fn stopped_with(config: HttpSourceConfig) -> Self {
        let clock = Arc::new(ManualClock::at(START + 60 * 24 * HOUR));
        let store = Arc::new(SqliteStore::in_memory().unwrap());
        let (source, intake) = HttpSource::new(&Checkpoint::default(), config, clock.clone());
        let (board, telemetry) = (StatusBoard::default(), Arc::new(Telemetry::new()));
        let (source_id, stop) = (SourceId::new("clicks"), CancellationToken::new());
        let (decoder, spec) = shop();
        let monitors = vec![MonitorInfo::of(&source_id, &spec)];
        let limits = EngineLimits::default();
        let spec = Arc::new(spec);
        let specs = BTreeMap::from([("shop".to_owned(), Arc::clone(&spec))]);
        let (desk, inbox) = Desk::new(store.clone());
        let feed = Feed::new(stop.clone());
        let telling = feed.clone();
        let monitor = Monitor::new(spec);
        let runner = Runner {
            kind: "http",
            source_id: source_id.clone(),
            source: Box::new(source),
            engine: Engine::new(source_id, decoder, vec![monitor], Checkpoint::default(), true, limits),
            store: store.clone(),
            dead_letters: Vec::new(),
            clock: clock.clone(),
            telemetry: telemetry.clone(),
            board: board.clone(),
            alerts_stored: Arc::new(Notify::new()),
            watcher: Some(Box::new(move |incident| telling.tell(incident))),
            inbox: Some(inbox),
            policy: RunPolicy::default(),
        };
        let shown = board.clone();
        let kept = store.clone();
        let state = Arc::new(move || ApiState {
            history: kept.clone(),
            board: shown.clone(),
            telemetry: telemetry.clone(),
            clock: clock.clone(),
            monitors: monitors.clone(),
            specs: specs.clone(),
            desks: BTreeMap::from([("clicks".to_owned(), desk.clone())]),
            notifiers: BTreeMap::new(),
            feed: feed.clone(),
            intakes: BTreeMap::from([("clicks".to_owned(), intake.clone())]),
            backtests: None,
            configuring: None,
            token: None,
        });
        let limits = ApiLimits { body_bytes_max: 4 << 20, ..ApiLimits::default() };
        let source = Some((runner, stop.clone()));
        Self { router: router(state(), limits), state, store, board, stop, source }
    }

    fn start(&mut self) {
        let (runner, stop) = self.source.take().expect("not started yet");
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || runtime.block_on(runner.run(stop)));
    }

    /// Other parts than usual.
    fn with(&self, change: impl FnOnce(&mut ApiState)) -> Self {
        let mut state = (self.state)();
        change(&mut state);
        let router = router(state, ApiLimits::default());
        let (board, stop) = (self.board.clone(), CancellationToken::new());
        Self { router, state: self.state.clone(), store: self.store.clone(), board, stop, source: None }
    }

    async fn until(&self, done: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain");
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Asks something with a JSON body.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    async fn post(&self, query: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(Method::POST).uri(format!("/v1/events{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Three weeks of orders, and Germany silent in the last four hours; waits until they show.
    async fn with_history() -> Self {
        let bench = Self::running().await;
        bench.fill(|_| 1.0).await;
        bench
    }

    /// Posts the three weeks, each hour at so many times the usual, and waits until they show.
    async fn fill(&self, factor: impl Fn(i32) -> f64) {
        let hours = 21 * 24;
        let mut lines = String::new();
        for hour in 0..hours {
            let wave = (f64::from(hour % 24) / 24.0 * std::f64::consts::TAU).sin();
            for (country, usual) in [("DE", 50.0 + 20.0 * wave), ("FR", 20.0)] {
                let silent = country == "DE" && hour >= hours - 4;
                let orders = (usual as i64 + i64::from(hour * 7919 % 11)) as f64 * factor(hour);
                let orders = if silent { 0 } else { orders as i64 };
                for order in 0..orders {
                    let time = START + i64::from(hour) * HOUR + order * 1000;
                    writeln!(lines, r#"{{"time":{time},"country":"{country}","total":9.5}}"#).unwrap();
                }
            }
        }
        let answer = self.post("", &[], lines).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let closed = START + i64::from(hours - 1) * HOUR;
        let through = |bench: &Self| bench.board.monitor("shop").unwrap().closed_through_millis;
        self.until(|bench| through(bench) == Some(closed)).await;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn shop() -> (Decoder, MonitorSpec) {
    let mut paths = FieldPaths::default();
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let dimensions = vec!["country".to_owned()];
    let total = InputKind::Number(paths.index("total"));
    let inputs = [InputKind::Event, total].map(|kind| MeasureInput { kind, conditions: Vec::new() });
    let format = TimestampFormat::Auto;
    let mapping = Mapping::new(&mut paths, "time", format, zone.clone(), &dimensions, &inputs).unwrap();
    let measures = [("orders", AggregateKind::Count, None), ("revenue", AggregateKind::Sum, Some("EUR"))];
    let window = WindowSpec {
        grid: WindowGrid::new(WindowWidth::from_seconds(3600).unwrap(), zone.clone()),
        allowed_lateness_millis: 0,
        correction_millis: 0,
        dimensions: dimensions.clone(),
        rollups: vec![vec![false], vec![true]],
        measures: measures
            .map(|(name, kind, _)| Measure { name: name.to_owned(), kind: MeasureKind::Aggregate(kind) })
            .to_vec(),
        max_series: 100,
        max_groups: 100,
    };
    let facts = MonitorFacts {
        monitor: "shop".to_owned(),
        dimensions,
        measures: measures
            .map(|(name, _, unit)| MeasureFacts {
                name: name.to_owned(),
                unit: unit.map(str::to_owned),
                shape: MeasureShape::Count,
                worth: None,
            })
            .to_vec(),
        funnel: Vec::new(),
        zone: zone.clone(),
        calm_windows: 2,
        revisable_millis: 0,
        rules: Vec::new(),
    };
    let seasonal = SeasonalConfig::new(3600, ValueKind::Learned, Direction::default()).unwrap();
    let spec = MonitorSpec {
        calendar: Arc::default(),
        calendar_files: Vec::new(),
        correction_bytes_max: 0,
        facts,
        window: Arc::new(window),
        mapping,
        judging: vec![Judging::plain(DetectorConfig::Seasonal(seasonal)); 2],
        relations: Vec::new(),
        zones: SliceZones { default: zone, by: None },
        idle_timeout_millis: HOUR,
        max_lead_millis: HOUR,
        no_data_after_millis: HOUR,
        retention_millis: None,
    };
    (Decoder::new(Format::Json, paths, 16 << 20), spec)
}
