//! What a monitor will need: series, memory, disk and load, from the cardinality of real data.

use serde::Serialize;

use super::{Backtest, BacktestError};
use crate::pipeline::{History, HistoryRange, ShardFrame, StoreError};

/// Memory of one series: a seasonal model with its profiles, and its place in open windows.
const SERIES_BYTES: f64 = 4_096.0;
/// Memory of the process without series.
const BASE_BYTES: f64 = 40e6;
/// One core scores and teaches one observation in this time (docs/benchmarks.md, a million series).
const OBSERVATION_SECONDS: f64 = 1e-6;
/// One core decodes and counts one event in this time (docs/benchmarks.md, 10,000 series).
const EVENT_SECONDS: f64 = 1e-6;
/// Blobs read at a time.
const PAGE: usize = 2_000;
/// Times at which the number of slices is told, as shares of the data.
const STAGES: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

/// An estimate, with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Days of data looked at.
    pub days: f64,
    /// Measures x slices.
    pub series: u64,
    /// Slices by the dimensions that they name.
    pub slices_by_level: Vec<(String, usize)>,
    /// Slices known after a quarter, half, three quarters and all of the data.
    pub growth: Vec<usize>,
    /// Events a second, in the mean.
    pub events_per_second: f64,
    /// Windows a day.
    pub windows_per_day: f64,
    /// Bytes of main memory.
    pub memory_bytes: f64,
    /// Bytes a day in the store, as measured on this data.
    pub disk_bytes_per_day: f64,
    /// Bytes in the store at the configured retention; `None` when windows are kept for ever.
    pub disk_bytes: Option<f64>,
    /// Share of one core, in the mean.
    pub load: f64,
}

/// Estimates from a finished backtest.
pub async fn plan(found: &Backtest, retention_millis: Option<i64>) -> Result<Plan, BacktestError> {
    let monitor = &found.facts.monitor;
    let (from_millis, to_millis) = found.span_millis;
    let seconds = ((to_millis - from_millis) as f64 / 1e3).max(1.0);
    let days = seconds / 86_400.0;
    let (bytes, growth) = frames(found).await?;
    let summary = &found.summary;
    let observations = summary.series as f64 * summary.windows as f64;
    let events_per_second = summary.records_in as f64 / seconds;
    let disk_bytes_per_day = bytes / days;
    let mut levels: Vec<(String, usize)> = Vec::new();
    for slice in found.store.slices(monitor).await? {
        let names: Vec<&str> = (found.facts.dimensions.iter().zip(&slice.0))
            .filter_map(|(name, value)| value.as_ref().map(|_| name.as_str()))
            .collect();
        let level = if names.is_empty() { "everything".to_owned() } else { names.join(" x ") };
        match levels.iter_mut().find(|(known, _)| *known == level) {
            Some((_, count)) => *count += 1,
            None => levels.push((level, 1)),
        }
    }
    Ok(Plan {
        days,
        series: summary.series,
        slices_by_level: levels,
        growth,
        events_per_second,
        windows_per_day: summary.windows as f64 / days,
        memory_bytes: BASE_BYTES + SERIES_BYTES * summary.series as f64,
        disk_bytes_per_day,
        disk_bytes: retention_millis.map(|millis| disk_bytes_per_day * millis as f64 / 86_400_000.0),
        load: events_per_second * EVENT_SECONDS + observations / seconds * OBSERVATION_SECONDS,
    })
}

/// Bytes of all stored windows, and how many slices they held at each stage.
async fn frames(found: &Backtest) -> Result<(f64, Vec<usize>), BacktestError> {
    let (from_millis, to_millis) = found.span_millis;
    let stage_millis = STAGES.map(|share| from_millis + (share * (to_millis - from_millis) as f64) as i64);
    let (mut bytes, mut growth) = (0.0, vec![0; STAGES.len()]);
    let (mut window, mut slices) = (from_millis, 0);
    let mut range = HistoryRange { from_millis, to_millis: i64::MAX, shard: None, limit: PAGE };
    loop {
        let page = found.store.frames(&found.facts.monitor, range).await?;
        let last = page.last().filter(|_| page.len() == PAGE).map(|blob| blob.start_millis);
        // The last window may be cut by the page: it comes whole with the next one.
        for blob in page.iter().filter(|blob| last.is_none_or(|last| blob.start_millis < last)) {
            if blob.start_millis != window {
                (window, slices) = (blob.start_millis, 0);
            }
            let frame =
                ShardFrame::decode(&blob.bytes).map_err(|error| StoreError::Unusable(error.to_string()))?;
            bytes += blob.bytes.len() as f64;
            slices += frame.events.len();
            for (known, _) in growth.iter_mut().zip(stage_millis).filter(|(_, stage)| window < *stage) {
                *known = slices;
            }
        }
        let Some(last) = last else { return Ok((bytes, growth)) };
        if last == range.from_millis {
            let why = "a window has more shards than a page holds".to_owned();
            return Err(StoreError::Unusable(why).into());
        }
        range.from_millis = last;
    }
}
