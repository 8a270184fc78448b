//! Real receivers of webhooks: Alertmanager groups and resolves what it is sent, and a TLS server asks for a
//! certificate.
#![cfg(feature = "webhook")]

#[path = "support/receivers.rs"]
mod receivers;
mod support;

use std::{
    path::Path,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::post};
use jiff::Timestamp;
use receivers::{Server, json_of, python};
use serde_json::{Value, json};
use support::process::{Process, finish, wait_for, wait_until};
use tempfile::TempDir;
use tidewatch::{
    anomaly::{Alert, AlertKind, IncidentState},
    notifiers::{Webhook, WebhookFormat, WebhookOptions},
    pipeline::{Notifier, NotifyError},
};
use tokio::net::TcpListener;

const TIMEOUT: Duration = Duration::from_secs(10);

// --- Alertmanager ---

type Groups = Arc<Mutex<Vec<Value>>>;

async fn take(State(groups): State<Groups>, Json(group): Json<Value>) {
    groups.lock().unwrap_or_else(PoisonError::into_inner).push(group);
}

/// What Alertmanager has sent so far.
fn sent(groups: &Groups) -> Vec<Value> {
    groups.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn about(monitor: &str, incident: &str, kind: AlertKind) -> Alert {
    let now = Timestamp::now().as_millisecond();
    let mut alert = Alert::example("am", now);
    monitor.clone_into(&mut alert.incident.monitor);
    incident.clone_into(&mut alert.incident.id);
    alert.kind = kind;
    if kind == AlertKind::Closed {
        alert.incident.state = IncidentState::Closed;
        alert.incident.closed_millis = Some(now - 1_000);
    }
    alert
}

/// The incidents that Alertmanager holds, as its own tool tells them.
fn active(server: &Server) -> Vec<String> {
    let url = format!("--alertmanager.url=http://127.0.0.1:{}", server.port(0));
    let alerts = json_of(Command::new("amtool").args([&url, "alert", "query", "-o", "json"]));
    let incident = |alert: &Value| alert["labels"]["incident"].as_str().map(str::to_owned);
    let mut incidents: Vec<String> =
        alerts.as_array().map(|alerts| alerts.iter().filter_map(incident).collect()).unwrap_or_default();
    incidents.sort_unstable();
    incidents
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_receives_groups_and_resolves() {
    let server = Server::new("alertmanager");
    let groups = Groups::default();
    let hook = TcpListener::bind(("127.0.0.1", server.port(1))).await.expect("the port is free");
    let router = Router::new().route("/", post(take)).with_state(groups.clone());
    tokio::spawn(async move { axum::serve(hook, router).await });
    let server = server.start();
    let webhook = Webhook::with(WebhookOptions {
        url: format!("http://127.0.0.1:{}/api/v2/alerts", server.port(0)),
        format: WebhookFormat::Alertmanager,
        timeout: TIMEOUT,
        link: Some("https://tw.example/#{id}".to_owned()),
        ..WebhookOptions::default()
    });
    let webhook = webhook.expect("a client");
    for (monitor, incident) in [("shop", "shop-1"), ("shop", "shop-2"), ("search", "search-1")] {
        webhook.send(&about(monitor, incident, AlertKind::Opened)).await.expect("taken");
    }
    assert_eq!(active(&server), ["search-1", "shop-1", "shop-2"]);
    let groups_of = |status: &'static str| {
        let of = |group: &Value| {
            let alerts = group["alerts"].as_array().expect("alerts");
            let with = alerts.iter().filter(|alert| alert["status"] == status);
            let incident = |alert: &Value| alert["labels"]["incident"].as_str().map(str::to_owned);
            let mut incidents: Vec<String> = with.filter_map(incident).collect();
            incidents.sort_unstable();
            incidents
        };
        sent(&groups).iter().map(of).collect::<Vec<_>>()
    };
    let grouped = async || {
        let firing = groups_of("firing");
        (firing.contains(&vec!["shop-1".to_owned(), "shop-2".to_owned()])
            && firing.contains(&vec!["search-1".to_owned()]))
        .then_some(())
    };
    wait_until("a group per monitor", grouped).await;
    let annotations = &sent(&groups)[0]["alerts"][0]["annotations"];
    assert_eq!(annotations["summary"], "This is a test: orders 38 % below expected in country DE");

    webhook.send(&about("shop", "shop-1", AlertKind::Escalated)).await.expect("taken");
    assert_eq!(active(&server).len(), 3, "an escalation is the same alert");
    webhook.send(&about("shop", "shop-1", AlertKind::Closed)).await.expect("taken");
    let resolved = async || groups_of("resolved").contains(&vec!["shop-1".to_owned()]).then_some(());
    wait_until("the end of shop-1", resolved).await;
    assert_eq!(active(&server), ["search-1", "shop-2"]);

    let error = Webhook::with(WebhookOptions {
        url: format!("http://127.0.0.1:{}/api/v2/alerts", server.port(0)),
        format: WebhookFormat::Slack,
        timeout: TIMEOUT,
        ..WebhookOptions::default()
    });
    let error = error.expect("a client").send(&about("shop", "shop-3", AlertKind::Opened)).await.unwrap_err();
    assert!(matches!(error, NotifyError::Refused(_)), "another format is refused: {error}");
}

// --- certificates ---

const CERTIFICATES: &str = r"
    for name in ca stranger; do
        openssl req -x509 -newkey rsa:2048 -nodes -keyout $name.key -out $name.pem -days 30 -subj /CN=$name
    done
    signed() {
        openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
        openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 30 -out $1.pem \
            -extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1)
    }
    signed server ca; signed engine ca; signed impostor stranger
