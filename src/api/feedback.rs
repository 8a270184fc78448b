//! What people say about alarms, and about the lack of them; what it would do, and taking it back.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
};
use serde::Deserialize;
use tidewatch_detectors::Side;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    json::{JsonBody, choice, required, text},
    monitors::Name,
    observations,
    params::Params,
    past::HeldPast,
    said::{FeedbackBody, RangeFeedbackBody, about_incident, about_range, kept, range},
    state::App,
    wire::{ErrorWire, InstructedListWire, InstructedWire, PreviewWire},
};
use crate::pipeline::{Ask, GivenFeedback, IncidentQuery, Ledger, MissedIncident, Preview, RestoreError};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Incidents that a preview looks at: the newest.
const PREVIEW_INCIDENTS_MAX: usize = 2_000;
const SIDES: [(&str, Side); 2] = [("drop", Side::Drop), ("rise", Side::Rise)];

/// An incident that nobody was told of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MissedBody {
    /// The monitor.
    monitor: Option<String>,
    /// The measure.
    measure: Option<String>,
    /// The slice; `{}` is the whole.
    slice: BTreeMap<String, String>,
    /// Start, RFC 3339.
    from: Option<String>,
    /// End, RFC 3339.
    to: Option<String>,
    /// `drop` or `rise`; that of the largest deviation if left out.
    direction: Option<String>,
    /// Anything else.
    comment: Option<String>,
    /// Who says so.
    by: Option<String>,
}

/// A monitor and a number of one of its instructions.
#[derive(Debug, Deserialize, FromRequestParts)]
#[from_request(via(Path), rejection(ApiError))]
pub(super) struct Numbered {
    pub(super) name: String,
    pub(super) number: u64,
}

/// Who takes something back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UndoBody {
    /// Who.
    by: Option<String>,
}

/// Says what an incident was. The next window is judged under it.
#[utoipa::path(
    post,
    path = "/api/v1/incidents/{id}/feedback",
    tag = "feedback",
    params(("id" = String, Path, description = "The incident")),
    request_body = FeedbackBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "The body cannot be read, or reaches too far"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn give(
    State(app): State<Arc<App>>,
    Name(id): Name,
    JsonBody(mut body): JsonBody<FeedbackBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let incident = app.incident(&id).await?;
    let by = body.by.take();
    let past = app.past(&incident.monitor).await?;
    let feedback = about_incident(&app, &past, &incident, body).await?;
    let row = app.tell(&incident.monitor, by, Ask::Feedback(feedback)).await?;
    Ok(Json(InstructedWire::of(&row, true)))
}

/// What feedback would have done to the stored past; changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/incidents/{id}/feedback/preview",
    tag = "feedback",
    params(("id" = String, Path, description = "The incident")),
    request_body = FeedbackBody,
    responses(
        (status = 200, body = PreviewWire, description = "What it would have done"),
        (status = 400, body = ErrorWire, description = "The body cannot be read"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Name(id): Name,
    JsonBody(body): JsonBody<FeedbackBody>,
) -> Result<Json<PreviewWire>, ApiError> {
    let incident = app.incident(&id).await?;
    let past = app.past(&incident.monitor).await?;
    let feedback = about_incident(&app, &past, &incident, body).await?;
    previewed(&app, past, &incident.monitor, feedback).await
}

/// Says what a range of a series or slice was, where no incident shows it.
#[utoipa::path(
    post,
    path = "/api/v1/feedback",
    tag = "feedback",
    request_body = RangeFeedbackBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "The body cannot be read, or reaches too far"),
        (status = 404, body = ErrorWire, description = "No such monitor, or it keeps no such slice"),
    )
)]
pub(super) async fn give_range(
    State(app): State<Arc<App>>,
    JsonBody(mut body): JsonBody<RangeFeedbackBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let by = body.by.take();
    let (monitor, _, feedback) = about_range(&app, body).await?;
    let row = app.tell(&monitor, by, Ask::Feedback(feedback)).await?;
    Ok(Json(InstructedWire::of(&row, true)))
}

