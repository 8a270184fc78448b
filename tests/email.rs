//! Mails through Postfix, with TLS and a login, read back from Dovecot by IMAP: what arrives, what is tried again,
//! who is left out. Postfix asks a policy server of this test about each recipient, as greylisting does.
#![cfg(feature = "email")]

#[path = "support/receivers.rs"]
mod receivers;
mod support;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use receivers::{Server, json_of, python};
use serde_json::{Value, json};
use support::{SHOP, batch, engine, process::wait_for};
use tidewatch::{
    anomaly::{Alert, AlertKind},
    notifiers::{Charts, Email, EmailOptions, EmailSecurity},
    pipeline::{Notifier, NotifyError, Store},
    record::PartitionId,
    store::SqliteStore,
};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, Shop, ShopConfig};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const HOUR: i64 = 3_600_000;

/// Recipients, and what Postfix is to answer about them.
type Answers = Arc<Mutex<BTreeMap<String, String>>>;

struct Mail {
    server: Server,
    answers: Answers,
}

fn mail() -> &'static Mail {
    static MAIL: OnceLock<Mail> = OnceLock::new();
    MAIL.get_or_init(|| {
        let server = Server::new("mail");
        let answers = Answers::default();
        let listener = TcpListener::bind(("127.0.0.1", server.port(4))).expect("the port is free");
        let known = Arc::clone(&answers);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let known = Arc::clone(&known);
                thread::spawn(move || judge_recipients(&stream, &known));
            }
        });
        Mail { server: server.start(), answers }
    })
}

/// Postfix's policy protocol: lines of attributes, a blank line, and an action.
fn judge_recipients(stream: &TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut recipient = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if let Some(name) = line.strip_prefix("recipient=") {
            name.clone_into(&mut recipient);
        } else if line.is_empty() {
            let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            let action = answers.get(&recipient).map_or("DUNNO", String::as_str);
            { stream }.write_all(format!("action={action}\n\n").as_bytes())?;
        }
    }
    Ok(())
}

impl Mail {
    fn answer(&self, name: &str, answer: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(address(name), answer.to_owned());
    }

    /// The mails that arrived for somebody.
    fn read(&self, name: &str) -> Vec<Value> {
        let port = self.server.port(3).to_string();
        match json_of(python(Path::new("python3"), "imap.py").args([&port, &address(name)])) {
            Value::Array(mails) => mails,
            other => panic!("{other}"),
        }
    }

    /// Waits for so many.
    fn arrived(&self, name: &str, count: usize) -> Vec<Value> {
        wait_for("mails", || Some(self.read(name)).filter(|mails| mails.len() >= count))
    }

    fn options(&self, to: &[&str]) -> EmailOptions {
        EmailOptions {
            host: "localhost".to_owned(),
            port: Some(self.server.port(0)),
            security: EmailSecurity::Starttls,
            login: Some(("alerts".to_owned(), "s3cret".to_owned())),
            from: "Tidewatch <alerts@test.local>".to_owned(),
            to: to.iter().map(|name| address(name)).collect(),
            timeout: Duration::from_secs(10),
            ca: Some(self.server.file("certs/ca.pem")),
            link: Some("https://tw.example/#{id}".to_owned()),
        }
    }

    fn email(&self, to: &[&str]) -> Email {
        Email::new(self.options(to), None).expect("a mail client")
    }
}

fn address(name: &str) -> String {
    format!("{name}@test.local")
}

fn alert() -> Alert {
    Alert::example("mail", 1_772_355_000_000)
}

fn header<'m>(mail: &'m Value, name: &str) -> &'m str {
    mail["headers"][name].as_str().unwrap_or_else(|| panic!("no {name} in {}", mail["headers"]))
}

