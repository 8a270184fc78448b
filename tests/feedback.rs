//! Feedback in the engine, with a real store: marks silence a class of alarms and lose no confirmed incident; undoing
//! one leaves no trace, bit for bit; kills and replays change nothing; missed ranges are unlearned.

mod support;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use support::{
    Results, batch,
    process::{Process, get_json, tidewatch, wait_until},
    source,
};
use tidewatch::{
    anomaly::{AlertKind, Incident, Mute},
    pipeline::{
        Ask, Engine, EngineLimits, GivenFeedback, History, HistoryRange, IncidentQuery, Instructed,
        Instruction, Label, Ledger, MissedIncident, Past, Reach, RecordedInput, RecordedInputKind, SeriesAt,
        ShardFrame, Store, relearn, restore,
    },
    record::RecordBatch,
    store::{Durability, SqliteStore},
};
use tidewatch_detectors::Side;

/// One value per quarter of an hour, of two countries and of everything.
const SHOP: &str = r#"
    [sources.events]
    kind = "file"
    path = "unused.ndjson"
    [monitors.shop]
    source = "events"
    timestamp = "at"
    interval = "15m"
    allowed_lateness = "0s"
    dimensions = { country = "country" }
    rollups = [["country"]]
    [monitors.shop.calendar]
    retail = false                      # Easter of 2026 lies in these weeks, and would be another story
    [monitors.shop.measures]
    load = { max = "load" }
    [[monitors.shop.alerts]]
    severity = 70
    to = ["hook"]
    [notifiers.hook]
    kind = "webhook"
    url = "http://127.0.0.1:9/unused"
"#;

/// 2026-03-02T00:00:00Z, a Monday.
const START: i64 = 1_772_409_600_000;
const WIDTH: i64 = 900_000;
const DAY: i64 = 96;
const HOUR: i64 = 4;
/// Before this nothing is done to the series.
const LEARNED: i64 = 21 * DAY;

/// A shop whose load follows the day, with noise, and what is done to it.
struct Shop {
    store: SqliteStore,
    engine: Engine,
    results: Results,
    inputs: Vec<RecordedInput>,
    lines: Vec<String>,
    window: i64,
}

impl Shop {
    async fn open(folder: &Path) -> Self {
        let store = SqliteStore::open(&folder.join("shop.db"), Durability::Normal).expect("a temporary file");
        let engine = restored(&store).await;
        let (results, inputs) = (Results::default(), Vec::new());
        Self { store, engine, results, inputs, lines: Vec::new(), window: 0 }
    }

    /// The same after its process was killed: what was not committed is fed again.
    async fn killed(mut self) -> Self {
        self.engine = restored(&self.store).await;
        let stored = self.engine.checkpoint().position(&partition()).number().unwrap_or(0) as usize;
        let again = self.lines.split_off(stored);
        for line in again {
            self.feed(line);
        }
        self
    }

    fn feed(&mut self, line: String) {
        let from = self.lines.len();
        self.lines.push(line);
        let next: RecordBatch = batch("p", from, &self.lines[from..], false);
        self.engine.ingest(vec![next], 0).expect("it fits");
    }

