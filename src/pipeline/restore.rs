//! From a store to a running engine: state, models rebuilt from history, journal read again.

use std::sync::Arc;

use super::{
    Engine, EngineLimits, FrameBlob, History, HistoryRange, IncidentQuery, Models, Monitor, MonitorSpec,
    Store, StoreError, frames::BlobError,
};
use crate::{
    anomaly::IncidentKind,
    record::{Decoder, SourceId},
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
        monitors.push(restore_monitor(store, spec).await?);
    }
    let mut engine = Engine::new(source, decoder, monitors, restored.checkpoint, journaled, limits);
    engine.replay_journal(restored.journal, now_millis);
    Ok(engine)
}

async fn restore_monitor<S: Store + History + ?Sized>(
    store: &S,
    spec: Arc<MonitorSpec>,
) -> Result<Monitor, RestoreError> {
    let name = spec.facts.monitor.clone();
    let damaged = |error| RestoreError::Damaged { monitor: name.clone(), error };
    let stored = store.restore_monitor(&name).await?;
    let Some(state) = stored.state else { return Ok(Monitor::new(spec)) };
    let empty = Models::new(spec.judging.clone(), spec.relations.clone(), spec.calendar.fingerprint());
    let mut models = empty.with_snapshots(stored.slices.len(), &stored.models).map_err(damaged)?;
    let told = Arc::clone(&spec);
    let told_slices = stored.slices.clone();
    let seen = |slice: usize, millis: i64| told.seen(&told_slices[slice], millis);
    // Frames are kept by their start, which lies before the end a snapshot knows.
    let mut from_millis = models.needed_from().saturating_sub(spec.window.grid.width().millis() * 2);
    loop {
        let range = HistoryRange { from_millis, to_millis: i64::MAX, shard: None, limit: PAGE };
        let page = store.frames(&name, range).await?;
        let mut windows: Vec<&[FrameBlob]> =
            page.chunk_by(|blob, next| blob.start_millis == next.start_millis).collect();
        if page.len() == PAGE && windows.len() > 1 {
            // The last window may be cut by the page; it comes again whole.
            windows.pop();
        }
        for window in windows {
            models.fold(window, &told_slices, &seen).map_err(damaged)?;
        }
        let Some(last) = page.last().filter(|_| page.len() == PAGE) else { break };
        from_millis =
            if page[0].start_millis == last.start_millis { last.end_millis } else { last.start_millis };
    }
    let mut monitor = Monitor::restore(spec, &state, stored.slices, models)
        .map_err(damaged)?
        .map_err(|difference| RestoreError::Reshaped { monitor: name.clone(), difference })?;
    let query = IncidentQuery {
        monitor: Some(name.clone()),
        state: None,
        kind: Some(IncidentKind::Deviation),
        min_severity: None,
        opened_before_millis: None,
        limit: INCIDENTS_RECALLED,
    };
    for incident in &store.incidents(&query).await? {
        monitor.realised.note(incident);
    }
    if let Some(closed_through) = monitor.windows.next_start() {
        monitor.realised.forget_before(closed_through);
    }
    Ok(monitor)
}
