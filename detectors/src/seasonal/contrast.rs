//! Seven comparisons of a recent window with a reference, each with its own calibration.
//!
//! Three short ones look for what should page, four long ones for small or slow changes. A reading says how
//! far the window's sum is from what the reference makes expect; the calibration learns how far such readings
//! usually are on this series. Contrast of windows and half-count correction: see the page of the detector.

use serde::{Deserialize, Serialize};

use super::Mode;
use super::baseline::Expectation;
use super::cadence::{Cadence, pace};
use super::window::Windows;
use crate::score::Contrast;

/// How many comparisons there are; the first [`PAGE_CONTRASTS`] belong to the page class.
pub(super) const CONTRASTS: usize = 7;
pub(super) const PAGE_CONTRASTS: usize = 3;
/// Observations before calibrations begin to learn.
pub(super) const CALIBRATE_AFTER: u64 = 20;

enum Reference {
    /// The slot of a longer window.
    Window(usize),
    /// The slow level; the number is that of the clipped window.
    Level(usize),
}

struct Definition {
    contrast: Contrast,
    slot: usize,
    reference: Reference,
    /// Which clipped window stands for the observed sum, if any.
    clipped: Option<usize>,
    weight: f64,
}

const fn define(
    contrast: Contrast,
    slot: usize,
    reference: Reference,
    clipped: Option<usize>,
    weight: f64,
) -> Definition {
    Definition { contrast, slot, reference, clipped, weight }
}

static DEFINITIONS: [Definition; CONTRASTS] = [
    define(Contrast::One, 0, Reference::Window(5), None, 0.9),
    define(Contrast::Two, 1, Reference::Window(3), None, 1.0),
    define(Contrast::Four, 2, Reference::Window(4), None, 1.0),
    define(Contrast::LongLevel, 4, Reference::Level(0), Some(0), 1.45),
    define(Contrast::LongerLevel, 6, Reference::Level(1), Some(1), 1.7),
    define(Contrast::Long, 4, Reference::Window(7), Some(0), 1.33),
    define(Contrast::Longer, 6, Reference::Window(8), Some(1), 1.5),
];

/// The public name of comparison `index`.
pub(super) fn name(index: usize) -> Contrast {
    DEFINITIONS[index].contrast
}

/// The window slot that comparison `index` sums up.
pub(super) fn slot(index: usize) -> usize {
    DEFINITIONS[index].slot
}

/// What one comparison found, before its calibration learns it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// False where the reference holds nothing yet; then all else is 0.
    pub(super) spoke: bool,
    /// Signed strength `T`: positive for a rise; 0 while warming up.
    pub(super) strength: f64,
    /// Residual against the reference.
    pub(super) local_residual: f64,
    /// Residual against the profile.
    pub(super) profile_residual: f64,
    pub(super) centred: f64,
    pub(super) scale: f64,
}

impl Reading {
    /// What came to what the reference made expect, less 1; `expected` is the sum that the profile promised.
    pub(super) fn change(&self, expected: f64) -> f64 {
        let reference = self.profile_residual + expected - self.local_residual;
        self.local_residual / reference.max(1e-12)
    }
}

/// The usual place and spread of one comparison on this series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Calibration {
    pub(super) mean: f64,
    variance: f64,
    updates: u64,
}

impl Calibration {
    pub(super) fn new() -> Self {
        Self { mean: 0.0, variance: 1.0, updates: 0 }
    }

    /// The spread to divide by, for a comparison of the page class.
    pub(super) fn page_scale(&self) -> f64 {
        self.variance.max(1.0).sqrt()
    }

    /// Learns `reading`; hardly at all while an alarm runs.
    pub(super) fn learn(&mut self, reading: &Reading, alarm_runs: bool, cadence: &Cadence) {
        let rate = pace(cadence.calibration_rate, self.updates as f64 + 5.0);
        let rate = if alarm_runs { 0.02 * rate } else { rate };
        self.updates += 1;
        let (centred, scale) = (reading.centred, reading.scale);
        let clipped = centred.clamp(-3.0 * scale, 3.0 * scale);
        self.mean += rate * centred.clamp(-2.0 * scale, 2.0 * scale);
        self.variance += rate * (1.03 * clipped * clipped - self.variance);
    }
}

/// What a reading is measured by.
pub(super) struct Frame<'a> {
    pub(super) windows: &'a Windows,
    pub(super) expectation: &'a Expectation,
    pub(super) cadence: &'a Cadence,
    pub(super) mode: Mode,
    /// Observations learned before this one.
    pub(super) learned: f64,
    /// Factor on every strength, half at the start and 1 after a week.
    pub(super) ramp: f64,
}

