//! Status, series, observations and incidents of three real weeks that end in an outage.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn status_and_monitors_show_what_runs() {
    let bench = Bench::with_history().await;
    let status = bench.get("/api/v1/status").await.json();
    assert_eq!((&status["version"], &status["now"]), (&json!("0.1.0"), &json!("2026-05-01T00:00:00Z")));
    let source = json!({"name": "clicks", "kind": "http", "state": "caught_up", "lag_millis": 0,
                        "records": 1, "error": null});
    assert_eq!(status["sources"], json!([source]));
    let shop = &status["monitors"][0];
    assert_eq!((&shop["zone"], &shop["interval_seconds"]), (&json!("Europe/Berlin"), &json!(3600)));
    let measures = json!([{"name": "orders", "kind": "count", "unit": null},
                          {"name": "revenue", "kind": "sum", "unit": "EUR"}]);
    assert_eq!((&shop["dimensions"], &shop["measures"]), (&json!(["country"]), &measures));
    assert_eq!(shop["closed_through"], "2026-03-22T23:00:00Z");
    assert_eq!(
        (&shop["num_series"], &shop["num_learning"], &shop["learning"]),
        (&json!(6), &json!(0), &Value::Null)
    );
    assert_eq!(shop["totals"]["events"], shop["totals"]["counted"]);
    assert_eq!(shop["num_open_windows"], 1);
    let one = bench.get("/api/v1/monitors/shop").await.json();
    assert_eq!(&one, shop);
    assert_eq!(bench.get("/api/v1/monitors").await.json(), json!({"monitors": [one]}));
    let missing = bench.get("/api/v1/monitors/x").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.error(), "there is no monitor `x`; the monitors are: `shop`");
    assert_eq!(bench.get("/api/v1/monitors/shop?x=1").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_that_has_seen_nothing_has_a_status() {
    let bench = Bench::stopped(1);
    let shop = bench.get("/api/v1/monitors/shop").await.json();
    assert_eq!((&shop["closed_through"], &shop["num_series"]), (&Value::Null, &json!(0)));
    assert_eq!(bench.get("/api/v1/monitors/shop/series").await.json()["num_series"], 0);
    let whole = bench.get("/api/v1/monitors/shop/observations?measure=orders").await;
    assert_eq!(whole.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.get("/api/v1/incidents").await.json(), json!({"incidents": [], "next": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn series_come_in_pages() {
    let bench = Bench::with_history().await;
    let all = bench.get("/api/v1/monitors/shop/series").await.json();
    assert_eq!((&all["num_series"], &all["next"]), (&json!(6), &Value::Null));
    assert_eq!(all["series"][0], json!({"measure": "orders", "slice": {}}));
    let first = bench.get("/api/v1/monitors/shop/series?limit=4").await.json();
    assert_eq!((first["series"].as_array().unwrap().len(), &first["next"]), (4, &json!(4)));
    let rest = bench.get("/api/v1/monitors/shop/series?limit=4&after=4").await.json();
    assert_eq!((first["series"][3].clone(), rest["next"].clone()), (all["series"][3].clone(), Value::Null));
    assert_eq!(rest["series"], json!([all["series"][4], all["series"][5]]));
    assert_eq!(bench.get("/api/v1/monitors/shop/series?after=99").await.json()["series"], json!([]));
    let bad = bench.get("/api/v1/monitors/shop/series?after=-1").await;
    assert_eq!(bad.error(), "parameter `after` is `-1`; it must be a whole number from 0 on");
}

#[tokio::test(flavor = "multi_thread")]
async fn observations_carry_value_and_band() {
    let bench = Bench::with_history().await;
    let base = "/api/v1/monitors/shop/observations?measure=orders";
    let newest = bench.get(&format!("{base}&slice.country=DE&limit=3")).await.json();
    assert_eq!((&newest["slice"], &newest["zone"]), (&json!({"country": "DE"}), &json!("Europe/Berlin")));
    let times: Vec<&str> = rows(&newest).iter().map(|row| row["time"].as_str().unwrap()).collect();
    assert_eq!(times, ["2026-03-22T20:00:00Z", "2026-03-22T21:00:00Z", "2026-03-22T22:00:00Z"]);
    let last = &rows(&newest)[2];
    assert_eq!((&last["value"], &last["weight"]), (&json!(0.0), &json!(0.0)));
    let [expected, lower, upper, severity] =
        ["expected", "lower", "upper", "severity"].map(|name| last[name].as_f64().unwrap());
    assert!(lower < expected && expected < upper && severity > 60.0, "{last}");
    let early = bench.get(&format!("{base}&from=2026-03-02T00:00:00Z&to=2026-03-02T02:00:00Z")).await.json();
    assert_eq!(rows(&early).len(), 2);
    let learning = json!({"time": "2026-03-02T00:00:00Z", "value": 70.0, "weight": 70.0, "expected": null,
                          "lower": null, "upper": null, "severity": null, "minor": null});
    assert_eq!(rows(&early)[0], learning);
    let from = bench.get(&format!("{base}&from=2026-03-02T00:00:00Z&limit=501")).await.json();
    assert_eq!(rows(&from).len(), 501);
    assert_eq!(rows(&from)[500]["time"], "2026-03-22T20:00:00Z");
    let before = bench.get(&format!("{base}&to=2026-03-10T00:00:00Z&limit=2")).await.json();
    assert_eq!(rows(&before)[1]["time"], "2026-03-09T23:00:00Z");
    let revenue = bench.get("/api/v1/monitors/shop/observations?measure=revenue&limit=1").await.json();
    assert_eq!(revenue["slice"], json!({}));
    let orders = bench.get(&format!("{base}&limit=1")).await.json();
    let value = |answer: &Value| rows(answer)[0]["value"].as_f64().unwrap();
    assert_eq!(value(&revenue), value(&orders) * 9.5);
}

fn rows(answer: &Value) -> &Vec<Value> {
    answer["observations"].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn observations_that_cannot_be_shown_say_why() {
    let bench = Bench::with_history().await;
    let cases = [
        ("", 400, "parameter `measure` is missing; the measures of `shop` are: `orders`, `revenue`"),
        ("measure=x", 400, "parameter `measure` is `x`; the measures of `shop` are: `orders`, `revenue`"),
        (
            "measure=orders&slice.city=X",
            400,
            "parameter `slice.city` names no dimension; the dimensions of `shop`",
        ),
        ("measure=orders&slice.country=XX", 404, "monitor `shop` keeps no series of the slice `country=XX`"),
        ("measure=orders&slice.country=A&slice.country=B", 400, "parameter `slice.country` is given more"),
        (
            "measure=orders&limit=0",
            400,
            "parameter `limit` is `0`; it must be a whole number from 1 to 10000",
        ),
        ("measure=orders&limit=many", 400, "parameter `limit` is `many`"),
        (
            "measure=orders&from=yesterday",
            400,
            "parameter `from` is `yesterday`; it must be an RFC 3339 time",
        ),
        (
            "measure=orders&until=2026-01-01T00:00:00Z",
            400,
            "there is no parameter `until` here; there are: measure",
        ),
    ];
    for (query, status, error) in cases {
        let answer = bench.get(&format!("/api/v1/monitors/shop/observations?{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text);
        assert!(answer.error().starts_with(error), "{}", answer.error());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outage_is_an_incident() {
    let bench = Bench::with_history().await;
    let all = bench.get("/api/v1/incidents?state=open&kind=deviation&monitor=shop").await.json();
    let incident = all["incidents"][0].clone();
    let id = incident["id"].as_str().unwrap();
    let detail = bench.get(&format!("/api/v1/incidents/{id}")).await.json();
    for (key, value) in incident.as_object().unwrap() {
        assert_eq!(detail[key], *value, "{key}");
    }
    assert_eq!((&incident["kind"], &incident["state"]), (&json!("deviation"), &json!("open")));
    assert_eq!((&incident["direction"], &incident["slices"]), (&json!("drop"), &json!([{"country": "DE"}])));
    assert_eq!(
        (&incident["opened_at"], &incident["closed_at"]),
        (&json!("2026-03-22T20:00:00Z"), &Value::Null)
    );
    assert_eq!(incident["until"], "2026-03-22T23:00:00Z");
    let [first, peak, last] =
        ["first", "peak", "final"].map(|name| incident["severity"][name].as_f64().unwrap());
    assert!(first <= peak && last <= peak && peak >= 60.0);
    assert!(incident["impact"]["value"].as_f64().unwrap() < 0.0);
    let members = incident["members"].as_array().unwrap();
    assert!(members.len() as u64 <= incident["num_members"].as_u64().unwrap());
    assert_eq!(members[0]["direction"], "drop");
    let ids = |answer: Value| answer["incidents"].as_array().unwrap().len();
    let every = bench.get("/api/v1/incidents").await.json();
    let severe = every["incidents"].as_array().unwrap().iter();
    let severe = severe.filter(|incident| incident["severity"]["peak"].as_f64().unwrap() >= 80.0).count();
    assert_eq!(ids(bench.get("/api/v1/incidents?min_severity=80").await.json()), severe);
    assert_eq!(ids(bench.get("/api/v1/incidents?monitor=other").await.json()), 0);
    assert_eq!(ids(bench.get("/api/v1/incidents?before=2026-03-02T00:00:00Z").await.json()), 0);
    assert_eq!(ids(bench.get("/api/v1/incidents?limit=1").await.json()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn incident_queries_that_cannot_be_read_say_why() {
    let bench = Bench::stopped(1);
    let cases = [
        ("?state=opened", "parameter `state` is `opened`; it must be one of open, closed"),
        ("?kind=x", "parameter `kind` is `x`; it must be one of deviation, minor, no_data"),
        ("?min_severity=101", "parameter `min_severity` is `101`; it must be a number from 0 to 100"),
        ("?min_severity=NaN", "parameter `min_severity` is `NaN`; it must be a number from 0 to 100"),
        ("?limit=501", "parameter `limit` is `501`; it must be a whole number from 1 to 500"),
        ("?before=1", "parameter `before` is `1`; it must be an RFC 3339 time"),
        ("?severity=70", "there is no parameter `severity` here; there are: monitor, state, kind"),
    ];
    for (query, error) in cases {
        let answer = bench.get(&format!("/api/v1/incidents{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.error().starts_with(error), "{}", answer.error());
    }
    let missing = bench.get("/api/v1/incidents/shop-99").await;
    assert_eq!(
        (missing.status, missing.error().as_str()),
        (StatusCode::NOT_FOUND, "there is no incident `shop-99`")
    );
}

/// The types that `backtest --json` shares write the contract's names.
#[test]
fn an_incident_without_data_has_no_measure() {
    use crate::{anomaly::IncidentBook, api::wire::IncidentWire};
    let (_, spec) = super::shop();
    let updates = IncidentBook::default().source_lost(&spec.facts, 0, 60_000, "refused");
    let wire = serde_json::to_value(IncidentWire::from(&updates.incidents[0])).unwrap();
    assert_eq!((&wire["kind"], &wire["measure"]), (&json!("no_data"), &Value::Null));
    assert_eq!((&wire["slices"], &wire["severity"]["final"]), (&json!([{}]), &json!(100.0)));
    for name in ["id", "opened_at", "closed_at", "share", "expected", "actual", "impact", "summary"] {
        assert!(wire.get(name).is_some(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_was_looked_at_and_which_rules_there_are() {
    let bench = Bench::with_history().await;
    let preview = bench.get("/api/v1/monitors/shop/alerts/preview?since=2026-03-02T00:00:00Z").await.json();
    assert_eq!((&preview["from"], &preview["alerts"]), (&json!("2026-03-02T00:00:00Z"), &json!([])));
    assert_eq!((&preview["to"], &preview["num_windows"]), (&json!("2026-03-22T23:00:00Z"), &json!(503)));
    let later = bench.get("/api/v1/monitors/shop/alerts/preview").await.json();
    assert_eq!((&later["from"], &later["num_windows"]), (&Value::Null, &json!(0)), "seven days back");
    let missing = bench.get("/api/v1/monitors/shop/alerts/preview?rule=pager").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.error(), "`shop` has no rule `pager`; its rules are: none");
}
