//! What joint detectors share: residuals of the measures, a bounded sample of them, refits, and the tail.
//!
//! Each measure has a seasonal view of its own; what remains after it, in units of its usual size, is the vector.
//! A law (mixture or subspace) is fitted to a seeded sample of ordinary vectors again about once a day. A missing
//! value counts as what was expected, so it has no say.

use serde::{Deserialize, Serialize};

use super::{JointConfig, JointDetector, JointObservation, JointScore, JointScored};
use crate::detector::LearnPolicy;
use crate::forest::Chance;
use crate::model::Learning;
use crate::score::{Reason, Score, Side};
use crate::seasonal::{self, Seasonal};
use crate::tail::{Admission, AlarmRun, Pace, QUIET_LOG10_RATE, Tail};

/// Vectors in the sample, and how many the first fit needs.
const SAMPLE: usize = 512;
const FIRST_FIT: usize = 200;
/// Residuals count with at most so many times their usual size.
const MOST_RESIDUAL: f64 = 20.0;
/// Distances below this are ordinary and never alarm.
const LEAST_DISTANCE: f64 = 0.5;

/// A law of ordinary vectors.
pub trait Law: Sized + Clone + std::fmt::Debug + PartialEq {
    /// Windows in a row that make one vector.
    const WINDOWS: usize;

    /// Fits a sample of equally long vectors; `None` where no law can be found, and the old one stays.
    fn fit(sample: &[Vec<f64>], seed: u64) -> Option<Self>;

    /// Distance of a vector from the law, and the deviation of each value of it that remains once the others are
    /// known.
    fn distance(&self, vector: &[f64]) -> (f64, Vec<f64>);
}

/// A joint detector with law `L`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation<L> {
    config: JointConfig,
    margins: Vec<Margin>,
    /// Residuals of the newest windows, oldest first.
    recent: Vec<f64>,
    sample: Vec<Vec<f64>>,
    chance: Chance,
    law: Option<L>,
    since_fit: u32,
    seen: u64,
    tail: Tail,
    alarm: AlarmRun,
    mean_distance: f64,
}

/// One measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Margin {
    seasonal: Seasonal,
    /// Mean size of the values, and mean square of raw residuals.
    size: f64,
    square: f64,
    seen: u64,
}

/// What one measure's seasonal view prepared, and its residual before scaling; `None` for a missing value.
type View = Option<(seasonal::Prepared, Option<f64>)>;

/// What learning applies.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    margins: Vec<View>,
    vector: Option<Vec<f64>>,
    distance: Option<f64>,
    alarming: bool,
}

impl Margin {
    /// The residual before scaling: over the root of what was expected, as counts have it.
    fn raw(&self, value: f64, expected: f64) -> f64 {
        (value - expected) / expected.abs().max(0.05 * self.size).max(1e-9).sqrt()
    }

    fn scaled(&self, raw: f64) -> f64 {
        (raw / self.square.sqrt().max(1e-9)).clamp(-MOST_RESIDUAL, MOST_RESIDUAL)
    }

    fn learn(&mut self, value: f64, raw: Option<f64>, memory: f64) {
        self.seen += 1;
        let rate = (1.0 / memory).max(1.0 / self.seen as f64);
        self.size += rate * (value.abs().min(1e30) - self.size);
        if let Some(raw) = raw {
            // After the first hundred, one outlier counts as four usual residuals at most.
            let most = if self.seen > 100 { 16.0 * self.square } else { f64::MAX };
            self.square += rate * ((raw * raw).min(most) - self.square);
        }
    }
}

impl<L: Law> Relation<L> {
    pub(super) fn new(config: JointConfig) -> Self {
        let margin = |measure| Margin {
            seasonal: Seasonal::new(config.seasonal(measure)),
            size: 0.0,
            square: 0.0,
            seen: 0,
        };
        Self {
            margins: (0..config.measures.len()).map(margin).collect(),
            recent: Vec::new(),
            sample: Vec::new(),
            chance: Chance(config.seed),
            law: None,
            since_fit: 0,
            seen: 0,
            tail: Tail::new(LEAST_DISTANCE),
            alarm: AlarmRun::default(),
            mean_distance: 0.0,
            config,
        }
    }

    /// Progress while warming up, `None` once the detector scores.
    pub fn learning(&self) -> Option<Learning> {
        let needed = self.pace().warmup();
        if self.tail.seen() >= needed {
            return None;
        }
        let before =
            self.margins.iter().filter_map(|margin| margin.seasonal.learning()).map(|margin| margin.needed);
        let needed = before.max().unwrap_or(0) + FIRST_FIT as u64 + needed;
        Some(Learning { seen: self.seen.min(needed - 1), needed })
    }

    fn pace(&self) -> Pace {
        Pace::new(self.config.interval_seconds, 1)
    }

