//! Fading sums of the newest observations and of what was expected of them.
//!
//! A window of exponent k keeps a share of 1 - 2^-k of its sums per observation: a memory of about 2^k
//! observations without storing any. The two long windows also keep clipped values and the slow level's
//! promise, so that one wild value cannot fill them.

use serde::{Deserialize, Serialize};

use super::baseline::Expectation;

/// Share kept per observation for the exponents 0, 1, 2, 4, 5, 6, 7, 9, 10 (exact in binary).
const KEEP: [f64; 9] = [
    0.0,
    1.0 - 1.0 / 2.0,
    1.0 - 1.0 / 4.0,
    1.0 - 1.0 / 16.0,
    1.0 - 1.0 / 32.0,
    1.0 - 1.0 / 64.0,
    1.0 - 1.0 / 128.0,
    1.0 - 1.0 / 512.0,
    1.0 - 1.0 / 1024.0,
];
/// The windows of 32 and of 128 observations.
const LONG: [usize; 2] = [4, 6];
/// The windows of 1 to 64 observations.
const SHORT: usize = 6;
/// The lengths of the windows that may stand for a new level.
const LENGTHS: [u32; 5] = [1, 2, 4, 16, 32];
const NEARLY_EMPTY: f64 = 1e-9;

/// All windows of one series, in order of length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Windows {
    /// Sums of the values.
    pub(super) observed: [f64; 9],
    /// Sums of the means.
    pub(super) expected: [f64; 9],
    /// Sums of the variances.
    pub(super) variance: [f64; 9],
    /// Sums of the clipped values in the windows of 32 and 128.
    pub(super) clipped: [f64; 2],
    /// Sums of what the slow level promised in the windows of 32 and 128.
    pub(super) promised: [f64; 2],
}

impl Windows {
    pub(super) fn new() -> Self {
        Self {
            observed: [0.0; 9],
            expected: [0.0; 9],
            variance: [0.0; 9],
            clipped: [0.0; 2],
            promised: [0.0; 2],
        }
    }

    /// The windows after one more observation `x`, whose clipped value is `clipped`.
    #[inline]
    pub(super) fn after(&self, x: f64, clipped: f64, expectation: &Expectation) -> Self {
        let mut next = *self;
        for (slot, keep) in KEEP.iter().enumerate() {
            next.observed[slot] = keep * self.observed[slot] + x;
            next.expected[slot] = keep * self.expected[slot] + expectation.mean;
            next.variance[slot] = keep * keep * self.variance[slot] + expectation.variance;
        }
        let promise = expectation.slow_level * expectation.profile;
        for (long, slot) in LONG.into_iter().enumerate() {
            next.clipped[long] = KEEP[slot] * self.clipped[long] + clipped;
            next.promised[long] = KEEP[slot] * self.promised[long] + promise;
        }
        next
    }

    /// Sets every sum to what was expected: an event is over and need not drain.
    pub(super) fn settle(&mut self) {
        self.observed = self.expected;
        for (long, slot) in LONG.into_iter().enumerate() {
            self.clipped[long] = self.expected[slot];
            self.promised[long] = self.expected[slot];
        }
    }

    /// These windows, gone on with after a pause: the short ones as if all had come as expected. What is as long as a
    /// night is compared with the same hours as ever.
    pub(super) fn resumed(&self) -> Self {
        let mut resumed = *self;
        resumed.observed[..SHORT].copy_from_slice(&self.expected[..SHORT]);
        resumed
    }

    /// What came to what was expected lately: in the longest window that the last `points`
    /// observations fill, but for a part in 300.
    pub(super) fn recent_ratio(&self, points: u32) -> f64 {
        let filled = |length: &u32| 6 * length <= points;
        let slot = LENGTHS.iter().rposition(filled).unwrap_or(0);
        self.observed[slot] / self.expected[slot].max(1e-12)
    }

    /// Starts afresh: a level shift was accepted and old sums mean nothing.
    pub(super) fn clear(&mut self) {
        *self = Self::empty();
    }

    /// Windows without a past.
    pub(super) fn empty() -> Self {
        Self {
            observed: [NEARLY_EMPTY; 9],
            expected: [NEARLY_EMPTY; 9],
            variance: [NEARLY_EMPTY; 9],
            clipped: [NEARLY_EMPTY; 2],
            promised: [NEARLY_EMPTY; 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seasonal::Mode;
    use crate::seasonal::baseline::Baseline;
    use crate::seasonal::cadence::Cadence;

    #[test]
    fn windows_fill_to_their_length() {
        let mode = Mode { count: true, offset: 0.0 };
        let expectation = Baseline::new().expect(0, (1.0, 1.0), &Cadence::new(60), mode, false);
        let mut windows = Windows::new();
        for _ in 0..20_000 {
            windows = windows.after(1.0, 1.0, &expectation);
        }
        let lengths = [1.0, 2.0, 4.0, 16.0, 32.0, 64.0, 128.0, 512.0, 1024.0];
        for (sum, length) in windows.observed.iter().zip(lengths) {
            assert!((sum / length - 1.0).abs() < 1e-6);
        }
        assert!((windows.clipped[1] / 128.0 - 1.0).abs() < 1e-6);
    }
}
