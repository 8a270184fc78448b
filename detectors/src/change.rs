//! The change detector: percent against the mean of the last windows, or against one season ago.

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, check_interval};
use crate::detector::{Detector, LearnPolicy, Prepared, Scored};
use crate::model::Learning;
use crate::observation::Observation;
use crate::score::{Direction, Reason, Score, Side};
use crate::tail::{CERTAIN_LOG10_RATE, Pace, QUIET_LOG10_RATE, Tail};

const MAX_VALUE: f64 = 1e30;
/// References kept at most: a week of minutes.
const MOST_SLOTS: u32 = 10_080;
/// A change smaller than this share is never odd when the threshold is learned.
const LEAST_CHANGE: f64 = 0.02;
/// A reference counts as at least this share of the usual size, so that a percentage of almost nothing is none.
const LEAST_REFERENCE: f64 = 0.05;

/// What the newest value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The mean of so many observations before.
    Mean(u32),
    /// The window of the same time so many windows ago.
    Season(u32),
}

impl Against {
    fn slots(self) -> u32 {
        match self {
            Self::Mean(slots) | Self::Season(slots) => slots,
        }
    }
}

/// Settings of the change detector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct ChangeConfig {
    /// Width of one window in seconds, 10..=86400.
    pub interval_seconds: u32,
    /// What is compared with what; 1..=10080 windows.
    pub against: Against,
    /// A change of more than so many percent breaks the rule; `None` learns what is rare.
    pub percent: Option<f64>,
    /// Which sides may alarm.
    pub direction: Direction,
}

#[derive(Deserialize)]
struct Unchecked {
    interval_seconds: u32,
    against: Against,
    percent: Option<f64>,
    direction: Direction,
}

impl TryFrom<Unchecked> for ChangeConfig {
    type Error = ConfigError;

    fn try_from(raw: Unchecked) -> Result<Self, ConfigError> {
        Self::new(raw.interval_seconds, raw.against, raw.percent, raw.direction)
    }
}

impl ChangeConfig {
    /// Checked settings.
    pub fn new(
        interval_seconds: u32,
        against: Against,
        percent: Option<f64>,
        direction: Direction,
    ) -> Result<Self, ConfigError> {
        check_interval(interval_seconds)?;
        if !(1..=MOST_SLOTS).contains(&against.slots()) {
            return Err(ConfigError::Setting { setting: "against", expected: "1 to 10080 windows" });
        }
        if percent.is_some_and(|percent| !(percent > 0.0 && percent <= 1e6)) {
            return Err(ConfigError::Setting { setting: "percent", expected: "over 0, at most 1000000" });
        }
        Ok(Self { interval_seconds, against, percent, direction })
    }
}

/// The newest value against the mean of some before, or against the same time one season ago.
///
/// # What it finds
///
/// Jumps: half as many orders as in the hour before, a third more than a week ago.
///
/// # When it works
///
/// Against the mean of the last windows, on levels that change slowly. Against a season, on series whose rhythm repeats
/// closely; it needs no other knowledge and is easy to explain.
///
/// # When it does not
///
/// Thin series: the percentage of a small number is noise. A season ago was itself unusual: the difference shows
/// twice, when it happens and one season later. The seasonal detector knows both; this one is for
/// rules people are used to.
///
/// # Severity
///
/// With `percent`, a rule: 100 by convention when it is broken, 0 else. Without it, each side's own history says how rare
/// a change of this size is (peaks over threshold), after two days.
///
/// # Parameters
///
/// [`ChangeConfig`]: what to compare with, the percentage if any, which sides may alarm.
///
/// # Cost
///
/// Some 50 ns. 16 bytes for every window of the reference: 160 KB for a week of minutes.
///
/// # Reference
///
/// Hyndman and Athanasopoulos 2021, *Forecasting: principles and practice*, 5.2 (mean and seasonal naive methods).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    config: ChangeConfig,
    slots: Vec<Option<f64>>,
    /// Number of the window learned last (season), or of the observation (mean).
    newest: Option<i64>,
    /// Sum and number of the values in the slots.
    size: f64,
    seen: u64,
    tails: [Tail; 2],
}

/// What learning applies: the strength on the rising and on the falling side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step(Option<[f64; 2]>);

impl Change {
    /// A detector that has seen nothing.
    pub fn new(config: ChangeConfig) -> Self {
        let tails = [Tail::new(LEAST_CHANGE); 2];
        Self { config, slots: Vec::new(), newest: None, size: 0.0, seen: 0, tails }
    }

    /// Its settings.
    pub fn config(&self) -> ChangeConfig {
        self.config
    }

    /// Progress while warming up, `None` once the detector scores.
    pub fn learning(&self) -> Option<Learning> {
        let reference = u64::from(self.config.against.slots());
        let tail = if self.config.percent.is_some() { 0 } else { self.pace().warmup() };
        let (seen, needed) = (self.seen.min(reference) + self.tails[0].seen().min(tail), reference + tail);
        (seen < needed).then_some(Learning { seen, needed })
    }

    fn pace(&self) -> Pace {
        Pace::new(self.config.interval_seconds, 2)
    }

    fn window(&self, observation: &Observation) -> i64 {
        observation.civil_seconds().div_euclid(i64::from(self.config.interval_seconds))
    }

    /// The value to compare with; `None` where it is missing.
    fn reference(&self, observation: &Observation) -> Option<f64> {
        match self.config.against {
            Against::Mean(_) => {
                let known = self.slots.iter().flatten();
                let (sum, count) = known.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
                (count > 0).then(|| sum / f64::from(count))
            }
            Against::Season(season) => {
                let (window, newest) = (self.window(observation), self.newest?);
                let due = window.saturating_sub(i64::from(season));
                // A window older than the newest, or more than a season past it, has nothing in its slot.
                let is_kept = due <= newest && due > newest.saturating_sub(i64::from(season));
                self.slots
                    .get(window.rem_euclid(i64::from(season)) as usize)
                    .copied()
                    .flatten()
                    .filter(|_| is_kept)
            }
        }
    }

