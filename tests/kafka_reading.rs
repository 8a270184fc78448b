//! Against a real Apache Kafka broker: where reading starts, topics that appear, a standby that takes over, a
//! broker that is away, connections that break in the middle, and a store that takes nothing.

#![cfg(feature = "kafka")]

#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/running.rs"]
mod running;
#[path = "support/kafka_service.rs"]
mod service;

use std::{fmt::Write, path::Path, process::Command, time::Duration};

use kafka::{Broker, TestProducer, flush, send};
use proxy::Proxy;
use rdkafka::producer::BaseRecord;
use running::Running;
use service::{PATIENCE, START, Sent, Service, free_port, next_random, plain};
use tokio::{sync::Mutex, time::Instant};

/// The proxy's port is one for the broker.
static PROXY: Mutex<()> = Mutex::const_new(());

fn event(second: i64) -> String {
    format!(r#"{{"t":{},"c":"DE","v":1}}"#, START + second * 1_000)
}

/// A record whose own time is not now.
fn send_at(producer: &TestProducer, topic: &str, record_millis: i64, second: i64) {
    let text = event(second);
    let record = BaseRecord::<(), str>::to(topic).partition(0).timestamp(record_millis).payload(&text);
    assert!(producer.send(record).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_never_read_starts_where_it_should() {
    let broker = Broker::shared();
    broker.topic("starts", 1).await;
    let producer = broker.producer(&[]);
    let now = jiff::Timestamp::now().as_millisecond();
    for (index, minutes_ago) in [180, 90, 45, 10].into_iter().enumerate() {
        send_at(&producer, "starts", now - minutes_ago * 60_000, index as i64);
    }
    flush(&producer);
    let hour_ago = jiff::Timestamp::from_millisecond(now - 3_600_000).expect("a time");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut services = Vec::new();
    for (name, start, there) in [
        ("latest", "latest".to_owned(), 0.0),
        ("time", hour_ago.to_string(), 2.0),
        ("duration", "2h".to_owned(), 3.0),
        ("nothing_is_that_young", "1m".to_owned(), 0.0),
    ] {
        let source = format!("{}\nstart = \"{start}\"", plain(broker, "starts"));
        let mut service = Service::configure(&folder.path().join(name), &source);
        service.process.spawn();
        services.push((name, service, there));
    }
    let counted = Service::outcome("counted");
    for (_, service, there) in &services {
        service.wait_until_read().await;
        service.wait_for(&counted, *there).await;
    }
    send(&producer, "starts", 0, &event(10));
    flush(&producer);
    for (_, service, there) in &services {
        service.wait_for(&counted, there + 1.0).await;
    }
    // Where the first process began is stored: what came while none ran is not skipped by the next.
    for (_, service, ..) in &mut services {
        service.process.stop();
    }
    send(&producer, "starts", 0, &event(11));
    flush(&producer);
    for (name, service, _) in &mut services {
        service.process.spawn();
        service.wait_for(&counted, 1.0).await;
        service.process.stop();
        let log = service.process.log();
        assert!(!log.contains("data lost"), "{name}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_takes_up_topics_made_while_running() {
    let broker = Broker::shared();
    broker.topic("orders-a", 2).await;
    broker.topic("returns-a", 1).await;
    let producer = broker.producer(&[]);
    for topic in ["orders-a", "returns-a"] {
        send(&producer, topic, 0, &event(0));
    }
    flush(&producer);
    let folder = tempfile::tempdir().expect("a temporary folder");
    // `latest` skips what was there, and nothing of what appears while we read.
    let source = format!("brokers = \"{}\"\npattern = \"orders-*\"\nstart = \"latest\"", broker.address());
    let mut service = Service::configure(folder.path(), &source);
    service.process.spawn();
    service.wait_until_read().await;
    broker.topic("orders-b", 1).await;
    (1..5).for_each(|second| send(&producer, "orders-b", 0, &event(second)));
    send(&producer, "returns-a", 0, &event(5));
    flush(&producer);
    service.wait_for(&Service::outcome("counted"), 4.0).await;
    service.wait_for("tidewatch_source_lag_records{partition=\"orders-b/0\",source=\"clicks\"}", 0.0).await;
    let metrics = service.get("/metrics").await;
    assert!(!metrics.contains("returns-a"), "{metrics}");
    service.process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_when_the_first_is_killed() {
    let broker = Broker::shared();
    broker.topic("handover", 2).await;
    let producer = broker.producer(&[]);
    let (mut sent, mut random) = (Sent::default(), 5_u64);
    let mut fill = |from: i64, count: i64| {
        for index in from..from + count {
            sent.send(
                &producer,
                "handover",
                (index % 2) as i32,
                START + index * 100,
                next_random(&mut random),
            );
        }
        flush(&producer);
    };
    fill(0, 10_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut first = Service::configure(folder.path(), &plain(broker, "handover"));
    first.process.spawn();
    first.wait_for_status(r#""name":"clicks""#).await;
    let mut second = first.another();
    second.process.spawn_with(&["--standby"]);
    let mut refused = first.another();
    refused.process.spawn();
    let deadline = Instant::now() + PATIENCE;
    while !refused.process.has_ended() {
        assert!(Instant::now() < deadline, "a second process on a store is refused");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while !first.process.log().contains("standing by") {
        assert!(Instant::now() < deadline, "{}", first.process.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!second.process.has_ended(), "it waits");
    fill(10_000, 10_000);
    first.process.kill();
    fill(20_000, 10_000);
    Sent::close(&producer, "handover", 2);
    second.wait_until_closed().await;
    second.process.stop();
    sent.assert_stored(&second.sums());
}

/// The broker as clients behind the proxy know it.
fn proxied(broker: &Broker, topic: &str) -> String {
    format!("brokers = \"{}\"\ntopic = \"{topic}\"", broker.listener(6))
}

/// What `check --online` says of the source.
fn checked(service: &Service) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidewatch"));
    command.args(["check", "--online", "--config"]).arg(service.process.folder().join("config.toml"));
    let said = String::from_utf8(command.output().expect("it runs").stdout).expect("text");
    said.lines().find(|line| line.contains("source clicks (kafka):")).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_online_counts_partitions_or_says_which_broker_is_away() {
    let broker = Broker::shared();
    broker.topic("checked", 3).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let there = format!("brokers = \"{}\"\ntopic = \"checked\"", broker.address());
    let said = checked(&Service::configure(&folder.path().join("there"), &there));
    assert!(said.starts_with("ok") && said.ends_with("3 partitions"), "{said}");
    let nobody = "brokers = \"127.0.0.1:1\"\ntopic = \"checked\"";
    let said = checked(&Service::configure(&folder.path().join("away"), nobody));
    assert!(said.starts_with("FAILED") && said.contains("`sources.clicks.brokers`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_no_data_and_not_ready_until_it_is_back() {
    let _one_at_a_time = PROXY.lock().await;
    let broker = Broker::shared();
    broker.topic("away", 1).await;
    let producer = broker.producer(&[]);
    (0..3).for_each(|second| send(&producer, "away", 0, &event(second)));
    flush(&producer);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = proxied(broker, "away");
    let mut service = Service::configure_with(folder.path(), &source, "no_data_after = \"2s\"");
    service.process.spawn();
    let why = format!("Kafka at {}", broker.listener(6));
    let away = ["\"ready\":false", "unreachable", &why, "`sources.clicks.brokers`"];
    service.wait_for_text("/health/ready", &away).await;
    let incidents = "/api/v1/incidents?limit=10";
    service.wait_for_text(incidents, &["\"kind\":\"no_data\"", "\"state\":\"open\""]).await;
    for round in 1..=2 {
        let proxy = Proxy::open(&broker.listener(6), &broker.listener(5)).await;
        service.wait_for_text("/health/ready", &["\"ready\":true"]).await;
        service.wait_for(&Service::outcome("counted"), 2.0 + f64::from(round)).await;
        service.wait_for_text(incidents, &["\"state\":\"closed\""]).await;
        if round == 1 {
            drop(proxy);
            service.wait_for_text("/health/ready", &away).await;
            send(&producer, "away", 0, &event(4));
            flush(&producer);
        }
    }
    let stopping = Instant::now();
    service.process.stop();
    assert!(stopping.elapsed() < Duration::from_secs(10), "a coordinator that is away holds up no end");
    let log = service.process.log();
    assert!(log.matches("source cannot be read").count() <= 4, "a broker that is away is said once:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_broken_in_the_middle_lose_and_double_nothing() {
    let _one_at_a_time = PROXY.lock().await;
    let broker = Broker::shared();
    broker.topic("cut", 4).await;
    // A batch is never cut by the broker: a connection must live longer than one.
    let producer = broker.producer(&[("compression.type", "none"), ("batch.size", "20000")]);
    let (mut sent, mut random) = (Sent::default(), 77_u64);
    for index in 0..150_000_i64 {
        sent.send(&producer, "cut", (index % 4) as i32, START + index * 20, next_random(&mut random));
    }
    Sent::close(&producer, "cut", 4);
    let proxy = Proxy::cutting(&broker.listener(6), &broker.listener(5), 50_000..700_000).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let properties = r#"properties = { "fetch.message.max.bytes" = 50000, "reconnect.backoff.ms" = 10, "reconnect.backoff.max.ms" = 50 }"#;
    let mut service = Service::configure(folder.path(), &format!("{}\n{properties}", proxied(broker, "cut")));
    service.process.spawn();
    service.wait_until_closed().await;
    let reconnects = service.metric(&Service::trouble("reconnect")).await;
    service.process.stop();
    assert!(proxy.cuts() >= 20, "only {} connections were broken", proxy.cuts());
    assert!(reconnects.is_some_and(|count| count >= 10.0), "{reconnects:?}");
    sent.assert_stored(&service.sums());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_nothing_makes_reading_wait_in_bounded_memory() {
    let broker = Broker::shared();
    broker.topic("heavy", 4).await;
    let producer = broker.producer(&[("compression.type", "none"), ("queue.buffering.max.kbytes", "65536")]);
    let mut random = 3_u64;
    let mut pad = String::new();
    while pad.len() < 50_000 {
        write!(pad, "{:016x}", next_random(&mut random)).expect("a string");
    }
    let count = 8_000_i64;
    for index in 0..count {
        let text = format!(r#"{{"t":{},"c":"DE","v":1,"pad":"{pad}"}}"#, START + index * 1_000);
        send(&producer, "heavy", (index % 4) as i32, &text);
    }
    flush(&producer);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut service = Service::configure(folder.path(), &plain(broker, "heavy"));
    service.process.spawn();
    service.wait_for_status(r#""state":"reading""#).await;
    let store = rusqlite::Connection::open(folder.path().join("tidewatch.db")).expect("the store");
    store.busy_timeout(Duration::from_secs(5)).expect("a timeout");
    store.execute_batch("BEGIN IMMEDIATE").expect("nobody else may write now");
    let mut seen = Vec::new();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        seen.push(resident_mib(service.process.id()));
    }
    let read = service.metric(&Service::outcome("counted")).await.unwrap_or(0.0);
    store.execute_batch("ROLLBACK").expect("an open transaction");
    assert!(read < count as f64 * 0.9, "nothing was left to read: {read}");
    // 400 MB lie in the topic. Three rounds of 32 MiB and four queues of 8 MiB may wait here.
    assert!(seen.iter().all(|mib| *mib < 300), "{seen:?}");
    assert!(seen[7] <= seen[3] + 16, "it went on growing: {seen:?}");
    service.wait_for(&Service::outcome("counted"), count as f64).await;
    service.process.stop();
}

fn resident_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

// --- docs/kafka-in-five-minutes.md ---

/// The code blocks of a page: the words after the fence, and the text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_five_minutes_page_work() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/kafka-in-five-minutes.md")).expect("the page");
    let broker = Broker::shared();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    std::os::unix::fs::symlink(root.join("scripts"), folder.path().join("scripts")).expect("a link");
    let program = Path::new(env!("CARGO_BIN_EXE_tidewatch")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var_os("PATH").expect("a path").display());
    let shell = |text: &str| {
        let text = text.replace("127.0.0.1:19092", &broker.address());
        let text = text.replace("127.0.0.1:8321", &format!("127.0.0.1:{port}"));
        let mut command = Command::new("bash");
        command.args(["-euc", &format!("exec 2>&1\n{text}")]).current_dir(folder.path()).env("PATH", &path);
        broker.name_to(&mut command);
        command
    };
    let (mut services, mut said) = (Vec::new(), Vec::new());
    for (kind, text) in blocks(&page) {
        match kind {
            "toml" => {
                let text = text.replace("127.0.0.1:19092", &broker.address());
                let text = text.replace("127.0.0.1:8321", &format!("127.0.0.1:{port}"));
                std::fs::write(folder.path().join("shop.toml"), text).expect("a temporary file");
            }
            "sh service" => services.push(Service {
                process: Running::of(folder.path(), &mut shell(&format!("exec {text}"))),
                port,
            }),
            "sh" => {
                // The page says when: a reader waits for the answer, too.
                if let Some(service) = services.first() {
                    service.wait_until_read().await;
                }
                let output = shell(text).output().expect("bash runs");
                let answer = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success(), "{text}{answer}");
                said.push((text, answer));
            }
            _ => {}
        }
    }
    let answer = |start: &str| &said.iter().find(|(text, _)| text.starts_with(start)).expect(start).1;
    assert!(answer("tidewatch simulate").contains("made topic `clicks` with 6 partitions"));
    assert!(answer("curl -s http").contains(r#""state":"caught_up""#));
    let incidents: serde_json::Value = serde_json::from_str(answer("curl -s 'http")).expect("JSON");
    let found = incidents["incidents"].as_array().expect("a list");
    let outage = "below expected since Thu 15 Jan 09:15";
    assert!(
        found.iter().any(|one| one["summary"].as_str().is_some_and(|text| text.contains(outage))),
        "{incidents}"
    );
    // Two services: Tidewatch, and the live shop, which ends cleanly at Ctrl-C with nothing lost on the way.
    let mut live = services.pop().expect("the live shop");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(live.process.interrupt(), Some(0), "{}", live.process.log());
    assert!(live.process.log().contains("events in topic `clicks-live`"), "{}", live.process.log());
    services[0].wait_for("tidewatch_source_lag_records{partition=\"(all)\",source=\"clicks\"}", 0.0).await;
}