    /// The seasonal views, and the vector once all of them speak.
    fn read(&self, observation: &JointObservation<'_>) -> (Vec<View>, Option<Vec<f64>>) {
        let mut newest = Some(Vec::with_capacity(self.margins.len()));
        let mut views = Vec::with_capacity(self.margins.len());
        for (index, margin) in self.margins.iter().enumerate() {
            let judged = observation
                .single(index)
                .map(|single| (margin.seasonal.judge(&single), single.value().clamp(-1e30, 1e30)));
            let raw =
                judged.as_ref().and_then(|(judged, value)| Some(margin.raw(*value, judged.score?.expected)));
            match (raw, margin.seasonal.learning().is_none()) {
                (Some(raw), _) => newest.iter_mut().for_each(|newest| newest.push(margin.scaled(raw))),
                (None, true) => newest.iter_mut().for_each(|newest| newest.push(0.0)),
                (None, false) => newest = None,
            }
            views.push(judged.map(|(judged, _)| (judged.prepared, raw)));
        }
        let vector = newest.and_then(|newest| {
            let kept = (L::WINDOWS - 1) * self.margins.len();
            let before = self.recent.len().checked_sub(kept)?;
            Some([&self.recent[before..], &newest].concat())
        });
        (views, vector)
    }

    fn verdict(&self, rate: f64, distance: f64, parts: &[f64]) -> JointScore {
        let width = self.margins.len();
        let newest = &parts[parts.len().saturating_sub(width)..];
        let loudest =
            (0..newest.len()).max_by(|a, b| newest[*a].abs().total_cmp(&newest[*b].abs())).unwrap_or(0);
        let drops = newest.get(loudest).is_some_and(|part| *part < 0.0);
        let score = Score {
            expected: self.mean_distance,
            lower: 0.0,
            upper: self.tail.threshold(&self.pace()).max(self.mean_distance),
            page_log10_rate: rate,
            minor_log10_rate: rate,
            side: if drops { Side::Drop } else { Side::Rise },
            reason: if rate < 0.5 { Reason::Relation } else { Reason::Quiet },
        };
        JointScore { score, distance, loudest }
    }

    fn remember(&mut self, vector: Vec<f64>, always: bool) {
        if self.sample.len() < SAMPLE {
            self.sample.push(vector);
            return;
        }
        let kept = SAMPLE as f64 / (2.0 * self.pace().points_per_week).max(2.0 * SAMPLE as f64);
        if always || self.chance.uniform() < kept {
            let place = self.chance.below(SAMPLE);
            self.sample[place] = vector;
        }
    }

    fn refit(&mut self) {
        let per_day = (86_400 / self.config.interval_seconds).clamp(48, 1_440);
        self.since_fit += 1;
        let due = if self.law.is_none() { self.sample.len() >= FIRST_FIT } else { self.since_fit >= per_day };
        if due {
            self.since_fit = 0;
            let seed = self.chance.next();
            if let Some(law) = L::fit(&self.sample, seed) {
                self.law = Some(law);
            }
        }
    }
}

impl<L: Law> JointDetector for Relation<L> {
    fn score(&self, observation: &JointObservation<'_>) -> JointScored {
        let (margins, vector) = self.read(observation);
        let judged = vector.as_ref().zip(self.law.as_ref()).map(|(vector, law)| law.distance(vector));
        let pace = self.pace();
        let rate =
            judged.as_ref().map_or(QUIET_LOG10_RATE, |(distance, _)| self.tail.log10_rate(*distance, &pace));
        let score = self.learning().is_none().then(|| {
            let (distance, parts) =
                judged.as_ref().map_or((0.0, &[][..]), |(distance, parts)| (*distance, parts));
            self.verdict(rate, distance, parts)
        });
        let distance = judged.map(|(distance, _)| distance);
        JointScored { score, step: Step { margins, vector, distance, alarming: rate < 0.0 } }
    }

    fn learn(&mut self, observation: &JointObservation<'_>, scored: JointScored, policy: LearnPolicy) {
        let Step { margins, vector, distance, alarming } = scored.step;
        let learns = policy == LearnPolicy::Learn && !observation.is_occasion();
        let pace = self.pace();
        let mut newest = Vec::with_capacity(self.margins.len());
        for (index, (margin, view)) in self.margins.iter_mut().zip(margins).enumerate() {
            let (Some(single), Some((prepared, raw))) = (observation.single(index), view) else {
                newest.push(0.0);
                continue;
            };
            newest.push(raw.map_or(0.0, |raw| margin.scaled(raw)));
            margin.seasonal.apply(&single, &prepared, policy);
            if learns {
                margin.learn(single.value(), raw, pace.points_per_week.max(200.0));
            }
        }
        let kept = (L::WINDOWS - 1) * self.margins.len();
        self.recent.extend(newest);
        self.recent.drain(..self.recent.len().saturating_sub(kept));
        if !learns {
            return;
        }
        self.seen += 1;
        if let Some(distance) = distance {
            self.tail.learn(distance, &pace);
            let rate = (1.0 / 500.0_f64).max(1.0 / self.tail.seen() as f64);
            self.mean_distance += rate * (distance - self.mean_distance);
        }
        let admission = self.alarm.follow(alarming && self.learning().is_none(), &pace);
        if let Some(vector) = vector
            && admission != Admission::Refuse
        {
            self.remember(vector, admission == Admission::Accept);
        }
        self.refit();
    }
}
