//! Incidents as stored.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::{
    error::ApiError,
    monitors::Name,
    params::Params,
    state::App,
    wire::{ErrorWire, IncidentWire, IncidentsWire},
};
use crate::{
    anomaly::{IncidentKind, IncidentState},
    pipeline::IncidentQuery,
};

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 500;

const STATES: [(&str, IncidentState); 2] = [("open", IncidentState::Open), ("closed", IncidentState::Closed)];
const KINDS: [(&str, IncidentKind); 4] = [
    ("deviation", IncidentKind::Deviation),
    ("minor", IncidentKind::Minor),
    ("no_data", IncidentKind::NoData),
    ("engine_trouble", IncidentKind::EngineTrouble),
];

/// Incidents, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/incidents",
    tag = "incidents",
    params(
        ("monitor" = Option<String>, Query, description = "Only of this monitor"),
        ("state" = Option<String>, Query, description = "Only `open` or only `closed` ones"),
        ("kind" = Option<String>, Query, description = "Only `deviation`, `minor`, `no_data` or `engine_trouble`"),
        ("min_severity" = Option<f64>, Query, minimum = 0, maximum = 100,
            description = "Only with at least this peak severity"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 500,
            description = "At most this many; 50 if left out"),
        ("before" = Option<String>, Query, description = "Only opened before this RFC 3339 time"),
    ),
    responses(
        (status = 200, body = IncidentsWire, description = "Incidents"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<IncidentsWire>, ApiError> {
    let query = IncidentQuery {
        monitor: params.text("monitor")?,
        state: params.word("state", &STATES)?,
        kind: params.word("kind", &KINDS)?,
        min_severity: params.severity("min_severity")?,
        opened_before_millis: params.millis("before")?,
        limit: params.limit(LIMIT, LIMIT_MAX)?,
    };
    params.finish(&["monitor", "state", "kind", "min_severity", "limit", "before"])?;
    let incidents = app.parts.history.incidents(&query).await?;
    Ok(Json(IncidentsWire { incidents: incidents.iter().map(IncidentWire::from).collect() }))
}

/// One incident.
#[utoipa::path(
    get,
    path = "/api/v1/incidents/{id}",
    tag = "incidents",
    params(("id" = String, Path, description = "Its id, such as `shop-3`")),
    responses(
        (status = 200, body = IncidentWire, description = "The incident"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Name(id): Name,
    params: Params,
) -> Result<Json<IncidentWire>, ApiError> {
    params.finish(&[])?;
    let incident = app.parts.history.incident(&id).await?;
    let incident = incident.ok_or_else(|| ApiError::not_found(format!("there is no incident `{id}`")))?;
    Ok(Json(IncidentWire::from(&incident)))
}
