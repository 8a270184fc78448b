//! Posts of events. Answered after the commit; the good events of a post are kept beside the bad ones.

use std::sync::Arc;

use axum::{
    Json,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{
    body,
    error::ApiError,
    params::Params,
    state::{App, names},
    wire::{ErrorWire, EventsWire, NotReadyWire},
};
use crate::{
    record::{Receipt, SourceId},
    sources::HttpIntake,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAY: HeaderName = HeaderName::from_static("idempotent-replay");
const KEY_CHARS_MAX: usize = 200;

/// Takes events: a JSON array, one object, or one object per line.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    params(
        ("source" = Option<String>, Query,
            description = "The source; may be left out when only one takes posts"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "At most 200 characters; a repeated key gets the first answer again"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip`, or left out"),
    ),
    request_body(content = String, content_type = "application/json", description = "Events"),
    responses(
        (status = 200, body = EventsWire, description = "Stored, with what became of the events"),
        (status = 400, body = EventsWire,
            description = "Some events were refused, the others are stored; or, with `error` alone, the \
                request cannot be read and nothing is stored"),
        (status = 404, body = ErrorWire, description = "No such source"),
        (status = 413, body = ErrorWire, description = "Too large, decompressed"),
        (status = 415, body = ErrorWire, description = "Another encoding than gzip"),
        (status = 429, body = ErrorWire, description = "Behind; see Retry-After"),
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    mut params: Params,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let (source, intake) = target(&app, params.text("source")?.as_deref())?;
    params.finish(&["source"])?;
    let key = idempotency_key(&headers)?;
    let bytes_max = app.limits.body_bytes_max;
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(bytes_max),
        _ => rejection.into(),
    })?;
    let payload = body::plain(&headers, body, bytes_max).await?;
    // A task of its own: a client that goes away must not let go of the key before the post is stored.
    tokio::spawn(keep(app, source, intake, payload, key)).await?.map(IntoResponse::into_response)
}

/// What became of a post, now or the first time.
struct Kept {
    receipt: Receipt,
    is_replay: bool,
}

async fn keep(
    app: Arc<App>,
    source: SourceId,
    intake: HttpIntake,
    payload: Bytes,
    key: Option<Arc<str>>,
) -> Result<Kept, ApiError> {
    let held = key.as_ref().map(|key| {
        app.keys.hold(&source, key).ok_or_else(|| {
            ApiError::behind(format!("a post with the Idempotency-Key `{key}` is being stored"))
        })
    });
    let _held = held.transpose()?;
    if let Some(key) = &key
        && let Some(receipt) = app.parts.history.receipt(&source, key).await?
    {
        return Ok(Kept { receipt, is_replay: true });
    }
    ready(&app, &source)?;
    Ok(Kept { receipt: intake.take(payload, key).await?, is_replay: false })
}

impl IntoResponse for Kept {
    fn into_response(self) -> Response {
        let status = if self.receipt.rejected > 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let mut response = (status, Json(EventsWire::from(self.receipt))).into_response();
        if self.is_replay {
            response.headers_mut().insert(IDEMPOTENT_REPLAY, HeaderValue::from_static("true"));
        }
        response
    }
}

/// The source a post is for.
fn target(app: &App, name: Option<&str>) -> Result<(SourceId, HttpIntake), ApiError> {
    let intakes = &app.parts.intakes;
    let known = || names(intakes.keys().map(String::as_str));
    let found = match (name, intakes.len()) {
        (Some(name), _) => intakes.get_key_value(name).ok_or_else(|| {
            ApiError::not_found(format!("no source `{name}` takes posts; those that do are: {}", known()))
        })?,
        (None, 1) => intakes.iter().next().expect("there is one"),
        (None, 0) => {
            let error = "no source takes posts; configure one with `kind = \"http\"`";
            return Err(ApiError::not_found(error));
        }
        (None, _) => {
            let error =
                format!("parameter `source` is missing; the sources that take posts are: {}", known());
            return Err(ApiError::bad_request(error));
        }
    };
    Ok((SourceId::new(found.0.as_str()), found.1.clone()))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Arc<str>>, ApiError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().map_err(|_| {
        ApiError::bad_request("the header Idempotency-Key holds other characters than visible ASCII")
    })?;
    if (1..=KEY_CHARS_MAX).contains(&key.len()) {
        return Ok(Some(key.into()));
    }
    let length = key.len();
    let error =
        format!("the header Idempotency-Key has {length} characters; it must have 1 to {KEY_CHARS_MAX}");
    Err(ApiError::bad_request(error))
}

/// Refuses posts that nobody would read.
fn ready(app: &App, source: &SourceId) -> Result<(), ApiError> {
    let states = app.source_states();
    let state = states.get(source.as_str()).and_then(Option::as_ref);
    match NotReadyWire::of(source.as_str(), state) {
        Some(NotReadyWire { state, why, .. }) => {
            Err(ApiError::unavailable(format!("source `{source}` is {state}: {why}")))
        }
        None => Ok(()),
    }
}
