//! The special times a monitor knows.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{error::ApiError, monitors::Name, params::Params, past::entered, state::App, wire::ErrorWire};
use crate::{calendar::SpecialTimeWire, pipeline::Ledger};

/// How far is listed when `to` is left out.
const DEFAULT_SPAN_MILLIS: i64 = 90 * 86_400_000;
/// The longest span of one answer.
const SPAN_MILLIS_MAX: i64 = 800 * 86_400_000;

/// Special times, in order of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Calendar")]
pub(super) struct CalendarWire {
    /// The special times that touch the span.
    times: Vec<SpecialTimeWire>,
}

/// Holidays, promotions, deploys and outages that a monitor knows.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}/calendar",
    tag = "monitors",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("from" = Option<String>, Query, description = "From this RFC 3339 time on; now if left out"),
        ("to" = Option<String>, Query,
            description = "Until this RFC 3339 time, at most 800 days later; 90 days if left out"),
    ),
    responses(
        (status = 200, body = CalendarWire, description = "Special times"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Name(name): Name,
    mut params: Params,
) -> Result<Json<CalendarWire>, ApiError> {
    let monitor = app.monitor(&name)?;
    let from = params.millis("from")?.unwrap_or_else(|| app.parts.clock.now_millis());
    let to = params.millis("to")?.unwrap_or(from + DEFAULT_SPAN_MILLIS);
    params.finish(&["from", "to"])?;
    if !(from..=from.saturating_add(SPAN_MILLIS_MAX)).contains(&to) {
        return Err(ApiError::bad_request("parameter `to` must be 0 to 800 days after `from`"));
    }
    let listed = monitor.calendar.between(&monitor.default_zone, from / 1000, to / 1000);
    let mut times: Vec<SpecialTimeWire> =
        listed.iter().map(|listed| SpecialTimeWire::of(listed, &monitor.dimensions)).collect();
    let ledger = Ledger::of(&app.parts.history.instructed(&name).await?);
    let span = (from.div_euclid(1000), to.div_euclid(1000));
    times.extend(entered(&ledger, &monitor.dimensions, span, None));
    times.sort_by(|one, other| one.from.cmp(&other.from));
    Ok(Json(CalendarWire { times }))
}
