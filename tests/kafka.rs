//! Against a real Apache Kafka broker: every record counts exactly once whatever is killed, nothing is lost
//! silently, and what is wrong is said in one sentence that names broker and setting.

#![cfg(feature = "kafka")]

#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/running.rs"]
mod running;
#[path = "support/tokens.rs"]
mod tokens;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use kafka::{Broker, TestProducer, flush, send};
use rdkafka::producer::Producer;
use running::Running;
use tokens::Tokens;
use tokio::time::Instant;

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const PATIENCE: Duration = Duration::from_mins(2);

/// One service over one topic, in a folder of its own.
struct Service {
    process: Running,
    port: u16,
}

impl Service {
    fn configure(folder: &Path, source: &str) -> Self {
        std::fs::create_dir_all(folder).expect("a temporary folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("bound").port();
        let config = format!(
            r#"
            [server]
            listen = "127.0.0.1:{port}"
            [store]
            path = "{}/tidewatch.db"
            [sources.clicks]
            kind = "kafka"
            refresh = "250ms"
            {source}
            [monitors.shop]
            source = "clicks"
            timestamp = "t"
            interval = "1m"
            allowed_lateness = "30s"
            dimensions = {{ country = "c" }}
            [monitors.shop.measures]
            views = {{ count = true }}
            amount = {{ sum = "v" }}
            "#,
            folder.display()
        );
        Self { process: Running::configured(folder, &config), port }
    }

    async fn get(&self, path: &str) -> String {
        let request = reqwest::Client::new().get(format!("http://127.0.0.1:{}{path}", self.port));
        match request.timeout(Duration::from_secs(5)).send().await {
            Ok(response) => response.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The value of a metric; `None` while it is not there.
    async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").await;
        let line = text.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(' '))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    async fn wait_for(&self, name: &str, wanted: f64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.metric(name).await;
            if found == Some(wanted) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{name} is {found:?} and not {wanted}\n{}",
                self.process.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn wait_until_read(&self) {
        self.wait_for_status(r#""state":"caught_up""#).await;
    }

    /// Until every partition has shown what [`Sent::close`] sent.
    async fn wait_until_closed(&self) {
        self.wait_for_status(r#""closed_through":"2026-03-01T05:59:00Z""#).await;
    }

    async fn wait_for_status(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.get("/api/v1/status").await.contains(wanted) {
            assert!(Instant::now() < deadline, "not read in time\n{}", self.process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn outcome(outcome: &str) -> String {
        format!("tidewatch_record_events_total{{monitor=\"shop\",outcome=\"{outcome}\"}}")
    }

    fn trouble(kind: &str) -> String {
        format!("tidewatch_source_trouble_total{{kind=\"{kind}\",source=\"clicks\"}}")
    }

    /// What is stored per window, country (empty for all) and measure.
    fn sums(&self) -> BTreeMap<(String, String, String), f64> {
        let out = self.process.folder().join("out.csv");
        let status = Command::new(env!("CARGO_BIN_EXE_tidewatch"))
            .args(["export", "--monitor", "shop", "--config"])
            .arg(self.process.folder().join("config.toml"))
            .arg("--out")
            .arg(&out)
            .stdout(Stdio::null())
            .status()
            .expect("the binary starts");
        assert!(status.success());
        let mut reader = csv::Reader::from_path(out).expect("a CSV file");
        let rows = reader.records().map(|row| row.expect("a row"));
        rows.map(|row| {
            let cell = |index: usize| row[index].to_owned();
            ((cell(0), cell(1), cell(2)), row[3].parse().unwrap_or(0.0))
        })
        .collect()
    }
}

fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// What a producer sent, by window, country (and all) and measure.
#[derive(Default)]
struct Sent {
    sums: BTreeMap<(i64, String, &'static str), f64>,
    count: u64,
}

impl Sent {
    fn send(&mut self, producer: &TestProducer, topic: &str, partition: i32, millis: i64, random: u64) {
        let country = ["DE", "FR", "IT", "ES", "PL"][(random % 5) as usize];
        let value = (random >> 8) % 100;
        let text = format!(
            r#"{{"t":{millis},"c":"{country}","v":{value},"id":"{random:016x}","pad":"0123456789"}}"#
        );
        send(producer, topic, partition, &text);
        self.count += 1;
        let window = millis.div_euclid(60_000) * 60_000;
        for slice in [country, ""] {
            *self.sums.entry((window, slice.to_owned(), "views")).or_default() += 1.0;
            *self.sums.entry((window, slice.to_owned(), "amount")).or_default() += value as f64;
        }
    }

    /// Ends every partition with an event long after, so that all windows before it close.
    fn close(producer: &TestProducer, topic: &str, partitions: i32) {
        for partition in 0..partitions {
            let text = format!(r#"{{"t":{},"c":"DE","v":0}}"#, START + 6 * 3_600_000);
            send(producer, topic, partition, &text);
        }
        flush(producer);
    }

    /// Every sum that was sent is stored, and no other.
    fn assert_stored(&self, stored: &BTreeMap<(String, String, String), f64>) {
        let mut wrong = Vec::new();
        for ((window, country, measure), sum) in &self.sums {
            let time = jiff::Timestamp::from_millisecond(*window).expect("a time").to_string();
            let found = stored.get(&(time.clone(), (*measure).to_owned(), country.clone()));
            if found != Some(sum) {
                wrong.push(format!("{time} {country:?} {measure}: {found:?}, sent {sum}"));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {} sums differ, e.g. {:?}",
            wrong.len(),
            self.sums.len(),
            &wrong[..wrong.len().min(5)]
        );
        let total: f64 = stored
            .iter()
            .filter(|((_, measure, slice), _)| measure == "views" && slice.is_empty())
            .map(|(_, value)| value)
            .sum();
        assert_eq!(total, self.count as f64, "no event is counted twice or invented");
    }
}

fn plain(broker: &Broker, topic: &str) -> String {
    format!("brokers = \"{}\"\ntopic = \"{topic}\"", broker.address())
}

/// How long a soak is, if the environment asks for one.
fn soak(name: &str, short: u64) -> u64 {
    std::env::var_os(name).and_then(|text| text.to_str()?.parse().ok()).unwrap_or(short)
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_broker_restarts_and_new_partitions_change_nothing() {
    let (events, kills) = (soak("TIDEWATCH_SOAK_EVENTS", 500_000), soak("TIDEWATCH_SOAK_KILLS", 8));
    let broker = Broker::start("restarts");
    broker.topic("events", 6).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut service = Service::configure(folder.path(), &plain(&broker, "events"));
    let producer = broker.producer(&[]);
    let (mut sent, mut random) = (Sent::default(), 0x7469_6465_u64);
    service.process.spawn();
    let mut partitions = 6;
    for step in 0..kills {
        for index in step * events / kills..(step + 1) * events / kills {
            let random = next_random(&mut random);
            let millis = START + index as i64 * 3_600_000 / events as i64 - (random >> 40) as i64 % 25_000;
            sent.send(
                &producer,
                "events",
                ((random >> 20) % partitions as u64) as i32,
                millis.max(START),
                random,
            );
            if index % 5_000 == 0 {
                tokio::time::sleep(Duration::from_millis(random % 60)).await;
            }
        }
        service.process.kill();
        match step {
            2 => broker.run("kill"),
            5 => broker.run("stop"),
            _ => {}
        }
        service.process.spawn();
        if matches!(step, 2 | 5) {
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
    for outcome in ["late", "after_close", "rejected", "over_limit"] {
        assert_eq!(service.metric(&Service::outcome(outcome)).await.unwrap_or(0.0), 0.0, "{outcome}");
    }
    service.process.stop();
    sent.assert_stored(&service.sums());
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
