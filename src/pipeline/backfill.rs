//! The past of a monitor that is there already: windows from elsewhere, put before its first stored one.
//!
//! What is to come in lies ready in a store of its own (the *past*), numbered its own way, because it was counted from
//! files as a backtest does. Step by step, from the newest window to the oldest, its windows are renumbered to the
//! monitor's slices and stored before the first window that is there. So a window is never counted twice, a step that was
//! stored is not repeated, and what is missing after a break is what lies before the first stored window. The last step
//! drops the snapshots of models: they are a fold over windows, and now there are more.
//!
//! The window in which the live stream began is usually cut. Where the past reaches beyond its end, it takes the place
//! of the live one: the past has seen the whole of it.
//!
//! Not here: incidents of the past, which nobody was told of; scores of live windows, which are what was told.

use std::sync::Arc;

use super::{
    BlobError, FrameBlob, History, HistoryRange, ModelBlob, Monitor, MonitorSpec, RestoreError, SHARD_SLICES,
    ShardFrame, SlicesFrom, Store, StoreError, StoredScore, monitor::check_state, restore::restore_monitor,
};
use crate::window::{Cell, SliceKey};

/// Blobs that a step holds in memory, about.
const BLOBS_PER_STEP: usize = 1_000;

/// A past that lies ready.
pub struct Backlog {
    /// Its windows.
    pub history: Box<dyn History>,
    /// The state of its monitor, which says what shape it has.
    pub state: Vec<u8>,
}

impl std::fmt::Debug for Backlog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backlog").finish_non_exhaustive()
    }
}

/// One step: stored whole or not at all.
#[derive(Debug)]
pub struct BackfillStep {
    /// The monitor.
    pub monitor: String,
    /// Slices that only the past knows.
    pub slices: SlicesFrom,
    /// Windows; one that is stored already is replaced.
    pub frames: Vec<FrameBlob>,
    /// The past is in: the stored snapshots of models do not know it.
    pub is_last: bool,
    /// Snapshots that do.
    pub models: Vec<ModelBlob>,
    /// What came in and what is left.
    pub progress: BackfillProgress,
}

/// How far a backfill is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackfillProgress {
    /// Windows that this step added.
    pub added: u64,
    /// The time from the first stored window back to the first of the past, in windows; zero when all is in.
    pub left: u64,
    /// Slices that the monitor has no room for.
    pub refused_slices: u64,
}

