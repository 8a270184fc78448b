//! Against a real Apache Kafka broker: every record counts exactly once whatever is killed, nothing is lost
//! silently, and what is wrong is said in one sentence that names broker and setting.

#![cfg(feature = "kafka")]

#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/running.rs"]
mod running;
#[path = "support/kafka_service.rs"]
mod service;
#[path = "support/tokens.rs"]
mod tokens;

use std::{io::Write, time::Duration};

use kafka::{Broker, flush, send};
use rdkafka::producer::Producer;
use service::{PATIENCE, START, Sent, Service, next_random, plain};
use tokens::Tokens;
use tokio::time::Instant;

/// How long a soak is, if the environment asks for one.
fn soak(name: &str, short: u64) -> u64 {
    std::env::var_os(name).and_then(|text| text.to_str()?.parse().ok()).unwrap_or(short)
}

/// The long form is `make soak`: 5,000,000 events, 30 kills, five times trouble with the broker.
#[tokio::test(flavor = "multi_thread")]
async fn kills_broker_restarts_and_new_partitions_change_nothing() {
    let (events, kills) = (soak("TIDEWATCH_SOAK_EVENTS", 500_000), soak("TIDEWATCH_SOAK_KILLS", 8));
    let trouble_every = (kills / 5).max(3);
    let started = Instant::now();
    let broker = Broker::start("restarts");
    broker.topic("events", 6).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut service = Service::configure(folder.path(), &plain(&broker, "events"));
    let producer = broker.producer(&[]);
    let (mut sent, mut random) = (Sent::default(), 0x7469_6465_u64);
    service.process.spawn();
    let (mut partitions, mut troubles) = (6, 0);
    for step in 0..kills {
        for index in step * events / kills..(step + 1) * events / kills {
            let random = next_random(&mut random);
            // Up to 25 s out of order; 30 s are allowed.
            let millis = START + index as i64 * 3_600_000 / events as i64 - (random >> 40) as i64 % 25_000;
            let partition = ((random >> 20) % partitions as u64) as i32;
            sent.send(&producer, "events", partition, millis.max(START), random);
            if index % 5_000 == 0 {
                tokio::time::sleep(Duration::from_millis(random % 60)).await;
            }
        }
        service.process.kill();
        let trouble = step % trouble_every == 2;
        if trouble {
            broker.run(["kill", "stop"][troubles % 2]);
            troubles += 1;
        }
        service.process.spawn();
        if trouble {
            broker.run("start");
        }
        if step == 3 {
            flush(&producer);
            broker.grow("events", 9).await;
            service
                .wait_for("tidewatch_source_lag_records{partition=\"events/8\",source=\"clicks\"}", 0.0)
                .await;
            partitions = 9;
        }
    }
    Sent::close(&producer, "events", 9);
    service.wait_until_closed().await;
    service.wait_for("tidewatch_source_lag_records{partition=\"(all)\",source=\"clicks\"}", 0.0).await;
    for outcome in ["revised", "late", "after_close", "rejected", "over_limit"] {
        assert_eq!(service.metric(&Service::outcome(outcome)).await.unwrap_or(0.0), 0.0, "{outcome}");
    }
    service.process.stop();
    sent.assert_stored(&service.sums());
    // Seen with `--nocapture`, as `make soak` does.
    let said = writeln!(
        std::io::stderr(),
        "{} events, {kills} kills, {troubles} times without a broker, 6 to 9 partitions: every one of {} sums \
         equal, in {:.0} s",
        sent.count,
        sent.num_sums(),
        started.elapsed().as_secs_f64()
    );
    drop(said);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_read_at_very_different_speeds_lose_nothing() {
    let broker = Broker::shared();
    broker.topic("uneven", 4).await;
    let producer = broker.producer(&[]);
    let (mut sent, mut random) = (Sent::default(), 99_u64);
    // The same four hours in each, with 100, 1,000, 10,000 and 100,000 events.
    for partition in 0..4 {
        let count = 10_i64.pow(partition as u32 + 2);
        for index in 0..count {
            let millis = START + index * 4 * 3_600_000 / count;
            sent.send(&producer, "uneven", partition, millis, next_random(&mut random));
        }
    }
    Sent::close(&producer, "uneven", 4);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut service = Service::configure(folder.path(), &plain(broker, "uneven"));
    service.process.spawn();
    service.wait_until_closed().await;
    service.process.stop();
    sent.assert_stored(&service.sums());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_silently() {
    let broker = Broker::shared();
    broker.topic("trouble", 1).await;
    let producer = broker.producer(&[]);
    let event = |second: i64| format!(r#"{{"t":{},"c":"DE","v":1}}"#, START + second * 1_000);
    send(&producer, "trouble", 0, &event(0));
    send(&producer, "trouble", 0, "{poison");
    send(&producer, "trouble", 0, &format!(r#"{{"pad":"{}"}}"#, "x".repeat(5_000_000)));
    let tombstone = rdkafka::producer::BaseRecord::<str, str>::to("trouble").partition(0).key("k");
    assert!(producer.send(tombstone).is_ok());
    flush(&producer);
    let transactional =
        broker.producer(&[("transactional.id", "tidewatch-test"), ("message.timeout.ms", "50000")]);
    for commits in [false, true] {
        if !commits {
            transactional.init_transactions(PATIENCE).expect("transactions");
        }
        transactional.begin_transaction().expect("a transaction");
        send(&transactional, "trouble", 0, &event(10));
        if commits {
            transactional.commit_transaction(PATIENCE).expect("committed");
        } else {
            flush(&transactional);
            transactional.abort_transaction(PATIENCE).expect("aborted");
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut service = Service::configure(folder.path(), &plain(broker, "trouble"));
    service.process.spawn();
    service.wait_until_read().await;
    service.wait_for(&Service::outcome("counted"), 2.0).await;
    service.wait_for(&Service::outcome("rejected"), 2.0).await;
    service.wait_for(&Service::trouble("tombstone"), 1.0).await;
    service.process.stop();

    // Retention overtakes the reader: offset 6 was read last, 7 (the marker of the commit, which nobody can
    // tell from a record) to 9 are deleted unread, 10 is there.
    (20..23).for_each(|second| send(&producer, "trouble", 0, &event(second)));
    flush(&producer);
    broker.delete_before("trouble", 0, 10).await;
    service.process.spawn();
    service.wait_for(&Service::trouble("lost"), 3.0).await;
    service.wait_until_read().await;
    service.process.stop();
    assert!(service.process.log().contains("data lost"), "{}", service.process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn secured_listeners_work_and_refusals_name_broker_and_setting() {
    let broker = Broker::shared();
    broker.topic("secret", 1).await;
    let producer = broker.producer(&[]);
    send(&producer, "secret", 0, &format!(r#"{{"t":{START},"c":"DE","v":1}}"#));
    flush(&producer);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = |listener: u16, more: &str| {
        format!("brokers = \"{}\"\ntopic = \"secret\"\n{more}", broker.listener(listener))
    };
    let (ca, stranger) = (broker.tls("ca.pem"), broker.tls("stranger-ca.pem"));
    let (certificate, key) = (broker.tls("client.pem"), broker.tls("client.key"));
    let login = |password: &str| {
        format!(
            "sasl = {{ mechanism = \"SCRAM-SHA-512\", username = \"engine\", password = \"{password}\" }}"
        )
    };
    let scram =
        |ca: &str, password: &str| source(2, &format!("tls = {{ ca = \"{ca}\" }}\n{}", login(password)));
    let mutual = format!("tls = {{ ca = \"{ca}\", certificate = \"{certificate}\", key = \"{key}\" }}");
    for (name, section) in [("scram", scram(&ca, "engine-secret")), ("mutual", source(3, &mutual))] {
        let mut service = Service::configure(&folder.path().join(name), &section);
        service.process.spawn();
        service.wait_until_read().await;
        service.wait_for(&Service::outcome("counted"), 1.0).await;
        service.process.stop();
    }
    for (name, section, setting) in [
        ("password", scram(&ca, "wrong"), "`sources.clicks.sasl.password`"),
        ("authority", scram(&stranger, "engine-secret"), "`sources.clicks.tls.ca`"),
        ("certificate", source(3, &format!("tls = {{ ca = \"{ca}\" }}")), "`sources.clicks.tls.certificate`"),
    ] {
        let mut service = Service::configure(&folder.path().join(name), &section);
        service.process.spawn();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !service.process.has_ended() {
            assert!(Instant::now() <= deadline, "{name}: still running\n{}", service.process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = service.process.log();
        assert!(log.contains(setting) && log.contains("127.0.0.1:"), "{name}: {log}");
        assert!(!log.contains("engine-secret"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_plain_passwords_log_in_and_what_is_refused_is_named() {
    let broker = Broker::shared();
    broker.topic("logins", 1).await;
    let producer = broker.producer(&[]);
    send(&producer, "logins", 0, &format!(r#"{{"t":{START},"c":"DE","v":1}}"#));
    flush(&producer);
    let tokens = Tokens::serve().await;
    let source = |listener: u16, sasl: &str| {
        format!("brokers = \"{}\"\ntopic = \"logins\"\nsasl = {{ {sasl} }}", broker.listener(listener))
    };
    let oauth = |secret: &str, scope: &str| {
        let sasl = format!(
            "mechanism = \"OAUTHBEARER\", token_url = \"{}\", client_id = \"engine\", client_secret = \"{secret}\", \
             scope = \"{scope}\"",
            tokens.url
        );
        source(7, &sasl)
    };
    let plain = |password: &str| {
        source(4, &format!("mechanism = \"PLAIN\", username = \"engine\", password = \"{password}\""))
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, section) in [("token", oauth("engine-secret", "events")), ("plain", plain("engine-secret"))] {
        let mut service = Service::configure(&folder.path().join(name), &section);
        service.process.spawn();
        service.wait_until_read().await;
        service.wait_for(&Service::outcome("counted"), 1.0).await;
        if name == "token" {
            // The first ends soon; the next is asked for in time.
            let deadline = Instant::now() + PATIENCE;
            while tokens.granted.load(std::sync::atomic::Ordering::Relaxed) < 2 {
                assert!(Instant::now() < deadline, "no second token\n{}", service.process.log());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        service.process.stop();
    }
    for (name, section, said) in [
        ("scope", oauth("engine-secret", "others"), ["refused the token", "`sources.clicks.sasl.scope`"]),
        (
            "secret",
            oauth("wrong-secret", "events"),
            ["invalid_client", "`sources.clicks.sasl.client_secret`"],
        ),
        ("password", plain("wrong-secret"), ["user `engine` was refused", "`sources.clicks.sasl.password`"]),
    ] {
        let mut service = Service::configure(&folder.path().join(name), &section);
        service.process.spawn();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !service.process.has_ended() {
            assert!(Instant::now() <= deadline, "{name}: still running\n{}", service.process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = service.process.log();
        assert!(said.iter().all(|said| log.contains(said)) && log.contains("127.0.0.1:"), "{name}: {log}");
        assert!(!log.contains("-secret"), "{log}");
    }
}
