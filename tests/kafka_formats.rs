//! Against a real Apache Kafka broker and a real schema registry: records that only a schema can read, records
//! that are refused and passed on, and what stands around a record.

#![cfg(feature = "kafka")]

#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/registry.rs"]
mod registry;
#[path = "support/running.rs"]
mod running;
#[path = "support/kafka_service.rs"]
mod service;

use std::{collections::BTreeMap, time::Duration};

use apache_avro::{Decimal, Schema, types::Value, writer::datum::GenericDatumWriter};
use kafka::{Broker, TestProducer, flush};
use rdkafka::{
    Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders},
    producer::BaseRecord,
};
use registry::Registry;
use serde_json::json;
use service::{PATIENCE, START, Sent, Service, free_port, next_random, plain};
use tokio::time::Instant;

const COUNTRIES: [&str; 5] = ["DE", "FR", "IT", "ES", "PL"];
const END: i64 = START + 6 * 3_600_000;

/// Sends bytes; the producer's queue is larger than any test here.
fn send(producer: &TestProducer, topic: &str, partition: i32, payload: &[u8]) {
    let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(payload);
    let sent = producer.send(record);
    assert!(sent.is_ok(), "{:?}", sent.err().map(|(error, _)| error));
}

fn numbered(number: u32, body: &[u8]) -> Vec<u8> {
    [&[0][..], &number.to_be_bytes(), body].concat()
}

/// One of three versions of the same record, with what its fields look like.
struct Version {
    number: u32,
    schema: Schema,
    record: fn(i64, &str, u64) -> Vec<(String, Value)>,
}

impl Version {
    async fn register(text: &str, record: fn(i64, &str, u64) -> Vec<(String, Value)>) -> Self {
        let number = Registry::shared().register("avro-value", "AVRO", text, json!([])).await;
        Self { number, schema: Schema::parse_str(text).expect("a schema"), record }
    }

    fn write(&self, millis: i64, country: &str, value: u64) -> Vec<u8> {
        let writer = GenericDatumWriter::builder(&self.schema).build().expect("a writer");
        let record = Value::Record((self.record)(millis, country, value));
        numbered(self.number, &writer.write_value_to_vec(record).expect("it fits its schema"))
    }
}

fn field(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

/// Fields are added, a number is widened, a text becomes optional, a time gets finer.
async fn versions() -> [Version; 3] {
    [
        Version::register(
            r#"{"type": "record", "name": "Click", "fields": [
                {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}},
                {"name": "c", "type": "string"}, {"name": "v", "type": "int"}]}"#,
            |millis, country, value| {
                vec![
                    field("t", Value::TimestampMillis(millis)),
                    field("c", Value::String(country.to_owned())),
                    field("v", Value::Int(value as i32)),
                ]
            },
        )
        .await,
        Version::register(
            r#"{"type": "record", "name": "Click", "fields": [
                {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["VIEW"]}, "default": "VIEW"},
                {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}},
                {"name": "c", "type": ["null", "string"]}, {"name": "v", "type": "double"}]}"#,
            |millis, country, value| {
                vec![
                    field("kind", Value::Enum(0, "VIEW".to_owned())),
                    field("t", Value::TimestampMillis(millis)),
                    field("c", Value::Union(1, Box::new(Value::String(country.to_owned())))),
                    field("v", Value::Double(value as f64)),
                ]
            },
        )
        .await,
        Version::register(
            r#"{"type": "record", "name": "Click", "fields": [
                {"name": "t", "type": {"type": "long", "logicalType": "timestamp-micros"}},
                {"name": "c", "type": ["null", "string"]},
                {"name": "v", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
                {"name": "note", "type": ["null", "string"], "default": null}]}"#,
            |millis, country, value| {
                let unscaled = (value as i64 * 100).to_be_bytes().to_vec();
                vec![
                    field("t", Value::TimestampMicros(millis * 1_000 + 1)),
                    field("c", Value::Union(1, Box::new(Value::String(country.to_owned())))),
                    field("v", Value::Decimal(Decimal::from(unscaled))),
                    field("note", Value::Union(0, Box::new(Value::Null))),
                ]
            },
        )
        .await,
    ]
}

