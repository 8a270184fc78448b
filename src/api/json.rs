//! JSON bodies of what people ask.
//!
//! The content type must be `application/json`: a page elsewhere cannot send that without the browser asking us first.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// Longest name of a person, a cause or an event.
const WORD_CHARS_MAX: usize = 200;
/// Longest comment.
const TEXT_CHARS_MAX: usize = 4_000;

/// A body read as JSON; an empty one is `{}`.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json")) {
            return Err(ApiError::unsupported("the header Content-Type must be application/json"));
        }
        let bytes = Bytes::from_request(request, state).await?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| ApiError::bad_request(format!("the body cannot be read: {error}")))
    }
}

/// A short text, or none.
pub(super) fn word(key: &str, text: Option<String>) -> Result<Option<String>, ApiError> {
    bounded(key, text, WORD_CHARS_MAX)
}

/// A long text, or none.
pub(super) fn text(key: &str, text: Option<String>) -> Result<Option<String>, ApiError> {
    bounded(key, text, TEXT_CHARS_MAX)
}

fn bounded(key: &str, text: Option<String>, most: usize) -> Result<Option<String>, ApiError> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match text.as_ref().map(|text| text.chars().count()) {
        Some(found) if found > most => {
            Err(ApiError::bad_request(format!("`{key}` has {found} characters; at most {most}")))
        }
        _ => Ok(text),
    }
}

/// What must be there.
pub(super) fn required<T>(key: &str, value: Option<T>) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::bad_request(format!("`{key}` is missing")))
}

/// An instant, in milliseconds since the Unix epoch.
pub(super) fn millis(key: &str, text: Option<&str>) -> Result<Option<i64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let time: Timestamp = text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "`{key}` is `{text}`; it must be an RFC 3339 time such as 2026-03-01T08:26:00Z"
        ))
    })?;
    Ok(Some(time.as_millisecond()))
}

/// One of a few words.
pub(super) fn choice<T: Copy>(key: &str, text: &str, words: &[(&str, T)]) -> Result<T, ApiError> {
    let known = words.iter().find(|(word, _)| *word == text);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        ApiError::bad_request(format!("`{key}` is `{text}`; it must be one of {}", allowed.join(", ")))
    })
}
