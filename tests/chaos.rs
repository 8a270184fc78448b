//! Three notifiers, each out of order in its own way for an hour of the simulated day, and an engine that is killed
//! twenty times: whoever is well is told everything, in the order of each incident, and in the end everybody is. What
//! comes twice has the same id and says the same.

#[path = "support/running.rs"]
mod running;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use running::Running;
use serde_json::Value;
use support::process::{PATIENCE, wait_until};
use tidewatch::store::{Durability, SqliteStore};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::Instant,
};

const START: i64 = 1_772_323_200; // 2026-03-01T00:00:00Z
const WINDOW_SECONDS: i64 = 300;
/// Windows in an hour.
const HOUR: usize = 12;
const HOURS: usize = 9;
const MONITORS: usize = 4;
const KILLS: usize = 20;
/// Each fails during one hour.
const NOTIFIERS: [(&str, Failure, usize); 3] =
    [("errors", Failure::Errors, 2), ("hangs", Failure::Hangs, 4), ("drops", Failure::Drops, 6)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// 503 and 429 in turn, with a wish for a pause.
    Errors,
    /// Takes requests and never answers.
    Hangs,
    /// Ends each connection at once.
    Drops,
}

/// The window that is being posted: the simulated time.
type Now = Arc<AtomicUsize>;

/// What arrived: the window of that moment, the alert's id and its body.
type Arrivals = Arc<Mutex<Vec<(usize, String, Bytes)>>>;

#[derive(Clone)]
struct Receiver {
    failure: Failure,
    hour: usize,
    now: Now,
    arrivals: Arrivals,
    refused: Arc<AtomicUsize>,
}

impl Receiver {
    /// The URL of a receiver that fails during this hour.
    async fn listen(failure: Failure, hour: usize, now: &Now) -> (Self, String) {
        let receiver =
            Self { failure, hour, now: now.clone(), arrivals: Arrivals::default(), refused: Arc::default() };
        let behind = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = behind.local_addr().expect("bound");
        let router = Router::new().fallback(Self::take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(behind, router).await });
        let front = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/alerts", front.local_addr().expect("bound"));
        let gate = receiver.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = front.accept().await {
                if gate.failure == Failure::Drops && gate.fails() {
                    gate.refused.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                tokio::spawn(async move {
                    let mut upstream = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut stream, &mut upstream).await
                });
            }
        });
        (receiver, url)
    }

    fn fails(&self) -> bool {
        self.now.load(Ordering::SeqCst) / HOUR == self.hour
    }

    async fn take(State(receiver): State<Self>, headers: HeaderMap, body: Bytes) -> Response {
        if receiver.fails() {
            let count = receiver.refused.fetch_add(1, Ordering::SeqCst);
            match receiver.failure {
                Failure::Hangs => std::future::pending().await,
                // A connection that was open before the hour began.
                Failure::Drops => return StatusCode::BAD_GATEWAY.into_response(),
                Failure::Errors if count.is_multiple_of(2) => {
                    return StatusCode::SERVICE_UNAVAILABLE.into_response();
                }
                Failure::Errors => {
                    return (StatusCode::TOO_MANY_REQUESTS, [("Retry-After", "1")]).into_response();
                }
            }
        }
        let id = headers.get("X-Tidewatch-Alert").and_then(|id| id.to_str().ok()).unwrap_or_default();
        let now = receiver.now.load(Ordering::SeqCst);
        let mut arrivals = receiver.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.push((now, id.to_owned(), body));
        StatusCode::OK.into_response()
    }

    fn arrivals(&self) -> Vec<(usize, String, Bytes)> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn config(folder: &Path, address: &str, urls: &[(&str, String)]) -> String {
    let head = format!(
        "[server]\nlisten = \"{address}\"\n[store]\npath = \"{}/tidewatch.db\"\n[sources.posts]\nkind = \"http\"\n",
        folder.display()
    );
    let notifier = |(name, url): &(&str, String)| {
        format!("[notifiers.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\ntimeout = \"300ms\"\n")
    };
    let monitor = |monitor: usize| {
        format!(
            r#"
            [monitors.m{monitor}]
            source = "posts"
            timestamp = "at"
            interval = "5m"
            allowed_lateness = "0s"
            idle_timeout = "1d"
            detector = {{ kind = "threshold", upper = 10.0 }}
            measures = {{ load = {{ max = "load{monitor}" }} }}
            [[monitors.m{monitor}.alerts]]
            severity = 70
            to = ["errors", "hangs", "drops"]
            events = ["opened", "recovered", "closed"]
            "#
        )
    };
    let notifiers: Vec<String> = urls.iter().map(notifier).collect();
    let monitors: Vec<String> = (0..MONITORS).map(monitor).collect();
    head + &notifiers.concat() + &monitors.concat()
}

/// One event per window. Each monitor is off in two windows of seven, one after the other.
fn post(window: usize) -> String {
    let loads: Vec<String> = (0..MONITORS)
        .map(|monitor| {
            let load = if (window + 2 * monitor) % 7 < 2 { 50 } else { 5 };
            format!("\"load{monitor}\": {load}")
        })
        .collect();
    format!("{{\"at\": {}, {}}}", START + WINDOW_SECONDS * window as i64, loads.join(", "))
}

