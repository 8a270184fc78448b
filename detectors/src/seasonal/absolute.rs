//! The second surprise: how large a residual is beside the typical one of the whole series.
//!
//! What is rare for the count noise of a quiet hour may still be invisible in the week's picture; a page needs
//! both. Three fading mean squares per page comparison make the scale: against the reference, against the
//! profile, and a slow one with a wide clip that holds the scale up where nearly all values are zero. Where a
//! shop closes an hour counts as much as it is expected to bring: closed nights would halve the scale otherwise.

use serde::{Deserialize, Serialize};

use super::baseline::Expectation;
use super::cadence::{Cadence, pace};
use super::contrast::{PAGE_CONTRASTS, Reading, slot};
use super::window::Windows;

/// Weight of the residual against the profile in the scale: (4.5 / 7)².
const PROFILE_WEIGHT: f64 = (4.5 / 7.0) * (4.5 / 7.0);
/// Updates before clipping begins.
const UNCLIPPED: u64 = 200;
/// An observation counts at most as this many; far above the peak of any profile worth the name.
const MOST_WEIGHT: f64 = 10.0;
/// With so many more zeros than by chance a series of single events is taken to have hours in which it is closed.
const OFTEN_ZERO: f64 = 0.2;
/// How many observations the windows of the page comparisons hold.
const LENGTHS: [f64; PAGE_CONTRASTS] = [1.0, 2.0, 4.0];

/// How much each page comparison's residual counts in the typical one of a series that `closes`.
pub(super) fn weights(windows: &Windows, expectation: &Expectation, closes: bool) -> [f64; PAGE_CONTRASTS] {
    if !closes {
        return [1.0; PAGE_CONTRASTS];
    }
    std::array::from_fn(|index| {
        let usual = (expectation.slow_level * LENGTHS[index]).max(1e-12);
        (windows.expected[slot(index)] / usual).min(MOST_WEIGHT)
    })
}

/// Typical residuals of the page comparisons, and the share of values that are exactly zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Absolute {
    local: [f64; PAGE_CONTRASTS],
    profile: [f64; PAGE_CONTRASTS],
    outer: [f64; PAGE_CONTRASTS],
    updates: u64,
    zero_share: f64,
}

/// 0 up to a share of 80 % zeros, 1 from 95 %.
pub(super) fn zero_richness(zero_share: f64) -> f64 {
    ((zero_share - 0.8) / 0.15).clamp(0.0, 1.0)
}

impl Absolute {
    pub(super) fn new() -> Self {
        Self {
            local: [0.0; PAGE_CONTRASTS],
            profile: [0.0; PAGE_CONTRASTS],
            outer: [0.0; PAGE_CONTRASTS],
            updates: 0,
            zero_share: 0.0,
        }
    }

    /// Whether the series has hours in which it is closed: more zeros than events at this `level` leave by chance.
    pub(super) fn closes(&self, level: f64, cadence: &Cadence) -> bool {
        cadence.lumpy && self.zero_share - (-level).exp() >= OFTEN_ZERO
    }

    /// The share of zeros after `x`, with `learned` observations before it.
    pub(super) fn zero_share_after(&self, x: f64, learned: f64, cadence: &Cadence) -> f64 {
        let zero = if x == 0.0 { 1.0 } else { 0.0 };
        self.zero_share + pace(cadence.outer_rate, learned + 1.0) * (zero - self.zero_share)
    }

    /// The typical residual of page comparison `index`.
    pub(super) fn scale(&self, index: usize, zero_richness: f64) -> f64 {
        self.local[index]
            .max(PROFILE_WEIGHT * self.profile[index])
            .max(zero_richness * zero_richness * self.outer[index])
            .max(1e-18)
            .sqrt()
    }

    pub(super) fn learn_zero_share(&mut self, zero_share: f64) {
        self.zero_share = zero_share;
    }

    /// Learns the residuals of the page comparisons, each with its weight.
    pub(super) fn learn(&mut self, readings: &[Reading], weights: [f64; PAGE_CONTRASTS], cadence: &Cadence) {
        for (index, reading) in readings.iter().take(PAGE_CONTRASTS).enumerate() {
            if !reading.spoke {
                continue;
            }
            if index == 0 {
                self.updates += 1;
            }
            let clip = self.updates >= UNCLIPPED;
            let count = self.updates as f64 + 5.0;
            let typical_rate = (weights[index] * pace(cadence.typical_rate, count)).min(1.0);
            let outer_rate = (weights[index] * pace(cadence.outer_rate, count)).min(1.0);
            let local = reading.local_residual * reading.local_residual;
            let profile = reading.profile_residual * reading.profile_residual;
            track(&mut self.local[index], local, clip, 64.0, typical_rate);
            track(&mut self.profile[index], profile, clip, 64.0, typical_rate);
            let limit = 2_500.0 * self.outer[index].max(self.local[index]);
            let outer = if clip { local.min(limit) } else { local };
            self.outer[index] += outer_rate * (outer - self.outer[index]);
        }
    }
}

fn track(mean_square: &mut f64, square: f64, clip: bool, limit: f64, rate: f64) {
    let square = if clip { square.min(limit * *mean_square) } else { square };
    *mean_square += rate * (square - *mean_square);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_of_zeros_is_rich_in_zeros() {
        let (cadence, mut absolute) = (Cadence::new(3_600), Absolute::new());
        for learned in 0..500 {
            let share = absolute.zero_share_after(0.0, f64::from(learned), &cadence);
            absolute.learn_zero_share(share);
        }
        assert_eq!(zero_richness(absolute.zero_share), 1.0);
        assert_eq!(zero_richness(0.5), 0.0);
    }

    #[test]
    fn one_wild_residual_moves_the_scale_little() {
        let (cadence, mut absolute) = (Cadence::new(60), Absolute::new());
        let reading = |residual| {
            [Reading {
                spoke: true,
                local_residual: residual,
                profile_residual: residual,
                ..Reading::default()
            }; PAGE_CONTRASTS]
        };
        for _ in 0..5_000 {
            absolute.learn(&reading(2.0), [1.0; PAGE_CONTRASTS], &cadence);
        }
        let before = absolute.scale(0, 0.0);
        absolute.learn(&reading(1e6), [1.0; PAGE_CONTRASTS], &cadence);
        assert!(absolute.scale(0, 0.0) < 1.02 * before);
    }
}