impl Frame<'_> {
    /// The reading of comparison `index`, standardised by its calibration.
    pub(super) fn read(&self, index: usize, calibration: &Calibration, reading: &mut Reading) {
        let definition = &DEFINITIONS[index];
        let observed = match definition.clipped {
            Some(long) => self.windows.clipped[long],
            None => self.windows.observed[definition.slot],
        };
        let expected = self.windows.expected[definition.slot];
        let forecast = match definition.reference {
            Reference::Window(reference) => self.against_window(definition.slot, reference),
            Reference::Level(long) => Some(self.against_level(definition.slot, long)),
        };
        let Some((mean, variance)) = forecast else { return };

        let deviate = if self.mode.count {
            count_deviate(observed, mean, variance)
        } else {
            (observed - mean) / variance.sqrt()
        };
        let (least_variance, warmup) = if index < PAGE_CONTRASTS {
            (1.0, self.cadence.short_warmup)
        } else {
            (0.6, self.cadence.long_warmup)
        };
        let scale = calibration.variance.max(least_variance).sqrt();
        let centred = deviate - calibration.mean;
        let strength =
            if self.learned >= warmup { definition.weight * centred / scale * self.ramp } else { 0.0 };
        reading.spoke = true;
        reading.strength = strength;
        reading.local_residual = observed - mean;
        reading.profile_residual = observed - expected;
        reading.centred = centred;
        reading.scale = scale;
    }

    /// Mean and variance of the sum in `slot`, if the rest of the `reference` window sets the ratio.
    fn against_window(&self, slot: usize, reference: usize) -> Option<(f64, f64)> {
        let windows = self.windows;
        let expected = windows.expected[slot];
        let rest_expected = windows.expected[reference] - expected;
        if rest_expected <= 1e-6 * expected {
            return None;
        }
        let rest_observed = windows.observed[reference] - windows.observed[slot];
        let prior = 20.0 * windows.variance[reference] / windows.expected[reference];
        let evidence = rest_expected + prior;
        let ratio = ((rest_observed + prior) / evidence).clamp(0.05, 20.0);
        let error = ratio * self.ratio_error(reference, rest_expected, evidence)
            + self.cadence.profile_error * self.profile_doubt() * ratio * ratio;
        Some((ratio * expected, ratio * windows.variance[slot] + expected * expected * error))
    }

    /// Relative variance that the reference brings in, for a ratio of 1.
    fn ratio_error(&self, reference: usize, rest_expected: f64, evidence: f64) -> f64 {
        let share = rest_expected / (self.windows.expected[reference] * evidence);
        self.windows.variance[reference] * share * share
    }

    fn profile_doubt(&self) -> f64 {
        self.expectation.shape.weekly_error + self.expectation.shape.daily_error
    }

    /// Mean and variance of the sum in `slot` as the slow level promised it.
    fn against_level(&self, slot: usize, long: usize) -> (f64, f64) {
        let mean = self.windows.promised[long];
        let length = if long == 0 { 32.0 } else { 128.0 };
        let doubt = self.expectation.shape.weekly_error
            / (1.0 + length / self.cadence.points_per_weekly_knot)
            + self.expectation.shape.daily_error / (1.0 + length / self.cadence.points_per_daily_knot);
        let variance = self.windows.variance[slot] * mean / self.windows.expected[slot] + doubt * mean * mean;
        (mean, variance)
    }

    /// Variance of the newest observation against its reference, if that says the profile is right.
    pub(super) fn single_window_variance(&self) -> f64 {
        let mean = self.expectation.mean;
        let rest_expected = self.windows.expected[5] - mean;
        let mut error = self.cadence.profile_error * self.profile_doubt();
        if rest_expected > 1e-6 * mean {
            let prior = 20.0 * self.windows.variance[5] / self.windows.expected[5];
            error += self.ratio_error(5, rest_expected, rest_expected + prior);
        }
        self.expectation.variance + mean * mean * error
    }
}

/// Variance-stabilised distance of a count from its mean, with half a count of correction towards it.
fn count_deviate(observed: f64, mean: f64, variance: f64) -> f64 {
    let information = mean * mean / variance;
    let corrected = if observed < mean { (observed + 0.5).min(mean) } else { (observed - 0.5).max(mean) };
    let bias = (1.0 / (8.0 * information)).min(0.5);
    let deviate = 2.0 * information.sqrt() * ((corrected / mean).sqrt() - 1.0 + bias);
    if corrected <= mean { deviate.min(0.0) } else { deviate }
}

/// The count whose [`count_deviate`] is `deviate`; 0 where no count is so far below.
pub(super) fn count_at_deviate(deviate: f64, mean: f64, variance: f64) -> f64 {
    let information = mean * mean / variance;
    let bias = (1.0 / (8.0 * information)).min(0.5);
    let root = (1.0 + deviate / (2.0 * information.sqrt()) - bias).max(0.0);
    let corrected = mean * root * root;
    if deviate > 0.0 { corrected.max(mean) + 0.5 } else { corrected.min(mean) - 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_at_a_deviate_are_the_inverse() {
        for (mean, variance) in [(50.0, 60.0), (3.0, 3.0), (1e6, 4e8)] {
            for deviate in [-2.0, 2.0, 7.0] {
                let count = count_at_deviate(deviate, mean, variance);
                if count > 0.0 {
                    assert!(
                        (count_deviate(count, mean, variance) - deviate).abs() < 1e-6,
                        "{mean} {deviate}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_count_within_half_of_its_mean_is_no_rise() {
        assert!(count_deviate(10.3, 10.0, 10.0) <= 0.0);
        assert!(count_deviate(1.0, 0.001, 0.001) > 0.0);
    }

    #[test]
    fn names_agree_with_the_windows_they_sum() {
        let lengths = [1, 2, 4, 16, 32, 64, 128, 512, 1024];
        for index in 0..CONTRASTS {
            assert_eq!(name(index).windows(), lengths[slot(index)]);
        }
    }
}
