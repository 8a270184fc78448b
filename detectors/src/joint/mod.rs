//! Joint detectors: several measures of one slice judged together, for what no single series shows.
//!
//! The same two verbs as for single series, over a vector with one value per measure. [`JointModel`] is the closed list
//! and what is saved; [`Mixture`] and [`Components`] are the pages.

mod components;
mod mixture;
mod relation;

use serde::{Deserialize, Deserializer, Serialize, de::Error};

pub use self::components::Components;
pub use self::mixture::Mixture;
use self::relation::{Relation, Step};
use crate::config::{ConfigError, SeasonalConfig, ValueKind, check_interval};
use crate::detector::LearnPolicy;
use crate::model::Learning;
use crate::observation::{Observation, Occasion};
use crate::score::{Direction, Score};

/// The values of several measures of one slice in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointObservation<'a> {
    civil_seconds: i64,
    values: &'a [Option<f64>],
    occasion: Option<Occasion>,
}

impl<'a> JointObservation<'a> {
    /// An observation, or `None` unless every value is finite and at least two are there.
    ///
    /// `civil_seconds` as in [`Observation`](crate::Observation); `values` in the order of the measures.
    pub fn new(civil_seconds: i64, values: &'a [Option<f64>]) -> Option<Self> {
        let present = values.iter().flatten().count();
        let sound = values.iter().flatten().all(|value| value.is_finite());
        (sound && present >= 2).then_some(Self { civil_seconds, values, occasion: None })
    }

    /// The same on an occasion of the calendar: each measure is expected as it was on earlier ones, and the relation
    /// learns nothing from it.
    #[must_use]
    pub fn with_occasion(self, occasion: Occasion) -> Self {
        Self { occasion: Some(occasion), ..self }
    }

    pub(crate) fn is_occasion(&self) -> bool {
        self.occasion.is_some()
    }

    /// The observation of one measure, if it is there.
    pub(crate) fn single(&self, measure: usize) -> Option<Observation> {
        let value = self.values.get(measure).copied().flatten()?;
        let single = Observation::new(self.civil_seconds, value, 1)?;
        Some(self.occasion.map_or(single, |occasion| single.with_occasion(occasion)))
    }
}

/// What a joint detector says.
///
/// The value judged is the distance of the vector from what is usual: `expected` is its mean, `lower` is 0 and
/// `upper` has severity 70. Severities mean the same as those of single series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct JointScore {
    /// The verdict; `side` is that of the loudest measure.
    pub score: Score,
    /// The distance, without a unit.
    pub distance: f64,
    /// Index of the measure that fits the others least.
    pub loudest: usize,
}

/// A joint score together with the update that learning the same observation will apply.
#[derive(Clone, Debug)]
pub struct JointScored {
    /// The verdict; `None` while the detector warms up.
    pub score: Option<JointScore>,
    pub(crate) step: Step,
}

/// Judges vectors of measures and learns them; [`Detector`](crate::Detector) has the promises.
pub trait JointDetector {
    /// What the detector says about `observation`. Never changes the detector.
    fn score(&self, observation: &JointObservation<'_>) -> JointScored;

    /// Takes in the observation that `scored` was made for.
    fn learn(&mut self, observation: &JointObservation<'_>, scored: JointScored, policy: LearnPolicy);
}

/// Which joint detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JointKind {
    /// See [`Mixture`].
    Mixture,
    /// See [`Components`].
    Components,
}

/// Settings of a joint detector; the twin of [`JointModel`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct JointConfig {
    /// Which detector.
    pub kind: JointKind,
    /// Width of one window in seconds, 10..=86400.
    pub interval_seconds: u32,
    /// What the values of each measure are; 2 to 8 measures.
    pub measures: Vec<ValueKind>,
    /// Where its chance begins.
    pub seed: u64,
}

#[derive(Deserialize)]
struct Unchecked {
    kind: JointKind,
    interval_seconds: u32,
    measures: Vec<ValueKind>,
    seed: u64,
}

impl TryFrom<Unchecked> for JointConfig {
    type Error = ConfigError;

