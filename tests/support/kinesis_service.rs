//! `tidewatch run` over a Kinesis stream, and what a test's producer put into it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{collections::BTreeMap, path::Path, time::Duration};

use tokio::time::Instant;

use crate::process::{Process, Said, finish, tidewatch};

pub(crate) const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const PATIENCE: Duration = Duration::from_mins(1);

/// Sums by window, country (empty for all) and measure.
pub(crate) type Sums = BTreeMap<(String, String, String), f64>;

/// One service over one stream, in a folder of its own.
pub(crate) struct Service {
    folder: tempfile::TempDir,
    port: u16,
    environment: Vec<(String, String)>,
    process: Option<Process>,
    /// What earlier processes said.
    said: String,
}

impl Service {
    /// Over what these keys of a source name.
    pub(crate) fn configured(source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("bound").port();
        let poll = if source.contains("poll = ") { "" } else { "poll = \"200ms\"" };
        let config = format!(
            r#"
            [server]
            listen = "127.0.0.1:{port}"
            [store]
            path = "{}/tidewatch.db"
            [sources.clicks]
            kind = "kinesis"
            {poll}
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
            folder.path().display()
        );
        std::fs::write(folder.path().join("config.toml"), config).expect("a temporary file");
        let environment = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { folder, port, environment, process: None, said: String::new() }
    }

    /// Another value for a variable of the environment; an empty one takes it away.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = tidewatch(arguments);
        command.arg("--config").arg(self.folder.path().join("config.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn spawn(&mut self) {
        self.process = Some(Process::start(&mut self.command(&["run"])));
    }

    /// SIGKILL: no handler, no farewell.
    pub(crate) fn kill(&mut self) {
        let process = self.process.take().expect("running");
        self.said += &process.stderr();
    }

    /// Asks politely and waits for the last commit.
    pub(crate) fn stop(&mut self) {
        let said = self.process.take().expect("running").terminate();
        self.said += &said.stderr;
        assert_eq!(said.code, Some(0), "{}", self.said);
    }

    /// Runs until it ends by itself.
    pub(crate) fn run_to_end(&self) -> Said {
        finish(&mut self.command(&["run"]))
    }

    /// `check --online`.
    pub(crate) fn check(&self) -> Said {
        finish(&mut self.command(&["check", "--online"]))
    }

    pub(crate) fn log(&self) -> String {
        let now = self.process.as_ref().map(Process::stderr).unwrap_or_default();
        format!("{}{now}", self.said)
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

    /// Until a metric is at least this.
    pub(crate) async fn wait_for(&self, name: &str, wanted: f64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.metric(name).await;
            if found.is_some_and(|found| found >= wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {found:?} and not {wanted}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn wait_for_status(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.get("/api/v1/status").await;
            if status.contains(wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "no {wanted} in {status}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Until every shard has shown what [`Sent::close`] sent.
    pub(crate) async fn wait_until_closed(&self) {
        self.wait_for_status(r#""closed_through":"2026-03-01T05:59:00Z""#).await;
    }

    pub(crate) fn outcome(outcome: &str) -> String {
        format!("tidewatch_record_events_total{{monitor=\"shop\",outcome=\"{outcome}\"}}")
    }

    pub(crate) fn trouble(kind: &str) -> String {
        format!("tidewatch_source_trouble_total{{kind=\"{kind}\",source=\"clicks\"}}")
    }

    /// The stored position of each shard.
    pub(crate) fn positions(&self) -> BTreeMap<String, String> {
        let store = rusqlite::Connection::open(self.folder.path().join("tidewatch.db")).expect("a store");
        let mut rows = store.prepare("SELECT partition, position FROM checkpoints").expect("a table");
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.collect::<Result<_, _>>().expect("rows")
    }

    pub(crate) fn set_position(&self, partition: &str, position: &str) {
        let store = rusqlite::Connection::open(self.folder.path().join("tidewatch.db")).expect("a store");
        let changed = store
            .execute("UPDATE checkpoints SET position = ?1 WHERE partition = ?2", [position, partition])
            .expect("a table");
        assert_eq!(changed, 1, "{partition}");
    }

    pub(crate) fn sums(&self) -> Sums {
        let out = self.folder.path().join("out.csv");
        let mut command = self.command(&["export", "--monitor", "shop"]);
        let said = finish(command.arg("--out").arg(&out));
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        let mut reader = csv::Reader::from_path(out).expect("a CSV file");
        let rows = reader.records().map(|row| row.expect("a row"));
        rows.map(|row| {
            let cell = |index: usize| row[index].to_owned();
            ((cell(0), cell(1), cell(2)), row[3].parse().unwrap_or(0.0))
        })
        .collect()
    }
}

/// What was sent, as its sender adds it up.
#[derive(Default)]
pub(crate) struct Sent {
    sums: BTreeMap<(i64, String, &'static str), f64>,
    pub(crate) count: u64,
    random: u64,
}

impl Sent {
    pub(crate) fn seeded(random: u64) -> Self {
        Self { random, ..Self::default() }
    }

    pub(crate) fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// An event of about this many milliseconds after the start.
    pub(crate) fn event(&mut self, after_millis: i64) -> String {
        let random = self.next_random();
        let millis = (START + after_millis - (random >> 40) as i64 % 25_000).max(START);
        let country = ["DE", "FR", "IT", "ES", "PL"][(random % 5) as usize];
        let value = (random >> 8) % 100;
        self.count += 1;
        let window = millis.div_euclid(60_000) * 60_000;
        for slice in [country, ""] {
            *self.sums.entry((window, slice.to_owned(), "views")).or_default() += 1.0;
            *self.sums.entry((window, slice.to_owned(), "amount")).or_default() += value as f64;
        }
        format!(r#"{{"t":{millis},"c":"{country}","v":{value},"id":"{random:016x}"}}"#)
    }

    /// The same for a shard drawn at random.
    pub(crate) fn record(&mut self, after_millis: i64) -> (u128, Vec<u8>) {
        let key = u128::from(self.next_random()) << 64;
        (key, self.event(after_millis).into_bytes())
    }

    /// An event long after: sent into every shard it closes all windows before.
    pub(crate) fn last() -> String {
        format!(r#"{{"t":{},"c":"DE","v":0}}"#, START + 6 * 3_600_000)
    }

    /// Every sum that was sent is stored, and no other.
    pub(crate) fn assert_stored(&self, stored: &Sums) {
        let mut wrong = Vec::new();
        for ((window, country, measure), sum) in &self.sums {
            let time = jiff::Timestamp::from_millisecond(*window).expect("a time").to_string();
            let found = stored.get(&(time.clone(), (*measure).to_owned(), country.clone()));
            if found != Some(sum) {
                wrong.push(format!("{time} {country:?} {measure}: {found:?}, sent {sum}"));
            }
        }
        let differ = wrong.len();
        wrong.truncate(5);
        assert!(wrong.is_empty(), "{differ} of {} sums differ, e.g. {wrong:?}", self.sums.len());
        let total: f64 = stored
            .iter()
            .filter(|((_, measure, slice), _)| measure == "views" && slice.is_empty())
            .map(|(_, value)| value)
            .sum();
        assert_eq!(total, self.count as f64, "no event is counted twice or invented");
    }
}
