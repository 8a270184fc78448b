//! A receiver of webhooks that does what it is told, and a courier with its outbox on a clock that the test moves.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tidewatch::{
    anomaly::Alert,
    notifiers::Webhook,
    pipeline::{
        Commit, Courier, DeliveryPolicy, ManualClock, MonitorCommit, Outbox, OutboxRow, SlicesFrom, Store,
        StoreError, Telemetry,
    },
    record::{CheckpointDelta, SourceId},
    store::SqliteStore,
};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::process::wait_until;

pub(crate) const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
pub(crate) const SECOND: i64 = 1_000;

// --- the receiver ---

/// What the receiver does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    With(u16, &'static str, &'static str),
    /// Says the requested path back, as many web frameworks do.
    Echo(u16),
    Never,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn alert(&self) -> &str {
        self.header("X-Tidewatch-Alert").unwrap_or_default()
    }
}

/// Does what it is told, request by request, then takes all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receiver {
    pub(crate) replies: Arc<Mutex<VecDeque<Reply>>>,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self { replies: Arc::new(Mutex::new(replies.into_iter().collect())), ..Self::default() }
    }

    pub(crate) fn serve(&self, listener: TcpListener) {
        let router = Router::new().fallback(Self::take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        self.serve(listener);
        address
    }

    pub(crate) async fn take(
        State(receiver): State<Self>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let reply = {
            let mut replies = receiver.replies.lock().unwrap_or_else(PoisonError::into_inner);
            let request = Request { method, uri: uri.clone(), headers, body };
            receiver.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            replies.pop_front().unwrap_or(Reply::Status(200))
        };
        let status = |code| StatusCode::from_u16(code).expect("a status code");
        match reply {
            Reply::Status(code) => status(code).into_response(),
            Reply::With(code, name, value) => (status(code), [(name, value)]).into_response(),
            Reply::Echo(code) => (status(code), format!("Cannot POST {uri}")).into_response(),
            Reply::Never => std::future::pending().await,
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for so many requests.
    pub(crate) async fn received(&self, count: usize) -> Vec<Request> {
        let received = async || Some(self.requests()).filter(|requests| requests.len() >= count);
        wait_until(&format!("{count} requests"), received).await
    }
}

// --- the outbox ---

/// The real outbox, which also counts how often it was looked at.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) looks: AtomicU64,
}

#[async_trait]
impl Outbox for Watched {
    async fn due(&self, notifier: &str, now_millis: i64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let due = self.store.due(notifier, now_millis, limit).await;
        self.looks.fetch_add(1, Ordering::SeqCst);
        due
    }
    async fn delivered(&self, id: &str, now_millis: i64) -> Result<(), StoreError> {
        self.store.delivered(id, now_millis).await
    }
    async fn postpone(&self, id: &str, due_millis: i64, error: &str) -> Result<(), StoreError> {
        self.store.postpone(id, due_millis, error).await
    }
    async fn give_up(&self, id: &str, now_millis: i64, error: &str) -> Result<(), StoreError> {
        self.store.give_up(id, now_millis, error).await
    }
    async fn num_waiting(&self, notifier: &str) -> Result<u64, StoreError> {
        self.store.num_waiting(notifier).await
    }
}

/// An alert about an incident, as an engine writes it.
pub(crate) fn alert(incident: &str, times: u32, kind: &str) -> Alert {
    let alert = json!({
        "id": format!("{incident}:0:{times}:{kind}:hook"),
        "notifier": "hook",
        "kind": kind,
        "at_millis": START + 90 * SECOND + 250,
        "incident": {
            "id": incident, "monitor": "shop", "kind": "deviation",
            "state": if kind == "closed" { "closed" } else { "open" },
            "opened_millis": START,
            "closed_millis": if kind == "closed" { Some(START + 90 * SECOND) } else { None },
            "until_millis": START + 90 * SECOND,
            "severity": {"first": 71.0, "peak": 93.5, "final": 93.5},
            "minor_peak": 99.0, "page_log10_rate": -3.0,
            "measure": "orders", "side": "drop", "slice": {"country": "DE"}, "share": 0.93,
            "expected": 120.0, "actual": 14.0,
            "impact": {"value": -106.0, "lower": -120.0, "upper": -90.0, "unit": "orders"},
            "summary": "orders 88 % below expected in country DE", "members": [], "num_members": 1,
            "told": {},
        },
    });
    serde_json::from_value(alert).expect("an alert as it is stored")
}

/// A courier with its outbox, on a clock that stands until it is moved.
pub(crate) struct Post {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) outbox: Arc<Watched>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) alerts_stored: Arc<Notify>,
    task: Option<JoinHandle<Result<(), StoreError>>>,
    _stop: DropGuard,
}

/// Small steps, so that what a test waits for is the clock.
pub(crate) const POLICY: DeliveryPolicy = DeliveryPolicy {
    pause_first: Duration::from_millis(10),
    pause_max: Duration::from_mins(5),
    attempts_max: 100,
    look_every: Duration::from_millis(5),
};