    /// `windows` more, with Germany at `factor` times its usual load.
    fn run(&mut self, windows: i64, factor: f64) -> std::ops::Range<i64> {
        let first = self.window;
        for window in first..first + windows {
            for (country, salt, factor) in [("DE", 1, factor), ("FR", 2, 1.0)] {
                let day = (window % DAY) as f64 / DAY as f64;
                let noise = 1.0 + 0.04 * noise(window * 2 + salt);
                let load = 250.0 * (0.4 + 4.8 * day * (1.0 - day)) * factor * noise;
                let at = START + window * WIDTH + salt;
                self.feed(format!(r#"{{"at":{at},"country":"{country}","load":{load}}}"#));
            }
        }
        self.window += windows;
        first..self.window
    }

    /// An hour at two in the afternoon of a later day, at `factor`.
    fn event(&mut self, factor: f64) -> std::ops::Range<i64> {
        let until = (DAY + 14 * HOUR - self.window.rem_euclid(DAY)).rem_euclid(DAY) + DAY;
        self.run(until, 1.0);
        let event = self.run(HOUR, factor);
        self.run(DAY / 2, 1.0);
        event
    }

    async fn commit(&mut self) {
        if let Some((commit, _)) = self.engine.take_commit(true, 0) {
            self.store.commit(&commit).await.expect("the store takes it");
            self.inputs.extend(commit.inputs.iter().cloned());
            self.results.take(Some(&commit));
        }
    }

    /// As the run loop does it.
    async fn tell(&mut self, ask: Ask) -> Instructed {
        self.commit().await;
        let instruction = Instruction { at_millis: 0, by: "ana".to_owned(), ask };
        let row = self.engine.instruct("shop", &instruction).expect("it can be carried out");
        relearn(&self.store, &mut self.engine).await.expect("the past is stored");
        self.commit().await;
        row
    }

    /// The incident that shows Germany in these windows.
    async fn incident(&mut self, windows: &std::ops::Range<i64>) -> Option<Incident> {
        self.commit().await;
        let query = IncidentQuery { limit: 1_000, ..IncidentQuery::default() };
        let incidents = self.store.incidents(&query).await.expect("incidents can be read");
        let (from, to) = (START + windows.start * WIDTH, START + (windows.end + 2) * WIDTH);
        let within = |incident: &&Incident| (from..to).contains(&incident.opened_millis);
        incidents
            .iter()
            .filter(|incident| incident.slice.get("country").is_some_and(|name| name == "DE"))
            .find(within)
            .cloned()
    }

    async fn feedback(&mut self, incident: &Incident, label: Label, expires_millis: Option<i64>) -> Ask {
        let slices = self.store.slices("shop").await.expect("slices can be read");
        let ledger = Ledger::of(&self.store.instructed("shop").await.expect("rows can be read"));
        let spec = Arc::clone(self.engine.monitors()[0].spec());
        let past = Past { history: &self.store, spec: &spec, slices: &slices, ledger: &ledger };
        let wanted: Vec<(SeriesAt, Option<Side>)> = incident
            .members
            .iter()
            .filter_map(|member| Some((past.series_of(member.anomaly.series)?, Some(member.anomaly.side))))
            .collect();
        let span = (incident.opened_millis, incident.until_millis);
        let targets = past.targets(&wanted, span).await.expect("windows can be read");
        assert!(!targets.is_empty(), "{incident:?}");
        Ask::Feedback(GivenFeedback {
            label,
            incident: Some(incident.id.clone()),
            from_millis: span.0,
            to_millis: span.1,
            targets,
            latest: true,
            reach: Reach::Incident,
            cause: None,
            comment: None,
            expires_millis,
        })
    }

    /// The bytes of every window from one on.
    async fn frames(&mut self, from: i64) -> BTreeMap<i64, Vec<u8>> {
        self.commit().await;
        let range = HistoryRange {
            from_millis: START + from * WIDTH,
            to_millis: i64::MAX,
            shard: None,
            limit: 100_000,
        };
        let blobs = self.store.frames("shop", range).await.expect("frames can be read");
        blobs.into_iter().map(|blob| (blob.start_millis, blob.bytes)).collect()
    }

    /// The highest severity of Germany, of either class, and whether feedback held one back.
    async fn heard(&mut self, windows: &std::ops::Range<i64>) -> (f32, bool) {
        let until = START + (windows.end + 2) * WIDTH;
        let frames = self.frames(windows.start).await;
        let mut heard = (0.0_f32, false);
        for (_, bytes) in frames.range(..until) {
            let frame = ShardFrame::decode(bytes).expect("ours");
            if let Some(score) = frame.scores[0] {
                heard = (heard.0.max(score.severity).max(score.minor), heard.1 | score.expected_alarm);
            }
        }
        heard
    }
}

async fn restored(store: &SqliteStore) -> Engine {
    let source = source(SHOP);
    let (decoder, monitors) = (source.decoder, source.monitors);
    restore(store, source.id, decoder, monitors, false, EngineLimits::default(), 0)
        .await
        .expect("a good store")
}

fn partition() -> tidewatch::record::PartitionId {
    tidewatch::record::PartitionId::new("p")
}

/// Roughly normal, and the same each time: the sum of twelve uniform numbers less six.
fn noise(seed: i64) -> f64 {
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..12).map(|_| next()).sum::<f64>() - 6.0
}

const BUMP: f64 = 1.6;
const DIP: f64 = 0.4;

#[tokio::test(flavor = "multi_thread")]
async fn three_marks_silence_a_class_and_lose_no_confirmed_incident() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shop = Shop::open(folder.path()).await;
    shop.run(LEARNED, 1.0);
    let dip = shop.event(DIP);
    let real = shop.incident(&dip).await.expect("a dip opens an incident");
    let confirmed = shop.feedback(&real, Label::Confirmed, None).await;
    shop.tell(confirmed).await;
    for mark in 0..3 {
        let bump = shop.event(BUMP);
        let Some(false_alarm) = shop.incident(&bump).await else {
            assert!(mark > 0, "the first bump is found");
            continue;
        };
        let ask = shop.feedback(&false_alarm, Label::Expected, None).await;
        let row = shop.tell(ask).await;
        assert_eq!(row.said.len(), 1, "Germany alone heard of it");
    }
    for _ in 0..4 {
        let bump = shop.event(BUMP);
        assert!(shop.incident(&bump).await.is_none(), "bumps of the class are silent");
        let (severity, held_back) = shop.heard(&bump).await;
        assert!(held_back && severity < 60.0, "{severity}: shown, and said why");
    }
    for (factor, what) in [(DIP, "the like of the confirmed one"), (4.0, "what is much larger")] {
        let event = shop.event(factor);
        let found = shop.incident(&event).await.unwrap_or_else(|| panic!("{what} is still found"));
        assert!(found.severity.peak >= 70.0, "{what}: {}", found.severity.peak);
    }
    let status = shop.engine.status().remove(0).feedback;
    assert_eq!(status.labels[0], 1, "{status:?}");
    assert!(
        status.precision().is_some_and(|precision| precision < 1.0) && status.response_rate() > Some(0.0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_is_bit_for_bit_also_across_kills_and_in_a_replay() {
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let mut plain = Shop::open(folders[0].path()).await;
    let mut told = Shop::open(folders[1].path()).await;
    let mut killed = Shop::open(folders[2].path()).await;
    let mut undone_from = 0;
    for shop in [&mut plain, &mut told] {
        shop.run(LEARNED, 1.0);
    }
    killed.run(LEARNED, 1.0);
    let bump = plain.event(BUMP);
    plain.event(BUMP);
    plain.run(200, 1.0);
    plain.event(BUMP);
    assert_eq!(told.event(BUMP), bump);
    let incident = told.incident(&bump).await.expect("a bump opens an incident");
    let row = {
        let ask = told.feedback(&incident, Label::FalseAlarm, None).await;
        told.tell(ask).await
    };
    told.event(BUMP);
    assert_ne!(told.frames(bump.end).await, cut(&plain.frames(bump.end).await, told.window), "it is heard");
    // Longer than snapshots live, so that one that heard of it lies in the store.
    told.run(200, 1.0);
    told.tell(Ask::Undo { number: row.number }).await;
    undone_from = undone_from.max(told.window);
    told.event(BUMP);
    assert_eq!(told.frames(undone_from).await, plain.frames(undone_from).await, "no trace is left");

    // The same, killed after every step.
    killed.event(BUMP);
    let incident = killed.incident(&bump).await.expect("the same incident");
    let ask = killed.feedback(&incident, Label::FalseAlarm, None).await;
    let row = killed.tell(ask).await;
    killed = killed.killed().await;
    killed.event(BUMP);
    killed = killed.killed().await;
    killed.run(200, 1.0);
    killed.commit().await;
    killed = killed.killed().await;
    killed.tell(Ask::Undo { number: row.number }).await;
    killed = killed.killed().await;
    killed.event(BUMP);
    killed = killed.killed().await;
    assert_eq!(killed.frames(0).await, told.frames(0).await, "kills change nothing");
    killed = killed.killed().await;
    assert_eq!(killed.engine.monitors()[0].spec().facts.monitor, "shop");

    // The same from records and recorded inputs.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut replay = Shop::open(folder.path()).await;
    let inputs: Vec<RecordedInput> = told.inputs.clone();
    let instructions =
        inputs.iter().filter(|input| matches!(input.kind, RecordedInputKind::Instructed { .. }));
    assert_eq!(instructions.count(), 2);
    for input in &inputs {
        let until = input.at.position(&partition()).number().unwrap_or(0) as usize;
        for line in &told.lines[replay.lines.len()..until] {
            replay.feed(line.clone());
        }
        replay.commit().await;
        replay.engine.apply(input);
        relearn(&replay.store, &mut replay.engine).await.expect("the past is stored");
    }
    for line in &told.lines[replay.lines.len()..] {
        replay.feed(line.clone());
    }
    assert_eq!(replay.frames(0).await, told.frames(0).await, "a replay hears the same");
    assert_eq!(replay.results.incidents, told.results.incidents);
}

/// The windows before one.
fn cut(frames: &BTreeMap<i64, Vec<u8>>, until: i64) -> BTreeMap<i64, Vec<u8>> {
    frames.range(..START + until * WIDTH).map(|(start, bytes)| (*start, bytes.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_is_silenced_no_more() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shop = Shop::open(folder.path()).await;
    shop.run(LEARNED, 1.0);
    let bump = shop.event(BUMP);
    let incident = shop.incident(&bump).await.expect("a bump opens an incident");
    let expires = START + (shop.window + 3 * DAY) * WIDTH;
    let ask = shop.feedback(&incident, Label::Expected, Some(expires)).await;
    shop.tell(ask).await;
    let silent = shop.event(BUMP);
    assert!(shop.incident(&silent).await.is_none(), "silent before it expires");
    shop.run(3 * DAY, 1.0);
    let loud = shop.event(BUMP);
    assert!(shop.incident(&loud).await.is_some(), "found again after it expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_range_is_unlearned_and_can_be_learned_again() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let mut plain = Shop::open(folders[0].path()).await;
    let mut shop = Shop::open(folders[1].path()).await;
    for shop in [&mut plain, &mut shop] {
        shop.run(LEARNED, 1.0);
        shop.run(3 * HOUR, 0.93);
        // To the same hours of the next day.
        shop.run(DAY - 3 * HOUR + 1, 1.0);
    }
    let missed = MissedIncident {
        series: SeriesAt { slice: 0, measure: 0 },
        side: Side::Drop,
        from_millis: START + LEARNED * WIDTH,
        to_millis: START + (LEARNED + 3 * HOUR) * WIDTH,
        comment: None,
    };
    let row = shop.tell(Ask::Missed(missed)).await;
    assert_eq!((row.said.len(), row.held.len()), (1, 1));
    let from = shop.window;
    for shop in [&mut plain, &mut shop] {
        shop.run(HOUR, 1.0);
    }
    assert_ne!(shop.frames(from).await, plain.frames(from).await, "the detector has changed its mind");
    let band = |bytes: &[u8]| {
        let score = ShardFrame::decode(bytes).expect("ours").scores[0].expect("it scores");
        (score.expected, score.expected - score.lower)
    };
    let first = START + from * WIDTH;
    let ((usual, before), (now, after)) =
        (band(&plain.frames(from).await[&first]), band(&shop.frames(from).await[&first]));
    assert!(now > usual, "the drop is not normal any more: {usual} {now}");
    assert!(after < before, "and a smaller one would do: {before} {after}");
    shop.tell(Ask::Undo { number: row.number }).await;
    let from = shop.window;
    for shop in [&mut plain, &mut shop] {
        shop.run(HOUR, 1.0);
    }
    assert_eq!(shop.frames(from).await, plain.frames(from).await, "taken back without a trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_is_kept_until_it_gets_worse_and_acknowledging_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shop = Shop::open(folder.path()).await;
    shop.run(LEARNED + 14 * HOUR, 1.0);
    let told = |shop: &Shop| shop.results.alerts.clone();
    let (mut first, mut factor) = (shop.window, 1.1);
    while told(&shop).is_empty() {
        // No more than it takes, so that it can still get much worse.
        shop.run(2 * HOUR, 1.0);
        factor += 0.05;
        assert!(factor < 2.0, "a jump is told in the end");
        first = shop.window;
        shop.run(2, factor);
        shop.commit().await;
    }
    let incident = shop.incident(&(first..shop.window)).await.expect("it is open");
    assert_eq!(told(&shop), [format!("{}:0:1:opened:hook", incident.id)]);
    shop.tell(Ask::Acknowledge { incident: incident.id.clone() }).await;
    assert_eq!(told(&shop)[1], format!("{}:0:{}:hook", incident.id, AlertKind::Acknowledged.as_str()));
    let mute = Mute { until_millis: None, until_above: Some(100.0) };
    shop.tell(Ask::Mute { incident: incident.id.clone(), mute: Some(mute) }).await;
    shop.run(3, 4.0);
    shop.commit().await;
    assert_eq!(told(&shop).len(), 2, "it has grown, and nobody is told");
    shop = shop.killed().await;
    shop.tell(Ask::Mute { incident: incident.id.clone(), mute: None }).await;
    shop.run(1, 4.0);
    shop.commit().await;
    assert_eq!(told(&shop)[2], format!("{}:0:2:escalated:hook", incident.id));
    shop.run(DAY, 1.0);
    shop.commit().await;
    assert!(told(&shop).last().is_some_and(|id| id.contains(":closed:")), "{:?}", told(&shop));
    let milestones = shop.store.milestones(&incident.id).await.expect("milestones can be read");
    let kinds: Vec<&str> = milestones.iter().map(|milestone| milestone.kind.as_str()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"opened"), Some(&"closed")), "{kinds:?}");
    assert!(kinds.contains(&"escalated") && kinds.contains(&"recovered"), "{kinds:?}");
}

/// The real program, killed at once after it has answered.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        [store]
        path = "{}/tidewatch.db"
        [sources.clicks]
        kind = "http"
        [monitors.shop]
        source = "clicks"
        timestamp = "at"
        interval = "15m"
        allowed_lateness = "0s"
        idle_timeout = "1d"
        dimensions = {{ country = "country" }}
        rollups = [["country"]]
        measures = {{ load = {{ max = "load" }} }}
        "#,
        folder.path().display()
    );
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config).expect("a temporary file");
    let mut lines = Vec::new();
    for window in 0..LEARNED {
        let load = (100.0 + 4.0 * noise(window)) * if window >= LEARNED - HOUR { 3.0 } else { 1.0 };
        let at = START + window * WIDTH;
        lines.push(format!(r#"{{"at":{at},"country":"DE","load":{load}}}"#));
    }
    let start = || Process::start(&mut tidewatch(["run", "--config", &path.display().to_string()]));
    let service = start();
    let url = service.url();
    let client = reqwest::Client::new();
    let posted =
        client.post(format!("{url}/v1/events")).body(lines.join("\n")).send().await.expect("it answers");
    assert!(posted.status().is_success());
    let incident = wait_until("an incident", async || {
        let answer = get_json(&format!("{url}/api/v1/incidents?state=open")).await?;
        Some(answer["incidents"][0]["id"].as_str()?.to_owned())
    })
    .await;
    for (what, body) in [("acknowledge", "{}"), ("feedback", r#"{"label":"false_alarm","scope":"series"}"#)] {
        let path = format!("{url}/api/v1/incidents/{incident}/{what}");
        let request = client.post(path).header("content-type", "application/json").body(body);
        let answer = request.send().await.expect("it answers");
        assert!(answer.status().is_success(), "{what}: {}", answer.text().await.unwrap_or_default());
    }
    // Dropping it kills it without a farewell.
    drop(service);
    let service = start();
    let url = service.url();
    let shown =
        wait_until("the incident", async || get_json(&format!("{url}/api/v1/incidents/{incident}")).await)
            .await;
    assert_eq!(
        (&shown["label"], &shown["acknowledged_by"]),
        (&"false_alarm".into(), &"api".into()),
        "{shown}"
    );
    let said = support::process::finish(&mut tidewatch([
        "incidents",
        "feedback",
        &incident,
        "--undo",
        "--url",
        &url,
    ]));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let listed =
        support::process::finish(&mut tidewatch(["incidents", "show", &incident, "--url", &url, "--json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!(
        (&listed["label"], &listed["feedback"][0]["holds"]),
        (&serde_json::Value::Null, &false.into())
    );
    let time = "2026-03-22T23:20:00Z";
    let why = ["explain", "--series", "shop/load/country=DE", "--time", time, "--url", &url];
    let why = support::process::finish(&mut tidewatch(why));
    assert!(why.stdout.contains("came where"), "{}{}", why.stdout, why.stderr);
}
