//! A monitor trained on two weeks goes on as if it had always run: with its own source at its own checkpoint,
//! without telling anybody of the past.

mod support;

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use support::{
    Results, SHOP, assert_conserved, batches, engine,
    process::{Process, finish, tidewatch, wait_for},
    source,
};
use tidewatch::{
    anomaly::IncidentState,
    backtest::{TrainError, Trained, Training, train},
    pipeline::{EngineLimits, History, IncidentQuery, SourceState, StatusBoard, Store, SystemClock, restore},
    record::{Checkpoint, SourceId},
    sources::{FileSource, FileSourceConfig},
    store::{Durability, SqliteStore},
};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, Shop, ShopConfig};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const HOUR: i64 = 3_600_000;
const TRAINED_HOURS: i64 = 14 * 24;

/// Fifteen days of a shop with a rush in the second week and one on the last day, cut where training ends.
fn days() -> [Vec<String>; 2] {
    let rush = |hour: i64| Fault {
        start_millis: START + hour * HOUR,
        end_millis: START + (hour + 1) * HOUR,
        measure: "views",
        slice: vec![],
        kind: FaultKind::Rise,
        size: 9.0,
    };
    let faults = FaultPlan::Given(vec![rush(10 * 24 + 15), rush(TRAINED_HOURS + 12)]);
    let config = ShopConfig { seed: 5, start_millis: START, days: 15, rate: 6.0, faults };
    let mut days = [Vec::new(), Vec::new()];
    for event in Shop::new(&config) {
        let mut line = Vec::new();
        event.write_json(&mut line);
        let trained = event.time_millis < START + TRAINED_HOURS * HOUR;
        days[usize::from(!trained)].push(String::from_utf8(line).expect("JSON is text"));
    }
    days
}

async fn train_on(lines: &[String], folder: &Path, store: &Path) -> Result<Trained, TrainError> {
    let history = folder.join("history.ndjson");
    std::fs::write(&history, lines.join("\n")).expect("a temporary file");
    let source = source(SHOP);
    let files = FileSourceConfig {
        paths: vec![history.display().to_string()],
        format: source.format,
        fields: source.decoder.fields().to_vec(),
        record_bytes_max: source.record_bytes_max,
        speed: None,
    };
    let training = Training {
        source_id: source.id,
        decoder: source.decoder,
        spec: source.monitors[0].clone(),
        limits: EngineLimits::default(),
        path: store.to_owned(),
        durability: Durability::Normal,
    };
    let files = FileSource::new(files, &Checkpoint::default()).expect("the file is there");
    train(training, Box::new(files), Arc::new(SystemClock), StatusBoard::default()).await
}

