//! The oracle of crash safety: a service that is killed with SIGKILL at fifty random moments, while a file and
//! an HTTP client feed it, ends with the same windows, scores, incidents and alerts as one left in peace.
//! No alert is missing, and a receiver that drops repetitions by id sees each once.

#[path = "support/running.rs"]
mod running;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use running::Running;
use tidewatch::{
    pipeline::{History, HistoryRange, IncidentQuery},
    store::{Durability, SqliteStore},
};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, Shop, ShopConfig};
use tokio::{net::TcpListener, time::Instant};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const HOUR: i64 = 3_600_000;
const KILLS: u32 = 50;
const EVENTS_PER_POST: usize = 15;
const PATIENCE: Duration = Duration::from_mins(3);

/// Three days of a shop with two rushes; half of its visitors go to the file, the others are posted. Some come late
/// and revise windows.
fn events() -> (String, Vec<String>) {
    let rush = |hour: i64| Fault {
        start_millis: START + hour * HOUR,
        end_millis: START + (hour + 1) * HOUR,
        measure: "views",
        slice: vec![],
        kind: FaultKind::Rise,
        size: 9.0,
    };
    let faults = FaultPlan::Given(vec![rush(40), rush(62)]);
    let (mut file, mut posted) = (Vec::new(), Vec::new());
    let shop = Shop::new(&ShopConfig { seed: 11, start_millis: START, days: 3, rate: 12.0, faults });
    let mut events: Vec<_> = shop.collect();
    let late = |visitor: u64| if visitor % 31 < 2 { HOUR / 2 } else { 0 };
    events.sort_by_key(|event| event.time_millis + late(event.visitor_id));
    for event in events {
        let target = if event.visitor_id % 2 == 0 { &mut file } else { &mut posted };
        event.write_json(target);
        target.push(b'\n');
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("JSON is text");
    let posted: Vec<String> = text(posted).lines().map(str::to_owned).collect();
    (text(file), posted.chunks(EVENTS_PER_POST).map(|lines| lines.join("\n")).collect())
}

/// Takes alerts, fails every seventh request, and remembers what it was told under each id.
#[derive(Clone, Default)]
struct Receiver {
    told: Arc<Mutex<BTreeMap<String, Vec<Bytes>>>>,
    requests: Arc<Mutex<u32>>,
}

impl Receiver {
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/alerts", listener.local_addr().expect("bound"));
        let router = Router::new().route("/alerts", post(Self::take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    #[expect(clippy::unused_async, reason = "handlers are async")]
    async fn take(State(receiver): State<Self>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let mut requests = receiver.requests.lock().expect("no panic holds it");
        *requests += 1;
        if requests.is_multiple_of(7) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let id = headers.get("X-Tidewatch-Alert").and_then(|id| id.to_str().ok()).unwrap_or_default();
        receiver.told.lock().expect("no panic holds it").entry(id.to_owned()).or_default().push(body);
        StatusCode::OK
    }
}

/// One run of the service in a folder of its own.
struct Run {
    process: Running,
    address: String,
    receiver: Receiver,
}

impl Run {
    /// `speed` paces the file, in times real time.
    async fn start(folder: &Path, file: &str, speed: Option<f64>) -> Self {
        std::fs::create_dir_all(folder).expect("a temporary folder");
        std::fs::write(folder.join("clicks.ndjson"), file).expect("a temporary file");
        let receiver = Receiver::default();
        let hook = receiver.listen().await;
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = free.local_addr().expect("bound").to_string();
        drop(free);
        let path = folder.display();
        let speed = speed.map_or(String::new(), |speed| format!("speed = {speed:.1}"));
        let monitor = |name: &str, source: &str| {
            format!(
                r#"
                [monitors.{name}]
                source = "{source}"
                timestamp = "event_time"
                timezone = "Europe/Berlin"
                interval = "10m"
                allowed_lateness = "60s"
                correction_period = "2h"
                idle_timeout = "1d"
                dimensions = {{ country = "geo.country", device = "device" }}
                [monitors.{name}.measures]
                views = {{ count = true, where = {{ type = "page_view" }} }}
                revenue = {{ sum = "order.total", where = {{ type = "purchase" }} }}
                visitors = {{ distinct = "visitor_id" }}
                checkout = {{ p95 = "checkout_ms", where = {{ type = "purchase" }} }}
                [[monitors.{name}.alerts]]
                severity = 65
                to = ["hook"]
                "#
            )
        };
        let config = format!(
            r#"
            [server]
            listen = "{address}"
            [store]
            path = "{path}/tidewatch.db"
            [sources.clicks]
            kind = "file"
            path = "{path}/clicks.ndjson"
            {speed}
            [sources.posts]
            kind = "http"
            {}{}
            [notifiers.hook]
            kind = "webhook"
            url = "{hook}"
            "#,
            monitor("file", "clicks"),
            monitor("http", "posts"),
        );
        let mut process = Running::configured(folder, &config);
        process.spawn();
        Self { process, address, receiver }
    }

    /// Polls until both sources and the outbox have nothing left to do.
    async fn wait_until_quiet(&self) {
        let deadline = Instant::now() + PATIENCE;
        let client = reqwest::Client::new();
        loop {
            let status = get(&client, &format!("http://{}/api/v1/status", self.address)).await;
            let metrics = get(&client, &format!("http://{}/metrics", self.address)).await;
            let ended = status.contains(r#""name":"clicks","kind":"file","state":"ended""#);
            if ended && metrics.contains("tidewatch_alert_waiting{notifier=\"hook\"} 0") {
                return;
            }
            assert!(Instant::now() < deadline, "not quiet in time: {status}\n{}", self.process.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn get(client: &reqwest::Client, url: &str) -> String {
    match client.get(url).timeout(Duration::from_secs(5)).send().await {
        Ok(response) => response.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// Posts each body under a key of its own and repeats it until it is answered with 200.
async fn post_all(address: String, bodies: Vec<String>, pause: Duration) {
    let client = reqwest::Client::new();
    let url = format!("http://{address}/v1/events?source=posts");
    for (index, body) in bodies.into_iter().enumerate() {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = client
                .post(&url)
                .header("Idempotency-Key", format!("post-{index}"))
                .timeout(Duration::from_secs(10))
                .body(body.clone());
            if request.send().await.is_ok_and(|response| response.status() == StatusCode::OK) {
                break;
            }
            assert!(Instant::now() < deadline, "post {index} was never taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(pause).await;
    }
}

/// A frame and what late events made of it.
type Kept = (Vec<u8>, Option<Vec<u8>>);

/// Everything that is left of a run.
#[derive(Debug, PartialEq)]
struct Remains {
    frames: BTreeMap<(String, i64, usize), Kept>,
    incidents: BTreeMap<String, serde_json::Value>,
    outbox: Vec<(String, String)>,
    told: BTreeMap<String, Bytes>,
}

async fn remains(run: &Run) -> Remains {
    let store = SqliteStore::open(&run.process.folder().join("tidewatch.db"), Durability::Normal)
        .expect("the store opens");
    let mut frames = BTreeMap::new();
    for monitor in ["file", "http"] {
        let range = HistoryRange { from_millis: i64::MIN, to_millis: i64::MAX, shard: None, limit: 100_000 };
        for blob in store.frames(monitor, range).await.expect("frames can be read") {
            let key = (monitor.to_owned(), blob.start_millis, blob.shard);
            frames.insert(key, (blob.bytes, blob.revision));
        }
    }
    let query = IncidentQuery { limit: 10_000, ..IncidentQuery::default() };
    let incidents = store.incidents(&query).await.expect("incidents can be read");
    let told = run.receiver.told.lock().expect("no panic holds it").clone();
    Remains {
        frames,
        incidents: incidents
            .iter()
            .map(|incident| (incident.id.clone(), serde_json::to_value(incident).expect("plain data")))
            .collect(),
        outbox: store.outbox_rows().expect("the outbox can be read"),
        told: told
            .into_iter()
            .map(|(id, bodies)| {
                assert!(bodies.iter().all(|body| *body == bodies[0]), "{id} changed between deliveries");
                (id, bodies[0].clone())
            })
            .collect(),
    }
}

/// xorshift: the moments are random, and the same in every run of this test.
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, bodies) = events();

    let mut peaceful = Run::start(&folder.path().join("peaceful"), &file, None).await;
    post_all(peaceful.address.clone(), bodies.clone(), Duration::ZERO).await;
    peaceful.wait_until_quiet().await;
    peaceful.process.stop();
    let expected = remains(&peaceful).await;
    assert!(expected.frames.len() > 800, "{} windows", expected.frames.len());
    let revised = expected.frames.values().filter(|(_, revision)| revision.is_some()).count();
    assert!(revised > 100, "{revised} windows were revised");
    assert!(expected.told.len() >= 4, "both monitors alert: {:?}", expected.told.keys());

    // Paced so that file and posts both outlast the kills.
    let speed = 3.0 * 24.0 * 3600.0 / 15.0;
    let mut disturbed = Run::start(&folder.path().join("disturbed"), &file, Some(speed)).await;
    let client = tokio::spawn(post_all(disturbed.address.clone(), bodies, Duration::from_millis(6)));
    let mut random = 0x7469_6465_7761_7463;
    for _ in 0..KILLS {
        let moment = 40 + next_random(&mut random) % 300;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        disturbed.process.kill();
        disturbed.process.spawn();
    }
    assert!(!client.is_finished(), "posts were still coming at the last kill");
    client.await.expect("every post was taken");
    disturbed.wait_until_quiet().await;
    disturbed.process.stop();
    let found = remains(&disturbed).await;

    assert_eq!(found.outbox, expected.outbox, "the same alerts, each settled the same way");
    assert!(found.outbox.iter().all(|(_, state)| state == "sent"), "{:?}", found.outbox);
    assert_eq!(found.told, expected.told, "the receiver was told the same under the same ids");
    assert_eq!(found.incidents, expected.incidents);
    assert!(found.frames == expected.frames, "windows and scores are the same bits");
    let ids: Vec<&String> = found.outbox.iter().map(|(id, _)| id).collect();
    assert_eq!(found.told.keys().collect::<Vec<_>>(), ids, "no alert is missing, none is invented");
}
