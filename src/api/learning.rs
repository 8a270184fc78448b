//! Who is still learning, for how long, and why nothing is judged yet.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    monitors::Name,
    params::Params,
    state::{App, MonitorInfo},
    wire::{ErrorWire, rfc3339},
};
use crate::pipeline::{MeasureProgress, MonitorStatus};

/// Series of one measure that are not judged.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "MeasureLearning")]
pub(super) struct MeasureLearningWire {
    /// The measure.
    measure: String,
    /// How many series.
    series: usize,
    /// Out of so many.
    num_series: usize,
    /// Windows that a series needs; 0 where time alone does not help.
    needed: u64,
    /// Windows seen by the one that is furthest behind.
    seen: u64,
    /// Why, in words.
    reason: String,
    /// When the last of them is ready if every window brings a value; `null` where that cannot be told.
    #[schema(format = DateTime)]
    ready_at: Option<String>,
}

/// Series that are not judged yet, by measure: those that take longest first.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}/learning",
    tag = "monitors",
    params(("name" = String, Path, description = "The monitor")),
    responses(
        (status = 200, body = Vec<MeasureLearningWire>, description = "Empty when every series is judged"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Name(name): Name,
    params: Params,
) -> Result<Json<Vec<MeasureLearningWire>>, ApiError> {
    params.finish(&[])?;
    let monitor = app.monitor(&name)?;
    Ok(Json(of_monitor(monitor, app.parts.board.monitor(&name).as_ref())))
}

fn of_monitor(monitor: &MonitorInfo, status: Option<&MonitorStatus>) -> Vec<MeasureLearningWire> {
    let closed_through = status.and_then(|status| status.closed_through_millis);
    let progress = |index: usize| status.and_then(|status| status.progress.get(index)).copied();
    let mut found: Vec<(u64, MeasureLearningWire)> = Vec::new();
    for (index, measure) in monitor.measures.iter().enumerate() {
        let progress = progress(index).unwrap_or_default();
        for wire in of_measure(&measure.name, progress, closed_through, monitor.interval_seconds) {
            found.push((wire.needed.saturating_sub(wire.seen), wire));
        }
    }
    found.sort_by_key(|(missing, _)| std::cmp::Reverse(*missing));
    found.into_iter().map(|(_, wire)| wire).collect()
}

fn of_measure(
    measure: &str,
    progress: MeasureProgress,
    closed_through: Option<i64>,
    interval_seconds: i64,
) -> Vec<MeasureLearningWire> {
    let wire = |series: usize, (seen, needed): (u64, u64), reason: String| MeasureLearningWire {
        measure: measure.to_owned(),
        series,
        num_series: progress.num_series,
        needed,
        seen,
        reason,
        ready_at: None,
    };
    if progress.num_series == 0 {
        let reason = "no window has closed yet, so nothing has been learned";
        return vec![wire(0, (0, 0), reason.to_owned())];
    }
    let mut found = Vec::new();
    if let Some((seen, needed)) = progress.last {
        let missing = needed.saturating_sub(seen);
        let reason = format!("learning the usual: {seen} of {needed} windows seen, {missing} to go");
        let ready_at = closed_through.map(|closed| {
            let missing = i64::try_from(missing).unwrap_or(i64::MAX);
            rfc3339(closed.saturating_add(missing.saturating_mul(interval_seconds * 1000)))
        });
        found.push(MeasureLearningWire { ready_at, ..wire(progress.num_learning, (seen, needed), reason) });
    }
    let silent = progress.num_series - progress.num_learning - progress.num_scoring;
    if silent > 0 {
        let reason = "no window has had a value that could be judged";
        found.push(wire(silent, (0, 0), reason.to_owned()));
    }
    if progress.num_small > 0 {
        let reason = "too few events a window to be judged; the roll-ups above are";
        found.push(wire(progress.num_small, (0, 0), reason.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_last_one() {
        let progress = MeasureProgress {
            num_series: 10,
            num_scoring: 6,
            num_learning: 3,
            num_small: 2,
            last: Some((40, 100)),
            first: Some((99, 100)),
        };
        let found = of_measure("orders", progress, Some(0), 300);
        assert_eq!((found[0].series, found[0].seen, found[0].needed), (3, 40, 100));
        assert_eq!(found[0].ready_at.as_deref(), Some("1970-01-01T05:00:00Z"));
        assert_eq!(found.iter().map(|wire| wire.series).collect::<Vec<_>>(), [3, 1, 2]);
        assert!(found[1].reason.contains("no window has had a value") && found[2].ready_at.is_none());
        let done = MeasureProgress { num_series: 2, num_scoring: 2, ..MeasureProgress::default() };
        assert!(of_measure("orders", done, Some(0), 300).is_empty());
        let nothing = of_measure("orders", MeasureProgress::default(), None, 300);
        assert_eq!((nothing.len(), nothing[0].num_series), (1, 0));
    }
}