fn part<'m>(mail: &'m Value, kind: &str) -> Option<&'m Value> {
    mail["parts"].as_array()?.iter().find(|part| part["type"] == kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_starttls_and_with_implicit_tls_a_mail_arrives_with_text_and_html() {
    let implicit = EmailOptions {
        port: Some(mail().server.port(1)),
        security: EmailSecurity::Implicit,
        ..mail().options(&["implicit"])
    };
    for (name, options) in [("starttls", mail().options(&["starttls"])), ("implicit", implicit)] {
        Email::new(options, None).expect("a mail client").send(&alert()).await.expect("sent");
        let arrived = mail().arrived(name, 1).remove(0);
        let received = arrived["received"].to_string();
        assert!(received.contains("with ESMTPSA"), "TLS and a login: {received}");
        let sent = "<tidewatch.test-1.0.1.opened.mail.1772355000000@test.local>";
        assert_eq!(header(&arrived, "Message-ID"), sent);
        assert_eq!(header(&arrived, "References"), "<tidewatch.test-1@test.local>");
        assert_eq!(header(&arrived, "Subject"), "[Tidewatch] test-1: orders drop");
        assert!(header(&arrived, "Content-Type").starts_with("multipart/alternative"));
        for kind in ["text/plain", "text/html"] {
            let text = part(&arrived, kind).expect(kind)["content"].as_str().expect("a text");
            assert!(text.contains("orders 38 % below expected in country DE"), "{text}");
            assert!(text.contains("https://tw.example/#test-1"), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_one_thread() {
    let email = mail().email(&["thread"]);
    for (times, kind) in [AlertKind::Opened, AlertKind::Escalated, AlertKind::Closed].into_iter().enumerate()
    {
        let id = format!("test-1:0:{times}:{}:mail", kind.as_str());
        email.send(&Alert { id, kind, ..alert() }).await.expect("sent");
    }
    let arrived = mail().arrived("thread", 3);
    let mut subjects: Vec<&str> = arrived.iter().map(|mail| header(mail, "Subject")).collect();
    subjects.sort_unstable();
    let again = "Re: [Tidewatch] test-1: orders drop";
    assert_eq!(subjects, [again, again, "[Tidewatch] test-1: orders drop"]);
    for mail in &arrived {
        assert_eq!(header(mail, "In-Reply-To"), "<tidewatch.test-1@test.local>");
        assert_eq!(header(mail, "References"), "<tidewatch.test-1@test.local>");
    }
    let mut ids: Vec<&str> = arrived.iter().map(|mail| header(mail, "Message-ID")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each mail has an id of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_a_strange_server_is_not_told_it() {
    let wrong = EmailOptions {
        login: Some(("alerts".to_owned(), "wr0ng".to_owned())),
        ..mail().options(&["secret"])
    };
    let error = Email::new(wrong, None).expect("a client").send(&alert()).await.unwrap_err();
    assert!(matches!(error, NotifyError::Refused(_)), "{error}");
    assert!(error.to_string().contains("535"), "{error}");
    assert!(!error.to_string().contains("wr0ng"), "{error}");

    let stranger = EmailOptions { ca: None, ..mail().options(&["secret"]) };
    let error = Email::new(stranger, None).expect("a client").send(&alert()).await.unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable(_)), "{error}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");

    let plain = EmailOptions { security: EmailSecurity::None, ..mail().options(&["secret"]) };
    let error = Email::new(plain, None).expect("a client").send(&alert()).await.unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("No compatible authentication"), "not said in the clear: {error}");
    assert!(mail().read("secret").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_keeps_nobody_else_from_being_told() {
    mail().answer("gone", "550 5.1.1 no such user");
    let error = mail().email(&["gone", "stays"]).send(&alert()).await.unwrap_err();
    assert!(matches!(error, NotifyError::Refused(_)), "{error}");
    let said = error.to_string();
    assert!(said.contains("1 of 2 recipients have it; gone@test.local: "), "{said}");
    assert!(said.contains("no such user"), "{said}");
    assert_eq!(mail().arrived("stays", 1).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_mailbox_is_tried_again_and_the_others_get_no_second_mail() {
    for (number, busy) in ["450 4.2.0 greylisted", "451 4.3.0 mailbox busy"].into_iter().enumerate() {
        let (slow, other) = (format!("slow{number}"), format!("other{number}"));
        mail().answer(&slow, busy);
        let email = mail().email(&[&other, &slow]);
        let error = email.send(&alert()).await.unwrap_err();
        assert!(matches!(error, NotifyError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains(&busy[..3]), "{error}");
        mail().answer(&slow, "DUNNO");
        email.send(&alert()).await.expect("sent");
        assert_eq!(mail().arrived(&slow, 1).len(), 1);
        assert_eq!(mail().read(&other).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_tried_again() {
    let unused = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = unused.local_addr().expect("bound").port();
    drop(unused);
    let options = EmailOptions { port: Some(port), ..mail().options(&["away"]) };
    let error = Email::new(options, None).expect("a client").send(&alert()).await.unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable(_)), "{error}");
}

/// Two days of a shop with a rush, run through the engine into a store; the alert of the rush.
async fn history() -> (SqliteStore, Alert) {
    let rush = Fault {
        start_millis: START + 40 * HOUR,
        end_millis: START + 42 * HOUR,
        measure: "views",
        slice: vec![],
        kind: FaultKind::Rise,
        size: 9.0,
    };
    let config =
        ShopConfig { seed: 3, start_millis: START, days: 2, rate: 8.0, faults: FaultPlan::Given(vec![rush]) };
    let line = |event: tidewatch_datasets::shop::ShopEvent| {
        let mut line = Vec::new();
        event.write_json(&mut line);
        String::from_utf8(line).expect("JSON is text")
    };
    let lines: Vec<String> = Shop::new(&config).map(line).collect();
    let mut engine = engine(SHOP, 2);
    engine.await_partitions(&[PartitionId::new("p")], START);
    engine.ingest(vec![batch("p", 0, &lines, true)], START + 48 * HOUR).expect("the batch fits");
    let (commit, _) = engine.take_commit(true, START + 48 * HOUR).expect("windows were closed");
    let store = SqliteStore::in_memory().expect("a store in memory");
    store.commit(&commit).await.expect("the store takes it");
    let mut alerts = commit.monitors.into_iter().flatten().flat_map(|monitor| monitor.alerts);
    // A relation has no chart.
    let last = alerts.rfind(|alert| alert.incident.measure != "funnel");
    (store, last.expect("the rush was told"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_about_stored_windows_shows_their_chart() {
    let (store, alert) = history().await;
    let judged = engine(SHOP, 1).monitors()[0].spec().facts.measures.len();
    let charts = Charts { history: Arc::new(store), judged: [("shop".to_owned(), judged)].into() };
    let email = Email::new(mail().options(&["chart"]), Some(charts)).expect("a mail client");
    email.send(&alert).await.expect("sent");
    let arrived = mail().arrived("chart", 1).remove(0);
    let image = part(&arrived, "image/png").expect("a picture");
    assert_eq!(image["disposition"], "inline");
    assert_eq!(image["content"], json!([1120, 360]), "width and height, read from the picture");
    let id = image["id"].as_str().expect("an id").trim_matches(['<', '>']);
    let html = part(&arrived, "text/html").expect("HTML")["content"].as_str().expect("a text");
    assert!(html.contains(&format!("src=\"cid:{id}\"")), "{html}");
    assert!(html.contains(&alert.incident.summary), "{html}");
    // For people who want to look at it.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chart.eml");
    std::fs::write(kept, arrived["raw"].as_str().expect("the mail")).expect("the folder is there");
}
