//! Events a second through `POST /v1/events`, each post answered after its commit, and how long an answer takes: posts
//! of 1, 100 and 5,000 events, one sender and 64 at once, both durabilities.
//!
//! `cargo bench --bench http`. Service and senders share the machine. The store lies in the system's temporary folder:
//! what a commit waits for depends on its disk.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{sync::Arc, time::Duration};

use tidewatch::{
    assemble::{Service, Surroundings},
    config::{Config, Environment},
    pipeline::{DeliveryPolicy, RunPolicy, SystemClock},
    store::SqliteStore,
};
use tokio::time::Instant;

const EVENTS_PER_POST: [usize; 3] = [1, 100, 5_000];
const SENDERS: [usize; 2] = [1, 64];
const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    println!(
        "| Durability | Events in a post | Senders | Events a second | Posts a second | p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    for durability in ["full", "normal"] {
        for events in EVENTS_PER_POST {
            for senders in SENDERS {
                measure(durability, events, senders).await;
            }
        }
    }
}

async fn measure(durability: &str, events: usize, senders: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        [store]
        path = "{}/tidewatch.db"
        durability = "{durability}"
        [sources.clicks]
        kind = "http"
        [monitors.shop]
        source = "clicks"
        timestamp = "at"
        interval = "1h"
        allowed_lateness = "1h"
        dimensions = {{ country = "country", device = "device" }}
        [monitors.shop.measures]
        orders = {{ count = true, where = {{ type = "purchase" }} }}
        revenue = {{ sum = "order.total", where = {{ type = "purchase" }} }}
        "#,
        folder.path().display()
    );
    let config = Config::parse(&text, &Environment::default()).expect("valid");
    let store = SqliteStore::open(&config.store.path, config.store.durability).expect("a store");
    let surroundings = Surroundings {
        clock: Arc::new(SystemClock),
        store: Arc::new(store),
        policy: RunPolicy::default(),
        delivery: DeliveryPolicy::default(),
        threads: 2,
    };
    let service = Service::start(config, None, surroundings, || None).await.expect("it starts");
    let url = format!("http://{}/v1/events?source=clicks", service.address);
    let stop = service.stopping();
    let running = tokio::spawn(service.run());
    let body = body(events);
    let client = reqwest::Client::new();
    while !client.post(&url).body(body.clone()).send().await.is_ok_and(|answer| answer.status() == 200) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    send(&client, &url, &body, senders, WARM_UP).await;
    let started = Instant::now();
    let mut took = send(&client, &url, &body, senders, MEASURED).await;
    let seconds = started.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let posts = took.len() as f64 / seconds;
    println!(
        "| {durability} | {events} | {senders} | {:.0} | {posts:.0} | {:.2} | {:.2} |",
        posts * events as f64,
        at(0.5),
        at(0.99)
    );
    stop.cancel();
    running.await.expect("no panic").expect("it stops");
}

/// How long each post took to be answered.
async fn send(
    client: &reqwest::Client,
    url: &str,
    body: &bytes::Bytes,
    senders: usize,
    during: Duration,
) -> Vec<Duration> {
    let until = Instant::now() + during;
    let lanes: Vec<_> = (0..senders)
        .map(|_| {
            let (client, url, body) = (client.clone(), url.to_owned(), body.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < until {
                    let started = Instant::now();
                    let answer = client.post(&url).body(body.clone()).send().await.expect("an answer");
                    assert_eq!(answer.status(), 200);
                    answer.bytes().await.expect("an answer");
                    took.push(started.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for lane in lanes {
        all.extend(lane.await.expect("no panic"));
    }
    all
}

/// Events of about 170 bytes within the hour before now, in fifteen slices.
fn body(events: usize) -> bytes::Bytes {
    let now = jiff::Timestamp::now().as_millisecond();
    let lines: Vec<String> = (0..events)
        .map(|index| {
            format!(
                r#"{{"at":{},"type":"purchase","country":"{}","device":"{}","visitor_id":"v{index:07}","order":{{"id":"o{index:09}","total":{}.5}},"session":"s{index:09}"}}"#,
                now - index as i64 % 1_000,
                ["DE", "FR", "US", "GB", "JP"][index % 5],
                ["phone", "desktop", "tablet"][index % 3],
                index % 90
            )
        })
        .collect();
    lines.join("\n").into()
}
