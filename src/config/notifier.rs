//! Notifiers: `[notifiers.NAME]`.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Environment, Problem, Secret,
    units::duration_millis,
    written::{WrittenEmail, WrittenNotifier, WrittenSns, WrittenWebhook},
};

/// One notifier.
#[derive(Debug)]
pub enum NotifierConfig {
    /// HTTP POST.
    Webhook(WebhookConfig),
    /// SMTP.
    Email(EmailConfig),
    /// Amazon SNS.
    Sns(SnsConfig),
}

impl NotifierConfig {
    /// The word of its kind.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Email(_) => "email",
            Self::Sns(_) => "sns",
        }
    }

    /// Attempts in any minute.
    pub fn max_per_minute(&self) -> Option<u32> {
        match self {
            Self::Webhook(config) => config.max_per_minute,
            Self::Email(config) => config.max_per_minute,
            Self::Sns(config) => config.max_per_minute,
        }
    }
}

/// HTTP POST.
#[derive(Debug)]
pub struct WebhookConfig {
    /// Where to; of `template` a template.
    pub url: Secret,
    /// Signs each message, if set.
    pub secret: Option<Secret>,
    /// For one attempt.
    pub timeout: Duration,
    /// What is posted: one of [`WEBHOOK_FORMATS`].
    pub format: String,
    /// `PagerDuty`'s routing key, Opsgenie's API key.
    pub key: Option<Secret>,
    /// The template of the body.
    pub body: Option<String>,
    /// Further headers; of `template` templates.
    pub headers: BTreeMap<String, Secret>,
    /// Certificate and key in PEM.
    pub client_certificate: Option<Secret>,
    /// PEM of a private certificate authority.
    pub ca: Option<Secret>,
    /// Where an incident is shown, with `{id}` for its id.
    pub link: Option<String>,
    /// Attempts in any minute.
    pub max_per_minute: Option<u32>,
}

