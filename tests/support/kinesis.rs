//! Emulators of Kinesis, started by scripts/kinesis.sh, and what tests put into them.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use aws_sdk_kinesis::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    primitives::Blob,
    types::{PutRecordsRequestEntry, ScalingType, Shard, StreamStatus},
};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_mins(1);
/// Hash keys of a stream: from 0 to 2^128 - 1.
const KEYS: u128 = u128::MAX;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The base. Its known gaps: a closed shard never ends in fan-out; no throttling; a bad iterator is a 500.
    KinesisLocal,
    /// Knows no UpdateShardCount, no fan-out, no StreamARN, no pages of ListShards and no ChildShards.
    Kinesalite,
    /// Runs inside the test (support/ferrokinesis.rs). The only one that ends a closed shard in fan-out; begins every
    /// subscription with the oldest record, whatever was asked for.
    Ferrokinesis,
}

pub(crate) struct Emulator {
    kind: Kind,
    home: PathBuf,
    port: u16,
}

impl Emulator {
    /// The one of its kind that the tests of this binary share.
    pub(crate) fn shared(kind: Kind) -> &'static Self {
        static LOCAL: OnceLock<Emulator> = OnceLock::new();
        static LITE: OnceLock<Emulator> = OnceLock::new();
        match kind {
            Kind::KinesisLocal => LOCAL.get_or_init(|| Self::start(kind)),
            Kind::Kinesalite => LITE.get_or_init(|| Self::start(kind)),
            Kind::Ferrokinesis => unreachable!("it is no program"),
        }
    }

    fn start(kind: Kind) -> Self {
        let name = match kind {
            Kind::KinesisLocal => "kinesis-local",
            Kind::Kinesalite => "kinesalite",
            Kind::Ferrokinesis => unreachable!("it is no program"),
        };
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let emulator = Self { kind, home, port: free_ports() };
        let output = emulator.script("start", name).output().expect("the script runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let watch = format!(
            "while kill -0 {} 2>/dev/null; do sleep 1; done; '{}' stop; rm -rf '{}'",
            std::process::id(),
            script().display(),
            emulator.home.display()
        );
        #[expect(clippy::zombie_processes, reason = "the watcher outlives this process on purpose")]
        Command::new("setsid")
            .args(["bash", "-c", &watch])
            .env("KINESIS_HOME", &emulator.home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a watcher starts");
        emulator
    }

    fn script(&self, command: &str, name: &str) -> Command {
        let mut run = Command::new(script());
        run.args([command, name]).env("KINESIS_HOME", &self.home).env("KINESIS_PORT", self.port.to_string());
        run
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Only of kinesis-local.
    pub(crate) fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.port + 1)
    }

    /// The file with the authority behind that.
    pub(crate) fn authority(&self) -> String {
        self.home.join("ca.pem").display().to_string()
    }

    pub(crate) async fn stream(&self, name: &str, shards: i32) -> Stream {
        Stream::made(self.kind, &self.address(), name, shards).await
    }
}

/// A stream and a client that reaches it without any proxy.
pub(crate) struct Stream {
    pub(crate) client: Client,
    pub(crate) name: String,
    kind: Kind,
}