/// Posts window after window, each until it is taken; the hours of failures pass more slowly.
async fn post_all(address: String, now: Now) {
    let client = reqwest::Client::new();
    let url = format!("http://{address}/v1/events?source=posts");
    for window in 0..HOURS * HOUR {
        now.store(window, Ordering::SeqCst);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = client.post(&url).header("Idempotency-Key", format!("window-{window}"));
            let answer = request.timeout(Duration::from_secs(5)).body(post(window)).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                break;
            }
            assert!(Instant::now() < deadline, "window {window} was never taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let is_failing = NOTIFIERS.iter().any(|(_, _, hour)| window / HOUR == *hour);
        tokio::time::sleep(Duration::from_millis(if is_failing { 350 } else { 120 })).await;
    }
}

/// xorshift: the moments are random, and the same in every run of this test.
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Incident and number of an id such as `m1-3:0:2:closed:hangs`.
fn place(id: &str) -> (String, u32) {
    let mut parts = id.split(':');
    let incident = parts.next().unwrap_or_default().to_owned();
    (incident, parts.nth(1).and_then(|times| times.parse().ok()).unwrap_or_else(|| panic!("{id}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_told_everything_in_order_through_failures_and_kills() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    let now = Now::default();
    let (mut receivers, mut urls) = (Vec::new(), Vec::new());
    for (name, failure, hour) in NOTIFIERS {
        let (receiver, url) = Receiver::listen(failure, hour, &now).await;
        receivers.push(receiver);
        urls.push((name, url));
    }
    let mut process = Running::configured(folder.path(), &config(folder.path(), &address, &urls));
    process.spawn();
    let posts = tokio::spawn(post_all(address, now));
    let mut random = 0x7469_6465_7761_7463;
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(500 + next_random(&mut random) % 700)).await;
        process.kill();
        process.spawn();
    }
    posts.await.expect("every post was taken");
    let path = folder.path().join("tidewatch.db");
    let rows = async || {
        let store = SqliteStore::open(&path, Durability::Normal).ok()?;
        let rows = store.outbox_rows().ok()?;
        rows.iter().all(|(_, state)| state != "waiting").then_some(rows)
    };
    let rows = wait_until("the outbox to be empty", rows).await;
    process.stop();

    assert!(rows.iter().all(|(_, state)| state == "sent"), "nothing was given up: {rows:?}");
    for ((name, _, _), receiver) in NOTIFIERS.iter().zip(&receivers) {
        assert!(receiver.refused.load(Ordering::SeqCst) > 0, "{name} was out of order when it mattered");
        let arrivals = receiver.arrivals();
        check_order_and_repetitions(name, &arrivals);
        let told: BTreeSet<&str> = arrivals.iter().map(|(_, id, _)| id.as_str()).collect();
        let of = |id: &&str| id.ends_with(&format!(":{name}"));
        let stored: BTreeSet<&str> = rows.iter().map(|(id, _)| id.as_str()).filter(of).collect();
        assert_eq!(told, stored, "{name} was told everything");
        // Four monitors with an incident in seven windows, each opened, recovered and closed.
        assert!(told.len() >= MONITORS * 3 * (HOURS * HOUR / 7 - 2), "{}", told.len());
        check_health(name, &arrivals);
    }
}

/// First arrivals are in the order of each incident; later ones repeat what was said.
fn check_order_and_repetitions(name: &str, arrivals: &[(usize, String, Bytes)]) {
    let mut bodies: BTreeMap<&str, &Bytes> = BTreeMap::new();
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    for (_, id, body) in arrivals {
        if let Some(said) = bodies.insert(id, body) {
            assert_eq!(said, body, "{name}: {id} changed between deliveries");
            continue;
        }
        let (incident, number) = place(id);
        let before = last.insert(incident, number).unwrap_or(0);
        assert_eq!(number, before + 1, "{name}: {id} came after number {before}");
    }
}

/// While others fail, whoever is well hears within half an hour of what happened in the first half of that hour.
fn check_health(name: &str, arrivals: &[(usize, String, Bytes)]) {
    for (other, _, hour) in NOTIFIERS.iter().filter(|(other, _, _)| *other != name) {
        let mut seen = BTreeSet::new();
        for (arrived, id, body) in arrivals {
            let alert: Value = serde_json::from_slice(body).expect("JSON");
            let at: jiff::Timestamp = alert["at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
            // The window that follows the closed one is what closes it.
            let window = ((at.as_second() - START) / WINDOW_SECONDS) as usize;
            if window / HOUR == *hour && window % HOUR < HOUR / 2 && seen.insert(id.as_str()) {
                assert!(
                    *arrived <= window + HOUR / 2,
                    "{name} while {other} fails: {id} of {window} at {arrived}"
                );
            }
        }
        assert!(!seen.is_empty(), "{name} was told something while {other} failed");
    }
}
