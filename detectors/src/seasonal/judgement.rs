//! What was judged about one observation: rates by class and side, and who speaks.

use super::contrast::name;
use super::rate::{LN_HALF, LN_QUIET, TRACKERS};
use super::tracker::Sighting;
use crate::score::Reason;

/// A rate and what it rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    pub(super) ln_rate: f64,
    pub(super) reason: Reason,
}

impl Evidence {
    /// Nothing to report.
    pub(super) const NOTHING: Self = Self { ln_rate: LN_QUIET, reason: Reason::Quiet };

    pub(super) fn of(index: usize, ln_rate: f64) -> Self {
        let statistic = name(index);
        Self { ln_rate, reason: Reason::Contrast { statistic, windows: statistic.windows() } }
    }

    /// The rarer of two; the first one if equal.
    pub(super) fn or_rarer(self, other: Self) -> Self {
        if other.ln_rate < self.ln_rate { other } else { self }
    }
}

/// What all comparisons and the silence say together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    /// Per side, for paging.
    pub(super) page: [Evidence; 2],
    /// Per side, for the minor class.
    pub(super) minor: [Evidence; 2],
    /// What each tracker saw.
    pub(super) sightings: [Sighting; TRACKERS],
    /// The loudest comparison of any class and side, and its strength.
    pub(super) loudest: (usize, f64),
    /// What speaks on each side.
    pub(super) voices: [Voice; 2],
    /// Sides whose alarm somebody expects.
    pub(super) silenced: [bool; 2],
    /// Page thresholds for strength and for residuals (in typical ones), per side.
    pub(super) page_thresholds: [Threshold; 2],
}

impl Judgement {
    /// Whether any class and side is rarer than severity 70.
    ///
    /// Expected alarms count here too: their events must end, and their windows settle, like all others.
    pub(super) fn alarming(&self) -> bool {
        self.sightings.iter().any(|sighting| sighting.ln_rate < LN_HALF)
    }

    /// The same without the alarms that somebody expects.
    pub(super) fn surprising(&self) -> bool {
        let sides = self.silenced.iter().cycle();
        self.sightings.iter().zip(sides).any(|(sighting, silenced)| sighting.ln_rate < LN_HALF && !silenced)
    }
}

/// The comparison that speaks on one side: the loudest short one, or the loudest long one where only such alarm.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Voice {
    pub(super) index: usize,
    pub(super) strength: f64,
    /// Whether page or minor class are rarer than severity 70 on this side.
    pub(super) alarms: bool,
    /// It is not a comparison but the clock of silence.
    pub(super) silence: bool,
}

/// Where severity 70 is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Threshold {
    pub(super) strength: f64,
    pub(super) residual: f64,
}
