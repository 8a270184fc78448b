//! The model of one series, and what it is told of a window.

use serde::{Deserialize, Serialize};
use tidewatch_detectors::{
    DetectorConfig, Explanation, LearnPolicy, Model, Observation, Occasion, Said, Score,
};

use super::Guard;
use crate::{anomaly::Reading, window::Cell};

/// How the series of one measure are judged.
#[derive(Clone, Debug)]
pub struct Judging {
    /// The detector.
    pub detector: DetectorConfig,
    /// An observation resting on less than this is kept but not judged: too thin to mean anything.
    pub min_weight: f64,
    /// A series whose windows rest on less than this in the mean is learned but not judged: one event more
    /// or less is its ordinary life, and the slices above it see what matters.
    pub min_mean_weight: f64,
    /// A ratio is judged where, at its mean so far, at least this would stand above the line: of thirty views
    /// that make one order, two orders are no news.
    pub min_numerator: f64,
    /// Which deviations are too small, which values cannot be.
    pub guard: Guard,
}

impl Judging {
    /// Every observation is judged.
    pub fn plain(detector: DetectorConfig) -> Self {
        Self { detector, min_weight: 0.0, min_mean_weight: 0.0, min_numerator: 0.0, guard: Guard::default() }
    }
}

/// What the models are told of a window of a slice besides its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Seconds on the wall clock of the slice.
    pub civil_seconds: i64,
    /// The occasion of the calendar, if it is one.
    pub occasion: Option<Occasion>,
    /// Nothing may be learned: the shop is known to be broken.
    pub hold: bool,
}

/// How far the series of one measure are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeasureProgress {
    /// Series kept.
    pub num_series: usize,
    /// Of these, how many have a model that scores.
    pub num_scoring: usize,
    /// How many have a model that has not scored yet.
    pub num_learning: usize,
    /// How many score, but rest on too few events to be judged.
    pub num_small: usize,
    /// Windows seen and needed of the learning series that is furthest behind.
    pub last: Option<(u64, u64)>,
    /// Windows seen and needed of the learning series that is furthest.
    pub first: Option<(u64, u64)>,
}

impl MeasureProgress {
    pub(super) fn add(&mut self, state: &SeriesState, judging: &Judging) {
        self.num_series += 1;
        let Some(model) = &state.model else { return };
        let Some(learning) = model.learning() else {
            self.num_scoring += 1;
            self.num_small += usize::from(state.is_small(judging));
            return;
        };
        self.num_learning += 1;
        let found = (learning.seen, learning.needed);
        self.last = Some(self.last.map_or(found, |last| if found.0 < last.0 { found } else { last }));
        self.first = Some(self.first.map_or(found, |first| if found.0 > first.0 { found } else { first }));
    }
}

/// Half-life of the mean weight, in windows, and how many windows it takes before it is trusted.
const WEIGHT_HALF_LIFE_WINDOWS: f64 = 500.0;

/// What is kept of one series: its model, and how much its windows rest on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SeriesState {
    pub(super) model: Option<Model>,
    mean_weight: f64,
    /// Mean of value x weight: a ratio's numerator.
    mean_numerator: f64,
    num_windows: u32,
}

/// Why a window was or was not flagged.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// What the detector says; `None` while one other than the seasonal warms up, or where nothing is judged.
    pub explanation: Option<Explanation>,
    /// What held it back outside of the detector.
    pub held_back: OutsideCauses,
    /// Windows seen and needed, while the series warms up.
    pub learning: Option<(u64, u64)>,
}

/// What can hold an alarm back outside of the detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutsideCauses {
    /// Too little stands behind the series, or this window, to judge it.
    pub thin: bool,
    /// A minimum change of the measure.
    pub guarded: bool,
    /// It is not learned: an outage, or reported as missed.
    pub excluded: bool,
}

