//! The clock of a run of zeros.
//!
//! While nothing comes the clock adds up how much should have come, discounted by dispersion and doubt. How
//! far such runs usually get on this series is learned, so that a shop that sleeps at night stays quiet. Counts
//! only: a zero of a continuous measure means nothing special.

use serde::{Deserialize, Serialize};

use super::baseline::Expectation;
use super::cadence::{Cadence, pace};
use super::rate::LN_HALF;

/// A silence is judged against at least so many events a week; without the floor a level that went to
/// zero would hold the severity at 70 for ever.
const LEAST_EVENTS_PER_WEEK: f64 = 10.0;

/// How long nothing has come, and how long that usually lasts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Silence {
    /// Surprise gathered in the present run, in natural logarithms; 0 when something came.
    clock: f64,
    typical: f64,
    runs: u64,
}

impl Silence {
    pub(super) fn new() -> Self {
        Self { clock: 0.0, typical: 1.0, runs: 0 }
    }

    /// The clock after `x`.
    pub(super) fn clock_after(&self, x: f64, expectation: &Expectation) -> f64 {
        if x > 0.0 {
            return 0.0;
        }
        let dispersion = expectation.dispersion.max(1.001);
        let gain = dispersion.ln() / (dispersion - 1.0);
        let doubt = expectation.shape.weekly_error + expectation.shape.daily_error + expectation.doubt;
        self.clock + expectation.mean * gain / (1.0 + doubt.sqrt())
    }

    /// Natural logarithm of the false alarms a week of a silence whose clock says `clock`, if it may speak.
    pub(super) fn ln_rate(
        &self,
        clock: f64,
        learned: f64,
        slow_level: f64,
        cadence: &Cadence,
    ) -> Option<f64> {
        (clock > 0.0 && learned >= cadence.long_warmup).then(|| {
            let per_week = cadence.points_per_week;
            let events = per_week.min((per_week * slow_level).max(LEAST_EVENTS_PER_WEEK));
            LN_HALF + events.ln() - clock / self.typical.max(1.0)
        })
    }

    /// Learns how far the run got that `x` ends, unless an alarm runs or the model is young.
    pub(super) fn learn_run(&mut self, x: f64, learned: f64, alarm_runs: bool, cadence: &Cadence) {
        if x > 0.0 && self.clock > 0.0 && learned > 0.5 * cadence.long_warmup {
            self.runs += 1;
            if !alarm_runs {
                let rate = pace(10.0 * cadence.calibration_rate, self.runs as f64 + 20.0);
                self.typical += rate * (self.clock.min(6.0 * self.typical) - self.typical);
            }
        }
    }

    pub(super) fn set_clock(&mut self, clock: f64) {
        self.clock = clock;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_silence_is_rare_and_a_short_one_is_not() {
        let (cadence, silence) = (Cadence::new(60), Silence::new());
        assert_eq!(silence.ln_rate(0.0, 1e5, 5.0, &cadence), None);
        assert_eq!(silence.ln_rate(9.0, 10.0, 5.0, &cadence), None);
        assert!(silence.ln_rate(1.0, 1e5, 5.0, &cadence).is_some_and(|rate| rate > 5.0));
        assert!(silence.ln_rate(50.0, 1e5, 5.0, &cadence).is_some_and(|rate| rate < -30.0));
    }
}
