//! How many incidents there are of each severity: what stands behind a slider.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{error::ApiError, incidents, params::Params, state::App, wire::ErrorWire};

/// Incidents by peak severity.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Histogram")]
pub(super) struct HistogramWire {
    /// Equal steps from 0 to 100; each counts from its `from` on, and the last one its `to` too.
    bins: Vec<BinWire>,
    /// All of them.
    total: u64,
}

/// One step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Bin")]
pub(super) struct BinWire {
    /// The least severity.
    from: usize,
    /// The highest, exclusive.
    to: usize,
    /// Incidents.
    count: u64,
}

/// How many incidents there are, by peak severity.
#[utoipa::path(
    get,
    path = "/api/v1/incidents/histogram",
    tag = "incidents",
    params(
        ("monitor" = Option<String>, Query, description = "Only of this monitor"),
        ("state" = Option<String>, Query, description = "Only `open`, `closed` or `retracted` ones"),
        ("kind" = Option<String>, Query, description = "Only `deviation`, `minor`, `no_data` or `engine_trouble`"),
        ("min_severity" = Option<f64>, Query, minimum = 0, maximum = 100,
            description = "Only with at least this peak severity"),
        ("measure" = Option<String>, Query, description = "Only with a series of this measure"),
        ("slice" = Option<std::collections::BTreeMap<String, String>>, Query,
            description = "Only with a series that has these values, such as `slice.country=DE`"),
        ("care" = Option<String>, Query, description = "As for the list of incidents"),
        ("assigned_to" = Option<String>, Query, description = "Only assigned to this person"),
        ("from" = Option<String>, Query, description = "Only opened at or after this RFC 3339 time"),
        ("before" = Option<String>, Query, description = "Only opened before this RFC 3339 time"),
    ),
    responses(
        (status = 200, body = HistogramWire, description = "Twenty steps"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read"),
    )
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<HistogramWire>, ApiError> {
    let query = incidents::wanted(&mut params)?;
    params.finish(&incidents::FILTERS)?;
    let counts = app.parts.history.severities(&query).await?;
    let width = 100 / counts.len();
    let bin =
        |(step, count): (usize, &u64)| BinWire { from: step * width, to: (step + 1) * width, count: *count };
    Ok(Json(HistogramWire { bins: counts.iter().enumerate().map(bin).collect(), total: counts.iter().sum() }))
}
