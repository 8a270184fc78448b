//! The third surprise, for series that are nearly always zero: how large a value is among those that are not.
//!
//! On a series of zeros every value stands out from its neighbours, and a rule that looks at neighbours alone
//! would page for each. So the sizes of earlier runs of values are kept, as mean and spread of the logarithm of
//! a run's peak, with how often such runs come. A rise is as rare as the runs are frequent, times the share of
//! them that get so high; the tail is that of a logistic distribution, heavier than a Gaussian's.

use serde::{Deserialize, Serialize};

use super::cadence::{Cadence, pace};
use super::rate::LN_HALF;

/// So many zeros end a run: a page comparison reaches back as far.
const END_AFTER: u32 = 4;
/// A logistic of slope 1.7 is nearest to a Gaussian; less, because sizes have heavier tails.
const SLOPE: f64 = 1.5;
/// Least variance of the logarithm believed: a factor of e^.5 is nothing.
const LEAST_VARIANCE: f64 = 0.25;
/// Runs after which a run's peak is clipped, at 2.5 deviations, before it is learned.
const UNCLIPPED: u64 = 5;
/// With so many runs the sizes begin to count, and with as many more twice over they count in full.
const FEW_RUNS: f64 = 10.0;
/// Pace of the mean and the spread once they are settled.
const RATE: f64 = 0.02;

/// What the values of a series that is nearly always zero are like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sizes {
    run: Run,
    mean: f64,
    variance: f64,
    runs: u64,
    /// Fading number of runs that have ended.
    recent: f64,
}

/// The run of values that goes on or has just ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The largest value; 0 where there was none.
    peak: f64,
    /// Zeros since the last value.
    zeros: u32,
}

/// What the size of the newest run says.
#[derive(Clone, Copy, Debug)]
pub(super) struct SizeRate {
    /// Natural logarithm of runs a week and side that get so high.
    pub(super) ln_rate: f64,
    /// How much it counts, 0..=1.
    pub(super) weight: f64,
}

impl SizeRate {
    /// `ln_rate` of another surprise, made commoner where the size is less rare.
    pub(super) fn temper(self, ln_rate: f64) -> f64 {
        if self.ln_rate > ln_rate { ln_rate + self.weight * (self.ln_rate - ln_rate) } else { ln_rate }
    }
}

impl Sizes {
    pub(super) fn new() -> Self {
        Self { run: Run { peak: 0.0, zeros: 0 }, mean: 0.0, variance: 1.0, runs: 0, recent: 0.0 }
    }

    /// The run after `x`.
    #[inline]
    pub(super) fn run_after(&self, x: f64) -> Run {
        if x > 0.0 {
            Run { peak: self.run.peak.max(x), zeros: 0 }
        } else {
            Run { zeros: self.run.zeros.saturating_add(1), ..self.run }
        }
    }

    /// How rare a run like `run` is, on a series with this richness in zeros and `learned` observations.
    pub(super) fn rate(
        &self,
        run: Run,
        zero_richness: f64,
        learned: f64,
        cadence: &Cadence,
    ) -> Option<SizeRate> {
        let runs = self.runs as f64;
        if zero_richness <= 0.0 || run.zeros >= END_AFTER || run.peak <= 0.0 || runs <= FEW_RUNS {
            return None;
        }
        let filled = 1.0 - cadence.size_keep.powf(learned.max(1.0));
        let per_week = self.recent * cadence.size_keep * (1.0 - cadence.size_keep) * cadence.points_per_week
            / filled.max(1e-9);
        let deviate = (run.peak.ln() - self.mean) / self.variance.max(LEAST_VARIANCE).sqrt()
            * (runs / (runs + 3.0)).sqrt();
        let ln_share = -(1.0 + (SLOPE * deviate).min(50.0).exp()).ln();
        let weight = zero_richness * ((runs - FEW_RUNS) / (2.0 * FEW_RUNS)).min(1.0);
        Some(SizeRate { ln_rate: LN_HALF + per_week.max(0.5).ln() + ln_share, weight })
    }

    /// Takes in the run as [`Self::run_after`] gave it, and learns one that has ended if it `learns`.
    pub(super) fn follow(&mut self, run: Run, learns: bool, cadence: &Cadence) {
        self.run = run;
        if learns {
            self.recent *= cadence.size_keep;
        }
        if run.zeros < END_AFTER || run.peak <= 0.0 {
            return;
        }
        self.run.peak = 0.0;
        if learns {
            self.runs += 1;
            let rate = pace(RATE, self.runs as f64 + 1.0);
            let reach = 2.5 * self.variance.max(LEAST_VARIANCE).sqrt();
            let away = run.peak.ln() - self.mean;
            let away = if self.runs > UNCLIPPED { away.clamp(-reach, reach) } else { away };
            self.mean += rate * away;
            self.variance += rate * (away * away - self.variance);
            self.recent += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_runs(sizes: &[f64]) -> (Sizes, Cadence, f64) {
        let (cadence, mut all, mut learned) = (Cadence::new(60), Sizes::new(), 0.0);
        for size in sizes {
            for point in 0..170 {
                let run = all.run_after(if point == 0 { *size } else { 0.0 });
                all.follow(run, true, &cadence);
                learned += 1.0;
            }
        }
        (all, cadence, learned)
    }

    #[test]
    fn a_size_as_usual_is_common_and_a_giant_is_rare() {
        let usual: Vec<f64> = (0..120).map(|run| [0.25, 0.5, 1.0, 2.0][run % 4]).collect();
        let (sizes, cadence, learned) = after_runs(&usual);
        let rate = |x: f64| sizes.rate(sizes.run_after(x), 1.0, learned, &cadence).unwrap().ln_rate;
        assert!(rate(1.0) > 2.0, "some sixty runs a week");
        assert!(rate(1_000.0) < -3.0);
    }

    #[test]
    fn few_runs_say_nothing_and_a_series_that_is_not_of_zeros_is_left_alone() {
        let (few, cadence, learned) = after_runs(&[1.0; 8]);
        assert!(few.rate(few.run_after(1.0), 1.0, learned, &cadence).is_none());
        let (many, cadence, learned) = after_runs(&[1.0; 60]);
        assert!(many.rate(many.run_after(1.0), 0.0, learned, &cadence).is_none());
        let rarer = SizeRate { ln_rate: 3.0, weight: 0.5 };
        assert_eq!((rarer.temper(1.0), rarer.temper(4.0)), (2.0, 4.0));
    }
}
