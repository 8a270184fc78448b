//! Alerts as HTTP POST requests, in one of the shapes of `formats` or after a template.
//!
//! Headers of each request:
//!
//! | header                  | meaning                                                               |
//! |-------------------------|-----------------------------------------------------------------------|
//! | `X-Tidewatch-Alert`     | the alert's id; the same message always has the same, so drop repeats |
//! | `X-Tidewatch-Timestamp` | event time of the alert, seconds since the Unix epoch                 |
//! | `X-Tidewatch-Signature` | with a secret: `sha256=` and the HMAC-SHA256, in hex, of the timestamp, a full stop, and the body |
//!
//! Any 2xx answer is a delivery. Of the others, 408, 425, 429 and 5xx are worth another attempt, after the
//! pause in `Retry-After` (seconds or a date) where there is one; the rest are refusals. Redirects are not
//! followed: an alert goes where it was configured to go.

use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    Client, Response, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue},
};
use sha2::Sha256;

use super::{formats, pagers, render::AlertWire, template::Template};
use crate::{
    anomaly::Alert,
    pipeline::{Notifier, NotifyError},
};

/// Bytes of an answer that are kept for the error message.
const ANSWER_KEPT_BYTES: usize = 300;

/// Shorter parts of a URL are no secrets.
const TOKEN_CHARS_MIN: usize = 6;

/// What is posted.
#[derive(Default)]
pub enum WebhookFormat {
    /// The documented JSON.
    #[default]
    Tidewatch,
    /// The same inside a CloudEvent.
    CloudEvents,
    /// An incoming webhook of Slack.
    Slack,
    /// A workflow of Microsoft Teams.
    Teams,
    /// Events API v2.
    PagerDuty {
        /// The integration's key.
        routing_key: String,
    },
    /// Alert API v2; the URL ends in `/v2/alerts`.
    Opsgenie {
        /// The API key.
        key: String,
    },
    /// API v2; the URL ends in `/api/v2/alerts`.
    Alertmanager,
    /// After templates, those of headers by name. The URL is one too.
    Template(Box<WebhookTemplates>),
}

/// The templates of a request.
#[derive(Debug)]
pub struct WebhookTemplates {
    /// The body.
    pub body: Template,
    /// The URL.
    pub url: Template,
    /// Headers.
    pub headers: Vec<(String, Template)>,
}

impl std::fmt::Debug for WebhookFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Some hold a key.
        f.debug_struct("WebhookFormat").finish_non_exhaustive()
    }
}

/// How a webhook posts.
#[derive(Default)]
pub struct WebhookOptions {
    /// Where to. May hold a token.
    pub url: String,
    /// What.
    pub format: WebhookFormat,
    /// Signs each message.
    pub secret: Option<String>,
    /// For one attempt.
    pub timeout: Duration,
    /// Headers that are always the same.
    pub headers: Vec<(String, String)>,
    /// Certificate and key in PEM.
    pub client_certificate: Option<String>,
    /// PEM of a private certificate authority, besides the system's.
    pub ca: Option<String>,
    /// Where an incident is shown, with `{id}` for its id.
    pub link: Option<String>,
}

impl std::fmt::Debug for WebhookOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookOptions").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Posts alerts to one URL. Both the URL, which may hold a token, and the secret stay out of every message.
pub struct Webhook {
    client: Client,
    options: WebhookOptions,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

/// The notifier cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("could not set up HTTP for a webhook: {0}")]
pub struct WebhookError(String);

/// What is sent in one attempt.
struct Post {
    url: String,
    content_type: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Webhook {
    /// Posts the documented JSON to `url`, each attempt within `timeout`, signed when there is a secret.
    pub fn new(url: &str, secret: Option<&str>, timeout: Duration) -> Result<Self, WebhookError> {
        let secret = secret.map(str::to_owned);
        Self::with(WebhookOptions { url: url.to_owned(), secret, timeout, ..WebhookOptions::default() })
    }

    /// Posts as `options` say.
    pub fn with(options: WebhookOptions) -> Result<Self, WebhookError> {
        let failed = |error: reqwest::Error| WebhookError(error.to_string());
        let mut builder = Client::builder()
            .timeout(options.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tidewatch/", env!("CARGO_PKG_VERSION")));
        if let Some(ca) = &options.ca {
            let roots = reqwest::Certificate::from_pem_bundle(ca.as_bytes()).map_err(failed)?;
            builder = builder.tls_certs_merge(roots);
        }
        if let Some(pem) = &options.client_certificate {
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).map_err(failed)?);
        }
        Ok(Self { client: builder.build().map_err(failed)?, options })
    }

