//! Floor 6: the same road over stored data. What would Tidewatch have said?
//!
//! [`backtest`] runs raw events through the engine, the run loop and a store in memory, exactly as live.
//! [`train`] does the same into the store of a monitor that is to go on live, [`prepare`] beside that of one that may
//! run.
//! [`score_series`] runs a detector over a ready-made series, one row per point;
//! [`read_labelled`] and its siblings read the result for the scorers of the datasets crate. [`run_synthetic`]
//! scores synthetic counts, to measure what a severity is worth. [`locate`] explains a deviation in ready-made rows.

mod alert_column;
mod backfill;
mod calibrate;
mod compare;
mod labels;
mod locate;
mod outline;
mod plan;
mod rates;
mod ready_made;
mod report;
mod review;
mod run;
mod scenarios;
mod score;
mod scored;
mod stored;
mod train;
mod tune;
mod workbench;

pub use backfill::{Preparation, PrepareError, Prepared, prepare};
pub use calibrate::{Classes, SyntheticPlan, SyntheticRuns, run_synthetic};
pub use compare::{Comparison, ComparisonWire, FailOn};
pub use labels::{Label, LabelError, read_labels};
pub use locate::{LocateError, LocateOptions, Located, LocatedFile, LocatedMeasure, locate};
pub use outline::{Outline, outlines};
pub use plan::{Plan, plan};
pub use rates::{NabFigures, RateFigures};
pub use ready_made::Oddities;
pub use report::{ReportError, write_report};
pub use review::{Review, ReviewFigures};
pub use run::{Backtest, BacktestError, BacktestSummary, backtest};
pub use scenarios::{Drill, DrillResult, Holiday, run_drill};
pub use score::{ScoreDetector, ScoreError, ScoreOptions, ScoredRows, explain_series, score_series};
pub use scored::{Named, ScoredError, read_labelled, read_nab, read_points, read_quiet};
pub use stored::{backtest_stored, said_labels};
pub use train::{TrainError, Trained, Training, train};
pub use tune::{Goal, Setting, Tuning, tune};
pub use workbench::Workbench;