    fn try_from(raw: Unchecked) -> Result<Self, ConfigError> {
        Self::new(raw.kind, raw.interval_seconds, raw.measures, raw.seed)
    }
}

impl JointConfig {
    /// Checked settings.
    pub fn new(
        kind: JointKind,
        interval_seconds: u32,
        measures: Vec<ValueKind>,
        seed: u64,
    ) -> Result<Self, ConfigError> {
        check_interval(interval_seconds)?;
        if !(2..=8).contains(&measures.len()) {
            return Err(ConfigError::Setting { setting: "measures", expected: "2 to 8 measures" });
        }
        Ok(Self { kind, interval_seconds, measures, seed })
    }

    /// A model that has seen nothing.
    pub fn start(&self) -> JointModel {
        match self.kind {
            JointKind::Mixture => JointModel::Mixture(Box::new(Relation::new(self.clone()))),
            JointKind::Components => JointModel::Components(Box::new(Relation::new(self.clone()))),
        }
    }

    /// Scores and learns `history` in order.
    pub fn train<'a>(&self, history: impl IntoIterator<Item = JointObservation<'a>>) -> JointModel {
        let mut model = self.start();
        for observation in history {
            model.observe(&observation, LearnPolicy::Learn);
        }
        model
    }

    fn seasonal(&self, measure: usize) -> SeasonalConfig {
        SeasonalConfig::new(self.interval_seconds, self.measures[measure], Direction::Both)
            .expect("the interval was checked when the settings were made")
    }
}

/// The fitted state of a joint detector for one slice. Saved like [`Model`](crate::Model), with a version of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum JointModel {
    /// Gaussian mixture of residuals.
    Mixture(Box<Relation<mixture::Gaussians>>),
    /// Principal components over windows.
    Components(Box<Relation<components::Subspace>>),
}

impl JointModel {
    /// Version of the saved form.
    pub const STATE_VERSION: u32 = 2;

    /// Progress while warming up, `None` once the model scores.
    pub fn learning(&self) -> Option<Learning> {
        match self {
            Self::Mixture(relation) => relation.learning(),
            Self::Components(relation) => relation.learning(),
        }
    }

    /// Scores, then learns; `None` while warming up.
    pub fn observe(&mut self, observation: &JointObservation<'_>, policy: LearnPolicy) -> Option<JointScore> {
        let JointScored { score, step } = self.score(observation);
        self.learn(observation, JointScored { score, step }, policy);
        score
    }
}

impl JointDetector for JointModel {
    fn score(&self, observation: &JointObservation<'_>) -> JointScored {
        match self {
            Self::Mixture(relation) => relation.score(observation),
            Self::Components(relation) => relation.score(observation),
        }
    }

    fn learn(&mut self, observation: &JointObservation<'_>, scored: JointScored, policy: LearnPolicy) {
        match self {
            Self::Mixture(relation) => relation.learn(observation, scored, policy),
            Self::Components(relation) => relation.learn(observation, scored, policy),
        }
    }
}

#[derive(Serialize)]
#[serde(rename = "JointModel")]
struct Saving<'a> {
    version: u32,
    kind: SavingKind<'a>,
}

