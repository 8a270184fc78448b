//! The forest detector: windows in a row that follow no remembered pattern.
//!
//! This module is the detector's page (see [`Forest`]); `tree.rs` holds one random cut tree.

mod tree;

use serde::{Deserialize, Serialize};

pub(crate) use self::tree::Chance;
use self::tree::{DIMENSIONS, Point, SAMPLE, Tree};
use crate::config::{ConfigError, check_interval};
use crate::detector::{Detector, LearnPolicy, Prepared, Scored};
use crate::model::Learning;
use crate::observation::Observation;
use crate::score::{Direction, Reason, Score, Side};
use crate::tail::{Admission, AlarmRun, Pace, QUIET_LOG10_RATE, Tail};

const MAX_VALUE: f64 = 1e30;
const TREES: usize = 24;
/// Shingles remembered; every tree is grown over a part of them.
const REMEMBERED: usize = 256;
/// One tree is grown anew after so many observations.
const GROW_EVERY: u64 = 8;
/// An oddity below this is that of an ordinary point and never alarms.
const LEAST_ODDITY: f64 = 0.5;
/// Memory of the expected value and the band, in observations.
const MEMORY: f64 = 64.0;

/// Settings of the forest detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct ForestConfig {
    /// Width of one window in seconds, 10..=86400.
    pub interval_seconds: u32,
    /// Which sides of the recent mean may alarm.
    pub direction: Direction,
    /// Where its chance begins: the same seed, the same forest.
    pub seed: u64,
}

#[derive(Deserialize)]
struct Unchecked {
    interval_seconds: u32,
    direction: Direction,
    seed: u64,
}

impl TryFrom<Unchecked> for ForestConfig {
    type Error = ConfigError;

    fn try_from(raw: Unchecked) -> Result<Self, ConfigError> {
        Self::new(raw.interval_seconds, raw.direction, raw.seed)
    }
}

impl ForestConfig {
    /// Checked settings.
    pub fn new(interval_seconds: u32, direction: Direction, seed: u64) -> Result<Self, ConfigError> {
        check_interval(interval_seconds)?;
        Ok(Self { interval_seconds, direction, seed })
    }
}

/// A forest of random cut trees over shingles of four windows.
///
/// # What it finds
///
/// Values, jumps and short shapes unlike those of the last two weeks, of any kind: also a wobble where the series was
/// smooth, or a stillness where it never rests, if it is rare.
///
/// # When it works
///
/// Series whose shapes repeat but follow no clock: queues, temperatures, machine load.
///
/// # When it does not
///
/// It knows no time of day: a noon value at midnight is ordinary to it. On counts with a daily rhythm the seasonal
/// detector sees several times more. The side is that of the recent mean, which a shape may have none of.
///
/// # Severity
///
/// The raw oddity has no law. Its own history of peaks gives the rarity (peaks over threshold), after two days; in the first
/// week thresholds are stretched.
///
/// # Parameters
///
/// [`ForestConfig`]: the interval, which sides may alarm, and the seed of its chance. 24 trees of 64 shingles from a sample of
/// 256 that reaches about two weeks back; one tree is grown anew every 8 observations. What alarms is not sampled,
/// until the alarm has lasted half a day. Values are kept as `f32`.
///
/// # Cost
///
/// Some 15 µs for score and learn together, some 140 KB in memory per series: for tens or hundreds of series, not
/// for a million. Published crates, which insert and forget point by point, cost several times that in both, which is
/// why this one is grown in turns instead; `docs/benchmarks.md` has a comparison.
///
/// # Reference
///
/// Guha, Mishra, Roy, Schrijvers 2016, *Robust random cut forest based anomaly detection on streams*. Oddity is
/// their expected depth of parting with trees that stand still between two growths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    config: ForestConfig,
    chance: Chance,
    shingle: Point,
    seen: u64,
    remembered: Vec<Point>,
    trees: Vec<Tree>,
    tail: Tail,
    alarm: AlarmRun,
    mean: f64,
    variance: f64,
}

/// What learning applies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    oddity: Option<f64>,
    alarming: bool,
}

impl Forest {
    /// A detector that has seen nothing.
    pub fn new(config: ForestConfig) -> Self {
        Self {
            config,
            chance: Chance(config.seed),
            shingle: [0.0; DIMENSIONS],
            seen: 0,
            remembered: Vec::new(),
            trees: Vec::new(),
            tail: Tail::new(LEAST_ODDITY),
            alarm: AlarmRun::default(),
            mean: 0.0,
            variance: 0.0,
        }
    }

    /// Its settings.
    pub fn config(&self) -> ForestConfig {
        self.config
    }

    /// Progress while warming up, `None` once the detector scores.
    pub fn learning(&self) -> Option<Learning> {
        let (seen, needed) = (self.tail.seen(), self.pace().warmup());
        (seen < needed).then_some(Learning { seen, needed })
    }

    fn pace(&self) -> Pace {
        Pace::new(self.config.interval_seconds, 1)
    }

