//! What is normal now: a level times a daily and a weekly profile, with the variance around it.
//!
//! The profiles are shrunken ratios of what came to what the level promised, so they start flat and take
//! shape as far as the data support it; how little they know is part of the expectation. The variance follows
//! the mean within bins of the profile. Learning is clipped by the caller; nothing here looks for anomalies.

use serde::{Deserialize, Serialize};

use super::cadence::{Cadence, pace};
use super::knots::{Knots, Place};
use super::lent::Lent;
use super::{MAX_MEAN, Mode};

pub(super) const DAILY_KNOTS: usize = 96;
pub(super) const WEEKLY_KNOTS: usize = 168;
const KNOTS_PER_WEEKDAY: usize = WEEKLY_KNOTS / 7;
const SECONDS_PER_WEEK: f64 = 604_800.0;
const BINS: usize = 8;
const MAX_PROFILE: f64 = 1e30;

/// Level, profiles and dispersion of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// Observations learned.
    pub(super) learned: u64,
    /// Levels per unit of exposure.
    fast_level: f64,
    pub(super) slow_level: f64,
    /// Mean exposure: what ratios and means rest on, 1 elsewhere.
    pub(super) exposure: f64,
    fast: [f64; 2],
    slow: [f64; 2],
    /// Dispersion (variance over mean) of the whole series.
    dispersion: f64,
    bin_dispersion: [f64; BINS],
    bin_weight: [f64; BINS],
    daily: Knots<DAILY_KNOTS>,
    weekly: Knots<WEEKLY_KNOTS>,
    /// The rhythm it leans on while it knows little of its own.
    pub(super) lent: Option<Box<Lent>>,
}

/// What the baseline says about one civil time, before it sees the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expectation {
    pub(super) mean: f64,
    pub(super) variance: f64,
    pub(super) deviation: f64,
    /// Profile times exposure: what the mean is to the level.
    pub(super) profile: f64,
    /// How many trials or numbers this value rests on; 1 unless it is a ratio or a mean.
    pub(super) exposure: f64,
    /// Dispersion in this part of the profile.
    pub(super) dispersion: f64,
    pub(super) shape: Shape,
    /// Relative variance of the mean beside that of the profiles.
    pub(super) doubt: f64,
    bin: usize,
    bin_share: f64,
    fast_level: f64,
    pub(super) slow_level: f64,
}

/// The profiles at one civil time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Relative variance of the daily and of the weekly profile.
    pub(super) daily_error: f64,
    pub(super) weekly_error: f64,
    daily_ratio: f64,
    weekly_ratio: f64,
    daily: Place,
    weekly: Place,
}

impl Shape {
    fn profile(&self) -> f64 {
        (self.daily_ratio * self.weekly_ratio).min(MAX_PROFILE)
    }
}

impl Baseline {
    pub(super) fn new() -> Self {
        Self {
            learned: 0,
            fast_level: 0.0,
            slow_level: 0.0,
            exposure: 1.0,
            fast: [0.0; 2],
            slow: [0.0; 2],
            dispersion: 0.0,
            bin_dispersion: [0.0; BINS],
            bin_weight: [0.0; BINS],
            daily: Knots::new(),
            weekly: Knots::new(),
            lent: None,
        }
    }

    /// The rhythm, for another series to lean on.
    pub(super) fn lend(&self, mode: Mode, cadence: &Cadence) -> Lent {
        let level = self.fast_level.max(1e-9) * self.exposure;
        let (daily, weekly) = priors(level, self.relative_variance(level, mode, cadence), cadence);
        Lent::of((&self.daily, daily), (&self.weekly, weekly))
    }

    /// Dispersion to the level: the variance of an ordinary window, relative to its mean squared.
    fn relative_variance(&self, level: f64, mode: Mode, cadence: &Cadence) -> f64 {
        let floor = self.dispersion.max(least_dispersion(mode, self.fast_level, cadence));
        (floor.max(1e-9) / level).min(25.0)
    }

