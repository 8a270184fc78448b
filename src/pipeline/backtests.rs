//! The port through which people ask for backtests over stored history while the service runs. Who runs them is a floor
//! above, beside those who ask.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BlobError, MonitorSpec, StoreError};

/// What is to be tried.
#[derive(Clone, Debug)]
pub struct BacktestOrder {
    /// What people call it.
    pub name: Option<String>,
    /// The settings; the monitor's own, or others of the same shape.
    pub spec: Arc<MonitorSpec>,
    /// Incidents that open from then on are told; windows before are learned.
    pub from_millis: Option<i64>,
    /// Windows that start before this are judged.
    pub to_millis: i64,
    /// Without `from_millis`: this share of the time is history and not told.
    pub split: f64,
    /// From which peak severity on incidents count, where the monitor has no rules.
    pub severity: f64,
}

/// One backtest in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BacktestRow {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// The monitor.
    pub monitor: String,
    /// `queued`, `running`, `done`, `failed` or `stopped`.
    pub state: String,
    /// From 0 to 1.
    pub progress: f64,
    /// Wall clock.
    pub created_millis: i64,
    /// Incidents that people would have heard of; `None` before the end.
    pub incidents: Option<usize>,
    /// One sentence about it; `None` before the end.
    pub summary: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A request for a backtest was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum BacktestsError {
    /// Too many wait.
    #[error("{0} backtests wait already; delete one, or ask again when one is done")]
    Full(usize),
    /// There is no such backtest.
    #[error("there is no backtest `{0}`")]
    Unknown(String),
    /// It has no result.
    #[error("backtest `{id}` is {state} and has no result")]
    Unfinished {
        /// Its id.
        id: String,
        /// What it is.
        state: String,
    },
    /// What is kept of it cannot be read or written.
    #[error("could not {0}")]
    Files(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored window cannot be read.
    #[error(transparent)]
    Damaged(#[from] BlobError),
}

/// Runs backtests over stored history, one at a time, and keeps their results.
#[async_trait]
pub trait Backtests: Send + Sync + fmt::Debug {
    /// Puts one into the queue and gives its id.
    fn order(&self, order: BacktestOrder) -> Result<String, BacktestsError>;
    /// All of them, newest first.
    fn list(&self) -> Vec<BacktestRow>;
    /// Incidents and summary, as `tidewatch backtest --json` writes them.
    fn result(&self, id: &str) -> Result<Value, BacktestsError>;
    /// The report, HTML.
    fn report(&self, id: &str) -> Result<String, BacktestsError>;
    /// From one to another, or to what really was told (`live`): incidents gained, lost and moved, and confirmed ones
    /// that were heard of in the first and are not in the second.
    async fn compare(&self, a: &str, b: &str) -> Result<Value, BacktestsError>;
    /// Stops one that waits or runs, and forgets it.
    fn remove(&self, id: &str) -> Result<(), BacktestsError>;
}
