//! The model: negative-binomial counts around a smooth daily and weekly profile.
//!
//! Weekends start later; growth is 2 % a week; the mean wanders by 3 % with a time constant of an hour and by
//! 3 % from day to day; the variance is 1.3 of the mean and 3 % of it squared; 0.2 % of the minutes are
//! missing.

use core::f64::consts::TAU;

use crate::draw::Draw;

/// Minutes of a week.
pub const WEEK_MINUTES: usize = 10_080;
/// Weeks at the start of a series that are for learning and hold no fault.
pub const WARM_UP_WEEKS: usize = 4;
/// Civil time of the first minute, Monday 2026-03-02, in seconds.
pub const START_SECONDS: i64 = 1_772_409_600;

const DAY_MINUTES: usize = 1_440;
/// How much later a weekend's day runs, in minutes.
const LATE: usize = 70;
const DAY_FACTORS: [f64; 7] = [1.0, 0.97, 0.98, 1.0, 1.08, 1.2, 1.12];

/// A clean series.
#[derive(Clone, Debug)]
pub struct CountSeries {
    /// What each minute's count is drawn around.
    pub means: Vec<f64>,
    /// The counts.
    pub counts: Vec<u32>,
    /// Whether the minute was recorded.
    pub recorded: Vec<bool>,
}

impl CountSeries {
    /// Series number `number` at `rate` counts per minute. Of one seed, any two series are independent.
    pub fn new(seed: u64, rate: f64, number: u64, weeks: usize) -> Self {
        let mut draw = Draw::stream(seed, rate.to_bits(), number);
        let means = means(&mut draw, rate, weeks);
        let counts = means.iter().map(|mean| negative_binomial(&mut draw, *mean)).collect();
        let recorded = means.iter().map(|_| draw.uniform() >= 0.002).collect();
        Self { means, counts, recorded }
    }

    /// Civil seconds of a minute.
    pub fn civil_seconds(minute: usize) -> i64 {
        START_SECONDS + 60 * minute as i64
    }
}

fn means(draw: &mut Draw, rate: f64, weeks: usize) -> Vec<f64> {
    let profile = profile();
    let factors = DAY_FACTORS.map(|factor| factor * (1.0 + 0.03 * draw.normal()));
    let minutes = weeks * WEEK_MINUTES;
    let days: Vec<f64> = (0..minutes / DAY_MINUTES + 2).map(|_| 0.03 * draw.normal()).collect();
    let keep = libm::exp(-1.0 / 60.0);
    let push = 0.03 * (1.0 - keep * keep).sqrt();
    let mut wander = 0.0;
    (0..minutes)
        .map(|minute| {
            wander = keep * wander + push * draw.normal();
            let growth = libm::pow(1.02, minute as f64 / WEEK_MINUTES as f64);
            let noise = libm::exp(wander + between_noons(&days, minute) - 0.0009);
            rate * blended(&profile, &factors, minute) * growth * noise
        })
        .collect()
}

/// The shape of a day, mean 1.
fn profile() -> Vec<f64> {
    let shape = |minute: usize| {
        let time = minute as f64 / DAY_MINUTES as f64;
        let evening = (time - 0.83) / 0.05;
        let wave = 0.75 * libm::sin(TAU * (time - 0.38)) + 0.25 * libm::sin(2.0 * TAU * (time - 0.1));
        (1.0 + wave + 0.12 * libm::exp(-evening * evening)).max(0.12)
    };
    let raw: Vec<f64> = (0..DAY_MINUTES).map(shape).collect();
    let mean = raw.iter().sum::<f64>() / DAY_MINUTES as f64;
    raw.into_iter().map(|value| value / mean).collect()
}

/// The profile of a minute of the series; two days blend over four hours around midnight.
fn blended(profile: &[f64], factors: &[f64; 7], minute: usize) -> f64 {
    let day = minute as f64 / DAY_MINUTES as f64 - 0.5;
    let before = day.floor();
    let weight = ((day - before - 0.5) * 6.0 + 0.5).clamp(0.0, 1.0);
    let of_day = |day: i64| {
        let weekday = day.rem_euclid(7) as usize;
        let shift = if weekday >= 5 { DAY_MINUTES - LATE } else { 0 };
        profile[(minute + shift) % DAY_MINUTES] * factors[weekday]
    };
    (1.0 - weight) * of_day(before as i64) + weight * of_day(before as i64 + 1)
}

/// Day values are reached at noon and joined by straight lines.
fn between_noons(days: &[f64], minute: usize) -> f64 {
    let place = (minute as f64 / DAY_MINUTES as f64 - 0.5).max(0.0);
    let day = place as usize;
    let share = place - day as f64;
    days[day] * (1.0 - share) + days[day + 1] * share
}

/// Variance 1.3 of the mean plus 3 % of it squared: a Poisson count of a gamma mean.
fn negative_binomial(draw: &mut Draw, mean: f64) -> u32 {
    let excess = 0.3 + 0.0009 * mean;
    let gamma = draw.gamma(mean / excess) * excess;
    draw.poisson(gamma)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
        let count = values.len() as f64;
        values.sum::<f64>() / count
    }

    #[test]
    fn counts_have_the_model_s_mean_and_dispersion() {
        for rate in [0.5, 50.0, 5_000.0] {
            let series = CountSeries::new(3, rate, 0, 4);
            let pairs = || series.counts.iter().zip(&series.means);
            let ratio = mean(pairs().map(|(count, mean)| f64::from(*count) / mean));
            assert!((ratio - 1.0).abs() < 0.03, "{rate}: {ratio}");
            let dispersion = mean(pairs().map(|(count, mean)| {
                let error = f64::from(*count) - mean;
                error * error / (1.3 * mean + 0.0009 * mean * mean)
            }));
            assert!((dispersion - 1.0).abs() < 0.05, "{rate}: {dispersion}");
        }
    }

    #[test]
    fn the_level_and_the_shape_of_a_week_are_right() {
        // Twenty series: a day's noise of 3 % averages out to below 1 %. Growth over the first week is 1 %.
        let week: Vec<f64> = (0..WEEK_MINUTES).map(|_| 0.0).collect();
        let total = (0..20).fold(week, |sum, number| {
            let means = CountSeries::new(5, 1.0, number, 1).means;
            sum.iter().zip(means).map(|(sum, mean)| sum + mean / 20.0).collect()
        });
        let day = |day: usize| mean(total[day * 1_440 + 120..(day + 1) * 1_440 - 120].iter().copied());
        assert!((mean(total.iter().copied()) - 1.0607).abs() < 0.03);
        assert!((day(5) / day(1) - 1.2 / 0.97).abs() < 0.06, "{}", day(5) / day(1));
    }

    #[test]
    fn seeds_and_numbers_repeat_and_differ() {
        let counts = |seed, number| CountSeries::new(seed, 5.0, number, 1).counts;
        assert_eq!(counts(1, 2), counts(1, 2));
        assert_ne!(counts(1, 2), counts(1, 3));
        assert_ne!(counts(1, 2), counts(2, 2));
    }

    #[test]
    fn few_minutes_are_missing() {
        let recorded = CountSeries::new(1, 5.0, 0, 4).recorded;
        let missing = recorded.iter().filter(|recorded| !**recorded).count();
        assert!((40..130).contains(&missing), "{missing}");
    }
}
