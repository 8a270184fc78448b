//! The list of detectors: every kind of model, what it is saved as, and how it is run.
//!
//! A new detector is one more variant here and in [`DetectorConfig`](crate::DetectorConfig). Saved models
//! carry [`Model::STATE_VERSION`]; a state of another version is refused rather than guessed at.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::change::Change;
use crate::detector::{Detector, LearnPolicy, Scored};
use crate::explain::Explanation;
use crate::feedback::{Alarm, Feedback, Said};
use crate::flatline::Flatline;
use crate::forest::Forest;
use crate::novelty::Novelty;
use crate::observation::{LearnedOccasion, Observation};
use crate::score::{Score, Side};
use crate::seasonal::Seasonal;
use crate::threshold::Threshold;

/// The fitted state of a detector for one series.
///
/// Saved as a version followed by the kind (`{"version":4,"kind":{"seasonal":{..}}}` in JSON), in any serde
/// format, also in those that do not describe themselves. Save it in a format that keeps every bit of a float,
/// or scores after loading may differ in the last digits.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// Daily and weekly seasons.
    // Every kind is boxed: a million seasonal series do not pay for the largest of them.
    Seasonal(Box<Seasonal>),
    /// Values a gauge has never shown.
    Novelty(Box<Novelty>),
    /// Patterns that are not remembered.
    Forest(Box<Forest>),
    /// Percent against the windows before, or a season ago.
    Change(Box<Change>),
    /// Hard bounds.
    Threshold(Box<Threshold>),
    /// No change for so long.
    Flatline(Box<Flatline>),
}

/// How far a model is with its warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learning {
    /// Observations learned so far.
    pub seen: u64,
    /// Observations needed before the first score.
    pub needed: u64,
}

impl Model {
    /// Version of the saved form.
    pub const STATE_VERSION: u32 = 4;

    /// Progress while warming up, `None` once the model scores.
    pub fn learning(&self) -> Option<Learning> {
        match self {
            Self::Seasonal(seasonal) => seasonal.learning(),
            Self::Novelty(novelty) => novelty.learning(),
            Self::Forest(forest) => forest.learning(),
            Self::Change(change) => change.learning(),
            Self::Threshold(threshold) => threshold.learning(),
            Self::Flatline(flatline) => flatline.learning(),
        }
    }

    /// What it has learned of the occasions it has seen to their end; nothing on every detector but the seasonal one.
    pub fn occasions(&self) -> Vec<LearnedOccasion> {
        if let Self::Seasonal(seasonal) = self { seasonal.occasions() } else { Vec::new() }
    }

    /// Why `observation` has the score it has, flagged or not; `None` while a detector other than the seasonal
    /// one warms up.
    ///
    /// Computed anew from the state before the observation is learned; costs nothing where nobody asks.
    pub fn explain(&self, observation: &Observation) -> Option<Explanation> {
        if let Self::Seasonal(seasonal) = self {
            return Some(seasonal.explain(observation));
        }
        self.score(observation).score.map(|score| Explanation::plain(observation.value(), score))
    }

    /// Takes in what somebody said about the running or the last alarm, with effect from the next observation.
    ///
    /// Returns whether it changed anything: false where there was no such event, and on every detector but the
    /// seasonal one, whose alarms follow from rules or from what the series has shown.
    pub fn apply(&mut self, feedback: &Feedback) -> bool {
        self.hear(&Said::from(*feedback))
    }

    /// As [`Model::apply`], about an alarm in numbers if `said` has one, and until it expires.
    pub fn hear(&mut self, said: &Said) -> bool {
        match self {
            Self::Seasonal(seasonal) => seasonal.hear(said),
            _ => false,
        }
    }

    /// A model for another series of the same measure, which starts from the rhythm of this one. `None` where
    /// there is none to lend: before two weeks, and for detectors other than the seasonal one.
    #[must_use]
    pub fn start_like(&self) -> Option<Self> {
        match self {
            Self::Seasonal(seasonal) => Some(Self::Seasonal(Box::new(seasonal.start_like()?))),
            _ => None,
        }
    }

    /// The running or the last alarm of a side in numbers; `None` where there was none, and on every detector but
    /// the seasonal one.
    pub fn last_alarm(&self, side: Side) -> Option<Alarm> {
        match self {
            Self::Seasonal(seasonal) => seasonal.last_alarm(side),
            _ => None,
        }
    }

    /// Scores, then learns; `None` while warming up.
    pub fn observe(&mut self, observation: &Observation, policy: LearnPolicy) -> Option<Score> {
        // The road of a million series: what is prepared does not leave the seasonal detector.
        if let Self::Seasonal(seasonal) = self {
            return seasonal.observe(observation, policy);
        }
        let Scored { score, prepared } = self.score(observation);
        self.learn(observation, Scored { score, prepared }, policy);
        score
    }
}

