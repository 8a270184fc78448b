//! The threshold detector: hard bounds.

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, check_interval};
use crate::detector::{Detector, LearnPolicy, Prepared, Scored};
use crate::model::Learning;
use crate::observation::Observation;
use crate::score::{Reason, Score, Side};
use crate::tail::{CERTAIN_LOG10_RATE, QUIET_LOG10_RATE};

const MAX_VALUE: f64 = 1e30;
/// Memory of the expected value, in observations.
const MEMORY: f64 = 64.0;

/// Settings of the threshold detector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct ThresholdConfig {
    /// Width of one window in seconds, 10..=86400.
    pub interval_seconds: u32,
    /// Values below this break the rule, in the unit of the measure.
    pub lower: Option<f64>,
    /// Values above this break the rule.
    pub upper: Option<f64>,
    /// So many observations in a row must break it, 1..=1000.
    pub windows: u32,
}

#[derive(Deserialize)]
struct Unchecked {
    interval_seconds: u32,
    lower: Option<f64>,
    upper: Option<f64>,
    windows: u32,
}

impl TryFrom<Unchecked> for ThresholdConfig {
    type Error = ConfigError;

    fn try_from(raw: Unchecked) -> Result<Self, ConfigError> {
        Self::new(raw.interval_seconds, raw.lower, raw.upper, raw.windows)
    }
}

impl ThresholdConfig {
    /// Checked settings.
    pub fn new(
        interval_seconds: u32,
        lower: Option<f64>,
        upper: Option<f64>,
        windows: u32,
    ) -> Result<Self, ConfigError> {
        check_interval(interval_seconds)?;
        let refused = |setting, expected| Err(ConfigError::Setting { setting, expected });
        if lower.is_none() && upper.is_none() {
            return refused("lower", "lower, upper or both");
        }
        if lower.into_iter().chain(upper).any(|bound| bound.is_nan() || bound.abs() > MAX_VALUE) {
            return refused("lower", "bounds within ±1e30");
        }
        if lower.zip(upper).is_some_and(|(lower, upper)| lower > upper) {
            return refused("lower", "at most upper");
        }
        if !(1..=1_000).contains(&windows) {
            return refused("windows", "1 to 1000");
        }
        Ok(Self { interval_seconds, lower, upper, windows })
    }
}

/// Values outside fixed bounds.
///
/// # What it finds
///
/// Values above the upper or below the lower bound, the given number of observations in a row.
///
/// # When it works
///
/// Where somebody knows what must never happen: an error share over 5 %, a stock below 10, a certificate's days left.
///
/// # When it does not
///
/// It knows no hour of the day and learns nothing; a bound that fits noon screams at night.
///
/// # Severity
///
/// A rule is broken or not, which is no statement about rarity. A broken rule has severity 100 by convention, everything
/// else 0. The band is the bounds; where one is missing, the most extreme value seen.
///
/// # Parameters
///
/// [`ThresholdConfig`]: the bounds, and how many observations in a row must break them (1 by default in monitors).
///
/// # Cost
///
/// Some 10 ns, under 100 bytes. No warm-up.
///
/// # Reference
///
/// Shewhart 1931, *Economic control of quality of manufactured product*, with limits from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    config: ThresholdConfig,
    seen: u64,
    mean: f64,
    least: f64,
    most: f64,
    side: Option<Side>,
    run: u32,
}

impl Threshold {
    /// A detector that has seen nothing.
    pub fn new(config: ThresholdConfig) -> Self {
        Self { config, seen: 0, mean: 0.0, least: 0.0, most: 0.0, side: None, run: 0 }
    }

    /// Its settings.
    pub fn config(&self) -> ThresholdConfig {
        self.config
    }

    /// It needs no warm-up.
    pub fn learning(&self) -> Option<Learning> {
        None
    }

    fn breaks(&self, value: f64) -> Option<Side> {
        if self.config.upper.is_some_and(|upper| value > upper) {
            return Some(Side::Rise);
        }
        self.config.lower.is_some_and(|lower| value < lower).then_some(Side::Drop)
    }

    fn run_after(&self, side: Option<Side>) -> u32 {
        match side {
            None => 0,
            Some(_) if side == self.side => self.run.saturating_add(1),
            Some(_) => 1,
        }
    }
}

impl Detector for Threshold {
    fn score(&self, observation: &Observation) -> Scored {
        let value = observation.value().clamp(-MAX_VALUE, MAX_VALUE);
        let (least, most, mean) =
            if self.seen == 0 { (value, value, value) } else { (self.least, self.most, self.mean) };
        let lower = self.config.lower.unwrap_or(least.min(value));
        let lower = self.config.upper.map_or(lower, |upper| lower.min(upper));
        let upper = self.config.upper.unwrap_or(most.max(value)).max(lower);
        let side = self.breaks(value);
        let broken = self.run_after(side) >= self.config.windows;
        let rate = if broken { CERTAIN_LOG10_RATE } else { QUIET_LOG10_RATE };
        let expected = mean.clamp(lower, upper);
        let score = Score {
            expected,
            lower,
            upper,
            page_log10_rate: rate,
            minor_log10_rate: rate,
            side: side.unwrap_or(if value < expected { Side::Drop } else { Side::Rise }),
            reason: if broken { Reason::Bound } else { Reason::Quiet },
        };
        Scored { score: Some(score), prepared: Prepared::Nothing }
    }

    fn learn(&mut self, observation: &Observation, _scored: Scored, policy: LearnPolicy) {
        let value = observation.value().clamp(-MAX_VALUE, MAX_VALUE);
        let side = self.breaks(value);
        self.run = self.run_after(side);
        self.side = side;
        if policy == LearnPolicy::Hold {
            return;
        }
        if self.seen == 0 {
            (self.mean, self.least, self.most) = (value, value, value);
        }
        self.seen += 1;
        self.mean += (value - self.mean) * (1.0 / MEMORY).max(1.0 / self.seen as f64);
        (self.least, self.most) = (self.least.min(value), self.most.max(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_counts_after_so_many_windows_in_a_row() {
        let config = ThresholdConfig::new(60, None, Some(5.0), 2).unwrap();
        let mut model = Threshold::new(config);
        let severities: Vec<f64> = [1.0, 6.0, 7.0, 5.0, 9.0]
            .into_iter()
            .enumerate()
            .map(|(index, value)| {
                let observation = Observation::new(60 * index as i64, value, 1).unwrap();
                let scored = model.score(&observation);
                let severity = scored.score.unwrap().severity();
                model.learn(&observation, scored, LearnPolicy::Learn);
                severity
            })
            .collect();
        assert_eq!(severities, [0.0, 0.0, 100.0, 0.0, 0.0]);
    }

    #[test]
    fn settings_are_checked() {
        for (lower, upper, windows) in
            [(None, None, 1), (Some(2.0), Some(1.0), 1), (Some(1.0), None, 0), (Some(f64::NAN), None, 1)]
        {
            assert!(ThresholdConfig::new(60, lower, upper, windows).is_err());
        }
    }
}
