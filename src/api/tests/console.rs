//! What the console asks for besides the rest: charts in few points, lanes, histograms, live changes, deliveries.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    http::{Method, Request, StatusCode},
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Bench, HOUR, START};
use crate::{
    anomaly::{Alert, AlertRule, MinDuration, Threshold},
    pipeline::{Commit, MonitorCommit, Outbox, SlicesFrom, Store},
    record::{CheckpointDelta, SourceId},
};

fn list<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    answer[name].as_array().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_few_points_keeps_the_extremes_of_all_windows() {
    let bench = Bench::with_history().await;
    let base = "/api/v1/monitors/shop/observations?measure=orders&slice.country=DE";
    let every = bench.get(&format!("{base}&from=2026-03-02T00:00:00Z&limit=10000")).await.json();
    assert_eq!((&every["sampled"], &every["windows_per_point"]), (&json!(false), &json!(1)));
    let few = bench.get(&format!("{base}&points=60")).await.json();
    assert_eq!((&few["sampled"], &few["windows_per_point"]), (&json!(true), &json!(27)));
    let (every, few) = (list(&every, "observations"), list(&few, "observations"));
    assert!((20..=60).contains(&few.len()) && every.len() == 503, "{} of {}", few.len(), every.len());
    let of = |rows: &[Value], name: &str| -> Vec<f64> {
        rows.iter().filter_map(|row| row[name].as_f64()).collect()
    };
    for name in ["value", "severity"] {
        let most = |rows: &[Value]| of(rows, name).into_iter().fold(f64::MIN, f64::max);
        assert_eq!(most(few), most(every), "{name}");
    }
    let least = |rows: &[Value]| of(rows, "value").into_iter().fold(f64::MAX, f64::min);
    assert_eq!(least(few), least(every));
    assert!(few.iter().all(|row| every.contains(row)), "each is a window as stored");
    assert!(few.windows(2).all(|pair| pair[0]["time"].as_str() < pair[1]["time"].as_str()));
    let all = bench.get(&format!("{base}&points=1000")).await.json();
    assert_eq!((&all["sampled"], list(&all, "observations")), (&json!(false), every));
    let part = format!("{base}&points=100&from=2026-03-10T00:00:00Z&to=2026-03-12T00:00:00Z");
    assert_eq!(list(&bench.get(&part).await.json(), "observations").len(), 48);
    let none = bench.get(&format!("{base}&points=10&from=2027-01-01T00:00:00Z")).await.json();
    assert_eq!(none["observations"], json!([]));
    let bad = bench.get(&format!("{base}&points=9")).await;
    assert_eq!(bad.error(), "parameter `points` is `9`; it must be a whole number from 10 to 10000");
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_show_what_was_off_by_dimension_measure_and_monitor() {
    let bench = Bench::with_history().await;
    let span = "from=2026-03-22T00:00:00Z&to=2026-03-23T00:00:00Z&buckets=24";
    let lanes = bench.get(&format!("/api/v1/lanes?by=country&{span}")).await.json();
    assert_eq!((&lanes["bucket_seconds"], &lanes["zone"]), (&json!(3600), &json!("Europe/Berlin")));
    let named: Vec<&str> = list(&lanes, "lanes").iter().map(|lane| lane["name"].as_str().unwrap()).collect();
    assert_eq!((named, &lanes["hidden"]), (vec!["All", "DE", "FR"], &json!(0)));
    let incidents = bench.get("/api/v1/incidents?state=open&kind=deviation").await.json();
    let outage = &incidents["incidents"][0];
    let germany = &lanes["lanes"][1];
    assert!(list(germany, "incidents").contains(&outage["id"]), "{germany}");
    let cells = list(germany, "cells");
    // It fell silent at 20 o'clock.
    assert_eq!((cells.len(), &cells[19], &cells[23]), (24, &Value::Null, &Value::Null));
    assert!(cells[20].as_f64().unwrap() >= 60.0 && cells[22].as_f64().unwrap() >= 60.0, "{germany}");
    assert_eq!(list(&lanes["lanes"][2], "cells")[22], Value::Null);
    let measures = bench.get(&format!("/api/v1/lanes?by=measure&monitor=shop&{span}")).await.json();
    let mut named: Vec<&str> =
        list(&measures, "lanes").iter().map(|lane| lane["name"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["All", "orders", "revenue"]);
    let monitors = bench.get(&format!("/api/v1/lanes?by=monitor&{span}")).await.json();
    assert_eq!(monitors["lanes"][0]["cells"], monitors["lanes"][1]["cells"]);
    // The clock of the bench stands at 2026-05-01T00:00Z; only what is open is near it.
    let day = bench.get("/api/v1/lanes?by=monitor").await.json();
    assert_eq!((&day["from"], &day["to"]), (&json!("2026-04-30T00:00:00Z"), &json!("2026-05-01T00:00:00Z")));
    assert!(list(&day["lanes"][0], "cells").iter().all(Value::is_null));
    let cases = [
        ("", 400, "`by` is missing"),
        ("by=city", 400, "parameter `by` is `city`; it must be one of `monitor`, `measure`, `country`"),
        ("by=monitor&monitor=x", 404, "there is no monitor `x`"),
        ("by=monitor&hours=0", 400, "parameter `hours` is `0`; it must be a whole number from 1 to 8784"),
        ("by=monitor&from=2026-03-23T00:00:00Z&to=2026-03-22T00:00:00Z", 400, "`to` must be after `from`"),
    ];
    for (query, status, error) in cases {
        let answer = bench.get(&format!("/api/v1/lanes?{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text);
        assert!(answer.error().starts_with(error), "{}", answer.error());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_histogram_counts_what_the_list_would_show() {
    let bench = Bench::with_history().await;
    let incidents = bench.get("/api/v1/incidents?limit=500").await.json();
    let incidents = list(&incidents, "incidents");
    let histogram = bench.get("/api/v1/incidents/histogram").await.json();
    let bins = list(&histogram, "bins");
    assert_eq!((bins.len(), &histogram["total"]), (20, &json!(incidents.len())));
    assert_eq!((&bins[0]["from"], &bins[19]["to"]), (&json!(0), &json!(100)));
    for bin in bins {
        let (from, to) = (bin["from"].as_f64().unwrap(), bin["to"].as_f64().unwrap());
        let within = incidents.iter().filter(|incident| {
            let peak = incident["severity"]["peak"].as_f64().unwrap();
            peak >= from && (peak < to || to == 100.0)
        });
        assert_eq!(bin["count"], within.count(), "{bin}");
    }
    let total = async |query: &str| {
        let answer = bench.get(&format!("/api/v1/incidents/histogram?{query}")).await.json();
        let listed = bench.get(&format!("/api/v1/incidents?{query}&limit=500")).await.json();
        assert_eq!(answer["total"], list(&listed, "incidents").len(), "{query}");
        answer["total"].as_u64().unwrap()
    };
    assert!(total("slice.country=DE&measure=orders").await >= 1);
    assert!(total("min_severity=70&state=open").await >= 1);
    assert!(total("care=unanswered&from=2026-03-02T00:00:00Z").await >= 1);
    assert_eq!(total("monitor=other").await, 0);
    let bad = bench.get("/api/v1/incidents/histogram?limit=5").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(bad.error().starts_with("there is no parameter `limit` here"), "{}", bad.error());
}

/// Everything that a stream has said so far, until it has said `wanted`.
async fn hear(stream: &mut BodyDataStream, wanted: &str) -> String {
    let mut heard = String::new();
    let listening = async {
        while !heard.contains(wanted) {
            let part = stream.next().await.expect("the stream goes on").unwrap();
            heard.push_str(std::str::from_utf8(&part).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), listening).await.expect("it is said");
    heard
}

async fn listen(bench: &Bench) -> BodyDataStream {
    let request = Request::get("/api/v1/stream").header("accept-encoding", "gzip").body(Body::empty());
    let answer = bench.router.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(!answer.headers().contains_key("content-encoding"), "nothing may wait to be compressed");
    answer.into_body().into_data_stream()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_tells_incidents_and_the_status_as_they_change() {
    let bench = Bench::running().await;
    let mut stream = listen(&bench).await;
    let first = hear(&mut stream, "\n\n").await;
    assert!(
        first.starts_with("event: status\ndata: {\"now\":\"2026-05-01T00:00:00Z\",\"sources\":"),
        "{first}"
    );
    bench.fill(|_| 1.0).await;
    let told = hear(&mut stream, "event: incident").await;
    let data = told.split("event: incident\ndata: ").nth(1).unwrap().lines().next().unwrap();
    let change: Value = serde_json::from_str(data).unwrap();
    assert!(
        change["id"].as_str().unwrap().starts_with("shop-") && change["severity"].is_number(),
        "{change}"
    );
    assert_eq!(change["monitor"], "shop");
    hear(&mut stream, "\"closed_through\":\"2026-03-22T23:00:00Z\"").await;
    bench.stop.cancel();
    let end = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), end).await.expect("it ends with the service");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_listen_and_who_leaves_makes_room() {
    let bench = Bench::stopped(1);
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(listen(&bench).await);
    }
    let refused = bench.get("/api/v1/stream").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.error().starts_with("64 clients listen already"), "{}", refused.error());
    let metrics = bench.get("/metrics").await.text;
    assert!(metrics.contains("tidewatch_api_stream_clients_total{outcome=\"refused\"} 1"));
    streams.pop();
    let mut stream = listen(&bench).await;
    // Whoever does not read is let go, and the run loops never wait for them.
    let incident = Alert::example("mail", START).incident;
    for _ in 0..1_000 {
        (bench.state)().feed.tell(&incident);
    }
    let end = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), end).await.expect("it is let go");
}

/// Puts alerts into the outbox.
async fn store(bench: &Bench, alerts: Vec<Alert>) {
    let monitor = MonitorCommit {
        monitor: "elsewhere".to_owned(),
        state: Vec::new(),
        slices: SlicesFrom::default(),
        revisions: Vec::new(),
        correctable: Vec::new(),
        correctable_from_millis: i64::MAX,
        frames: Vec::new(),
        models: Vec::new(),
        incidents: Vec::new(),
        milestones: Vec::new(),
        instructed: Vec::new(),
        alerts,
        retain_from_millis: None,
    };
    let commit = Commit {
        source: SourceId::new("elsewhere"),
        delta: CheckpointDelta::default(),
        journal: Vec::new(),
        receipts: Vec::new(),
        receipts_kept_millis: 0,
        inputs: Vec::new(),
        monitors: Some(vec![monitor]),
        at_millis: START + HOUR,
    };
    bench.store.commit(&commit).await.unwrap();
}

#[cfg(feature = "webhook")]
async fn with_hook(bench: &Bench, status: StatusCode) -> Bench {
    use crate::{api::NotifierInfo, notifiers::Webhook};
    let router = axum::Router::new().fallback(move || async move { status });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let webhook = Webhook::new(&url, None, Duration::from_secs(5)).unwrap();
    let info = NotifierInfo { kind: "webhook", notifier: Arc::new(webhook) };
    bench.with(|state| drop(state.notifiers.insert("hook".to_owned(), info)))
}

#[cfg(feature = "webhook")]
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_and_notifiers_say_what_became_of_alerts() {
    let bench = Bench::stopped(1);
    let bench = with_hook(&bench, StatusCode::OK).await;
    let alert = |number: u32| {
        let mut alert = Alert::example("hook", START);
        alert.incident.id = format!("shop-{}", number % 2);
        "shop".clone_into(&mut alert.incident.monitor);
        alert.id = format!("{}:0:{number}:opened:hook", alert.incident.id);
        alert
    };
    let alerts: Vec<Alert> = (0..5).map(alert).collect();
    let ids: Vec<String> = alerts.iter().map(|alert| alert.id.clone()).collect();
    store(&bench, alerts).await;
    let now = START + 60 * 24 * HOUR;
    bench.store.delivered(&ids[0], now - 1).await.unwrap();
    bench.store.give_up(&ids[1], now - HOUR, "refused: 410").await.unwrap();
    bench.store.give_up(&ids[2], now - 25 * HOUR, "refused: 404").await.unwrap();
    bench.store.postpone(&ids[3], now + HOUR, "unavailable: 503").await.unwrap();
    let notifiers = bench.get("/api/v1/notifiers").await.json();
    let hook = json!({"name": "hook", "kind": "webhook", "pending": 2, "failed_24h": 1,
                      "last_success": "2026-04-30T23:59:59.999Z", "last_error": "unavailable: 503"});
    assert_eq!(notifiers, json!({"notifiers": [hook]}));
    let page = bench.get("/api/v1/deliveries?limit=3").await.json();
    let named = |page: &Value| -> Vec<String> {
        list(page, "deliveries").iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named(&page), [&*ids[4], &*ids[3], &*ids[2]]);
    let rest = format!("/api/v1/deliveries?limit=3&after={}", page["next"].as_str().unwrap());
    let rest = bench.get(&rest).await.json();
    assert_eq!((named(&rest), &rest["next"]), (vec![ids[1].clone(), ids[0].clone()], &Value::Null));
    let row = &rest["deliveries"][0];
    let expected = json!({
        "id": ids[1], "incident": "shop-1", "rule": null, "notifier": "hook", "kind": "opened",
        "summary": "This is a test: orders 38 % below expected in country DE",
        "at": "2026-03-02T00:00:00Z", "created_at": "2026-03-02T01:00:00Z",
        "settled_at": "2026-04-30T23:00:00Z", "state": "given_up", "attempts": 1, "last_error": "refused: 410"});
    assert_eq!(*row, expected);
    let of = async |query: &str| named(&bench.get(&format!("/api/v1/deliveries?{query}")).await.json()).len();
    assert_eq!((of("incident=shop-1").await, of("state=waiting&notifier=hook").await), (2, 2));
    assert_eq!((of("state=given_up&incident=shop-0").await, of("notifier=mail").await), (1, 0));
    let bad = bench.get("/api/v1/deliveries?state=lost").await;
    assert!(
        bad.error().starts_with("parameter `state` is `lost`; it must be one of waiting"),
        "{}",
        bad.error()
    );
    let rule =
        AlertRule { name: "night".to_owned(), ..AlertRule::new(Threshold::Severity(80.0), Vec::new()) };
    let bench = bench.with(|state| state.monitors[0].facts.rules = vec![rule]);
    let row = bench.get("/api/v1/deliveries?limit=1").await.json();
    assert_eq!(row["deliveries"][0]["rule"], "night");
}

#[cfg(feature = "webhook")]
#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_is_tried_for_real_and_not_too_often() {
    let stopped = Bench::stopped(1);
    let path = "/api/v1/notifiers/hook/test";
    let bench = with_hook(&stopped, StatusCode::OK).await;
    let tried = bench.ask(Method::POST, path, &json!({})).await.json();
    assert_eq!((&tried["ok"], &tried["error"]), (&json!(true), &Value::Null));
    assert!(tried["id"].as_str().unwrap().starts_with("test-1:"), "{tried}");
    let again = bench.ask(Method::POST, path, &json!({})).await;
    assert_eq!(again.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(again.error(), "`hook` is tried at most once in 10 s");
    let broken = with_hook(&stopped, StatusCode::GONE).await;
    let tried = broken.ask(Method::POST, path, &json!({})).await.json();
    assert_eq!(tried["ok"], false);
    assert!(tried["error"].as_str().unwrap().starts_with("refused: "), "{tried}");
    let missing = bench.ask(Method::POST, "/api/v1/notifiers/mail/test", &json!({})).await;
    assert_eq!(missing.error(), "there is no notifier `mail`; the notifiers are: `hook`");
    assert_eq!(bench.get("/api/v1/deliveries").await.json()["deliveries"], json!([]), "nothing is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_told_as_configured() {
    let bench = Bench::stopped(1);
    assert_eq!(bench.get("/api/v1/rules").await.json(), json!({"rules": []}));
    let mut rule = AlertRule::new(Threshold::Budget { per_week: 1.0 }, vec!["pager".to_owned()]);
    "shop/1".clone_into(&mut rule.name);
    rule.conditions.duration = Some(MinDuration { n: 2, m: 3 });
    rule.conditions.measures = vec!["orders".to_owned()];
    rule.conditions.schedule = Some(crate::anomaly::Schedule {
        days: [true, true, false, false, false, false, false],
        from_minute: 8 * 60 + 30,
        to_minute: 18 * 60,
    });
    rule.pacing.cool_down_millis = 60_000;
    let bench = bench.with(|state| state.monitors[0].facts.rules = vec![rule]);
    let rules = bench.get("/api/v1/rules?monitor=shop").await.json();
    let told = &rules["rules"][0];
    assert_eq!(
        (&told["monitor"], &told["name"], &told["to"]),
        (&json!("shop"), &json!("shop/1"), &json!(["pager"]))
    );
    assert_eq!((&told["severity"], &told["budget_per_week"]), (&Value::Null, &json!(1.0)));
    assert_eq!(told["severity_now"], 70.0, "one series");
    assert_eq!(
        (&told["duration"], &told["cool_down_seconds"]),
        (&json!({"windows": 2, "of": 3}), &json!(60))
    );
    let schedule = json!({"days": ["mon", "tue"], "from": "08:30", "to": "18:00", "zone": "Europe/Berlin"});
    assert_eq!((&told["schedule"], &told["events"]), (&schedule, &Value::Null));
    assert_eq!(bench.get("/api/v1/rules?monitor=x").await.status, StatusCode::NOT_FOUND);
}