impl Post {
    pub(crate) fn start(webhook: Webhook, policy: DeliveryPolicy) -> Self {
        Self::limited(webhook, policy, None)
    }

    /// With at most so many attempts in any minute.
    pub(crate) fn limited(webhook: Webhook, policy: DeliveryPolicy, per_minute: Option<u32>) -> Self {
        let store = Arc::new(SqliteStore::in_memory().expect("a store in memory"));
        let outbox = Arc::new(Watched { store: store.clone(), looks: AtomicU64::new(0) });
        let (clock, telemetry) = (Arc::new(ManualClock::at(START)), Arc::new(Telemetry::new()));
        let (alerts_stored, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let courier = Courier {
            name: "hook".to_owned(),
            notifier: Arc::new(webhook),
            outbox: outbox.clone(),
            clock: clock.clone(),
            telemetry: telemetry.clone(),
            policy,
            per_minute,
            alerts_stored: alerts_stored.clone(),
        };
        let task = Some(tokio::spawn(courier.run(stop.clone())));
        Self { store, outbox, clock, telemetry, alerts_stored, task, _stop: stop.drop_guard() }
    }

    /// Stores alerts as a commit does.
    pub(crate) async fn store(&self, alerts: Vec<Alert>) {
        let monitor = MonitorCommit {
            monitor: "shop".to_owned(),
            state: vec![],
            slices: SlicesFrom::default(),
            revisions: Vec::new(),
            correctable: Vec::new(),
            correctable_from_millis: i64::MAX,
            frames: vec![],
            models: vec![],
            incidents: vec![],
            milestones: vec![],
            instructed: vec![],
            alerts,
            retain_from_millis: None,
        };
        let commit = Commit {
            source: SourceId::new("clicks"),
            delta: CheckpointDelta::default(),
            journal: vec![],
            receipts: vec![],
            inputs: vec![],
            monitors: Some(vec![monitor]),
            at_millis: START,
            receipts_kept_millis: 0,
        };
        self.store.commit(&commit).await.expect("the store takes it");
        self.alerts_stored.notify_waiters();
    }

    /// Whether all alerts are in this state.
    pub(crate) fn all_are(&self, state: &str) -> bool {
        let rows = self.store.outbox_rows().expect("the store can be read");
        !rows.is_empty() && rows.iter().all(|(_, found)| found == state)
    }

    pub(crate) async fn until_all_are(&self, state: &str) {
        wait_until(state, async || self.all_are(state).then_some(())).await;
    }

    /// Like [`Self::until_all_are`], while the clock runs on by itself.
    pub(crate) async fn run_until_all_are(&self, state: &str) {
        let mut now = START;
        wait_until(state, async || {
            now += SECOND;
            self.clock.set(now);
            self.all_are(state).then_some(())
        })
        .await;
    }

    /// What will be due by then, once the first attempt that failed has been noted.
    pub(crate) async fn waiting_after_attempts(&self, attempts: u32) -> OutboxRow {
        wait_until("a noted attempt", async || {
            let rows = self.store.due("hook", i64::MAX, 10).await.expect("the store can be read");
            rows.into_iter().find(|row| row.attempts == attempts)
        })
        .await
    }

    pub(crate) async fn num_due(&self, now_millis: i64) -> usize {
        self.store.due("hook", now_millis, 10).await.expect("the store can be read").len()
    }

    /// Lets the courier look into the outbox a few times.
    pub(crate) async fn look(&self) {
        let target = self.outbox.looks.load(Ordering::SeqCst) + 3;
        let looked = async || (self.outbox.looks.load(Ordering::SeqCst) >= target).then_some(());
        wait_until("the courier to look", looked).await;
    }

    /// The count of attempts with this outcome in the metrics.
    pub(crate) fn metric(&self, outcome: &str) -> u64 {
        let name = format!("tidewatch_alert_deliveries_total{{notifier=\"hook\",outcome=\"{outcome}\"}} ");
        let text = self.telemetry.scrape();
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
    }

    /// Attempts in the metrics: sent, failed, dropped.
    pub(crate) fn metrics(&self) -> [u64; 3] {
        ["sent", "failed", "dropped"].map(|outcome| self.metric(outcome))
    }

    pub(crate) async fn until_nothing_waits(&self) {
        let waits = "tidewatch_alert_waiting{notifier=\"hook\"} 0";
        let told = async || self.telemetry.scrape().contains(waits).then_some(());
        wait_until("the gauge of waiting alerts", told).await;
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

pub(crate) fn webhook(address: SocketAddr) -> Webhook {
    Webhook::new(&format!("http://{address}/alerts"), None, Duration::from_secs(10)).expect("a client")
}

pub(crate) fn opened(incident: &str) -> Alert {
    alert(incident, 1, "opened")
}

pub(crate) fn ids(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(Request::alert).collect()
}
