//! The flatline detector: a value that has stopped changing.

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, check_interval};
use crate::detector::{Detector, LearnPolicy, Prepared, Scored};
use crate::model::Learning;
use crate::observation::Observation;
use crate::score::{Reason, Score, Side};
use crate::tail::{CERTAIN_LOG10_RATE, QUIET_LOG10_RATE};

const MAX_VALUE: f64 = 1e30;

/// Settings of the flatline detector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct FlatlineConfig {
    /// Width of one window in seconds, 10..=86400.
    pub interval_seconds: u32,
    /// So many observations without a change are too many, 2..=100000.
    pub windows: u32,
    /// Differences up to this are no change, in the unit of the measure.
    pub tolerance: f64,
}

#[derive(Deserialize)]
struct Unchecked {
    interval_seconds: u32,
    windows: u32,
    tolerance: f64,
}

impl TryFrom<Unchecked> for FlatlineConfig {
    type Error = ConfigError;

    fn try_from(raw: Unchecked) -> Result<Self, ConfigError> {
        Self::new(raw.interval_seconds, raw.windows, raw.tolerance)
    }
}

impl FlatlineConfig {
    /// Checked settings.
    pub fn new(interval_seconds: u32, windows: u32, tolerance: f64) -> Result<Self, ConfigError> {
        check_interval(interval_seconds)?;
        if !(2..=100_000).contains(&windows) {
            return Err(ConfigError::Setting { setting: "windows", expected: "2 to 100000" });
        }
        if !(0.0..=MAX_VALUE).contains(&tolerance) {
            return Err(ConfigError::Setting { setting: "tolerance", expected: "0 to 1e30" });
        }
        Ok(Self { interval_seconds, windows, tolerance })
    }
}

/// A series that has stood still for too long.
///
/// # What it finds
///
/// The same value, within a tolerance around the first of the run, for so many observations in a row: a stuck sensor, a
/// cached page, a job that writes the same figure every hour.
///
/// # When it works
///
/// Measured values that always move a little.
///
/// # When it does not
///
/// Series that rest by themselves: counts at night, prices, stock. A count that has fallen silent is found by the
/// seasonal detector, which knows when silence is usual.
///
/// # Severity
///
/// A rule is broken or not: 100 by convention from the last observation of the run on, 0 before.
///
/// # Parameters
///
/// [`FlatlineConfig`]: the length of the run and the tolerance. Missing windows do not count and do not end a run.
///
/// # Cost
///
/// Some 10 ns, under 100 bytes. Warm-up: one observation.
///
/// # Reference
///
/// The "stuck value" test of the quality control of measurements (WMO-No. 8, *Guide to instruments*).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flatline {
    config: FlatlineConfig,
    anchor: Option<f64>,
    run: u32,
}

impl Flatline {
    /// A detector that has seen nothing.
    pub fn new(config: FlatlineConfig) -> Self {
        Self { config, anchor: None, run: 0 }
    }

    /// Its settings.
    pub fn config(&self) -> FlatlineConfig {
        self.config
    }

    /// Progress while warming up, `None` once the detector scores.
    pub fn learning(&self) -> Option<Learning> {
        self.anchor.is_none().then_some(Learning { seen: 0, needed: 1 })
    }

    fn run_after(&self, value: f64) -> u32 {
        let stands = self.anchor.is_some_and(|anchor| (value - anchor).abs() <= self.config.tolerance);
        if stands { self.run.saturating_add(1) } else { 1 }
    }
}

impl Detector for Flatline {
    fn score(&self, observation: &Observation) -> Scored {
        let value = observation.value().clamp(-MAX_VALUE, MAX_VALUE);
        let score = self.anchor.map(|anchor| {
            let flat = self.run_after(value) >= self.config.windows;
            let rate = if flat { CERTAIN_LOG10_RATE } else { QUIET_LOG10_RATE };
            Score {
                expected: anchor,
                lower: anchor.min(value),
                upper: anchor.max(value),
                page_log10_rate: rate,
                minor_log10_rate: rate,
                side: if value < anchor { Side::Drop } else { Side::Rise },
                reason: if flat { Reason::Flat } else { Reason::Quiet },
            }
        });
        Scored { score, prepared: Prepared::Nothing }
    }

    fn learn(&mut self, observation: &Observation, _scored: Scored, _policy: LearnPolicy) {
        let value = observation.value().clamp(-MAX_VALUE, MAX_VALUE);
        self.run = self.run_after(value);
        if self.run == 1 {
            self.anchor = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_at_its_length_and_ends_with_a_change() {
        let mut model = Flatline::new(FlatlineConfig::new(60, 3, 0.1).unwrap());
        let mut severities = Vec::new();
        for (index, value) in [1.0, 2.0, 2.05, 1.95, 2.0, 3.0].into_iter().enumerate() {
            let observation = Observation::new(60 * index as i64, value, 1).unwrap();
            let scored = model.score(&observation);
            severities.push(scored.score.map(|score| score.severity()));
            model.learn(&observation, scored, LearnPolicy::Learn);
        }
        assert_eq!(severities, [None, Some(0.0), Some(0.0), Some(100.0), Some(100.0), Some(0.0)]);
        assert!(FlatlineConfig::new(60, 1, 0.0).is_err() && FlatlineConfig::new(60, 5, -1.0).is_err());
    }
}
