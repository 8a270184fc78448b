//! From a filled Kafka topic to closed windows: Tidewatch beside a bare consumer, Kafka Streams and Flink, in one
//! run on one machine.
//!
//! `cargo bench --bench kafka`, with Java 17 (a JDK), Maven and openssl. Records of 200 bytes of JSON in eight
//! partitions, lz4, four hours of event time, up to 20 s out of order; 500 slices with a count and a sum, which
//! are 1,000 series; windows of a minute. Every engine runs as a process of its own from its start to its end,
//! Java's start included, one after the other, in rounds; the median of the rounds counts. The bare consumer
//! only counts bytes.
//!
//! `TIDEWATCH_BENCH_EVENTS` (5,000,000), `TIDEWATCH_BENCH_ROUNDS` (3), `TIDEWATCH_BENCH_ENGINES` (all, or some of
//! `bare,tidewatch,streams,flink`).

#![allow(clippy::print_stdout, reason = "figures are printed")]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use tokio::time::Instant;

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const PARTITIONS: i32 = 8;
const TOPIC: &str = "events";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "bare") {
        return read_bare(&arguments[2], arguments[3].parse().expect("a number"));
    }
    let events = setting("TIDEWATCH_BENCH_EVENTS", 5_000_000);
    let rounds = setting("TIDEWATCH_BENCH_ROUNDS", 3);
    let engines = std::env::var_os("TIDEWATCH_BENCH_ENGINES").map_or_else(
        || "bare,tidewatch,streams,flink".to_owned(),
        |text| text.to_string_lossy().into_owned(),
    );
    let bench = Bench::start(events);
    println!("{events} events in {PARTITIONS} partitions; load {}", load());
    let mut results: BTreeMap<&str, Vec<Run>> = BTreeMap::new();
    for round in 0..rounds {
        for engine in ["bare", "tidewatch", "streams", "flink"] {
            if engines.split(',').any(|wanted| wanted == engine) {
                let run = bench.run(engine, round);
                println!("round {round} {engine:9} {}; load {}", run.text(events), load());
                results.entry(engine).or_default().push(run);
            }
        }
    }
    println!("\nmedians of {rounds} rounds");
    for (engine, mut runs) in results {
        runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        println!("{engine:9} {}", runs[runs.len() / 2].text(events));
    }
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var_os(name).map_or(usual, |text| text.to_string_lossy().parse().expect("a number"))
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// What one engine took for the whole topic.
struct Run {
    seconds: f64,
    /// Processor time of its process.
    cpu_seconds: f64,
    peak_mib: u64,
}

impl Run {
    fn text(&self, events: u64) -> String {
        let per_second = events as f64 / self.seconds / 1000.0;
        let cpu_micros = self.cpu_seconds / events as f64 * 1e6;
        format!(
            "{per_second:7.0} k events/s, {cpu_micros:5.2} us of processor an event, {:5} MiB at most",
            self.peak_mib
        )
    }
}

/// A broker with a filled topic.
struct Bench {
    folder: PathBuf,
    brokers: String,
    events: u64,
}