    /// The request for an alert, without its signature.
    fn post(&self, alert: &Alert) -> Result<Post, NotifyError> {
        let wire = AlertWire::new(alert, self.options.link.as_deref());
        let json = |value: serde_json::Value| serde_json::to_vec(&value).expect("JSON values serialize");
        let mut post = Post {
            url: self.options.url.clone(),
            content_type: "application/json",
            headers: self.options.headers.clone(),
            body: Vec::new(),
        };
        match &self.options.format {
            WebhookFormat::Tidewatch => post.body = wire.to_json(),
            WebhookFormat::CloudEvents => {
                post.content_type = "application/cloudevents+json";
                post.body = json(formats::cloudevents(&wire));
            }
            WebhookFormat::Slack => post.body = json(formats::slack(&wire)),
            WebhookFormat::Teams => post.body = json(formats::teams(&wire)),
            WebhookFormat::PagerDuty { routing_key } => {
                post.body = json(pagers::pagerduty(&wire, routing_key));
            }
            WebhookFormat::Opsgenie { key } => {
                let (behind, body) = pagers::opsgenie(&wire);
                post.url = post.url.trim_end_matches('/').to_owned() + &behind;
                post.headers.push(("Authorization".to_owned(), format!("GenieKey {key}")));
                post.body = json(body);
            }
            WebhookFormat::Alertmanager => post.body = json(pagers::alertmanager(&wire)),
            WebhookFormat::Template(templates) => {
                let WebhookTemplates { body, url, headers } = templates.as_ref();
                let failed = |why: String| NotifyError::Refused(format!("the template failed: {why}"));
                post.body = body.render(&wire).map_err(failed)?.into_bytes();
                post.url = url.render(&wire).map_err(failed)?;
                for (name, value) in headers {
                    post.headers.push((name.clone(), value.render(&wire).map_err(failed)?));
                }
            }
        }
        Ok(post)
    }
}

#[async_trait]
impl Notifier for Webhook {
    async fn send(&self, alert: &Alert) -> Result<(), NotifyError> {
        let post = self.post(alert)?;
        let timestamp = alert.at_millis.div_euclid(1000).to_string();
        let mut headers = HeaderMap::new();
        let mut set = |name: &str, value: &str| {
            let bad = |_| NotifyError::Refused(format!("`{name}` cannot be a header"));
            let name: HeaderName = name.parse().map_err(|error: InvalidHeaderName| bad(error.to_string()))?;
            let value: HeaderValue =
                value.parse().map_err(|error: InvalidHeaderValue| bad(error.to_string()))?;
            headers.insert(name, value);
            Ok::<(), NotifyError>(())
        };
        set("Content-Type", post.content_type)?;
        for (name, value) in &post.headers {
            set(name, value)?;
        }
        set("X-Tidewatch-Alert", &alert.id)?;
        set("X-Tidewatch-Timestamp", &timestamp)?;
        if let Some(secret) = &self.options.secret {
            set("X-Tidewatch-Signature", &sign(secret.as_bytes(), &timestamp, &post.body))?;
        }
        let request = self.client.post(&post.url).headers(headers).body(post.body);
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        judge(response, &post.url).await
    }
}

/// The value of `X-Tidewatch-Signature`.
pub fn sign(secret: &[u8], timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    digest.iter().fold("sha256=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// The URL may hold a token, so it is kept out of the message.
fn unreachable(error: &reqwest::Error) -> NotifyError {
    let what = match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => "could not connect",
        _ => "the request failed",
    };
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    NotifyError::Unavailable(format!("{what}: {cause}"))
}

async fn judge(response: Response, url: &str) -> Result<(), NotifyError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let pause =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let date = response.headers().get(header::DATE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let answer = without_url(&response.text().await.unwrap_or_default(), url);
    let why = format!("answered {status}: {}", answer.chars().take(ANSWER_KEPT_BYTES).collect::<String>());
    let passing = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
        );
    match pause.and_then(|pause| retry_after(&pause, date.as_deref())) {
        _ if !passing => Err(NotifyError::Refused(why)),
        Some(after) => Err(NotifyError::Throttled { after, why }),
        None => Err(NotifyError::Unavailable(why)),
    }
}

/// An answer without the parts of the URL: many servers repeat the path of a request that they refuse.
fn without_url(answer: &str, url: &str) -> String {
    url.split(['/', '?', '&', '=', '#', '@', ':'])
        .filter(|part| part.len() >= TOKEN_CHARS_MIN)
        .fold(answer.to_owned(), |answer, part| answer.replace(part, "***"))
}

/// `Retry-After` in seconds, or as a date against the answer's own `Date`.
fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let instant = |text: &str| -> Option<Timestamp> { Some(rfc2822::parse(text).ok()?.timestamp()) };
    let seconds = instant(value)?.as_second() - instant(date?)?.as_second();
    Some(Duration::from_secs(seconds.max(0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256_of_timestamp_and_body() {
        // Computed with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac s3cret
        assert_eq!(
            sign(b"s3cret", "1700000000", b"{\"a\":1}"),
            "sha256=1698a50bc74d1ff1db85c4e0a5297c2ad9fdba245d5737cdb789e4cc6e098940"
        );
    }

    #[test]
    fn retry_after_comes_in_seconds_or_as_a_date() {
        assert_eq!(retry_after("7", None), Some(Duration::from_secs(7)));
        let date = "Tue, 24 Nov 2026 06:00:00 GMT";
        assert_eq!(retry_after("Tue, 24 Nov 2026 06:01:30 GMT", Some(date)), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Tue, 24 Nov 2026 05:00:00 GMT", Some(date)), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", Some(date)), None);
    }
}
