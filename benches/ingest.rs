//! Decode + window: events per second on one core, 200-byte JSON, at several numbers of series.
//!
//! `cargo bench --bench ingest`. The items/s column is events per second. Beside it: serde_json reading four
//! fields of the same records into a typed struct, which is the floor any decoder stands on.

use std::sync::Arc;

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use serde::Deserialize;
use tidewatch::{
    config::{Config, Environment},
    pipeline::{Engine, EngineLimits, Monitor},
    record::{Checkpoint, PartitionId, Position, Record, RecordBatch},
};

fn main() {
    divan::main();
}

const EVENTS: usize = 200_000;
const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z

/// Two dimensions whose values multiply to about `series / 2` leaf slices, two measures.
const CONFIG: &str = r#"
    [sources.events]
    kind = "http"
    [monitors.shop]
    source = "events"
    timestamp = "event_time"
    interval = "5m"
    dimensions = { country = "geo.country", page = "page" }
    rollups = [[], ["country", "page"]]
    [monitors.shop.measures]
    views = { count = true, where = { type = "page_view" } }
    revenue = { sum = "total" }
"#;

fn record(index: usize, slices: usize) -> String {
    let slice = (index * 7919) % slices;
    let (country, page) = (slice % 50, slice / 50);
    let millis = START + (index as i64) * 5;
    let time = jiff::Timestamp::from_millisecond(millis).expect("within range");
    format!(
        r#"{{"event_time":"{time:.3}","type":"page_view","visitor_id":"v{:07}","session_id":"s{:09}","geo":{{"country":"C{country:02}","city":"Anytown"}},"device":"mobile","page":"/product/{page:04}","total":12.50,"ok":true}}"#,
        index % 9_999_999,
        index * 31 % 999_999_999,
    )
}

fn batch(slices: usize) -> RecordBatch {
    let records: Vec<Record> =
        (0..EVENTS).map(|index| Record::new(Bytes::from(record(index, slices)))).collect();
    RecordBatch {
        partition: PartitionId::new("p"),
        from_exclusive: Position::Beginning,
        to_inclusive: Position::at(records.len() as u64),
        records,
        header: None,
        received_millis: None,
        lag_millis: None,
        ends_partition: false,
    }
}

fn engine() -> Engine {
    let source = Config::parse(CONFIG, &Environment::default()).expect("valid").sources.remove(0);
    let monitors = source.monitors.iter().map(|spec| Monitor::new(Arc::clone(spec))).collect();
    let limits = EngineLimits::default();
    Engine::new(source.id, source.decoder, monitors, Checkpoint::default(), false, limits)
}

/// Everything up to the closing of windows; `slices` leaf slices make `2 x slices` series.
#[divan::bench(args = [5, 500, 5_000], sample_count = 10, sample_size = 1)]
fn decode_and_window(bencher: Bencher<'_, '_>, slices: usize) {
    let batch = batch(slices);
    bencher
        .counter(ItemsCount::new(EVENTS))
        .with_inputs(|| (engine(), vec![batch.clone()]))
        .bench_local_values(|(mut engine, batches)| {
            engine.ingest(batches, 0).expect("fits");
            engine
        });
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read to be measured, not used")]
struct Typed<'a> {
    #[serde(borrow)]
    event_time: &'a str,
    #[serde(borrow)]
    r#type: &'a str,
    #[serde(borrow)]
    page: &'a str,
    total: f64,
}

/// The floor: serde_json alone, four fields, nothing done with them.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn typed_parse_alone(bencher: Bencher<'_, '_>) {
    let batch = batch(500);
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut total = 0.0;
        for record in &batch.records {
            let typed: Typed<'_> = serde_json::from_slice(&record.payload).expect("valid JSON");
            total += typed.total;
        }
        total
    });
}
