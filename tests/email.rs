//! Mails to a small mail server that answers as it is told: what is sent, what is tried again, who is left out.
#![cfg(feature = "email")]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tidewatch::{
    anomaly::Alert,
    notifiers::{Email, EmailOptions, EmailSecurity},
    pipeline::{Notifier, NotifyError},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Answers to recipients, and the mails that were taken with who they were for.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<BTreeMap<String, String>>>,
    mails: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().talk(stream));
            }
        });
        address
    }

    fn answer(&self, recipient: &str, answer: &str) {
        self.answers.lock().expect("nobody panicked").insert(recipient.to_owned(), answer.to_owned());
    }

    fn taken(&self) -> Vec<(String, String)> {
        self.mails.lock().expect("nobody panicked").clone()
    }

    async fn talk(self, stream: TcpStream) -> std::io::Result<()> {
        let (reading, mut writing) = stream.into_split();
        let mut lines = BufReader::new(reading).lines();
        writing.write_all(b"220 here\r\n").await?;
        let mut recipient = String::new();
        while let Some(line) = lines.next_line().await? {
            let answer = if let Some(rest) = line.strip_prefix("RCPT TO:<") {
                rest.split('>').next().unwrap_or_default().clone_into(&mut recipient);
                let answers = self.answers.lock().expect("nobody panicked");
                answers.get(&recipient).cloned().unwrap_or_else(|| "250 ok".to_owned())
            } else if line == "DATA" {
                writing.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    mail += &line;
                    mail.push('\n');
                }
                self.mails.lock().expect("nobody panicked").push((recipient.clone(), mail));
                "250 taken".to_owned()
            } else {
                "250 ok".to_owned()
            };
            writing.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }
}

fn email(address: SocketAddr, to: &[&str]) -> Email {
    let options = EmailOptions {
        host: address.ip().to_string(),
        port: Some(address.port()),
        security: EmailSecurity::None,
        from: "Tidewatch <alerts@shop.test>".to_owned(),
        to: to.iter().map(|to| (*to).to_owned()).collect(),
        timeout: Duration::from_secs(10),
        link: Some("https://tw.example/#{id}".to_owned()),
        ..EmailOptions::default()
    };
    Email::new(options, None).expect("a mail client")
}

fn header<'m>(mail: &'m str, name: &str) -> Option<&'m str> {
    mail.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_has_text_and_html_and_belongs_to_its_incidents_thread() {
    let server = Server::default();
    let email = email(server.listen().await, &["ops@shop.test"]);
    email.send(&Alert::example("mail", 1_772_355_000_000)).await.expect("sent");
    let (to, mail) = server.taken().remove(0);
    assert_eq!(to, "ops@shop.test");
    assert_eq!(
        header(&mail, "Message-ID"),
        Some("<tidewatch.test-1.0.1.opened.mail.1772355000000@shop.test>")
    );
    assert_eq!(header(&mail, "References"), Some("<tidewatch.test-1@shop.test>"));
    assert_eq!(header(&mail, "Subject"), Some("[Tidewatch] test-1: orders drop"));
    assert!(
        mail.contains("multipart/alternative") && mail.contains("text/plain") && mail.contains("text/html")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_keeps_nobody_else_from_being_told() {
    let server = Server::default();
    server.answer("gone@shop.test", "550 5.1.1 no such user");
    let email = email(server.listen().await, &["gone@shop.test", "ops@shop.test"]);
    let error = email.send(&Alert::example("mail", 0)).await.unwrap_err();
    assert!(matches!(error, NotifyError::Refused(_)), "{error}");
    assert!(error.to_string().contains("1 of 2 recipients have it; gone@shop.test: "), "{error}");
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_mailbox_is_tried_again_and_the_others_get_no_second_mail() {
    for busy in ["450 4.2.1 greylisted", "451 4.3.0 mailbox busy"] {
        let server = Server::default();
        server.answer("busy@shop.test", busy);
        let email = email(server.listen().await, &["ops@shop.test", "busy@shop.test"]);
        let alert = Alert::example("mail", 0);
        let error = email.send(&alert).await.unwrap_err();
        assert!(matches!(error, NotifyError::Unavailable(_)), "{error}");
        server.answer("busy@shop.test", "250 ok");
        email.send(&alert).await.expect("sent");
        let to: Vec<String> = server.taken().into_iter().map(|(to, _)| to).collect();
        assert_eq!(to, ["ops@shop.test", "busy@shop.test"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_tried_again() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let error = email(address, &["ops@shop.test"]).send(&Alert::example("mail", 0)).await.unwrap_err();
    assert!(matches!(error, NotifyError::Unavailable(_)), "{error}");
}
