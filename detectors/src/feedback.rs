//! What people say about alarms, and what it would change before it is said.
//!
//! Feedback is a row of the log like an observation, and a model is a fold over both. So undoing it is folding
//! again without the row, and asking what it would do is folding twice and comparing. Nothing here is special
//! to one detector.

use serde::{Deserialize, Serialize};

use crate::detector::LearnPolicy;
use crate::model::Model;
use crate::observation::Observation;
use crate::score::{Score, Side};

/// The severity at which a change of mind counts in [`preview`].
const CROSSED: f64 = 70.0;

/// What somebody says about the running alarm of one side, or else the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// It was expected: a later one on this side that is as high (the logarithm of what came to what was expected,
    /// up to 1.2 times that of this one) and as long (up to 1.5 times and 5 observations) is kept below severity
    /// 60, does not raise thresholds, and is learned as normal. A running alarm counts with its whole length.
    Expected {
        /// The side of the alarm.
        side: Side,
    },
    /// There was nothing: as `Expected`, and thresholds of this side rise by the step of one more alarm.
    FalseAlarm {
        /// The side of the alarm.
        side: Side,
    },
    /// It was real: it does not raise thresholds. Nothing else is learned.
    Confirmed {
        /// The side of the alarm.
        side: Side,
    },
    /// What came lately is the new normal: accepted now and not after half a day of alarm.
    NewNormal,
    /// There was something and nobody was told: page thresholds of this side fall by a tenth, by a quarter at most,
    /// and stay there until later alarms raise them again.
    Missed {
        /// The side it was on.
        side: Side,
    },
}

/// An alarm in numbers, for one that is neither running nor the last of its series, or of another series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Above or below.
    pub side: Side,
    /// The logarithm of what came to what was expected at its height, without its sign.
    pub height: f64,
    /// From its first to its last observation.
    pub length: u32,
}

/// Feedback with what it is about and how long it holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// What somebody says.
    pub feedback: Feedback,
    /// The alarm it is about; `None` is the running or the last one of the series.
    pub about: Option<Alarm>,
    /// On the clock of [`Observation::civil_seconds`]: alarms from then on are silenced no more.
    pub expires: Option<i64>,
}

impl From<Feedback> for Said {
    fn from(feedback: Feedback) -> Self {
        Self { feedback, about: None, expires: None }
    }
}

/// A row of the log that a model is folded over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry {
    /// A window closed with this value.
    Observed(Observation, LearnPolicy),
    /// Somebody said something.
    Said(Feedback),
}

/// The state after all `entries` in order, from a `model` before them.
///
/// To undo feedback, leave its row out: the result is bit for bit that of a log which never had it.
#[must_use]
pub fn rebuild<'a>(mut model: Model, entries: impl IntoIterator<Item = &'a Entry>) -> Model {
    for entry in entries {
        match entry {
            Entry::Observed(observation, policy) => {
                model.observe(observation, *policy);
            }
            Entry::Said(feedback) => {
                model.apply(feedback);
            }
        }
    }
    model
}

/// An observation whose page or minor severity feedback would lift to 70, or take below it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// Its place among the observations, from 0.
    pub index: usize,
    /// Its time; see [`Observation::civil_seconds`].
    pub civil_seconds: i64,
    /// The score without the feedback.
    pub without: Score,
    /// The score with it.
    pub with: Score,
}

/// What `feedback`, said to `before`, would change among the `observations` that come after.
///
/// Changes nothing. All observations are learned; a score that only moves on its own side of 70 is not listed.
pub fn preview(before: &Model, observations: &[Observation], feedback: &Feedback) -> Vec<Crossing> {
    let (mut plain, mut told) = (before.clone(), before.clone());
    if !told.apply(feedback) {
        return Vec::new();
    }
    let mut crossings = Vec::new();
    for (index, observation) in observations.iter().enumerate() {
        let scores = [&mut plain, &mut told].map(|model| model.observe(observation, LearnPolicy::Learn));
        if let [Some(without), Some(with)] = scores
            && (loud(without.severity()) != loud(with.severity())
                || loud(without.minor()) != loud(with.minor()))
        {
            crossings.push(Crossing { index, civil_seconds: observation.civil_seconds(), without, with });
        }
    }
    crossings
}

fn loud(severity: f64) -> bool {
    severity >= CROSSED
}
