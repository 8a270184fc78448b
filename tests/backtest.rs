//! The commands of an analyst with files and no cluster: inspect, backtest with labels and report, compare, tune,
//! plan; on a small simulated shop.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn tidewatch() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tidewatch"))
}

/// Three weeks of a small shop, made once.
fn shop() -> &'static Path {
    static SHOP: std::sync::OnceLock<(tempfile::TempDir, PathBuf)> = std::sync::OnceLock::new();
    let (_, path) = SHOP.get_or_init(|| {
        let folder = tempfile::tempdir().expect("as written");
        let path = folder.path().to_owned();
        let made = tidewatch()
            .args(["simulate", "--seed", "7", "--days", "21", "--rate", "20", "--faults", "6", "--out"])
            .arg(&path)
            .output()
            .expect("as written");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // One measure and one dimension are enough to watch, and quick.
        let config = "[sources.events]\nkind = \"file\"\npath = \"events.ndjson.gz\"\n[monitors.shop]\nsource = \"events\"\n\
            timestamp = \"event_time\"\ntimezone = \"Europe/Berlin\"\ninterval = \"10m\"\n\
            dimensions = { device = \"device\" }\n[monitors.shop.measures]\n\
            views = { count = true, where = { type = \"page_view\" } }\n[monitors.shop.detector]\nkind = \"seasonal\"\nseverity = 70\n";
        std::fs::write(path.join("config.toml"), config).expect("as written");
        std::fs::write(path.join("deaf.toml"), config.replace("interval = \"10m\"", "interval = \"10m\"\nretention = \"30d\"")
            .replace("count = true,", "count = true, direction = \"rise\",")).expect("as written");
        (folder, path)
    });
    path
}

fn run(command: &mut Command) -> Output {
    command.current_dir(shop()).output().expect("as written")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(shop().join(name)).expect("as written"))
        .expect("as written")
}

const INPUT: [&str; 5] = ["--monitor", "shop", "--threads", "2", "events.ndjson.gz"];

#[test]
fn a_backtest_is_judged_against_labels_and_makes_a_report() {
    let output = run(tidewatch()
        .args(["backtest", "--config", "config.toml", "--labels", "truth.json", "--split", "0.5"])
        .args(["--json", "found.json", "--report", "report.html"])
        .args(INPUT));
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("labels: recall"), "{}", text(&output));
    let judged = &json("found.json")["judged"];
    assert!(
        judged["labels"].as_u64().expect("as written") > 0
            && judged["found"].as_u64().expect("as written") > 0,
        "{judged}"
    );
    let recall =
        judged["found"].as_f64().expect("as written") / judged["labels"].as_f64().expect("as written");
    assert_eq!(judged["recall"].as_f64().expect("as written"), recall);
    let html = std::fs::read_to_string(shop().join("report.html")).expect("as written");
    let incidents = html.matches("<details class=\"one\"").count();
    let heard = json("found.json")["incidents"]
        .as_array()
        .expect("as written")
        .iter()
        .filter(|one| {
            one["kind"] == "deviation" && one["severity"]["peak"].as_f64().expect("as written") >= 70.0
        })
        .count();
    assert_eq!(incidents, heard);
    assert!(html.matches("<svg class=\"chart\"").count() > incidents);
    // Nothing is fetched from anywhere.
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("NaN"));
}

#[test]
fn a_comparison_names_what_a_change_would_lose_and_fails_scripts() {
    let compare = |with: &str, more: &[&str]| {
        run(tidewatch().args(["compare", "--config", "config.toml", "--with", with]).args(more).args(INPUT))
    };
    let same = compare("config.toml", &["--fail-on", "lost", "--fail-on", "gained"]);
    assert!(same.status.success() && text(&same).contains(" 0 lost, 0 gained"), "{}", text(&same));
    let arguments = ["--confirmed", "truth.json", "--fail-on", "confirmed-lost", "--json", "compared.json"];
    let deaf = compare("deaf.toml", &arguments);
    assert_eq!(deaf.status.code(), Some(3), "{}", text(&deaf));
    assert!(text(&deaf).contains("CONFIRMED INCIDENT LOST"), "{}", text(&deaf));
    let compared = json("compared.json");
    assert!(!compared["lost"].as_array().expect("as written").is_empty());
    assert!(!compared["confirmed_lost"].as_array().expect("as written").is_empty());
    let nothing = compare("deaf.toml", &["--fail-on", "confirmed-lost"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing).contains("--confirmed"), "{}", text(&nothing));
}

