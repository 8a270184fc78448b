//! Amazon Data Firehose, delivering to an HTTP endpoint.
//!
//! The protocol: `POST` with the access key in a header and `{"requestId", "timestamp", "records": [{"data"}]}`
//! as body, each `data` in base64, the body perhaps in gzip. Only 200 with the same `requestId` is a success; 413
//! makes Firehose give the batch up, anything else makes it send the batch again, under the same id. So 200 is
//! said after the commit, and a batch whose id is known is not counted again. Events that cannot be read are no
//! reason to refuse a batch: sending it again would not mend them.
//!
//! Records in gzip are unpacked, and a payload of CloudWatch Logs becomes its log events.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    body,
    error::ApiError,
    events::{keep, target},
    senders::{self, is_same},
    state::App,
};
use crate::{
    record::{SourceId, log_events},
    sources::{HttpIntake, HttpSender},
};

/// Largest body that the protocol allows, before compression; also of all records of a batch, unpacked.
pub(super) const BODY_BYTES_MAX: usize = 64 << 20;
const ACCESS_KEY: &str = "x-amz-firehose-access-key";
const REQUEST_ID: &str = "x-amz-firehose-request-id";
const PROTOCOL_VERSION: &str = "x-amz-firehose-protocol-version";
/// Characters of an error that Firehose takes.
const ERROR_CHARS_MAX: usize = 8_192;
const REQUEST_ID_CHARS_MAX: usize = 200;

/// The body of a request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch<'a> {
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    #[serde(borrow)]
    records: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// The answer, in the words of Firehose.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(title = "FirehoseAnswer")]
pub(super) struct FirehoseAnswer {
    /// That of the request.
    request_id: String,
    /// When it was answered, in milliseconds since the Unix epoch.
    timestamp: i64,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

/// Takes a batch from Firehose for the only source of kind `firehose`.
#[utoipa::path(
    post,
    path = "/firehose",
    tag = "events",
    request_body(content = String, content_type = "application/json", description = "A batch of Firehose"),
    responses(
        (status = 200, body = FirehoseAnswer, description = "Stored"),
        (status = 400, body = FirehoseAnswer, description = "Not a batch of Firehose"),
        (status = 401, body = FirehoseAnswer, description = "Another access key"),
        (status = 404, body = FirehoseAnswer, description = "No such source"),
        (status = 413, body = FirehoseAnswer, description = "Larger than the protocol allows"),
        (status = 429, body = FirehoseAnswer, description = "Behind"),
    )
)]
pub(super) async fn post(State(app): State<Arc<App>>, headers: HeaderMap, request: Request) -> Response {
    answer(app, None, headers, request).await
}

/// Takes a batch from Firehose for a source.
#[utoipa::path(
    post,
    path = "/firehose/{source}",
    tag = "events",
    params(("source" = String, Path, description = "A source of kind `firehose`")),
    request_body(content = String, content_type = "application/json", description = "A batch of Firehose"),
    responses(
        (status = 200, body = FirehoseAnswer, description = "Stored"),
        (status = 400, body = FirehoseAnswer, description = "Not a batch of Firehose"),
        (status = 401, body = FirehoseAnswer, description = "Another access key"),
        (status = 404, body = FirehoseAnswer, description = "No such source"),
        (status = 413, body = FirehoseAnswer, description = "Larger than the protocol allows"),
        (status = 429, body = FirehoseAnswer, description = "Behind"),
    )
)]
pub(super) async fn post_to(
    State(app): State<Arc<App>>,
    Path(source): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    answer(app, Some(source), headers, request).await
}

async fn answer(app: Arc<App>, name: Option<String>, headers: HeaderMap, request: Request) -> Response {
    let request_id = text(&headers, REQUEST_ID).unwrap_or_default().to_owned();
    let outcome = take(&app, name.as_deref(), &headers, request).await;
    let (status, error) = match outcome {
        Ok(()) => (StatusCode::OK, None),
        Err(error) => error.into_parts(),
    };
    let answer = FirehoseAnswer {
        request_id,
        timestamp: app.parts.clock.now_millis(),
        error_message: error.map(|error| error.chars().take(ERROR_CHARS_MAX).collect()),
    };
    (status, Json(answer)).into_response()
}

async fn take(
    app: &Arc<App>,
    name: Option<&str>,
    headers: &HeaderMap,
    request: Request,
) -> Result<(), ApiError> {
    let (source, intake) = admitted(app, name, headers)?;
    let request_id = text(headers, REQUEST_ID)
        .ok_or_else(|| ApiError::bad_request(format!("the header {REQUEST_ID} is missing")))?;
    if !(1..=REQUEST_ID_CHARS_MAX).contains(&request_id.len()) {
        let error = format!("the header {REQUEST_ID} must have 1 to {REQUEST_ID_CHARS_MAX} characters");
        return Err(ApiError::bad_request(error));
    }
    if let Some(version) = text(headers, PROTOCOL_VERSION)
        && version != "1.0"
    {
        let error = format!("the header {PROTOCOL_VERSION} is `{version}`; it must be 1.0");
        return Err(ApiError::bad_request(error));
    }
    let bytes_max = BODY_BYTES_MAX.min(intake.config().body_bytes_max);
    intake.admit()?;
    let body = body::read(request, bytes_max).await?;
    let body = body::decoded(headers, body, bytes_max).await?;
    let id: Arc<str> = request_id.into();
    let expected = Arc::clone(&id);
    let payloads = tokio::task::spawn_blocking(move || payloads(&body, &expected, bytes_max)).await??;
    if payloads.is_empty() {
        return Ok(());
    }
    // A task of its own: Firehose may give up waiting, and the id must be held until the batch is stored.
    tokio::spawn(keep(Arc::clone(app), source, intake, payloads, Some(id))).await??;
    Ok(())
}

