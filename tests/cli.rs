//! The program as people and scripts use it: what each command prints, writes and ends with.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use jiff::Timestamp;
use serde_json::Value;
use support::process::{Process, Said, finish, finish_with_input, get_json, tidewatch, wait_for, wait_until};

const ORDERS: &[u8] = include_bytes!("data/orders.csv");

const ORDERS_CONFIG: &str = r#"
    [server]
    listen = "127.0.0.1:0"
    [store]
    path = "FOLDER/tidewatch.db"
    [sources.archive]
    kind = "file"
    path = "FOLDER/orders.csv"
    format = "csv"
    dead_letter = "FOLDER/rejected.ndjson"
    [monitors.orders]
    source = "archive"
    timestamp = "ordered_at"
    timezone = "Europe/London"
    interval = "1h"
    dimensions = { country = "country" }
    [monitors.orders.measures]
    orders = { distinct = "order_id" }
    units = { sum = "quantity" }
"#;

/// Events posted to it; two processes may want its store.
const CLICKS_CONFIG: &str = r#"
    [server]
    listen = "127.0.0.1:0"
    [store]
    path = "FOLDER/tidewatch.db"
    [sources.clicks]
    kind = "http"
    [monitors.shop]
    source = "clicks"
    timestamp = "at"
    interval = "1m"
    measures = { views = { count = true } }
"#;

fn write_config(folder: &Path, text: &str) -> String {
    let path = folder.join("config.toml");
    let text = text.replace("FOLDER", &folder.display().to_string());
    std::fs::write(&path, text).expect("a temporary file");
    path.display().to_string()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// The rows of a CSV file by column name.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).expect("a CSV file");
    reader.deserialize().map(|row| row.expect("a whole row")).collect()
}

fn header(path: &Path) -> String {
    read(path).lines().next().expect("a header").to_owned()
}

#[track_caller]
fn assert_done(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// Ended with this code and said each of these on standard error.
#[track_caller]
fn assert_refused(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    for word in words {
        assert!(said.stderr.contains(word), "no `{word}` in {said:?}");
    }
    assert!(!said.stderr.contains("panicked"), "{said:?}");
}

// --- help, completions, configuration ---

#[test]
fn every_command_has_help() {
    let commands = [
        "",
        "demo",
        "run",
        "check",
        "config",
        "backtest",
        "train",
        "score",
        "locate",
        "export",
        "simulate",
        "completions",
    ];
    for command in commands {
        let arguments = command.split_whitespace().chain(["--help"]);
        let said = finish(&mut tidewatch(arguments));
        assert_done(&said);
        assert!(said.stdout.contains("Usage: tidewatch"), "{command}: {said:?}");
    }
    let said = finish(&mut tidewatch(["--help"]));
    for command in &commands[1..] {
        assert!(said.stdout.contains(command), "`{command}` is not listed");
    }
    assert_refused(&finish(&mut tidewatch(["predict"])), 2, &["predict"]);
    assert_refused(&finish(&mut tidewatch(["run"])), 2, &["--config"]);
}

#[test]
fn completions_are_programs_that_shells_accept() {
    let said = finish(&mut tidewatch(["completions", "bash"]));
    assert_done(&said);
    assert!(said.stdout.contains("backtest") && said.stdout.contains("--monitor"));
    let checked = finish_with_input(Command::new("bash").arg("-n"), said.stdout.into_bytes());
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(finish(&mut tidewatch(["completions", shell])).stdout.contains("backtest"), "{shell}");
    }
}

#[test]
fn the_printed_example_is_valid_as_it_is() {
    let example = finish(&mut tidewatch(["config", "example"]));
    assert_done(&example);
    let check = |secret: Option<&str>| {
        let mut command = tidewatch(["check", "--config", "/dev/stdin"]);
        command.envs(secret.map(|secret| ("WEBHOOK_SECRET", secret)));
        finish_with_input(&mut command, example.stdout.clone().into_bytes())
    };
    let said = check(Some("s3cret-of-the-test"));
    assert_done(&said);
    for word in ["source clicks (http)", "monitor shop", "monitor orders", "the configuration is valid"] {
        assert!(said.stdout.contains(word), "no `{word}` in {}", said.stdout);
    }
    assert!(!said.stdout.contains("s3cret-of-the-test"));
    assert_refused(&check(None), 2, &["notifiers.hook.secret", "WEBHOOK_SECRET"]);
}

