//! Taking over a past that lies ready beside the store, one step per request.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::ApiError,
    json::{JsonBody, millis},
    monitors::Name,
    state::App,
    wire::ErrorWire,
};
use crate::pipeline::BackfillError;

/// Which part of it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BackfillBody {
    /// Windows that end by this time, RFC 3339; all when left out.
    until: Option<String>,
}

/// What a step did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "BackfillStep")]
pub(super) struct BackfillWire {
    /// Windows it added.
    added: u64,
    /// Windows that are left, if the past has no holes; ask again until it is 0.
    left: u64,
    /// Slices that the monitor has no room for.
    refused_slices: u64,
}

/// Takes the next step of a backfill that `tidewatch backfill` has prepared.
#[utoipa::path(
    post,
    path = "/api/v1/monitors/{name}/backfill",
    tag = "monitors",
    params(("name" = String, Path, description = "The monitor")),
    request_body = BackfillBody,
    responses(
        (status = 200, body = BackfillWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "Nothing lies ready, or it was counted in another way"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn step(
    State(app): State<Arc<App>>,
    Name(name): Name,
    JsonBody(body): JsonBody<BackfillBody>,
) -> Result<Json<BackfillWire>, ApiError> {
    let source = &app.monitor(&name)?.source;
    let until_millis = millis("until", body.until.as_deref())?.unwrap_or(i64::MAX);
    let desk = app.parts.desks.get(source);
    let desk = desk.ok_or_else(|| ApiError::unavailable(format!("source `{source}` does not run")))?;
    let progress = desk.backfill(&name, until_millis).await?.map_err(|error| match error {
        BackfillError::NoMonitor(_) => ApiError::not_found(error.to_string()),
        BackfillError::NothingReady(_) | BackfillError::Reshaped { .. } => {
            ApiError::bad_request(error.to_string())
        }
        BackfillError::Store(error) => error.into(),
        BackfillError::Damaged(error) => error.into(),
        BackfillError::Rebuild(error) => error.into(),
    })?;
    Ok(Json(BackfillWire {
        added: progress.added,
        left: progress.left,
        refused_slices: progress.refused_slices,
    }))
}
