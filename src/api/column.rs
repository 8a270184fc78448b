//! One series as stored, read page by page, and thinned out for a chart that has fewer points.
//!
//! Every window of a long range is looked at, or its extremes would be missed; but of each frame only the one series
//! is made, and the next page is read while one is decoded.

use crate::pipeline::{BlobError, FrameReader, History, HistoryRange, Observed, SHARD_SLICES, StoredScore};

use super::{error::ApiError, wire::ObservationWire};

/// Frames read at a time, which bounds what a long chart holds in memory.
const PAGE: usize = 1_000;

/// One window of the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) start_millis: i64,
    observed: Observed,
    score: Option<StoredScore>,
}

impl From<Window> for ObservationWire {
    fn from(window: Window) -> Self {
        Self::new(window.start_millis, window.observed, window.score)
    }
}

/// Where one series lies in the store.
pub(super) struct Column<'c> {
    history: &'c dyn History,
    monitor: &'c str,
    shard: usize,
    index: usize,
}

impl<'c> Column<'c> {
    /// The series of a slice and a measure, by their numbers.
    pub(super) fn new(
        history: &'c dyn History,
        monitor: &'c str,
        (slice, measure, num_measures): (usize, usize, usize),
    ) -> Self {
        let index = (slice % SHARD_SLICES) * num_measures + measure;
        Self { history, monitor, shard: slice / SHARD_SLICES, index }
    }

    /// Calls `take` with the windows that start within a range, page by page, until it has enough.
    pub(super) async fn read(
        &self,
        (mut from_millis, to_millis): (i64, i64),
        mut take: impl FnMut(Vec<Window>) -> Enough,
    ) -> Result<(), ApiError> {
        let (shard, index) = (Some(self.shard), self.index);
        let mut decoding: Option<tokio::task::JoinHandle<Result<Vec<Window>, BlobError>>> = None;
        loop {
            let range = HistoryRange { from_millis, to_millis, shard, limit: PAGE };
            let blobs = self.history.frames(self.monitor, range).await?;
            let next = blobs.last().filter(|_| blobs.len() == PAGE).map(|blob| blob.start_millis + 1);
            let decode = move || {
                let mut reader = FrameReader::default();
                let mut window = |blob: &crate::pipeline::FrameBlob| {
                    let (observed, score) = reader.observed(blob, index)?;
                    Ok(Window { start_millis: blob.start_millis, observed, score })
                };
                blobs.iter().map(&mut window).collect()
            };
            if let Some(before) = decoding.replace(tokio::task::spawn_blocking(decode))
                && take(before.await??) == Enough::Yes
            {
                return Ok(());
            }
            match next {
                Some(next) => from_millis = next,
                None => break,
            }
        }
        if let Some(last) = decoding {
            take(last.await??);
        }
        Ok(())
    }

    /// Start of the first window that is stored within a range.
    pub(super) async fn first(&self, (from_millis, to_millis): (i64, i64)) -> Result<Option<i64>, ApiError> {
        let range = HistoryRange { from_millis, to_millis, shard: Some(self.shard), limit: 1 };
        let blobs = self.history.frames(self.monitor, range).await?;
        Ok(blobs.first().map(|blob| blob.start_millis))
    }
}

/// Whether a reader has read enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enough {
    Yes,
    No,
}

/// The windows of a series from which the lowest, the highest and the most severe of every few are kept.
#[derive(Debug)]
pub(super) struct Thinned {
    width_millis: i64,
    bucket: Option<Bucket>,
    kept: Vec<Window>,
}

#[derive(Debug)]
struct Bucket {
    number: i64,
    first: Window,
    lowest: Option<Window>,
    highest: Option<Window>,
    worst: Option<Window>,
}

impl Thinned {
    /// Nothing yet. A bucket is so wide; buckets lie at multiples of that, so that moving a chart keeps its points.
    pub(super) fn new(width_millis: i64) -> Self {
        Self { width_millis, bucket: None, kept: Vec::new() }
    }

    /// Takes windows in, in order of time.
    pub(super) fn extend(&mut self, windows: &[Window]) {
        for window in windows {
            let number = window.start_millis.div_euclid(self.width_millis);
            if self.bucket.as_ref().is_some_and(|bucket| bucket.number != number) {
                self.close();
            }
            let fresh = Bucket { number, first: *window, lowest: None, highest: None, worst: None };
            self.bucket.get_or_insert(fresh).take(*window);
        }
    }