#[test]
fn mistakes_in_a_configuration_end_with_2_and_name_the_key() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to, words) in [
        ("\"1h\"", "\"7m\"", &["monitors.orders.interval", "420 s"][..]),
        ("Europe/London", "Europe/Lundon", &["monitors.orders.timezone", "Europe/Lundon"]),
        ("sum = \"quantity\"", "sums = \"quantity\"", &["monitors.orders.measures.units.sums"]),
        ("source = \"archive\"", "source = \"attic\"", &["monitors.orders.source", "attic", "archive"]),
        ("127.0.0.1:0", "0.0.0.0:8321", &["server.token"]),
        ("format = \"csv\"", "format = \"xml\"", &["sources.archive.format", "xml"]),
        ("timestamp =", "timestmp =", &["timestmp"]),
        ("[store]", "[store", &["config.toml", "line"]),
    ] {
        assert!(ORDERS_CONFIG.contains(from), "{from}");
        let config = write_config(folder.path(), &ORDERS_CONFIG.replace(from, to));
        assert_refused(&finish(&mut tidewatch(["check", "--config", &config])), 2, words);
        assert_refused(&finish(&mut tidewatch(["run", "--config", &config])), 2, words);
    }
    let nowhere = folder.path().join("nowhere.toml").display().to_string();
    assert_refused(&finish(&mut tidewatch(["check", "--config", &nowhere])), 2, &["nowhere.toml"]);
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("orders.csv"), ORDERS).unwrap();
    std::fs::write(folder.path().join("series.csv"), "t,v\n2026-03-01T00:00:00Z,1\n").unwrap();
    let config = write_config(folder.path(), ORDERS_CONFIG);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (orders, series, missing, out) = (at("orders.csv"), at("series.csv"), at("missing.csv"), at("out"));
    let usage: [(&[&str], &[&str]); 9] = [
        (&["backtest", "--config", &config, "--monitor", "shop", &orders], &["`shop`", "orders"]),
        (&["export", "--config", &config, "--monitor", "shop", "--out", &out], &["`shop`", "orders"]),
        (&["backtest", "--config", &config, "--monitor", "orders", &missing], &["missing.csv"]),
        (&["export", "--config", &config, "--monitor", "orders", "--out", &out], &["tidewatch.db"]),
        (&["score", &missing, "--timestamp", "t", "--value", "v", "--out", &out], &["missing.csv"]),
        (&["score", &series, "--timestamp", "t", "--value", "w", "--out", &out], &["`w`", "t, v"]),
        (
            &["score", &series, "--timestamp", "t", "--value", "v", "--timezone", "Mars", "--out", &out],
            &["--timezone", "Mars"],
        ),
        (&["simulate", "--seed", "1", "--days", "0", "--out", &out], &["--days"]),
        (&["simulate", "--seed", "1", "--days", "1", "--start", "today", "--out", &out], &["--start"]),
    ];
    for (arguments, words) in usage {
        assert_refused(&finish(&mut tidewatch(arguments)), 2, words);
    }
}

// --- check --online ---

#[test]
fn check_online_names_each_part_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    // The header lacks a column that the monitor needs.
    std::fs::write(folder.path().join("orders.csv"), "ordered_at,order_id,country\n").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap();
    let hook = format!("\n[notifiers.hook]\nkind = \"webhook\"\nurl = \"http://{nobody}/t0ken\"\n");
    let config = write_config(folder.path(), &(ORDERS_CONFIG.to_owned() + &hook));
    let check = || finish(&mut tidewatch(["check", "--online", "--config", &config]));
    let verdict = |said: &Said, part: &str| {
        let verdicts =
            said.stdout.lines().filter(|line| line.starts_with("ok ") || line.starts_with("FAILED "));
        verdicts.into_iter().find(|line| line.contains(part)).unwrap_or_default().to_owned()
    };

    let said = check();
    assert_refused(&said, 1, &["1 parts cannot be used"]);
    assert!(verdict(&said, "notifier hook").starts_with("ok"), "{said:?}");
    let source = verdict(&said, "source archive");
    assert!(source.starts_with("FAILED") && source.contains("`quantity`"), "{said:?}");

    drop(free);
    std::fs::write(folder.path().join("orders.csv"), ORDERS).unwrap();
    let said = check();
    assert_refused(&said, 1, &["1 parts cannot be used"]);
    assert!(verdict(&said, "notifier hook").starts_with("FAILED"), "{said:?}");
    for part in ["listen on", "store", "source archive"] {
        assert!(verdict(&said, part).starts_with("ok"), "{part}: {said:?}");
    }
    assert!(!format!("{said:?}").contains("t0ken"), "{said:?}");
    assert!(!said.stdout.contains("the configuration is valid"), "{said:?}");
}