impl Bench {
    fn start(events: u64) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-kafka");
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).expect("a folder");
        let bench = Self { brokers: script(&folder, "start"), folder, events };
        if !Path::new("benches/peers/target/dependency").exists() {
            let mvn = ["-q", "-B", "-ntp", "-f", "benches/peers/pom.xml", "package"];
            let built = Command::new("mvn").args(mvn).status().expect("Maven, see scripts/setup.sh");
            assert!(built.success(), "the peers are built");
        }
        bench.topic(TOPIC, PARTITIONS);
        bench.fill();
        bench
    }

    fn topic(&self, name: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create().expect("a client");
        let topics = [NewTopic::new(name, partitions, TopicReplication::Fixed(1))];
        let options = AdminOptions::new();
        let made = admin.create_topics(&topics, &options);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(made).expect("the broker answers").remove(0).expect("a topic");
    }

    fn fill(&self) {
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "20")
            .set("batch.size", "500000")
            .create()
            .expect("a producer");
        let send = |partition: i32, text: &str| {
            let mut record = BaseRecord::<(), str>::to(TOPIC).partition(partition).payload(text);
            while let Err((error, back)) = producer.send(record) {
                assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
                sleep(Duration::from_millis(2));
                record = back;
            }
        };
        let events = self.events as i64;
        for index in 0..events {
            let random = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let millis = START + index * 4 * 3_600_000 / events - (random % 20_000) as i64;
            send((index % i64::from(PARTITIONS)) as i32, &event(millis.max(START), random));
        }
        // Ends every partition, so that all windows before this close.
        (0..PARTITIONS).for_each(|partition| send(partition, &event(START + 6 * 3_600_000, 0)));
        while producer.in_flight_count() > 0 {
            sleep(Duration::from_millis(5));
        }
    }

    /// All records, those that end the partitions included.
    fn records(&self) -> u64 {
        self.events + PARTITIONS as u64
    }

    fn run(&self, engine: &str, round: u64) -> Run {
        let records = self.records().to_string();
        let results = format!("results-{engine}-{round}");
        let log = File::create(self.folder.join(format!("{engine}.log"))).expect("a log");
        let mut command = match engine {
            "bare" => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.args(["bare", &self.brokers, &records]);
                command
            }
            "tidewatch" => return self.run_tidewatch(log),
            _ => {
                self.topic(&results, 2);
                let mut command = Command::new("java");
                let state = self.folder.join(&results).display().to_string();
                let class = if engine == "flink" { "Flink" } else { "Streams" };
                command.args([
                    "-Xmx2g",
                    "-cp",
                    "benches/peers/target/classes:benches/peers/target/dependency/*",
                ]);
                for package in ["lang", "util", "time"] {
                    command.arg(format!("--add-opens=java.base/java.{package}=ALL-UNNAMED"));
                }
                command.args([class, &self.brokers, TOPIC, &records, &results, &state]);
                command
            }
        };
        let started = Instant::now();
        let child = command.stdout(log.try_clone().expect("a file")).stderr(log).spawn().expect("it starts");
        let mut watched = Watched::new(child);
        while watched.look() {
            sleep(Duration::from_millis(10));
        }
        let run = watched.run(started);
        if engine == "flink" {
            assert_eq!(self.sum_of(&results), self.records(), "Flink counts every event");
        }
        run
    }

    /// Until every window is closed and stored.
    fn run_tidewatch(&self, log: File) -> Run {
        let folder = self.folder.join("tidewatch");
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).expect("a folder");
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.expect("a free port").port();
        let config = folder.join("config.toml");
        std::fs::write(&config, config_text(&folder, port, &self.brokers)).expect("a file");
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_tidewatch"))
            .args(["run", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let mut watched = Watched::new(child);
        while !get(port, "/api/v1/status").contains(r#""closed_through":"2026-03-01T05:59:00Z""#) {
            assert!(watched.look(), "it has ended; see {}", self.folder.display());
            sleep(Duration::from_millis(10));
        }
        watched.look();
        let run = watched.run(started);
        let counted = format!("outcome=\"counted\"}} {}\n", self.records());
        let metrics = get(port, "/metrics");
        assert!(metrics.contains(&counted), "every event is counted: {metrics}");
        run
    }

    /// The counts in a topic of Flink's result rows.
    fn sum_of(&self, topic: &str) -> u64 {
        let consumer = consumer(&self.brokers, topic, 2);
        let (mut sum, mut ended) = (0, 0);
        while ended < 2 {
            match consumer.poll(Duration::from_secs(5)) {
                Some(Ok(message)) => {
                    let text = String::from_utf8_lossy(message.payload().expect("a row"));
                    sum +=
                        text.split(' ').nth(1).and_then(|count| count.parse::<u64>().ok()).expect("a count");
                }
                _ => ended += 1,
            }
        }
        sum
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        script(&self.folder, "kill");
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A child whose use of the machine is noted while it runs.
struct Watched {
    child: Child,
    cpu_seconds: f64,
    peak_mib: u64,
}

impl Watched {
    fn new(child: Child) -> Self {
        Self { child, cpu_seconds: 0.0, peak_mib: 0 }
    }

    /// Notes what it used so far; false when it has ended.
    fn look(&mut self) -> bool {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()));
        let stat = read("stat").unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        self.cpu_seconds = self.cpu_seconds.max((ticks(11) + ticks(12)) / 100.0);
        let status = read("status").unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        let peak = peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024;
        self.peak_mib = self.peak_mib.max(peak);
        match self.child.try_wait().expect("a child of ours") {
            None => true,
            Some(status) => {
                assert!(status.success(), "an engine failed; its log is in the folder of the bench");
                false
            }
        }
    }

    fn run(&self, started: Instant) -> Run {
        let seconds = started.elapsed().as_secs_f64();
        Run { seconds, cpu_seconds: self.cpu_seconds, peak_mib: self.peak_mib }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn event(millis: i64, random: u64) -> String {
    let (country, page) = (random % 50, random / 50 % 10);
    format!(
        r#"{{"t":{millis},"type":"page_view","visitor_id":"v{:07}","session_id":"s{:09}","geo":{{"country":"C{country:02}","city":"Anytown"}},"device":"mobile","page":"/product/{page:04}","total":12.50,"ok":true,"ref":"m"}}"#,
        random % 9_999_999,
        random * 31 % 999_999_999,
    )
}

fn config_text(folder: &Path, port: u16, brokers: &str) -> String {
    format!(
        r#"
        [server]
        listen = "127.0.0.1:{port}"
        [store]
        path = "{}/tidewatch.db"
        [sources.events]
        kind = "kafka"
        brokers = "{brokers}"
        topic = "{TOPIC}"
        [monitors.shop]
        source = "events"
        timestamp = "t"
        interval = "1m"
        allowed_lateness = "30s"
        dimensions = {{ country = "geo.country", page = "page" }}
        rollups = [[], ["country", "page"]]
        [monitors.shop.measures]
        views = {{ count = true, where = {{ type = "page_view" }} }}
        revenue = {{ sum = "total", where = {{ type = "page_view" }} }}
        "#,
        folder.display()
    )
}

fn script(folder: &Path, command: &str) -> String {
    let output = Command::new("scripts/kafka.sh")
        .arg(command)
        .env("KAFKA_HOME", folder.join("broker"))
        .env("KAFKA_PORT", "19292")
        .stderr(Stdio::inherit())
        .output()
        .expect("the script runs");
    assert!(output.status.success(), "scripts/kafka.sh {command}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn get(port: u16, path: &str) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let asked = write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        drop(asked.and_then(|()| stream.read_to_string(&mut text)));
    }
    text
}

fn consumer(brokers: &str, topic: &str, partitions: i32) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("assigned");
    consumer
}

/// The floor: every record is polled, its bytes are counted, and nothing is done with them.
fn read_bare(brokers: &str, records: u64) {
    let consumer = consumer(brokers, TOPIC, PARTITIONS);
    let (mut read, mut bytes) = (0, 0);
    while read < records {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            read += 1;
            bytes += message.payload().map_or(0, <[u8]>::len);
        }
    }
    println!("{read} records, {bytes} bytes");
}
