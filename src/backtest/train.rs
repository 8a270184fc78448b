//! Training: a dataset down the same road as a backtest, and the result becomes the past of a live monitor.
//!
//! The run has a store of its own beside the one that it trains for. Only when it is finished does the real
//! store take over the monitor's windows, slices, models and incidents, in one transaction. So a training that
//! breaks off leaves nothing, and the dataset's partitions, positions and alerts never get where the live
//! source's are.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{BacktestError, BacktestSummary, run::HistoryRun};
use crate::{
    pipeline::{Clock, EngineLimits, MonitorSpec, Source, StatusBoard, Store, StoreError},
    record::{Decoder, SourceId},
    store::{Durability, SqliteStore},
};

/// What a training needs.
#[derive(Debug)]
pub struct Training {
    /// The source that the monitor will go on with.
    pub source_id: SourceId,
    /// How records are read.
    pub decoder: Decoder,
    /// The monitor.
    pub spec: Arc<MonitorSpec>,
    /// Threads.
    pub limits: EngineLimits,
    /// Where the store will be; the training's own is made beside it.
    pub path: PathBuf,
    /// Of the store.
    pub durability: Durability,
}

/// What a training made.
#[derive(Clone, Copy, Debug)]
pub struct Trained {
    /// Where every event went, and how much there was.
    pub summary: BacktestSummary,
    /// Of the series, how many are still warming up.
    pub num_learning: u64,
    /// Windows seen and needed, while no series scores yet.
    pub learning: Option<(u64, u64)>,
    /// Windows that end at or before this are closed.
    pub through_millis: Option<i64>,
}

/// A training could not be finished. The store is as it was.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There is something to lose.
    #[error(
        "the store `{}` already holds windows of monitor `{monitor}`, and training starts one from nothing; \
         give --out FILE for a store of its own, or the monitor a new name",
        path.display()
    )]
    Taken {
        /// The store.
        path: PathBuf,
        /// The monitor.
        monitor: String,
    },
    /// The dataset has no window.
    #[error("no event of the dataset could be used: {rejected} of {events} were refused")]
    Empty {
        /// Events read.
        events: u64,
        /// Events refused.
        rejected: u64,
    },
    /// The run over the dataset failed.
    #[error(transparent)]
    Run(#[from] BacktestError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The training's own file is in the way.
    #[error("could not remove `{}`: {error}", path.display())]
    Scratch {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// Runs `source` to its end through one monitor and leaves the result in the store at `training.path`, which the
/// caller has locked.
pub async fn train(
    training: Training,
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    board: StatusBoard,
) -> Result<Trained, TrainError> {
    let monitor = training.spec.facts.monitor.clone();
    let target = SqliteStore::open(&training.path, training.durability)?;
    if target.knows(&monitor)? {
        return Err(TrainError::Taken { path: training.path, monitor });
    }
    let scratch = Scratch::beside(&training.path)?;
    let trained = run(training, source, clock, board, &scratch.0).await?;
    target.adopt(&monitor, &scratch.0)?;
    scratch.remove()?;
    Ok(trained)
}

async fn run(
    training: Training,
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    board: StatusBoard,
    path: &Path,
) -> Result<Trained, TrainError> {
    let store = Arc::new(SqliteStore::open(path, Durability::Normal)?);
    let Training { source_id, decoder, spec, limits, .. } = training;
    let mut spec = MonitorSpec::clone(&spec);
    // Nobody is told of the past, and no incident of it counts as told.
    spec.facts.rules.clear();
    let history = HistoryRun {
        source_id,
        source,
        decoder,
        spec: Arc::new(spec),
        limits,
        clock: Arc::clone(&clock),
        board,
        refused: None,
    };
    let engine = history.run(&store).await?;
    let status = engine.status().remove(0);
    if status.totals.windows == 0 {
        let (events, rejected) = (status.totals.events, status.totals.num_rejected());
        return Err(TrainError::Empty { events, rejected });
    }
    store.commit(&engine.end_history(clock.now_millis())).await?;
    Ok(Trained {
        summary: BacktestSummary::new(&status.totals, status.num_series as u64),
        num_learning: status.num_learning as u64,
        learning: status.learning,
        through_millis: status.closed_through_millis,
    })
}

/// The training's own store file; removed whatever happens.
struct Scratch(PathBuf);

impl Scratch {
    /// A training that was killed may have left one; whoever holds the lock may remove it.
    fn beside(path: &Path) -> Result<Self, TrainError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".training");
        let scratch = Self(name.into());
        scratch.clear()?;
        Ok(scratch)
    }

    fn remove(self) -> Result<(), TrainError> {
        self.clear()
    }

    fn clear(&self) -> Result<(), TrainError> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = self.0.as_os_str().to_owned();
            name.push(suffix);
            let path = PathBuf::from(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(TrainError::Scratch { path, error });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After an error there is a better message than that a file stays behind.
        drop(self.clear());
    }
}