// --- simulate and backtest ---

fn simulate(out: &Path, seed: &str, days: &str, rate: &str, faults: &str) -> Said {
    let out = out.display().to_string();
    let arguments = ["--seed", seed, "--days", days, "--rate", rate, "--faults", faults, "--out", &out];
    finish(&mut tidewatch(["simulate"].into_iter().chain(arguments)))
}

fn backtest(config: &str, monitor: &str, inputs: &[&str], json: &Path) -> Said {
    let json = json.display().to_string();
    let arguments = ["backtest", "--config", config, "--monitor", monitor, "--json", &json];
    finish(&mut tidewatch(arguments.into_iter().chain(inputs.iter().copied())))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&read(path)).expect("valid JSON")
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_keys(value: &Value, expected: &[&str]) {
    let keys = keys(value);
    for key in expected {
        assert!(keys.contains(key), "no `{key}` in {value}");
    }
}

#[track_caller]
fn instant(value: &Value) -> i64 {
    let text = value.as_str().expect("a time is text");
    assert!(text.ends_with('Z'), "{text} is not in UTC");
    text.parse::<Timestamp>().expect("RFC 3339").as_millisecond()
}

/// Where every event went adds up, and says how many events there were.
#[track_caller]
fn conserved(summary: &Value) -> u64 {
    let count = |key: &str| summary[key].as_u64().unwrap_or_else(|| panic!("no `{key}` in {summary}"));
    let parts = ["counted", "revised", "rejected", "late", "after_close", "over_limit"];
    assert_eq!(count("records_in"), parts.map(count).iter().sum::<u64>(), "{summary}");
    count("records_in")
}

#[test]
fn a_simulation_is_made_of_its_seed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let simulate = |name: &str, seed: &str| {
        let out = folder.path().join(name);
        assert_done(&simulate(&out, seed, "15", "2", "7"));
        ["events.ndjson.gz", "truth.json", "config.toml"].map(|file| std::fs::read(out.join(file)).unwrap())
    };
    let (first, second, other) = (simulate("a", "7"), simulate("b", "7"), simulate("c", "8"));
    assert_eq!(first, second);
    assert_ne!(first[0], other[0]);
    assert_ne!(first[1], other[1]);

    let truth: Value = serde_json::from_slice(&first[1]).unwrap();
    let faults = truth.as_array().unwrap();
    assert!(!faults.is_empty());
    for fault in faults {
        assert_eq!(
            keys(fault),
            BTreeSet::from(["start", "end", "measure", "slice", "kind", "size"]),
            "{fault}"
        );
        assert!(instant(&fault["start"]) < instant(&fault["end"]), "{fault}");
        assert!(fault["slice"].is_object() && fault["measure"].is_string() && fault["kind"].is_string());
        assert!(fault["size"].as_f64().unwrap().abs() >= 0.4, "{fault}");
    }
    let config = folder.path().join("a/config.toml").display().to_string();
    assert_done(&finish(&mut tidewatch(["check", "--config", &config])));
}

/// The incident that a fault opened within its first half hour.
fn opened_by<'i>(incidents: &'i [Value], fault: &Value) -> Option<&'i Value> {
    const WINDOW: i64 = 5 * 60_000;
    let start = instant(&fault["start"]);
    let found = |incident: &&Value| {
        let opened = instant(&incident["opened_at"]);
        incident["kind"] == "deviation" && (start - WINDOW..start + 6 * WINDOW).contains(&opened)
    };
    incidents.iter().filter(found).max_by(|one, other| peak(one).total_cmp(&peak(other)))
}

fn peak(incident: &Value) -> f64 {
    incident["severity"]["peak"].as_f64().expect("a number")
}

