//! Calendar files, what occasions did, and who is still learning.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};

use super::{Answer, Bench, HOUR, START};
use crate::anomaly::rfc3339;

const CALENDAR: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n\
    BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Newsletter\r\nDTSTART:20260505T080000Z\r\nDTEND:20260505T100000Z\r\n\
    RRULE:FREQ=WEEKLY;COUNT=3\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nUID:2\r\nSUMMARY:Stocktaking\r\nCATEGORIES:outage\r\nDTSTART;VALUE=DATE:20260701\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nUID:3\r\nDTSTART:20260505T080000Z\r\nDTEND:20260505T100000Z\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nUID:4\r\nSUMMARY:Long ago\r\nDTSTART:20200505T080000Z\r\nDTEND:20200505T100000Z\r\nEND:VEVENT\r\n\
    END:VCALENDAR\r\n";

async fn import(bench: &Bench, query: &str, kind: &str, text: &str) -> Answer {
    let path = format!("/api/v1/monitors/shop/calendar/import{query}");
    let request = Request::post(path).header("content-type", kind);
    bench.send(request.body(Body::from(text.to_owned())).unwrap()).await
}

async fn times(bench: &Bench) -> Vec<Value> {
    let path = "/api/v1/monitors/shop/calendar?from=2026-05-01T00:00:00Z&to=2026-12-01T00:00:00Z";
    bench.get(path).await.json()["times"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_file_is_entered_once_and_taken_back_as_one() {
    let bench = Bench::running().await;
    let done = import(&bench, "?name=marketing&by=ana", "text/calendar; charset=utf-8", CALENDAR).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let done = done.json();
    assert_eq!((&done["added"], &done["num_skipped"]), (&json!(4), &json!(2)), "{done}");
    let line =
        json!({"line": 16, "summary": "", "reason": "has no SUMMARY; its name tells which occasion it is"});
    assert_eq!(done["skipped"][0], line);
    assert_eq!(done["skipped"][1]["summary"], "Long ago");
    let listed = times(&bench).await;
    let told: Vec<(&str, &str, &str)> = listed
        .iter()
        .map(|time| ["name", "kind", "from"].map(|key| time[key].as_str().unwrap()).into())
        .collect();
    let newsletter = |from| ("Newsletter", "promotion", from);
    let expected = [
        newsletter("2026-05-05T08:00:00Z"),
        newsletter("2026-05-12T08:00:00Z"),
        newsletter("2026-05-19T08:00:00Z"),
        // A day of the shop's own clock.
        ("Stocktaking", "outage", "2026-06-30T22:00:00Z"),
    ];
    assert_eq!(told, expected);
    assert_eq!((&listed[0]["origin"], &listed[0]["learned"]), (&json!("entered"), &json!([])));
    let again = import(&bench, "", "text/calendar", CALENDAR).await.json();
    assert_eq!((&again["added"], &again["number"]), (&json!(0), &Value::Null));
    assert!(again.to_string().contains("3 of its 3 times: entered already"), "{again}");
    let path = format!("/api/v1/monitors/shop/events/{}", done["number"]);
    assert_eq!(bench.ask(Method::DELETE, &path, &json!({})).await.status, StatusCode::OK);
    assert!(times(&bench).await.is_empty());
    assert_eq!(import(&bench, "?kind=deploy", "text/calendar", CALENDAR).await.json()["added"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_calendar_file_is_refused() {
    let bench = Bench::running().await;
    let cases = [
        ("", "application/json", CALENDAR, 415, "the header Content-Type must be text/calendar"),
        ("", "text/calendar", "SUMMARY:x", 400, "the file has no BEGIN:VCALENDAR"),
        ("?kind=party", "text/calendar", CALENDAR, 400, "parameter `kind` is `party`"),
    ];
    for (query, kind, text, status, error) in cases {
        let answer = import(&bench, query, kind, text).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert!(answer.error().starts_with(error), "{}", answer.error());
    }
    let large = import(&bench, "", "text/calendar", &" ".repeat((1 << 20) + 1)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_says_what_its_occasions_did() {
    let bench = Bench::running().await;
    let is_sale = |hour: i32| hour % 24 >= 16 && matches!(hour / 24, 15 | 17 | 19) && hour % 24 < 22;
    for day in [15, 17, 19] {
        let from = START + (day * 24 + 16) * HOUR;
        let (from, to) = (rfc3339(from), rfc3339(from + 6 * HOUR));
        let sale = json!({"name": "sale", "kind": "promotion", "from": from, "to": to});
        let entered = bench.ask(Method::POST, "/api/v1/monitors/shop/events", &sale).await;
        assert_eq!(entered.status, StatusCode::OK, "{}", entered.text);
    }
    bench.fill(|hour| if is_sale(hour) { 2.0 } else { 1.0 }).await;
    let path = "/api/v1/monitors/shop/calendar?from=2026-03-02T00:00:00Z&to=2026-04-01T00:00:00Z";
    let listed = bench.get(path).await.json();
    let learned = listed["times"][0]["learned"].as_array().unwrap();
    let of = |slice: Value, measure: &str| {
        let found = learned.iter().find(|effect| effect["slice"] == slice && effect["measure"] == measure);
        found.unwrap_or_else(|| panic!("{slice} {measure}: {listed}"))
    };
    for measure in ["orders", "revenue"] {
        let whole = of(json!({}), measure);
        assert_eq!(whole["times"], 3);
        let uplift = whole["uplift"].as_f64().unwrap();
        assert!((1.6..2.4).contains(&uplift), "{measure}: {uplift}");
    }
    assert_eq!(of(json!({"country": "FR"}), "orders")["times"], 3);
    assert_eq!(listed["times"][0]["learned"], listed["times"][2]["learned"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn learning_says_how_long_it_takes() {
    let bench = Bench::running().await;
    let nothing = bench.get("/api/v1/monitors/shop/learning").await.json();
    assert_eq!((&nothing[0]["series"], &nothing[1]["needed"]), (&json!(0), &json!(0)));
    assert!(nothing[0]["reason"].as_str().unwrap().starts_with("no window has closed yet"));
    let lines: Vec<String> = (0..30)
        .map(|hour| format!(r#"{{"time":{},"country":"DE","total":1}}"#, START + hour * HOUR))
        .collect();
    assert_eq!(bench.post("", &[], lines.join("\n")).await.status, StatusCode::OK);
    let closed = |bench: &Bench| bench.board.monitor("shop").unwrap().closed_through_millis;
    bench.until(|bench| closed(bench) == Some(START + 29 * HOUR)).await;
    let learning = bench.get("/api/v1/monitors/shop/learning").await.json();
    let orders = &learning[0];
    assert_eq!(
        (&orders["series"], &orders["num_series"], &orders["seen"]),
        (&json!(2), &json!(2), &json!(29))
    );
    let needed = orders["needed"].as_i64().unwrap();
    assert_eq!(orders["ready_at"], rfc3339(START + needed * HOUR));
    assert!(orders["reason"].as_str().unwrap().starts_with("learning the usual: 29 of "), "{orders}");
    let bench = Bench::with_history().await;
    assert_eq!(bench.get("/api/v1/monitors/shop/learning").await.json(), json!([]));
    assert_eq!(bench.get("/api/v1/monitors/x/learning").await.status, StatusCode::NOT_FOUND);
}