/// A step could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// There is no such monitor.
    #[error("there is no monitor `{0}`")]
    NoMonitor(String),
    /// Nothing lies ready.
    #[error("nothing lies ready for monitor `{0}`; `tidewatch backfill` prepares it")]
    NothingReady(String),
    /// The past was counted in another way.
    #[error("monitor `{monitor}` has another shape than what lies ready ({difference})")]
    Reshaped {
        /// The monitor.
        monitor: String,
        /// Both shapes.
        difference: String,
    },
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob cannot be read.
    #[error(transparent)]
    Damaged(#[from] BlobError),
    /// The models could not be rebuilt.
    #[error(transparent)]
    Rebuild(#[from] RestoreError),
}

/// The next step for a monitor whose results are all stored in `present`; `None` when there is nothing to add. Only
/// windows that end by `until_millis` are meant.
pub(super) async fn next_step(
    monitor: &Monitor,
    present: &dyn History,
    past: &Backlog,
    until_millis: i64,
) -> Result<Option<BackfillStep>, BackfillError> {
    let name = monitor.spec.facts.monitor.clone();
    check_state(&monitor.spec, &past.state)?
        .map_err(|difference| BackfillError::Reshaped { monitor: name.clone(), difference })?;
    let Some((first_past, last_past)) = past.history.span(&name).await? else { return Ok(None) };
    let span = present.span(&name).await?;
    let place = Place::new(monitor, span.map(|(first, _)| first), (first_past, last_past), until_millis);
    let Some(place) = place else { return Ok(None) };
    let own = past.history.slices(&name).await?;
    let numbers = Numbers::new(monitor, &own);
    let mut step = BackfillStep {
        monitor: name.clone(),
        slices: numbers.new_slices(monitor, &own),
        frames: Vec::new(),
        is_last: false,
        models: Vec::new(),
        progress: BackfillProgress { refused_slices: numbers.refused, ..BackfillProgress::default() },
    };
    let width = monitor.spec.window.grid.width().millis();
    let windows = (BLOBS_PER_STEP / numbers.total.div_ceil(SHARD_SLICES).max(1)).max(1) as i64;
    let (mut from_millis, mut page) = (place.end_millis, Vec::new());
    let mut reach = windows * width;
    while page.is_empty() && from_millis > place.from_millis {
        // Where the past has a hole, a step reaches twice as far.
        from_millis = place.end_millis.saturating_sub(reach).max(place.from_millis);
        reach = reach.saturating_mul(2);
        let range = HistoryRange { from_millis, to_millis: place.end_millis, shard: None, limit: ALL };
        page = past.history.frames(&name, range).await?;
        page.retain(|blob| blob.end_millis <= place.end_millis);
    }
    for window in page.chunk_by(|blob, next| blob.start_millis == next.start_millis) {
        step.frames.extend(numbers.renumbered(monitor, window)?);
        step.progress.added += u64::from(Some(window[0].start_millis) != span.map(|(first, _)| first));
    }
    step.progress.left = place.windows_left(from_millis, width);
    step.is_last = from_millis <= place.from_millis;
    Ok(Some(step))
}

/// Takes the next step for a monitor that runs; its results must all be stored. After the last step the monitor is the
/// one that a restart would give.
pub(super) async fn take_step(
    monitor: &mut Monitor,
    store: &dyn Store,
    history: &dyn History,
    until_millis: i64,
) -> Result<BackfillProgress, BackfillError> {
    let name = monitor.spec.facts.monitor.clone();
    let past = history.backlog(&name).await?.ok_or(BackfillError::NothingReady(name))?;
    let Some(step) = next_step(monitor, history, &past, until_millis).await? else {
        return Ok(BackfillProgress::default());
    };
    store.backfill(&step).await?;
    monitor.note_backfill(&step);
    if step.is_last {
        *monitor = restore_monitor(store, history, Arc::clone(&monitor.spec)).await?;
    }
    Ok(step.progress)
}

/// Takes all steps for a monitor that does not run, and saves the models that come of it. `told` hears of each step.
pub async fn backfill<S: Store + History>(
    store: &S,
    spec: Arc<MonitorSpec>,
    until_millis: i64,
    mut told: impl FnMut(BackfillProgress),
) -> Result<(), BackfillError> {
    let name = spec.facts.monitor.clone();
    let past = store.backlog(&name).await?.ok_or(BackfillError::NothingReady(name))?;
    let mut monitor = restore_monitor(store, store, Arc::clone(&spec)).await?;
    while let Some(mut step) = next_step(&monitor, store, &past, until_millis).await? {
        store.backfill(&step).await?;
        monitor.note_backfill(&step);
        told(step.progress);
        if step.is_last {
            monitor = restore_monitor(store, store, spec).await?;
            step.models = monitor.models.due_snapshots(&monitor.ledger);
            (step.frames, step.slices) = (Vec::new(), SlicesFrom::default());
            store.backfill(&step).await?;
            break;
        }
    }
    Ok(())
}

/// As many rows as there are.
const ALL: usize = usize::MAX >> 1;

/// Which windows of the past may come in.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// From this start on.
    from_millis: i64,
    /// Windows that end by then.
    end_millis: i64,
}

impl Place {
    /// `None` when nothing of the past lies before what is there.
    fn new(
        monitor: &Monitor,
        first_stored: Option<i64>,
        (first_past, last_past): (i64, i64),
        until_millis: i64,
    ) -> Option<Self> {
        let (windows, grid) = (&monitor.windows, &monitor.spec.window.grid);
        let begins = first_stored.or(windows.next_start()).or(windows.earliest_open());
        let newest = windows.next_start().unwrap_or_else(|| grid.end_of(last_past));
        let kept_from = monitor.spec.retention_millis.map_or(i64::MIN, |kept| newest.saturating_sub(kept));
        let from_millis = first_past.max(kept_from);
        let mut end_millis = begins.unwrap_or(i64::MAX).min(grid.end_of(last_past));
        if from_millis >= end_millis || from_millis >= until_millis {
            return None;
        }
        if let Some(first) = first_stored.filter(|first| *first < last_past) {
            end_millis = grid.end_of(first);
        }
        Some(Self { from_millis, end_millis: end_millis.min(until_millis) })
    }

