//! Enhanced fan-out where shards end while they are pushed, which only the emulator ferrokinesis shows: children are
//! begun after their parents' end, nothing is lost or doubled, subscriptions that run out are made anew, and iterators
//! that expire are renewed.
//!
//! Its known gap: a subscription begins with the oldest record, whatever was asked for. That makes each new
//! subscription repeat the shard, so these tests show that what was read is left out; resuming at a position is
//! tested in kinesis.rs.

#![cfg(feature = "kinesis")]

#[path = "support/ferrokinesis.rs"]
mod ferrokinesis_server;
#[path = "support/kinesis.rs"]
mod kinesis;
#[path = "support/kinesis_service.rs"]
mod kinesis_service;
#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "support/process.rs"]
mod process;

use std::time::Duration;

use ferrokinesis::store::StoreOptions;
use ferrokinesis_server::Ferrokinesis;
use kinesis::Stream;
use kinesis_service::{Sent, Service};

/// The part of a position that says that a shard was read to its end.
const DRAINED: &str = ".4294967295";
/// Events of a step, one a second.
const STEP: i64 = 150;

fn source(emulator: &Ferrokinesis, stream: &Stream, more: &str) -> String {
    format!(
        "stream = \"{}\"\nregion = \"us-east-1\"\nendpoint = \"http://{}\"\n{more}",
        stream.name, emulator.address
    )
}

async fn put_step(stream: &Stream, sent: &mut Sent, step: i64) {
    let records: Vec<_> = (0..STEP).map(|index| sent.record((step * STEP + index) * 1_000)).collect();
    for part in records.chunks(30) {
        stream.put(part).await;
    }
}

fn drained(service: &Service) -> usize {
    service.positions().values().filter(|position| position.ends_with(DRAINED)).count()
}

/// Until so many shards were read to their end. Their stored positions follow with the next results.
async fn wait_until_ended(service: &Service, wanted: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while service.log().matches("read to its end").count() < wanted {
        assert!(tokio::time::Instant::now() < deadline, "{}", service.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// No kill here, so every shard that closes does so while it is pushed: nothing is ever polled.
#[tokio::test(flavor = "multi_thread")]
async fn shards_that_end_while_they_are_pushed_are_followed_by_their_children() {
    let emulator = Ferrokinesis::start(StoreOptions::default()).await;
    let stream = emulator.stream("pushed", 1).await;
    let mut service = Service::configured(&source(&emulator, &stream, "fan_out = true\nconsumer = \"shop\""));
    let mut sent = Sent::seeded(71);
    service.spawn();
    service.wait_for_status(r#""state":"caught_up""#).await;
    for (step, shards, ended) in [(0, 2, 1), (1, 4, 3), (2, 3, 5)] {
        put_step(&stream, &mut sent, step).await;
        stream.reshard(shards).await;
        wait_until_ended(&service, ended).await;
    }
    put_step(&stream, &mut sent, 3).await;
    assert_eq!(stream.put_into_each(&Sent::last()).await, 3);
    service.wait_until_closed().await;
    assert_eq!(emulator.calls("GetRecords"), 0, "everything was pushed");
    assert!(emulator.calls("SubscribeToShard") >= 8, "one for each shard");
    for outcome in ["late", "after_close", "rejected", "over_limit"] {
        assert_eq!(service.metric(&Service::outcome(outcome)).await.unwrap_or(0.0), 0.0, "{outcome}");
    }
    service.stop();
    sent.assert_stored(&service.sums());
    assert_eq!(drained(&service), stream.shards().await.len() - 3, "every closed shard is read to its end");
}

/// Subscriptions of two seconds, and kill -9 at each step: shards end while they are pushed, or while nobody looks.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_run_out_and_kills_lose_and_double_nothing() {
    let options = StoreOptions { subscribe_to_shard_session_ms: 2_000, ..StoreOptions::default() };
    let emulator = Ferrokinesis::start(options).await;
    let stream = emulator.stream("killed", 2).await;
    let mut service = Service::configured(&source(&emulator, &stream, "fan_out = true\nconsumer = \"shop\""));
    let mut sent = Sent::seeded(72);
    service.spawn();
    service.wait_for_status(r#""state":"caught_up""#).await;
    for (step, shards) in [(0, 3), (1, 4), (2, 2), (3, 3)] {
        put_step(&stream, &mut sent, 2 * step).await;
        if step % 2 == 0 {
            service.kill();
        }
        stream.reshard(shards).await;
        if step % 2 == 1 {
            service.kill();
        }
        put_step(&stream, &mut sent, 2 * step + 1).await;
        service.spawn();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    assert_eq!(stream.put_into_each(&Sent::last()).await, 3);
    service.wait_until_closed().await;
    service.stop();
    sent.assert_stored(&service.sums());
    assert_eq!(drained(&service), stream.shards().await.len() - 3, "every closed shard is read to its end");
}

/// Iterators of one second, polled every three: each one has expired when it is used.
#[tokio::test(flavor = "multi_thread")]
async fn iterators_that_expire_are_renewed_at_the_record_after_the_last() {
    let emulator =
        Ferrokinesis::start(StoreOptions { iterator_ttl_seconds: 1, ..StoreOptions::default() }).await;
    let stream = emulator.stream("expiring", 2).await;
    let mut service = Service::configured(&source(&emulator, &stream, "poll = \"3s\""));
    let mut sent = Sent::seeded(73);
    service.spawn();
    for step in 0..3 {
        put_step(&stream, &mut sent, step).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(stream.put_into_each(&Sent::last()).await, 2);
    service.wait_until_closed().await;
    service.stop();
    assert!(emulator.calls("GetShardIterator") > 2, "iterators were renewed");
    sent.assert_stored(&service.sums());
}