#[test]
fn a_backtest_finds_the_simulated_faults_and_writes_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let said = simulate(folder.path(), "11", "21", "20", "6");
    assert_done(&said);
    let (config, events) = (at("config.toml").display().to_string(), at("events.ndjson.gz"));
    let said_back = backtest(&config, "shop", &[&events.display().to_string()], &at("out.json"));
    assert_done(&said_back);

    let found = json(&at("out.json"));
    let incidents = found["incidents"].as_array().unwrap();
    assert_keys(&found["summary"], &["records_in", "counted", "rejected", "late", "over_limit"]);
    assert_keys(&found["summary"], &["after_close", "windows", "series"]);
    let num_events = conserved(&found["summary"]);
    assert_eq!(said.stdout.split(' ').next().unwrap(), num_events.to_string(), "{}", said.stdout);
    assert_eq!(found["summary"]["counted"], num_events, "the shop writes no bad or late events");
    assert_eq!(found["summary"]["windows"], 21 * 288);
    assert!(said_back.stdout.contains(&format!("{num_events} events in")), "{}", said_back.stdout);

    assert!(!incidents.is_empty());
    let mut opened = i64::MIN;
    for incident in incidents {
        assert_keys(incident, &["id", "opened_at", "closed_at", "state", "severity", "measure"]);
        assert_keys(incident, &["direction", "slices", "share", "expected", "actual", "impact", "summary"]);
        assert_keys(&incident["severity"], &["first", "peak", "final"]);
        assert!(instant(&incident["opened_at"]) >= opened, "in the order they opened");
        opened = instant(&incident["opened_at"]);
        match incident["state"].as_str() {
            Some("closed") => assert!(instant(&incident["closed_at"]) > opened, "{incident}"),
            Some("open") => assert!(incident["closed_at"].is_null(), "{incident}"),
            _ => panic!("{incident}"),
        }
        let slices = incident["slices"].as_array().unwrap();
        assert!(!slices.is_empty() && slices.iter().all(Value::is_object), "{incident}");
        if !incident["impact"].is_null() {
            assert_keys(&incident["impact"], &["value", "lower", "upper", "unit"]);
        }
        assert!(matches!(incident["direction"].as_str(), Some("drop" | "rise")), "{incident}");
    }

    let truth = json(&at("truth.json"));
    let faults = truth.as_array().unwrap();
    let (mut num_outages, mut num_rises) = (0, 0);
    for fault in faults {
        let size = fault["size"].as_f64().unwrap();
        let incident = opened_by(incidents, fault);
        if fault["kind"] == "outage" {
            num_outages += 1;
            let incident = incident.unwrap_or_else(|| panic!("not found: {fault}"));
            assert!(peak(incident) >= 90.0, "{incident}");
            assert_eq!(incident["slices"], serde_json::json!([{}]), "an outage is everywhere");
            assert_eq!(incident["direction"], "drop");
        } else if size >= 1.0 {
            num_rises += 1;
            let incident = incident.unwrap_or_else(|| panic!("not found: {fault}"));
            assert!(peak(incident) >= 70.0, "{incident}");
            assert_eq!(incident["direction"], "rise", "{incident}");
            // More views bring more carts, which may stand out more.
            assert!(matches!(incident["measure"].as_str(), Some("views" | "carts")), "{incident}");
        }
    }
    assert!(num_outages >= 2 && num_rises >= 3, "the seed was chosen for its faults: {truth}");
    let in_a_fault = |incident: &Value| {
        let opened = instant(&incident["opened_at"]);
        faults.iter().any(|fault| (instant(&fault["start"])..=instant(&fault["end"])).contains(&opened))
    };
    let unasked: Vec<_> = incidents
        .iter()
        .filter(|incident| incident["kind"] == "deviation" && peak(incident) >= 80.0)
        .filter(|incident| !in_a_fault(incident))
        .map(|incident| incident["summary"].to_string())
        .collect();
    assert!(unasked.len() <= 3, "{unasked:#?}");
}

#[test]
fn csv_is_read_alike_from_plain_and_compressed_files_and_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ORDERS_CONFIG);
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("orders.csv"), ORDERS).unwrap();
    std::fs::write(at("orders.csv.gz"), gzip(ORDERS)).unwrap();
    std::fs::write(at("orders.csv.zst"), zstd::encode_all(ORDERS, 1).unwrap()).unwrap();
    let mut outcomes = Vec::new();
    for name in ["orders.csv", "orders.csv.gz", "orders.csv.zst"] {
        let out = at("out.json");
        assert_done(&backtest(&config, "orders", &[&at(name).display().to_string()], &out));
        outcomes.push(json(&out));
    }
    let out = at("stdin.json").display().to_string();
    let mut command =
        tidewatch(["backtest", "--config", &config, "--monitor", "orders", "--json", &out, "-"]);
    let said = finish_with_input(&mut command, ORDERS.to_vec());
    assert_done(&said);
    assert!(said.stdout.contains("11 events in = 5 counted + 0 revised + 5 rejected + 1 late"), "{said:?}");
    outcomes.push(json(&at("stdin.json")));

    for outcome in &mut outcomes {
        // Each names its own file.
        let refused = outcome["refused"].take();
        assert_eq!(refused.as_array().map(Vec::len), Some(5), "{refused}");
        let first = refused[0].as_str().expect("text");
        assert!(first.ends_with("line 5: the row has 3 cells, the header 5"), "{first}");
    }
    for outcome in &outcomes {
        assert_eq!(outcome, &outcomes[0]);
    }
    let summary = &outcomes[0]["summary"];
    assert_eq!(conserved(summary), 11);
    let counts = ["counted", "rejected", "late", "after_close", "over_limit", "windows"];
    assert_eq!(counts.map(|key| summary[key].as_u64()), [5, 5, 1, 0, 0, 3].map(Some), "{summary}");

    // A pattern reads each file that it matches.
    let out = at("both.json");
    assert_done(&backtest(&config, "orders", &[&at("orders.csv.*").display().to_string()], &out));
    assert_eq!(conserved(&json(&out)["summary"]), 22);
}

