//! A sender that follows Firehose's specification against the real program, which is killed again and again.

#[path = "support/firehose.rs"]
mod firehose;
#[path = "support/running.rs"]
mod running;
mod support;

use std::{sync::Arc, time::Duration};

use firehose::{Delivered, Request, Sender};
use running::Running;
use support::process::{get_json, wait_until};

/// 2026-03-02T00:00:00Z.
const START: i64 = 1_772_409_600_000;
const BATCHES: u64 = 60;
const EVENTS_PER_BATCH: u64 = 40;
const KEY: &str = "a-long-access-key";

fn free_address() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("bound").to_string()
}

fn config(folder: &std::path::Path, address: &str) -> String {
    format!(
        r#"
        [server]
        listen = "{address}"
        token = "operators-only"
        [store]
        path = "{}/tidewatch.db"
        [sources.shop]
        kind = "firehose"
        token = "{KEY}"
        [monitors.shop]
        source = "shop"
        timestamp = "at"
        interval = "1h"
        allowed_lateness = "1h"
        dimensions = {{ country = "country" }}
        [monitors.shop.measures]
        orders = {{ count = true }}
        "#,
        folder.display()
    )
}

fn event(number: u64) -> String {
    let at = START + number as i64 * 100;
    format!(r#"{{"at":{at},"country":"{}"}}"#, ["DE", "FR", "US"][number as usize % 3])
}

/// One batch of forty events in each of the forms that shops have.
fn records(batch: u64) -> Vec<Vec<u8>> {
    let events: Vec<String> =
        (0..EVENTS_PER_BATCH).map(|index| event(batch * EVENTS_PER_BATCH + index)).collect();
    match batch % 4 {
        0 => events.into_iter().map(String::into_bytes).collect(),
        1 => vec![events.join("\n").into_bytes(), Vec::new()],
        2 => vec![firehose::gzip(firehose::cloudwatch(&events).as_bytes())],
        _ => events.iter().map(|event| firehose::gzip(event.as_bytes())).collect(),
    }
}

async fn totals(address: &str) -> Option<serde_json::Value> {
    let client = reqwest::Client::new();
    let request = client.get(format!("http://{address}/api/v1/status")).bearer_auth("operators-only");
    let text = request.send().await.ok()?.text().await.ok()?;
    let status: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(status["monitors"][0]["totals"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_across_kills_count_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = free_address();
    let mut process = Running::configured(folder.path(), &config(folder.path(), &address));
    process.spawn();
    let sender = Arc::new(Sender::new(&format!("http://{address}/firehose/shop"), KEY));
    let deliveries: Vec<_> = (0..3)
        .map(|lane| {
            let sender = Arc::clone(&sender);
            tokio::spawn(async move {
                let mut attempts = 0;
                for batch in (lane..BATCHES).step_by(3) {
                    let request = Request::new(&records(batch), batch % 2 == 0);
                    let Delivered { status, attempts: tried } = sender.deliver(&request).await;
                    assert_eq!(status, 200);
                    attempts += tried;
                    // Firehose's memory is best effort: it may send a batch again that was taken long ago.
                    if batch % 5 == 0 {
                        assert_eq!(sender.deliver(&request).await.status, 200);
                    }
                    tokio::time::sleep(Duration::from_millis(40)).await;
                }
                attempts
            })
        })
        .collect();
    let mut kills = 0;
    while !deliveries.iter().all(tokio::task::JoinHandle::is_finished) && kills < 12 {
        tokio::time::sleep(Duration::from_millis(120 + kills * 37 % 200)).await;
        process.kill();
        process.spawn();
        kills += 1;
    }
    let mut attempts = 0;
    for delivery in deliveries {
        attempts += delivery.await.expect("every batch was taken");
    }
    assert!(kills >= 5, "{kills} kills");
    assert!(attempts > BATCHES, "some batches were sent again: {attempts}");
    let totals = wait_until("all events", async || {
        totals(&address).await.filter(|totals| totals["events"] == BATCHES * EVENTS_PER_BATCH)
    })
    .await;
    assert_eq!(totals["counted"], BATCHES * EVENTS_PER_BATCH, "{totals}");
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_retried_and_a_batch_too_large_given_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = free_address();
    let text = config(folder.path(), &address)
        .replace("kind = \"firehose\"", "kind = \"firehose\"\nrecord_bytes_max = \"64KiB\"");
    let mut process = Running::configured(folder.path(), &text);
    process.spawn();
    wait_until("the service", async || get_json(&format!("http://{address}/health/live")).await).await;
    let url = format!("http://{address}/firehose");
    let wrong = Sender::new(&url, "another").patience(Duration::from_secs(2));
    let request = Request::new(&[event(0).into_bytes()], false);
    let Delivered { status, attempts } = wrong.deliver(&request).await;
    assert_eq!(status, 401);
    assert!(attempts > 1, "{attempts}");
    let sender = Sender::new(&url, KEY);
    let large: Vec<Vec<u8>> = (0..4_000).map(|number| event(number).into_bytes()).collect();
    let given_up = sender.deliver(&Request::new(&large, true)).await;
    assert_eq!((given_up.status, given_up.attempts), (413, 1));
    assert_eq!(sender.deliver(&Request::new(&[event(0).into_bytes()], true)).await.status, 200);
    let counted = totals(&address).await.expect("the service answers");
    assert_eq!(counted["counted"], 1, "{counted}");
    process.stop();
}
