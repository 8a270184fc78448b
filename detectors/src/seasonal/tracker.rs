//! How high the peaks of a class and side usually get, from which thresholds follow.
//!
//! Two quantiles settle where peaks are exceeded 10 and 30 times a week (times a scale for coarser windows).
//! Their ratio tells noise that falls off like a Gaussian from real traffic with heavy tails. Alarms that come
//! more often than about 12 times a week on one side raise a rarity rule that lifts the thresholds slowly.

use serde::{Deserialize, Serialize};

use super::cadence::Cadence;
use super::rate::LN_HALF;

/// e^.05, the step of a quantile when a peak exceeds it.
const STEP_UP: f64 = 1.051_271_096_376_024_1;
/// e^.4 and e^9, the range of the rarer quantile.
const LEAST_Q10: f64 = 1.491_824_697_641_270_3;
const MOST_Q10: f64 = 8_103.083_927_575_384;
/// e^-.03, how far the commoner quantile stays below the rarer one.
const BELOW_Q10: f64 = 0.970_445_533_548_508_2;
/// e^-.25, where it starts.
const START_BELOW_Q10: f64 = 0.778_800_783_071_404_9;
const MOST_RARITY: f64 = 4.0;
/// What one missed incident takes from the logarithm of thresholds: a tenth of them.
const MISSED_STEP: f64 = 0.1;
/// Missed incidents lower thresholds by this at most.
const LEAST_RARITY: f64 = -0.3;

/// The state of one class and side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tracker {
    quantiles: Quantiles,
    cluster: Option<Cluster>,
}

/// What thresholds are made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Quantiles {
    /// Peak exceeded about 10 times a week.
    pub(super) q10: f64,
    /// Peak exceeded about 30 times a week.
    pub(super) q30: f64,
    /// Logarithm of the factor on thresholds, -0.3..=4; below 0 after missed incidents only.
    pub(super) rarity: f64,
}

/// Peaks that are close in time count as one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Cluster {
    peak: f64,
    least_ln_rate: f64,
    quiet_points: u32,
    /// Somebody confirmed it; it is not held against the series.
    confirmed: bool,
}

/// What one class and side showed at one observation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    /// Largest strength, at most 1e4.
    pub(super) strength: f64,
    /// Natural logarithm of false alarms a week.
    pub(super) ln_rate: f64,
    /// The quantiles one observation later, before this sighting counts.
    pub(super) quantiles: Quantiles,
}

impl Sighting {
    /// The same where nothing stands out: an expected alarm says nothing about what is usual.
    pub(super) fn unseen(&self) -> Self {
        Self { strength: 0.0, ln_rate: f64::INFINITY, ..*self }
    }
}

impl Quantiles {
    /// How Gaussian the peaks fall off: 1 for a ratio up to 1.2, 0 from 1.35.
    pub(super) fn lightness(&self) -> f64 {
        ((1.35 - self.q10 / self.q30) / 0.15).clamp(0.0, 1.0)
    }
}

impl Tracker {
    pub(super) fn new(cadence: &Cadence) -> Self {
        let q10 = 4.0 * cadence.threshold_factor;
        let quantiles = Quantiles { q10, q30: q10 * START_BELOW_Q10, rarity: 0.0 };
        Self { quantiles, cluster: None }
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        self.quantiles
    }

    /// The quantiles after one more observation without a peak.
    pub(super) fn decayed(&self, cadence: &Cadence) -> Quantiles {
        let q10 = (self.quantiles.q10 * cadence.q10_decay).max(LEAST_Q10);
        Quantiles {
            q10,
            q30: (self.quantiles.q30 * cadence.q30_decay).min(q10 * BELOW_Q10).max(1.0),
            // What missed incidents took stays until alarms give it back.
            rarity: (self.quantiles.rarity - cadence.rarity_decay).max(self.quantiles.rarity.min(0.0)),
        }
    }