#[test]
fn a_file_without_the_timestamp_column_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ORDERS_CONFIG);
    let (file, out) = (folder.path().join("orders.csv"), folder.path().join("out.json"));
    std::fs::write(&file, "order_id,country,quantity\n1,DE,2\n2,FR,3\n").unwrap();
    let said = backtest(&config, "orders", &[&file.display().to_string()], &out);
    assert_eq!(said.code, Some(2), "{said:?}");
    let expected = "line 1: the columns lack `ordered_at`; they are: order_id, country, quantity; left out";
    assert!(said.stderr.contains(expected) && !out.exists(), "{said:?}");
}

// --- run and export ---

/// Runs the service until its file sources have ended and says what its monitor looked like then.
async fn run_to_the_end(config: &str, monitor: &str) -> Value {
    let service = Process::start(&mut tidewatch(["run", "--config", config]));
    let url = service.url();
    let ended = wait_until("the source to end", async || {
        let status = get_json(&format!("{url}/api/v1/status")).await?;
        let sources = status["sources"].as_array()?.clone();
        sources.iter().all(|source| source["state"] == "ended").then_some(status)
    });
    ended.await;
    // Before it says that it has ended nothing more is read, but the last commit may still be under way.
    let said = service.terminate();
    assert_done(&said);
    let service = Process::start(&mut tidewatch(["run", "--config", config]));
    let url = format!("{}/api/v1/monitors/{monitor}", service.url());
    let told = wait_until("the monitor", async || get_json(&url).await).await;
    assert_done(&service.terminate());
    told
}