impl Stream {
    pub(crate) async fn made(kind: Kind, address: &str, name: &str, shards: i32) -> Self {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{address}"))
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled())
            .build();
        let client = Client::from_conf(config);
        let stream = Self { client, name: name.to_owned(), kind };
        let created = stream.client.create_stream().stream_name(name).shard_count(shards).send().await;
        created.expect("the stream is made");
        stream.wait_until_active().await;
        stream
    }

    async fn wait_until_active(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let asked = self.client.describe_stream().stream_name(&self.name).send().await;
            let status = asked.ok().and_then(|answer| answer.stream_description);
            if status.is_some_and(|stream| stream.stream_status == StreamStatus::Active) {
                return;
            }
            assert!(Instant::now() < deadline, "{} does not become active", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Puts these, in order, whatever the state of the stream: (hash key, data).
    pub(crate) async fn put(&self, records: &[(u128, Vec<u8>)]) {
        for part in records.chunks(500) {
            let mut left: Vec<PutRecordsRequestEntry> = part.iter().map(entry).collect();
            let deadline = Instant::now() + PATIENCE;
            while !left.is_empty() {
                assert!(Instant::now() < deadline, "{} takes no records", self.name);
                let request = self.client.put_records().stream_name(&self.name);
                match request.set_records(Some(left.clone())).send().await {
                    Ok(answer) => {
                        let refused = answer.records.iter().zip(left);
                        left = refused
                            .filter(|(answer, _)| answer.error_code.is_some())
                            .map(|(_, entry)| entry)
                            .collect();
                    }
                    // While it is being resharded.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }
    }

    /// The shards that take records.
    pub(crate) async fn open_shards(&self) -> Vec<Shard> {
        let is_open = |shard: &Shard| {
            shard.sequence_number_range.as_ref().is_some_and(|range| range.ending_sequence_number.is_none())
        };
        self.shards().await.into_iter().filter(is_open).collect()
    }

    pub(crate) async fn shards(&self) -> Vec<Shard> {
        let answer = self.client.list_shards().stream_name(&self.name).send().await;
        answer.expect("a list of shards").shards.unwrap_or_default()
    }

    /// Brings the stream to so many shards of equal width: in one call, or split by split where the emulator
    /// cannot.
    pub(crate) async fn reshard(&self, count: i32) {
        if self.kind == Kind::KinesisLocal {
            // One call changes the count by a factor of two at most.
            while self.open_shards().await.len() != count as usize {
                let open = self.open_shards().await.len() as i32;
                let next = count.clamp((open + 1) / 2, open * 2);
                let request =
                    self.client.update_shard_count().stream_name(&self.name).target_shard_count(next);
                let asked = request.scaling_type(ScalingType::UniformScaling).send().await;
                asked.expect("the stream is resharded");
                self.wait_until_active().await;
            }
            return;
        }
        loop {
            let mut open = self.open_shards().await;
            open.sort_by_key(first_key);
            let client = &self.client;
            match open.len().cmp(&(count as usize)) {
                std::cmp::Ordering::Less => {
                    let widest = open.iter().max_by_key(|shard| last_key(shard) - first_key(shard));
                    let widest = widest.expect("a stream has shards");
                    let middle = first_key(widest) + (last_key(widest) - first_key(widest)) / 2 + 1;
                    let request =
                        client.split_shard().stream_name(&self.name).shard_to_split(&widest.shard_id);
                    let asked = request.new_starting_hash_key(middle.to_string()).send().await;
                    asked.expect("a shard is split");
                }
                std::cmp::Ordering::Greater => {
                    let request = client.merge_shards().stream_name(&self.name);
                    let request = request.shard_to_merge(&open[0].shard_id);
                    let asked = request.adjacent_shard_to_merge(&open[1].shard_id).send().await;
                    asked.expect("shards are merged");
                }
                std::cmp::Ordering::Equal => return,
            }
            self.wait_until_active().await;
        }
    }

    /// One record into each open shard.
    pub(crate) async fn put_into_each(&self, data: &str) -> usize {
        let open = self.open_shards().await;
        let records: Vec<_> = open.iter().map(|shard| (first_key(shard), data.as_bytes().to_vec())).collect();
        self.put(&records).await;
        open.len()
    }
}

fn entry((key, data): &(u128, Vec<u8>)) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry::builder()
        .data(Blob::new(data.clone()))
        .partition_key(format!("{:x}", key % 1_000))
        .explicit_hash_key(key.to_string())
        .build()
        .expect("a whole record")
}

fn first_key(shard: &Shard) -> u128 {
    shard.hash_key_range.as_ref().map_or(0, |range| range.starting_hash_key.parse().expect("a number"))
}

fn last_key(shard: &Shard) -> u128 {
    shard.hash_key_range.as_ref().map_or(KEYS, |range| range.ending_hash_key.parse().expect("a number"))
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kinesis.sh")
}

/// The first of two ports that nobody uses, another one at each call.
fn free_ports() -> u16 {
    static STEP: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = 26_000 + (std::process::id() % 500) as u16 * 10;
    std::iter::repeat_with(|| first + STEP.fetch_add(2, Ordering::Relaxed))
        .take(500)
        .find(|port| is_free(*port) && is_free(port + 1))
        .expect("two free ports")
}

/// What `aws-kinesis-agg` makes of these records: whole records of the stream.
pub(crate) fn packed(records: &[String]) -> Vec<Vec<u8>> {
    const SCRIPT: &str = "
        const lines = require('fs').readFileSync(0, 'utf8').split('\\n');
        const records = lines.map((line, index) => ({ partitionKey: 'k' + index % 7, data: Buffer.from(line) }));
        const out = (pack, done) => { console.log(Buffer.from(pack.data).toString('hex')); done(); };
        require('aws-kinesis-agg').aggregate(records, out, () => {}, (error) => { throw error; });
    ";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kinesis-npm");
    let installed = Command::new(script()).arg("install").status().expect("the script runs");
    assert!(installed.success());
    let mut child = Command::new("node")
        .args(["-e", SCRIPT])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut input = child.stdin.take().expect("piped");
    let text = records.join("\n");
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, text.as_bytes()));
    let output = child.wait_with_output().expect("node ends");
    writer.join().expect("writing does not panic").expect("node reads");
    assert!(output.status.success(), "node failed");
    let digits = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal digits")
    };
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| line.chunks(2).map(digits).collect()).collect()
}