/// What feedback about a range would have done to the stored past; changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/feedback/preview",
    tag = "feedback",
    request_body = RangeFeedbackBody,
    responses(
        (status = 200, body = PreviewWire, description = "What it would have done"),
        (status = 400, body = ErrorWire, description = "The body cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor, or it keeps no such slice"),
    )
)]
pub(super) async fn preview_range(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<RangeFeedbackBody>,
) -> Result<Json<PreviewWire>, ApiError> {
    let (monitor, past, feedback) = about_range(&app, body).await?;
    previewed(&app, past, &monitor, feedback).await
}

/// Reports an incident that nobody was told of: the series unlearns the range, and its thresholds fall by a tenth.
#[utoipa::path(
    post,
    path = "/api/v1/missed",
    tag = "feedback",
    request_body = MissedBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "The body cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor, or it keeps no such slice"),
    )
)]
pub(super) async fn missed(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<MissedBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let name = required("monitor", body.monitor)?;
    let monitor = app.monitor(&name)?;
    let measure = observations::measure(monitor, body.measure)?;
    let past = app.past(&name).await?;
    let series = kept(monitor, &past, measure, &body.slice)?;
    let (from_millis, to_millis) = range(body.from.as_deref(), body.to.as_deref())?;
    let side = if let Some(word) = body.direction.as_deref() {
        choice("direction", word, &SIDES)?
    } else {
        let targets = past.look().targets(&[(series, None)], (from_millis, to_millis)).await?;
        let largest = targets.first().ok_or_else(|| {
            ApiError::bad_request("no window of the range was judged: say `direction`, drop or rise")
        })?;
        largest.alarm.side
    };
    let comment = text("comment", body.comment)?;
    let ask = Ask::Missed(MissedIncident { series, side, from_millis, to_millis, comment });
    let row = app.tell(&name, body.by, ask).await?;
    Ok(Json(InstructedWire::of(&row, true)))
}

/// What people said to a monitor, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}/feedback",
    tag = "feedback",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000,
            description = "At most this many; 100 if left out"),
    ),
    responses(
        (status = 200, body = InstructedListWire, description = "Instructions"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Name(name): Name,
    mut params: Params,
) -> Result<Json<InstructedListWire>, ApiError> {
    let limit = params.limit(LIMIT, LIMIT_MAX)?;
    params.finish(&["limit"])?;
    app.monitor(&name)?;
    let rows = app.parts.history.instructed(&name).await?;
    let ledger = Ledger::of(&rows);
    let said = rows
        .iter()
        .rev()
        .filter(|row| matches!(row.instruction.ask, Ask::Feedback(_) | Ask::Missed(_) | Ask::Undo { .. }));
    let feedback = said.take(limit).map(|row| InstructedWire::of(row, ledger.holds(row.number))).collect();
    Ok(Json(InstructedListWire { feedback }))
}

/// Takes feedback or a missed incident back: detectors are as if it had never been said.
#[utoipa::path(
    post,
    path = "/api/v1/monitors/{name}/feedback/{number}/undo",
    tag = "feedback",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("number" = u64, Path, description = "The number of what is taken back"),
    ),
    request_body = UndoBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 404, body = ErrorWire, description = "No such monitor, or nothing to take back"),
    )
)]
pub(super) async fn undo(
    State(app): State<Arc<App>>,
    Numbered { name, number }: Numbered,
    JsonBody(body): JsonBody<UndoBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let row = app.tell(&name, body.by, Ask::Undo { number }).await?;
    Ok(Json(InstructedWire::of(&row, false)))
}

async fn previewed(
    app: &App,
    past: HeldPast,
    monitor: &str,
    feedback: GivenFeedback,
) -> Result<Json<PreviewWire>, ApiError> {
    let query = IncidentQuery {
        monitor: Some(monitor.to_owned()),
        limit: PREVIEW_INCIDENTS_MAX,
        ..IncidentQuery::default()
    };
    let incidents = app.parts.history.incidents(&query).await?;
    let runtime = tokio::runtime::Handle::current();
    let work = move || -> Result<Preview, RestoreError> {
        runtime.block_on(past.look().preview(&feedback, &incidents))
    };
    let preview = tokio::task::spawn_blocking(work).await??;
    Ok(Json(PreviewWire::from(&preview)))
}
