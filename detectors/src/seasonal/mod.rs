//! The seasonal detector: rises, drops and silences in series with a daily and a weekly rhythm.
//!
//! This module is the detector's page (see [`Seasonal`]) and holds its road: settle the mode of the values,
//! score, learn. The parts are one file each: baseline, windows, contrasts, the absolute view, silence, rates,
//! events, band.

mod absolute;
mod band;
mod baseline;
mod cadence;
mod contrast;
mod core;
mod envelope;
mod event;
mod explain;
mod facts;
mod hear;
mod judgement;
mod knots;
mod lent;
mod memory;
mod occasion;
mod opening;
mod rate;
mod silence;
mod size;
mod tracker;
mod window;

use serde::{Deserialize, Serialize};

use self::cadence::Cadence;
use self::core::{Core, Step};
use self::opening::Opening;
use crate::config::{SeasonalConfig, ValueKind};
use crate::detector::{self, Detector, LearnPolicy, Scored};
use crate::feedback::{Alarm, Said};
use crate::model::Learning;
use crate::observation::{LearnedOccasion, Observation};
use crate::score::{Score, Side};

/// Values beyond this are read as this; squares and ratios of them stay finite.
const MAX_VALUE: f64 = 1e30;
/// Denominators beyond this, or below one part of it, are read as this.
const MAX_EXPOSURE: f64 = 1e9;
/// The largest mean the baseline may expect.
const MAX_MEAN: f64 = 1e40;

