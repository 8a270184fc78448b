//! The two verbs of every detector, and training as a fold of them.
//!
//! A detector starts empty, scores first and learns second; the caller owns the order and decides what may be
//! learned. No clock, no chance, no I/O: the same observations give the same scores, bit for bit.

use std::fmt;

use crate::observation::Observation;
use crate::score::Score;
use crate::{change, forest, novelty, seasonal};

/// Judges observations of one series and learns them.
pub trait Detector {
    /// What the detector says about `observation`, with the update that learning it would make.
    ///
    /// Never changes the detector. The score is `None` while the detector warms up. High severity means odd.
    fn score(&self, observation: &Observation) -> Scored;

    /// Takes in the observation that `scored` was made for; any other is a mistake of the caller.
    fn learn(&mut self, observation: &Observation, scored: Scored, policy: LearnPolicy);
}

/// Builds a model from history.
pub trait Train {
    /// What training gives.
    type Trained: Detector;

    /// Scores and learns `history` in order.
    fn train(&self, history: &[Observation]) -> Result<Self::Trained, TrainError>;
}

/// Whether an observation may change what the detector takes for normal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LearnPolicy {
    /// Everything moves.
    #[default]
    Learn,
    /// Recent sums and alarm bookkeeping move; baseline, variance and calibration learn nothing.
    Hold,
}

/// A score together with the update that learning the same observation will apply.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The verdict; `None` while the detector warms up.
    pub score: Option<Score>,
    pub(crate) prepared: Prepared,
}

/// What learning applies, by detector. One that was made by another kind is ignored.
#[derive(Clone, Debug)]
pub(crate) enum Prepared {
    Seasonal(seasonal::Prepared),
    Novelty(novelty::Step),
    Forest(forest::Step),
    Change(change::Step),
    /// Learning needs the observation only.
    Nothing,
}

/// What is missing in a history to learn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrainError {
    /// The model would still be warming up at the end.
    TooShort {
        /// Observations the detector needs before it may speak.
        needed: u64,
        /// Observations the history has.
        given: u64,
    },
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { needed, given } => write!(f, "needs {needed} observations, has {given}"),
        }
    }
}

impl std::error::Error for TrainError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_history_says_what_is_missing() {
        let error = TrainError::TooShort { needed: 360, given: 12 };
        assert_eq!(error.to_string(), "needs 360 observations, has 12");
    }
}
