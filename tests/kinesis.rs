//! Against emulators of Kinesis: every record counts exactly once whatever is killed or resharded, parents before
//! children, nothing is lost silently, and what is wrong is said in one sentence that names stream and setting.
//!
//! `kinesis-local` is the base; what it cannot do and `kinesalite` can, or the other way round, is said where a
//! test leaves something out. See `Kind` in support/kinesis.rs for their known gaps.

#![cfg(feature = "kinesis")]

#[path = "support/faults.rs"]
mod faults;
#[path = "support/kinesis.rs"]
mod kinesis;
#[path = "support/kinesis_service.rs"]
mod kinesis_service;
#[path = "support/moto.rs"]
mod moto;
#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "support/process.rs"]
mod process;

use std::{sync::Arc, time::Duration};

use aws_sdk_kinesis::types::ShardIteratorType;
use faults::{Fault, Plan, Wire};
use kinesis::{Emulator, Kind, Stream, packed};
use kinesis_service::{START, Sent, Service};
use moto::{Key, Moto};

const HOUR: i64 = 3_600_000;
/// The part of a position that says that a shard was read to its end.
const DRAINED: &str = ".4294967295";

fn source(endpoint: &str, stream: &Stream, more: &str) -> String {
    format!("stream = \"{}\"\nregion = \"us-east-1\"\nendpoint = \"http://{endpoint}\"\n{more}", stream.name)
}

/// No child was begun before all of its parents were read to their end.
async fn assert_parents_first(service: &Service, stream: &Stream) {
    let positions = service.positions();
    let position = |shard: &str| positions.get(&format!("{}/{shard}", stream.name)).map(String::as_str);
    for shard in stream.shards().await {
        let begun = position(&shard.shard_id).is_some_and(|position| position != "beginning");
        for parent in shard.parent_shard_id.iter().chain(&shard.adjacent_parent_shard_id) {
            let done = position(parent).is_some_and(|position| position.ends_with(DRAINED));
            assert!(done || !begun, "{} was begun before {parent} was read: {positions:?}", shard.shard_id);
        }
    }
}

