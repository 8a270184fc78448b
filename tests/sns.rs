//! The real program publishes to moto, which checks every signature and permission here: what arrives is read back
//! through SQS, and what is spoilt on the way arrives all the same.
#![cfg(feature = "sns")]

#[path = "support/fault_proxy.rs"]
mod fault_proxy;
#[path = "support/receivers.rs"]
mod receivers;
mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use fault_proxy::{Fault, FaultProxy};
use receivers::{Server, json_of, python, root};
use serde_json::{Value, json};
use support::process::{Process, Said, finish, tidewatch, wait_for};
use tidewatch::{
    anomaly::Alert,
    pipeline::{Commit, MonitorCommit, SlicesFrom, Store},
    record::{CheckpointDelta, SourceId},
    store::{Durability, SqliteStore},
};

const TOPICS: &str = "arn:aws:sns:eu-west-1:123456789012";

/// Key and secret.
type Keys = [String; 2];

struct Sns {
    server: Server,
    /// May publish, and nothing else.
    publisher: Keys,
    /// May read queues, and nothing else.
    reader: Keys,
}

fn sns() -> &'static Sns {
    static SNS: OnceLock<Sns> = OnceLock::new();
    SNS.get_or_init(|| {
        let server = Server::new("sns").start();
        let endpoint = format!("http://127.0.0.1:{}", server.port(0));
        let keys = json_of(program().args(["setup", &endpoint]));
        let of = |user: &str| serde_json::from_value(keys[user].clone()).expect("a key and a secret");
        Sns { server, publisher: of("publisher"), reader: of("reader") }
    })
}

fn program() -> Command {
    python(&root().join("target/moto/bin/python"), "sns.py")
}

impl Sns {
    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port(0))
    }

    /// Takes the messages out of a queue.
    fn read(&self, queue: &str) -> Vec<Value> {
        let [key, secret] = &self.reader;
        match json_of(program().args(["read", &self.endpoint(), queue, key, secret])) {
            Value::Array(messages) => messages,
            other => panic!("{other}"),
        }
    }
}

fn configure(folder: &Path, topic: &str, format: &str, endpoint: &str) -> PathBuf {
    let path = folder.join("tidewatch.toml");
    let store = folder.join("tidewatch.db");
    let config = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        [store]
        path = "{}"
        [sources.clicks]
        kind = "http"
        [monitors.shop]
        source = "clicks"
        timestamp = "at"
        interval = "5m"
        measures = {{ views = {{ count = true }} }}
        [notifiers.topic]
        kind = "sns"
        topic_arn = "{TOPICS}:{topic}"
        format = "{format}"
        endpoint = "{endpoint}"
        link = "https://tw.example/#{{id}}"
        "#,
        store.display()
    );
    std::fs::write(&path, config).expect("a temporary file");
    path
}

fn command(arguments: &[&str], config: &Path, [key, secret]: &Keys) -> Command {
    let mut command = tidewatch(arguments);
    command.arg("--config").arg(config).env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
    command
}

/// Tries a notifier of this topic and format once.
fn publish(topic: &str, format: &str, keys: &Keys) -> Said {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = configure(folder.path(), topic, format, &sns().endpoint());
    finish(&mut command(&["notify", "test", "topic"], &config, keys))
}

/// The subscriber of docs/alerts.md, given these messages.
fn subscriber(messages: &[&Value]) -> String {
    let docs = include_str!("../docs/alerts.md");
    let (_, code) = docs.split_once("```python\n").expect("the example is there");
    let (code, _) = code.split_once("```").expect("and ends");
    let records: Vec<Value> = messages.iter().map(|message| json!({"Sns": {"Message": message}})).collect();
    let event = json!({"Records": records}).to_string();
    let run = format!("{code}\nimport sys\nhandler(json.loads(sys.argv[1]), None)\n");
    let output = Command::new("python3").args(["-c", &run, &event]).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn each_format_arrives_through_sqs_and_the_documented_subscriber_reads_those_for_programs() {
    let mut messages = Vec::new();
    for format in ["tidewatch", "lookout", "text", "sms"] {
        let said = publish(format, format, &sns().publisher);
        assert_eq!(said.code, Some(0), "{format}: {}", said.stderr);
        let mut arrived = sns().read(format);
        assert_eq!(arrived.len(), 1, "{format}");
        messages.extend(arrived.pop());
    }
    let attributes = &messages[0]["attributes"];
    for (name, value) in [
        ("severity", "75"),
        ("monitor", "test"),
        ("measure", "orders"),
        ("state", "open"),
        ("kind", "opened"),
    ] {
        assert_eq!(attributes[name], value);
    }
    let text = |index: usize| messages[index]["message"].as_str().expect("a text");
    let alert: Value = serde_json::from_str(text(0)).expect("JSON");
    assert_eq!((&alert["schema"], &alert["id"]), (&json!("tidewatch.alert.v1"), &attributes["alert"]));
    let lookout: Value = serde_json::from_str(text(1)).expect("JSON");
    assert_eq!(
        (&lookout["anomalyGroupId"], &lookout["consoleUrl"]),
        (&json!("test-1"), &json!("https://tw.example/#test-1"))
    );
    assert!(text(2).contains("Expected: 100") && text(2).lines().count() > 5, "{}", text(2));
    assert!(text(3).starts_with("Severity 75: ") && text(3).len() <= 140 && !text(3).contains('\n'));
    let subjects: Vec<bool> = messages.iter().map(|message| message["subject"].is_string()).collect();
    assert_eq!(subjects, [false, false, true, false]);
    assert!(messages.iter().all(|message| message["group"].is_null()), "no FIFO topic");

    let said = subscriber(&[&messages[0]["message"], &messages[1]["message"]]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].ends_with(" orders 75.0 [{'country': 'DE'}] "), "{said}");
    assert!(lines[1].contains(":event/test-1/orders orders 75.0 "), "{said}");
}

