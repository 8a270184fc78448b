//! Floor 6: the same road over stored data. What would Tidewatch have said?
//!
//! [`backtest`] runs raw events through the engine, the run loop and a store in memory, exactly as live.
//! [`score_series`] runs a detector over a ready-made series, one row per point.

mod alert_column;
mod run;
mod score;

pub use run::{Backtest, BacktestError, BacktestSummary, backtest};
pub use score::{ScoreDetector, ScoreError, ScoreOptions, ScoredRows, explain_series, score_series};