/// A daily and weekly baseline with contrasts of recent windows against it.
///
/// # What it finds
///
/// Rises and drops of one window or of a few, for paging; small or slow changes over half an hour to hours, for
/// the minor class; silences, where a count stays at zero. A page needs two surprises at once: rare for the
/// noise at this hour, and large beside the usual residual of the whole series; one far beyond its threshold
/// makes up for some of the other. On a series that is nearly always zero a rise must also be large among the
/// values that are not. Severity 70 is about one false event a week on the series, and rarer by ten for every
/// 10 more.
///
/// # When it works
///
/// Series of one value per window with a rhythm of days and weeks, or none; counts from a few a day up, sums,
/// averages, rates. It follows slow drift, learns how noisy each part of the day is, takes gaps and changes to
/// summer time as they come (it sees civil time only), and accepts a level shift after half a day of alarm.
///
/// # When it does not
///
/// Rhythms other than the day and the week (paydays, moon, campaigns) are news to it every time, unless a calendar
/// names them. Small night dips on a busy series stay in the minor class
/// by intent. In the first weeks thresholds are higher, so less is found. It looks at one series alone: what
/// several series say together is for others to weigh.
///
/// # Series made of single events
///
/// [`ValueKind::Events`] and [`ValueKind::Amounts`] say that values are made of orders and the like. Where the
/// share of zeros is a fifth above that of chance the shop closes, and then four things change. A weekly knot is shrunk
/// towards the ratio of its weekday and not towards 1, so that a closed Saturday is known after a few weeks.
/// The shop may open or close one window early or late: what the neighbouring windows differ by is part of the
/// deviation. Residuals count in the typical one as much as their hour is expected to bring, not by the clock.
/// And silence speaks only after two weeks, when every closing hour has been seen twice. A series that does not
/// close is judged as a plain count. Amounts also keep to a budget: the rarity rule, a bound of about 12 alarms
/// a week elsewhere, balances at one alarm in four weeks on each side, with steps of a fifth, so that
/// a tail heavier than assumed calibrates itself. A sum that is truly wrong every week becomes deaf to it.
///
/// # Ratios
///
/// [`ValueKind::Ratio`] works on what stands above the line, and expects level times profile times denominator; the level
/// is then a share. So chance is that of the denominator of each window, and a thin hour does not scream. The typical
/// residual is counted in things above the line: a busy hour weighs more, as it does in the shop. A window without
/// anything above the line advances the clock of silence by what its denominator promised.
///
/// # Occasions
///
/// On an [`Occasion`](crate::Occasion) of the calendar the mean is multiplied by what earlier ones of its class did, by the
/// hour, or by the user's factor as long as there was none. It is judged as a whole, by what came within the last
/// hours against what its class makes expect: earlier ones vary, by a fifth at least, and after one occurrence half
/// of the effect is severity 74. A class that nobody knows may be anything from an eighth to eight times the usual, and
/// what is expected follows what comes. Short comparisons start afresh with the occasion and look for what breaks within it;
/// on a class that nobody knows their rises are held below a page. Long comparisons are silent.
///
/// Nothing of it enters level, profiles, calibration or thresholds, under either policy, nor does it count towards
/// warm-up or a level shift. After it the windows go on where they were before it. Under
/// [`LearnPolicy::Hold`], and before two days are learned, an occasion teaches its class nothing. So a promotion
/// of many weeks leaves the level where it was; what is there to stay is no occasion. The 12 classes that do most are kept.
///
/// # Means and quantiles
///
/// [`ValueKind::Mean`] works on the value times the numbers it is made of. The variance of a mean of n numbers, and of a
/// quantile, is that of one of them over n, so that of the sum grows with n, as it does for counts; what all numbers of a
/// window have in common grows with its square. Dispersion is learned by octaves of n, so both find their place.
/// As with ratios the typical residual weighs busy hours more.
///
/// # Feedback
///
/// See [`Feedback`]. What was marked as expected or false keeps later alarms within its envelope below severity
/// 60; 16 envelopes are kept. Such alarms raise no threshold, and their values are learned in full (clipped as
/// ever), so that a bump that recurs at its hour becomes part of the profile. They still open an event: windows
/// settle at its end, calibrations learn hardly anything, and after half a day the level is accepted. Envelopes
/// outlive a change of mind about the kind of values in the first two days; other feedback of that time does not.
///
/// # Parameters
///
/// [`SeasonalConfig`]: the interval, 10 s to 1 day; whether values are counts (better declared: an undeclared
/// kind keeps the first two days, at most 2880 observations, until it is decided); which sides may alarm. The
/// state runs for both sides whatever may alarm, so learning is the same for every direction.
///
/// Rates and thresholds are fixed. They were measured for intervals of 1 minute to 1 hour; above an hour these
/// keep their hourly values: the threshold factor (.47), all learning and warm-up that is counted in days
/// (profiles, variance, calibration, residuals: counted as if a day had 24 observations; a weekly profile
/// starts after 7), and a level shift takes more than 4 observations. A series with fewer than two observations
/// a day has no daily profile. Below a minute the formulas continue; the kind is decided after 2880 observations.
/// Values beyond ±1e30 are read as ±1e30.
///
/// Under [`LearnPolicy::Hold`] windows, the clock of silence, clusters and the event go on; baseline,
/// calibration and thresholds stand still, and held time does not count towards warm-up or a level shift. The
/// kind of the values is settled from held observations too.
///
/// # Example
///
/// ```
/// use tidewatch_detectors::{
///     DetectorConfig, Direction, LearnPolicy, Observation, SeasonalConfig, Side, ValueKind,
/// };
///
/// let config = SeasonalConfig::new(300, ValueKind::Count, Direction::Both)?;
/// let mut model = DetectorConfig::Seasonal(config).start();
/// for window in 0..3 * 7 * 288_i64 {
///     let by_day = [100.0, 130.0, 170.0, 130.0][(window / 72 % 4) as usize];
///     let orders = by_day + (window * 7_919 % 31 - 15) as f64;
///     let observation = Observation::new(window * 300, orders, orders as u64).expect("finite");
///     model.observe(&observation, LearnPolicy::Learn);
/// }
/// let outage = Observation::new(3 * 7 * 86_400, 0.0, 0).expect("finite");
/// let score = model.observe(&outage, LearnPolicy::Learn).expect("warm-up is over");
/// assert!(score.severity() > 70.0 && score.side == Side::Drop && score.lower > 0.0);
/// # Ok::<(), tidewatch_detectors::ConfigError>(())
/// ```
///
/// # Cost
///
/// Half a microsecond or a little more for score and learn together, 3.5 KB in memory and 3 KB saved per series,
/// most of it the profiles, which are `f32`; all other sums are `f64`. While the kind is undecided the kept observations add 32 bytes each; the value that changes
/// the kind costs one more pass over them, to score it and again to learn it. A class of occasions adds 48 bytes, an
/// occasion that goes on 750.
///
/// # Reference
///
/// Decayed sums as exponential windows; variance-stabilised counts (Anscombe 1948, *The transformation of
/// Poisson, binomial and negative-binomial data*); shrunken ratios as the posterior mean of a gamma prior;
/// the end of an event by a cumulative sum of log-likelihood ratios (Page 1954, *Continuous inspection schemes*).
/// Numbers are pinned against an independent reference in `tests/golden`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Seasonal {
    config: SeasonalConfig,
    mode: Mode,
    opening: Option<Opening>,
    core: Core,
    #[serde(skip)]
    cadence: Cadence,
}

