//! The real program publishes to a service that speaks SNS's protocol as far as it goes: what is sent, signed, and
//! how answers are understood.
#![cfg(feature = "sns")]

mod support;

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use support::process::{Said, finish, tidewatch};
use tokio::net::TcpListener;

const TAKEN: &str = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                     <MessageId>m-1</MessageId></PublishResult></PublishResponse>";

type Requests = Arc<Mutex<Vec<(String, String)>>>;

#[derive(Clone)]
struct Service {
    requests: Requests,
    status: StatusCode,
    answer: String,
}

async fn take(State(service): State<Service>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let signature = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    service.requests.lock().expect("nobody panicked").push((signature.to_owned(), body));
    (service.status, service.answer)
}

fn error(code: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    )
}

/// Tries a notifier of this topic and format once.
async fn publish(topic: &str, format: &str, status: u16, answer: &str) -> (Said, Vec<(String, String)>) {
    let service = Service {
        requests: Requests::default(),
        status: StatusCode::from_u16(status).expect("a status"),
        answer: answer.to_owned(),
    };
    let requests = service.requests.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("it works here");
    let address = listener.local_addr().expect("it works here");
    tokio::spawn(
        async move { axum::serve(listener, Router::new().fallback(take).with_state(service)).await },
    );
    let folder = tempfile::tempdir().expect("it works here");
    let path = folder.path().join("tidewatch.toml");
    let config = format!(
        "[notifiers.topic]\nkind = \"sns\"\ntopic_arn = \"arn:aws:sns:eu-west-1:123456789012:{topic}\"\n\
         format = \"{format}\"\nendpoint = \"http://{address}\"\n"
    );
    std::fs::write(&path, config).expect("it works here");
    let mut command = tidewatch(["notify", "test", "topic", "--config"]);
    command.arg(&path).env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "s3cret");
    let said = finish(&mut command);
    let requests = requests.lock().expect("nobody panicked").clone();
    (said, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_topic_gets_group_and_deduplication_id_in_a_signed_request() {
    let (said, requests) = publish("shop.fifo", "tidewatch", 200, TAKEN).await;
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let (signature, body) = &requests[0];
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signature}");
    assert!(signature.contains("/eu-west-1/sns/aws4_request"), "{signature}");
    for part in ["Action=Publish", "MessageGroupId=test-1", "MessageDeduplicationId=", "tidewatch.alert.v1"] {
        assert!(body.contains(part), "{part} in {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_is_published_in_one_request() {
    for (format, part) in [("lookout", "anomalyGroupId"), ("text", "Expected"), ("sms", "Severity")] {
        let (said, requests) = publish("shop", format, 200, TAKEN).await;
        assert_eq!((said.code, requests.len()), (Some(0), 1), "{format}: {}", said.stderr);
        assert!(requests[0].1.contains(part), "{format}: {}", requests[0].1);
        assert!(!requests[0].1.contains("MessageGroupId"), "no FIFO topic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_and_failures_pass_and_refusals_do_not() {
    for (status, code, word) in [
        (400, "Throttling", "unavailable: "),
        (500, "InternalError", "unavailable: "),
        (503, "ServiceUnavailable", "unavailable: "),
        (404, "NotFound", "refused: "),
        (403, "AuthorizationError", "refused: "),
    ] {
        let (said, requests) = publish("shop", "tidewatch", status, &error(code)).await;
        assert_eq!(said.code, Some(1));
        assert!(said.stderr.contains(word), "{code}: {}", said.stderr);
        assert_eq!(requests.len(), 1, "{code}: one attempt per call");
    }
}