";

struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let said = finish(Command::new("bash").args(["-ec", CERTIFICATES]).current_dir(folder.path()));
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        Self(folder)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).expect("openssl wrote it")
    }

    /// Certificate and key of a client.
    fn pair(&self, name: &str) -> String {
        self.text(&format!("{name}.pem")) + &self.text(&format!("{name}.key"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_shows_its_certificate_and_knows_a_private_authority() {
    let certificates = Certificates::make();
    let mut command = python(Path::new("python3"), "tls_server.py");
    command.current_dir(certificates.0.path()).args(["server.pem", "server.key", "ca.pem"]);
    let server = Process::start(&mut command);
    let port: u16 = wait_for("the port", || server.stdout().lines().next()?.parse().ok());
    let webhook = |ca: Option<String>, client_certificate: Option<String>| {
        let options = WebhookOptions {
            url: format!("https://localhost:{port}/alerts"),
            timeout: TIMEOUT,
            ca,
            client_certificate,
            ..WebhookOptions::default()
        };
        Webhook::with(options).expect("a client")
    };
    let (ca, alert) = (Some(certificates.text("ca.pem")), Alert::example("hook", 0));
    let known = webhook(ca.clone(), Some(certificates.pair("engine")));
    known.send(&alert).await.expect("both sides know each other");
    let seen: Value = serde_json::from_str(server.stdout().lines().nth(1).expect("a request")).expect("JSON");
    assert_eq!((&seen["client"], &seen["alert"]), (&json!("engine"), &json!(alert.id)));

    for (what, stranger) in [
        ("no certificate of ours", webhook(ca.clone(), None)),
        ("one of another authority", webhook(ca, Some(certificates.pair("impostor")))),
        ("a server of an unknown authority", webhook(None, Some(certificates.pair("engine")))),
        ("a server of another authority", {
            webhook(Some(certificates.text("stranger.pem")), Some(certificates.pair("engine")))
        }),
    ] {
        let error = stranger.send(&alert).await.unwrap_err();
        assert!(matches!(error, NotifyError::Unavailable(_)), "{what}: {error}");
    }
    assert_eq!(server.stdout().lines().count(), 2, "no stranger's alert was taken");
}

#[test]
fn what_is_no_certificate_is_refused_at_the_start() {
    let client_certificate = Some("no PEM".to_owned());
    let refused = Webhook::with(WebhookOptions { client_certificate, ..WebhookOptions::default() });
    let error = refused.unwrap_err().to_string();
    assert!(error.starts_with("could not set up HTTP for a webhook"), "{error}");
}
