//! A real broker per test binary, or one of a test's own, started by scripts/kafka.sh.

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

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use tokio::time::Instant;

pub(crate) type TestProducer = ThreadedProducer<DefaultProducerContext>;

pub(crate) struct Broker {
    home: PathBuf,
    port: u16,
}

impl Broker {
    /// The one that tests share; a watcher ends it after this process.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("shared"))
    }

    /// A broker of its own, for a test that stops and kills it.
    pub(crate) fn start(name: &str) -> Self {
        let home =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-{name}-{}", std::process::id()));
        let port = free_ports();
        let broker = Self { home, port };
        broker.run("start");
        let script = format!(
            "while kill -0 {} 2>/dev/null; do sleep 1; done; '{}' kill; rm -rf '{}'",
            std::process::id(),
            script().display(),
            broker.home.display()
        );
        #[expect(clippy::zombie_processes, reason = "the watcher outlives this process on purpose")]
        Command::new("setsid")
            .args(["bash", "-c", &script])
            .env("KAFKA_HOME", &broker.home)
            .env("KAFKA_PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a watcher starts");
        broker
    }

    /// `start`, `stop` or `kill`.
    pub(crate) fn run(&self, command: &str) {
        let output = Command::new(script())
            .arg(command)
            .env("KAFKA_HOME", &self.home)
            .env("KAFKA_PORT", self.port.to_string())
            .output()
            .expect("the script runs");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Lets a command's scripts/kafka.sh mean this broker.
    pub(crate) fn name_to(&self, command: &mut Command) {
        command.env("KAFKA_HOME", &self.home).env("KAFKA_PORT", self.port.to_string());
    }

    pub(crate) fn address(&self) -> String {
        self.listener(0)
    }

    /// 2: TLS with SCRAM; 3: TLS with client certificate; 4: SCRAM; 5: plain, for what listens at 6.
    pub(crate) fn listener(&self, offset: u16) -> String {
        format!("127.0.0.1:{}", self.port + offset)
    }

    pub(crate) fn tls(&self, file: &str) -> String {
        self.home.join("tls").join(file).display().to_string()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", self.address()).create().expect("an admin client")
    }

    pub(crate) async fn topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        let made =
            self.admin().create_topics(&[topic], &AdminOptions::new()).await.expect("the broker answers");
        for topic in made {
            topic.expect("the topic is made");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    pub(crate) async fn grow(&self, name: &str, partitions: usize) {
        let grown = NewPartitions::new(name, partitions);
        let answer = self.admin().create_partitions(&[grown], &AdminOptions::new()).await;
        for topic in answer.expect("the broker answers") {
            topic.expect("it has grown");
        }
    }

    /// Deletes what is before an offset, as retention does.
    pub(crate) async fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset)).expect("an offset");
        self.admin().delete_records(&list, &AdminOptions::new()).await.expect("records are deleted");
    }

    pub(crate) fn producer(&self, more: &[(&str, &str)]) -> TestProducer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.address())
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "120000")
            .set("topic.metadata.refresh.interval.ms", "500")
            .set("linger.ms", "5")
            .set("message.max.bytes", "9000000")
            .set("compression.type", "lz4");
        for (key, value) in more {
            config.set(*key, *value);
        }
        config.create().expect("a producer")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.run("kill");
    }
}

/// Sends, waiting while the producer's queue is full.
pub(crate) fn send(producer: &TestProducer, topic: &str, partition: i32, payload: &str) {
    let mut record = BaseRecord::<(), str>::to(topic).partition(partition).payload(payload);
    let until = Instant::now() + Duration::from_mins(1);
    while let Err((error, back)) = producer.send(record) {
        // A producer learns of new partitions only some time after they were made.
        let passes = matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::QueueFull | RDKafkaErrorCode::UnknownPartition)
        );
        assert!(passes && Instant::now() < until, "{topic}/{partition}: {error}");
        std::thread::sleep(Duration::from_millis(5));
        record = back;
    }
}

pub(crate) fn flush(producer: &TestProducer) {
    let until = Instant::now() + Duration::from_mins(1);
    while producer.in_flight_count() > 0 {
        assert!(Instant::now() < until, "records were not taken");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka.sh")
}

/// The first of seven ports that nobody uses, another one at each call.
fn free_ports() -> u16 {
    static STEP: AtomicU16 = AtomicU16::new(0);
    let free =
        |port: u16| (port..port + 7).all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
    let first = 20_000 + (std::process::id() % 500) as u16 * 10;
    std::iter::repeat_with(|| first + STEP.fetch_add(1, Ordering::Relaxed) * 10)
        .take(500)
        .find(|port| free(*port))
        .expect("seven free ports")
}