/// SMTP.
#[derive(Debug)]
pub struct EmailConfig {
    /// The server.
    pub host: String,
    /// Its port, if not the usual one.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub tls: EmailTls,
    /// Name and password.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// For one attempt.
    pub timeout: Duration,
    /// PEM of a private certificate authority.
    pub ca: Option<Secret>,
    /// Where an incident is shown, with `{id}` for its id.
    pub link: Option<String>,
    /// Attempts in any minute.
    pub max_per_minute: Option<u32>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailTls {
    /// It begins plain and must turn to TLS.
    Starttls,
    /// TLS from the start.
    Implicit,
    /// Not at all.
    None,
}

/// Amazon SNS.
#[derive(Debug)]
pub struct SnsConfig {
    /// The topic.
    pub topic_arn: String,
    /// What is published: one of [`SNS_FORMATS`].
    pub format: String,
    /// Instead of Amazon's.
    pub endpoint: Option<String>,
    /// For one attempt.
    pub timeout: Duration,
    /// Where an incident is shown, with `{id}` for its id.
    pub link: Option<String>,
    /// Attempts in any minute.
    pub max_per_minute: Option<u32>,
}

/// What a webhook can post.
pub const WEBHOOK_FORMATS: [&str; 8] =
    ["tidewatch", "cloudevents", "slack", "teams", "pagerduty", "opsgenie", "alertmanager", "template"];
/// What SNS can publish.
pub const SNS_FORMATS: [&str; 4] = ["tidewatch", "lookout", "text", "sms"];

pub(super) fn check(
    path: &str,
    written: &WrittenNotifier,
    environment: &Environment,
) -> Result<NotifierConfig, Problem> {
    match written {
        WrittenNotifier::Webhook(written) => webhook(path, written, environment).map(NotifierConfig::Webhook),
        WrittenNotifier::Email(written) => email(path, written, environment).map(NotifierConfig::Email),
        WrittenNotifier::Sns(written) => sns(path, written, environment).map(NotifierConfig::Sns),
    }
}

fn webhook(
    path: &str,
    written: &WrittenWebhook,
    environment: &Environment,
) -> Result<WebhookConfig, Problem> {
    let secret =
        |key: &str, text: &Option<String>| optional(&format!("{path}.{key}"), text.as_ref(), environment);
    let format = one_of(&format!("{path}.format"), written.format.as_deref(), &WEBHOOK_FORMATS)?;
    let url = environment.secret(&format!("{path}.url"), &written.url)?;
    if !url.expose().starts_with("http://") && !url.expose().starts_with("https://") {
        return Err(Problem::new(format!("{path}.url"), "expected http:// or https://"));
    }
    let key = secret("key", &written.key)?;
    if key.is_none() && matches!(format.as_str(), "pagerduty" | "opsgenie") {
        return Err(Problem::new(format!("{path}.key"), format!("required for {format}")));
    }
    if (format == "template") != written.body.is_some() {
        return Err(Problem::new(format!("{path}.body"), "goes together with format = \"template\""));
    }
    let mut headers = BTreeMap::new();
    for (name, value) in &written.headers {
        headers.insert(name.clone(), environment.secret(&format!("{path}.headers.{name}"), value)?);
    }
    Ok(WebhookConfig {
        url,
        secret: secret("secret", &written.secret)?,
        timeout: timeout(path, written.timeout.as_deref(), "10s")?,
        format,
        key,
        body: written.body.clone(),
        headers,
        client_certificate: secret("client_certificate", &written.client_certificate)?,
        ca: secret("ca", &written.ca)?,
        link: written.link.clone(),
        max_per_minute: per_minute(path, written.max_per_minute)?,
    })
}

fn email(path: &str, written: &WrittenEmail, environment: &Environment) -> Result<EmailConfig, Problem> {
    let tls = match written.tls.as_deref() {
        None | Some("starttls") => EmailTls::Starttls,
        Some("implicit") => EmailTls::Implicit,
        Some("none") => EmailTls::None,
        Some(other) => {
            let why = format!("`{other}`; expected starttls, implicit or none");
            return Err(Problem::new(format!("{path}.tls"), why));
        }
    };
    let password = optional(&format!("{path}.password"), written.password.as_ref(), environment)?;
    let login = match (&written.username, password) {
        (Some(name), Some(password)) => Some((name.clone(), password)),
        (None, None) => None,
        _ => return Err(Problem::new(path, "has one of username and password; give both or none")),
    };
    if tls == EmailTls::None && login.is_some() {
        return Err(Problem::new(format!("{path}.tls"), "none would send the password in the clear"));
    }
    if written.to.is_empty() {
        return Err(Problem::new(format!("{path}.to"), "empty; a mail needs a recipient"));
    }
    Ok(EmailConfig {
        host: environment.expand(&format!("{path}.host"), &written.host)?,
        port: written.port,
        tls,
        login,
        from: written.from.clone(),
        to: written.to.clone(),
        timeout: timeout(path, written.timeout.as_deref(), "30s")?,
        ca: optional(&format!("{path}.ca"), written.ca.as_ref(), environment)?,
        link: written.link.clone(),
        max_per_minute: per_minute(path, written.max_per_minute)?,
    })
}

fn sns(path: &str, written: &WrittenSns, environment: &Environment) -> Result<SnsConfig, Problem> {
    let topic_arn = environment.expand(&format!("{path}.topic_arn"), &written.topic_arn)?;
    let parts: Vec<&str> = topic_arn.split(':').collect();
    if parts.len() != 6 || parts[0] != "arn" || parts[2] != "sns" || parts.iter().any(|part| part.is_empty())
    {
        let why = format!("`{topic_arn}`; expected arn:aws:sns:REGION:ACCOUNT:TOPIC");
        return Err(Problem::new(format!("{path}.topic_arn"), why));
    }
    Ok(SnsConfig {
        topic_arn,
        format: one_of(&format!("{path}.format"), written.format.as_deref(), &SNS_FORMATS)?,
        endpoint: written.endpoint.clone(),
        timeout: timeout(path, written.timeout.as_deref(), "10s")?,
        link: written.link.clone(),
        max_per_minute: per_minute(path, written.max_per_minute)?,
    })
}

fn per_minute(path: &str, written: Option<u32>) -> Result<Option<u32>, Problem> {
    if written == Some(0) {
        return Err(Problem::new(format!("{path}.max_per_minute"), "0; expected at least 1"));
    }
    Ok(written)
}

/// As written, or the first.
fn one_of(path: &str, written: Option<&str>, known: &[&str]) -> Result<String, Problem> {
    let written = written.unwrap_or(known[0]);
    if known.contains(&written) {
        return Ok(written.to_owned());
    }
    Err(Problem::new(path, format!("`{written}`; expected one of {}", known.join(", "))))
}

fn optional(path: &str, text: Option<&String>, environment: &Environment) -> Result<Option<Secret>, Problem> {
    text.map(|text| environment.secret(path, text)).transpose()
}

fn timeout(path: &str, written: Option<&str>, default: &str) -> Result<Duration, Problem> {
    let millis = duration_millis(&format!("{path}.timeout"), written.unwrap_or(default))?;
    Ok(Duration::from_millis(millis.unsigned_abs()))
}
