//! Floor 6: the same road over stored data. What would Tidewatch have said?
//!
//! [`backtest`] runs raw events through the engine, the run loop and a store in memory, exactly as live.
//! [`train`] does the same into the store of a monitor that is to go on live.
//! [`score_series`] runs a detector over a ready-made series, one row per point;
//! [`read_labelled`] and its siblings read the result for the scorers of the datasets crate. [`run_synthetic`]
//! scores synthetic counts, to measure what a severity is worth.

mod alert_column;
mod calibrate;
mod run;
mod scenarios;
mod score;
mod scored;
mod train;

pub use calibrate::{Classes, SyntheticPlan, SyntheticRuns, run_synthetic};
pub use run::{Backtest, BacktestError, BacktestSummary, backtest};
pub use scenarios::{Drill, DrillResult, Holiday, run_drill};
pub use score::{ScoreDetector, ScoreError, ScoreOptions, ScoredRows, explain_series, score_series};
pub use scored::{Named, ScoredError, read_labelled, read_nab, read_quiet};
pub use train::{TrainError, Trained, Training, train};
