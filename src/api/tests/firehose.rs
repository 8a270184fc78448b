//! Firehose's protocol: what it is answered, and that a batch counts once. Kills are in `tests/firehose.rs`.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Answer, Bench, START};
use crate::sources::{HttpSender, HttpSourceConfig};

/// Path, access key, request id, body; status and what the error holds.
type Case<'c> = (&'c str, &'c str, &'c str, Vec<u8>, u16, &'c str);

const ID: &str = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f";

fn config() -> HttpSourceConfig {
    HttpSourceConfig {
        sender: HttpSender::Firehose,
        token: Some("s3cret".to_owned()),
        ..HttpSourceConfig::default()
    }
}

fn batch(id: &str, records: &[String]) -> String {
    let records: Vec<_> = records.iter().map(|data| json!({"data": STANDARD.encode(data)})).collect();
    json!({"requestId": id, "timestamp": 1_578_090_901_599_i64, "records": records}).to_string()
}

fn event(country: &str) -> String {
    format!(r#"{{"time":{START},"country":"{country}","total":5}}"#)
}

async fn send(bench: &Bench, path: &str, key: &str, id: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path)
        .header("Content-Type", "application/json")
        .header("X-Amz-Firehose-Protocol-Version", "1.0")
        .header("X-Amz-Firehose-Request-Id", id)
        .header("X-Amz-Firehose-Source-Arn", "arn:aws:firehose:us-east-1:123456789012:deliverystream/shop")
        .header("X-Amz-Firehose-Access-Key", key);
    bench.send(request.body(body.into()).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_stored_and_a_repeated_one_counts_once() {
    let bench = Bench::running_with(config()).await;
    let lines = format!("{}\n{}", event("DE"), event("FR"));
    let body = batch(ID, &[event("DE"), lines, String::new(), "nonsense".to_owned()]);
    for path in ["/firehose/clicks", "/firehose", "/firehose/clicks"] {
        let answer = send(&bench, path, "s3cret", ID, body.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("content-encoding"), "");
        let json = answer.json();
        assert_eq!(json["requestId"], ID);
        assert!(json["timestamp"].is_i64() && json.get("errorMessage").is_none(), "{json}");
    }
    bench.until(|bench| bench.board.monitor("shop").is_some_and(|shop| shop.totals.events == 4)).await;
    let totals = bench.board.monitor("shop").unwrap().totals;
    assert_eq!((totals.counted, totals.num_rejected()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_follow_the_protocol_too() {
    let bench = Bench::running_with(config()).await;
    let body = batch(ID, &[event("DE")]);
    let large = vec![b' '; (16 << 20) + 1];
    let cases: [Case<'_>; 6] = [
        ("/firehose/clicks", "wrong", ID, body.clone().into(), 401, "not the `token` of source `clicks`"),
        ("/firehose/x", "s3cret", ID, body.clone().into(), 404, "those that do are: `clicks`"),
        ("/firehose", "s3cret", "other", body.clone().into(), 400, "`requestId` is"),
        ("/firehose", "s3cret", "", body.into(), 400, "must have 1 to 200 characters"),
        ("/firehose", "s3cret", ID, b"{}".to_vec(), 400, "not a batch of Firehose"),
        ("/firehose", "s3cret", ID, large, 413, "more than 16777216 bytes"),
    ];
    for (path, key, id, body, status, error) in cases {
        let answer = send(&bench, path, key, id, body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        let json = answer.json();
        assert_eq!(json["requestId"], id);
        assert!(json["timestamp"].is_i64());
        assert!(json["errorMessage"].as_str().unwrap().contains(error), "{json}");
    }
    let posted = bench.post("", &[], event("DE")).await;
    assert!(posted.error().starts_with("no source takes posts"), "{}", posted.error());
    let guarded = bench.with(|state| state.token = Some("t".to_owned()));
    let stranger = send(&guarded, "/firehose/x", "s3cret", ID, "{}").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(!stranger.text.contains("clicks"), "{}", stranger.text);
}
