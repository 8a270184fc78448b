//! The real program takes in a new configuration while it runs: by the API, which writes the file, and by SIGHUP. What
//! is posted meanwhile is all accounted for, and a wrong configuration changes nothing.

mod support;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::process::{Process, get_json, tidewatch, wait_until};

const HOUR: i64 = 3_600_000;
const START: i64 = 1_772_409_600_000; // 2026-03-02T00:00:00Z, a Monday
const LEARNED_HOURS: i64 = 21 * 24;

const SOURCES: &str = r#"[server]
listen = "127.0.0.1:0"
[store]
path = "DB"
[sources.clicks]
kind = "http"
[notifiers.hook]
kind = "webhook"
url = "http://127.0.0.1:9/nobody"
"#;

const SHOP: &str = r#"# The shop, as the team likes it.
[monitors.shop]
source = "clicks"
timestamp = "at"
interval = "1h"
idle_timeout = "1d"   # the test sets the pace

[monitors.shop.measures]
orders = { count = true, where = { type = "order" } } # what counts

[[monitors.shop.alerts]]
severity = 98 # hardly ever
to = ["hook"]
"#;

struct Bench {
    client: Client,
    url: String,
    shop: PathBuf,
}

impl Bench {
    async fn ask(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("{}/api/v1/{path}", self.url)).json(body);
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    async fn get(&self, path: &str) -> Value {
        get_json(&format!("{}/api/v1/{path}", self.url)).await.expect("an answer")
    }