fn export(config: &str, monitor: &str, out: &Path, range: &[&str]) -> Said {
    let out = out.display().to_string();
    let arguments = ["export", "--config", config, "--monitor", monitor, "--out", &out];
    finish(&mut tidewatch(arguments.into_iter().chain(range.iter().copied())))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_has_counted_and_refused_can_be_read_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), ORDERS_CONFIG);
    std::fs::write(folder.path().join("orders.csv"), ORDERS).unwrap();
    let monitor = run_to_the_end(&config, "orders").await;
    assert_eq!(monitor["totals"]["events"], 11, "a restart reads nothing twice: {monitor}");
    assert_eq!(monitor["totals"]["counted"], 5);
    let reasons = serde_json::json!(
        {"wrong_columns": 2, "bad_timestamp": 1, "no_timestamp": 1, "not_a_number": 1}
    );
    assert_eq!(monitor["rejected_by_reason"], reasons);
    let kept = read(&folder.path().join("rejected.ndjson"));
    assert_eq!(kept.lines().count(), 5, "{kept}");
    for word in ["1003,France", "one cell too many", "yesterday", ",1006,France", "many", "not_a_number"] {
        assert!(kept.contains(word), "no `{word}` in {kept}");
    }

    let out = folder.path().join("orders.out.csv");
    let said = export(&config, "orders", &out, &[]);
    assert_done(&said);
    assert_eq!(header(&out), "time,measure,country,value,count,expected,lower,upper,severity,as_closed");
    let rows = rows(&out);
    assert!(said.stdout.starts_with(&format!("{} observations", rows.len())), "{}", said.stdout);
    let value = |time: &str, measure: &str, country: &str| {
        let mut found = rows
            .iter()
            .filter(|row| row["time"] == time && row["measure"] == measure && row["country"] == country);
        let value = found.next().map(|row| row["value"].parse::<f64>().expect("a number"));
        assert!(found.next().is_none(), "one row per window, measure and slice");
        value
    };
    let hours = ["2026-03-02T08:00:00Z", "2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z"];
    assert_eq!(hours.map(|hour| value(hour, "units", "")), [5.0, 4.0, 5.0].map(Some));
    assert_eq!(hours.map(|hour| value(hour, "orders", "").map(f64::round)), [3.0, 1.0, 1.0].map(Some));
    assert_eq!(value(hours[0], "units", "Korea, Republic of"), Some(2.0));
    assert_eq!(value(hours[0], "units", "United Kingdom"), Some(3.0));
    assert_eq!(value(hours[2], "units", "(none)"), Some(5.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_every_window_and_roll_up_once() {
    let folder = tempfile::tempdir().unwrap();
    assert_done(&simulate(folder.path(), "3", "10", "5", "0"));
    let shop = read(&folder.path().join("config.toml"))
        .replace("path = \"events.ndjson.gz\"", "path = \"FOLDER/events.ndjson.gz\"")
        .replace("interval = \"5m\"", "interval = \"1h\"");
    let service = "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"FOLDER/tidewatch.db\"\n";
    let config = write_config(folder.path(), &(service.to_owned() + &shop));
    run_to_the_end(&config, "shop").await;
    let out = folder.path().join("shop.csv");
    assert_done(&export(&config, "shop", &out, &[]));
    assert_eq!(
        header(&out),
        "time,measure,country,device,value,count,expected,lower,upper,severity,as_closed"
    );

    let mut events = String::new();
    let file = std::fs::File::open(folder.path().join("events.ndjson.gz")).unwrap();
    MultiGzDecoder::new(file).read_to_string(&mut events).unwrap();
    let num_views = events.lines().filter(|line| line.contains("\"page_view\"")).count();
    let all = rows(&out);
    let views = |level: fn(&BTreeMap<String, String>) -> bool| -> f64 {
        let rows = all.iter().filter(|row| row["measure"] == "views" && level(row));
        rows.map(|row| row["value"].parse::<f64>().unwrap()).sum()
    };
    assert_eq!(views(|row| row["country"].is_empty() && row["device"].is_empty()), num_views as f64);
    assert_eq!(views(|row| !row["country"].is_empty() && row["device"].is_empty()), num_views as f64);
    assert_eq!(views(|row| row["country"].is_empty() && !row["device"].is_empty()), num_views as f64);
    assert_eq!(views(|row| !row["country"].is_empty() && !row["device"].is_empty()), num_views as f64);

    let identity = |row: &BTreeMap<String, String>| {
        ["time", "measure", "country", "device"].map(|column| row[column].clone())
    };
    let distinct: BTreeSet<_> = all.iter().map(identity).collect();
    assert_eq!(distinct.len(), all.len(), "one row per window, measure and slice");
    let opinions = ["expected", "lower", "upper", "severity"];
    let scored = all.iter().filter(|row| !row["severity"].is_empty()).count();
    assert!(scored > 0 && scored < all.len(), "{scored} of {}", all.len());
    for row in &all {
        let empty = opinions.iter().filter(|column| row[**column].is_empty()).count();
        assert!(empty == 0 || empty == 4, "{row:?}");
        if empty == 0 {
            let [expected, lower, upper, severity] =
                opinions.map(|column| row[column].parse::<f64>().unwrap());
            assert!(lower <= expected && expected <= upper && (0.0..=100.0).contains(&severity), "{row:?}");
        }
    }

    let part = folder.path().join("part.csv");
    let range = ["--from", "2026-01-06T00:00:00Z", "--to", "2026-01-06T12:00:00Z"];
    assert_done(&export(&config, "shop", &part, &range));
    let expected: Vec<_> =
        all.iter().filter(|row| (range[1]..range[3]).contains(&row["time"].as_str())).cloned().collect();
    assert_eq!(rows(&part), expected);
    assert!(!expected.is_empty());
    assert_refused(&export(&config, "shop", &part, &["--from", "noon"]), 2, &["--from", "noon"]);
}

// --- two processes, one store ---

async fn post(url: &str, events: &str) -> Value {
    let post = reqwest::Client::new().post(format!("{url}/v1/events?source=clicks")).body(events.to_owned());
    let response = post.send().await.expect("the service answers");
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&response.bytes().await.expect("an answer")).expect("valid JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_or_stands_by_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), CLICKS_CONFIG);
    let run = || tidewatch(["run", "--config", &config]);
    let first = Process::start(&mut run());
    let url = first.url();
    let events = "{\"at\": \"2026-03-01T00:00:01Z\"}\n{\"at\": \"2026-03-01T00:00:02Z\"}";
    assert_eq!(post(&url, events).await["counted"], 2);

    assert_refused(&finish(&mut run()), 1, &["another process uses the store", "--standby", "tidewatch.db"]);

    let standby = Process::start(run().arg("--standby"));
    wait_for("the other to stand by", || standby.stderr().contains("standing by").then_some(()));
    assert_eq!(standby.stdout(), "", "it does not listen yet");
    assert_eq!(post(&url, "{\"at\": \"2026-03-01T00:00:03Z\"}").await["counted"], 1);

    drop(first);
    let url = standby.url();
    assert_eq!(post(&url, "{\"at\": \"2026-03-01T00:00:04Z\"}").await["counted"], 1);
    let totals = wait_until("four events", async || {
        let monitor = get_json(&format!("{url}/api/v1/monitors/shop")).await?;
        (monitor["totals"]["events"] == 4).then_some(monitor)
    });
    assert_eq!(totals.await["totals"]["counted"], 4, "what the first has taken is not lost");
    assert_done(&standby.terminate());
}

// --- score ---

const SCORE_HEADER: &str = "timestamp,value,expected,lower,upper,severity,minor,alert";
const POINTS: usize = 14 * 144;
const SPIKE: std::ops::Range<usize> = POINTS - 60..POINTS - 54;

/// Two weeks of a daily rhythm in steps of ten minutes, with a spike near the end.
fn series() -> Vec<(String, String)> {
    (0..POINTS)
        .map(|step| {
            let time = Timestamp::from_second(1_772_323_200 + 600 * step as i64).expect("within range");
            let day = (step % 144) as f64 / 144.0 * std::f64::consts::TAU;
            let noise = (step * 7919 % 23) as f64;
            let value = if SPIKE.contains(&step) { 2_000.0 } else { 300.0 + 100.0 * day.sin() + noise };
            (time.to_string(), format!("{value:.1}"))
        })
        .collect()
}

fn as_csv(points: &[(String, String)]) -> String {
    points.iter().fold("shop,when,sales\n".to_owned(), |text, (time, value)| {
        text + "\"a, b\"," + time + "," + value + "\n"
    })
}

#[test]
fn locate_names_the_slices_and_writes_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, out) = (folder.path().join("failures.csv.gz"), folder.path().join("causes.json"));
    let mut lines = vec!["minute,cdn,device,failed,requests".to_owned()];
    for minute in 0..8 {
        for cdn in ["a", "b", "c"] {
            for device in ["phone", "tv"] {
                let failed = if (minute, cdn, device) == (7, "b", "tv") { 240 } else { 10 + minute % 3 };
                lines.push(format!("2026-03-01 08:2{minute},{cdn},{device},{failed},1000"));
            }
        }
    }
    std::fs::write(&rows, gzip(lines.join("\n").as_bytes())).unwrap();
    let file = rows.display().to_string();
    let locate = |more: &[&str]| {
        let common = ["locate", &file, "--timestamp", "minute", "--at", "2026-03-01 08:27"];
        finish(&mut tidewatch(common.iter().chain(more).copied()))
    };
    let json_out = out.display().to_string();
    let dimensions = ["--dimensions", "cdn,device", "--json", &json_out];
    let said = locate(&[&["--ratio", "failed/requests"], &dimensions[..]].concat());
    assert_done(&said);
    assert!(said.stdout.contains("cdn=b, device=tv explains 100 %"), "{said:?}");
    let found = json(&out);
    assert_eq!(found[0]["file"], file.as_str());
    let explanations = found[0]["explanations"].as_array().unwrap();
    assert_keys(&explanations[0], &["slices", "share", "score", "actual", "expected"]);
    assert_eq!(explanations[0]["slices"], serde_json::json!([{"cdn": "b", "device": "tv"}]));
    let scores: Vec<f64> = explanations.iter().map(|one| one["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");

    let said = locate(&["--sum", "requests", "--dimensions", "cdn,device"]);
    assert_done(&said);
    assert!(said.stdout.trim_start().starts_with('['), "JSON on standard output: {said:?}");
    assert_refused(
        &locate(&["--sum", "orders", "--dimensions", "cdn"]),
        2,
        &["no column `orders`", "failed"],
    );
    assert_refused(&locate(&["--ratio", "failed", "--dimensions", "cdn"]), 2, &["NUMERATOR/DENOMINATOR"]);
    assert_refused(&locate(&["--dimensions", "cdn"]), 2, &["--sum"]);
}

/// Scores files with these contents and gives the lines of each result without the header.
fn score(folder: &Path, files: &[(&str, Vec<u8>)]) -> Vec<Vec<Vec<String>>> {
    let out = folder.join("scored");
    let mut arguments: Vec<String> = vec!["score".into()];
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).expect("a temporary file");
        arguments.push(folder.join(name).display().to_string());
    }
    arguments.extend(["--timestamp", "when", "--value", "sales", "--out"].map(str::to_owned));
    arguments.push(out.display().to_string());
    assert_done(&finish(&mut tidewatch(arguments)));
    let result = |(name, _): &(&str, Vec<u8>)| {
        let stem = name.strip_suffix(".gz").unwrap_or(name);
        let path = out.join(stem);
        assert_eq!(header(&path), SCORE_HEADER);
        let mut reader = csv::Reader::from_path(path).expect("a CSV file");
        let rows = reader.records();
        rows.map(|row| row.expect("a whole row").iter().map(str::to_owned).collect()).collect()
    };
    files.iter().map(result).collect()
}