#[derive(Deserialize)]
#[serde(rename = "Seasonal")]
struct Stored {
    config: SeasonalConfig,
    mode: Mode,
    opening: Option<Opening>,
    core: Core,
}

impl From<Stored> for Seasonal {
    fn from(stored: Stored) -> Self {
        let Stored { config, mode, opening, core } = stored;
        Self { config, mode, opening, core, cadence: Cadence::of(config) }
    }
}

/// How values are read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mode {
    /// Numbers of things, or else anything measured.
    count: bool,
    /// Added to every value so that the detector works above zero.
    offset: f64,
}

impl Mode {
    /// The least dispersion believed: that of pure chance for counts.
    fn least_dispersion(self) -> f64 {
        if self.count { 1.0 } else { 0.0 }
    }

    fn shift(self, value: f64) -> f64 {
        (value + self.offset).max(0.0)
    }
}

/// The value as far as the detector can work with it.
fn readable(value: f64) -> f64 {
    value.clamp(-MAX_VALUE, MAX_VALUE)
}

/// What learning applies.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per observation on the stack; a box would allocate in the hot loop"
)]
pub(crate) enum Prepared {
    /// The state moves on by one step.
    Step(Step),
    /// The value changes what all values are taken for; the opening is folded again.
    Revise(Mode),
}

/// A score with what learning the same observation will apply.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) score: Option<Score>,
    pub(crate) prepared: Prepared,
}

impl Seasonal {
    /// A detector that has seen nothing.
    pub fn new(config: SeasonalConfig) -> Self {
        let cadence = Cadence::of(config);
        Self {
            config,
            mode: Opening::first_mode(config.kind),
            opening: Opening::of(config.kind),
            core: Core::new(&cadence),
            cadence,
        }
    }

    /// A detector that has seen nothing but leans on half of the rhythm of this one until it knows its own; level,
    /// noise and thresholds are its own to find. `None` before this one has learned two weeks, or where its values
    /// reach below zero.
    pub fn start_like(&self) -> Option<Self> {
        let knows_weeks = self.core.learned() as f64 >= 2.0 * self.cadence.points_per_week;
        (knows_weeks && self.mode.offset == 0.0).then(|| {
            let mut fresh = Self::new(self.config);
            fresh.core.baseline.lent = Some(Box::new(self.core.baseline.lend(self.mode, &self.cadence)));
            fresh
        })
    }

    /// Its settings.
    pub fn config(&self) -> SeasonalConfig {
        self.config
    }

    /// What the values are taken for: never [`ValueKind::Learned`], and final after the first two days.
    pub fn value_kind(&self) -> ValueKind {
        if self.cadence.is_weighted() {
            self.config.kind
        } else if self.mode.count {
            ValueKind::Count
        } else {
            ValueKind::Continuous
        }
    }

    /// What it has learned of the occasions it has seen to their end.
    pub fn occasions(&self) -> Vec<LearnedOccasion> {
        self.core.occasions.iter().flat_map(|occasions| occasions.learned()).collect()
    }

    /// Progress while warming up, `None` once the detector scores.
    pub fn learning(&self) -> Option<Learning> {
        let (seen, needed) = (self.core.learned(), self.cadence.short_warmup.ceil() as u64);
        (seen < needed).then_some(Learning { seen, needed })
    }

    /// Scores, then learns; `None` while warming up.
    pub fn observe(&mut self, observation: &Observation, policy: LearnPolicy) -> Option<Score> {
        let judged = self.judge(observation);
        self.apply(observation, &judged.prepared, policy);
        judged.score
    }

    /// What [`Detector::score`] says, for detectors that hold a seasonal view of their own.
    #[inline]
    pub(crate) fn judge(&self, observation: &Observation) -> Judged {
        if let Some(mode) = self.revised(observation) {
            let score = self.step(&self.refold(mode), mode, observation).score;
            return Judged { score, prepared: Prepared::Revise(mode) };
        }
        self.step(&self.core, self.mode, observation)
    }

