//! What a chart shows: the stored windows of the series that explains an incident, before and during it.

use super::Charts;
use crate::{
    anomaly::Incident,
    pipeline::{FrameBlob, HistoryRange, SHARD_SLICES, ShardFrame, StoreError},
};

/// Windows in a chart.
pub(super) const TRACE_WINDOWS: usize = 72;

/// One window of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TracePoint {
    pub(super) start_millis: i64,
    pub(super) actual: Option<f64>,
    /// Expected, lower, upper.
    pub(super) band: Option<[f64; 3]>,
}

/// The last windows up to the end of the incident; empty when nothing is stored.
pub(super) async fn trace(charts: &Charts, incident: &Incident) -> Result<Vec<TracePoint>, StoreError> {
    let Charts { history, judged } = charts;
    let Some(judged) = judged.get(&incident.monitor).copied().filter(|judged| *judged > 0) else {
        return Ok(Vec::new());
    };
    let Some(member) = incident.shown() else { return Ok(Vec::new()) };
    let newest = HistoryRange {
        from_millis: incident.opened_millis,
        to_millis: incident.until_millis,
        shard: Some(0),
        limit: 1,
    };
    let Some(first) = history.frames(&incident.monitor, newest).await?.into_iter().next() else {
        return Ok(Vec::new());
    };
    let Ok(frame) = ShardFrame::decode(&first.bytes) else { return Ok(Vec::new()) };
    let width = frame.cells.len().checked_div(frame.events.len()).unwrap_or(0).max(1);
    // Relations follow the measures of a slice, and have no place in a frame.
    let (slice, measure) = (member.anomaly.series / judged, member.anomaly.series % judged);
    if measure >= width {
        return Ok(Vec::new());
    }
    let interval = (first.end_millis - first.start_millis).max(1);
    let range = HistoryRange {
        from_millis: incident.until_millis.saturating_sub(interval.saturating_mul(TRACE_WINDOWS as i64)),
        to_millis: incident.until_millis,
        shard: Some(slice / SHARD_SLICES),
        limit: TRACE_WINDOWS,
    };
    let blobs = history.frames(&incident.monitor, range).await?;
    let index = (slice % SHARD_SLICES) * width + measure;
    let point = |blob: &FrameBlob| {
        let frame = ShardFrame::of(blob).ok()?;
        let cell = frame.observed(index).cell;
        let score = frame.scores.get(index).copied().flatten();
        Some(TracePoint {
            start_millis: blob.start_millis,
            actual: cell.map(|cell| cell.value),
            band: score.map(|score| [score.expected, score.lower, score.upper]),
        })
    };
    Ok(blobs.iter().filter_map(point).collect())
}
