//! What a webhook's receiver gets, signed, and that nothing secret is told on the way.

#[path = "support/post.rs"]
mod post;
mod support;

use std::{
    io,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use post::{POLICY, Post, Receiver, Reply, Request, opened, webhook};
use serde_json::{Value, json};
use sha2::Sha256;
use tidewatch::{
    notifiers::Webhook,
    pipeline::{DeliveryPolicy, Notifier, NotifyError},
};
use tokio::net::TcpSocket;

// --- what arrives ---

fn verify(secret: &str, request: &Request) -> bool {
    let Some(hex) = request.header("X-Tidewatch-Signature").and_then(|text| text.strip_prefix("sha256="))
    else {
        return false;
    };
    let digest: Result<Vec<u8>, _> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16)).collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys of any length");
    mac.update(request.header("X-Tidewatch-Timestamp").unwrap_or_default().as_bytes());
    mac.update(b".");
    mac.update(&request.body);
    digest.is_ok_and(|digest| mac.verify_slice(&digest).is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_arrives_as_documented_and_its_signature_holds() {
    let receiver = Receiver::default();
    let url = format!("http://{}/in/alerts?team=shop", receiver.listen().await);
    let webhook = Webhook::new(&url, Some("s3cret"), Duration::from_secs(10)).unwrap();
    let post = Post::start(webhook, POLICY);
    post.store(vec![opened("shop-3")]).await;
    post.until_all_are("sent").await;

    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.uri.to_string().as_str()), ("POST", "/in/alerts?team=shop"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(request.header("user-agent").unwrap().starts_with("tidewatch/"));
    assert_eq!(request.alert(), "shop-3:0:1:opened:hook");
    assert_eq!(request.header("X-Tidewatch-Timestamp"), Some("1772323290"));
    assert!(verify("s3cret", request));
    assert!(!verify("s3cret ", request));
    let mut forged = request.clone();
    forged.body = String::from_utf8(request.body.to_vec()).unwrap().replace("93.5", "13.5").into();
    assert_ne!(forged.body, request.body);
    assert!(!verify("s3cret", &forged), "the body is signed");
    let mut replayed = request.clone();
    replayed.headers.insert("X-Tidewatch-Timestamp", "1772323291".parse().unwrap());
    assert!(!verify("s3cret", &replayed), "and the time");

    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({
            "schema": "tidewatch.alert.v1",
            "held_back": 0,
            "id": "shop-3:0:1:opened:hook",
            "kind": "opened",
            "at": "2026-03-01T00:01:30.25Z",
            "incident": {
                "id": "shop-3", "monitor": "shop", "kind": "deviation", "state": "open",
                "opened_at": "2026-03-01T00:00:00Z", "closed_at": null, "until": "2026-03-01T00:01:30Z",
                "severity": {"first": 71.0, "peak": 93.5, "final": 93.5}, "minor": 99.0,
                "measure": "orders", "direction": "drop", "slices": [{"country": "DE"}], "share": 0.93,
                "expected": 120.0, "actual": 14.0,
                "impact": {"value": -106.0, "lower": -120.0, "upper": -90.0, "unit": "orders", "money": null},
                "broken_step": null, "contributions": {}, "related": [], "revised": null, "unknown_cause": 1.0, "merged_into": null,
                "summary": "orders 88 % below expected in country DE", "members": [], "num_members": 1,
            },
        })
    );
    assert_eq!(post.metrics(), [1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_nothing_is_signed() {
    let receiver = Receiver::new([Reply::Status(204)]);
    let post = Post::start(webhook(receiver.listen().await), POLICY);
    post.store(vec![opened("shop-1")]).await;
    post.until_all_are("sent").await;
    assert_eq!(receiver.requests()[0].header("X-Tidewatch-Signature"), None);
}

// --- secrets ---

/// Everything that this process has logged, at every level.
fn log() -> &'static Mutex<Vec<u8>> {
    static LOG: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();
    LOG.get_or_init(|| {
        let writer = || LogWriter;
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(writer).init();
        Mutex::new(Vec::new())
    })
}

struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log().lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_or_said_in_errors() {
    log();
    let path_and_query = "/services/T0KENPATH/hook?key=T0KENQUERY";
    let secret = "S1GNINGSECRET";
    let told = |text: &str| {
        ["T0KENPATH", "T0KENQUERY", "P4SSWORD", secret].into_iter().find(|word| text.contains(word))
    };
    let replies = [Reply::Echo(404), Reply::Echo(503), Reply::Echo(429), Reply::Never, Reply::Echo(302)];
    let receiver = Receiver::new(replies);
    let address = receiver.listen().await;
    let unused = TcpSocket::new_v4().unwrap();
    unused.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = unused.local_addr().unwrap();
    let build = |authority: &str| {
        let url = format!("http://{authority}{path_and_query}");
        Webhook::new(&url, Some(secret), Duration::from_millis(200)).unwrap()
    };

    // Errors as they are, for each way to fail.
    let mut errors = Vec::new();
    for _ in 0..5 {
        errors.push(build(&address.to_string()).send(&opened("shop-1")).await.unwrap_err());
    }
    errors.push(build(&nobody.to_string()).send(&opened("shop-1")).await.unwrap_err());
    errors.push(build("user:P4SSWORD@").send(&opened("shop-1")).await.unwrap_err());
    assert!(matches!(errors[0], NotifyError::Refused(_)) && matches!(errors[1], NotifyError::Unavailable(_)));
    assert!(errors[0].to_string().contains("404"), "what can be told is: {}", errors[0]);
    for error in &errors {
        assert_eq!(told(&format!("{error} {error:?}")), None, "{error}");
    }
    let debug = format!("{:?}", build(&address.to_string()));
    assert_eq!(told(&debug), None, "{debug}");

    receiver.replies.lock().unwrap().extend([Reply::Echo(500), Reply::Echo(400)]);
    // And on the road: in the log, the outbox and the metrics.
    for authority in [nobody.to_string(), format!("user:P4SSWORD@{address}")] {
        let post = Post::start(build(&authority), DeliveryPolicy { attempts_max: 2, ..POLICY });
        post.store(vec![opened("shop-leak")]).await;
        post.run_until_all_are("given_up").await;
        assert_eq!((post.metric("failed"), post.metric("dropped")), (1, 1));
        assert_eq!(told(&post.telemetry.scrape()), None);
    }
    let logged = String::from_utf8_lossy(&log().lock().unwrap()).into_owned();
    assert!(logged.contains("alert dropped") && logged.contains("shop-leak"), "the log was written");
    let leak = logged.lines().find(|line| told(line).is_some());
    assert_eq!(leak, None);
}