impl SeriesState {
    /// Score first, learn second; the same for live windows and for frames folded after a restart.
    pub(super) fn observe(
        &mut self,
        judging: &Judging,
        cell: Option<Cell>,
        events: u64,
        seen: Seen,
    ) -> Option<Reading> {
        if events == 0 && cell.is_none() && !self.has_seen() {
            // Its slice was not there yet: a row of a past that was filled in later.
            return None;
        }
        let thin = self.is_thin(judging, cell);
        self.weigh(cell);
        let cell = cell?;
        let (mut score, mut expected) = (None, None);
        if let Some(observation) = observation(judging, cell, events, seen) {
            let model = self.model.get_or_insert_with(|| judging.detector.start());
            let policy = if seen.hold { LearnPolicy::Hold } else { LearnPolicy::Learn };
            let raw = model.observe(&observation, policy);
            expected = raw.map(|raw| raw.expected);
            score = raw.filter(|_| !thin).map(|raw| judging.guard.apply(cell.value, raw));
        }
        Some(Reading { actual: cell.value, score, expected })
    }

    /// Whether it was there in any window yet.
    pub(super) fn has_seen(&self) -> bool {
        self.num_windows > 0
    }

    /// Takes in what somebody said; whether it changed anything.
    pub(super) fn hear(&mut self, said: &Said) -> bool {
        self.model.as_mut().is_some_and(|model| model.hear(said))
    }

    /// Why a window is or would be judged as it is, from the state before it is learned.
    pub(super) fn explain(&self, judging: &Judging, cell: Cell, events: u64, seen: Seen) -> Why {
        let thin = self.is_thin(judging, Some(cell));
        let observation = observation(judging, cell, events, seen);
        let explained = |observation: &Observation| match &self.model {
            Some(model) => model.explain(observation),
            None => judging.detector.start().explain(observation),
        };
        let explanation = observation.as_ref().and_then(explained);
        let raw = explanation.as_ref().and_then(|explanation| explanation.score);
        let guarded = raw.map(|raw| judging.guard.apply(cell.value, raw));
        let is_guarded = |(guarded, raw): (Score, Score)| {
            guarded.page_log10_rate > raw.page_log10_rate || guarded.minor_log10_rate != raw.minor_log10_rate
        };
        Why {
            held_back: OutsideCauses {
                thin: thin || observation.is_none(),
                guarded: guarded.zip(raw).is_some_and(is_guarded),
                excluded: seen.hold,
            },
            learning: self
                .model
                .as_ref()
                .and_then(Model::learning)
                .map(|learning| (learning.seen, learning.needed)),
            explanation,
        }
    }

    /// Whether what the series rests on, or this window, is too little to judge by.
    pub(super) fn is_thin(&self, judging: &Judging, cell: Option<Cell>) -> bool {
        let Some(cell) = cell else { return true };
        let mean_ratio = if self.mean_weight > 0.0 { self.mean_numerator / self.mean_weight } else { 0.0 };
        self.mean_weight < judging.min_mean_weight
            || judging.min_numerator > 0.0 && cell.weight * mean_ratio < judging.min_numerator
    }

    /// Whether its windows rest on too little in the mean to be judged, as far as that is known.
    pub(super) fn is_small(&self, judging: &Judging) -> bool {
        self.num_windows > 0 && self.mean_weight < judging.min_mean_weight
    }

    fn weigh(&mut self, cell: Option<Cell>) {
        let (weight, numerator) = cell.map_or((0.0, 0.0), |cell| (cell.weight, cell.value * cell.weight));
        self.num_windows = self.num_windows.saturating_add(1);
        let rate = (1.0 / f64::from(self.num_windows)).max(1.0 - (-1.0 / WEIGHT_HALF_LIFE_WINDOWS).exp2());
        self.mean_weight += rate * (weight - self.mean_weight);
        self.mean_numerator += rate * (numerator - self.mean_numerator);
    }
}

/// What the detector sees of a window, if it may be judged.
fn observation(judging: &Judging, cell: Cell, events: u64, seen: Seen) -> Option<Observation> {
    let observation = Observation::new(seen.civil_seconds, cell.value, events)?;
    let observation = observation.with_weight(cell.weight).unwrap_or(observation);
    let observation = seen.occasion.map_or(observation, |occasion| observation.with_occasion(occasion));
    (cell.weight >= judging.min_weight).then_some(observation)
}
