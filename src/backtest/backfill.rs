//! History for a monitor that is to start trained, or runs already: counted and scored as a backtest does, into a store
//! beside the monitor's own, from which [`crate::pipeline::backfill`] or the running service takes it over.
//!
//! That store is committed as any other. So a preparation that was killed goes on where it stood, given the same inputs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{BacktestError, BacktestSummary, run::HistoryRun};
use crate::{
    pipeline::{
        Clock, EngineLimits, History, MonitorSpec, RestoreError, Source, SourceError, StatusBoard, Store,
        StoreError,
    },
    record::{Checkpoint, Decoder, SourceId},
    store::{Durability, LockError, SqliteStore, StoreLock},
};

/// What a preparation needs.
#[derive(Debug)]
pub struct Preparation {
    /// What is read: the same name goes on, another one starts afresh.
    pub inputs: String,
    /// How records are read.
    pub decoder: Decoder,
    /// The monitor.
    pub spec: Arc<MonitorSpec>,
    /// Threads.
    pub limits: EngineLimits,
    /// The monitor's store.
    pub store: PathBuf,
}

/// A past that lies ready until it is [removed](Prepared::remove).
#[derive(Debug)]
pub struct Prepared {
    path: PathBuf,
    _lock: StoreLock,
    /// Where every event went, and how much there was.
    pub summary: BacktestSummary,
    /// Start of the first window and end of the last.
    pub span_millis: (i64, i64),
}

/// A preparation could not be finished. What was read by then is kept.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The inputs have no window.
    #[error("no event of the inputs could be used: {rejected} of {events} were refused")]
    Empty {
        /// Events read.
        events: u64,
        /// Events refused.
        rejected: u64,
    },
    /// Another backfill is under way.
    #[error(transparent)]
    Busy(#[from] LockError),
    /// The inputs cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The run over the inputs failed.
    #[error(transparent)]
    Run(#[from] BacktestError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file is in the way.
    #[error("could not remove `{}`: {error}", path.display())]
    Files {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// Reads the inputs to their end. `source` makes what reads them from where it stood.
pub async fn prepare(
    preparation: Preparation,
    mut source: impl FnMut(&Checkpoint) -> Result<Box<dyn Source>, SourceError>,
    clock: Arc<dyn Clock>,
    board: StatusBoard,
) -> Result<Prepared, PrepareError> {
    let monitor = preparation.spec.facts.monitor.clone();
    let path = SqliteStore::backlog_path(&preparation.store, &monitor);
    let lock = StoreLock::acquire(&path)?;
    let source_id = SourceId::new(format!("history {}", preparation.inputs));
    let mut spec = MonitorSpec::clone(&preparation.spec);
    // Nobody is told of the past, and the monitor itself knows what it keeps.
    spec.facts.rules.clear();
    spec.retention_millis = None;
    let spec = Arc::new(spec);
    let mut starts_afresh = false;
    let (engine, store) = loop {
        if starts_afresh {
            remove_store(&path)?;
        }
        let store = Arc::new(SqliteStore::open(&path, Durability::Normal)?);
        let checkpoint = store.restore(&source_id).await?.checkpoint;
        if !starts_afresh && checkpoint == Checkpoint::default() && store.knows(&monitor)? {
            starts_afresh = true;
            continue;
        }
        let run = HistoryRun {
            source_id: source_id.clone(),
            source: source(&checkpoint)?,
            decoder: preparation.decoder.clone(),
            spec: Arc::clone(&spec),
            limits: preparation.limits,
            clock: Arc::clone(&clock),
            board: board.clone(),
            refused: None,
        };
        match run.run(&store).await {
            // Left there under another configuration.
            Err(BacktestError::Restore(RestoreError::Reshaped { .. })) if !starts_afresh => {
                starts_afresh = true;
            }
            outcome => break (outcome?, store),
        }
    };
    let status = engine.status().remove(0);
    let summary = BacktestSummary::new(&status.totals, status.num_series as u64);
    let Some((first, last)) = store.span(&monitor).await? else {
        drop(store);
        remove_store(&path)?;
        return Err(PrepareError::Empty { events: summary.records_in, rejected: summary.rejected });
    };
    let span_millis = (first, spec.window.grid.end_of(last));
    Ok(Prepared { path, _lock: lock, summary, span_millis })
}

impl Prepared {
    /// Removes it, once it has been taken over.
    pub fn remove(self) -> Result<(), PrepareError> {
        remove_store(&self.path)
    }
}

fn remove_store(path: &Path) -> Result<(), PrepareError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(PrepareError::Files { path, error });
            }
            _ => {}
        }
    }
    Ok(())
}