/// What an engine that starts from the store says of the last day.
async fn go_on(store: &SqliteStore, lines: &[String]) -> Results {
    let source = source(SHOP);
    let limits = EngineLimits::default();
    let mut engine =
        restore(store, source.id, source.decoder, source.monitors, false, limits, 0).await.expect("restores");
    assert!(engine.status()[0].learning.is_none(), "scores already");
    // Nobody has spoken: the clock closes nothing.
    engine.tick(START + 400 * 24 * HOUR, &SourceState::CaughtUp);
    let mut results = Results::default();
    for batch in batches("live", lines, &[700]) {
        engine.ingest(vec![batch], 0).expect("batches fit");
    }
    results.take(engine.take_commit(true, 0).map(|(commit, _)| commit).as_ref());
    assert_conserved(&engine);
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trained_monitor_goes_on_bit_by_bit_as_one_that_never_stopped() {
    let [past, last_day] = days();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("shop.db");
    let trained = train_on(&past, folder.path(), &path).await.expect("trains");
    assert_eq!((trained.summary.windows, trained.learning), (14 * 288, None));
    assert_eq!(trained.summary.records_in, past.len() as u64);

    let store = SqliteStore::open(&path, Durability::Normal).expect("a store");
    let of_past = store.incidents(&IncidentQuery { limit: 1_000, ..IncidentQuery::default() }).await.unwrap();
    assert!(of_past.iter().any(|incident| incident.severity.peak > 70.0), "the rush of the second week");
    assert!(of_past.iter().all(|incident| incident.state == IncidentState::Closed && !incident.is_told()));
    assert!(store.outbox_rows().unwrap().is_empty(), "nobody is told of the past");
    let restored = store.restore(&SourceId::new("events")).await.unwrap();
    assert_eq!(restored.checkpoint, Checkpoint::default(), "the live source starts at its own beginning");

    let mut straight = engine(SHOP, 1);
    let mut of_all = Results::default();
    let all: Vec<String> = past.iter().chain(&last_day).cloned().collect();
    for batch in batches("live", &all, &[900]) {
        straight.ingest(vec![batch], 0).expect("batches fit");
    }
    of_all.take(straight.take_commit(true, 0).map(|(commit, _)| commit).as_ref());
    let of_day = go_on(&store, &last_day).await;
    let ends = START + TRAINED_HOURS * HOUR;
    assert_eq!(of_day.frames.keys().next().map(|(start, _)| *start), Some(ends));
    let same = of_all.frames.range((ends, 0)..).eq(&of_day.frames);
    assert!(same, "every window of the last day has the same values and scores");
    assert!(!of_day.alerts.is_empty(), "the rush of the last day is told");
    assert!(of_day.alerts.iter().all(|alert| of_all.alerts.contains(alert)), "{:?}", of_day.alerts);
    assert!(of_all.alerts.len() > of_day.alerts.len(), "one that never stopped has told of the past");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_not_trained_over_and_a_failed_training_leaves_nothing() {
    let [past, _] = days();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("shop.db");
    let nothing = train_on(&["no JSON".to_owned()], folder.path(), &path).await;
    assert!(matches!(nothing, Err(TrainError::Empty { events: 1, rejected: 1 })), "{nothing:?}");
    train_on(&past[..5_000], folder.path(), &path).await.expect("the failed one left nothing");
    let refused = train_on(&past[..5_000], folder.path(), &path).await.unwrap_err().to_string();
    for word in ["shop.db", "already holds windows of monitor `shop`", "--out"] {
        assert!(refused.contains(word), "{refused}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("training")), "{left:?}");
}

#[test]
fn train_then_run_as_people_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    for (out, start, days) in [("past", "2026-01-05T00:00:00Z", "3"), ("live", "2026-01-08T06:00:00Z", "1")] {
        let said = finish(&mut tidewatch([
            "simulate",
            "--seed",
            "4",
            "--days",
            days,
            "--rate",
            "10",
            "--faults",
            "0",
            "--start",
            start,
            "--out",
            &at(out),
        ]));
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let config = std::fs::read_to_string(folder.path().join("past/config.toml")).unwrap();
    let config = config.replace("\"events.ndjson.gz\"", &format!("{:?}", at("live/events.ndjson.gz")));
    let server = format!("[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = {:?}\n", at("shop.db"));
    std::fs::write(folder.path().join("config.toml"), server + &config).unwrap();
    let (config, past) = (at("config.toml"), at("past/events.ndjson.gz"));
    let train = ["train", "--config", &config, "--monitor", "shop", &past];
    let said = finish(&mut tidewatch(train));
    assert_eq!(said.code, Some(0), "{said:?}");
    for words in ["series trained on 864 windows up to 2026-01-08T00:00:00Z", "warm up", "shop.db"] {
        assert!(said.stdout.contains(words), "no `{words}` in {said:?}");
    }
    let again = finish(&mut tidewatch(train));
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("already holds windows"), "{again:?}");

    let process = Process::start(&mut tidewatch(["run", "--config", &config]));
    let connection = Connection::open(at("shop.db")).unwrap();
    // Live begins six hours later: its first window may be cut and is a gap, the next are scored.
    let live_from = 1_767_852_000_000_i64;
    wait_for("the live day", || {
        let sql = "SELECT count(*) FROM frames WHERE start_millis >= ?1";
        connection.query_row(sql, [live_from], |row| row.get::<_, i64>(0)).ok().filter(|count| *count >= 288)
    });
    process.terminate();
    let between: i64 = connection
        .query_row(
            "SELECT count(*) FROM frames WHERE start_millis >= ?1 AND start_millis < ?2",
            [live_from - 6 * HOUR, live_from],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(between, 0, "the hours between are left out, not zeros");
    let partitions: Vec<String> = connection
        .prepare("SELECT partition FROM checkpoints")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .unwrap();
    assert_eq!(partitions, [at("live/events.ndjson.gz")], "the dataset is no partition of the source");
}
