//! What a store holds is judged again: from the command line and over the API, as it is and as it would be. What people
//! confirmed must not be lost.

mod support;

#[path = "support/running.rs"]
mod running;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use running::Running;
use serde_json::{Value, json};
use support::process::{finish, get_json, tidewatch, wait_until};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, Shop, ShopConfig};
use tokio::net::TcpListener;

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const HOUR: i64 = 3_600_000;

/// Sixteen days of a shop with a rush on the last.
fn write_events(path: &Path) {
    let rush = Fault {
        start_millis: START + (15 * 24 + 12) * HOUR,
        end_millis: START + (15 * 24 + 13) * HOUR,
        measure: "views",
        slice: vec![],
        kind: FaultKind::Rise,
        size: 9.0,
    };
    let faults = FaultPlan::Given(vec![rush]);
    let mut text = Vec::new();
    for event in Shop::new(&ShopConfig { seed: 5, start_millis: START, days: 16, rate: 4.0, faults }) {
        event.write_json(&mut text);
        text.push(b'\n');
    }
    std::fs::write(path, text).expect("a temporary file");
}

fn config(folder: &Path, address: &str, severity: f64) -> String {
    let path = folder.display();
    format!(
        r#"
        [server]
        listen = "{address}"
        [store]
        path = "{path}/shop.db"
        durability = "normal"
        [sources.clicks]
        kind = "file"
        path = "{path}/events.ndjson"
        [monitors.shop]
        source = "clicks"
        timestamp = "event_time"
        interval = "10m"
        allowed_lateness = "30s"
        dimensions = {{ country = "geo.country" }}
        [monitors.shop.measures]
        views = {{ count = true, where = {{ type = "page_view" }} }}
        visitors = {{ distinct = "visitor_id" }}
        [monitors.shop.relations.both]
        kind = "mixture"
        measures = ["views", "visitors"]
        [[monitors.shop.alerts]]
        severity = {severity}
        to = ["hook"]
        [notifiers.hook]
        kind = "webhook"
        url = "http://127.0.0.1:9/unused"
        "#
    )
}

async fn post(url: &str, body: Value) -> Value {
    let request = reqwest::Client::new().post(url).header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await.expect("the service answers");
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).expect("JSON")
}

/// Peaks of deviations by the time they opened.
fn peaks(document: &Value) -> BTreeMap<String, String> {
    let incidents = document["incidents"].as_array().expect("a list").iter();
    let text = |incident: &Value, key: &str| incident[key].as_str().expect("a text").to_owned();
    incidents
        .map(|incident| {
            let severity = &incident["severity"];
            let what = format!("{} {} {}", text(incident, "id"), severity["first"], severity["peak"]);
            (text(incident, "opened_at") + &text(incident, "id"), what)
        })
        .collect()
}

