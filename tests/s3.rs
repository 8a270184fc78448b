//! Objects of a bucket that checks signatures (moto): folders named after their time, prefixes of ten thousand keys,
//! notifications, damage, and a process that is killed while it reads.
#![cfg(all(feature = "s3", feature = "parquet"))]

#[path = "support/bucket.rs"]
mod bucket;
#[path = "support/running.rs"]
mod running;
mod support;

use std::{io::Write, time::Duration};

use bucket::{Bucket, Object};
use flate2::{Compression, write::GzEncoder};
use running::Running;
use serde_json::Value;
use support::process::{finish, get_json, tidewatch, wait_until};

const HOUR: i64 = 3_600;

fn now_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// `count` events, one after the other from this second on, as JSON lines.
fn lines(from_seconds: i64, count: i64) -> String {
    let line = |index| format!("{{\"at\":{},\"country\":\"DE\"}}\n", from_seconds + index);
    (0..count).map(line).collect::<Vec<_>>().concat()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// The program over one source with these keys.
struct Service {
    process: Running,
    address: String,
    _folder: tempfile::TempDir,
}

impl Service {
    fn start(keys: &str, interval: &str) -> Self {
        Self::with(keys, &format!("interval = \"{interval}\""))
    }

    /// `monitor` are keys of the monitor.
    fn with(keys: &str, monitor: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("bound").to_string();
        drop(free);
        let bucket = Bucket::shared();
        let config = format!(
            r#"
            [server]
            listen = "{address}"
            [store]
            path = "{}/tidewatch.db"
            [sources.objects]
            kind = "s3"
            endpoint = "{}"
            region = "us-east-1"
            refresh = "200ms"
            {keys}
            [monitors.shop]
            source = "objects"
            timestamp = "at"
            {monitor}
            allowed_lateness = "1h"
            dimensions = {{ country = "country" }}
            [monitors.shop.measures]
            views = {{ count = true }}
            "#,
            folder.path().display(),
            bucket.url
        );
        let mut process = Running::configured(folder.path(), &config)
            .with("AWS_ACCESS_KEY_ID", &bucket.key)
            .with("AWS_SECRET_ACCESS_KEY", &bucket.secret)
            .with("AWS_EC2_METADATA_DISABLED", "true");
        process.spawn();
        Self { process, address, _folder: folder }
    }

    async fn totals(&self) -> Option<Value> {
        let status = get_json(&format!("http://{}/api/v1/status", self.address)).await?;
        Some(status["monitors"][0]["totals"].clone())
    }

    async fn until_events(&self, events: i64) {
        wait_until(&format!("{events} events"), async || {
            self.totals().await.filter(|totals| totals["events"].as_i64() >= Some(events))
        })
        .await;
        let totals = self.totals().await.expect("the service answers");
        assert_eq!(totals["events"], events, "{totals} {}", self.process.log());
    }

    async fn metric(&self, kind: &str) -> String {
        let client = reqwest::Client::new();
        let answer = client.get(format!("http://{}/metrics", self.address)).send().await;
        let text = answer.expect("the service answers").text().await.expect("text");
        let name = format!("tidewatch_source_trouble_total{{kind=\"{kind}\",source=\"objects\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or("none").to_owned()
    }
}

/// The folder of an hour.
fn folder(hour_seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(hour_seconds).expect("a time");
    time.strftime("hourly/%Y%m%d/%H%M").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn hourly_folders_are_read_as_they_fill_and_late_objects_with_them() {
    let hour = now_seconds() / HOUR * HOUR;
    let of = |back: i64| hour - back * HOUR;
    let plain = lines(of(6), 100);
    let packed = gzip(&lines(of(5), 100));
    let zipped = zstd::encode_all(lines(of(4), 100).as_bytes(), 3).expect("writing to memory");
    // A hundred good rows, then a member that is none.
    let mut broken = gzip(&lines(of(3), 100));
    broken.extend([0x1f, 0x8b, 0xff, 0xff, 1, 2, 3]);
    let objects: Vec<Object<'_>> = vec![
        (format!("{}/a.json", folder(of(6))), plain.as_bytes(), None),
        (format!("{}/a.json.gz", folder(of(5))), &packed, None),
        (format!("{}/ü b.zst", folder(of(4))), &zipped, None),
        (format!("{}/broken.json.gz", folder(of(3))), &broken, None),
        (format!("{}/nothing.json", folder(of(3))), b"", None),
        (format!("{}/a.json", folder(of(9))), plain.as_bytes(), None),
    ];
    Bucket::shared().put(&objects);
    let keys = "url = \"s3://shop/hourly/{{yyyyMMdd}}/{{HHmm}}/\"\nstart = \"6h\"\nlate_objects = \"2h\"";
    let mut service = Service::start(keys, "1h");
    service.until_events(400).await;
    wait_until("the broken object to be counted", async || {
        (service.metric("unreadable").await == "1").then_some(())
    })
    .await;
    let log = service.process.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("broken.json.gz")).collect();
    assert!(told.len() == 1 && told[0].contains("cannot be read to its end"), "{log}");

    service.process.kill();
    let late = lines(of(1), 50);
    Bucket::shared().put(&[(format!("{}/late.json", folder(of(1))), late.as_bytes(), None)]);
    service.process.spawn();
    service.until_events(450).await;
    Bucket::shared().put(&[(format!("{}/later.json", folder(of(1))), late.as_bytes(), None)]);
    service.until_events(500).await;
    service.process.kill();
    service.process.spawn();
    Bucket::shared().put(&[(format!("{}/last.json", folder(hour)), lines(hour, 7).as_bytes(), None)]);
    service.until_events(507).await;
    wait_until("all to be looked at", async || {
        let status = get_json(&format!("http://{}/api/v1/status", service.address)).await?;
        (status["sources"][0]["state"] == "caught_up").then_some(())
    })
    .await;
    Bucket::shared().put(&[(format!("{}/too-late.json", folder(of(6))), late.as_bytes(), None)]);
    tokio::time::sleep(Duration::from_millis(700)).await;
    service.until_events(507).await;
    service.process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn late_objects_revise_windows_within_the_correction_period() {
    let hour = now_seconds() / HOUR * HOUR;
    let of = |back: i64| hour - back * HOUR;
    let folder = |back: i64| folder(of(back)).replace("hourly/", "corrected/");
    let put = |back: i64, name: &str, count: i64| {
        let body = lines(of(back), count);
        Bucket::shared().put(&[(format!("{}/{name}", folder(back)), body.as_bytes(), None)]);
    };
    (3..=6).for_each(|back| put(back, "a.json", 100));
    let keys = "url = \"s3://shop/corrected/{{yyyyMMdd}}/{{HHmm}}/\"\nstart = \"7h\"";
    let mut service = Service::with(keys, "interval = \"10m\"\ncorrection_period = \"6h\"");
    service.until_events(400).await;
    // Five hours old: beyond the hour that is the default without `correction_period`.
    put(5, "late.json", 50);
    service.until_events(450).await;
    service.process.kill();
    service.process.spawn();
    put(1, "a.json", 10);
    service.until_events(460).await;
    let totals = wait_until("the next window to close", async || {
        service.totals().await.filter(|totals| totals["waiting"] == 0)
    })
    .await;
    assert_eq!((&totals["revised"], &totals["counted"]), (&50.into(), &410.into()), "{totals}");
    let at = jiff::Timestamp::from_second(of(5)).expect("a time");
    let path = format!("api/v1/monitors/shop/observations?measure=views&from={at}&limit=1");
    let found = get_json(&format!("http://{}/{path}", service.address)).await.expect("the service answers");
    let window = &found["observations"][0];
    assert_eq!((&window["value"], &window["as_closed"]), (&150.0.into(), &100.0.into()), "{found}");
    assert_eq!(window["revised"], true);
    service.process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_keys_each_is_read_once_across_kills() {
    const KEYS: i64 = 10_000;
    const READ: i64 = 1_500;
    let start = 1_772_409_600; // 2026-03-02T00:00:00Z
    let bodies: Vec<String> = (0..KEYS).map(|index| lines(start + index * 60, 1)).collect();
    // Keys in another order than times.
    let objects: Vec<Object<'_>> = bodies
        .iter()
        .enumerate()
        .map(|(index, body)| {
            let key = format!("many/{:05}.json", (index * 7_919) % KEYS as usize);
            (key, body.as_bytes(), Some(start + index as i64 * 60))
        })
        .collect();
    Bucket::shared().put(&objects);
    let first = jiff::Timestamp::from_second(start + (KEYS - READ) * 60 - 30).expect("a time");
    let mut service = Service::start(&format!("url = \"s3://shop/many/\"\nstart = \"{first}\""), "10m");
    for events in [200, 700] {
        wait_until("some to be read", async || {
            service.totals().await.filter(|totals| totals["events"].as_i64() > Some(events))
        })
        .await;
        service.process.kill();
        service.process.spawn();
    }
    service.until_events(READ).await;
    let totals = service.totals().await.expect("the service answers");
    assert_eq!(
        (&totals["counted"], &totals["late"]),
        (&READ.into(), &0.into()),
        "in the order of their times"
    );
    service.process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_tells_of_objects_and_is_emptied_after_the_commit() {
    let start = 1_772_409_600;
    let queue = Bucket::shared().queue.clone();
    let mut service = Service::start(&format!("url = \"s3://shop/told/\"\nqueue_url = \"{queue}\""), "10m");
    let mut put = 0;
    for round in 0..3 {
        for _ in 0..10 {
            let body = lines(start + put * 600, 20);
            Bucket::shared().put(&[(format!("told/{put} a+b.json"), body.as_bytes(), None)]);
            put += 1;
        }
        if round < 2 {
            wait_until("some to be read", async || {
                service.totals().await.filter(|totals| totals["events"].as_i64() > Some(round * 200))
            })
            .await;
            service.process.kill();
            service.process.spawn();
        }
    }
    service.until_events(600).await;
    // The last windows close when their time has passed, and with their commit the last messages go.
    Bucket::shared().put(&[("told/last.json".to_owned(), lines(start + 90_000, 1).as_bytes(), None)]);
    service.until_events(601).await;
    wait_until("the queue to be empty", async || (Bucket::shared().messages() <= 1).then_some(())).await;
    service.process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_with_headers_and_parquet_end_when_all_is_read() {
    let start = 1_772_409_600;
    let first = format!("at,country\n{start},DE\n{},FR\n", start + 60);
    let second = format!("country,at,more\nUS,{},x\n", start + 120);
    Bucket::shared().put(&[
        ("tables/1.csv".to_owned(), first.as_bytes(), None),
        ("tables/2.csv".to_owned(), &gzip(&second), None),
        ("parquet/1.parquet".to_owned(), &parquet_file(start * 1_000, 5_000), None),
        ("parquet/2.parquet".to_owned(), b"PAR1 and no more", None),
    ]);
    for (keys, events) in [
        ("url = \"s3://shop/tables/\"\nformat = \"csv\"\nfollow = false", 3),
        ("url = \"s3://shop/parquet/\"\nformat = \"parquet\"\nfollow = false", 5_000),
    ] {
        let mut service = Service::start(keys, "10m");
        service.until_events(events).await;
        let totals = service.totals().await.expect("the service answers");
        assert_eq!(totals["counted"], events, "{totals}");
        wait_until("the source to end", async || {
            let status = get_json(&format!("http://{}/api/v1/status", service.address)).await?;
            (status["sources"][0]["state"] == "ended").then_some(())
        })
        .await;
        service.process.stop();
    }
}

/// A Parquet file of `at` in milliseconds, `country`, and a column nobody asks for.
fn parquet_file(from_millis: i64, rows: i64) -> Vec<u8> {
    use std::sync::Arc;

    use parquet::{
        basic::Compression,
        data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    let schema = "message shop { REQUIRED INT64 at (TIMESTAMP(MILLIS,true)); REQUIRED BYTE_ARRAY country (STRING); \
                  OPTIONAL DOUBLE total; }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).expect("a writer");
    for part in 0..2 {
        let from = part * rows / 2;
        let count = rows / 2;
        let mut group = file.next_row_group().expect("a group");
        let at: Vec<i64> = (from..from + count).map(|row| from_millis + row * 1_000).collect();
        let country: Vec<ByteArray> = at.iter().map(|_| ByteArray::from("DE")).collect();
        let total: Vec<f64> = at.iter().map(|at| *at as f64).collect();
        let mut column = group.next_column().expect("a column").expect("three");
        column.typed::<Int64Type>().write_batch(&at, None, None).expect("written");
        column.close().expect("closed");
        let mut column = group.next_column().expect("a column").expect("three");
        column.typed::<ByteArrayType>().write_batch(&country, None, None).expect("written");
        column.close().expect("closed");
        let mut column = group.next_column().expect("a column").expect("three");
        let levels = vec![1; total.len()];
        column.typed::<DoubleType>().write_batch(&total, Some(&levels), None).expect("written");
        column.close().expect("closed");
        group.close().expect("closed");
    }
    file.into_inner().expect("closed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_one_clear_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("config.toml");
    let (url, key) = {
        let bucket = Bucket::shared();
        (bucket.url.clone(), bucket.key.clone())
    };
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"{}/tidewatch.db\"\n[sources.objects]\nkind = \"s3\"\n\
         url = \"s3://shop/hourly/\"\nendpoint = \"{url}\"\nregion = \"us-east-1\"\n[monitors.shop]\n\
         source = \"objects\"\ntimestamp = \"at\"\ninterval = \"5m\"\n[monitors.shop.measures]\nviews = {{ count = true }}\n",
        folder.path().display()
    );
    std::fs::write(&path, config).expect("a temporary file");
    let expected =
        "could not list `s3://shop/hourly/`: SignatureDoesNotMatch: The request signature we calculated";
    for (command, code) in [("run", 1), ("check", 1)] {
        let mut program = tidewatch([command, "--config"]);
        program.arg(&path).env("AWS_ACCESS_KEY_ID", &key).env("AWS_SECRET_ACCESS_KEY", "wrong");
        if command == "check" {
            program.arg("--online");
        }
        let said = tokio::task::block_in_place(|| finish(&mut program));
        let all = format!("{}{}", said.stdout, said.stderr);
        assert_eq!(said.code, Some(code), "{all}");
        assert_eq!(all.matches(expected).count(), 1, "{all}");
    }
}
