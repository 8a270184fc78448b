//! Token, page, health, errors, OpenAPI, and the server itself.

use std::{collections::BTreeSet, io::Read, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{Bench, START};
use crate::{
    api::{ApiLimits, router, serve},
    pipeline::{Clock, SourceState, SourceStatus},
    record::SourceId,
};

const ROUTES: [(&str, &str); 56] = [
    ("get", "/"),
    ("get", "/assets/{name}"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/metrics"),
    ("post", "/v1/events"),
    ("get", "/v1/events"),
    ("post", "/firehose"),
    ("post", "/firehose/{source}"),
    ("get", "/api/v1/status"),
    ("get", "/api/v1/monitors"),
    ("get", "/api/v1/monitors/{name}"),
    ("get", "/api/v1/monitors/{name}/series"),
    ("get", "/api/v1/monitors/{name}/alerts/preview"),
    ("get", "/api/v1/monitors/{name}/learning"),
    ("get", "/api/v1/monitors/{name}/calendar"),
    ("post", "/api/v1/monitors/{name}/calendar/import"),
    ("get", "/api/v1/monitors/{name}/observations"),
    ("get", "/api/v1/stream"),
    ("get", "/api/v1/rules"),
    ("get", "/api/v1/notifiers"),
    ("get", "/api/v1/deliveries"),
    ("post", "/api/v1/notifiers/{name}/test"),
    ("get", "/api/v1/lanes"),
    ("get", "/api/v1/incidents/histogram"),
    ("get", "/api/v1/incidents"),
    ("get", "/api/v1/incidents/{id}"),
    ("post", "/api/v1/incidents/{id}/acknowledge"),
    ("post", "/api/v1/incidents/{id}/assign"),
    ("post", "/api/v1/incidents/{id}/mute"),
    ("post", "/api/v1/incidents/{id}/note"),
    ("post", "/api/v1/incidents/{id}/feedback"),
    ("post", "/api/v1/incidents/{id}/feedback/preview"),
    ("post", "/api/v1/feedback"),
    ("post", "/api/v1/feedback/preview"),
    ("post", "/api/v1/missed"),
    ("get", "/api/v1/monitors/{name}/feedback"),
    ("post", "/api/v1/monitors/{name}/feedback/{number}/undo"),
    ("post", "/api/v1/monitors/{name}/backfill"),
    ("post", "/api/v1/backtests"),
    ("get", "/api/v1/backtests"),
    ("get", "/api/v1/backtests/compare"),
    ("get", "/api/v1/backtests/{id}"),
    ("delete", "/api/v1/backtests/{id}"),
    ("get", "/api/v1/backtests/{id}/report"),
    ("post", "/api/v1/monitors/{name}/events"),
    ("delete", "/api/v1/monitors/{name}/events/{number}"),
    ("get", "/api/v1/monitors/{name}/config"),
    ("put", "/api/v1/monitors/{name}/config"),
    ("post", "/api/v1/monitors/{name}/config/preview"),
    ("post", "/api/v1/monitors"),
    ("post", "/api/v1/propose"),
    ("post", "/api/v1/reload"),
    ("get", "/api/v1/reload"),
    ("get", "/api/v1/explain"),
    ("get", "/api/v1/openapi.json"),
];

fn request(method: &str, path: &str, authorization: Option<&str>) -> Request<Body> {
    let path = path
        .replace("{name}", "shop")
        .replace("{id}", "shop-1")
        .replace("{number}", "1")
        .replace("{source}", "shop");
    let request = Request::builder().method(method.to_uppercase().as_str()).uri(path);
    let request =
        authorization.into_iter().fold(request, |request, value| request.header("authorization", value));
    request.body(Body::empty()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_guards_all_but_the_page_and_liveness() {
    let bench = Bench::running().await.with(|state| state.token = Some("s3cret".to_owned()));
    // Firehose shows a key of its own.
    for (method, path) in ROUTES.into_iter().filter(|(_, path)| !path.starts_with("/firehose")) {
        let open = path == "/" || path == "/assets/{name}" || path == "/health/live";
        for wrong in [None, Some("Bearer nope"), Some("s3cret"), Some("Basic s3cret"), Some("Bearer s3cret0")]
        {
            let answer = bench.send(request(method, path, wrong)).await;
            assert_eq!(answer.status != StatusCode::UNAUTHORIZED, open, "{path} {wrong:?}");
            if !open {
                assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"tidewatch\"");
                assert!(answer.error().starts_with("a token is required"));
            }
        }
        // The stream has no end to wait for.
        for right in ["Bearer s3cret", "bearer s3cret"].into_iter().filter(|_| path != "/api/v1/stream") {
            let answer = bench.send(request(method, path, Some(right))).await;
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    assert_eq!(bench.get("/api/nothing").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(bench.get("/incidents/shop-1").await.status, StatusCode::OK, "the page reads it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_with_its_types_and_policy() {
    let bench = Bench::stopped(1);
    let index = bench.get("/").await;
    assert_eq!((index.status, index.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(index.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
    assert_eq!(index.header("x-content-type-options"), "nosniff");
    assert_eq!(index.header("cache-control"), "no-cache");
    // `build.rs` ends the build where one of these is missing.
    for part in index.text.split('"').filter(|part| part.starts_with("/assets/")) {
        let file = bench.get(part).await;
        assert_eq!((file.status, file.header("cache-control").contains("immutable")), (StatusCode::OK, true));
        let kind = if part.ends_with(".css") { "text/css" } else { "text/javascript" };
        assert!(file.header("content-type").starts_with(kind), "{part}");
    }
    let missing = bench.get("/assets/nothing.js").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.error().contains("`/assets/nothing.js`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_the_console_answer_with_the_page_and_those_of_the_api_do_not() {
    let bench = Bench::stopped(1);
    let index = bench.get("/").await;
    for path in ["/incidents", "/incidents/shop-1", "/explorer?measure=orders", "/monitors/a%20b/edit"] {
        let page = bench.get(path).await;
        assert_eq!((page.status, &page.text), (StatusCode::OK, &index.text), "{path}");
        assert_eq!(page.header("cache-control"), "no-cache");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    }
    for path in ["/api", "/api/v1/nothing", "/v1/nothing", "/metrics/x", "/health/x", "/assets/a/b.js"] {
        let missing = bench.get(path).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!missing.error().is_empty());
    }
    assert_eq!(bench.send(request("post", "/incidents", None)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_compressed_for_those_who_can_read_them() {
    let bench = Bench::stopped(1);
    let ask = |path: &str| {
        let request = Request::get(path).header("accept-encoding", "gzip, br").body(Body::empty()).unwrap();
        bench.router.clone().oneshot(request)
    };
    let plain = bench.get("/api/v1/openapi.json").await;
    assert_eq!(plain.header("content-encoding"), "");
    let packed = ask("/api/v1/openapi.json").await.unwrap();
    assert_eq!(
        (&packed.headers()["content-encoding"], &packed.headers()["vary"]),
        (&"gzip".parse().unwrap(), &"accept-encoding".parse().unwrap())
    );
    let bytes = to_bytes(packed.into_body(), usize::MAX).await.unwrap();
    assert!(bytes.len() * 4 < plain.text.len(), "{} of {}", bytes.len(), plain.text.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text);
    assert_eq!(ask("/").await.unwrap().headers()["content-encoding"], "gzip");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_is_not_ready() {
    let mut bench = Bench::stopped(1);
    assert_eq!(bench.get("/health/live").await.json(), json!({"live": true}));
    let early = bench.get("/health/ready").await;
    assert_eq!(early.status, StatusCode::SERVICE_UNAVAILABLE);
    let why = "its run loop has not started yet";
    let not_ready = json!([{"source": "clicks", "state": "starting", "why": why}]);
    assert_eq!(early.json(), json!({"ready": false, "not_ready": not_ready}));
    bench.start();
    bench.until(|bench| !bench.board.sources().is_empty()).await;
    let ready = bench.get("/health/ready").await;
    assert_eq!((ready.status, ready.json()), (StatusCode::OK, json!({"ready": true, "not_ready": []})));
    let (source, why) = (SourceId::new("kafka"), "connection refused".to_owned());
    let state = SourceState::Unreachable { why };
    bench
        .board
        .update(SourceStatus { source, kind: "kafka", state, lag_millis: None, num_records: 0 }, vec![]);
    let lost = bench.get("/health/ready").await;
    assert_eq!(lost.status, StatusCode::SERVICE_UNAVAILABLE);
    let not_ready = json!([{"source": "kafka", "state": "unreachable", "why": "connection refused"}]);
    assert_eq!(lost.json()["not_ready"], not_ready);
    let metrics = bench.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4");
    assert!(metrics.text.contains("# TYPE tidewatch_source_up gauge"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_methods_and_panics_answer_json() {
    let bench = Bench::stopped(1);
    let unknown = bench.get("/api/v2/x").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let error = "there is nothing at `/api/v2/x`; /api/v1/openapi.json lists all routes";
    assert_eq!(unknown.error(), error);
    for (method, path) in [("delete", "/api/v1/status"), ("post", "/"), ("delete", "/v1/events")] {
        let wrong = bench.send(request(method, path, None)).await;
        assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(wrong.error().starts_with(&format!("`{path}` does not take")), "{}", wrong.error());
    }
    let bad = bench.get("/api/v1/monitors/%ff").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(bad.error().starts_with("the path cannot be read"), "{}", bad.error());
}

/// A clock that breaks.
#[derive(Debug)]
struct BrokenClock;

impl Clock for BrokenClock {
    fn now_millis(&self) -> i64 {
        panic!("the clock broke")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_and_a_slow_answer_fail_alone() {
    let mut bench = Bench::with_history().await;
    let broken = bench.with(|state| state.clock = Arc::new(BrokenClock)).get("/api/v1/status").await;
    assert_eq!(broken.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(broken.header("x-content-type-options"), "nosniff");
    assert!(broken.error().starts_with("the request failed"), "{}", broken.error());
    bench.router = router((bench.state)(), ApiLimits { timeout: Duration::ZERO, ..ApiLimits::default() });
    let slow = bench.get("/api/v1/explain?monitor=shop&measure=orders&time=2026-03-22T20:00:00Z").await;
    assert_eq!((slow.status, slow.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
    assert_eq!(slow.error(), "no answer within 0 s; ask for less, or again later");
    let event = format!(r#"{{"time":{},"country":"DE"}}"#, START + 21 * 24 * super::HOUR);
    assert_eq!(bench.post("", &[], event).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn openapi_lists_every_route_and_every_answer_has_a_schema() {
    let bench = Bench::stopped(1).with(|state| state.token = Some("t".to_owned()));
    let document = bench.send(request("get", "/api/v1/openapi.json", Some("Bearer t"))).await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut listed = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        listed.extend(item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    let expected = ROUTES.map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(listed, BTreeSet::from(expected));
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let at = reference.trim_start_matches('#');
        assert!(document.pointer(at).is_some(), "{reference} is nowhere");
    }
    let incidents = &document["paths"]["/api/v1/incidents"]["get"];
    assert_eq!(incidents["security"], json!([{"token": []}]));
    let statuses: Vec<&String> = incidents["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["200", "400", "401", "500", "503"]);
    assert_eq!(document["paths"]["/health/live"]["get"]["security"], Value::Null);
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_answers_and_stops_in_order() {
    let bench = Bench::running().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let app = router((bench.state)(), ApiLimits::default());
    let server = tokio::spawn(serve(listener, app, stop.clone()));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let event = format!(r#"{{"time":{START},"country":"DE"}}"#);
    let length = event.len();
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    client.write_all(format!("{head}{event}").as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = client.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"counted\":1"), "{answer}");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
}
