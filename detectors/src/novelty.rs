//! The novelty detector: values of a gauge that it has never shown before.
//!
//! This module is the detector's page (see [`Novelty`]); `leader.rs` holds the memory of known values.

mod leader;

use serde::{Deserialize, Serialize};

use self::leader::{Forgetting, Leader, RADIUS};
use crate::config::{ConfigError, SeasonalConfig, ValueKind};
use crate::detector::{Detector, LearnPolicy, Prepared, Scored};
use crate::model::Learning;
use crate::observation::Observation;
use crate::score::{Direction, Reason, Score, Side, log10_rate_of_severity};
use crate::seasonal::{self, Judged, Seasonal};

const MAX_VALUE: f64 = 1e30;
/// Novelty that has severity 70.
const NOVELTY_AT_70: f64 = 0.8;
/// Severity lost per novelty below it, and won above it. What a prototype stands for (novelty up to ln 2) stays
/// below 50.
const SLOPES: (f64, f64) = (200.0, 28.0);
/// The mean of residuals that is the second signal, in observations.
const RESIDUAL_MEMORY: f64 = 40.0;
/// Residuals below this share of the value are rounding.
const LEAST_RESIDUAL: f64 = 1e-5;
/// The seasonal view counts where knowing the rhythm makes residuals this much smaller.
const SEASONAL_GAIN: f64 = 1.6;
const WARMUP: u64 = 100;
const SILENT_DAYS: u64 = 14;

/// Settings of the novelty detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct NoveltyConfig {
    /// The seasonal view beside it: interval, kind of values, direction.
    pub seasonal: SeasonalConfig,
    /// Whether somebody said that this is a gauge; else it is silent for its first 14 days.
    pub declared: bool,
}

#[derive(Deserialize)]
struct Unchecked {
    seasonal: SeasonalConfig,
    declared: bool,
}

impl TryFrom<Unchecked> for NoveltyConfig {
    type Error = ConfigError;

    fn try_from(raw: Unchecked) -> Result<Self, ConfigError> {
        let SeasonalConfig { interval_seconds, kind, direction, .. } = raw.seasonal;
        Self::new(interval_seconds, kind, direction, raw.declared)
    }
}

impl NoveltyConfig {
    /// Checked settings; the interval is 10 s to 1 day.
    pub fn new(
        interval_seconds: u32,
        kind: ValueKind,
        direction: Direction,
        declared: bool,
    ) -> Result<Self, ConfigError> {
        Ok(Self { seasonal: SeasonalConfig::new(interval_seconds, kind, direction)?, declared })
    }
}

/// Known values of a gauge, and a seasonal view where the gauge has a rhythm.
///
/// # What it finds
///
/// Values (or levels of the residual, over about 40 observations) that the series has not shown within the last
/// weeks: a disk fuller than ever, a temperature between two known states, a processor idle for the first time.
/// Where knowing the daily rhythm makes residuals at least 1.6 times smaller, pages of the seasonal detector
/// count too.
///
/// # When it works
///
/// Gauges: values that stay in a few known ranges and repeat them. It needs no rhythm and no law of the noise.
///
/// # When it does not
///
/// A known value at the wrong time is not new. A series that grows for ever is always new, and so is each peak of
/// heavy-tailed traffic: counts of events belong to the seasonal detector. Its map from novelty to severity is a
/// fixed one that was measured on machine gauges; it is not fitted to the series, so the rate is nominal.
///
/// # Parameters
///
/// [`NoveltyConfig`]: those of the seasonal detector, and whether the series was declared a gauge. An undeclared one
/// is silent for 14 days, since all is new at first.
///
/// # Cost
///
/// The seasonal detector's, and about 0.2 µs more; at most 2 KB more per series.
///
/// # Reference
///
/// Leader clustering (Hartigan 1975, *Clustering algorithms*, ch. 3) in one dimension with forgetting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Novelty {
    config: NoveltyConfig,
    seasonal: Box<Seasonal>,
    values: Leader,
    residuals: Leader,
    residual: f64,
    seen: u64,
    /// Mean distance from the level, and from the level with its rhythm.
    plain_error: f64,
    seasonal_error: f64,
    #[serde(skip)]
    forgetting: Forgetting,
}

#[derive(Deserialize)]
#[serde(rename = "Novelty")]
struct Stored {
    config: NoveltyConfig,
    seasonal: Box<Seasonal>,
    values: Leader,
    residuals: Leader,
    residual: f64,
    seen: u64,
    plain_error: f64,
    seasonal_error: f64,
}

impl From<Stored> for Novelty {
    fn from(stored: Stored) -> Self {
        let Stored { config, seasonal, values, residuals, residual, seen, plain_error, seasonal_error } =
            stored;
        let forgetting = Forgetting::new(config.seasonal.interval_seconds);
        Self { config, seasonal, values, residuals, residual, seen, plain_error, seasonal_error, forgetting }
    }
}

/// What learning applies.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    seasonal: seasonal::Prepared,
    value: f64,
    residual: f64,
    /// Distance from the slow level, and from it with its rhythm.
    errors: Option<(f64, f64)>,
}

impl Novelty {
    /// A detector that has seen nothing.
    pub fn new(config: NoveltyConfig) -> Self {
        Self {
            config,
            seasonal: Box::new(Seasonal::new(config.seasonal)),
            values: Leader::default(),
            residuals: Leader::default(),
            residual: 0.0,
            seen: 0,
            plain_error: 0.0,
            seasonal_error: 0.0,
            forgetting: Forgetting::new(config.seasonal.interval_seconds),
        }
    }

