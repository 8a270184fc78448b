//! From a store to a running engine: state, models rebuilt from history, journal read again.

use std::sync::Arc;

use super::{
    Engine, EngineLimits, FrameBlob, History, HistoryRange, IncidentQuery, Ledger, Models, Monitor,
    MonitorSpec, Seen, SeriesAt, Store, StoreError, frames::BlobError, monitor::check_state,
};
use crate::{
    anomaly::{IncidentKind, Reading},
    record::{Decoder, SourceId},
    window::SliceKey,
};

/// Blobs read at a time while models are rebuilt.
const PAGE: usize = 2_000;
/// Incidents looked at for the realised rate of alerts.
const INCIDENTS_RECALLED: usize = 10_000;

/// An engine could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob in the store cannot be read.
    #[error("monitor `{monitor}`: {error}")]
    Damaged {
        /// The monitor.
        monitor: String,
        /// What was wrong.
        error: BlobError,
    },
    /// The monitor's windows, slices or measures are configured differently from what is stored.
    #[error(
        "monitor `{monitor}` has stored history of another shape ({difference}); \
         give the monitor a new name, or another `[store] path`"
    )]
    Reshaped {
        /// The monitor.
        monitor: String,
        /// Stored and configured shape.
        difference: String,
    },
}

/// Builds the engine of a source as the store left it.
pub async fn restore<S: Store + History + ?Sized>(
    store: &S,
    source: SourceId,
    decoder: Decoder,
    specs: Vec<Arc<MonitorSpec>>,
    journaled: bool,
    limits: EngineLimits,
    now_millis: i64,
) -> Result<Engine, RestoreError> {
    let restored = store.restore(&source).await?;
    let mut monitors = Vec::with_capacity(specs.len());
    for spec in specs {
        monitors.push(restore_monitor(store, store, spec).await?);
    }
    let mut engine = Engine::new(source, decoder, monitors, restored.checkpoint, journaled, limits);
    engine.replay_journal(restored.journal, now_millis);
    Ok(engine)
}

/// The monitor as its last full commit left it.
pub(super) async fn restore_monitor<S: Store + ?Sized, H: History + ?Sized>(
    store: &S,
    history: &H,
    spec: Arc<MonitorSpec>,
) -> Result<Monitor, RestoreError> {
    let name = spec.facts.monitor.clone();
    let damaged = |error| RestoreError::Damaged { monitor: name.clone(), error };
    let stored = store.restore_monitor(&name).await?;
    if let Some(state) = &stored.state {
        check_state(&spec, state)
            .map_err(damaged)?
            .map_err(|difference| RestoreError::Reshaped { monitor: name.clone(), difference })?;
    } else if stored.slices.is_empty() {
        return Ok(Monitor::new(spec));
    }
    let ledger = Ledger::of(&history.instructed(&name).await?);
    let mut models =
        spec.models().with_snapshots(stored.slices.len(), &stored.models, &ledger).map_err(damaged)?;
    let folding = Folding { spec: &spec, slices: &stored.slices, ledger: &ledger };
    // Frames are kept by their start, which lies before the end a snapshot knows.
    let from_millis = models.needed_from().saturating_sub(spec.window.grid.width().millis() * 2);
    folding.fold(history, &mut models, (from_millis, i64::MAX), &mut |_, _, _| {}).await?;
    models.catch_up(&ledger);
    let mut monitor = Monitor::restore(spec, stored, models, ledger).map_err(damaged)?;
    if let Some((_, last)) = history.span(&name).await? {
        // Only a backfill stores windows of a monitor that has closed none.
        monitor.windows.join_after(monitor.spec.window.grid.end_of(last));
    }
    let query = IncidentQuery {
        monitor: Some(name.clone()),
        kind: Some(IncidentKind::Deviation),
        limit: INCIDENTS_RECALLED,
        ..IncidentQuery::default()
    };
    for incident in &history.incidents(&query).await? {
        monitor.realised.note(incident);
    }
    if let Some(closed_through) = monitor.windows.next_start() {
        monitor.realised.forget_before(closed_through);
    }
    Ok(monitor)
}

/// Learns the series anew whose past instructions have changed, from the stored windows. All windows closed so far
/// must be stored. Other series stay as they are.
pub async fn relearn<H: History + ?Sized>(history: &H, engine: &mut Engine) -> Result<(), RestoreError> {
    for monitor in engine.monitors_mut() {
        let Some(models) = monitor.models_anew() else { continue };
        let slices = monitor.windows.registry().keys();
        let name = monitor.spec.facts.monitor.clone();
        let mut models = models
            .with_snapshots(slices.len(), &[], &monitor.ledger)
            .map_err(|error| RestoreError::Damaged { monitor: name, error })?;
        let folding = Folding { spec: &monitor.spec, slices, ledger: &monitor.ledger };
        folding.fold(history, &mut models, (i64::MIN, i64::MAX), &mut |_, _, _| {}).await?;
        models.catch_up(&monitor.ledger);
        monitor.take_anew(models);
    }
    Ok(())
}

/// What stored windows are folded under.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folding<'f> {
    pub(super) spec: &'f MonitorSpec,
    pub(super) slices: &'f [SliceKey],
    pub(super) ledger: &'f Ledger,
}

/// Told what each series of a window scored: the start of the window, the series, the reading.
pub(super) type Reader<'r> = &'r mut (dyn FnMut(i64, SeriesAt, Option<Reading>) + Send);

impl Folding<'_> {
    /// Folds stored windows that start within `from..to` into `models`.
    pub(super) async fn fold<H: History + ?Sized>(
        &self,
        history: &H,
        models: &mut Models,
        (mut from_millis, to_millis): (i64, i64),
        read: Reader<'_>,
    ) -> Result<(), RestoreError> {
        let name = &self.spec.facts.monitor;
        let shard =
            models.shards().filter(|shards| shards.len() == 1).and_then(|shards| shards.first().copied());
        loop {
            let range = HistoryRange { from_millis, to_millis, shard, limit: PAGE };
            let page = history.frames(name, range).await?;
            let mut windows: Vec<&[FrameBlob]> =
                page.chunk_by(|blob, next| blob.start_millis == next.start_millis).collect();
            if page.len() == PAGE && windows.len() > 1 {
                // The last window may be cut by the page; it comes again whole.
                windows.pop();
            }
            for window in windows {
                let seen = |slice: usize, millis: i64| self.seen(slice, millis);
                let mut told = |at, reading| read(window[0].start_millis, at, reading);
                models
                    .fold(window, self.slices, &seen, self.ledger, &mut told)
                    .map_err(|error| RestoreError::Damaged { monitor: name.clone(), error })?;
            }
            let Some(last) = page.last().filter(|_| page.len() == PAGE) else { return Ok(()) };
            from_millis =
                if page[0].start_millis == last.start_millis { last.end_millis } else { last.start_millis };
        }
    }

    /// What the models are told of a window of a slice.
    pub(super) fn seen(&self, slice: usize, start_millis: i64) -> Seen {
        self.ledger.seen(self.spec, &self.slices[slice], start_millis)
    }
}