    /// Opens, extends or closes a cluster; returns the cluster that closed.
    fn follow(&mut self, sighting: &Sighting, cadence: &Cadence) -> Option<Cluster> {
        let stands_out = sighting.strength > 0.9 * sighting.quantiles.q30 || sighting.ln_rate < LN_HALF;
        match (&mut self.cluster, stands_out) {
            (Some(cluster), true) => {
                cluster.peak = cluster.peak.max(sighting.strength);
                cluster.least_ln_rate = cluster.least_ln_rate.min(sighting.ln_rate);
                cluster.quiet_points = 0;
                None
            }
            (None, true) => {
                let (peak, least_ln_rate) = (sighting.strength, sighting.ln_rate);
                self.cluster = Some(Cluster { peak, least_ln_rate, quiet_points: 0, confirmed: false });
                None
            }
            (Some(cluster), false) => {
                cluster.quiet_points += 1;
                if f64::from(cluster.quiet_points) > cadence.cluster_gap { self.cluster.take() } else { None }
            }
            (None, false) => None,
        }
    }

    /// One step more for an alarm that was none.
    pub(super) fn step_up(&mut self, cadence: &Cadence) {
        self.quantiles.rarity = (self.quantiles.rarity + cadence.rarity_step).min(MOST_RARITY);
    }

    /// Thresholds fall for something that was not told, below their usual floor; later alarms raise them again.
    pub(super) fn step_down(&mut self) {
        self.quantiles.rarity = (self.quantiles.rarity - MISSED_STEP).max(LEAST_RARITY);
    }

    /// Takes back the step of the newest alarm, or sees to it that it makes none.
    pub(super) fn pardon(&mut self, cadence: &Cadence) {
        match &mut self.cluster {
            Some(cluster) if cluster.least_ln_rate < LN_HALF => cluster.confirmed = true,
            _ => {
                let rarity = self.quantiles.rarity;
                self.quantiles.rarity = (rarity - cadence.rarity_step).max(rarity.min(0.0));
            }
        }
    }

    /// Follows clusters only; thresholds stay.
    pub(super) fn hold(&mut self, sighting: &Sighting, cadence: &Cadence) {
        self.follow(sighting, cadence);
    }

    /// Follows clusters and moves the quantiles; `pages` says whether alarms here feed the rarity rule.
    pub(super) fn learn(&mut self, sighting: &Sighting, pages: bool, cadence: &Cadence) {
        let closed = self.follow(sighting, cadence);
        let settled_q10 = self.quantiles.q10;
        self.quantiles = sighting.quantiles;
        let Some(cluster) = closed else { return };
        let before = sighting.quantiles;
        if pages && cluster.least_ln_rate < LN_HALF && !cluster.confirmed {
            self.quantiles.rarity = (before.rarity + cadence.rarity_step).min(MOST_RARITY);
        }
        if cluster.peak > settled_q10 {
            self.quantiles.q10 = (before.q10 * STEP_UP).min(MOST_Q10);
        }
        if cluster.peak > before.q30 {
            self.quantiles.q30 = before.q30 * STEP_UP;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_what_they_say() {
        for (constant, exponent) in [
            (STEP_UP, 0.05_f64),
            (LEAST_Q10, 0.4),
            (MOST_Q10, 9.0),
            (BELOW_Q10, -0.03),
            (START_BELOW_Q10, -0.25),
        ] {
            assert!((constant.ln() - exponent).abs() < 1e-12, "{exponent}");
        }
    }

    #[test]
    fn a_cluster_counts_once_and_holding_moves_no_threshold() {
        let cadence = Cadence::new(60);
        let mut tracker = Tracker::new(&cadence);
        let mut held = tracker;
        for point in 0..100 {
            for (tracker, learn) in [(&mut tracker, true), (&mut held, false)] {
                let quantiles = tracker.decayed(&cadence);
                let loud = point < 5;
                let strength = if loud { 9.0 } else { 0.0 };
                let ln_rate = if loud { -3.0 } else { 9.0 };
                let sighting = Sighting { strength, ln_rate, quantiles };
                if learn {
                    tracker.learn(&sighting, true, &cadence);
                } else {
                    tracker.hold(&sighting, &cadence);
                }
            }
        }
        assert!(tracker.quantiles.rarity > 0.02 && tracker.quantiles.rarity < 0.03);
        assert!(tracker.quantiles.q10 > 4.1 && tracker.cluster.is_none());
        assert_eq!((held.quantiles, held.cluster), (Tracker::new(&cadence).quantiles, None));
    }
}