/// The source, if the access key is the right one.
fn admitted(app: &App, name: Option<&str>, headers: &HeaderMap) -> Result<(SourceId, HttpIntake), ApiError> {
    let found = target(app, name, HttpSender::Firehose);
    if found.is_err() && senders::admit_stranger(app, headers).is_err() {
        // Whoever shows nothing learns nothing.
        return Err(ApiError::unauthorized_because("there is no such source, or it has another access key"));
    }
    let (source, intake) = found?;
    let shown = headers.get(ACCESS_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    match &intake.config().token {
        Some(token) if !is_same(shown, token) => Err(ApiError::unauthorized_because(format!(
            "the header {ACCESS_KEY} is missing or not the `token` of source `{source}`"
        ))),
        _ => Ok((source, intake)),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The records of a batch, unpacked; empty ones are left out.
fn payloads(body: &[u8], request_id: &str, bytes_max: usize) -> Result<Vec<Bytes>, ApiError> {
    let batch: Batch<'_> = serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("the body is not a batch of Firehose: {error}")))?;
    if batch.request_id != request_id {
        let error =
            format!("`requestId` is `{}` in the body and `{request_id}` in the header", batch.request_id);
        return Err(ApiError::bad_request(error));
    }
    let mut payloads = Vec::with_capacity(batch.records.len());
    let mut room = bytes_max;
    for (index, item) in batch.records.iter().enumerate() {
        let data = STANDARD.decode(item.data.as_bytes()).map_err(|error| {
            ApiError::bad_request(format!("record {index}: `data` is not base64: {error}"))
        })?;
        let data = unpacked(data, room);
        room = room.checked_sub(data.len()).ok_or_else(|| ApiError::too_large(bytes_max))?;
        match log_events(&data) {
            Some(events) => payloads.extend(events),
            None if data.trim_ascii().is_empty() => {}
            None => payloads.push(data),
        }
    }
    Ok(payloads)
}

/// A record in gzip, unpacked up to one byte more than there is room; what is no gzip stays as it is.
fn unpacked(data: Vec<u8>, room: usize) -> Bytes {
    if !data.starts_with(&[0x1f, 0x8b]) {
        return data.into();
    }
    body::gunzip_to(&data, room + 1).map_or_else(|_| data.into(), Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn batch(records: &[&[u8]]) -> String {
        let records: Vec<_> =
            records.iter().map(|data| serde_json::json!({"data": STANDARD.encode(data)})).collect();
        serde_json::json!({"requestId": "r", "timestamp": 1, "records": records}).to_string()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn records_are_unpacked_and_empty_ones_left_out() {
        let logs = br#"{"messageType":"DATA_MESSAGE","logGroup":"g","logStream":"s",
            "logEvents":[{"id":"1","timestamp":7,"message":"{\"a\":1}"},{"id":"2","timestamp":8,"message":"x"}]}"#;
        let body = batch(&[b"{\"a\":1}", b"", &gzip(b"{\"a\":2}"), &gzip(logs), &[0x1f, 0x8b, 0]]);
        let payloads = payloads(body.as_bytes(), "r", 1_000).unwrap();
        assert_eq!(payloads.len(), 5);
        assert_eq!((&payloads[0][..], &payloads[1][..]), (&b"{\"a\":1}"[..], &b"{\"a\":2}"[..]));
        assert!(payloads[2].starts_with(b"{\"a\":1,\"@"), "{:?}", payloads[2]);
        assert_eq!(payloads[4][..], [0x1f, 0x8b, 0], "broken gzip is left for the decoder to refuse");
    }

    #[test]
    fn what_is_no_batch_says_why() {
        let refused = |body: &str| payloads(body.as_bytes(), "r", 1_000).unwrap_err().into_parts();
        let (status, error) = refused("{\"records\":[]}");
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(error.unwrap().contains("missing field `requestId`"));
        let (_, error) = refused("{\"requestId\":\"x\",\"records\":[]}");
        assert_eq!(error.unwrap(), "`requestId` is `x` in the body and `r` in the header");
        let (_, error) = refused("{\"requestId\":\"r\",\"records\":[{\"data\":\"\"},{\"data\":\"*\"}]}");
        assert!(error.unwrap().starts_with("record 1: `data` is not base64"));
        let (status, _) = refused(&batch(&[&gzip(&[b' '; 10_000])]));
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