#[test]
fn tuning_keeps_to_the_budget_and_finds_the_best_on_labels() {
    let tune = |more: &[&str]| {
        let output = run(tidewatch()
            .args(["tune", "--config", "config.toml", "--json", "tuned.json"])
            .args(more)
            .args(INPUT));
        assert!(output.status.success(), "{}", text(&output));
        (json("tuned.json"), text(&output))
    };
    let (tuned, said) = tune(&["--goal", "3 per week", "--split", "0.5", "--lateness", "0s"]);
    let settings = tuned["settings"].as_array().expect("as written").clone();
    let best = &settings[tuned["best"].as_u64().expect("as written") as usize];
    assert!(best["per_week"].as_f64().expect("as written") <= 3.0, "{best}");
    assert!(said.contains("allowed_lateness = \"0s\": "), "{said}");
    let quick: Vec<f64> = settings
        .iter()
        .filter(|one| one["min_windows"] == 1)
        .map(|one| one["per_week"].as_f64().expect("as written"))
        .collect();
    assert!(quick.is_sorted_by(|a, b| a >= b) && quick[0] > 0.0, "{quick:?}");
    let (tuned, _) = tune(&["--goal", "f1", "--labels", "truth.json", "--split", "0.5"]);
    let settings = tuned["settings"].as_array().expect("as written");
    let best =
        settings[tuned["best"].as_u64().expect("as written") as usize]["f1"].as_f64().expect("as written");
    assert!(settings.iter().all(|one| one["f1"].as_f64().expect("as written") <= best), "{best}");
}

#[test]
fn a_plan_counts_the_series_there_are() {
    let output = run(tidewatch().args(["plan", "--config", "deaf.toml", "--json", "plan.json"]).args(INPUT));
    assert!(output.status.success(), "{}", text(&output));
    let plan = json("plan.json");
    let levels = plan["slices_by_level"].as_array().expect("as written");
    assert_eq!(levels[0][0], "everything");
    let slices: u64 = levels.iter().map(|level| level[1].as_u64().expect("as written")).sum();
    assert_eq!(plan["series"].as_u64().expect("as written"), slices);
    assert_eq!(plan["growth"][3].as_u64().expect("as written"), slices);
    let (a_day, kept) = (
        plan["disk_bytes_per_day"].as_f64().expect("as written"),
        plan["disk_bytes"].as_f64().expect("as written"),
    );
    assert!(a_day > 1_000.0 && (kept / a_day - 30.0).abs() < 1e-6, "{plan}");
}

#[test]
fn inspecting_a_file_gives_a_configuration_that_runs() {
    let made =
        run(tidewatch().args(["simulate", "--seed", "8", "--days", "2", "--rate", "30", "--out", "small"]));
    assert!(made.status.success(), "{}", text(&made));
    let output = run(tidewatch().args(["inspect", "small/events.ndjson.gz", "--out", "proposed.toml"]));
    assert!(output.status.success(), "{}", text(&output));
    let proposed = std::fs::read_to_string(shop().join("proposed.toml")).expect("as written");
    for expected in ["timestamp = \"event_time\"", "\"geo.country\"", "page_view = {", "total_sum = "] {
        assert!(proposed.contains(expected), "{proposed}");
    }
    let input = ["--monitor", "shop", "small/events.ndjson.gz"];
    let output = run(tidewatch().args(["backtest", "--config", "proposed.toml"]).args(input));
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains(" + 0 rejected"), "{}", text(&output));
    std::fs::write(shop().join("broken.csv"), "a,b\n1,2\n").expect("as written");
    let output = run(tidewatch().args(["inspect", "broken.csv"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("`broken.csv`: no column holds times"), "{}", text(&output));
}
