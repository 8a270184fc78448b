//! Stored windows of a few series, read back for charts.

use crate::{
    pipeline::{History, HistoryRange, SHARD_SLICES, ShardFrame, StoreError},
    store::SqliteStore,
};

/// Blobs read at a time.
const PAGE: usize = 2_000;

/// One window of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::backtest) struct Point {
    pub(in crate::backtest) start_millis: i64,
    pub(in crate::backtest) actual: Option<f64>,
    /// Expected, lower, upper; `None` while the detector learned.
    pub(in crate::backtest) band: Option<[f64; 3]>,
    /// Page severity, 0 without an opinion.
    pub(in crate::backtest) severity: f32,
}

/// The windows that start in `from..to` of all measures of one slice, by measure.
pub(in crate::backtest) async fn read_slice(
    store: &SqliteStore,
    monitor: &str,
    slice: usize,
    from_millis: i64,
    to_millis: i64,
) -> Result<Vec<Vec<Point>>, StoreError> {
    let mut measures: Vec<Vec<Point>> = Vec::new();
    let mut range = HistoryRange { from_millis, to_millis, shard: Some(slice / SHARD_SLICES), limit: PAGE };
    loop {
        let blobs = store.frames(monitor, range).await?;
        for blob in &blobs {
            let frame = ShardFrame::of(blob).map_err(|error| StoreError::Unusable(error.to_string()))?;
            let width = frame.cells.len().checked_div(frame.events.len()).unwrap_or(0);
            measures.resize_with(width.max(measures.len()), Vec::new);
            let first = (slice % SHARD_SLICES) * width;
            for (measure, points) in measures.iter_mut().enumerate().take(width) {
                let cell = frame.observed(first + measure).cell;
                let score = frame.scores.get(first + measure).copied().flatten();
                points.push(Point {
                    start_millis: blob.start_millis,
                    actual: cell.map(|cell| cell.value),
                    band: score.map(|score| [score.expected, score.lower, score.upper]),
                    severity: score.map_or(0.0, |score| score.severity),
                });
            }
        }
        let Some(last) = blobs.last().filter(|_| blobs.len() == PAGE) else { return Ok(measures) };
        range.from_millis = last.start_millis + 1;
    }
}

/// At most about `buckets` points: of each stretch, the one with the lowest and the one with the highest value,
/// in order of time, so that no peak is lost. A stretch without a value keeps one empty point.
pub(super) fn thin_out(points: &[Point], buckets: usize) -> Vec<Point> {
    if points.len() <= buckets {
        return points.to_vec();
    }
    let stretch = (2 * points.len()).div_ceil(buckets.max(2));
    let mut kept = Vec::with_capacity(buckets + 2);
    for part in points.chunks(stretch) {
        let by_value =
            |a: &&Point, b: &&Point| a.actual.unwrap_or(f64::NAN).total_cmp(&b.actual.unwrap_or(f64::NAN));
        let with_value = || part.iter().filter(|point| point.actual.is_some());
        match (with_value().min_by(by_value), with_value().max_by(by_value)) {
            (Some(low), Some(high)) if low.start_millis < high.start_millis => kept.extend([*low, *high]),
            (Some(low), Some(high)) if high.start_millis < low.start_millis => kept.extend([*high, *low]),
            (Some(only), _) => kept.push(*only),
            _ => kept.push(part[0]),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_peak_is_lost_by_thinning() {
        let point = |index: i64| Point {
            start_millis: index,
            actual: (index % 50 != 3).then_some(if index == 700 { 99.0 } else { (index % 7) as f64 }),
            band: None,
            severity: 0.0,
        };
        let points: Vec<Point> = (0..1_000).map(point).collect();
        let thin = thin_out(&points, 100);
        assert!(thin.len() <= 102, "{}", thin.len());
        assert!(thin.iter().any(|point| point.actual == Some(99.0)));
        assert!(thin.is_sorted_by_key(|point| point.start_millis));
        assert_eq!(thin_out(&points[..10], 100), points[..10]);
    }
}