    /// The slow level, and what it says for this time with the rhythm, in the unit of the measure.
    pub(crate) fn slow_view(&self, prepared: &Prepared) -> Option<(f64, f64)> {
        let Prepared::Step(step) = prepared else { return None };
        let (level, usual) = step.slow_view();
        Some((level - self.mode.offset, usual - self.mode.offset))
    }

    pub(crate) fn apply(&mut self, observation: &Observation, prepared: &Prepared, policy: LearnPolicy) {
        match prepared {
            Prepared::Step(step) => {
                self.core.learn(step, &self.cadence, policy);
                self.keep_opening(observation, policy, false);
            }
            Prepared::Revise(mode) => {
                self.core = self.refold(*mode);
                self.mode = *mode;
                let scored = self.step(&self.core, *mode, observation);
                if let Prepared::Step(step) = &scored.prepared {
                    self.core.learn(step, &self.cadence, policy);
                }
                self.keep_opening(observation, policy, true);
            }
        }
        let until = observation.civil_seconds().saturating_add(i64::from(self.config.interval_seconds));
        self.core.forget_expired(until);
    }

    #[inline]
    fn step(&self, core: &Core, mode: Mode, observation: &Observation) -> Judged {
        let input = self.input(mode, observation.value(), observation.weight());
        let time = (observation.civil_seconds(), observation.occasion());
        core.score(time, input, &self.cadence, mode, self.config.direction)
    }

    /// The value that the detector works with, and its exposure.
    #[inline]
    fn input(&self, mode: Mode, value: f64, weight: f64) -> (f64, f64) {
        let x = mode.shift(readable(value));
        if !self.cadence.is_weighted() {
            return (x, 1.0);
        }
        let exposure = weight.clamp(1.0 / MAX_EXPOSURE, MAX_EXPOSURE);
        ((x * exposure).min(MAX_VALUE), exposure)
    }

    #[inline]
    fn revised(&self, observation: &Observation) -> Option<Mode> {
        if observation.occasion().is_some() {
            return None;
        }
        self.opening.as_ref()?.revised(observation, self.mode, self.config.kind)
    }

    /// Takes in what somebody said about the running or the last alarm; whether it changed anything.
    pub(crate) fn hear(&mut self, said: &Said) -> bool {
        self.core.hear(said, &self.cadence)
    }

    /// The running or the last alarm of a side.
    pub(crate) fn last_alarm(&self, side: Side) -> Option<Alarm> {
        self.core.last_alarm(side)
    }

    /// The state as if `mode` had been known from the first observation.
    fn refold(&self, mode: Mode) -> Core {
        let mut core = Core::new(&self.cadence);
        // A profile of values that are shifted is another one.
        core.baseline.lent = self.core.baseline.lent.clone().filter(|_| mode.offset == 0.0);
        for point in self.opening.iter().flat_map(Opening::points) {
            let input = self.input(mode, point.value, point.weight);
            let time = (point.civil_seconds, None);
            let scored = core.score(time, input, &self.cadence, mode, self.config.direction);
            if let Prepared::Step(step) = &scored.prepared {
                core.learn(step, &self.cadence, point.policy());
            }
        }
        core.keep_feedback_of(&self.core);
        core
    }

    fn keep_opening(&mut self, observation: &Observation, policy: LearnPolicy, revised: bool) {
        let Some(opening) = self.opening.as_mut().filter(|_| observation.occasion().is_none()) else {
            return;
        };
        opening.keep(observation, policy, revised);
        if let Some(mode) = opening.verdict(self.config.kind, &self.cadence) {
            if mode != self.mode {
                self.core = self.refold(mode);
                self.mode = mode;
            }
            self.opening = None;
        }
    }
}

impl Detector for Seasonal {
    #[inline]
    fn score(&self, observation: &Observation) -> Scored {
        let Judged { score, prepared } = self.judge(observation);
        Scored { score, prepared: detector::Prepared::Seasonal(prepared) }
    }

    fn learn(&mut self, observation: &Observation, scored: Scored, policy: LearnPolicy) {
        if let detector::Prepared::Seasonal(prepared) = &scored.prepared {
            self.apply(observation, prepared, policy);
        }
    }
}
