//! Alerts by mail: text and HTML with a small chart, one thread per incident.
//!
//! Each recipient gets a transaction of its own, so that one who is refused keeps nobody else from being told. While
//! an alert is tried again, those who have it are left out; after a crash they may get it twice, with the same
//! `Message-ID`. An answer of 4xx and everything about the connection is worth another attempt, 5xx is a refusal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    address::Envelope,
    message::{Attachment, Mailbox, MultiPart, SinglePart, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::{
    Charts, chart,
    letter::{self, CHART_ID},
    render::AlertWire,
    trace,
};
use crate::{
    anomaly::{Alert, AlertKind},
    pipeline::{Notifier, NotifyError},
};

/// Alerts whose recipients are remembered while they are tried again.
const REMEMBERED_MAX: usize = 1_000;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmailSecurity {
    /// It begins plain and must turn to TLS.
    #[default]
    Starttls,
    /// TLS from the start.
    Implicit,
    /// Not at all.
    None,
}

/// How mails are sent.
#[derive(Default)]
pub struct EmailOptions {
    /// The server.
    pub host: String,
    /// Its port; 587, 465 or 25 if not said.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub security: EmailSecurity,
    /// Name and password.
    pub login: Option<(String, String)>,
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// For one command.
    pub timeout: Duration,
    /// PEM of a private certificate authority, besides the system's.
    pub ca: Option<String>,
    /// Where an incident is shown, with `{id}` for its id.
    pub link: Option<String>,
}

impl std::fmt::Debug for EmailOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailOptions").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Sends mails through one server.
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    link: Option<String>,
    charts: Option<Charts>,
    /// Who has which alert already.
    delivered: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email").field("from", &self.from).finish_non_exhaustive()
    }
}

/// The notifier cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("could not set up mail: {0}")]
pub struct EmailError(String);

impl Email {
    /// Sends as `options` say; with charts, mails show one.
    pub fn new(options: EmailOptions, charts: Option<Charts>) -> Result<Self, EmailError> {
        let failed = |error: &dyn std::fmt::Display| EmailError(error.to_string());
        let mailbox =
            |text: &String| text.parse::<Mailbox>().map_err(|error| EmailError(format!("`{text}`: {error}")));
        let mut parameters = TlsParameters::builder(options.host.clone());
        if let Some(ca) = &options.ca {
            let ca = Certificate::from_pem(ca.as_bytes()).map_err(|error| failed(&error))?;
            parameters = parameters.add_root_certificate(ca);
        }
        let parameters = parameters.build().map_err(|error| failed(&error))?;
        let (tls, usual_port) = match options.security {
            EmailSecurity::Starttls => (Tls::Required(parameters), 587),
            EmailSecurity::Implicit => (Tls::Wrapper(parameters), 465),
            EmailSecurity::None => (Tls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&options.host)
            .port(options.port.unwrap_or(usual_port))
            .tls(tls)
            .timeout(Some(options.timeout));
        if let Some((name, password)) = options.login {
            builder = builder.credentials(Credentials::new(name, password));
        }
        Ok(Self {
            transport: builder.build(),
            from: mailbox(&options.from)?,
            to: options.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            link: options.link,
            charts,
            delivered: Mutex::default(),
        })
    }

    async fn message(&self, alert: &Alert) -> Result<Message, NotifyError> {
        let wire = AlertWire::new(alert, self.link.as_deref());
        let domain = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(letter::subject(&wire))
            .message_id(Some(format!("<{}@{domain}>", message_id(&alert.id))));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        if alert.kind != AlertKind::Digest {
            // A root that no mail has: whoever joins late still sees one thread.
            let root = format!("<{}@{domain}>", message_id(&alert.incident.id));
            builder = builder.references(root.clone()).in_reply_to(root);
        }
        let picture = self.picture(alert).await;
        let html = SinglePart::html(letter::html(&wire, picture.is_some()));
        let rich = match picture {
            Some(bytes) => {
                let kind = ContentType::parse("image/png").expect("a content type");
                let image = Attachment::new_inline(CHART_ID.to_owned()).body(bytes, kind);
                MultiPart::related().singlepart(html).singlepart(image)
            }
            None => MultiPart::related().singlepart(html),
        };
        let body = MultiPart::alternative().singlepart(SinglePart::plain(wire.text())).multipart(rich);
        builder
            .multipart(body)
            .map_err(|error| NotifyError::Refused(format!("the mail cannot be written: {error}")))
    }

    /// A mail without its chart is better than none, so trouble with the history is only logged.
    async fn picture(&self, alert: &Alert) -> Option<Vec<u8>> {
        match trace::trace(self.charts.as_ref()?, &alert.incident).await {
            Ok(points) => chart::png(&points, alert.incident.opened_millis),
            Err(error) => {
                tracing::warn!(%error, alert = %alert.id, "no chart for a mail");
                None
            }
        }
    }

    fn missing(&self, id: &str) -> Vec<&Mailbox> {
        let delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |to: &&Mailbox| delivered.get(id).is_some_and(|done| done.contains(&to.email.to_string()));
        self.to.iter().filter(|to| !has(to)).collect()
    }

    fn note(&self, id: &str, to: &Mailbox) {
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        if delivered.len() >= REMEMBERED_MAX && !delivered.contains_key(id) {
            delivered.pop_first();
        }
        delivered.entry(id.to_owned()).or_default().insert(to.email.to_string());
    }

    fn forget(&self, id: &str) {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[async_trait]
impl Notifier for Email {
    async fn send(&self, alert: &Alert) -> Result<(), NotifyError> {
        let bytes = self.message(alert).await?.formatted();
        let (mut refused, mut waiting) = (Vec::new(), Vec::new());
        for to in self.missing(&alert.id) {
            let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()])
                .map_err(|error| NotifyError::Refused(error.to_string()))?;
            match self.transport.send_raw(&envelope, &bytes).await {
                Ok(_) => self.note(&alert.id, to),
                Err(error) if error.is_permanent() => refused.push(format!("{}: {error}", to.email)),
                Err(error) => waiting.push(format!("{}: {error}", to.email)),
            }
        }
        if !waiting.is_empty() {
            return Err(NotifyError::Unavailable(waiting.join("; ")));
        }
        if !refused.is_empty() {
            let taken = self.to.len() - refused.len();
            let why = format!("{taken} of {} recipients have it; {}", self.to.len(), refused.join("; "));
            return Err(NotifyError::Refused(why));
        }
        self.forget(&alert.id);
        Ok(())
    }
}

/// The part of a `Message-ID` before the `@`.
fn message_id(id: &str) -> String {
    let kept = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '.' };
    format!("tidewatch.{}", id.chars().map(kept).collect::<String>())
}