    /// The expectation at `civil_seconds`; the first value ever, `x`, stands in for the level. A series that
    /// `closes` may open or close one window early or late.
    #[inline]
    pub(super) fn expect(
        &self,
        civil_seconds: i64,
        (x, exposure): (f64, f64),
        cadence: &Cadence,
        mode: Mode,
        closes: bool,
    ) -> Expectation {
        let first = self.learned < 1;
        let fast_level = if first { (x / exposure).max(1e-9) } else { self.fast_level };
        let slow_level = if first { (x / exposure).max(1e-9) } else { self.slow_level };
        // What an ordinary window brings: priors are worth so many of them.
        let level = fast_level.max(1e-9) * if first { exposure } else { self.exposure };
        let least = least_dispersion(mode, fast_level, cadence);
        let floor = self.dispersion.max(least);
        let relative_variance = if self.learned > 5 { (floor.max(1e-9) / level).min(25.0) } else { 0.3 };

        let shape = self.shape(civil_seconds, level, relative_variance, cadence, closes);
        let profile = shape.profile();
        let mean = (fast_level * (profile * exposure)).clamp(1e-12, MAX_MEAN);
        // A mean of few numbers is noise, one of many wanders with the whole: each has a dispersion of its own.
        let size = if cadence.mean { profile * (exposure / self.exposure.max(1e-9)) } else { profile };
        let (bin, bin_share) = bin_of(size);
        let dispersion = self.dispersion_in(bin, bin_share, floor);
        let mut variance = dispersion.max(least).max(1e-12) * mean;
        if closes {
            let step = (SECONDS_PER_WEEK / cadence.points_per_week) as i64;
            let jitter =
                [civil_seconds.saturating_sub(step), civil_seconds.saturating_add(step)].map(|time| {
                    (self.shape(time, level, relative_variance, cadence, true).profile() - profile).abs()
                });
            let jitter = (fast_level * jitter[0].max(jitter[1])).min(MAX_MEAN);
            variance += jitter * jitter;
        }
        Expectation {
            mean,
            variance,
            deviation: variance.sqrt(),
            profile: profile * exposure,
            exposure,
            dispersion,
            shape,
            doubt: 0.0,
            bin,
            bin_share,
            fast_level,
            slow_level,
        }
    }

    /// The profiles at `civil_seconds`. A series that `closes` knows which days of the week are closed from the whole day,
    /// where one hour of one weekday would take months to tell 0 from few.
    fn shape(
        &self,
        civil_seconds: i64,
        level: f64,
        relative_variance: f64,
        cadence: &Cadence,
        closes: bool,
    ) -> Shape {
        let day_fraction = civil_seconds.rem_euclid(86_400) as f64 / 86_400.0;
        let weekday = (civil_seconds.div_euclid(86_400) + 3).rem_euclid(7) as f64;
        let daily = Place::of::<DAILY_KNOTS>(day_fraction * DAILY_KNOTS as f64 - 0.5);
        let weekly = Place::of::<WEEKLY_KNOTS>((weekday + day_fraction) * 24.0 - 0.5);
        let (daily_prior, weekly_prior) = priors(level, relative_variance, cadence);
        let lent = self.lent.as_deref();
        let (daily_ratio, daily_error) = if cadence.has_daily_profile {
            let (ratio, doubt) = match lent {
                Some(lent) => self.daily.read_toward(daily, daily_prior, lent.at(0, daily)),
                None => self.daily.read(daily, daily_prior),
            };
            (ratio, 0.25 * doubt)
        } else {
            (1.0, 0.0)
        };
        let (weekly_ratio, doubt) = match lent {
            _ if closes => self.weekly.read_grouped(weekly, weekly_prior, KNOTS_PER_WEEKDAY),
            Some(lent) => self.weekly.read_toward(weekly, weekly_prior, lent.at(DAILY_KNOTS, weekly)),
            None => self.weekly.read(weekly, weekly_prior),
        };
        Shape { daily_error, weekly_error: 0.16 * doubt, daily_ratio, weekly_ratio, daily, weekly }
    }

    fn dispersion_in(&self, bin: usize, share: f64, floor: f64) -> f64 {
        let (here, next) = (self.bin_weight[bin], self.bin_weight[bin + 1]);
        let dispersion = if here > 20.0 && next > 20.0 {
            (1.0 - share) * self.bin_dispersion[bin] + share * self.bin_dispersion[bin + 1]
        } else if here > next {
            self.bin_dispersion[bin]
        } else {
            self.bin_dispersion[bin + 1]
        };
        if here + next < 20.0 {
            dispersion.max(if self.learned > 5 { floor } else { 1.0 })
        } else {
            dispersion
        }
    }

