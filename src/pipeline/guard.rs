//! What a measure's owner says about deviations: which are too small to matter, which values cannot be.
//!
//! A guard only ever takes away. A deviation that is too small is still rare: it keeps its place in the
//! chart, but it opens no incident. Learning does not see guards.

use tidewatch_detectors::{Score, log10_rate_of_severity};

use crate::anomaly::{MINOR_RECORDED_FROM, PAGE_RECORDED_FROM};

/// What a severity is cut to, below the one from which anomalies are recorded.
const BELOW: f64 = 1.0;

/// The guards of one measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// A smaller difference from the expected value, in the unit of the measure, is too small.
    pub min_change: f64,
    /// A smaller difference, as a share of the expected value, is too small.
    pub min_change_share: f64,
    /// Values lie within; so do the expected value and the band.
    pub bounds: (f64, f64),
}

impl Default for Guard {
    fn default() -> Self {
        Self { min_change: 0.0, min_change_share: 0.0, bounds: (f64::NEG_INFINITY, f64::INFINITY) }
    }
}

impl Guard {
    /// The score of `actual` as the guards leave it.
    pub fn apply(&self, actual: f64, score: Score) -> Score {
        let (low, high) = self.bounds;
        let expected = score.expected.clamp(low, high);
        let (lower, upper) = (score.lower.clamp(low, high), score.upper.clamp(low, high));
        let mut guarded = Score { expected, lower, upper, ..score };
        if self.is_small((actual - expected).abs(), expected) {
            let page = log10_rate_of_severity(PAGE_RECORDED_FROM - BELOW);
            let minor = log10_rate_of_severity(MINOR_RECORDED_FROM - BELOW);
            // What would have paged is worth seeing as minor.
            let shown = score.minor_log10_rate.min(score.page_log10_rate);
            guarded.page_log10_rate = score.page_log10_rate.max(page);
            guarded.minor_log10_rate = shown.max(minor);
        }
        guarded
    }

    fn is_small(&self, change: f64, expected: f64) -> bool {
        change < self.min_change || change < self.min_change_share * expected.abs()
    }
}

#[cfg(test)]
mod tests {
    use tidewatch_detectors::{Reason, Side};

    use super::*;

    fn score(severity: f64) -> Score {
        Score {
            expected: 100.0,
            lower: -5.0,
            upper: 130.0,
            page_log10_rate: log10_rate_of_severity(severity),
            minor_log10_rate: log10_rate_of_severity(40.0),
            side: Side::Drop,
            reason: Reason::Quiet,
        }
    }

    #[test]
    fn small_deviations_open_nothing_and_stay_visible() {
        for guard in [
            Guard { min_change: 10.0, ..Guard::default() },
            Guard { min_change_share: 0.1, ..Guard::default() },
        ] {
            let small = guard.apply(91.0, score(95.0));
            assert!(small.severity() < PAGE_RECORDED_FROM, "{}", small.severity());
            assert!((68.0..MINOR_RECORDED_FROM).contains(&small.minor()), "{}", small.minor());
            assert_eq!(guard.apply(90.0, score(95.0)), score(95.0));
            let quiet = guard.apply(99.0, score(20.0));
            assert_eq!((quiet.severity().round(), quiet.minor().round()), (20.0, 40.0));
        }
    }

    #[test]
    fn the_band_stays_within_what_can_be() {
        let guard = Guard { bounds: (0.0, 120.0), ..Guard::default() };
        let bounded = guard.apply(3.0, score(95.0));
        assert_eq!((bounded.lower, bounded.expected, bounded.upper), (0.0, 100.0, 120.0));
        assert_eq!(bounded.page_log10_rate, score(95.0).page_log10_rate);
    }
}