#[expect(clippy::too_many_lines, reason = "one store, filled once, asked everything")]
#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_judged_again_and_confirmed_incidents_are_guarded() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    write_events(&at("events.ndjson"));
    let mut service = Running::configured(folder.path(), &config(folder.path(), &address, 70.0));
    service.spawn();
    let api = |path: &str| format!("http://{address}/api/v1/{path}");
    wait_until("the file's end", async || {
        let status = get_json(&api("status")).await?;
        (status["sources"][0]["state"] == "ended").then_some(())
    })
    .await;
    let live = get_json(&api("incidents?limit=500")).await.expect("a list");
    let told: Vec<&Value> = live["incidents"].as_array().unwrap().iter().collect();
    let worst = told
        .iter()
        .max_by(|a, b| {
            a["severity"]["peak"].as_f64().unwrap().total_cmp(&b["severity"]["peak"].as_f64().unwrap())
        })
        .expect("the rush");
    assert!(worst["severity"]["peak"].as_f64().unwrap() > 70.0, "{worst}");
    let worst = worst["id"].as_str().unwrap().to_owned();
    post(&api(&format!("incidents/{worst}/feedback")), json!({ "label": "confirmed" })).await;

    let run = async |order: Value| {
        let id = post(&api("backtests"), order).await["id"].as_str().expect("an id").to_owned();
        wait_until("the backtest", async || {
            let list = get_json(&api("backtests")).await?;
            let row = list["backtests"].as_array()?.iter().find(|row| row["id"] == id.as_str())?.clone();
            assert_ne!(row["state"], "failed", "{row}");
            (row["state"] == "done").then_some(row)
        })
        .await
    };
    let row = run(json!({ "monitor": "shop", "name": "as it is" })).await;
    let id = row["id"].as_str().expect("an id").to_owned();
    assert_eq!((&row["id"], &row["name"], &row["progress"]), (&json!(id), &json!("as it is"), &json!(1.0)));
    let result = get_json(&api(&format!("backtests/{id}"))).await.expect("a result");
    assert_eq!(peaks(&result), peaks(&live), "the same incidents as live, with the same severities");
    assert_eq!(result["confirmed"], json!({ "labels": 1, "found": 1 }));
    let report = reqwest::get(api(&format!("backtests/{id}/report"))).await.expect("a report");
    assert!(report.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(report.text().await.unwrap().starts_with("<!doctype html>"));
    let same = get_json(&api(&format!("backtests/compare?a={id}&b=live"))).await.expect("a comparison");
    assert_eq!(
        (&same["gained"], &same["lost"], &same["moved"]),
        (&json!([]), &json!([]), &json!([])),
        "{same}"
    );
    assert!(same["kept"].as_u64().unwrap() >= 1, "{same}");
    let drops = run(json!({ "monitor": "shop", "set": { "alerts.0.direction": "drop" } })).await;
    let drops = drops["id"].as_str().unwrap();
    let change = get_json(&api(&format!("backtests/compare?a={id}&b={drops}"))).await.expect("a comparison");
    assert_eq!(change["confirmed_lost"][0]["id"], json!(worst), "{change}");
    let client = reqwest::Client::new();
    assert_eq!(client.delete(api(&format!("backtests/{drops}"))).send().await.unwrap().status(), 204);
    service.stop();
    service.spawn();
    let kept = wait_until("the service", async || get_json(&api(&format!("backtests/{id}"))).await).await;
    assert_eq!(kept, result, "results outlive the service");
    assert_eq!(client.delete(api(&format!("backtests/{id}"))).send().await.unwrap().status(), 204);
    assert_eq!(get_json(&api("backtests")).await.unwrap()["backtests"], json!([]));
    assert_eq!(reqwest::get(api(&format!("backtests/{id}"))).await.unwrap().status(), 404);
    service.stop();

    let is = at("config.toml").display().to_string();
    let would_be = at("changed.toml").display().to_string();
    let compare = |with: &str, more: &[&str]| {
        let command =
            ["compare", "--config", &is, "--with", with, "--monitor", "shop", "--fail-on", "confirmed-lost"];
        finish(&mut tidewatch(command.iter().chain(more)))
    };
    let said = compare(&is, &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("0 lost, 0 gained; 1 of 1 confirmed incidents still heard of"), "{said:?}");
    let drops = config(folder.path(), &address, 70.0).replace("to = [", "direction = \"drop\"\nto = [");
    std::fs::write(&would_be, drops).unwrap();
    let said = compare(&would_be, &[]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stdout.contains(&format!("CONFIRMED INCIDENT LOST  {worst}")), "{said:?}");
    let nothing = compare(&would_be, &["--to", "2026-01-01T00:00:00Z"]);
    assert!(nothing.code == Some(2) && nothing.stderr.contains("no window"), "{nothing:?}");
    std::fs::write(&would_be, config(folder.path(), &address, 70.0).replace("\"10m\"", "\"5m\"")).unwrap();
    let reshaped = compare(&would_be, &[]);
    assert!(reshaped.code == Some(2) && reshaped.stderr.contains("another shape"), "{reshaped:?}");

    let labels = at("labels.csv").display().to_string();
    let said = finish(&mut tidewatch([
        "export",
        "--config",
        &is,
        "--monitor",
        "shop",
        "--labels",
        "--out",
        &labels,
    ]));
    assert!(said.stdout.contains("1 labels"), "{said:?}");
    let events = at("events.ndjson").display().to_string();
    let backtest =
        ["backtest", "--config", &is, "--monitor", "shop", "--labels", &labels, "--split", "0.5", &events];
    let said = finish(&mut tidewatch(backtest));
    for words in ["found 1 of 1 labels", "false incidents told a week", "nominal", "NAB score"] {
        assert!(said.stdout.contains(words), "no `{words}` in {said:?}");
    }
}
