//! Alerts to an Amazon SNS topic.
//!
//! Message attributes `severity` (a number), `monitor`, `measure`, `state`, `kind` and `alert` (the id that stays
//! the same when a message is repeated) let subscriptions filter. A FIFO topic gets the incident as message group, so
//! each incident is told in order, and the id, hashed, for de-duplication. One attempt per call: the SDK's own
//! retries are off. Lookout's format has no word for "over", so only the opening of an incident is published in it.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sns::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::publish::PublishError,
    types::MessageAttributeValue,
};
use sha2::{Digest, Sha256};

use super::{
    lookout::{self, Names},
    render::{AlertWire, cut},
};
use crate::{
    anomaly::{Alert, AlertKind},
    pipeline::{Notifier, NotifyError},
};

/// One SMS in the alphabet that every letter fits in.
const SMS_CHARS: usize = 140;
/// SNS takes a subject of up to this many characters, of ASCII.
const SUBJECT_CHARS: usize = 100;
/// What is kept of an error.
const WHY_CHARS: usize = 500;

/// What is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnsFormat {
    /// The documented JSON.
    #[default]
    Tidewatch,
    /// That of Lookout for Metrics.
    Lookout,
    /// Text for mails.
    Text,
    /// One line for phones.
    Sms,
}

/// How alerts are published.
#[derive(Clone, Debug, Default)]
pub struct SnsOptions {
    /// The notifier's name.
    pub name: String,
    /// The topic; names the region.
    pub topic_arn: String,
    /// What.
    pub format: SnsFormat,
    /// Instead of Amazon's.
    pub endpoint: Option<String>,
    /// For one attempt.
    pub timeout: Duration,
    /// Where an incident is shown, with `{id}` for its id.
    pub link: Option<String>,
}

/// Publishes to one topic.
#[derive(Debug)]
pub struct Sns {
    client: Client,
    options: SnsOptions,
    names: Names,
    is_fifo: bool,
}

impl Sns {
    /// Publishes as `options` say, with the credentials that AWS tools find.
    pub async fn new(options: SnsOptions) -> Self {
        let part = |index: usize| options.topic_arn.split(':').nth(index).unwrap_or_default().to_owned();
        let names = Names { region: part(3), account: part(4), alert: options.name.clone() };
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(options.timeout).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(names.region.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(endpoint) = &options.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let is_fifo = options.topic_arn.strip_suffix(".fifo").is_some();
        Self { client: Client::new(&loader.load().await), options, names, is_fifo }
    }

    /// The messages of an alert, each with what tells it from the others of that alert.
    fn messages(&self, wire: &AlertWire) -> Vec<(String, String)> {
        let one = |text: String| vec![(String::new(), text)];
        match self.options.format {
            SnsFormat::Tidewatch => one(String::from_utf8_lossy(&wire.to_json()).into_owned()),
            SnsFormat::Text => one(wire.text()),
            SnsFormat::Sms => one(cut(&wire.title(), SMS_CHARS)),
            SnsFormat::Lookout if wire.kind == AlertKind::Opened => lookout::documents(wire, &self.names)
                .into_iter()
                .enumerate()
                .map(|(index, document)| (format!("#{index}"), document.to_string()))
                .collect(),
            SnsFormat::Lookout => Vec::new(),
        }
    }
}

#[async_trait]
impl Notifier for Sns {
    async fn send(&self, alert: &Alert) -> Result<(), NotifyError> {
        let wire = AlertWire::new(alert, self.options.link.as_deref());
        for (part, message) in self.messages(&wire) {
            let mut request = self.client.publish().topic_arn(&self.options.topic_arn).message(message);
            for (name, kind, value) in attributes(&wire) {
                let value = MessageAttributeValue::builder().data_type(kind).string_value(value).build();
                let value = value.map_err(|error| NotifyError::Refused(error.to_string()))?;
                request = request.message_attributes(name, value);
            }
            if self.is_fifo {
                request = request
                    .message_group_id(group(&alert.incident.id))
                    .message_deduplication_id(digest(&format!("{}{part}", alert.id)));
            }
            if self.options.format == SnsFormat::Text {
                request = request.subject(subject(&wire));
            }
            request.send().await.map_err(|error| judge(&error))?;
        }
        Ok(())
    }
}

fn attributes(wire: &AlertWire) -> Vec<(&'static str, &'static str, String)> {
    let incident = &wire.incident;
    let mut attributes = vec![
        ("severity", "Number", incident.severity.peak.to_string()),
        ("monitor", "String", incident.monitor.clone()),
        ("state", "String", incident.state.to_owned()),
        ("kind", "String", wire.kind.as_str().to_owned()),
        ("alert", "String", wire.id.clone()),
    ];
    // An empty value is refused.
    attributes.extend(incident.measure.iter().map(|measure| ("measure", "String", measure.clone())));
    attributes
}

/// Printable ASCII on one line, as SNS asks.
fn subject(wire: &AlertWire) -> String {
    let plain = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
    wire.title().chars().map(plain).take(SUBJECT_CHARS - 1).collect()
}

fn group(incident: &str) -> String {
    incident.chars().take(128).collect()
}

/// Ids may be longer than the 128 characters that SNS takes.
fn digest(id: &str) -> String {
    Sha256::digest(id.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What became of an attempt.
fn judge(error: &SdkError<PublishError>) -> NotifyError {
    let SdkError::ServiceError(context) = error else {
        // No connection, no answer in time, no credentials yet: all of these pass.
        return NotifyError::Unavailable(cut(&format!("could not reach SNS: {}", causes(error)), WHY_CHARS));
    };
    let status = context.raw().status().as_u16();
    let code = context.err().code().unwrap_or_default();
    // What an answer without a code says is in its body.
    let said = context.raw().body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
    let message = context.err().message().unwrap_or(&said);
    let why = format!("SNS answered {status} {code}: {message}");
    let why = cut(&why.split_whitespace().collect::<Vec<_>>().join(" "), WHY_CHARS);
    let passing = status >= 500
        || matches!(status, 408 | 429)
        || code.contains("Throttl")
        || matches!(
            code,
            "TooManyRequestsException" | "RequestLimitExceeded" | "ExpiredToken" | "KMSThrottling"
        );
    if passing { NotifyError::Unavailable(why) } else { NotifyError::Refused(why) }
}

/// An error and what caused it, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.extend([": ", &deeper.to_string()]);
        cause = deeper.source();
    }
    text
}
