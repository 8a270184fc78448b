//! One event in the address of an image: for pages that cannot run a script.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use super::{
    error::ApiError,
    events::{admitted, keep},
    params::Params,
    state::App,
    wire::{ErrorWire, EventsWire},
};

/// One transparent point.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
/// The field that holds the time of arrival.
const RECEIVED_AT: &str = "received_at";

/// Takes one event whose fields are the other parameters, for a source with `origins`, and answers with an image.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(
        ("source" = Option<String>, Query,
            description = "The source; may be left out when only one takes posts. Every other parameter is a \
                field of the event; `received_at` is added"),
    ),
    responses(
        (status = 200, content_type = "image/gif", description = "Stored"),
        (status = 400, body = EventsWire, description = "The event was refused"),
        (status = 403, body = ErrorWire, description = "Not from a page of an allowed origin"),
        (status = 404, body = ErrorWire, description = "No such source"),
        (status = 429, body = ErrorWire, description = "Behind; see Retry-After"),
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (source, intake, _) = admitted(&app, params.text("source")?.as_deref(), &headers)?;
    if intake.config().origins.is_empty() {
        let error = format!("source `{source}` takes no events from pages; its key `origins` allows them");
        return Err(ApiError::forbidden(error));
    }
    let mut event: Map<String, Value> =
        params.starting("")?.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    if event.is_empty() {
        return Err(ApiError::bad_request(
            "there is no event: its fields are the parameters besides `source`",
        ));
    }
    event.entry(RECEIVED_AT).or_insert_with(|| app.parts.clock.now_millis().into());
    intake.admit()?;
    let payload = Value::Object(event).to_string().into();
    let kept = tokio::spawn(keep(app, source, intake, vec![payload], None)).await??;
    if kept.receipt.rejected > 0 {
        return Ok((StatusCode::BAD_REQUEST, axum::Json(EventsWire::from(kept.receipt))).into_response());
    }
    Ok(([(header::CONTENT_TYPE, "image/gif"), (header::CACHE_CONTROL, "no-store")], GIF).into_response())
}
