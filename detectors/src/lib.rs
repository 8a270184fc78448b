#![doc = include_str!("../README.md")]

mod change;
mod config;
mod detector;
mod explain;
mod feedback;
mod flatline;
mod forest;
mod joint;
mod model;
mod novelty;
mod observation;
mod score;
mod seasonal;
mod tail;
mod threshold;

pub use change::{Against, Change, ChangeConfig};
pub use config::{ConfigError, DetectorConfig, SeasonalConfig, ValueKind};
pub use detector::{Detector, LearnPolicy, Scored, Train, TrainError};
pub use explain::{Comparison, Explanation, HeldBack};
pub use feedback::{Alarm, Crossing, Entry, Feedback, Said, preview, rebuild};
pub use flatline::{Flatline, FlatlineConfig};
pub use forest::{Forest, ForestConfig};
pub use joint::{
    Components, JointConfig, JointDetector, JointKind, JointModel, JointObservation, JointScore, JointScored,
    Mixture,
};
pub use model::{Learning, Model};
pub use novelty::{Novelty, NoveltyConfig};
pub use observation::{LearnedOccasion, Observation, Occasion};
pub use score::{Contrast, Direction, Reason, Score, Side, log10_rate_of_severity, severity_of_log10_rate};
pub use seasonal::Seasonal;
pub use threshold::{Threshold, ThresholdConfig};