    /// Learns `x` (already clipped) with `weight` where `expected` was the expectation.
    pub(super) fn learn(&mut self, x: f64, weight: f64, expected: &Expectation, cadence: &Cadence) {
        if self.learned < 1 {
            self.fast_level = expected.fast_level;
            self.slow_level = expected.slow_level;
        }
        self.learned += 1;
        let learned = self.learned as f64;
        let profile = expected.profile;
        self.exposure += pace(cadence.outer_rate, learned) * (expected.exposure - self.exposure);
        decay_and_add(&mut self.fast, cadence.fast_level_rate, weight, x, profile);
        decay_and_add(&mut self.slow, cadence.slow_level_rate, weight, x, profile);
        if self.learned > 3 {
            self.fast_level = (self.fast[0] / self.fast[1].max(1e-12)).max(1e-9);
            self.slow_level = (self.slow[0] / self.slow[1].max(1e-12)).max(1e-9);
        }

        let level = self.fast_level;
        if learned > cadence.daily_from {
            if cadence.has_daily_profile {
                let promised = level * (expected.shape.weekly_ratio * expected.exposure);
                self.daily.learn(expected.shape.daily, cadence.daily_knot_rate, weight, x, promised);
            }
            if learned > cadence.weekly_from {
                let promised = level * (expected.shape.daily_ratio * expected.exposure);
                self.weekly.learn(expected.shape.weekly, cadence.weekly_knot_rate, weight, x, promised);
            }
        }

        let surprise = x - expected.mean;
        let spread = surprise * surprise / expected.mean.max(0.05 * x).max(1e-12);
        let rate = pace(cadence.variance_rate, learned + 1.0);
        self.dispersion += rate * weight * (spread - self.dispersion);
        if learned > cadence.bins_from {
            for (bin, share) in
                [(expected.bin, 1.0 - expected.bin_share), (expected.bin + 1, expected.bin_share)]
            {
                self.bin_weight[bin] += share;
                let rate = pace(cadence.variance_rate, self.bin_weight[bin] + 1.0);
                self.bin_dispersion[bin] += rate * share * weight * (spread - self.bin_dispersion[bin]);
            }
        }
    }

    /// Takes `factor` times the level for normal at once, and lets the next observations correct it.
    pub(super) fn accept_level(&mut self, factor: f64) {
        self.forget_level();
        self.fast_level = (self.fast_level * factor).max(1e-9);
        self.slow_level = self.fast_level;
        self.fast[0] = self.fast_level * self.fast[1];
        // Both are known equally well now.
        self.slow = self.fast;
    }

    /// Forgets most of the level, so that the next observations set it anew (a level shift was accepted).
    pub(super) fn forget_level(&mut self) {
        for sum in self.fast.iter_mut().chain(&mut self.slow) {
            *sum *= 0.02;
        }
    }
}

/// How many events a daily and a weekly knot are taken to have seen before they saw any.
fn priors(level: f64, relative_variance: f64, cadence: &Cadence) -> (f64, f64) {
    let daily = (relative_variance + 0.1 * cadence.points_per_daily_knot.min(3.0)) * level;
    let weekly = (relative_variance / 0.16 + 0.1 * cadence.points_per_weekly_knot) * level;
    (daily, weekly)
}

/// The least dispersion believed. Successes among n trials at share p have variance n p (1 - p), mean n p.
fn least_dispersion(mode: Mode, level: f64, cadence: &Cadence) -> f64 {
    if cadence.ratio { (1.0 - level).max(0.25) } else { mode.least_dispersion() }
}

/// A ratio of sums: both fade, `x` joins the upper and `profile` the lower.
fn decay_and_add(sums: &mut [f64; 2], rate: f64, weight: f64, x: f64, profile: f64) {
    let keep = 1.0 - rate * weight;
    sums[0] = sums[0] * keep + weight * x;
    sums[1] = sums[1] * keep + weight * profile;
}

/// The bin of a profile value and the share of the next one; bins are octaves.
fn bin_of(profile: f64) -> (usize, f64) {
    let position = (profile.max(0.02).log2() + 4.5).clamp(0.0, BINS as f64 - 1.001);
    let bin = position as usize;
    (bin, position - bin as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Mode = Mode { count: true, offset: 0.0 };

    #[test]
    fn the_first_value_is_the_first_expectation() {
        let expected = Baseline::new().expect(0, (7.0, 1.0), &Cadence::new(60), COUNT, false);
        assert_eq!((expected.mean, expected.slow_level), (7.0, 7.0));
    }

    #[test]
    fn a_daily_wave_is_learned() {
        let (cadence, mut baseline) = (Cadence::new(3_600), Baseline::new());
        let value = |hour: i64| if (8..20).contains(&hour.rem_euclid(24)) { 150.0 } else { 50.0 };
        for hour in 0..24 * 28 {
            let expected = baseline.expect(hour * 3_600, (value(hour), 1.0), &cadence, COUNT, false);
            baseline.learn(value(hour), 1.0, &expected, &cadence);
        }
        for hour in [3, 12] {
            let expected = baseline.expect((24 * 28 + hour) * 3_600, (0.0, 1.0), &cadence, COUNT, false);
            assert!((expected.mean / value(hour) - 1.0).abs() < 0.1, "{}", expected.mean);
        }
    }

    #[test]
    fn bins_cover_every_profile() {
        assert_eq!(bin_of(0.0), (0, 0.0));
        assert_eq!(bin_of(1.0), (4, 0.5));
        let (bin, share) = bin_of(MAX_PROFILE);
        assert!(bin + 1 < BINS && share < 1.0);
    }
}
