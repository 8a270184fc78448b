//! History is put before the first window of a monitor, at rest and while it runs: nothing is lost or doubled at the
//! boundary, and it goes on as one that was there all the time.

mod support;

#[path = "support/running.rs"]
mod running;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use running::Running;
use rusqlite::{Connection, OpenFlags};
use support::{
    SHOP, assert_conserved, batch, engine,
    process::{Said, finish, get_json, tidewatch, wait_for, wait_until},
    source,
};
use tidewatch::{
    backtest::{Preparation, Prepared, prepare},
    pipeline::{
        BackfillProgress, Engine, EngineLimits, History, HistoryRange, IncidentQuery, MonitorSpec,
        SHARD_SLICES, ShardFrame, Source, SourceError, StatusBoard, Store, StoredScore, SystemClock,
        backfill, restore,
    },
    record::Checkpoint,
    sources::{FileSource, FileSourceConfig},
    store::{Durability, SqliteStore},
    window::Cell,
};
use tidewatch_datasets::shop::{FaultPlan, Shop, ShopConfig};
use tokio::net::TcpListener;

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;
const WIDTH: i64 = 15 * MINUTE;

/// The shop with fewer windows.
fn shop() -> String {
    SHOP.replace("interval = \"5m\"", "interval = \"15m\"")
}

/// A shop's events with their times, in order.
fn events(days: i64, rate: f64) -> Vec<(i64, String)> {
    let faults = FaultPlan::Given(vec![]);
    let shop = ShopConfig { seed: 5, start_millis: START, days: days as u32, rate, faults };
    let line = |event: tidewatch_datasets::shop::ShopEvent| {
        let mut line = Vec::new();
        event.write_json(&mut line);
        (event.time_millis, String::from_utf8(line).expect("JSON is text"))
    };
    Shop::new(&shop).map(line).collect()
}

fn between(events: &[(i64, String)], from: i64, to: i64) -> Vec<String> {
    let chosen = events.iter().filter(|(time, _)| (from..to).contains(time));
    chosen.map(|(_, line)| line.clone()).collect()
}

type Row = (u64, Vec<Option<Cell>>, Vec<Option<StoredScore>>);

/// Every stored row in which something happened, by the start of its window and its slice.
async fn rows(store: &dyn History, monitor: &str) -> BTreeMap<(i64, String), Row> {
    let slices = store.slices(monitor).await.expect("a store");
    let range =
        HistoryRange { from_millis: i64::MIN, to_millis: i64::MAX, shard: None, limit: usize::MAX >> 1 };
    let mut rows = BTreeMap::new();
    for blob in store.frames(monitor, range).await.expect("a store") {
        let frame = ShardFrame::decode(&blob.bytes).expect("a frame");
        let width = frame.cells.len() / frame.events.len();
        for (row, events) in frame.events.iter().enumerate().filter(|(_, events)| **events > 0) {
            let of = row * width..(row + 1) * width;
            let key = (blob.start_millis, slices[blob.shard * SHARD_SLICES + row].to_string());
            rows.insert(key, (*events, frame.cells[of.clone()].to_vec(), frame.scores[of].to_vec()));
        }
    }
    rows
}

/// Events and cells.
type Values<'a> = (u64, &'a Vec<Option<Cell>>);

fn values(rows: &BTreeMap<(i64, String), Row>) -> BTreeMap<&(i64, String), Values<'_>> {
    rows.iter().map(|(key, (events, cells, _))| (key, (*events, cells))).collect()
}

async fn stored(engine: &mut Engine, store: &SqliteStore) {
    let commit = engine.take_commit(true, 0).expect("something to store").0;
    store.commit(&commit).await.expect("it fits");
}

/// An engine over these lines from the beginning, and its store.
async fn over(lines: &[String], ends: bool, path: &Path) -> (Engine, SqliteStore) {
    let store = SqliteStore::open(path, Durability::Normal).expect("a store");
    let mut engine = engine(&shop(), 1);
    engine.ingest(vec![batch("live", 0, lines, ends)], 0).expect("it fits");
    stored(&mut engine, &store).await;
    (engine, store)
}

async fn prepared(file: &Path, store: &Path) -> Prepared {
    let source = source(&shop());
    let files = FileSourceConfig {
        paths: vec![file.display().to_string()],
        format: source.format,
        fields: source.decoder.fields().to_vec(),
        record_bytes_max: source.record_bytes_max,
        speed: None,
    };
    let preparation = Preparation {
        inputs: file.display().to_string(),
        decoder: source.decoder,
        spec: Arc::clone(&source.monitors[0]),
        limits: EngineLimits::default(),
        store: store.to_owned(),
    };
    let open = |checkpoint: &Checkpoint| -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(FileSource::new(files.clone(), checkpoint)?))
    };
    prepare(preparation, open, Arc::new(SystemClock), StatusBoard::default()).await.expect("it is read")
}

