//! Counts per minute with a known truth, to measure how a detector is calibrated and what it can see.
//!
//! [`CountSeries`] is a clean series of a web shop's counts at one rate; [`inject`] puts faults of known size and
//! length into a copy of it. A detector scores both; [`CleanRun`] and [`FaultRun`] take its scores, [`calibration`] and
//! [`power`] judge them. Everything is computed from a seed; the same seed gives the same numbers.
//!
//! The series are synthetic and say nothing about real data but this: what a severity ought to mean when
//! nothing is wrong, and how small a fault can be seen at all.

mod faults;
mod judge;
mod model;

pub use faults::{FAULT_MINUTES, FAULT_SIZES, Fault, inject};
pub use judge::{Calibration, CleanRun, FaultResult, FaultRun, Power, calibration, power, threshold_of_rate};
pub use model::{CountSeries, START_SECONDS, WARM_UP_WEEKS, WEEK_MINUTES};