    /// Posts lines until they are taken; a service that is behind is asked again under the same key.
    async fn post(&self, key: &str, lines: &str) {
        loop {
            let post = self.client.post(format!("{}/v1/events?source=clicks", self.url));
            let post = post.header("Idempotency-Key", key).body(lines.to_owned());
            let status = post.send().await.expect("the listener is always there").status();
            if status == StatusCode::OK {
                return;
            }
            assert!(status == 503 || status == 429, "{status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Orders of one hour.
    async fn hour(&self, hour: i64, orders: i64) -> u64 {
        self.post(&format!("hour-{hour}"), &lines(hour, orders)).await;
        orders as u64
    }

    async fn closed_through(&self, hour: i64) {
        let wanted = jiff::Timestamp::from_millisecond(START + hour * HOUR).expect("a time").to_string();
        wait_until("the windows to close", async || {
            let monitor = get_json(&format!("{}/api/v1/monitors/shop", self.url)).await?;
            (monitor["closed_through"].as_str()? >= wanted.as_str()).then_some(())
        })
        .await;
    }

    async fn told(&self) -> u64 {
        let text = self.client.get(format!("{}/metrics", self.url)).send().await.expect("an answer");
        let text = text.text().await.expect("text");
        let line = text
            .lines()
            .find(|line| line.starts_with("tidewatch_alert_incidents_told{") && line.contains("days=\"28\""));
        let value = line.and_then(|line| line.rsplit(' ').next()).expect("the metric is there");
        value.parse().expect("a number")
    }

    async fn reloads(&self) -> (u64, Option<String>) {
        let reloaded = self.get("reload").await;
        (reloaded["reloads"].as_u64().expect("a number"), reloaded["error"].as_str().map(str::to_owned))
    }

    fn shop(&self) -> String {
        std::fs::read_to_string(&self.shop).expect("the file is there")
    }
}

fn lines(hour: i64, orders: i64) -> String {
    let mut lines = String::new();
    for order in 0..orders {
        let at = START + hour * HOUR + order * 1000;
        writeln!(lines, r#"{{"at":{at},"type":"order"}}"#).expect("it fits");
    }
    lines
}

fn usual(hour: i64) -> i64 {
    100 + hour * 7919 % 21
}

fn hang_up(process: &Process) {
    let asked = Command::new("kill").args(["-HUP", &process.id().to_string()]).status();
    assert!(asked.is_ok_and(|status| status.success()));
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = folder.path().join("tidewatch.db").display().to_string();
    let config = folder.path().join("config");
    std::fs::create_dir(&config).expect("a folder");
    std::fs::write(config.join("a-sources.toml"), SOURCES.replace("DB", &db)).expect("a file");
    std::fs::write(config.join("shop.toml"), SHOP).expect("a file");
    folder
}

fn start(folder: &Path) -> (Process, Bench) {
    let config = folder.join("config");
    let process = Process::start(tidewatch(["run", "--config"]).arg(&config));
    let url = process.url();
    (process, Bench { client: Client::new(), url, shop: config.join("shop.toml") })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_threshold_acts_at_once_and_no_event_is_lost() {
    let folder = folder();
    let (process, bench) = start(folder.path());
    let bench = Arc::new(bench);
    let mut posted = 0;
    for day in 0..LEARNED_HOURS / 24 {
        let hours = day * 24..(day + 1) * 24;
        let text: String = hours.clone().map(|hour| lines(hour, usual(hour))).collect();
        bench.post(&format!("day-{day}"), &text).await;
        posted += hours.map(usual).sum::<i64>() as u64;
    }
    // Others post all the while, and are no orders.
    let (now, over) = (Arc::new(AtomicI64::new(LEARNED_HOURS)), Arc::new(AtomicBool::new(false)));
    let others = tokio::spawn({
        let (bench, now, over) = (Arc::clone(&bench), Arc::clone(&now), Arc::clone(&over));
        async move {
            let mut others = 0_u64;
            while !over.load(Ordering::Relaxed) {
                let at = START + now.load(Ordering::Relaxed) * HOUR;
                let line = format!("{{\"at\":{at},\"type\":\"view\"}}\n");
                bench.post(&format!("other-{others}"), &line.repeat(3)).await;
                others += 3;
            }
            others
        }
    });

    // More and more orders, until that is an incident which the rule does not tell.
    let mut hour = LEARNED_HOURS;
    let mut orders = 130;
    let (id, peak) = loop {
        posted += bench.hour(hour, orders).await + bench.hour(hour + 1, usual(hour)).await;
        bench.closed_through(hour + 1).await;
        let found = bench.get("incidents?kind=deviation").await;
        let newest = found["incidents"][0].clone();
        if let (Some(id), Some(peak)) = (newest["id"].as_str(), newest["severity"]["peak"].as_f64()) {
            break (id.to_owned(), peak);
        }
        assert!(orders < 400, "no incident");
        (hour, orders) = (hour + 2, orders + 3);
        now.store(hour, Ordering::Relaxed);
    };
    assert!((60.0..98.0).contains(&peak), "{id} has {peak}");
    assert_eq!(bench.told().await, 0);

    // The file is changed by the API; comments stay.
    let config = bench.get("monitors/shop/config").await;
    assert_eq!((config["toml"].as_str(), config["editable"].as_bool()), (Some(SHOP), Some(true)), "{config}");
    let change = json!({ "set": { "alerts.0.severity": 60 }, "revision": config["revision"] });
    let preview = json!({ "set": change["set"] });
    let (status, found) = bench.ask(Method::POST, "monitors/shop/config/preview", &preview).await;
    assert_eq!((status, found["valid"].as_bool()), (StatusCode::OK, Some(true)), "{found}");
    assert_eq!(found["diff"], json!(["- severity = 98 # hardly ever", "+ severity = 60 # hardly ever"]));
    let (status, saved) = bench.ask(Method::PUT, "monitors/shop/config", &change).await;
    assert_eq!(status, StatusCode::OK, "{saved}");
    assert_eq!(bench.shop(), SHOP.replace("severity = 98", "severity = 60"));
    assert_eq!(bench.reloads().await, (1, None));

    // The next hour like that one is told.
    posted += bench.hour(hour + 2, orders + 20).await + bench.hour(hour + 3, usual(hour)).await;
    now.store(hour + 3, Ordering::Relaxed);
    bench.closed_through(hour + 3).await;
    wait_until("the incident to be told", async || (bench.told().await == 1).then_some(())).await;

    let (status, refused) = bench.ask(Method::PUT, "monitors/shop/config", &change).await;
    assert_eq!(status, StatusCode::CONFLICT, "the revision is an old one: {refused}");
    let wrong = json!({ "set": { "interval": "7m" }, "revision": saved["revision"] });
    let (status, refused) = bench.ask(Method::PUT, "monitors/shop/config", &wrong).await;
    let why = refused["error"].as_str().expect("a reason");
    assert!(status == StatusCode::BAD_REQUEST && why.contains("`monitors.shop.interval`"), "{refused}");
    assert!(why.contains("(line 5)"), "{why}");
    let other_shape = json!({ "set": { "interval": "30m" }, "revision": saved["revision"] });
    let (status, refused) = bench.ask(Method::PUT, "monitors/shop/config", &other_shape).await;
    assert!(
        status == StatusCode::BAD_REQUEST
            && refused["error"].as_str().is_some_and(|why| why.contains("new name"))
    );
    assert_eq!(bench.shop(), SHOP.replace("severity = 98", "severity = 60"), "nothing was written");

    // The file is changed by hand; SIGHUP takes it in, and refuses what is wrong.
    std::fs::write(&bench.shop, SHOP.replace("severity = 98", "severity = 97")).expect("a file");
    hang_up(&process);
    wait_until("the second reload", async || (bench.reloads().await.0 == 2).then_some(())).await;
    std::fs::write(&bench.shop, SHOP.replace("severity = 98", "severity = 980")).expect("a file");
    hang_up(&process);
    let why = wait_until("the refusal", async || bench.reloads().await.1).await;
    assert!(why.contains("980; expected 0 to 100") && why.contains("shop.toml` line 12"), "{why}");
    let (status, refused) = bench.ask(Method::POST, "reload", &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(process.stderr().contains("configuration refused"), "{}", process.stderr());

    over.store(true, Ordering::Relaxed);
    posted += others.await.expect("the others end");
    let totals = bench.get("monitors/shop").await["totals"].clone();
    let of = |name: &str| totals[name].as_u64().expect("a number");
    assert_eq!(of("events"), posted);
    let known = ["counted", "rejected", "late", "after_close", "over_limit"].map(of);
    assert_eq!(known.iter().sum::<u64>(), posted, "{totals}");
    let said = process.terminate();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_is_proposed_created_and_runs() {
    let folder = folder();
    let (process, bench) = start(folder.path());
    let records: Vec<Value> = (0..60)
        .map(|second| {
            let country = ["DE", "US", "FR"][second % 3];
            json!({ "event_time": format!("2026-03-01T08:00:{second:02}Z"), "type": "purchase", "country": country })
        })
        .collect();
    let samples = serde_json::to_string(&records).expect("plain data");
    let asked = json!({ "samples": samples, "name": "carts" });
    let (status, proposal) = bench.ask(Method::POST, "propose", &asked).await;
    assert_eq!(status, StatusCode::OK, "{proposal}");
    assert_eq!(proposal["dimensions"][0]["name"], "country");

    let wrong = json!({ "name": "carts", "toml": "[monitors.carts]\nsource = 5\n" });
    let (status, refused) = bench.ask(Method::POST, "monitors", &wrong).await;
    assert_eq!((status, refused["problems"][0]["line"].as_u64()), (StatusCode::OK, Some(2)), "{refused}");
    let create = json!({ "name": "carts", "toml": proposal["toml"] });
    let (status, created) = bench.ask(Method::POST, "monitors", &create).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert!(bench.shop.with_file_name("carts.toml").exists());
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    let posted = bench.client.post(format!("{}/v1/events?source=carts", bench.url)).body(lines);
    assert_eq!(posted.send().await.expect("an answer").status(), StatusCode::OK);
    assert_eq!(bench.get("monitors/carts").await["totals"]["counted"], 60);
    let (status, again) = bench.ask(Method::POST, "monitors", &create).await;
    assert!(status == StatusCode::OK && again["valid"] == json!(false), "{again}");

    // In two files it cannot be edited as one text.
    let more = "[monitors.shop.detector]\nseverity = 80\n";
    std::fs::write(bench.shop.with_file_name("z.toml"), more).expect("a file");
    let config = bench.get("monitors/shop/config").await;
    assert!(config["why_not"].as_str().is_some_and(|why| why.contains("several files")), "{config}");
    let change = json!({ "set": { "severity": 60 }, "revision": config["revision"] });
    assert_eq!(bench.ask(Method::PUT, "monitors/shop/config", &change).await.0, StatusCode::FORBIDDEN);
    let nobody = bench.ask(Method::POST, "monitors/nobody/config/preview", &json!({ "set": {} })).await;
    assert_eq!(nobody.0, StatusCode::NOT_FOUND);
    assert_eq!(process.terminate().code, Some(0));
}
