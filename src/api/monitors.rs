//! Status, monitors and their series.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
};
use serde::Deserialize;

use super::{
    error::ApiError,
    params::Params,
    state::{App, MonitorInfo},
    wire::{
        ErrorWire, MonitorWire, MonitorsWire, SeriesListWire, SeriesWire, SourceWire, StatusWire, rfc3339,
    },
};
use crate::window::SliceKey;

const SERIES_LIMIT: usize = 1_000;
const SERIES_LIMIT_MAX: usize = 10_000;

/// The name or id at the end of a path.
#[derive(Debug, Deserialize, FromRequestParts)]
#[from_request(via(Path), rejection(ApiError))]
pub(super) struct Name(pub(super) String);

/// Everything that runs: sources, monitors, how far each is.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "monitors",
    responses((status = 200, body = StatusWire, description = "What runs"))
)]
pub(super) async fn status(
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<StatusWire>, ApiError> {
    params.finish(&[])?;
    let parts = &app.parts;
    Ok(Json(StatusWire {
        version: env!("CARGO_PKG_VERSION"),
        now: rfc3339(parts.clock.now_millis()),
        sources: parts.board.sources().iter().map(SourceWire::from).collect(),
        monitors: all(&app),
    }))
}

/// The monitors.
#[utoipa::path(
    get,
    path = "/api/v1/monitors",
    tag = "monitors",
    responses((status = 200, body = MonitorsWire, description = "The monitors, as configured"))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<MonitorsWire>, ApiError> {
    params.finish(&[])?;
    Ok(Json(MonitorsWire { monitors: all(&app) }))
}

/// One monitor.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}",
    tag = "monitors",
    params(("name" = String, Path, description = "The monitor")),
    responses(
        (status = 200, body = MonitorWire, description = "The monitor"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Name(name): Name,
    params: Params,
) -> Result<Json<MonitorWire>, ApiError> {
    params.finish(&[])?;
    Ok(Json(app.monitor_wire(app.monitor(&name)?)))
}

/// The series of a monitor, oldest first; a series keeps its place for ever.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}/series",
    tag = "monitors",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 10000,
            description = "At most this many; 1000 if left out"),
        ("after" = Option<usize>, Query,
            description = "Leave out this many: the `next` of the answer before"),
    ),
    responses(
        (status = 200, body = SeriesListWire, description = "Series"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn series(
    State(app): State<Arc<App>>,
    Name(name): Name,
    mut params: Params,
) -> Result<Json<SeriesListWire>, ApiError> {
    let monitor = app.monitor(&name)?;
    let limit = params.limit(SERIES_LIMIT, SERIES_LIMIT_MAX)?;
    let after = params.count("after")?.unwrap_or(0);
    params.finish(&["limit", "after"])?;
    let slices = app.slices.renew(app.parts.history.as_ref(), &name).await?;
    Ok(Json(part(monitor, slices.keys(), after, limit)))
}

fn all(app: &App) -> Vec<MonitorWire> {
    app.parts.monitors.iter().map(|monitor| app.monitor_wire(monitor)).collect()
}

/// Series number `after` and those that follow.
fn part(monitor: &MonitorInfo, slices: &[SliceKey], after: usize, limit: usize) -> SeriesListWire {
    let width = monitor.measures.len();
    let num_series = slices.len() * width;
    let end = after.saturating_add(limit).min(num_series);
    let series = (after.min(end)..end).map(|number| SeriesWire {
        measure: monitor.measures[number % width].name.clone(),
        slice: slices[number / width].to_map(&monitor.dimensions),
    });
    SeriesListWire { series: series.collect(), num_series, next: Some(end).filter(|end| *end < num_series) }
}
