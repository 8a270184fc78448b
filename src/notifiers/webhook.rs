//! Alerts as HTTP POST requests with a JSON body.
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
use reqwest::{Client, Response, StatusCode, header};
use serde::Serialize;
use sha2::Sha256;

use crate::{
    anomaly::{Alert, AlertKind, IncidentWire, rfc3339},
    pipeline::{Notifier, NotifyError},
};

/// Bytes of an answer that are kept for the error message.
const ANSWER_KEPT_BYTES: usize = 300;

/// Shorter parts of a URL are no secrets.
const TOKEN_CHARS_MIN: usize = 6;

/// Posts alerts to one URL. Both the URL, which may hold a token, and the secret stay out of every message.
pub struct Webhook {
    client: Client,
    url: String,
    secret: Option<Vec<u8>>,
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

/// The body of a request.
#[derive(Debug, Serialize)]
struct Body<'a> {
    id: &'a str,
    kind: AlertKind,
    at: String,
    incident: IncidentWire,
}

impl Webhook {
    /// Posts to `url`, each attempt within `timeout`, signed when there is a secret.
    pub fn new(url: &str, secret: Option<&str>, timeout: Duration) -> Result<Self, WebhookError> {
        let client = Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tidewatch/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| WebhookError(error.to_string()))?;
        let secret = secret.map(|secret| secret.as_bytes().to_vec());
        Ok(Self { client, url: url.to_owned(), secret })
    }
}

#[async_trait]
impl Notifier for Webhook {
    async fn send(&self, alert: &Alert) -> Result<(), NotifyError> {
        let body = Body {
            id: &alert.id,
            kind: alert.kind,
            at: rfc3339(alert.at_millis),
            incident: (&alert.incident).into(),
        };
        let body = serde_json::to_vec(&body).expect("incidents hold only text, numbers and lists");
        let timestamp = alert.at_millis.div_euclid(1000).to_string();
        let mut request = self
            .client
            .post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("X-Tidewatch-Alert", &alert.id)
            .header("X-Tidewatch-Timestamp", &timestamp);
        if let Some(secret) = &self.secret {
            request = request.header("X-Tidewatch-Signature", sign(secret, &timestamp, &body));
        }
        let response = request.body(body).send().await.map_err(|error| unreachable(&error))?;
        judge(response, &self.url).await
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
