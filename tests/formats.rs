//! What each format of a webhook posts, held against schemas written from the receivers' documentation, which they
//! name: for every kind of alert, ordinary and as large as alerts get.
#![cfg(feature = "webhook")]

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::Uri};
use jsonschema::Validator;
use serde_json::{Value, json};
use tidewatch::{
    anomaly::{Alert, AlertKind, DIGEST_ENTRIES_MAX, DigestEntry, IncidentKind},
    notifiers::{Webhook, WebhookFormat, WebhookOptions},
    pipeline::Notifier,
};
use tokio::net::TcpListener;

const KINDS: [AlertKind; 10] = [
    AlertKind::Opened,
    AlertKind::Escalated,
    AlertKind::Recovered,
    AlertKind::Resumed,
    AlertKind::Revised,
    AlertKind::Closed,
    AlertKind::Retracted,
    AlertKind::Suppressed,
    AlertKind::Digest,
    AlertKind::Acknowledged,
];

type Requests = Arc<Mutex<Vec<(String, Bytes)>>>;

async fn take(State(requests): State<Requests>, uri: Uri, body: Bytes) {
    let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    requests.lock().unwrap_or_else(PoisonError::into_inner).push((path, body));
}

fn ordinary(kind: AlertKind) -> Alert {
    let mut alert = Alert::example("hook", 1_772_355_000_000);
    alert.id = format!("test-1:0:2:{}:hook", kind.as_str());
    alert.kind = kind;
    alert
}

/// Long names and sentences, a hundred series, a full digest.
fn large(kind: AlertKind) -> Alert {
    let long = "<€ & \"long\" value> ".repeat(400);
    let mut alert = ordinary(kind);
    alert.incident.monitor = "m".repeat(63);
    alert.incident.summary.clone_from(&long);
    alert.incident.slice = [("country".to_owned(), long.clone())].into();
    let anomaly = json!({
        "series": 1, "side": "drop", "opened_millis": 0, "until_millis": 1, "minor_peak": 99.0,
        "severity": {"first": 71.0, "peak": 93.5, "final": 92.0}, "page_log10_rate": -3.0, "expected": 10.0,
        "actual": 1.0, "lower": 9.0, "upper": 11.0, "num_windows": 5, "calm": 0,
    });
    let slice = json!({"country": "c".repeat(200), "device": "d".repeat(200)});
    let member = json!({"measure": "orders", "slice": slice, "anomaly": anomaly});
    let member = serde_json::from_value(member).expect("a member as it is stored");
    alert.incident.members = vec![member; 100];
    alert.incident.num_members = 5_000;
    if kind == AlertKind::Digest {
        let entry = DigestEntry {
            incident: "test-1".to_owned(),
            kind: AlertKind::Opened,
            at_millis: 1_772_355_000_000,
            severity: 93.5,
            summary: "orders 38 % below expected in country DE, device mobile since Sun 01 Mar 08:25"
                .to_owned(),
        };
        alert.digest = vec![entry; DIGEST_ENTRIES_MAX];
        alert.held_back = 900;
    }
    alert
}

fn no_data(kind: AlertKind) -> Alert {
    let mut alert = ordinary(kind);
    alert.incident.kind = IncidentKind::NoData;
    alert.incident.measure.clear();
    (alert.incident.side, alert.incident.impact) = (None, None);
    alert.incident.slice.clear();
    alert
}

/// Path and body for every kind of alert.
async fn posted(format: impl Fn() -> WebhookFormat) -> Vec<(AlertKind, String, Vec<u8>)> {
    let requests = Requests::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/in", listener.local_addr().expect("bound"));
    let router = Router::new().fallback(take).with_state(requests.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let webhook = Webhook::with(WebhookOptions {
        url,
        format: format(),
        timeout: Duration::from_secs(10),
        link: Some("https://tw.example/incidents/{id}".to_owned()),
        ..WebhookOptions::default()
    });
    let webhook = webhook.expect("a client");
    let mut kinds = Vec::new();
    for kind in KINDS {
        for alert in [ordinary(kind), large(kind), no_data(kind)] {
            webhook.send(&alert).await.expect("taken");
            kinds.push(kind);
        }
    }
    let requests = requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
    kinds.into_iter().zip(requests).map(|(kind, (path, body))| (kind, path, body.to_vec())).collect()
}

fn schema(text: &str) -> Value {
    serde_json::from_str(text).expect("the schema is JSON")
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).expect("the schema is one")
}

