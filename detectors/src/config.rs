//! Settings of the detectors, checked when they are made; no invalid setting can start or train a model.
//!
//! A setting says what a series is (its interval, what its values are, which side matters), not how the
//! detector should work: thresholds and rates of learning are the detector's own.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::change::{Change, ChangeConfig};
use crate::detector::{Detector, LearnPolicy, Train, TrainError};
use crate::flatline::{Flatline, FlatlineConfig};
use crate::forest::{Forest, ForestConfig};
use crate::model::Model;
use crate::novelty::{Novelty, NoveltyConfig};
use crate::observation::Observation;
use crate::score::Direction;
use crate::seasonal::Seasonal;
use crate::threshold::{Threshold, ThresholdConfig};

/// What the values of a series are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueKind {
    /// Numbers of things: whole, never negative (a negative value is read as 0).
    Count,
    /// Anything measured: sums of money, averages, rates.
    Continuous,
    /// Decided from the first two days of data.
    #[default]
    Learned,
    /// Numbers of single events such as orders, of which there may be few: counts that know closing hours.
    Events,
    /// Sums of what single events are worth: money, units. One event may be worth a hundred others, so alarms
    /// are kept to a budget, and closing hours are known.
    Amounts,
    /// Parts of a whole, such as orders over views: the value is the ratio, [`Observation::weight`] its denominator,
    /// and what stands above the line is counted. Chance is judged by the denominator, window by window.
    Ratio,
    /// Means or quantiles of numbers, [`Observation::weight`] of them: the more there are the less chance there is,
    /// window by window.
    Mean,
}

impl ValueKind {
    /// Whether the values are never negative whole numbers, declared so.
    pub(crate) fn is_declared_count(self) -> bool {
        matches!(self, Self::Count | Self::Events | Self::Ratio)
    }

    /// Whether the values are made of single events, with hours in which none come.
    pub(crate) fn is_lumpy(self) -> bool {
        matches!(self, Self::Events | Self::Amounts)
    }
}

/// Settings of the seasonal detector for one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedSeasonal")]
#[non_exhaustive]
pub struct SeasonalConfig {
    /// Width of one window in seconds, 10..=86400.
    pub interval_seconds: u32,
    /// What the values are.
    pub kind: ValueKind,
    /// Which sides may alarm.
    pub direction: Direction,
}

impl SeasonalConfig {
    /// The narrowest window, in seconds.
    pub const MIN_INTERVAL_SECONDS: u32 = 10;
    /// The widest window, in seconds.
    pub const MAX_INTERVAL_SECONDS: u32 = 86_400;

    /// Checked settings.
    pub fn new(interval_seconds: u32, kind: ValueKind, direction: Direction) -> Result<Self, ConfigError> {
        check_interval(interval_seconds)?;
        Ok(Self { interval_seconds, kind, direction })
    }
}

/// Refuses intervals that no detector knows.
pub(crate) fn check_interval(seconds: u32) -> Result<(), ConfigError> {
    if (SeasonalConfig::MIN_INTERVAL_SECONDS..=SeasonalConfig::MAX_INTERVAL_SECONDS).contains(&seconds) {
        Ok(())
    } else {
        Err(ConfigError::Interval { seconds })
    }
}

#[derive(Deserialize)]
struct UncheckedSeasonal {
    interval_seconds: u32,
    kind: ValueKind,
    direction: Direction,
}

impl TryFrom<UncheckedSeasonal> for SeasonalConfig {
    type Error = ConfigError;

    fn try_from(raw: UncheckedSeasonal) -> Result<Self, ConfigError> {
        Self::new(raw.interval_seconds, raw.kind, raw.direction)
    }
}

/// Which detector, with its settings; the twin of [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectorConfig {
    /// Daily and weekly seasons; see [`Seasonal`].
    Seasonal(SeasonalConfig),
    /// Values a gauge has never shown; see [`Novelty`].
    Novelty(NoveltyConfig),
    /// Patterns that are not remembered; see [`Forest`].
    Forest(ForestConfig),
    /// Percent against the windows before, or a season ago; see [`Change`].
    Change(ChangeConfig),
    /// Hard bounds; see [`Threshold`].
    Threshold(ThresholdConfig),
    /// No change for so long; see [`Flatline`].
    Flatline(FlatlineConfig),
}

impl DetectorConfig {
    /// A model that has seen nothing.
    pub fn start(&self) -> Model {
        match self {
            Self::Seasonal(config) => Model::Seasonal(Box::new(Seasonal::new(*config))),
            Self::Novelty(config) => Model::Novelty(Box::new(Novelty::new(*config))),
            Self::Forest(config) => Model::Forest(Box::new(Forest::new(*config))),
            Self::Change(config) => Model::Change(Box::new(Change::new(*config))),
            Self::Threshold(config) => Model::Threshold(Box::new(Threshold::new(*config))),
            Self::Flatline(config) => Model::Flatline(Box::new(Flatline::new(*config))),
        }
    }
}

impl Train for DetectorConfig {
    type Trained = Model;

    fn train(&self, history: &[Observation]) -> Result<Model, TrainError> {
        let mut model = self.start();
        for observation in history {
            let scored = model.score(observation);
            model.learn(observation, scored, LearnPolicy::Learn);
        }
        match model.learning() {
            None => Ok(model),
            Some(learning) => {
                Err(TrainError::TooShort { needed: learning.needed, given: history.len() as u64 })
            }
        }
    }
}

/// Why settings were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The interval is out of range.
    Interval {
        /// The interval that was asked for, in seconds.
        seconds: u32,
    },
    /// Another setting is out of range.
    Setting {
        /// Its name.
        setting: &'static str,
        /// What was expected.
        expected: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval { seconds } => {
                write!(
                    f,
                    "interval of {seconds} s is outside {}..={} s",
                    SeasonalConfig::MIN_INTERVAL_SECONDS,
                    SeasonalConfig::MAX_INTERVAL_SECONDS
                )
            }
            Self::Setting { setting, expected } => {
                write!(f, "{setting} is out of range; expected {expected}")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_checked_when_made_and_when_loaded() {
        let refused = SeasonalConfig::new(9, ValueKind::Count, Direction::Both).unwrap_err();
        assert_eq!(refused.to_string(), "interval of 9 s is outside 10..=86400 s");
        assert!(SeasonalConfig::new(86_401, ValueKind::Count, Direction::Both).is_err());
        let saved = r#"{"interval_seconds":5,"kind":"count","direction":"both"}"#;
        assert!(serde_json::from_str::<SeasonalConfig>(saved).is_err());
    }

    #[test]
    fn training_on_too_little_names_the_gap() {
        let config = SeasonalConfig::new(60, ValueKind::Count, Direction::Both).unwrap();
        let history = [Observation::new(0, 1.0, 1).unwrap()];
        let refused = DetectorConfig::Seasonal(config).train(&history).unwrap_err();
        assert_eq!(refused, TrainError::TooShort { needed: 360, given: 1 });
    }
}
