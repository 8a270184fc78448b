//! From the close of a window to a webhook: how long until people know, in a monitor of 10,000 series.
//!
//! `cargo bench --bench alert`. A whole service in this process, over HTTP on loopback and a real file. The clock starts
//! when the post that closes a window is sent and ends when the alert has arrived, so decoding, scoring of all series,
//! the commit, the outbox and the request are in it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::post};
use jiff::Timestamp;
use serde_json::Value;
use tidewatch::{
    assemble::{Service, Surroundings},
    config::{Config, Environment},
    pipeline::{DeliveryPolicy, RunPolicy, SystemClock},
    store::{Durability, SqliteStore},
};
use tokio::{net::TcpListener, time::Instant};

const START: i64 = 1_772_323_200; // 2026-03-01T00:00:00Z
const WINDOW_SECONDS: i64 = 300;
/// Twice as many series: what is seen and what fails.
const SLICES: usize = 5_000;
const WINDOWS: usize = 500;
/// Every so many windows something breaks.
const EVERY: usize = 5;

/// When the post that closes a window was sent, by the window's end; and how long each alert took after it.
#[derive(Default)]
struct Clockwork {
    closed: BTreeMap<i64, Instant>,
    latencies: Vec<Duration>,
}

type Shared = Arc<Mutex<Clockwork>>;

async fn take(State(shared): State<Shared>, Json(alert): Json<Value>) {
    let arrived = Instant::now();
    let at: Timestamp = alert["at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    let mut clockwork = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let closed = clockwork.closed[&at.as_second()];
    clockwork.latencies.push(arrived - closed);
}

fn config(folder: &Path, hook: &str) -> String {
    format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        [store]
        path = "{}/tidewatch.db"
        [sources.posts]
        kind = "http"
        [notifiers.hook]
        kind = "webhook"
        url = "{hook}"
        [monitors.shop]
        source = "posts"
        timestamp = "at"
        interval = "5m"
        allowed_lateness = "0s"
        idle_timeout = "1d"
        dimensions = {{ item = "item" }}
        rollups = [["item"]]
        [monitors.shop.measures]
        views = {{ sum = "views" }}
        errors = {{ max = "errors", detector = {{ kind = "threshold", upper = 10.0 }} }}
        [[monitors.shop.alerts]]
        severity = 90
        measures = ["errors"]
        to = ["hook"]
        "#,
        folder.display()
    )
}

/// All events of a window but the first.
fn events(window: usize) -> String {
    let at = START + WINDOW_SECONDS * window as i64;
    let line = |item: usize| {
        let views = 100 + (item * 7 + window * 13) % 23;
        let errors = if window.is_multiple_of(EVERY) && item == 17 { 50 } else { 1 };
        format!("{{\"at\":{at},\"item\":\"item-{item}\",\"views\":{views},\"errors\":{errors}}}\n")
    };
    (1..SLICES).map(line).collect::<Vec<String>>().concat()
}

/// The first event of a window: it closes the one before.
fn first(window: usize) -> String {
    let at = START + WINDOW_SECONDS * window as i64;
    format!("{{\"at\":{at},\"item\":\"item-0\",\"views\":100,\"errors\":1}}\n")
}

async fn measure(folder: &Path) -> Vec<Duration> {
    let shared = Shared::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let hook = format!("http://{}/", listener.local_addr().expect("bound"));
    let router = Router::new().route("/", post(take)).with_state(shared.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let config = Config::parse(&config(folder, &hook), &Environment::default()).expect("a configuration");
    let store = SqliteStore::open(&config.store.path, Durability::Normal).expect("a store");
    let surroundings = Surroundings {
        clock: Arc::new(SystemClock),
        store: Arc::new(store),
        policy: RunPolicy::default(),
        delivery: DeliveryPolicy::default(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let service = Service::start(config, None, surroundings, || None).await.expect("it starts");
    let url = format!("http://{}/v1/events?source=posts", service.address);
    let stop = service.stopping();
    let running = tokio::spawn(service.run());
    let client = reqwest::Client::new();
    let send = async |body: String| {
        let answer = client.post(&url).body(body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    };
    for window in 0..WINDOWS {
        let end = START + WINDOW_SECONDS * window as i64;
        let body = first(window);
        shared.lock().unwrap_or_else(PoisonError::into_inner).closed.insert(end, Instant::now());
        send(body).await;
        send(events(window)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.cancel();
    running.await.expect("no panic").expect("an orderly end");
    std::mem::take(&mut shared.lock().unwrap_or_else(PoisonError::into_inner).latencies)
}

#[expect(clippy::print_stdout, reason = "a bench says what it found")]
fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut latencies = runtime.block_on(measure(folder.path()));
    latencies.sort_unstable();
    let at =
        |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    println!("alert latency, {} series, {} alerts of {WINDOWS} windows", 2 * SLICES, latencies.len());
    println!(
        "p50 {:.0} ms   p90 {:.0} ms   p99 {:.0} ms   max {:.0} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}