async fn taken_over(store: &SqliteStore, spec: &Arc<MonitorSpec>, until: i64) -> Vec<BackfillProgress> {
    let mut steps = Vec::new();
    backfill(store, Arc::clone(spec), until, |step| steps.push(step)).await.expect("it is taken over");
    steps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_goes_on_as_if_the_history_had_been_there_all_the_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let all = events(15, 4.0);
    // Live begins in the middle of a window; the history reaches beyond the end of that.
    let (live_from, today, end) = (START + 13 * DAY + 7 * MINUTE, START + 14 * DAY, START + 15 * DAY);
    std::fs::write(at("past.ndjson"), between(&all, START, live_from + 10 * MINUTE).join("\n")).unwrap();
    let (yesterday, last_day) = (between(&all, live_from, today), between(&all, today, end));
    let (_, store) = over(&yesterday, false, &at("live.db")).await;
    let spec = Arc::clone(&source(&shop()).monitors[0]);

    let past = prepared(&at("past.ndjson"), &at("live.db")).await;
    let steps = taken_over(&store, &spec, i64::MAX).await;
    past.remove().unwrap();
    assert!(steps.len() > 1, "{steps:?}");
    let added: u64 = steps.iter().map(|step| step.added).sum();
    assert_eq!(
        (added, steps.last().unwrap().left),
        (13 * 96, 0),
        "the cut window is there, and becomes whole"
    );
    let incidents = IncidentQuery { limit: 1_000, ..IncidentQuery::default() };
    let of_past = store.incidents(&incidents).await.unwrap();
    assert!(
        of_past.iter().all(|incident| incident.opened_millis >= live_from),
        "nobody was told of the past"
    );

    let whole: Vec<String> = all.iter().map(|(_, line)| line.clone()).collect();
    let (_, straight) = over(&whole, true, &at("straight.db")).await;
    let of_straight = rows(&straight, "shop").await;
    let (mut by_then, mut of_last_day) = (of_straight.clone(), of_straight);
    by_then.retain(|(start, _), _| *start < today - WIDTH);
    of_last_day.retain(|(start, _), _| *start >= today);
    let joined = rows(&store, "shop").await;
    assert_eq!(values(&joined), values(&by_then), "every window has what one that was always there counted");

    let source = source(&shop());
    let mut goes_on =
        restore(&store, source.id, source.decoder, source.monitors, false, EngineLimits::default(), 0)
            .await
            .unwrap();
    assert!(goes_on.status()[0].learning.is_none(), "it scores");
    goes_on.ingest(vec![batch("live", yesterday.len(), &last_day, true)], 0).unwrap();
    stored(&mut goes_on, &store).await;
    assert_conserved(&goes_on);
    let mut now = rows(&store, "shop").await;
    now.retain(|(start, _), _| *start >= today);
    assert!(now == of_last_day, "every window of the last day has the same values and scores, bit by bit");
    let scored = now.values().flat_map(|(_, _, scores)| scores).flatten().count();
    assert!(scored > 1_000, "{scored}");

    let past = prepared(&at("past.ndjson"), &at("live.db")).await;
    let before = rows(&store, "shop").await;
    assert_eq!(taken_over(&store, &spec, i64::MAX).await, [], "the same again adds nothing");
    past.remove().unwrap();
    assert!(rows(&store, "shop").await == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_that_never_ran_starts_behind_the_history_and_only_up_to_a_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let all = events(3, 4.0);
    std::fs::write(at("past.ndjson"), between(&all, START, START + 2 * DAY).join("\n")).unwrap();
    let store = SqliteStore::open(&at("new.db"), Durability::Normal).unwrap();
    let source = source(&shop());
    let spec = Arc::clone(&source.monitors[0]);
    let past = prepared(&at("past.ndjson"), &at("new.db")).await;
    taken_over(&store, &spec, START + DAY).await;
    assert_eq!(store.span("shop").await.unwrap(), Some((START, START + DAY - WIDTH)), "up to the time");
    taken_over(&store, &spec, i64::MAX).await;
    assert_eq!(
        store.span("shop").await.unwrap().unwrap().1,
        START + DAY - WIDTH,
        "nothing behind what is there"
    );
    past.remove().unwrap();

    let mut engine =
        restore(&store, source.id, source.decoder, source.monitors, false, EngineLimits::default(), 0)
            .await
            .unwrap();
    let lines = between(&all, START + DAY - 20 * MINUTE, START + 3 * DAY);
    engine.ingest(vec![batch("live", 0, &lines, true)], 0).unwrap();
    let totals = assert_conserved(&engine);
    assert!(totals.after_close > 0, "windows of the history stay closed");
    stored(&mut engine, &store).await;
    assert_eq!(store.span("shop").await.unwrap().unwrap().1, START + 3 * DAY - WIDTH);
}

/// A service that takes posts, with windows of ten minutes.
fn config(folder: &Path, address: &str) -> String {
    let path = folder.display();
    format!(
        r#"
        [server]
        listen = "{address}"
        [store]
        path = "{path}/shop.db"
        durability = "normal"
        [sources.posts]
        kind = "http"
        [monitors.shop]
        source = "posts"
        timestamp = "event_time"
        interval = "10m"
        allowed_lateness = "30s"
        idle_timeout = "1d"
        dimensions = {{ country = "geo.country" }}
        [monitors.shop.measures]
        views = {{ count = true, where = {{ type = "page_view" }} }}
        visitors = {{ distinct = "visitor_id" }}
        "#
    )
}

async fn post(address: &str, lines: &[String]) {
    for lines in lines.chunks(5_000) {
        let request = reqwest::Client::new().post(format!("http://{address}/v1/events?source=posts"));
        let answer = request.body(lines.join("\n")).send().await.expect("the service answers");
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
    }
}

fn num_frames(store: &Path) -> Option<i64> {
    let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    store.query_row("SELECT count(*) FROM frames", [], |row| row.get(0)).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_done_while_the_service_runs_and_goes_on_after_a_kill() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    let all = events(11, 12.0);
    let (live_from, now) = (START + 10 * DAY + 4 * MINUTE, START + 10 * DAY + 120 * MINUTE);
    std::fs::write(at("past.ndjson"), between(&all, START, live_from + 16 * MINUTE).join("\n")).unwrap();
    let mut service = Running::configured(folder.path(), &config(folder.path(), &address));
    service.spawn();
    let status = format!("http://{address}/api/v1/status");
    wait_until("the service", async || get_json(&status).await).await;
    post(&address, &between(&all, live_from, now)).await;

    let (config, input) = (at("config.toml").display().to_string(), at("past.ndjson").display().to_string());
    let command = || tidewatch(["backfill", "--config", &config, "--monitor", "shop", &input]);
    let backlog = SqliteStore::backlog_path(&at("shop.db"), "shop");
    let mut killed = command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let read = wait_for("its first windows", || num_frames(&backlog).filter(|count| *count > 0));
    assert!(killed.try_wait().unwrap().is_none(), "it is under way");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(read < 10 * 144);

    let said: Said = finish(&mut command());
    assert_eq!(said.code, Some(0), "{said:?}\n{}", service.log());
    assert!(said.stdout.contains("1440 of them added"), "{said:?}");
    assert!(!backlog.exists(), "nothing is left lying about");
    post(&address, &between(&all, now, START + 11 * DAY)).await;
    let again = finish(&mut command());
    assert!(again.stdout.contains("nothing was added"), "{again:?}");
    service.stop();
    service.spawn();
    wait_until("the service", async || get_json(&status).await).await;
    service.stop();

    let live = SqliteStore::open(&at("shop.db"), Durability::Normal).unwrap();
    let joined = rows(&live, "shop").await;
    let text = std::fs::read_to_string(at("config.toml")).unwrap();
    let lines: Vec<String> = all.iter().map(|(_, line)| line.clone()).collect();
    let straight = SqliteStore::open(&at("straight.db"), Durability::Normal).unwrap();
    let mut engine = engine(&text, 1);
    engine.ingest(vec![batch("live", 0, &lines, false)], 0).expect("it fits");
    stored(&mut engine, &straight).await;
    let of_straight = rows(&straight, "shop").await;
    assert_eq!(values(&joined), values(&of_straight));
    let last_day = |rows: &BTreeMap<(i64, String), Row>| {
        let mut rows = rows.clone();
        rows.retain(|(start, _), _| *start >= now);
        rows
    };
    assert!(last_day(&joined) == last_day(&of_straight), "the same scores since the backfill");
    assert!(last_day(&joined).values().any(|(_, _, scores)| scores.iter().any(Option::is_some)));
}