    fn base(&self, reference: f64) -> f64 {
        reference.abs().max(LEAST_REFERENCE * self.size).max(1e-9)
    }

    fn verdict(&self, value: f64, reference: f64, strengths: [f64; 2]) -> Score {
        let pace = self.pace();
        let limit = self.config.percent.map(|percent| percent / 100.0);
        let side = if value < reference { Side::Drop } else { Side::Rise };
        let strength = strengths[usize::from(side == Side::Drop)];
        let rate = if !self.config.direction.allows(side) {
            QUIET_LOG10_RATE
        } else if let Some(limit) = limit {
            if strength > limit { CERTAIN_LOG10_RATE } else { QUIET_LOG10_RATE }
        } else {
            self.tails[usize::from(side == Side::Drop)].log10_rate(strength, &pace)
        };
        let reach =
            |tail: &Tail| limit.unwrap_or_else(|| tail.threshold(&pace)).min(1e12) * self.base(reference);
        Score {
            expected: reference,
            lower: reference - reach(&self.tails[1]),
            upper: reference + reach(&self.tails[0]),
            page_log10_rate: rate,
            minor_log10_rate: rate,
            side,
            reason: if rate < 0.5 { Reason::Change } else { Reason::Quiet },
        }
    }

    fn keep(&mut self, observation: &Observation, value: f64) {
        let slots = i64::from(self.config.against.slots());
        self.slots.resize(slots as usize, None);
        let (window, cleared) = match (self.config.against, self.newest) {
            (Against::Mean(_), newest) => (newest.map_or(0, |newest| newest.wrapping_add(1)), 0),
            (Against::Season(_), newest) => {
                let window = self.window(observation);
                (
                    window,
                    newest
                        .map_or(0, |newest| window.saturating_sub(newest).saturating_sub(1).clamp(0, slots)),
                )
            }
        };
        if self.newest.is_some_and(|newest| window < newest.saturating_sub(slots)) {
            return;
        }
        for skipped in 1..=cleared {
            self.slots[window.saturating_sub(skipped).rem_euclid(slots) as usize] = None;
        }
        self.slots[window.rem_euclid(slots) as usize] = Some(value);
        self.newest = Some(self.newest.map_or(window, |newest| newest.max(window)));
    }
}

impl Detector for Change {
    fn score(&self, observation: &Observation) -> Scored {
        let value = observation.value().clamp(-MAX_VALUE, MAX_VALUE);
        let reference = self.reference(observation);
        let strengths = reference.map(|reference| {
            let change = (value - reference) / self.base(reference);
            [change.max(0.0), (-change).max(0.0)]
        });
        let ready = self.learning().is_none();
        // Where the reference is missing, the value is its own.
        let score =
            ready.then(|| self.verdict(value, reference.unwrap_or(value), strengths.unwrap_or([0.0; 2])));
        Scored { score, prepared: Prepared::Change(Step(strengths)) }
    }

    fn learn(&mut self, observation: &Observation, scored: Scored, policy: LearnPolicy) {
        let value = observation.value().clamp(-MAX_VALUE, MAX_VALUE);
        self.keep(observation, value);
        if policy == LearnPolicy::Hold {
            return;
        }
        self.seen += 1;
        let memory = (f64::from(self.config.against.slots())).max(100.0);
        self.size += (value.abs() - self.size) * (1.0 / memory).max(1.0 / self.seen as f64);
        let Prepared::Change(Step(Some(strengths))) = scored.prepared else { return };
        let pace = self.pace();
        for (tail, strength) in self.tails.iter_mut().zip(strengths) {
            tail.learn(strength, &pace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severities(against: Against, percent: Option<f64>, value: impl Fn(i64) -> Option<f64>) -> Vec<f64> {
        let config = ChangeConfig::new(3_600, against, percent, Direction::Both).unwrap();
        let mut model = Change::new(config);
        let mut severities = Vec::new();
        for hour in 0..1_500 {
            let Some(value) = value(hour) else {
                severities.push(0.0);
                continue;
            };
            let observation = Observation::new(hour * 3_600, value, 1).unwrap();
            let scored = model.score(&observation);
            severities.push(scored.score.map_or(0.0, |score| score.severity()));
            model.learn(&observation, scored, LearnPolicy::Learn);
        }
        severities
    }

    #[test]
    fn a_percentage_against_a_season_passes_over_gaps() {
        let day =
            |hour: i64| Some(100.0 + 50.0 * ((hour % 24) as f64)).filter(|_| !(700..712).contains(&hour));
        let halved = |hour: i64| day(hour).map(|value| if hour == 1_000 { value / 2.0 } else { value });
        let severities = severities(Against::Season(24), Some(40.0), halved);
        let loud: Vec<usize> = (0..1_500).filter(|hour| severities[*hour] >= 70.0).collect();
        assert_eq!(loud, [1_000, 1_024], "when it happens, and one season later");
    }

    #[test]
    fn without_a_percentage_its_own_history_decides() {
        let noisy =
            |hour: i64| Some(100.0 + ((hour * 7_919) % 41) as f64 - if hour == 1_400 { 90.0 } else { 0.0 });
        let severities = severities(Against::Mean(24), None, noisy);
        assert!(severities[1_400] >= 70.0, "{}", severities[1_400]);
        assert!(severities[200..1_400].iter().filter(|severity| **severity >= 70.0).count() <= 7);
    }
}
