//! Health and metrics, for whoever keeps the process running.
//!
//! Live says that the process answers. Ready says that every source can be read; a run loop that failed for
//! good ends the process, so it needs no word here.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};

use super::{
    state::App,
    wire::{LiveWire, NotReadyWire, ReadyWire},
};

/// The process answers.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    responses((status = 200, body = LiveWire, description = "It does"))
)]
pub(super) async fn live() -> Json<LiveWire> {
    Json(LiveWire { live: true })
}

/// Every source can be read, or was read to its end.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, body = ReadyWire, description = "All can"),
        (status = 503, body = ReadyWire, description = "Some cannot, and why"),
    )
)]
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<ReadyWire>) {
    let states = app.source_states();
    let not_ready: Vec<NotReadyWire> =
        states.iter().filter_map(|(name, state)| NotReadyWire::of(name, state.as_ref())).collect();
    let ready = not_ready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyWire { ready, not_ready }))
}

/// The metrics, as Prometheus reads them.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4",
        description = "Metrics"))
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.parts.telemetry.scrape())
}