#[derive(Serialize)]
#[serde(rename = "JointKind", rename_all = "snake_case")]
enum SavingKind<'a> {
    Mixture(&'a Relation<mixture::Gaussians>),
    Components(&'a Relation<components::Subspace>),
}

#[derive(Deserialize)]
#[serde(rename = "JointModel")]
struct Saved {
    version: u32,
    kind: SavedKind,
}

#[derive(Deserialize)]
#[serde(rename = "JointKind", rename_all = "snake_case")]
enum SavedKind {
    Mixture(Box<Relation<mixture::Gaussians>>),
    Components(Box<Relation<components::Subspace>>),
}

impl Serialize for JointModel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = match self {
            Self::Mixture(relation) => SavingKind::Mixture(relation),
            Self::Components(relation) => SavingKind::Components(relation),
        };
        Saving { version: Self::STATE_VERSION, kind }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JointModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        if saved.version != Self::STATE_VERSION {
            return Err(D::Error::custom("joint model state of another version"));
        }
        Ok(match saved.kind {
            SavedKind::Mixture(relation) => Self::Mixture(relation),
            SavedKind::Components(relation) => Self::Components(relation),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three counts with a common swing; from `broken` on the third no longer follows.
    pub(super) fn funnel(windows: i64, broken: Option<i64>, factor: f64) -> Vec<(i64, Vec<Option<f64>>)> {
        let mut chance = crate::forest::Chance(11);
        let mut normal = move || (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0;
        let mut swing = 0.0;
        (0..windows)
            .map(|window| {
                swing = 0.9 * swing + 0.1 * normal();
                let day = (window % 288) as f64 / 288.0;
                let traffic = (1.0 + swing) * (0.5 + 3.0 * day * (1.0 - day));
                let mut values: Vec<Option<f64>> = [2_000.0, 600.0, 200.0]
                    .map(|mean| (mean * traffic).max(1.0))
                    .map(|mean| Some((mean + mean.sqrt() * normal()).round().max(0.0)))
                    .to_vec();
                if broken.is_some_and(|broken| window >= broken) {
                    values[2] = values[2].map(|value| (value * factor).round());
                }
                (window * 300, values)
            })
            .collect()
    }

    pub(super) fn run(kind: JointKind, series: &[(i64, Vec<Option<f64>>)]) -> Vec<Option<JointScore>> {
        let kinds = vec![ValueKind::Count; 3];
        let mut model = JointConfig::new(kind, 300, kinds, 1).unwrap().start();
        series
            .iter()
            .map(|(time, values)| {
                let observation = JointObservation::new(*time, values).unwrap();
                model.observe(&observation, LearnPolicy::Learn)
            })
            .collect()
    }

    #[test]
    fn a_broken_relation_is_found_and_names_its_measure() {
        let broken = 288 * 28 + 140;
        for kind in [JointKind::Mixture, JointKind::Components] {
            let scores = run(kind, &funnel(broken + 12, Some(broken), 0.6));
            let alarm =
                scores[broken as usize..].iter().flatten().find(|score| score.score.severity() >= 70.0);
            assert_eq!(alarm.map(|alarm| alarm.loudest), Some(2), "{kind:?}");
            let before =
                scores[..broken as usize].iter().flatten().filter(|score| score.score.severity() >= 70.0);
            assert!(before.count() < 30, "{kind:?}");
        }
    }

    #[test]
    fn saving_loading_and_scoring_leave_no_trace() {
        for kind in [JointKind::Mixture, JointKind::Components] {
            let mut model = JointConfig::new(kind, 300, vec![ValueKind::Count; 3], 1).unwrap().start();
            let mut restored = model.clone();
            for (index, (time, mut values)) in funnel(1_800, None, 1.0).into_iter().enumerate() {
                if index % 17 == 3 {
                    values[index % 3] = None;
                }
                if index % 7 == 3 && index % 3 == 0 {
                    values[1] = Some([1e300, -1e300, 1e-300][index % 3]);
                }
                let observation = JointObservation::new(time, &values).unwrap();
                if index % 300 == 299 {
                    let binary = postcard::to_allocvec(&restored).unwrap();
                    restored = postcard::from_bytes(&binary).unwrap();
                    let text = serde_json::to_string(&restored).unwrap();
                    restored = serde_json::from_str(&text).unwrap();
                    assert_eq!(model, restored);
                    let before = model.clone();
                    let scored = model.score(&observation).score;
                    assert_eq!(scored.is_none(), model.learning().is_some());
                    assert_eq!(model, before);
                }
                let score = model.observe(&observation, LearnPolicy::Learn);
                assert_eq!(score, restored.observe(&observation, LearnPolicy::Learn));
                let sound = |score: JointScore| {
                    score.distance.is_finite()
                        && score.score.expected <= score.score.upper
                        && score.score.upper.is_finite()
                };
                assert!(score.is_none_or(sound), "{score:?}");
            }
            assert!(model.learning().is_none());
        }
    }
}