async fn avro_topic(name: &str, events: usize) -> Sent {
    let broker = Broker::shared();
    broker.topic(name, 2).await;
    // Every change of type would be refused by the default rule of Confluent's registry; ours has none.
    let versions = versions().await;
    let producer = broker.producer(&[]);
    let (mut sent, mut random) = (Sent::default(), 5_u64);
    for index in 0..events {
        let random = next_random(&mut random);
        // Versions follow each other and overlap, as they do while producers are rolled out.
        let version = &versions[(index * 3 / events + (random >> 30) as usize % 2).min(2)];
        let (country, value) = (COUNTRIES[(random % 5) as usize], (random >> 8) % 100);
        let millis = START + index as i64 * 4 * 3_600_000 / events as i64;
        send(&producer, name, (index % 2) as i32, &version.write(millis, country, value));
        sent.add(millis, country, value);
    }
    for partition in 0..2 {
        send(&producer, name, partition, &versions[2].write(END, "DE", 0));
    }
    flush(&producer);
    sent
}

fn avro(topic: &str, url: &str) -> String {
    format!("{}\nformat = \"avro\"\nregistry = {{ url = \"{url}\" }}", plain(Broker::shared(), topic))
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_is_read_while_its_schema_changes_and_only_what_nobody_can_read_is_refused() {
    let sent = avro_topic("avro", 6_000).await;
    let producer = Broker::shared().producer(&[]);
    send(&producer, "avro", 0, &numbered(999_999, b"x"));
    send(&producer, "avro", 0, br#"{"t": 1}"#);
    send(&producer, "avro", 0, &[0, 0]);
    flush(&producer);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut service = Service::configure(folder.path(), &avro("avro", Registry::shared().url()));
    service.process.spawn();
    service.wait_until_closed().await;
    service.wait_for(&Service::outcome("rejected"), 3.0).await;
    service
        .wait_for_text(
            "/api/v1/status",
            &["schema 999999: the registry does not have it", "does not begin with a zero byte"],
        )
        .await;
    service.process.stop();
    sent.assert_stored(&service.sums());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_holds_reading_up_and_loses_nothing() {
    let sent = avro_topic("avro-away", 500).await;
    let port = free_port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = Registry::shared().url().replace(Registry::shared().address(), &format!("127.0.0.1:{port}"));
    let mut service = Service::configure(folder.path(), &avro("avro-away", &url));
    service.process.spawn();
    service
        .wait_for_text(
            "/api/v1/status",
            &["unreachable", "the schema registry at http", "sources.clicks.registry"],
        )
        .await;
    assert_eq!(service.metric(&Service::outcome("counted")).await.unwrap_or(0.0), 0.0);
    assert!(!service.get("/health/ready").await.contains("\"ready\":true"));
    // It comes back: connections are passed on to the real one.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    let passing = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(Registry::shared().address()).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    service.wait_until_closed().await;
    service.process.stop();
    passing.abort();
    sent.assert_stored(&service.sums());
}

/// Fields 1 (`t`), 2 (`c`) and another for `v`, as protoc's code writes them.
fn protobuf(millis: i64, country: &str, value: u64, value_field: u8) -> Vec<u8> {
    let varint = |mut number: u64| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let mut bytes = vec![0x08];
    bytes.extend(varint(millis as u64));
    bytes.extend([0x12, country.len() as u8]);
    bytes.extend(country.bytes());
    // A zero is not written.
    if value > 0 {
        bytes.push(value_field << 3);
        bytes.extend(varint(value));
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_is_read_while_its_schema_changes() {
    let (broker, registry) = (Broker::shared(), Registry::shared());
    broker.topic("protobuf", 2).await;
    let common = "syntax = \"proto3\"; package shop; message Common { string note = 1; }";
    registry.register("common", "PROTOBUF", common, json!([])).await;
    let first = "syntax = \"proto3\"; package shop;
        message Click { int64 t = 1; string c = 2; int32 v = 3; }";
    let first = registry.register("protobuf-value", "PROTOBUF", first, json!([])).await;
    let second = "syntax = \"proto3\"; package shop; import \"common.proto\";
        message Click { int64 t = 1; string c = 2; int64 v = 3; Common more = 4; }
        message Other { message Click { int64 t = 1; string c = 2; uint64 v = 7; } }";
    let references = json!([{ "name": "common.proto", "subject": "common", "version": 1 }]);
    let second = registry.register("protobuf-value", "PROTOBUF", second, references).await;
    assert_ne!(first, second);
    let producer = broker.producer(&[]);
    let (mut sent, mut random) = (Sent::default(), 17_u64);
    let record = |kind: u64, millis: i64, country: &str, value: u64| match kind {
        0 => numbered(first, &[&[0][..], &protobuf(millis, country, value, 3)].concat()),
        1 => numbered(second, &[&[0][..], &protobuf(millis, country, value, 3)].concat()),
        _ => numbered(second, &[&[4, 2, 0][..], &protobuf(millis, country, value, 7)].concat()),
    };
    for index in 0..6_000 {
        let random = next_random(&mut random);
        let (country, value) = (COUNTRIES[(random % 5) as usize], (random >> 8) % 100);
        let millis = START + index * 2_000;
        let partition = (index % 2) as i32;
        send(&producer, "protobuf", partition, &record((random >> 30) % 3, millis, country, value));
        sent.add(millis, country, value);
    }
    (0..2).for_each(|partition| send(&producer, "protobuf", partition, &record(1, END, "DE", 0)));
    // A message that the schema does not have.
    send(&producer, "protobuf", 0, &numbered(first, &[2, 40]));
    flush(&producer);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = registry.guarded("engine", "engine-secret").await;
    let section = |password: &str| {
        format!(
            "{}\nformat = \"protobuf\"\nregistry = {{ url = \"{url}\", username = \"engine\", password = \"{password}\" }}",
            plain(broker, "protobuf")
        )
    };
    let mut refused = Service::configure(&folder.path().join("refused"), &section("wrong-secret"));
    refused.process.spawn();
    refused
        .wait_for_text("/api/v1/status", &["unreachable", "401 Unauthorized", "sources.clicks.registry"])
        .await;
    refused.process.stop();
    assert!(!refused.process.log().contains("wrong-secret"));
    let mut service = Service::configure(folder.path(), &section("engine-secret"));
    service.process.spawn();
    service.wait_until_closed().await;
    service.wait_for(&Service::outcome("rejected"), 1.0).await;
    service.process.stop();
    sent.assert_stored(&service.sums());
}

/// Everything in a topic with one partition: key, value and headers.
type Letter = (Option<Vec<u8>>, Option<Vec<u8>>, BTreeMap<String, String>);

fn letters(broker: &Broker, topic: &str, count: usize) -> Vec<Letter> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .set("group.id", "letters")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("it can be assigned");
    let (mut found, until) = (Vec::new(), Instant::now() + PATIENCE);
    while found.len() < count {
        assert!(Instant::now() < until, "{} of {count} letters", found.len());
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers =
            headers.map(|header| (header.key.to_owned(), header.value.map_or_else(String::new, text)));
        let bytes = |bytes: &[u8]| bytes.to_vec();
        found.push((message.key().map(bytes), message.payload().map(bytes), headers.collect()));
    }
    // And no more.
    assert!(consumer.poll(Duration::from_millis(300)).is_none_or(|message| message.is_err()));
    found
}

fn kept(outcome: &str) -> String {
    format!("tidewatch_source_dead_letters_total{{outcome=\"{outcome}\",source=\"clicks\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_go_on_to_a_topic_as_they_were_before_anything_is_committed() {
    let broker = Broker::shared();
    broker.topic("refused", 1).await;
    let producer = broker.producer(&[]);
    let good = |second: i64| format!(r#"{{"t":{},"c":"DE","v":1}}"#, START + second * 1_000);
    let value: &[u8] = b"\xff{poison";
    let headers =
        OwnedHeaders::new()
            .insert(Header { key: "trace", value: Some("abc") })
            .insert(Header::<&str> { key: "empty", value: None });
    send(&producer, "refused", 0, good(0).as_bytes());
    let record = BaseRecord::<[u8], [u8]>::to("refused").partition(0).timestamp(START + 7);
    assert!(producer.send(record.key(b"\x00key").payload(value).headers(headers)).is_ok());
    send(&producer, "refused", 0, br#"[{"c":"DE"},{"t":"never"}]"#);
    send(&producer, "refused", 0, format!("{{{}", "x".repeat(4_000)).as_bytes());
    flush(&producer);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("letters.ndjson");
    let section = format!(
        "{}\ndead_letters = {{ topic = \"letters\" }}\ndead_letter = \"{}\"",
        plain(broker, "refused"),
        file.display()
    );
    let mut service = Service::configure(folder.path(), &section);
    service.process.spawn();
    service.wait_for(&Service::outcome("rejected"), 4.0).await;
    send(&producer, "refused", 0, good(3_600).as_bytes());
    flush(&producer);
    // There is no such topic yet: nothing is committed, and it is said why.
    let until = Instant::now() + PATIENCE;
    while service.metric(&kept("failed")).await.unwrap_or(0.0) < 1.0 {
        assert!(Instant::now() < until, "{}", service.process.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = service.process.log();
    assert!(log.contains("topic `letters` does not exist"), "{log}");
    service.process.kill();
    service.process.spawn();
    // Takes no record of more than 2,000 bytes.
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker.address()).create().expect("an admin client");
    let topic = NewTopic::new("letters", 1, TopicReplication::Fixed(1)).set("max.message.bytes", "2000");
    admin.create_topics(&[topic], &AdminOptions::new()).await.expect("the topic is made");
    service.wait_for(&kept("written"), 6.0).await; // two letters, and four lines of the file
    service.wait_for(&kept("dropped"), 1.0).await;
    service.process.stop();
    assert!(service.process.log().contains("larger than its topic takes"), "{}", service.process.log());

    let found = letters(broker, "letters", 2);
    let (key, payload, headers) = &found[0];
    assert_eq!((key.as_deref(), payload.as_deref()), (Some(&b"\x00key"[..]), Some(value)));
    let header = |name: &str| headers.get(name).map(String::as_str);
    assert_eq!((header("trace"), header("empty")), (Some("abc"), Some("")));
    assert_eq!((header("tidewatch.source"), header("tidewatch.reason")), (Some("clicks"), Some("malformed")));
    assert!(header("tidewatch.message").is_some_and(|text| text.contains("no valid JSON")), "{headers:?}");
    assert_eq!(
        (header("tidewatch.topic"), header("tidewatch.partition"), header("tidewatch.offset")),
        (Some("refused"), Some("0"), Some("1"))
    );
    assert_eq!(header("tidewatch.timestamp"), Some((START + 7).to_string().as_str()));
    // Both rows of one record were refused: one letter, with the first reason.
    let (key, payload, headers) = &found[1];
    assert_eq!((key.as_deref(), payload.as_deref()), (None, Some(&br#"[{"c":"DE"},{"t":"never"}]"#[..])));
    assert_eq!(headers.get("tidewatch.reason").map(String::as_str), Some("no_timestamp"));
    assert_eq!(std::fs::read_to_string(file).expect("the file").lines().count() % 4, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_around_a_record_can_be_measured() {
    let broker = Broker::shared();
    broker.topic("around", 1).await;
    let producer = broker.producer(&[]);
    let mut sent = Sent::default();
    let put = |millis: i64, country: &str, value: u64| {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "country", value: Some("(older)") })
            .insert(Header { key: "country", value: Some(country) });
        let key = value.to_string();
        let record = BaseRecord::<str, str>::to("around").partition(0).timestamp(millis).payload("{}");
        assert!(producer.send(record.key(&key).headers(headers)).is_ok());
    };
    for index in 0..1_000_u64 {
        let (millis, country) = (START + index as i64 * 10_000, COUNTRIES[index as usize % 5]);
        put(millis, country, index % 90);
        sent.add(millis, country, index % 90);
    }
    put(END, "DE", 0);
    flush(&producer);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut service = Service::configure(folder.path(), &plain(broker, "around"));
    let path = folder.path().join("config.toml");
    let config = std::fs::read_to_string(&path).expect("the configuration");
    let config = [
        ("timestamp = \"t\"", "timestamp = \"@timestamp\""),
        ("country = \"c\"", "country = \"@header.country\""),
        ("sum = \"v\"", "sum = \"@key\""),
    ]
    .iter()
    .fold(config, |config, (from, to)| config.replace(from, to));
    std::fs::write(&path, config).expect("the configuration");
    service.process.spawn();
    service.wait_until_closed().await;
    service.process.stop();
    sent.assert_stored(&service.sums());
}