    fn close(&mut self) {
        if let Some(bucket) = self.bucket.take() {
            bucket.keep(&mut self.kept);
        }
    }

    /// What was kept, in order of time.
    pub(super) fn finish(mut self) -> Vec<Window> {
        self.close();
        self.kept
    }
}

impl Bucket {
    fn take(&mut self, window: Window) {
        let Some(cell) = window.observed.cell else { return };
        let value = |kept: &Option<Window>| kept.and_then(|kept| kept.observed.cell).map(|cell| cell.value);
        if value(&self.lowest).is_none_or(|lowest| cell.value < lowest) {
            self.lowest = Some(window);
        }
        if value(&self.highest).is_none_or(|highest| cell.value > highest) {
            self.highest = Some(window);
        }
        let severity = |window: &Window| window.score.map(|score| (score.severity, score.minor));
        if let Some(found) = severity(&window)
            && self.worst.as_ref().and_then(severity).is_none_or(|worst| found > worst)
        {
            self.worst = Some(window);
        }
    }

    /// Where nothing came in the whole of it, its first window says so.
    fn keep(self, kept: &mut Vec<Window>) {
        let mut windows: Vec<Window> =
            [self.lowest, self.highest, self.worst].into_iter().flatten().collect();
        windows.sort_by_key(|window| window.start_millis);
        windows.dedup_by_key(|window| window.start_millis);
        if windows.is_empty() {
            windows.push(self.first);
        }
        kept.extend(windows);
    }
}

/// So many windows go into a bucket, for at most `points` in the end.
pub(super) fn windows_per_point(num_windows: u64, points: usize) -> u64 {
    if num_windows <= points as u64 {
        return 1;
    }
    // Three of each, and one bucket more where the range does not begin at the edge of one.
    num_windows.div_ceil((points as u64 / 3).saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Cell;

    fn window(start_millis: i64, value: Option<f64>, severity: f32) -> Window {
        let score = StoredScore {
            expected: 0.0,
            lower: 0.0,
            upper: 0.0,
            severity,
            minor: 0.0,
            expected_alarm: false,
        };
        let cell = value.map(|value| Cell { value, weight: 1.0 });
        let observed = Observed { cell, as_closed: None };
        Window { start_millis, observed, score: cell.map(|_| score) }
    }

    fn starts(windows: &[Window], width_millis: i64) -> Vec<i64> {
        let mut thinned = Thinned::new(width_millis);
        // Pages may end anywhere.
        windows.chunks(3).for_each(|page| thinned.extend(page));
        thinned.finish().iter().map(|window| window.start_millis).collect()
    }

    #[test]
    fn extremes_and_the_worst_stay_and_gaps_show() {
        let windows = [
            window(0, Some(5.0), 10.0),
            window(1, Some(9.0), 0.0),
            window(2, Some(1.0), 0.0),
            window(3, Some(4.0), 80.0),
            window(4, None, 0.0),
            window(5, Some(3.0), 0.0),
            window(10, None, 0.0),
            window(11, None, 0.0),
            window(20, Some(2.0), 0.0),
        ];
        assert_eq!(starts(&windows, 10), [1, 2, 3, 10, 20]);
        assert_eq!(starts(&[], 10), Vec::<i64>::new());
        assert_eq!(starts(&windows[..3], 1), [0, 1, 2]);
    }

    #[test]
    fn never_more_points_than_asked_for() {
        for (num_windows, points) in [(100_000, 1_000), (1_001, 1_000), (11, 10), (25, 10), (100_000, 10_000)]
        {
            let each = windows_per_point(num_windows, points);
            for shift in [0, 1, each as i64 / 2] {
                let value = |at: i64| Some((at * 7_919 % 1_009) as f64);
                let series: Vec<Window> = (0..num_windows as i64)
                    .map(|at| window(shift + at, value(at), (at % 97) as f32))
                    .collect();
                let kept = starts(&series, each as i64).len();
                assert!(kept <= points, "{num_windows} {points}: {kept}");
            }
        }
        assert_eq!(windows_per_point(1_000, 1_000), 1);
    }
}
