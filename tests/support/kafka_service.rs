//! `tidewatch run` over a Kafka topic, and what a test's producer sent into it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    kafka::{Broker, TestProducer, flush, send},
    running::Running,
};

pub(crate) const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// One service over one topic, in a folder of its own.
pub(crate) struct Service {
    pub(crate) process: Running,
    pub(crate) port: u16,
}

impl Service {
    pub(crate) fn configure(folder: &Path, source: &str) -> Self {
        Self::configure_with(folder, source, "")
    }

    /// With more keys for the monitor.
    pub(crate) fn configure_with(folder: &Path, source: &str, monitor: &str) -> Self {
        std::fs::create_dir_all(folder).expect("a temporary folder");
        let port = free_port();
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
            {monitor}
            dimensions = {{ country = "c" }}
            [monitors.shop.measures]
            views = {{ count = true }}
            amount = {{ sum = "v" }}
            "#,
            folder.display()
        );
        Self { process: Running::configured(folder, &config), port }
    }

    /// Another process over the same configuration and store.
    pub(crate) fn another(&self) -> Self {
        Self { process: self.process.another(), port: self.port }
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let request = reqwest::Client::new().get(format!("http://127.0.0.1:{}{path}", self.port));
        match request.timeout(Duration::from_secs(5)).send().await {
            Ok(response) => response.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The value of a metric; `None` while it is not there.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").await;
        let line = text.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(' '))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub(crate) async fn wait_for(&self, name: &str, wanted: f64) {
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

    pub(crate) async fn wait_until_read(&self) {
        self.wait_for_status(r#""state":"caught_up""#).await;
    }

    /// Until every partition has shown what [`Sent::close`] sent.
    pub(crate) async fn wait_until_closed(&self) {
        self.wait_for_status(r#""closed_through":"2026-03-01T05:59:00Z""#).await;
    }

    pub(crate) async fn wait_for_status(&self, wanted: &str) {
        self.wait_for_text("/api/v1/status", &[wanted]).await;
    }

    /// Until an answer holds all of these.
    pub(crate) async fn wait_for_text(&self, path: &str, wanted: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.get(path).await;
            if wanted.iter().all(|wanted| text.contains(wanted)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{path} lacks one of {wanted:?}: {text}\n{}",
                self.process.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn outcome(outcome: &str) -> String {
        format!("tidewatch_record_events_total{{monitor=\"shop\",outcome=\"{outcome}\"}}")
    }

    pub(crate) fn trouble(kind: &str) -> String {
        format!("tidewatch_source_trouble_total{{kind=\"{kind}\",source=\"clicks\"}}")
    }

    /// What is stored per window, country (empty for all) and measure.
    pub(crate) fn sums(&self) -> BTreeMap<(String, String, String), f64> {
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

/// A port that nobody uses now.
pub(crate) fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("bound").port()
}

pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// What a producer sent, by window, country (and all) and measure.
#[derive(Default)]
pub(crate) struct Sent {
    sums: BTreeMap<(i64, String, &'static str), f64>,
    pub(crate) count: u64,
}

impl Sent {
    pub(crate) fn send(
        &mut self,
        producer: &TestProducer,
        topic: &str,
        partition: i32,
        millis: i64,
        random: u64,
    ) {
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

    pub(crate) fn num_sums(&self) -> usize {
        self.sums.len()
    }

    /// Ends every partition with an event long after, so that all windows before it close.
    pub(crate) fn close(producer: &TestProducer, topic: &str, partitions: i32) {
        for partition in 0..partitions {
            let text = format!(r#"{{"t":{},"c":"DE","v":0}}"#, START + 6 * 3_600_000);
            send(producer, topic, partition, &text);
        }
        flush(producer);
    }

    /// Every sum that was sent is stored, and no other.
    pub(crate) fn assert_stored(&self, stored: &BTreeMap<(String, String, String), f64>) {
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

pub(crate) fn plain(broker: &Broker, topic: &str) -> String {
    format!("brokers = \"{}\"\ntopic = \"{topic}\"", broker.address())
}
