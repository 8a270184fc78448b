//! The stored windows of a monitor, told to one with settings of its own from their beginning: what it would have said.
//!
//! Windows are judged by the code that judges live, and the results are committed to a store like any other, so that
//! whoever reads results of a monitor can read these. What people said is heard where it was said. Not seen: what the wall
//! clock told (no data, engine trouble), mutes, and how events would be counted under another mapping; windows are
//! taken as they were counted.

use std::sync::Arc;

use super::{
    BlobError, Commit, FrameBlob, History, HistoryRange, Ledger, Monitor, MonitorSpec, SHARD_SLICES,
    ShardFrame, Store, StoreError, status::of_monitor,
};
use crate::{
    record::{CheckpointDelta, SourceId},
    window::{Frame, SliceRow},
};

/// Blobs read at a time; a window has one per 256 slices.
const PAGE: usize = 2_000;

/// Where the results of a replay are committed as the source of.
const SOURCE: &str = "replay";

/// A replay could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored window cannot be read.
    #[error(transparent)]
    Damaged(#[from] BlobError),
    /// It was told to stop.
    #[error("stopped before its end")]
    Stopped,
}

/// Tells the windows of the monitor that start within `range` to one configured by `spec`, which must have the shape of
/// what is stored, and commits the results to `into`. `told` hears how many windows are done and the end of the last,
/// and says whether to go on; its answer may wait.
pub async fn replay<H, S, F>(
    history: &H,
    into: &S,
    spec: Arc<MonitorSpec>,
    range: (i64, i64),
    mut told: impl FnMut(u64, i64) -> F,
) -> Result<super::MonitorStatus, ReplayError>
where
    H: History + ?Sized,
    S: Store + ?Sized,
    F: Future<Output = bool>,
{
    let name = spec.facts.monitor.clone();
    let slices = history.slices(&name).await?;
    let ledger = Ledger::of(&history.instructed(&name).await?);
    let mut known = vec![false; slices.len()];
    let limit = PAGE.max(2 * (slices.len().div_ceil(SHARD_SLICES) + 1));
    let mut monitor = Monitor::restore_replay(spec, slices, ledger)?;
    let mut range = HistoryRange { from_millis: range.0, to_millis: range.1, shard: None, limit };
    loop {
        let mut page = history.frames(&name, range).await?;
        let next = page.last().map(|blob| blob.start_millis).filter(|_| page.len() == limit);
        // A window that the page may have cut comes whole with the next one.
        page.retain(|blob| Some(blob.start_millis) != next);
        for window in page.chunk_by(|a, b| a.start_millis == b.start_millis) {
            monitor.judge_again(&frame(window, &mut known, &monitor)?);
        }
        let last = page.last().map(|blob| blob.end_millis);
        commit(&mut monitor, into).await?;
        if let Some(last) = last
            && !told(monitor.totals.windows, last).await
        {
            return Err(ReplayError::Stopped);
        }
        let Some(next) = next else { break };
        range.from_millis = next;
    }
    Ok(of_monitor(&SourceId::new(SOURCE), &monitor))
}

async fn commit<S: Store + ?Sized>(monitor: &mut Monitor, into: &S) -> Result<(), StoreError> {
    let results = monitor.take_commit(0);
    into.commit(&Commit {
        source: SourceId::new(SOURCE),
        delta: CheckpointDelta::default(),
        journal: Vec::new(),
        receipts: Vec::new(),
        receipts_kept_millis: 0,
        inputs: Vec::new(),
        monitors: Some(vec![results]),
        at_millis: 0,
    })
    .await
}

/// A stored window with a row for every slice. One without a row was not there yet, or, if it was there before, came in by
/// a backfill and had no event.
fn frame(window: &[FrameBlob], known: &mut [bool], monitor: &Monitor) -> Result<Frame, BlobError> {
    let spec = &monitor.spec.window;
    let width = spec.measures.len();
    let absent = SliceRow { events: 0, cells: vec![None; width] };
    let mut slices = vec![absent; known.len()];
    let (mut has_row, mut is_gap) = (vec![false; known.len()], true);
    for blob in window {
        let stored = ShardFrame::decode(&blob.bytes)?;
        for (row, (events, cells)) in stored.events.iter().zip(stored.cells.chunks(width)).enumerate() {
            let slice = blob.shard * SHARD_SLICES + row;
            let Some(place) = slices.get_mut(slice) else { continue };
            *place = SliceRow { events: *events, cells: cells.to_vec() };
            has_row[slice] = true;
            let is_there = *events > 0 || cells.iter().any(Option::is_some);
            is_gap &= !is_there;
            known[slice] |= is_there;
        }
    }
    if !is_gap {
        let missing = known.iter().zip(&has_row).map(|(known, has_row)| *known && !has_row);
        for (row, _) in slices.iter_mut().zip(missing).filter(|(_, missing)| *missing) {
            *row = spec.quiet_row();
        }
    }
    let (start_millis, end_millis) =
        window.first().map_or((0, 0), |blob| (blob.start_millis, blob.end_millis));
    Ok(Frame { start_millis, end_millis, slices, refused_slices: 0 })
}
