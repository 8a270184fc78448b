//! Posts: what is counted, what is refused, and that a repetition counts once.

use std::io::Write;

use axum::http::StatusCode;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use super::{Bench, START};

/// Query, headers and body of a post, the status it gets and part of the error.
type Refused = (&'static str, &'static [(&'static str, &'static str)], Vec<u8>, u16, &'static str);

fn event(country: &str) -> String {
    format!(r#"{{"time":{START},"country":"{country}","total":5}}"#)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_objects_lines_and_gzip_are_counted() {
    let bench = Bench::running().await;
    let (de, fr) = (event("DE"), event("FR"));
    let array = bench.post("?source=clicks", &[], format!("[{de},{fr},{de}]")).await;
    assert_eq!(array.status, StatusCode::OK);
    let expected = json!({"events": 3, "counted": 3, "revised": 0, "rejected": 0, "late": 0, "over_limit": 0, "rejects": []});
    assert_eq!(array.json(), expected);
    assert_eq!(bench.post("", &[], de.clone()).await.json()["counted"], 1);
    assert_eq!(bench.post("", &[], format!("{de}\n{fr}\n")).await.json()["counted"], 2);
    let packed = bench.post("", &[("content-encoding", "gzip")], gzip(&format!("{de}\n{fr}\n"))).await;
    assert_eq!((packed.status, &packed.json()["counted"]), (StatusCode::OK, &json!(2)));
    bench.until(|bench| bench.board.monitor("shop").is_some_and(|shop| shop.totals.counted == 8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_named_and_the_others_are_kept() {
    let bench = Bench::running().await;
    let body = format!("[{},{{\"country\":\"DE\"}},{}]", event("DE"), event("FR"));
    let answer = bench.post("", &[], body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let json = answer.json();
    assert_eq!((&json["events"], &json["counted"], &json["rejected"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!(json["rejects"][0]["index"], 1);
    let error = answer.error();
    assert!(error.starts_with("record 1: ") && error.ends_with("the other 2 are kept"), "{error}");
    bench.until(|bench| bench.board.monitor("shop").unwrap().totals.events == 3).await;
    let status = bench.get("/api/v1/status").await.json();
    assert_eq!(status["monitors"][0]["totals"]["counted"], 2);
    assert_eq!(status["monitors"][0]["rejected_by_reason"], json!({"no_timestamp": 1}));
    let sample = &status["monitors"][0]["reject_samples"][0];
    assert_eq!((&sample["row"], &sample["reason"]), (&json!(1), &json!("no_timestamp")));
    let nonsense = bench.post("", &[], "nonsense").await;
    assert_eq!(nonsense.status, StatusCode::BAD_REQUEST);
    assert!(nonsense.error().starts_with("record 0: "), "{}", nonsense.error());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_key_gets_the_first_answer_and_counts_once() {
    let bench = Bench::running().await;
    let key = [("idempotency-key", "order-1")];
    let first = bench.post("", &key, event("DE")).await;
    let again = bench.post("", &key, event("DE")).await;
    assert_eq!((first.status, first.header("idempotent-replay")), (StatusCode::OK, ""));
    assert_eq!((again.status, again.header("idempotent-replay")), (StatusCode::OK, "true"));
    assert_eq!(first.json(), again.json());
    // Racing repetitions: each is either told to wait or gets the stored answer.
    let key = [("idempotency-key", "order-2")];
    let mut fresh = 0;
    for answer in four_at_once(&bench, &key).await {
        match answer.status {
            StatusCode::OK => fresh += u32::from(answer.header("idempotent-replay").is_empty()),
            StatusCode::TOO_MANY_REQUESTS => assert_eq!(answer.header("retry-after"), "1"),
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert_eq!(fresh, 1);
    bench.until(|bench| bench.board.sources()[0].num_records == 2).await;
}

async fn four_at_once(bench: &Bench, key: &[(&str, &str)]) -> Vec<super::Answer> {
    let (a, b, c, d) = tokio::join!(
        bench.post("", key, event("DE")),
        bench.post("", key, event("DE")),
        bench.post("", key, event("DE")),
        bench.post("", key, event("DE")),
    );
    vec![a, b, c, d]
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_that_cannot_be_taken_say_why() {
    let bench = Bench::running().await;
    let cases: [Refused; 8] = [
        ("?source=x", &[], event("DE").into(), 404, "no source `x` takes posts; those that do are: `clicks`"),
        ("?sourc=x", &[], event("DE").into(), 400, "there is no parameter `sourc` here; there are: source"),
        ("?source=a&source=b", &[], event("DE").into(), 400, "parameter `source` is given more than once"),
        ("", &[], b" \n".to_vec(), 400, "the body is empty"),
        ("", &[("content-encoding", "br")], b"x".to_vec(), 415, "Content-Encoding is `br`; it must be gzip"),
        ("", &[("content-encoding", "gzip")], b"x".to_vec(), 400, "the body is not gzip"),
        ("", &[], vec![b' '; (4 << 20) + 1], 413, "the body has more than 4194304 bytes"),
        ("", &[("content-encoding", "gzip")], gzip(&" ".repeat(5 << 20)), 413, "more than 4194304 bytes"),
    ];
    for (query, headers, body, status, error) in cases {
        let answer = bench.post(query, headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text);
        assert!(answer.error().contains(error), "{}", answer.error());
    }
    let long = "k".repeat(201);
    let answer = bench.post("", &[("idempotency-key", &long)], event("DE")).await;
    assert_eq!(answer.error(), "the header Idempotency-Key has 201 characters; it must have 1 to 200");
    let none = bench.with(|state| state.intakes.clear()).post("", &[], event("DE")).await;
    assert_eq!(
        (none.status, none.error().starts_with("no source takes posts")),
        (StatusCode::NOT_FOUND, true)
    );
    let two = bench.with(|state| {
        let clicks = state.intakes["clicks"].clone();
        state.intakes.insert("shop".to_owned(), clicks);
    });
    let answer = two.post("", &[], event("DE")).await;
    let error = "parameter `source` is missing; the sources that take posts are: `clicks`, `shop`";
    assert_eq!((answer.status, answer.error().as_str()), (StatusCode::BAD_REQUEST, error));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_starts_is_behind_or_stops_says_when_to_come_back() {
    let mut bench = Bench::stopped(1);
    let early = bench.post("", &[], event("DE")).await;
    assert_eq!((early.status, early.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
    assert_eq!(early.error(), "source `clicks` is starting: its run loop has not started yet");
    // The board of a source that runs, and nobody who takes the posts: the second finds the queue full.
    let source = crate::pipeline::SourceStatus {
        source: crate::record::SourceId::new("clicks"),
        kind: "http",
        state: crate::pipeline::SourceState::CaughtUp,
        lag_millis: None,
        num_records: 0,
    };
    bench.board.update(source, Vec::new());
    let waiting = bench.post("", &[("idempotency-key", "a")], event("DE"));
    let others = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let behind = bench.post("", &[], event("DE")).await;
        assert_eq!((behind.status, behind.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
        let same = bench.post("", &[("idempotency-key", "a")], event("DE")).await;
        assert_eq!(same.error(), "a post with the Idempotency-Key `a` is being stored");
    };
    tokio::select! {
        answer = waiting => panic!("answered before the commit: {}", answer.text),
        () = others => {}
    }
    // The waiting client has gone away; its post is stored all the same, and a repetition finds it.
    bench.start();
    bench.until(|bench| bench.board.monitor("shop").is_some_and(|shop| shop.totals.counted == 1)).await;
    let again = bench.post("", &[("idempotency-key", "a")], event("DE")).await;
    assert_eq!((again.status, again.header("idempotent-replay")), (StatusCode::OK, "true"));
    bench.stop.cancel();
    let mut gone = bench.post("", &[], event("DE")).await;
    while gone.status == StatusCode::OK {
        gone = bench.post("", &[], event("DE")).await;
    }
    assert_eq!((gone.status, gone.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
    assert!(gone.error().starts_with("the service is stopping"), "{}", gone.error());
}