    fn shingle_with(&self, value: f64) -> Point {
        let value = value as f32;
        if self.seen == 0 {
            return [value; DIMENSIONS];
        }
        let mut shingle = self.shingle;
        shingle.rotate_left(1);
        shingle[DIMENSIONS - 1] = value;
        shingle
    }

    fn oddity(&self, shingle: &Point) -> Option<f64> {
        let sum: f64 = self.trees.iter().map(|tree| tree.oddity(shingle)).sum();
        (self.trees.len() == TREES).then(|| sum / TREES as f64)
    }

    /// Samples the shingle, so that the memory reaches about two weeks back.
    fn remember(&mut self, shingle: Point, always: bool) {
        if self.remembered.len() < REMEMBERED {
            self.remembered.push(shingle);
            return;
        }
        let kept = REMEMBERED as f64 / (2.0 * self.pace().points_per_week).max(REMEMBERED as f64 * 2.0);
        if always || self.chance.uniform() < kept {
            let place = self.chance.below(REMEMBERED);
            self.remembered[place] = shingle;
        }
    }

    fn grow(&mut self) {
        let mut pool = self.remembered.clone();
        let size = SAMPLE.min(pool.len());
        for place in 0..size {
            let other = place + self.chance.below(pool.len() - place);
            pool.swap(place, other);
        }
        let tree = Tree::grow(&mut pool[..size], &mut self.chance);
        if self.trees.len() < TREES {
            self.trees.push(tree);
        } else {
            let place = (self.seen / GROW_EVERY) as usize % TREES;
            self.trees[place] = tree;
        }
    }
}

impl Detector for Forest {
    fn score(&self, observation: &Observation) -> Scored {
        let value = observation.value().clamp(-MAX_VALUE, MAX_VALUE);
        let oddity = self.oddity(&self.shingle_with(value));
        let pace = self.pace();
        let rate = oddity.map_or(QUIET_LOG10_RATE, |oddity| self.tail.log10_rate(oddity, &pace));
        let side = if value < self.mean { Side::Drop } else { Side::Rise };
        let allowed = if self.config.direction.allows(side) { rate } else { QUIET_LOG10_RATE };
        let reach = 4.0 * self.variance.max(0.0).sqrt();
        let score = self.learning().is_none().then_some(Score {
            expected: self.mean,
            lower: self.mean - reach,
            upper: self.mean + reach,
            page_log10_rate: allowed,
            minor_log10_rate: allowed,
            side,
            reason: if allowed < 0.5 { Reason::Pattern } else { Reason::Quiet },
        });
        Scored { score, prepared: Prepared::Forest(Step { oddity, alarming: rate < 0.0 }) }
    }

    fn learn(&mut self, observation: &Observation, scored: Scored, policy: LearnPolicy) {
        let value = observation.value().clamp(-MAX_VALUE, MAX_VALUE);
        let shingle = self.shingle_with(value);
        self.shingle = shingle;
        let Prepared::Forest(step) = scored.prepared else { return };
        if policy == LearnPolicy::Hold {
            return;
        }
        let pace = self.pace();
        self.seen += 1;
        if let Some(oddity) = step.oddity {
            self.tail.learn(oddity, &pace);
        }
        match self.alarm.follow(step.alarming && self.learning().is_none(), &pace) {
            Admission::Admit => self.remember(shingle, false),
            Admission::Accept => self.remember(shingle, true),
            Admission::Refuse => {}
        }
        let warm = self.remembered.len() >= SAMPLE / 2;
        if warm && (self.trees.len() < TREES || self.seen.is_multiple_of(GROW_EVERY)) {
            self.grow();
        }
        let rate = (1.0 / MEMORY).max(1.0 / self.seen as f64);
        let surprise = value - self.mean;
        self.mean += rate * surprise;
        self.variance = (1.0 - rate) * (self.variance + rate * surprise * surprise);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_never_seen_is_found_and_the_seed_decides_the_forest() {
        let run = |seed: u64| {
            let mut model = Forest::new(ForestConfig::new(300, Direction::Both, seed).unwrap());
            let mut severities = Vec::new();
            for index in 0..6_000_i64 {
                let noise = ((index * 7_919) % 101) as f64 / 20.0;
                let value = if index % 7 < 3 { 10.0 } else { 30.0 } + noise;
                let value = if index == 5_500 { 60.0 } else { value };
                let observation = Observation::new(index * 300, value, 1).unwrap();
                let scored = model.score(&observation);
                severities.push(scored.score.map_or(0.0, |score| score.severity()));
                model.learn(&observation, scored, LearnPolicy::Learn);
            }
            severities
        };
        let severities = run(1);
        assert!(severities[5_500] >= 80.0, "{}", severities[5_500]);
        let loud = severities[..5_500].iter().filter(|severity| **severity >= 70.0).count();
        assert!(loud <= 6, "{loud} loud windows in 2.7 weeks");
        assert_eq!(severities, run(1));
        assert_ne!(severities, run(2));
    }
}
