//! Series that the tests share, made by integer arithmetic and a fixed generator of chance.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use tidewatch_detectors::Observation;

/// Observations of the hourly count case that `golden/v1/seasonal.json` has learned.
pub(crate) const SAVED_AFTER: usize = 900;
/// A Monday, midnight.
pub(crate) const START: i64 = 1_699_228_800;

/// Uniform numbers from the linear congruential generator of Knuth's MMIX: state s goes to
/// 6364136223846793005 s + 1442695040888963407 modulo 2^64; the number is its upper 53 bits over 2^53.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Nearly Gaussian, mean 0 and variance 1: twelve uniform numbers, added in order, minus 6.
    pub(crate) fn normal(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..12 {
            sum += self.uniform();
        }
        sum - 6.0
    }

    /// A Poisson count, by multiplication; for means up to some tens.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }
}

/// A series of the golden files.
pub(crate) struct Case {
    pub(crate) interval_seconds: u32,
    days: u32,
    base: f64,
    count: bool,
    below: f64,
    seed: u64,
}

impl Case {
    pub(crate) const MINUTE_COUNT: Self = Self::new(60, 24, 40.0, true, 0.0, 1);
    pub(crate) const FIVE_MINUTES_SCARCE: Self = Self::new(300, 42, 3.0, true, 0.0, 2);
    pub(crate) const FIVE_MINUTES_CONTINUOUS: Self = Self::new(300, 28, 90.0, false, 60.0, 3);
    pub(crate) const HOUR_COUNT: Self = Self::new(3_600, 70, 500.0, true, 0.0, 4);
    pub(crate) const HOUR_CONTINUOUS: Self = Self::new(3_600, 70, 25.0, false, 0.0, 5);

    const fn new(interval_seconds: u32, days: u32, base: f64, count: bool, below: f64, seed: u64) -> Self {
        Self { interval_seconds, days, base, count, below, seed }
    }
}

/// `base` times a parabola over the day, a fifth less at weekends, with noise, less `below`. In twentieths of
/// the series: at 11 six windows at a fifth, at 12 three windows threefold, at 13 an outage of two hours (at
/// least six windows), at 14 a gap of seven windows, from 16 on everything times 1.6.
pub(crate) fn golden_series(case: &Case) -> Vec<Observation> {
    let interval = i64::from(case.interval_seconds);
    let length = i64::from(case.days) * 86_400 / interval;
    let mut chance = Chance(case.seed);
    let mut series = Vec::new();
    for index in 0..length {
        let noise = chance.normal();
        let time = START + index * interval;
        let day = (time % 86_400) as f64 / 86_400.0;
        let weekend = (time / 86_400 + 3) % 7 >= 5;
        let since = |twentieths: i64| index - length * twentieths / 20;
        let mut mean = case.base * (0.4 + 4.8 * day * (1.0 - day)) * if weekend { 0.8 } else { 1.0 };
        if (0..6).contains(&since(11)) {
            mean *= 0.2;
        }
        if (0..3).contains(&since(12)) {
            mean *= 3.0;
        }
        if since(16) >= 0 {
            mean *= 1.6;
        }
        let mut value = if case.count {
            (mean + mean.sqrt() * noise + 0.5).floor().max(0.0)
        } else {
            mean * (1.0 + 0.1 * noise) - case.below
        };
        if (0..(7_200 / interval).max(6)).contains(&since(13)) {
            value = if case.count { 0.0 } else { -case.below };
        }
        if !(0..7).contains(&since(14)) {
            series.extend(Observation::new(time, value, value.max(0.0) as u64));
        }
    }
    series
}
