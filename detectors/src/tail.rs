//! From a raw strength to the published rarity, by the series' own history of peaks.
//!
//! Some detectors have a strength (the higher the odder) but no law for its noise. Peaks close in time count as
//! one. A quantile settles where a known number of peaks a week exceeds it; above it, logarithms of peaks are
//! fitted with a generalised Pareto tail by fading moments (peaks over threshold). Everything is bounded: a
//! step moves the quantile by a fixed factor, and a peak counts with at most six times the usual excess, so that
//! a few true anomalies do not hide the next.
//!
//! Reference: Hosking and Wallis 1987, *Parameter and quantile estimation for the generalized Pareto
//! distribution*; Siffer et al. 2017, *Anomaly detection in streams with extreme value theory*.

use serde::{Deserialize, Serialize};

/// log10 of false events a week where there is nothing to report.
pub(crate) const QUIET_LOG10_RATE: f64 = 4.0;
/// log10 of the rate that a broken hard rule gets: severity 100, which is certainty by convention.
pub(crate) const CERTAIN_LOG10_RATE: f64 = -3.0;
/// Rates are never said to be lower.
pub(crate) const LEAST_LOG10_RATE: f64 = -300.0;

/// Peaks a week that exceed the quantile, at one minute.
const PEAKS_PER_WEEK: f64 = 20.0;
/// Strengths that set the first quantile.
const OPENING: u64 = 60;
/// Excess assumed before any was seen (rate falls with the fifth power of strength), and its weight in peaks.
const FIRST_EXCESS: f64 = 0.2;
const FIRST_WEIGHT: f64 = 10.0;
/// Peaks that the moments remember.
const MEMORY: f64 = 50.0;
/// A peak counts with at most this many times the usual excess.
const MOST_EXCESS: f64 = 6.0;
/// The heaviest and the lightest tail believed.
const SHAPES: (f64, f64) = (-0.1, 0.15);

/// What follows from the interval; never saved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    pub(crate) points_per_week: f64,
    /// Peaks a week above the quantile, per side.
    peaks_per_week: f64,
    gap: u32,
    sides: f64,
    /// Observations in alarm after which the new ways are taken for normal: half a day, at least 5.
    pub(crate) shift_after: u32,
}

impl Pace {
    /// The pace of a tail that watches one of `sides` sides.
    pub(crate) fn new(interval_seconds: u32, sides: u32) -> Self {
        let per_day = 86_400.0 / f64::from(interval_seconds);
        let points_per_week = 7.0 * per_day;
        let coarseness = (points_per_week / 10_080.0).powf(0.4).min(1.0);
        Self {
            points_per_week,
            // Days have too few peaks to tell a commoner one from; two a week leave room below severity 70.
            peaks_per_week: (PEAKS_PER_WEEK * coarseness).max(2.0) / f64::from(sides),
            gap: (per_day / 48.0).clamp(3.0, 30.0) as u32,
            sides: f64::from(sides),
            shift_after: ((0.5 * per_day) as u32).max(5),
        }
    }

    /// Strengths a tail must have seen before it may speak: two days, at least 100.
    pub(crate) fn warmup(&self) -> u64 {
        ((2.0 * self.points_per_week / 7.0) as u64).clamp(100, 2_880)
    }
}

/// The tail of one strength of one series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// Exceeded by the peaks of [`Pace`].
    quantile: f64,
    /// Never below this: differences smaller than it are not worth a word.
    least: f64,
    /// Fading mean of strengths. The quantile stays above it, so that a strength which hardly varies, or has moved
    /// for good, is not odd for ever.
    mean: f64,
    mean_excess: f64,
    mean_square: f64,
    peaks: u64,
    seen: u64,
    cluster: Option<Cluster>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Cluster {
    peak: f64,
    quiet: u32,
}

impl Tail {
    /// A tail that has seen nothing; strengths up to `least` (positive) are never odd.
    pub(crate) fn new(least: f64) -> Self {
        let (mean_excess, mean_square) = (FIRST_EXCESS, 2.0 * FIRST_EXCESS * FIRST_EXCESS);
        Self { quantile: least, least, mean: 0.0, mean_excess, mean_square, peaks: 0, seen: 0, cluster: None }
    }

    /// Strengths seen.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// log10 of false events per series and week, all sides counted, at this strength.
    pub(crate) fn log10_rate(&self, strength: f64, pace: &Pace) -> f64 {
        if self.seen < OPENING || !strength.is_finite() || strength <= 0.0 {
            return QUIET_LOG10_RATE;
        }
        let (scale, shape) = self.law();
        let height = (strength / self.quantile).ln();
        let fall = if height <= 0.0 {
            height / self.mean_excess.max(1e-6)
        } else {
            let height = height / self.doubt(pace);
            if shape.abs() < 1e-3 {
                height / scale
            } else {
                (1.0 + shape * height / scale).max(1e-30).ln() / shape
            }
        };
        let most = pace.points_per_week.log10().min(QUIET_LOG10_RATE);
        let rate = (pace.peaks_per_week * pace.sides).log10() - fall * std::f64::consts::LOG10_E;
        rate.clamp(LEAST_LOG10_RATE, most)
    }