async fn reshard_under_load(kind: Kind, events: i64) {
    const STEPS: i64 = 12;
    let emulator = Emulator::shared(kind);
    let stream = emulator.stream("resharded", 1).await;
    let mut service = Service::configured(&source(&emulator.address(), &stream, ""));
    let mut sent = Sent::seeded(0x7469_6465);
    service.spawn();
    for step in 0..STEPS {
        let times = (step * events / STEPS..(step + 1) * events / STEPS).map(|index| index * HOUR / events);
        let records: Vec<_> = times.map(|millis| sent.record(millis)).collect();
        for part in records.chunks(100) {
            stream.put(part).await;
        }
        let kills = matches!(step, 1 | 2 | 4 | 5 | 7 | 8 | 10);
        if kills {
            service.kill();
            assert_parents_first(&service, &stream).await;
        }
        match step {
            2 => stream.reshard(4).await,
            5 => stream.reshard(2).await,
            8 => stream.reshard(3).await,
            _ => {}
        }
        if kills {
            service.spawn();
        }
    }
    assert_eq!(stream.put_into_each(&Sent::last()).await, 3);
    service.wait_until_closed().await;
    for outcome in ["revised", "late", "after_close", "rejected", "over_limit"] {
        assert_eq!(service.metric(&Service::outcome(outcome)).await.unwrap_or(0.0), 0.0, "{outcome}");
    }
    service.stop();
    sent.assert_stored(&service.sums());
    assert_parents_first(&service, &stream).await;
    let drained = service.positions().values().filter(|position| position.ends_with(DRAINED)).count();
    assert_eq!(drained, stream.shards().await.len() - 3, "every closed shard is read to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn resharding_under_load_and_kills_change_nothing() {
    reshard_under_load(Kind::KinesisLocal, 6_000).await;
}

/// The same without UpdateShardCount and ChildShards, which this emulator lacks, shard by shard.
#[tokio::test(flavor = "multi_thread")]
async fn splits_and_merges_under_load_and_kills_change_nothing() {
    reshard_under_load(Kind::Kinesalite, 12_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_records_are_taken_apart_and_a_wrong_checksum_is_an_ordinary_record() {
    let emulator = Emulator::shared(Kind::Kinesalite);
    let stream = emulator.stream("packed", 1).await;
    let mut sent = Sent::seeded(5);
    let events: Vec<String> = (0..20_000).map(|index| sent.event(index * HOUR / 20_000)).collect();
    let mut records: Vec<(u128, Vec<u8>)> = packed(&events).into_iter().map(|data| (0, data)).collect();
    assert!(records.len() > 1, "{} packs", records.len());
    let mut bad = packed(&[Sent::seeded(9).event(0)]).remove(0);
    let last = bad.len() - 1;
    bad[last] ^= 1;
    records.push((0, bad));
    // Two packs of up to a megabyte at a time.
    for part in records.chunks(2) {
        stream.put(part).await;
    }
    stream.put_into_each(&Sent::last()).await;
    let mut service = Service::configured(&source(&emulator.address(), &stream, ""));
    service.spawn();
    service.wait_until_closed().await;
    service.wait_for(&Service::trouble("damaged_pack"), 1.0).await;
    assert_eq!(service.metric(&Service::outcome("rejected")).await, Some(1.0));
    service.stop();
    sent.assert_stored(&service.sums());
}

/// The emulators keep everything; a record that has expired is made by a store that stands before the first one.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_beyond_retention_is_a_loss_that_is_told() {
    let emulator = Emulator::shared(Kind::Kinesalite);
    let stream = emulator.stream("expired", 1).await;
    let mut sent = Sent::seeded(11);
    let records: Vec<_> = (0..100).map(|index| sent.record(index * 1_000)).collect();
    stream.put(&records[..1]).await;
    let mut service = Service::configured(&source(&emulator.address(), &stream, ""));
    service.spawn();
    service.wait_for(&Service::outcome("counted"), 1.0).await;
    service.stop();
    let shard = stream.shards().await.remove(0);
    let first = shard.sequence_number_range.expect("a shard has numbers").starting_sequence_number;
    service.set_position(&format!("expired/{}", shard.shard_id), &first);
    stream.put(&records[1..]).await;
    service.spawn();
    service.wait_for(&Service::outcome("counted"), 100.0).await;
    service.wait_for(&Service::trouble("lost"), 1.0).await;
    assert!(service.log().contains("data lost"), "{}", service.log());
    service.stop();

    // A stream of the same name whose shard begins after what was read.
    service.set_position(&format!("expired/{}", shard.shard_id), &format!("1{}", "0".repeat(50)));
    let said = service.run_to_end();
    assert!(said.code == Some(1) && said.stderr.contains("the stream was made anew"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_and_a_time_begin_there_and_survive_a_crash_before_the_first_record() {
    let emulator = Emulator::shared(Kind::KinesisLocal);
    let stream = emulator.stream("begun", 2).await;
    let mut before = Sent::seeded(21);
    let old: Vec<_> = (0..50).map(|index| before.record(index * 1_000)).collect();
    stream.put(&old).await;
    stream.reshard(3).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let now = jiff::Timestamp::now().to_string();
    let mut latest = Service::configured(&source(&emulator.address(), &stream, "start = \"latest\""));
    let at_time = format!("start = \"{now}\"");
    let mut timed = Service::configured(&source(&emulator.address(), &stream, &at_time));
    for service in [&mut latest, &mut timed] {
        service.spawn();
        service.wait_for_status(r#""state":"caught_up""#).await;
        service.kill();
        assert!(service.positions().len() > 2, "{:?}", service.positions());
    }
    let mut sent = Sent::seeded(22);
    let new: Vec<_> = (0..50).map(|index| sent.record(index * 60_000)).collect();
    stream.put(&new).await;
    stream.put_into_each(&Sent::last()).await;
    for service in [&mut latest, &mut timed] {
        service.spawn();
        service.wait_until_closed().await;
        service.stop();
        sent.assert_stored(&service.sums());
    }
}

/// Reads are throttled, fail, come late or are cut off; then nobody answers for a while. The emulators themselves
/// throttle no reads.
#[tokio::test(flavor = "multi_thread")]
async fn throttling_failures_late_answers_and_cuts_lose_nothing() {
    let emulator = Emulator::shared(Kind::Kinesalite);
    let stream = emulator.stream("troubled", 3).await;
    let throttled = Fault::Refuse("ProvisionedThroughputExceededException");
    let faults = vec![
        throttled,
        Fault::Fail,
        Fault::Slow(Duration::from_secs(11)), // longer than a call may take
        Fault::Refuse("ExpiredIteratorException"),
        throttled,
        Fault::Slow(Duration::from_millis(300)),
        Fault::Fail,
    ];
    let plan = Arc::new(Plan::new(emulator.address(), faults));
    let wire = Wire::to(plan.serve().await.to_string()).await;
    let mut service = Service::configured(&source(&wire.address.to_string(), &stream, ""));
    let mut sent = Sent::seeded(31);
    service.spawn();
    for step in 0..24 {
        let records: Vec<_> = (0..100).map(|index| sent.record((step * 100 + index) * 1_000)).collect();
        stream.put(&records).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
        if step % 3 == 0 {
            wire.cut();
        }
    }
    service.wait_for(&Service::trouble("throttled"), 2.0).await;
    service.wait_for(&Service::trouble("reconnect"), 3.0).await;
    plan.calm();
    service.wait_for_status(r#""state":"caught_up""#).await;

    wire.set_down(true);
    service.wait_for_status(r#""state":"unreachable""#).await;
    let before = wire.refused();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tries = wire.refused() - before;
    assert!(tries <= 30, "{tries} tries of three shards in two seconds");
    stream.put_into_each(&Sent::last()).await;
    wire.set_down(false);
    service.wait_until_closed().await;
    assert!(plan.given() > 7, "{} faults", plan.given());
    service.stop();
    assert!(service.log().contains("Kinesis stream `troubled` in us-east-1 at http://127.0.0.1:"));
    sent.assert_stored(&service.sums());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_shards_is_read_page_by_page_and_an_arn_names_the_stream() {
    let emulator = Emulator::shared(Kind::KinesisLocal);
    let stream = emulator.stream("wide", 7).await;
    let plan = Arc::new(Plan::with_small_pages(emulator.address()));
    let address = plan.serve().await;
    let about = stream.client.describe_stream_summary().stream_name("wide").send().await;
    let arn = about.ok().and_then(|about| about.stream_description_summary).expect("a summary").stream_arn;
    let keys = format!("stream_arn = \"{arn}\"\nendpoint = \"http://{address}\"");
    let mut service = Service::configured(&keys);
    let mut sent = Sent::seeded(41);
    let records: Vec<_> = (0..200).map(|index| sent.record(index * 1_000)).collect();
    stream.put(&records).await;
    assert_eq!(stream.put_into_each(&Sent::last()).await, 7);
    service.spawn();
    service.wait_until_closed().await;
    let before = plan.calls("GetRecords");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calls = plan.calls("GetRecords") - before;
    assert!(
        (7..=7 * 11).contains(&calls),
        "{calls} calls for seven shards in two seconds, five a second each"
    );
    service.stop();
    assert!(plan.calls("ListShards") >= 4, "{} pages", plan.calls("ListShards"));
    sent.assert_stored(&service.sums());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_signed_and_a_wrong_key_is_one_clear_error() {
    let event = format!(r#"{{"t":{START},"c":"DE","v":1}}"#);
    let moto = Moto::start("signed", &event);
    let keys = format!("stream = \"signed\"\nregion = \"us-east-1\"\nendpoint = \"http://{}\"", moto.address);
    let as_ = |key: &Key, more: &str| {
        let service = Service::configured(&format!("{keys}\n{more}"));
        let service = service.with("AWS_ACCESS_KEY_ID", &key.id).with("AWS_SECRET_ACCESS_KEY", &key.secret);
        service.with("AWS_ENDPOINT_URL_STS", &format!("http://{}", moto.address))
    };
    let role = format!("role_arn = \"{}\"", moto.role);
    for mut service in [as_(&moto.reader, ""), as_(&moto.stranger, &role)] {
        service.spawn();
        service.wait_for(&Service::outcome("counted"), 1.0).await;
        service.stop();
    }
    let wrong = Key { id: moto.reader.id.clone(), secret: "wrong-and-never-shown".into() };
    let unknown = Key { id: "AKIDUNKNOWN".into(), secret: "wrong-and-never-shown".into() };
    let none = as_(&wrong, "").with("AWS_ACCESS_KEY_ID", "").with("AWS_SECRET_ACCESS_KEY", "");
    for (service, words) in [
        (as_(&wrong, ""), "was refused; check the credentials that `sources.clicks` runs with"),
        (as_(&unknown, ""), "was refused; check the credentials that `sources.clicks` runs with"),
        (none, "no credentials were found"),
    ] {
        let said = service.run_to_end();
        assert_eq!(said.code, Some(1), "{}", said.stderr);
        let errors = said.stderr.lines().filter(|line| line.contains("Kinesis stream `signed` in us-east-1"));
        assert_eq!(errors.count(), 1, "{}", said.stderr);
        assert!(said.stderr.contains(words), "{}", said.stderr);
        assert!(!said.stderr.contains("never-shown"), "{}", said.stderr);
    }
}

/// As Amazon words it, which no emulator does.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_the_setting() {
    let emulator = Emulator::shared(Kind::Kinesalite);
    let stream = emulator.stream("refused", 1).await;
    let at = async |code| Arc::new(Plan::refusing(emulator.address(), code)).serve().await.to_string();
    for (code, words) in [
        (
            "UnrecognizedClientException",
            "the access key was refused; check the credentials that `sources.clicks`",
        ),
        ("InvalidSignatureException", "the access key was refused"),
        ("AccessDeniedException", "allow kinesis:ListShards or check `sources.clicks.role_arn`"),
    ] {
        let said = Service::configured(&source(&at(code).await, &stream, "")).run_to_end();
        assert_eq!(said.code, Some(1), "{code}: {}", said.stderr);
        assert!(said.stderr.contains(words), "{code}: {}", said.stderr);
    }
    let mut service = Service::configured(&source(&at("ResourceNotFoundException").await, &stream, ""));
    service.spawn();
    service
        .wait_for_status("there is no such stream; check `sources.clicks.stream` and `sources.clicks.region`")
        .await;
    service.stop();
}

/// A closed shard never ends in this emulator's fan-out, so the shards stay the same here; see the splits above
/// for children, which are begun by the same code.
async fn receive_through_cuts_and_kills(name: &str, has_tls: bool) {
    let emulator = Emulator::shared(Kind::KinesisLocal);
    let stream = emulator.stream(name, 2).await;
    let wire = Wire::to(if has_tls { emulator.tls_address() } else { emulator.address() }).await;
    let scheme = if has_tls { "https" } else { "http" };
    let keys = source(&wire.address.to_string(), &stream, "fan_out = true\nconsumer = \"shop\"");
    let keys = keys.replace("http://127.0.0.1", &format!("{scheme}://localhost"));
    let mut service = Service::configured(&keys).with("SSL_CERT_FILE", &emulator.authority());
    let mut sent = Sent::seeded(51);
    service.spawn();
    service.wait_for_status(r#""state":"caught_up""#).await;
    for step in 0..4_i64 {
        let records: Vec<_> = (0..200).map(|index| sent.record((step * 200 + index) * 1_000)).collect();
        for part in records.chunks(20) {
            stream.put(part).await;
        }
        match step {
            0 | 1 => wire.cut(),
            2 => {
                service.kill();
                service.spawn();
            }
            _ => {}
        }
    }
    stream.put_into_each(&Sent::last()).await;
    service.wait_until_closed().await;
    assert_eq!(service.metric(&Service::trouble("polled_instead")).await.unwrap_or(0.0), 0.0);
    service.stop();
    sent.assert_stored(&service.sums());
    let about = stream.client.describe_stream_summary().stream_name(name).send().await.expect("a stream");
    let consumers = about.stream_description_summary.and_then(|about| about.consumer_count);
    assert_eq!(consumers, Some(1), "found again by its name");
}

#[tokio::test(flavor = "multi_thread")]
async fn fan_out_goes_on_after_cuts_and_kills_without_loss_or_duplicates() {
    receive_through_cuts_and_kills("pushed", false).await;
}

/// As Amazon does it.
#[tokio::test(flavor = "multi_thread")]
async fn fan_out_goes_on_over_tls_and_http_2() {
    receive_through_cuts_and_kills("pushed-over-tls", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_knows_no_fan_out_is_polled_and_that_is_told() {
    let emulator = Emulator::shared(Kind::Kinesalite);
    let stream = emulator.stream("polled", 2).await;
    let mut service = Service::configured(&source(&emulator.address(), &stream, "fan_out = true"));
    let mut sent = Sent::seeded(61);
    let records: Vec<_> = (0..100).map(|index| sent.record(index * 1_000)).collect();
    stream.put(&records).await;
    stream.put_into_each(&Sent::last()).await;
    service.spawn();
    service.wait_until_closed().await;
    service.wait_for(&Service::trouble("polled_instead"), 1.0).await;
    assert!(service.log().contains("no consumer for fan-out"), "{}", service.log());
    service.stop();
    sent.assert_stored(&service.sums());
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// As shops have them: compressed lines, and what a subscription of CloudWatch Logs sends.
#[tokio::test(flavor = "multi_thread")]
async fn compressed_lines_and_log_events_count_one_by_one() {
    let emulator = Emulator::shared(Kind::Kinesalite);
    let stream = emulator.stream("logged", 1).await;
    let mut sent = Sent::seeded(71);
    let lines: Vec<String> = (0..300).map(|index| sent.event(index * 1_000)).collect();
    let messages: Vec<serde_json::Value> = (0..300)
        .map(|index| {
            let message = sent.event(300_000 + index * 1_000);
            serde_json::json!({"id": index.to_string(), "timestamp": START, "message": message})
        })
        .collect();
    let document = |kind: &str, events: &[serde_json::Value]| {
        let document = serde_json::json!({
            "messageType": kind, "owner": "123456789012", "logGroup": "shop", "logStream": "web-1",
            "subscriptionFilters": ["all"], "logEvents": events,
        });
        (0, gzip(&document.to_string()))
    };
    let check = serde_json::json!({"id": "", "timestamp": START, "message": "CWL CONTROL MESSAGE"});
    let records = [
        document("CONTROL_MESSAGE", &[check]),
        (0, gzip(&lines.join("\n"))),
        document("DATA_MESSAGE", &messages),
    ];
    stream.put(&records).await;
    stream.put_into_each(&Sent::last()).await;
    let mut service = Service::configured(&source(&emulator.address(), &stream, ""));
    service.spawn();
    service.wait_until_closed().await;
    assert_eq!(service.metric(&Service::outcome("rejected")).await.unwrap_or(0.0), 0.0);
    service.stop();
    sent.assert_stored(&service.sums());
}

/// Reads all there is, as fast as the emulator answers: records, bytes.
async fn read_bare(stream: &Stream) -> (usize, usize) {
    let mut readers = tokio::task::JoinSet::new();
    for shard in stream.open_shards().await {
        let (client, name) = (stream.client.clone(), stream.name.clone());
        readers.spawn(async move {
            let request = client.get_shard_iterator().stream_name(name).shard_id(shard.shard_id);
            let asked = request.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
            let mut iterator = asked.expect("an iterator").shard_iterator;
            let (mut records, mut bytes) = (0, 0);
            loop {
                let asked = client.get_records().set_shard_iterator(iterator).send().await;
                let answer = asked.expect("records");
                records += answer.records.len();
                bytes += answer.records.iter().map(|record| record.data.as_ref().len()).sum::<usize>();
                iterator = answer.next_shard_iterator;
                if answer.millis_behind_latest == Some(0) {
                    return (records, bytes);
                }
            }
        });
    }
    let read = readers.join_all().await;
    read.into_iter().fold((0, 0), |sum, read| (sum.0 + read.0, sum.1 + read.1))
}

/// Also writes how long it took beside a bare loop over the same records, for docs/kinesis.md.
#[tokio::test(flavor = "multi_thread")]
async fn many_packed_events_of_four_shards_are_all_counted() {
    const EVENTS: i64 = 120_000;
    let emulator = Emulator::shared(Kind::Kinesalite);
    let stream = emulator.stream("many", 4).await;
    let mut sent = Sent::seeded(81);
    let events: Vec<String> = (0..EVENTS).map(|index| sent.event(index * HOUR / EVENTS)).collect();
    for (index, part) in events.chunks(EVENTS as usize / 16).enumerate() {
        let packs = packed(part).into_iter().map(|pack| ((index as u128 % 4) << 126, pack));
        stream.put(&packs.collect::<Vec<_>>()).await;
    }
    stream.put_into_each(&Sent::last()).await;
    let began = tokio::time::Instant::now();
    let (records, bytes) = read_bare(&stream).await;
    let bare = began.elapsed();
    // Four shards that are read one after the other in the time of the events would hold each other up.
    let mut service = Service::configured(&source(&emulator.address(), &stream, "max_skew = \"24h\""));
    let began = tokio::time::Instant::now();
    service.spawn();
    service.wait_for(&Service::outcome("counted"), EVENTS as f64 + 4.0).await;
    let ours = began.elapsed();
    service.wait_until_closed().await;
    service.stop();
    sent.assert_stored(&service.sums());
    let figures = format!(
        "{EVENTS} events in {records} records of {bytes} bytes, 4 shards: bare {bare:?}, start to counted {ours:?}\n"
    );
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("kinesis-throughput.txt");
    std::fs::write(path, figures).expect("a file");
}