    /// Its settings.
    pub fn config(&self) -> NoveltyConfig {
        self.config
    }

    /// Progress while warming up, `None` once the detector scores.
    pub fn learning(&self) -> Option<Learning> {
        let silent = SILENT_DAYS * 86_400 / u64::from(self.config.seasonal.interval_seconds);
        let needed = if self.config.declared { WARMUP } else { silent.max(WARMUP) };
        if self.seen < needed {
            return Some(Learning { seen: self.seen, needed });
        }
        self.seasonal.learning()
    }

    fn is_count(&self) -> bool {
        self.seasonal.value_kind() == ValueKind::Count
    }

    fn step(&self, value: f64, seasonal: seasonal::Prepared) -> Step {
        let errors = self.seasonal.slow_view(&seasonal).map(|(level, usual)| (value - level, value - usual));
        // The profile is single precision: what is smaller says nothing about the series.
        let news = errors.map_or(0.0, |(_, residual)| residual);
        let news = if news.abs() < LEAST_RESIDUAL * value.abs() { 0.0 } else { news };
        let rate = (1.0 / RESIDUAL_MEMORY).max(1.0 / (self.seen as f64 + 1.0));
        Step { seasonal, value, residual: self.residual + rate * (news - self.residual), errors }
    }

    fn verdict(&self, step: &Step, seasonal: &Score) -> Score {
        let count = self.is_count();
        let by_value = self.values.distance(step.value, count, self.forgetting);
        let by_residual = self.residuals.distance(step.residual, count, self.forgetting);
        let novelty = (by_value.max(by_residual) / RADIUS).ln_1p();
        let side = if by_value >= by_residual {
            if step.value < seasonal.expected { Side::Drop } else { Side::Rise }
        } else if step.residual < 0.0 {
            Side::Drop
        } else {
            Side::Rise
        };
        let severity = if self.config.seasonal.direction.allows(side) { severity(novelty) } else { 0.0 };
        let rate = log10_rate_of_severity(severity);
        let has_rhythm = self.plain_error > SEASONAL_GAIN * self.seasonal_error;
        let (lower, upper) = self.values.edges(RADIUS * NOVELTY_AT_70.exp_m1(), count);
        let mut score = Score {
            expected: seasonal.expected,
            lower: lower.min(seasonal.expected),
            upper: upper.max(seasonal.expected),
            page_log10_rate: rate,
            minor_log10_rate: rate,
            side,
            reason: if severity > 0.0 { Reason::Novel } else { Reason::Quiet },
        };
        if has_rhythm {
            score.lower = score.lower.max(seasonal.lower).min(score.expected);
            score.upper = score.upper.min(seasonal.upper).max(score.expected);
            score.minor_log10_rate = rate.min(seasonal.minor_log10_rate);
            if seasonal.page_log10_rate < rate {
                score.page_log10_rate = seasonal.page_log10_rate;
                (score.side, score.reason) = (seasonal.side, seasonal.reason);
            }
        }
        score
    }
}

fn severity(novelty: f64) -> f64 {
    let above = novelty - NOVELTY_AT_70;
    let slope = if above < 0.0 { SLOPES.0 } else { SLOPES.1 };
    if novelty > 0.0 { (70.0 + slope * above).clamp(0.0, 100.0) } else { 0.0 }
}

impl Detector for Novelty {
    fn score(&self, observation: &Observation) -> Scored {
        let value = observation.value().clamp(-MAX_VALUE, MAX_VALUE);
        let Judged { score, prepared } = self.seasonal.judge(observation);
        let step = self.step(value, prepared);
        let ready = self.learning().is_none();
        let score = score.filter(|_| ready).map(|seasonal| self.verdict(&step, &seasonal));
        Scored { score, prepared: Prepared::Novelty(step) }
    }

    fn learn(&mut self, observation: &Observation, scored: Scored, policy: LearnPolicy) {
        let Prepared::Novelty(step) = scored.prepared else { return };
        self.seasonal.apply(observation, &step.seasonal, policy);
        if policy == LearnPolicy::Hold {
            return;
        }
        let count = self.is_count();
        self.values.learn(step.value, count, self.forgetting);
        self.residuals.learn(step.residual, count, self.forgetting);
        self.residual = step.residual;
        self.seen += 1;
        let Some((plain, seasonal)) = step.errors else { return };
        let half_life = 3.0 * 86_400.0 / f64::from(self.config.seasonal.interval_seconds);
        let rate = (1.0 - (-1.0 / half_life).exp2()).max(1.0 / self.seen as f64);
        self.plain_error += rate * (plain.abs() - self.plain_error);
        self.seasonal_error += rate * (seasonal.abs() - self.seasonal_error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_never_seen_is_new_once_and_known_later() {
        let config = NoveltyConfig::new(300, ValueKind::Continuous, Direction::Both, true).unwrap();
        let mut model = Novelty::new(config);
        let mut severities = Vec::new();
        for index in 0..3_000_i64 {
            let wave = f64::from((index * 7_919 % 31) as i32) / 10.0;
            let value = 40.0 + wave + if (2_000..2_012).contains(&index) { 15.0 } else { 0.0 };
            let observation = Observation::new(index * 300, value, 1).unwrap();
            let scored = model.score(&observation);
            severities.push(scored.score.map_or(0.0, |score| score.severity()));
            model.learn(&observation, scored, LearnPolicy::Learn);
        }
        assert!(severities[2_000] > 70.0, "{}", severities[2_000]);
        assert!(severities[500..2_000].iter().all(|severity| *severity < 50.0));
    }
}