impl Detector for Model {
    fn score(&self, observation: &Observation) -> Scored {
        match self {
            Self::Seasonal(seasonal) => seasonal.score(observation),
            Self::Novelty(novelty) => novelty.score(observation),
            Self::Forest(forest) => forest.score(observation),
            Self::Change(change) => change.score(observation),
            Self::Threshold(threshold) => threshold.score(observation),
            Self::Flatline(flatline) => flatline.score(observation),
        }
    }

    fn learn(&mut self, observation: &Observation, scored: Scored, policy: LearnPolicy) {
        match self {
            Self::Seasonal(seasonal) => seasonal.learn(observation, scored, policy),
            Self::Novelty(novelty) => novelty.learn(observation, scored, policy),
            Self::Forest(forest) => forest.learn(observation, scored, policy),
            Self::Change(change) => change.learn(observation, scored, policy),
            Self::Threshold(threshold) => threshold.learn(observation, scored, policy),
            Self::Flatline(flatline) => flatline.learn(observation, scored, policy),
        }
    }
}

#[derive(Serialize)]
#[serde(rename = "Model")]
struct Saving<'a> {
    version: u32,
    kind: SavingKind<'a>,
}

#[derive(Serialize)]
#[serde(rename = "Kind", rename_all = "snake_case")]
enum SavingKind<'a> {
    Seasonal(&'a Seasonal),
    Novelty(&'a Novelty),
    Forest(&'a Forest),
    Change(&'a Change),
    Threshold(&'a Threshold),
    Flatline(&'a Flatline),
}

#[derive(Deserialize)]
#[serde(rename = "Model")]
struct Saved {
    #[serde(rename = "version", deserialize_with = "known_version")]
    _version: u32,
    kind: SavedKind,
}

#[derive(Deserialize)]
#[serde(rename = "Kind", rename_all = "snake_case")]
enum SavedKind {
    Seasonal(Box<Seasonal>),
    Novelty(Box<Novelty>),
    Forest(Box<Forest>),
    Change(Box<Change>),
    Threshold(Box<Threshold>),
    Flatline(Box<Flatline>),
}

/// Refuses before the rest is read, so that the message is about the version and not about a field.
fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == Model::STATE_VERSION {
        Ok(version)
    } else {
        let known = Model::STATE_VERSION;
        Err(D::Error::custom(format_args!("model state has version {version}, this build reads {known}")))
    }
}

impl Serialize for Model {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = match self {
            Self::Seasonal(seasonal) => SavingKind::Seasonal(seasonal),
            Self::Novelty(novelty) => SavingKind::Novelty(novelty),
            Self::Forest(forest) => SavingKind::Forest(forest),
            Self::Change(change) => SavingKind::Change(change),
            Self::Threshold(threshold) => SavingKind::Threshold(threshold),
            Self::Flatline(flatline) => SavingKind::Flatline(flatline),
        };
        Saving { version: Self::STATE_VERSION, kind }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Saved::deserialize(deserializer)?.kind {
            SavedKind::Seasonal(seasonal) => Self::Seasonal(seasonal),
            SavedKind::Novelty(novelty) => Self::Novelty(novelty),
            SavedKind::Forest(forest) => Self::Forest(forest),
            SavedKind::Change(change) => Self::Change(change),
            SavedKind::Threshold(threshold) => Self::Threshold(threshold),
            SavedKind::Flatline(flatline) => Self::Flatline(flatline),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DetectorConfig, Direction, SeasonalConfig, ValueKind};

    fn start() -> Model {
        let config = SeasonalConfig::new(3_600, ValueKind::Learned, Direction::Both).unwrap();
        DetectorConfig::Seasonal(config).start()
    }

    #[test]
    fn the_version_comes_first_and_is_checked() {
        let saved = serde_json::to_string(&start()).unwrap();
        assert!(saved.starts_with(r#"{"version":4,"kind":{"seasonal":{"#), "{saved:.60}");
        let newer = saved.replacen(r#""version":4"#, r#""version":5"#, 1);
        let refused = serde_json::from_str::<Model>(&newer).unwrap_err().to_string();
        assert!(refused.contains("model state has version 5, this build reads 4"), "{refused}");
    }

    #[test]
    fn learning_ends_when_scores_begin() {
        let mut model = start();
        assert_eq!(model.learning(), Some(Learning { seen: 0, needed: 30 }));
        for hour in 0..31_i64 {
            let warming_up = model.learning().is_some();
            let observation = Observation::new(hour * 3_600, 5.0, 5).unwrap();
            assert_eq!(model.observe(&observation, LearnPolicy::Learn).is_none(), warming_up);
        }
    }
}