fn check(validator: &Validator, kind: AlertKind, body: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let problems: Vec<String> = validator
        .iter_errors(&body)
        .map(|error| {
            format!(
                "{} at {}",
                error.to_string().chars().take(300).collect::<String>(),
                error.instance_path()
            )
        })
        .collect();
    assert!(problems.is_empty(), "{kind:?}: {problems:#?}");
    body
}

#[test]
fn the_schemas_find_what_is_wrong() {
    let pagerduty = validator(&schema(include_str!("data/schemas/pagerduty.json")));
    assert!(!pagerduty.is_valid(&json!({"routing_key": "k".repeat(32), "event_action": "resolve"})));
    let own = validator(&schema(include_str!("../docs/alert.schema.json")));
    assert!(!own.is_valid(&json!({"schema": "tidewatch.alert.v1"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_json_fits_its_own_schema() {
    let own = validator(&schema(include_str!("../docs/alert.schema.json")));
    for (kind, _, body) in posted(|| WebhookFormat::Tidewatch).await {
        assert_eq!(check(&own, kind, &body)["kind"], kind.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_event_fits_the_specification_and_carries_the_documented_json() {
    let own = validator(&schema(include_str!("../docs/alert.schema.json")));
    let event = validator(&schema(include_str!("data/schemas/cloudevents.json")));
    for (kind, _, body) in posted(|| WebhookFormat::CloudEvents).await {
        let body = check(&event, kind, &body);
        assert!(own.is_valid(&body["data"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_takes_every_message() {
    let slack = validator(&schema(include_str!("data/schemas/slack.json")));
    for (kind, _, body) in posted(|| WebhookFormat::Slack).await {
        check(&slack, kind, &body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_takes_every_card() {
    let teams = validator(&schema(include_str!("data/schemas/teams.json")));
    for (kind, _, body) in posted(|| WebhookFormat::Teams).await {
        check(&teams, kind, &body);
        assert!(body.len() <= 28_000, "{kind:?}: {} bytes", body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_takes_every_event_and_one_key_goes_through_an_incident() {
    let pagerduty = validator(&schema(include_str!("data/schemas/pagerduty.json")));
    for (kind, _, body) in posted(|| WebhookFormat::PagerDuty { routing_key: "k".repeat(32) }).await {
        assert!(body.len() <= 512 * 1024, "{kind:?}: {} bytes", body.len());
        let body = check(&pagerduty, kind, &body);
        let action = match kind {
            AlertKind::Closed | AlertKind::Retracted => "resolve",
            AlertKind::Acknowledged => "acknowledge",
            _ => "trigger",
        };
        assert_eq!(body["event_action"], action);
        let is_about_one = !matches!(kind, AlertKind::Suppressed | AlertKind::Digest);
        assert_eq!(body["dedup_key"] == "tidewatch-test-1", is_about_one, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opsgenie_creates_notes_acknowledges_and_closes_under_one_alias() {
    let text = include_str!("data/schemas/opsgenie.json");
    let validator = |definition: &str| {
        let mut schema = schema(text);
        schema["$ref"] = json!(format!("#/$defs/{definition}"));
        validator(&schema)
    };
    let (create, notes, act) = (validator("create"), validator("notes"), validator("act"));
    for (kind, path, body) in posted(|| WebhookFormat::Opsgenie { key: "k".to_owned() }).await {
        let (action, validator) = match kind {
            AlertKind::Opened | AlertKind::Suppressed | AlertKind::Digest => ("", &create),
            AlertKind::Closed | AlertKind::Retracted => {
                ("/tidewatch-test-1/close?identifierType=alias", &act)
            }
            AlertKind::Acknowledged => ("/tidewatch-test-1/acknowledge?identifierType=alias", &act),
            _ => ("/tidewatch-test-1/notes?identifierType=alias", &notes),
        };
        assert_eq!(path, format!("/in{action}"), "{kind:?}");
        let body = check(validator, kind, &body);
        let details = body["details"].as_object().into_iter().flatten();
        let chars: usize = details.map(|(name, value)| name.len() + value.to_string().chars().count()).sum();
        assert!(chars <= 8_000, "{kind:?}: {chars} characters of details");
    }
}
