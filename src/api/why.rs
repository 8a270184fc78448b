//! Why a window of a series was or was not flagged.

use std::sync::Arc;

use axum::{Json, extract::State};
use tidewatch_detectors::{Comparison, HeldBack};

use super::{
    error::ApiError,
    json::required,
    observations,
    params::Params,
    state::App,
    wire::{ErrorWire, WhyWire, rfc3339},
};
use crate::{
    anomaly::{MINOR_RECORDED_FROM, PAGE_RECORDED_FROM},
    pipeline::{Explained, RestoreError, Why},
};

/// Why a window was or was not flagged: its score, what spoke for and against it, in words.
#[utoipa::path(
    get,
    path = "/api/v1/explain",
    tag = "feedback",
    params(
        ("monitor" = String, Query, description = "The monitor"),
        ("measure" = String, Query, description = "The measure"),
        ("slice" = Option<std::collections::BTreeMap<String, String>>, Query,
            description = "One parameter per dimension, such as `slice.country=DE`; those left out are rolled up"),
        ("time" = String, Query, description = "An RFC 3339 time within the window"),
    ),
    responses(
        (status = 200, body = WhyWire, description = "Why"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor or slice, or no window was stored then"),
    )
)]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<WhyWire>, ApiError> {
    let name = required("monitor", params.text("monitor")?)?;
    let monitor = app.monitor(&name)?;
    let measure = observations::measure(monitor, params.text("measure")?)?;
    let slice = observations::slice(monitor, &mut params)?;
    let time_millis = required("time", params.millis("time")?)?;
    params.finish(&["monitor", "measure", "slice.<dimension>", "time"])?;
    let past = app.past(&name).await?;
    let series = past.series(measure, &slice).ok_or_else(|| observations::not_kept(monitor, &slice))?;
    let runtime = tokio::runtime::Handle::current();
    let work = move || -> Result<Option<Explained>, RestoreError> {
        runtime.block_on(past.look().explain(series, time_millis))
    };
    let explained = tokio::task::spawn_blocking(work).await??.ok_or_else(|| {
        ApiError::not_found(format!("no window of `{name}` is stored for {}", rfc3339(time_millis)))
    })?;
    let measure = monitor.measures[measure].name.clone();
    Ok(Json(wire(name.clone(), measure, slice.to_map(&monitor.dimensions), &explained)))
}

fn wire(
    monitor: String,
    measure: String,
    slice: std::collections::BTreeMap<String, String>,
    explained: &Explained,
) -> WhyWire {
    let Explained { start_millis, end_millis, cell, stored, why } = explained;
    let detector = why.as_ref().and_then(|why| why.explanation.as_ref());
    let mut comparisons: Vec<&Comparison> =
        detector.iter().flat_map(|explanation| &explanation.comparisons).collect();
    let rate = |comparison: &Comparison| comparison.log10_rate.unwrap_or(f64::INFINITY);
    comparisons.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
    let held_back = why.as_ref().map(held_back).unwrap_or_default();
    let said = detector.map(ToString::to_string);
    let mut text = match (cell, said) {
        (None, _) => "The window has no value, so nothing could be judged.".to_owned(),
        (Some(_), Some(said)) => said,
        (Some(_), None) => "The detector gave no score.".to_owned(),
    };
    for cause in why.iter().flat_map(own_causes) {
        text.extend([" It was not flagged because ", &cause, "."]);
    }
    WhyWire {
        monitor,
        measure,
        slice,
        from: rfc3339(*start_millis),
        to: rfc3339(*end_millis),
        value: cell.map(|cell| cell.value),
        expected: stored.map(|score| score.expected),
        severity: stored.map(|score| score.severity),
        minor: stored.map(|score| score.minor),
        flagged: stored.is_some_and(|score| {
            f64::from(score.severity) >= PAGE_RECORDED_FROM || f64::from(score.minor) >= MINOR_RECORDED_FROM
        }),
        text,
        held_back,
        comparisons: comparisons.iter().map(ToString::to_string).collect(),
        learning: why.as_ref().and_then(|why| why.learning).map(|(seen, needed)| [seen, needed]),
        affected_by_feedback: stored.is_some_and(|score| score.expected_alarm),
    }
}

/// Everything that speaks against an anomaly.
fn held_back(why: &Why) -> Vec<String> {
    let detector = why.explanation.iter().flat_map(|explanation| &explanation.held_back);
    detector.map(HeldBack::to_string).chain(own_causes(why)).collect()
}

/// What holds back outside of the detector.
fn own_causes(why: &Why) -> Vec<String> {
    let causes = [
        (why.held_back.thin, "too few events stand behind the series or this window to judge it"),
        (why.held_back.guarded, "the change is smaller than the least that the measure asks for"),
        (
            why.held_back.excluded,
            "the time is excluded: an outage, or reported as missed; it is not learned either",
        ),
    ];
    causes.into_iter().filter(|(holds, _)| *holds).map(|(_, cause)| cause.to_owned()).collect()
}