#[test]
fn score_writes_one_row_per_row_and_alerts_once_per_onset() {
    let folder = tempfile::tempdir().unwrap();
    let points = series();
    let text = as_csv(&points);
    let files = [("plain.csv", text.clone().into_bytes()), ("packed.csv.gz", gzip(text.as_bytes()))];
    let results = score(folder.path(), &files);
    assert_eq!(results[0], results[1]);
    let mut names: Vec<_> = std::fs::read_dir(folder.path().join("scored"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["packed.csv", "plain.csv"]);

    let rows = &results[0];
    let written: Vec<_> = rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(written, points, "one row per row, in their order, as written");
    let first_scored = rows.iter().position(|row| !row[5].is_empty()).expect("an opinion");
    assert!(first_scored > 0);
    assert!(rows[..first_scored].iter().all(|row| row[2..].iter().all(String::is_empty)), "warm-up");
    assert!(rows[first_scored..].iter().all(|row| row[2..].iter().all(|cell| !cell.is_empty())));
    let number = |row: usize, column: usize| rows[row][column].parse::<f64>().unwrap();
    for (row, cells) in rows.iter().enumerate().skip(first_scored) {
        assert!(number(row, 3) <= number(row, 2) && number(row, 2) <= number(row, 4), "{cells:?}");
        assert!((0.0..=100.0).contains(&number(row, 5)) && (0.0..=100.0).contains(&number(row, 6)));
    }
    assert!(number(SPIKE.start, 5) >= 90.0, "{:?}", rows[SPIKE.start]);
    let alerts: Vec<_> = (first_scored..rows.len()).filter(|row| number(*row, 7) != 0.0).collect();
    assert!(alerts.contains(&SPIKE.start), "{alerts:?}");
    assert!(SPIKE.skip(1).all(|row| number(row, 7) == 0.0), "told once: {alerts:?}");
    assert!(alerts.iter().all(|row| number(*row, 7) == number(*row, 5)), "an alert is the severity there");
}

#[test]
fn score_takes_rows_in_order_of_time_whatever_their_order_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let points = series();
    // 1009 is a prime that does not divide the number of points, so this visits each once.
    let order: Vec<usize> = (0..points.len()).map(|index| index * 1009 % points.len()).collect();
    let shuffled: Vec<_> = order.iter().map(|index| points[*index].clone()).collect();
    let mut repeated = points.clone();
    let again = SPIKE.start - 10;
    repeated.insert(again + 1, (points[again].0.clone(), "1500.0".to_owned()));
    let mut gaps = points.clone();
    gaps[again].1.clear();
    let files = [
        ("sorted.csv", as_csv(&points).into_bytes()),
        ("shuffled.csv", as_csv(&shuffled).into_bytes()),
        ("repeated.csv", as_csv(&repeated).into_bytes()),
        ("gaps.csv", as_csv(&gaps).into_bytes()),
    ];
    let [sorted, shuffled, repeated, gaps] = &score(folder.path(), &files)[..] else { panic!("four files") };

    assert_eq!(shuffled.len(), sorted.len());
    for (row, index) in shuffled.iter().zip(&order) {
        assert_eq!(row, &sorted[*index]);
    }
    let mut without = repeated.clone();
    let repetition = without.remove(again + 1);
    assert_eq!(repetition[..2], [points[again].0.clone(), "1500.0".to_owned()]);
    assert!(repetition[5].parse::<f64>().unwrap() >= 70.0, "it is scored: {repetition:?}");
    let models = |rows: &[Vec<String>]| rows.iter().map(|row| row[..7].to_vec()).collect::<Vec<_>>();
    assert_eq!(models(&without), models(sorted), "and not learned");
    assert_eq!(gaps[again][1..], [const { String::new() }; 7], "a gap has no opinion");
    assert!(!gaps[again + 1][5].is_empty());
}