    /// The strength that has severity 70.
    pub(crate) fn threshold(&self, pace: &Pace) -> f64 {
        let (scale, shape) = self.law();
        let rate = pace.peaks_per_week * pace.sides;
        let height = if rate <= 1.0 {
            rate.ln() * self.mean_excess
        } else if shape.abs() < 1e-3 {
            scale * rate.ln() * self.doubt(pace)
        } else {
            scale * (rate.powf(shape) - 1.0) / shape * self.doubt(pace)
        };
        self.quantile * height.exp()
    }

    /// Scale and shape of the generalised Pareto law of excesses, from their moments; little evidence is
    /// read as an exponential law.
    fn law(&self) -> (f64, f64) {
        let mean = self.mean_excess.max(1e-6);
        let variance = (self.mean_square - mean * mean).max(1e-12);
        let trust = self.peaks as f64 / (self.peaks as f64 + 40.0);
        let shape = (0.5 * (1.0 - mean * mean / variance) * trust).clamp(SHAPES.0, SHAPES.1);
        (mean * (1.0 - shape), shape)
    }

    /// 2 at the start, 1 after the first week: young tails are stretched.
    fn doubt(&self, pace: &Pace) -> f64 {
        1.0 + (1.0 - self.seen as f64 / pace.points_per_week.max(200.0)).max(0.0)
    }

    /// Learns a strength.
    pub(crate) fn learn(&mut self, strength: f64, pace: &Pace) {
        let strength = if strength.is_finite() { strength.clamp(0.0, 1e30) } else { return };
        self.seen += 1;
        let fading = 1.0 / f64::from(pace.shift_after.max(100));
        self.mean += (strength - self.mean) * fading.max(1.0 / self.seen as f64);
        if self.seen <= OPENING {
            self.quantile = self.quantile.max(strength);
            return;
        }
        let step = 0.05 + 0.3 / (1.0 + self.peaks as f64 / 5.0);
        if let Some(peak) = self.follow(strength, pace) {
            let excess = (peak / self.quantile).ln().clamp(0.0, MOST_EXCESS * self.mean_excess);
            let rate = (1.0 / MEMORY).max(1.0 / (self.peaks as f64 + 1.0 + FIRST_WEIGHT));
            self.mean_excess += rate * (excess - self.mean_excess);
            self.mean_square += rate * (excess * excess - self.mean_square);
            self.peaks += 1;
            self.quantile *= step.exp();
        }
        let decay = step * (pace.peaks_per_week / pace.points_per_week).min(0.5);
        let floor = self.least.max(1.02 * self.mean).min(1e30);
        self.quantile = (self.quantile * (-decay).exp()).clamp(floor, 1e30);
    }

    /// Opens, extends or closes a cluster of strengths above the quantile; the peak of the one that closed.
    fn follow(&mut self, strength: f64, pace: &Pace) -> Option<f64> {
        let above = strength > self.quantile;
        let Some(cluster) = &mut self.cluster else {
            if above {
                self.cluster = Some(Cluster { peak: strength, quiet: 0 });
            }
            return None;
        };
        if above {
            cluster.peak = cluster.peak.max(strength);
            cluster.quiet = 0;
            return None;
        }
        cluster.quiet += 1;
        if cluster.quiet > pace.gap { self.cluster.take().map(|closed| closed.peak) } else { None }
    }
}

/// How long an alarm has run, which decides what may be learned as normal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlarmRun(u32);

/// What to do with an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is ordinary.
    Admit,
    /// It is part of an alarm and must not become normal.
    Refuse,
    /// The alarm has lasted too long to be one: this is how things are now.
    Accept,
}

impl AlarmRun {
    /// The run goes on or fades; an alarm longer than `shift_after` is accepted, for as long as it took.
    pub(crate) fn follow(&mut self, alarming: bool, pace: &Pace) -> Admission {
        if !alarming {
            self.0 = self.0.saturating_sub(2);
            return Admission::Admit;
        }
        self.0 = self.0.saturating_add(1);
        if self.0 <= pace.shift_after { Admission::Refuse } else { Admission::Accept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strengths with a heavy or a light tail: the nominal rate holds within a factor of two and a half.
    #[test]
    fn severity_70_is_one_event_a_week() {
        let mut state = 7_u64;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
        };
        for (interval, weeks, power) in
            [(60_u32, 60, 0.5), (300, 200, 0.5), (3_600, 1_000, 0.5), (60, 60, -0.3)]
        {
            let (pace, mut tail) = (Pace::new(interval, 1), Tail::new(1e-3));
            let points = weeks * pace.points_per_week as u64;
            let (mut events, mut quiet) = (0_u32, 1_000_u32);
            for index in 0..points {
                // Powers of an exponential: .5 is Gaussian-like; else a Pareto law.
                let strength =
                    if power > 0.0 { (-uniform().ln()).powf(power) } else { uniform().powf(power) };
                let alarms = tail.log10_rate(strength, &pace) < 0.0;
                if alarms && quiet > pace.gap && index > points / 5 {
                    events += 1;
                }
                quiet = if alarms { 0 } else { quiet.saturating_add(1) };
                tail.learn(strength, &pace);
            }
            let rate = f64::from(events) / (0.8 * weeks as f64);
            assert!((0.4..2.5).contains(&rate), "{interval} s, power {power}: {rate} a week");
            let at = tail.log10_rate(tail.threshold(&pace), &pace);
            assert!(at.abs() < 1e-6, "{at}");
        }
    }
}
