//! Posts of events. Answered after the commit; the good events of a post are kept beside the bad ones.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{
    body,
    error::ApiError,
    params::Params,
    senders::{self, Sender},
    state::{App, names},
    wire::{ErrorWire, EventsWire, NotReadyWire},
};
use crate::{
    record::{Receipt, SourceId},
    sources::{HttpIntake, HttpSender},
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAY: HeaderName = HeaderName::from_static("idempotent-replay");
const KEY_CHARS_MAX: usize = 200;
/// What a page may send at once; a beacon of a browser is not larger.
const PAGE_BYTES_MAX: usize = 64 << 10;

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
        (status = 403, body = ErrorWire, description = "A page of an origin that is not allowed"),
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
    request: Request,
) -> Result<Response, ApiError> {
    let (source, intake, sender) = admitted(&app, params.text("source")?.as_deref(), &headers)?;
    params.finish(&["source"])?;
    let key = idempotency_key(&headers)?;
    intake.admit()?;
    let mut bytes_max = app.limits.body_bytes_max.min(intake.config().body_bytes_max);
    if sender == Sender::Page {
        bytes_max = bytes_max.min(PAGE_BYTES_MAX);
    }
    let body = body::read(request, bytes_max).await?;
    let payload = body::plain(&headers, body, bytes_max).await?;
    // A task of its own: a client that goes away must not let go of the key before the post is stored.
    tokio::spawn(keep(app, source, intake, vec![payload], key)).await?.map(IntoResponse::into_response)
}

/// The source, if the sender may post to it.
pub(super) fn admitted(
    app: &App,
    name: Option<&str>,
    headers: &HeaderMap,
) -> Result<(SourceId, HttpIntake, Sender), ApiError> {
    let found = target(app, name, HttpSender::Any);
    if found.is_err() {
        senders::admit_stranger(app, headers)?;
    }
    let (source, intake) = found?;
    let sender = senders::admit(app, &intake, headers)?;
    Ok((source, intake, sender))
}

/// What became of a post, now or the first time.
pub(super) struct Kept {
    pub(super) receipt: Receipt,
    is_replay: bool,
}

/// Stores a post, unless its key says that it was stored before.
pub(super) async fn keep(
    app: Arc<App>,
    source: SourceId,
    intake: HttpIntake,
    payloads: Vec<Bytes>,
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
    Ok(Kept { receipt: intake.take_all(payloads, key).await?, is_replay: false })
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

/// The source a post is for, among those of this kind.
pub(super) fn target(
    app: &App,
    name: Option<&str>,
    sender: HttpSender,
) -> Result<(SourceId, HttpIntake), ApiError> {
    let (what, kind) = match sender {
        HttpSender::Any => ("posts", "http"),
        HttpSender::Firehose => ("batches of Firehose", "firehose"),
    };
    let mut fitting = app.parts.intakes.iter().filter(|(_, intake)| intake.config().sender == sender);
    let known = || names(fitting.clone().map(|(known, _)| known.as_str()));
    let found = match (name, fitting.clone().count()) {
        (Some(name), _) => fitting.clone().find(|(known, _)| *known == name).ok_or_else(|| {
            ApiError::not_found(format!("no source `{name}` takes {what}; those that do are: {}", known()))
        })?,
        (None, 1) => fitting.next().expect("there is one"),
        (None, 0) => {
            let error = format!("no source takes {what}; configure one with `kind = \"{kind}\"`");
            return Err(ApiError::not_found(error));
        }
        (None, _) => {
            let error =
                format!("parameter `source` is missing; the sources that take {what} are: {}", known());
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