#[test]
fn a_fifo_topic_gets_the_incident_as_group_and_the_id_for_deduplication() {
    let said = publish("shop.fifo", "tidewatch", &sns().publisher);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let arrived = sns().read("shop.fifo");
    assert_eq!((arrived.len(), &arrived[0]["group"]), (1, &json!("test-1")));
    assert_eq!(arrived[0]["deduplication"].as_str().map(str::len), Some(64), "SHA-256 in hex");
}

#[test]
fn a_wrong_secret_a_strange_key_and_a_missing_permission_are_refused_in_one_clear_line() {
    let Sns { publisher, reader, .. } = sns();
    let wrong = [publisher[0].clone(), "not-the-secret".to_owned()];
    let strange = ["AKIASTRANGER".to_owned(), publisher[1].clone()];
    for (keys, code) in
        [(&wrong, "SignatureDoesNotMatch"), (&strange, "InvalidClientTokenId"), (reader, "AccessDenied")]
    {
        let said = publish("tidewatch", "tidewatch", keys);
        assert_eq!(said.code, Some(1));
        let lines: Vec<&str> = said.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{}", said.stderr);
        assert!(lines[0].contains("refused: SNS answered 403") && lines[0].contains(code), "{}", said.stderr);
        assert!(!said.stderr.contains(&keys[1]), "the secret stays out of it");
    }
    let said = publish("no-such-topic", "tidewatch", publisher);
    assert!(said.stderr.contains("refused: SNS answered 404 NotFound"), "{}", said.stderr);
}

const ERROR: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message>\
                     </Error></ErrorResponse>";

/// A store whose outbox holds these alerts.
async fn store(folder: &Path, alerts: Vec<Alert>) {
    let store = SqliteStore::open(&folder.join("tidewatch.db"), Durability::Normal).expect("a store");
    let monitor = MonitorCommit {
        monitor: "elsewhere".to_owned(),
        state: vec![],
        slices: SlicesFrom::default(),
        revisions: Vec::new(),
        correctable: Vec::new(),
        correctable_from_millis: i64::MAX,
        frames: vec![],
        models: vec![],
        incidents: vec![],
        milestones: vec![],
        instructed: vec![],
        alerts,
        retain_from_millis: None,
    };
    let commit = Commit {
        source: SourceId::new("elsewhere"),
        delta: CheckpointDelta::default(),
        journal: vec![],
        receipts: vec![],
        inputs: vec![],
        monitors: Some(vec![monitor]),
        at_millis: 0,
        receipts_kept_millis: 0,
    };
    store.commit(&commit).await.expect("the store takes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_server_errors_and_dropped_connections_only_delay() {
    let upstream = format!("127.0.0.1:{}", sns().server.port(0)).parse().expect("an address");
    let faults = [
        Fault::Answer(400, ERROR),
        Fault::Answer(503, "no"),
        Fault::Drop,
        Fault::Answer(500, "<ErrorResponse><Error><Code>InternalError</Code></Error></ErrorResponse>"),
    ];
    let (proxy, address) = FaultProxy::before(upstream, faults).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = configure(folder.path(), "faults", "tidewatch", &format!("http://{address}"));
    // Each is met by a fault of its own, and the second of an incident waits for the first.
    let alert = |incident: &str, kind: &str| {
        let mut alert = Alert::example("topic", 1_772_355_000_000);
        incident.clone_into(&mut alert.incident.id);
        alert.id = format!("{incident}:0:1:{kind}:topic");
        alert
    };
    let alerts = vec![
        alert("shop-1", "opened"),
        alert("shop-1", "escalated"),
        alert("shop-2", "opened"),
        alert("shop-3", "opened"),
        alert("shop-4", "opened"),
    ];
    let ids: Vec<String> = alerts.iter().map(|alert| alert.id.clone()).collect();
    store(folder.path(), alerts).await;
    let process = Process::start(&mut command(&["run"], &config, &sns().publisher));
    let mut arrived = Vec::new();
    wait_for("all alerts", || {
        let id = |message: &Value| message["attributes"]["alert"].as_str().map(str::to_owned);
        arrived.extend(sns().read("faults").iter().filter_map(id));
        (arrived.len() >= 5).then_some(())
    });
    assert_eq!(proxy.num_left(), 0, "every fault was met");
    let said = process.terminate();
    for reason in ["SNS answered 400 Throttling: Rate exceeded", "SNS answered 503", "could not reach SNS"] {
        assert!(said.stderr.contains(reason), "{reason} in {}", said.stderr);
    }
    let place = |id: &str| arrived.iter().position(|found| found == id).expect("arrived");
    assert!(place(&ids[0]) < place(&ids[1]), "{arrived:?}");
    arrived.sort_unstable();
    let mut ids = ids;
    ids.sort_unstable();
    assert_eq!(arrived, ids, "each once");
}
