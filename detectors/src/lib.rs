#![doc = include_str!("../README.md")]

mod config;
mod detector;
mod model;
mod observation;
mod score;
mod seasonal;

pub use config::{ConfigError, DetectorConfig, SeasonalConfig, ValueKind};
pub use detector::{Detector, LearnPolicy, Scored, Train, TrainError};
pub use model::{Learning, Model};
pub use observation::{Observation, Occasion};
pub use score::{Contrast, Direction, Reason, Score, Side, log10_rate_of_severity, severity_of_log10_rate};
pub use seasonal::Seasonal;
