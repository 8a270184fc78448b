//! Taking care of incidents: acknowledge, assign, mute, note. Anybody may do so for open and for closed ones.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    json::{JsonBody, millis, required, text, word},
    monitors::Name,
    state::App,
    wire::{ErrorWire, InstructedWire},
};
use crate::{
    anomaly::{Incident, Mute},
    pipeline::Ask,
};

/// Who acknowledges.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AcknowledgeBody {
    /// Who, as they call themselves; `api` if left out.
    by: Option<String>,
}

/// Who is to take care.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AssignBody {
    /// Who is to take care of it; left out or `null`, nobody in particular.
    to: Option<String>,
    /// Who asks.
    by: Option<String>,
}

/// For how long nobody is told. One of `until`, `windows`, `until_worse` and `off`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MuteBody {
    /// Until this RFC 3339 time, in event time.
    until: Option<String>,
    /// For so many windows more.
    #[schema(minimum = 1, maximum = 100_000)]
    windows: Option<u32>,
    /// Until its peak severity is above what it is now.
    until_worse: bool,
    /// Ends the quiet.
    off: bool,
    /// Who asks.
    by: Option<String>,
}

/// Words for others to read.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NoteBody {
    /// The words, at most 4000 characters.
    text: Option<String>,
    /// Who writes.
    by: Option<String>,
}

impl App {
    /// A stored incident.
    pub(super) async fn incident(&self, id: &str) -> Result<Incident, ApiError> {
        let found = self.parts.history.incident(id).await?;
        found.ok_or_else(|| ApiError::not_found(format!("there is no incident `{id}`")))
    }

    async fn care(
        &self,
        incident: &Incident,
        by: Option<String>,
        ask: Ask,
    ) -> Result<Json<InstructedWire>, ApiError> {
        let row = self.tell(&incident.monitor, by, ask).await?;
        Ok(Json(InstructedWire::of(&row, true)))
    }
}

/// Somebody takes care of it. Notifiers that told of it are told.
#[utoipa::path(
    post,
    path = "/api/v1/incidents/{id}/acknowledge",
    tag = "incidents",
    params(("id" = String, Path, description = "The incident")),
    request_body = AcknowledgeBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    Name(id): Name,
    JsonBody(body): JsonBody<AcknowledgeBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let incident = app.incident(&id).await?;
    app.care(&incident, body.by, Ask::Acknowledge { incident: id }).await
}

/// Says who is to take care of it.
#[utoipa::path(
    post,
    path = "/api/v1/incidents/{id}/assign",
    tag = "incidents",
    params(("id" = String, Path, description = "The incident")),
    request_body = AssignBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn assign(
    State(app): State<Arc<App>>,
    Name(id): Name,
    JsonBody(body): JsonBody<AssignBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let incident = app.incident(&id).await?;
    let to = word("to", body.to)?;
    app.care(&incident, body.by, Ask::Assign { incident: id, to }).await
}

/// Asks for quiet about an open incident. Its end is told all the same, if it was told before.
#[utoipa::path(
    post,
    path = "/api/v1/incidents/{id}/mute",
    tag = "incidents",
    params(("id" = String, Path, description = "The incident")),
    request_body = MuteBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "Not one of `until`, `windows`, `until_worse` and `off`"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn mute(
    State(app): State<Arc<App>>,
    Name(id): Name,
    JsonBody(body): JsonBody<MuteBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let incident = app.incident(&id).await?;
    if incident.is_closed() {
        return Err(ApiError::bad_request(format!("incident `{id}` is closed; only open ones are muted")));
    }
    let until_millis = millis("until", body.until.as_deref())?;
    let mute = match (until_millis, body.windows, body.until_worse, body.off) {
        (Some(until), None, false, false) => Some(Mute { until_millis: Some(until), until_above: None }),
        (None, Some(windows), false, false) if (1..=100_000).contains(&windows) => {
            let monitor = app.monitor(&incident.monitor)?;
            let status = app.parts.board.monitor(&incident.monitor);
            let closed =
                status.and_then(|status| status.closed_through_millis).unwrap_or(incident.until_millis);
            // The last of these windows is still quiet.
            let until = closed + i64::from(windows) * monitor.interval_seconds * 1000 + 1;
            Some(Mute { until_millis: Some(until), until_above: None })
        }
        (None, None, true, false) => {
            Some(Mute { until_millis: None, until_above: Some(incident.severity.peak) })
        }
        (None, None, false, true) => None,
        _ => {
            let error = "the body must hold one of `until` (a time), `windows` (1 to 100000), `until_worse` and `off`";
            return Err(ApiError::bad_request(error));
        }
    };
    app.care(&incident, body.by, Ask::Mute { incident: id, mute }).await
}

/// Adds words to its timeline.
#[utoipa::path(
    post,
    path = "/api/v1/incidents/{id}/note",
    tag = "incidents",
    params(("id" = String, Path, description = "The incident")),
    request_body = NoteBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "No text, or too long a one"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn note(
    State(app): State<Arc<App>>,
    Name(id): Name,
    JsonBody(body): JsonBody<NoteBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let incident = app.incident(&id).await?;
    let words = required("text", text("text", body.text)?)?;
    app.care(&incident, body.by, Ask::Note { incident: id, text: words }).await
}
