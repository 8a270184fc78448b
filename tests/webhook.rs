//! Alerts from the outbox to a real receiver: what arrives, what is tried again, what is given up, and that
//! nothing secret is told on the way. Time passes on a clock that the test moves.

mod support;

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
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
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use support::process::wait_until;
use tidewatch::{
    anomaly::Alert,
    notifiers::Webhook,
    pipeline::{
        Commit, Courier, DeliveryPolicy, ManualClock, MonitorCommit, Notifier, NotifyError, Outbox,
        OutboxRow, SlicesFrom, Store, StoreError, Telemetry,
    },
    record::{CheckpointDelta, SourceId},
    store::SqliteStore,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Notify,
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const SECOND: i64 = 1_000;

// --- the receiver ---

/// What the receiver does with one request.
#[derive(Clone, Debug)]
enum Reply {
    Status(u16),
    With(u16, &'static str, &'static str),
    /// Says the requested path back, as many web frameworks do.
    Echo(u16),
    Never,
}

#[derive(Clone, Debug)]
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn alert(&self) -> &str {
        self.header("X-Tidewatch-Alert").unwrap_or_default()
    }
}

/// Does what it is told, request by request, then takes all.
#[derive(Clone, Debug, Default)]
struct Receiver {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self { replies: Arc::new(Mutex::new(replies.into_iter().collect())), ..Self::default() }
    }

    fn serve(&self, listener: TcpListener) {
        let router = Router::new().fallback(Self::take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        self.serve(listener);
        address
    }

    async fn take(
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

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for so many requests.
    async fn received(&self, count: usize) -> Vec<Request> {
        let received = async || Some(self.requests()).filter(|requests| requests.len() >= count);
        wait_until(&format!("{count} requests"), received).await
    }
}

// --- the outbox ---

/// The real outbox, which also counts how often it was looked at.
#[derive(Debug)]
struct Watched {
    store: Arc<SqliteStore>,
    looks: AtomicU64,
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
fn alert(incident: &str, times: u32, kind: &str) -> Alert {
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
struct Post {
    store: Arc<SqliteStore>,
    outbox: Arc<Watched>,
    clock: Arc<ManualClock>,
    telemetry: Arc<Telemetry>,
    alerts_stored: Arc<Notify>,
    task: Option<JoinHandle<Result<(), StoreError>>>,
    _stop: DropGuard,
}

/// Small steps, so that what a test waits for is the clock.
const POLICY: DeliveryPolicy = DeliveryPolicy {
    pause_first: Duration::from_millis(10),
    pause_max: Duration::from_mins(5),
    attempts_max: 100,
    look_every: Duration::from_millis(5),
};

impl Post {
    fn start(webhook: Webhook, policy: DeliveryPolicy) -> Self {
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
            alerts_stored: alerts_stored.clone(),
        };
        let task = Some(tokio::spawn(courier.run(stop.clone())));
        Self { store, outbox, clock, telemetry, alerts_stored, task, _stop: stop.drop_guard() }
    }

    /// Stores alerts as a commit does.
    async fn store(&self, alerts: Vec<Alert>) {
        let monitor = MonitorCommit {
            monitor: "shop".to_owned(),
            state: vec![],
            slices: SlicesFrom::default(),
            frames: vec![],
            models: vec![],
            incidents: vec![],
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
        };
        self.store.commit(&commit).await.expect("the store takes it");
        self.alerts_stored.notify_waiters();
    }

    /// Whether all alerts are in this state.
    fn all_are(&self, state: &str) -> bool {
        let rows = self.store.outbox_rows().expect("the store can be read");
        !rows.is_empty() && rows.iter().all(|(_, found)| found == state)
    }

    async fn until_all_are(&self, state: &str) {
        wait_until(state, async || self.all_are(state).then_some(())).await;
    }

    /// Like [`Self::until_all_are`], while the clock runs on by itself.
    async fn run_until_all_are(&self, state: &str) {
        let mut now = START;
        wait_until(state, async || {
            now += SECOND;
            self.clock.set(now);
            self.all_are(state).then_some(())
        })
        .await;
    }

    /// What will be due by then, once the first attempt that failed has been noted.
    async fn waiting_after_attempts(&self, attempts: u32) -> OutboxRow {
        wait_until("a noted attempt", async || {
            let rows = self.store.due("hook", i64::MAX, 10).await.expect("the store can be read");
            rows.into_iter().find(|row| row.attempts == attempts)
        })
        .await
    }

    async fn num_due(&self, now_millis: i64) -> usize {
        self.store.due("hook", now_millis, 10).await.expect("the store can be read").len()
    }

    /// Lets the courier look into the outbox a few times.
    async fn look(&self) {
        let target = self.outbox.looks.load(Ordering::SeqCst) + 3;
        let looked = async || (self.outbox.looks.load(Ordering::SeqCst) >= target).then_some(());
        wait_until("the courier to look", looked).await;
    }

    /// The count of attempts with this outcome in the metrics.
    fn metric(&self, outcome: &str) -> u64 {
        let name = format!("tidewatch_alert_deliveries_total{{notifier=\"hook\",outcome=\"{outcome}\"}} ");
        let text = self.telemetry.scrape();
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
    }

    /// Attempts in the metrics: sent, failed, dropped.
    fn metrics(&self) -> [u64; 3] {
        ["sent", "failed", "dropped"].map(|outcome| self.metric(outcome))
    }

    async fn until_nothing_waits(&self) {
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

fn webhook(address: SocketAddr) -> Webhook {
    Webhook::new(&format!("http://{address}/alerts"), None, Duration::from_secs(10)).expect("a client")
}

fn opened(incident: &str) -> Alert {
    alert(incident, 1, "opened")
}

fn ids(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(Request::alert).collect()
}

// --- what arrives ---

fn verify(secret: &str, request: &Request) -> bool {
    let Some(hex) = request.header("X-Tidewatch-Signature").and_then(|text| text.strip_prefix("sha256="))
    else {
        return false;
    };
    let digest: Result<Vec<u8>, _> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16)).collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys of any length");
    mac.update(request.header("X-Tidewatch-Timestamp").unwrap_or_default().as_bytes());
    mac.update(b".");
    mac.update(&request.body);
    digest.is_ok_and(|digest| mac.verify_slice(&digest).is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_arrives_as_documented_and_its_signature_holds() {
    let receiver = Receiver::default();
    let url = format!("http://{}/in/alerts?team=shop", receiver.listen().await);
    let webhook = Webhook::new(&url, Some("s3cret"), Duration::from_secs(10)).unwrap();
    let post = Post::start(webhook, POLICY);
    post.store(vec![opened("shop-3")]).await;
    post.until_all_are("sent").await;

    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.uri.to_string().as_str()), ("POST", "/in/alerts?team=shop"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(request.header("user-agent").unwrap().starts_with("tidewatch/"));
    assert_eq!(request.alert(), "shop-3:0:1:opened:hook");
    assert_eq!(request.header("X-Tidewatch-Timestamp"), Some("1772323290"));
    assert!(verify("s3cret", request));
    assert!(!verify("s3cret ", request));
    let mut forged = request.clone();
    forged.body = String::from_utf8(request.body.to_vec()).unwrap().replace("93.5", "13.5").into();
    assert_ne!(forged.body, request.body);
    assert!(!verify("s3cret", &forged), "the body is signed");
    let mut replayed = request.clone();
    replayed.headers.insert("X-Tidewatch-Timestamp", "1772323291".parse().unwrap());
    assert!(!verify("s3cret", &replayed), "and the time");

    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({
            "schema": "tidewatch.alert.v1",
            "held_back": 0,
            "id": "shop-3:0:1:opened:hook",
            "kind": "opened",
            "at": "2026-03-01T00:01:30.25Z",
            "incident": {
                "id": "shop-3", "monitor": "shop", "kind": "deviation", "state": "open",
                "opened_at": "2026-03-01T00:00:00Z", "closed_at": null, "until": "2026-03-01T00:01:30Z",
                "severity": {"first": 71.0, "peak": 93.5, "final": 93.5}, "minor": 99.0,
                "measure": "orders", "direction": "drop", "slices": [{"country": "DE"}], "share": 0.93,
                "expected": 120.0, "actual": 14.0,
                "impact": {"value": -106.0, "lower": -120.0, "upper": -90.0, "unit": "orders", "money": null},
                "broken_step": null, "contributions": {}, "related": [], "unknown_cause": 1.0, "merged_into": null,
                "summary": "orders 88 % below expected in country DE", "members": [], "num_members": 1,
            },
        })
    );
    assert_eq!(post.metrics(), [1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_nothing_is_signed() {
    let receiver = Receiver::new([Reply::Status(204)]);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store(vec![opened("shop-1")]).await;
    post.until_all_are("sent").await;
    assert_eq!(receiver.requests()[0].header("X-Tidewatch-Signature"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_was_given_up_can_be_sent_again_under_its_id() {
    let receiver = Receiver::new([Reply::Status(400)]);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store(vec![opened("shop-1")]).await;
    post.until_all_are("given_up").await;
    assert!(!post.store.resend("shop-9:0:1:opened:hook", START).unwrap(), "there is no such alert");
    assert!(post.store.resend("shop-1:0:1:opened:hook", START).unwrap());
    post.until_all_are("sent").await;
    assert_eq!(ids(&receiver.requests()), ["shop-1:0:1:opened:hook"; 2]);
}

// --- what is tried again ---

#[tokio::test(flavor = "multi_thread")]
async fn after_a_passing_failure_an_alert_is_delivered_once() {
    let receiver = Receiver::new([Reply::Status(503)]);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store(vec![opened("shop-1")]).await;
    let row = post.waiting_after_attempts(1).await;
    assert_eq!(row.alert.id, "shop-1:0:1:opened:hook");
    post.look().await;
    assert_eq!(receiver.requests().len(), 1, "the clock stands, so the pause is not over");
    post.run_until_all_are("sent").await;
    post.look().await;
    assert_eq!(receiver.requests().len(), 2, "and not once more");
    assert_eq!(post.metrics(), [1, 1, 0]);
    post.until_nothing_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_repeat_the_same_message_under_the_same_id() {
    let failures = [500, 502, 503, 504, 408, 425, 429, 500].map(Reply::Status);
    let receiver = Receiver::new(failures.clone());
    let webhook =
        Webhook::new(&format!("http://{}", receiver.listen().await), Some("s3cret"), Duration::from_secs(10));
    let post = Post::start(webhook.unwrap(), POLICY);
    post.store(vec![opened("shop-1")]).await;
    post.run_until_all_are("sent").await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), failures.len() + 1);
    for request in &requests {
        assert_eq!((request.alert(), &request.body), (requests[0].alert(), &requests[0].body));
        let signature = "X-Tidewatch-Signature";
        assert_eq!(request.header(signature), requests[0].header(signature));
    }
    assert_eq!(post.metrics(), [1, failures.len() as u64, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_the_receiver_asks_for_is_waited_out() {
    let replies = [
        Reply::With(429, "retry-after", "1"),
        Reply::With(503, "retry-after", "20"),
        Reply::With(429, "retry-after", "86400"),
    ];
    let receiver = Receiver::new(replies);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store(vec![opened("shop-1")]).await;
    let mut now = START;
    // The last pause is longer than the policy allows.
    for (attempts, pause) in [(1, SECOND), (2, 20 * SECOND), (3, 300 * SECOND)] {
        post.waiting_after_attempts(attempts).await;
        assert_eq!(post.num_due(now + pause - 1).await, 0, "attempt {attempts}");
        assert_eq!(post.num_due(now + pause).await, 1, "attempt {attempts}");
        post.clock.set(now + pause - 1);
        post.look().await;
        assert_eq!(receiver.requests().len(), attempts as usize);
        now += pause;
        post.clock.set(now);
        receiver.received(attempts as usize + 1).await;
    }
    post.until_all_are("sent").await;
    assert_eq!(post.metrics(), [1, 3, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn short_pauses_do_not_use_up_the_attempts() {
    let receiver = Receiver::new(std::iter::repeat_n(Reply::With(429, "retry-after", "0"), 8));
    let policy = DeliveryPolicy { pause_first: Duration::from_secs(1), ..POLICY };
    let post = Post::start(webhook(receiver.listen().await), policy);
    post.store(vec![opened("shop-1")]).await;
    let mut now = START;
    for attempts in 1..=8 {
        post.waiting_after_attempts(attempts).await;
        let pause = SECOND << (attempts - 1);
        assert_eq!(post.num_due(now + pause * 3 / 4 - 1).await, 0, "attempt {attempts}");
        now += pause * 5 / 4;
        assert_eq!(post.num_due(now).await, 1, "attempt {attempts}");
        post.clock.set(now);
    }
    post.until_all_are("sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_is_tried_again_after_the_timeout() {
    let receiver = Receiver::new([Reply::Never]);
    let url = format!("http://{}/alerts", receiver.listen().await);
    let post = Post::start(Webhook::new(&url, None, Duration::from_millis(100)).unwrap(), POLICY);
    post.store(vec![opened("shop-1")]).await;
    post.waiting_after_attempts(1).await;
    post.run_until_all_are("sent").await;
    assert_eq!(ids(&receiver.requests()), ["shop-1:0:1:opened:hook"; 2]);
    assert_eq!(post.metrics(), [1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_is_tried_until_it_is_up() {
    // Bound and not listening: connections are refused, and nobody else gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let post = Post::start(webhook(address), POLICY);
    post.store(vec![opened("shop-1"), opened("shop-2")]).await;
    let mut now = START;
    wait_until("ten attempts", async || {
        now += SECOND;
        post.clock.set(now);
        (post.metric("failed") >= 10).then_some(())
    })
    .await;
    assert!(post.all_are("waiting"));
    let receiver = Receiver::default();
    receiver.serve(socket.listen(16).unwrap());
    wait_until("both alerts", async || {
        now += SECOND;
        post.clock.set(now);
        post.all_are("sent").then_some(())
    })
    .await;
    let requests = receiver.requests();
    let mut received = ids(&requests);
    received.sort_unstable();
    assert_eq!(received, ["shop-1:0:1:opened:hook", "shop-2:0:1:opened:hook"]);
    assert_eq!(post.metric("dropped"), 0);
}

// --- what is given up ---

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_given_up_at_once_counted_and_holds_up_nothing() {
    // A pause in a refusal changes nothing about it.
    let replies =
        [Reply::Status(400), Reply::With(410, "retry-after", "1"), Reply::Status(401), Reply::Status(422)];
    let receiver = Receiver::new(replies);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store((1..=4).map(|number| opened(&format!("shop-{number}"))).collect()).await;
    post.until_all_are("given_up").await;
    post.store(vec![opened("shop-5")]).await;
    let requests = receiver.received(5).await;
    wait_until("the delivery", async || (post.metric("sent") == 1).then_some(())).await;
    post.clock.set(START + 600 * SECOND);
    post.look().await;
    assert_eq!(receiver.requests().len(), 5, "no refused alert is tried again");
    assert_eq!(requests[4].alert(), "shop-5:0:1:opened:hook");
    assert_eq!(post.metrics(), [1, 0, 4]);
    post.until_nothing_waits().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_dropped_and_counted_after_its_last_attempt() {
    let receiver = Receiver::new(std::iter::repeat_n(Reply::Status(500), 100));
    let policy = DeliveryPolicy { attempts_max: 3, ..POLICY };
    let post = Post::start(webhook(receiver.listen().await), policy);
    post.store(vec![opened("shop-1")]).await;
    post.run_until_all_are("given_up").await;
    assert_eq!(receiver.requests().len(), 3);
    assert_eq!(post.metrics(), [0, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let elsewhere = Receiver::default();
    let target: &'static str = format!("http://{}/stolen", elsewhere.listen().await).leak();
    let receiver = Receiver::new([301, 302, 307, 308].map(|code| Reply::With(code, "location", target)));
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store((1..=4).map(|number| opened(&format!("shop-{number}"))).collect()).await;
    post.until_all_are("given_up").await;
    assert_eq!(receiver.requests().len(), 4);
    assert!(elsewhere.requests().is_empty());
    assert_eq!(post.metrics(), [0, 0, 4]);
}

// --- order ---

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_sent_in_the_order_in_which_they_were_stored() {
    let receiver = Receiver::default();
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    // More than the courier takes from the outbox at a time, and not in the order of their names.
    let alerts: Vec<Alert> = (0..120).map(|number| opened(&format!("shop-{}", number * 77 % 120))).collect();
    let stored: Vec<String> = alerts.iter().map(|alert| alert.id.clone()).collect();
    post.store(alerts).await;
    post.until_all_are("sent").await;
    assert_eq!(ids(&receiver.requests()), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_told_in_order_while_retries_hold_up_no_other() {
    let receiver = Receiver::new([Reply::Status(503)]);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    let (one, two) = ("shop-1", "shop-2");
    post.store(vec![opened(one), alert(one, 2, "escalated"), opened(two), alert(one, 3, "closed")]).await;
    let requests = receiver.received(2).await;
    assert_eq!(ids(&requests), ["shop-1:0:1:opened:hook", "shop-2:0:1:opened:hook"]);
    post.look().await;
    assert_eq!(receiver.requests().len(), 2, "the rest waits for the first of its incident");
    post.run_until_all_are("sent").await;
    assert_eq!(
        ids(&receiver.requests())[2..],
        ["shop-1:0:1:opened:hook", "shop-1:0:2:escalated:hook", "shop-1:0:3:closed:hook"]
    );
}

// --- secrets ---

/// Everything that this process has logged, at every level.
fn log() -> &'static Mutex<Vec<u8>> {
    static LOG: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();
    LOG.get_or_init(|| {
        let writer = || LogWriter;
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(writer).init();
        Mutex::new(Vec::new())
    })
}

struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log().lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_or_said_in_errors() {
    log();
    let path_and_query = "/services/T0KENPATH/hook?key=T0KENQUERY";
    let secret = "S1GNINGSECRET";
    let told = |text: &str| {
        ["T0KENPATH", "T0KENQUERY", "P4SSWORD", secret].into_iter().find(|word| text.contains(word))
    };
    let replies = [Reply::Echo(404), Reply::Echo(503), Reply::Echo(429), Reply::Never, Reply::Echo(302)];
    let receiver = Receiver::new(replies);
    let address = receiver.listen().await;
    let unused = TcpSocket::new_v4().unwrap();
    unused.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = unused.local_addr().unwrap();
    let build = |authority: &str| {
        let url = format!("http://{authority}{path_and_query}");
        Webhook::new(&url, Some(secret), Duration::from_millis(200)).unwrap()
    };

    // Errors as they are, for each way to fail.
    let mut errors = Vec::new();
    for _ in 0..5 {
        errors.push(build(&address.to_string()).send(&opened("shop-1")).await.unwrap_err());
    }
    errors.push(build(&nobody.to_string()).send(&opened("shop-1")).await.unwrap_err());
    errors.push(build("user:P4SSWORD@").send(&opened("shop-1")).await.unwrap_err());
    assert!(matches!(errors[0], NotifyError::Refused(_)) && matches!(errors[1], NotifyError::Unavailable(_)));
    assert!(errors[0].to_string().contains("404"), "what can be told is: {}", errors[0]);
    for error in &errors {
        assert_eq!(told(&format!("{error} {error:?}")), None, "{error}");
    }
    let debug = format!("{:?}", build(&address.to_string()));
    assert_eq!(told(&debug), None, "{debug}");

    receiver.replies.lock().unwrap().extend([Reply::Echo(500), Reply::Echo(400)]);
    // And on the road: in the log, the outbox and the metrics.
    for authority in [nobody.to_string(), format!("user:P4SSWORD@{address}")] {
        let post = Post::start(build(&authority), DeliveryPolicy { attempts_max: 2, ..POLICY });
        post.store(vec![opened("shop-leak")]).await;
        post.run_until_all_are("given_up").await;
        assert_eq!((post.metric("failed"), post.metric("dropped")), (1, 1));
        assert_eq!(told(&post.telemetry.scrape()), None);
    }
    let logged = String::from_utf8_lossy(&log().lock().unwrap()).into_owned();
    assert!(logged.contains("alert dropped") && logged.contains("shop-leak"), "the log was written");
    let leak = logged.lines().find(|line| told(line).is_some());
    assert_eq!(leak, None);
}