    fn windows_left(&self, millis: i64, width: i64) -> u64 {
        ((millis - self.from_millis).max(0) / width) as u64
    }
}

/// The monitor's numbers of the past's slices.
struct Numbers {
    /// By their number in the past; `None` where there is no room.
    of: Vec<Option<usize>>,
    /// Slices of the monitor, the new ones among them.
    total: usize,
    refused: u64,
}

impl Numbers {
    fn new(monitor: &Monitor, own: &[SliceKey]) -> Self {
        let registry = monitor.windows.registry();
        let (mut total, mut refused) = (registry.len(), 0);
        let of = own.iter().map(|key| {
            registry.number(key).or_else(|| {
                let has_room = total < monitor.spec.window.max_slices() || key.is_whole() || key.is_other();
                refused += u64::from(!has_room);
                total += usize::from(has_room);
                has_room.then(|| total - 1)
            })
        });
        let of = of.collect();
        Self { of, total, refused }
    }

    /// Those that the monitor does not keep yet.
    fn new_slices(&self, monitor: &Monitor, own: &[SliceKey]) -> SlicesFrom {
        let first = monitor.windows.registry().len();
        let keys =
            own.iter().zip(&self.of).filter(|(_, number)| number.is_some_and(|number| number >= first));
        SlicesFrom { first, keys: keys.map(|(key, _)| key.clone()).collect() }
    }

    /// A window of the past in the monitor's numbers. Slices that it does not have were not there yet.
    fn renumbered(&self, monitor: &Monitor, window: &[FrameBlob]) -> Result<Vec<FrameBlob>, BlobError> {
        let mut table = Table::new(self.total, monitor.spec.window.measures.len());
        for blob in window {
            let frame = ShardFrame::decode(&blob.bytes)?;
            for row in 0..frame.events.len() {
                let number = self.of.get(blob.shard * SHARD_SLICES + row).copied().flatten();
                if let Some(number) = number {
                    table.put(number, &frame, row);
                }
            }
        }
        Ok(table.blobs(window))
    }
}

/// All rows of one window.
struct Table {
    width: usize,
    events: Vec<u64>,
    cells: Vec<Option<Cell>>,
    scores: Vec<Option<StoredScore>>,
}

impl Table {
    fn new(rows: usize, width: usize) -> Self {
        let (cells, scores) = (vec![None; rows * width], vec![None; rows * width]);
        Self { width, events: vec![0; rows], cells, scores }
    }

    fn put(&mut self, number: usize, frame: &ShardFrame, row: usize) {
        let (to, from) = (number * self.width, row * self.width);
        self.events[number] = frame.events[row];
        self.cells[to..to + self.width].copy_from_slice(&frame.cells[from..from + self.width]);
        self.scores[to..to + self.width].copy_from_slice(&frame.scores[from..from + self.width]);
    }

    /// The same as blobs, of the time of this window.
    fn blobs(&self, window: &[FrameBlob]) -> Vec<FrameBlob> {
        let (start_millis, end_millis) = (window[0].start_millis, window[0].end_millis);
        let shard_cells = SHARD_SLICES * self.width;
        let parts = self.events.chunks(SHARD_SLICES).zip(self.cells.chunks(shard_cells));
        let parts = parts.zip(self.scores.chunks(shard_cells)).enumerate();
        parts
            .map(|(shard, ((events, cells), scores))| {
                let (events, cells, scores) = (events.to_vec(), cells.to_vec(), scores.to_vec());
                let frame = ShardFrame { events, cells, scores, revision: None };
                FrameBlob { start_millis, end_millis, shard, bytes: frame.encode(), revision: None }
            })
            .collect()
    }
}
