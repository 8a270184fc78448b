//! The constants that follow from the width of a window; computed once per model, never saved.
//!
//! Rates of learning are given as half-lives in observations and kept as the share of news per observation.
//! They were measured for windows of 1 minute to 1 hour. Over an hour, where a day has too few observations
//! to count in days, whatever is learned keeps the pace it has at one hour, observation for observation:
//! profiles, variances, calibration and warm-up. Also there the threshold factor stays at its value for one
//! hour (.47), a level shift needs more than 4 observations in alarm, and with fewer than two observations a
//! day there is no daily profile. Below a minute the formulas are simply continued.

use super::baseline::{DAILY_KNOTS, WEEKLY_KNOTS};
use crate::config::{SeasonalConfig, ValueKind};

/// Everything the detector derives from the interval. "Points" are observations.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each says another thing of the series")]
pub(super) struct Cadence {
    pub(super) points_per_week: f64,
    pub(super) ln_points_per_week: f64,
    /// Factor on thresholds: coarser windows have fewer chances to exceed them.
    pub(super) threshold_factor: f64,

    pub(super) fast_level_rate: f64,
    pub(super) slow_level_rate: f64,
    pub(super) variance_rate: f64,
    pub(super) calibration_rate: f64,
    pub(super) typical_rate: f64,
    pub(super) outer_rate: f64,

    pub(super) short_warmup: f64,
    pub(super) long_warmup: f64,
    pub(super) clip_after: f64,
    pub(super) has_daily_profile: bool,
    pub(super) daily_from: f64,
    pub(super) weekly_from: f64,
    pub(super) bins_from: f64,

    pub(super) points_per_daily_knot: f64,
    pub(super) points_per_weekly_knot: f64,
    pub(super) daily_knot_rate: f64,
    pub(super) weekly_knot_rate: f64,
    /// Variance of a reference window's profile, as a factor on the profile's own.
    pub(super) profile_error: f64,

    /// Share of the count of runs on a series of zeros that is kept per observation; half-life four weeks.
    pub(super) size_keep: f64,
    /// Share of the sums of a running occasion that is kept per observation; half-life six hours.
    pub(super) occasion_keep: f64,
    pub(super) cluster_gap: f64,
    pub(super) shift_after: f64,
    pub(super) q10_decay: f64,
    pub(super) q30_decay: f64,
    /// What one alarm adds to the rarity rule, and what every observation takes away: they balance at the
    /// number of alarms a week and side that a series is granted.
    pub(super) rarity_step: f64,
    pub(super) rarity_decay: f64,

    /// The values are made of single events, with hours in which none come.
    pub(super) lumpy: bool,
    /// Values are shares of a denominator.
    pub(super) ratio: bool,
    /// Values are means of numbers.
    pub(super) mean: bool,
}

/// Share of news per observation for a half-life in observations.
fn rate(half_life: f64) -> f64 {
    1.0 - 0.5_f64.powf(1.0 / half_life)
}

/// The pace of a mean of `count` values so far: plain at first, fading at `rate` once it has enough.
pub(super) fn pace(rate: f64, count: f64) -> f64 {
    if rate * count < 1.0 { 1.0 / count } else { rate }
}

impl Cadence {
    const SECONDS_PER_DAY: f64 = 86_400.0;
    const POINTS_PER_WEEK_AT_ONE_MINUTE: f64 = 10_080.0;
    const RARITY_STEP: f64 = 0.03;
    /// Alarms a week and side at which sums of amounts balance. Severity 70 promises at most half a one; half
    /// of that is left to what is wrong in truth, which spends from the same budget.
    const AMOUNTS_BUDGET: f64 = 0.25;
    /// An alarm on a sum lifts its thresholds by a fifth: a tail heavier than assumed is learned within a few
    /// alarms, and a single real event is forgotten within four weeks.
    const AMOUNTS_STEP: f64 = 0.2;

    /// The constants for a series of this interval and kind.
    pub(super) fn of(config: SeasonalConfig) -> Self {
        let mut cadence = Self::new(config.interval_seconds);
        cadence.lumpy = config.kind.is_lumpy();
        cadence.ratio = config.kind == ValueKind::Ratio;
        cadence.mean = config.kind == ValueKind::Mean;
        if config.kind == ValueKind::Amounts {
            cadence.rarity_step = Self::AMOUNTS_STEP;
            cadence.rarity_decay = Self::AMOUNTS_STEP * Self::AMOUNTS_BUDGET / cadence.points_per_week;
        }
        cadence
    }

    pub(super) fn new(interval_seconds: u32) -> Self {
        let per_day = Self::SECONDS_PER_DAY / f64::from(interval_seconds.clamp(10, 86_400));
        let per_week = 7.0 * per_day;
        let paced = per_day.max(24.0);
        let per_daily_knot = paced / DAILY_KNOTS as f64;
        let per_weekly_knot = paced * 7.0 / WEEKLY_KNOTS as f64;
        let long_warmup = (2.0 * paced).max(30.0);
        let short_warmup = (0.25 * paced).min(long_warmup).max(30.0);
        let scale = (per_week / Self::POINTS_PER_WEEK_AT_ONE_MINUTE).powf(0.4);
        let hourly_or_finer = (7.0 * paced).max(168.0);
        let profile_error = if per_day < 1_440.0 { (0.25 * (1_440.0 / paced).sqrt()).min(1.0) } else { 0.25 };
        Self {
            points_per_week: per_week,
            ln_points_per_week: per_week.ln(),
            threshold_factor: 1.0 - 0.13 * (Self::POINTS_PER_WEEK_AT_ONE_MINUTE / hourly_or_finer).ln(),
            fast_level_rate: rate((0.2 * per_day).max(24.0)),
            slow_level_rate: rate((2.0 * per_day).max(50.0)),
            variance_rate: rate(3.0 * paced),
            calibration_rate: rate(7.0 * paced),
            typical_rate: rate((2.0 * paced).max(48.0)),
            outer_rate: rate((7.0 * paced).max(168.0)),
            short_warmup,
            long_warmup,
            clip_after: short_warmup.min(200.0),
            has_daily_profile: per_day >= 2.0,
            daily_from: 0.1 * per_day,
            weekly_from: per_day.max(7.0),
            bins_from: 0.5 * paced,
            points_per_daily_knot: per_daily_knot,
            points_per_weekly_knot: per_weekly_knot,
            daily_knot_rate: 1.0 - 0.95_f64.powf(1.0 / per_daily_knot),
            weekly_knot_rate: 1.0 - 0.88_f64.powf(1.0 / per_weekly_knot),
            profile_error: profile_error * profile_error,
            size_keep: 0.5_f64.powf(1.0 / (4.0 * per_week)),
            occasion_keep: 0.5_f64.powf(1.0 / (0.25 * per_day).max(1.0)),
            cluster_gap: (per_day / 48.0).clamp(3.0, 30.0),
            shift_after: (0.5 * per_day).max(4.0),
            q10_decay: (-0.05 * 10.0 * scale / per_week).exp(),
            q30_decay: (-0.05 * 30.0 * scale / per_week).exp(),
            rarity_step: Self::RARITY_STEP,
            rarity_decay: Self::RARITY_STEP * 12.0 * scale.sqrt() / per_week,
            lumpy: false,
            ratio: false,
            mean: false,
        }
    }

    /// Values count for as much as they rest on.
    pub(super) fn is_weighted(&self) -> bool {
        self.ratio || self.mean
    }

    /// How many observations decide what the values are, and how far below zero they reach.
    pub(super) fn opening_points(&self) -> usize {
        (2.0 * self.points_per_week / 7.0).clamp(48.0, 2_880.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_those_of_the_reference_inside_its_range() {
        let minute = Cadence::new(60);
        assert_eq!(minute.threshold_factor, 1.0);
        assert_eq!((minute.short_warmup, minute.long_warmup), (360.0, 2_880.0));
        assert_eq!(minute.opening_points(), 2_880);
        let hour = Cadence::new(3_600);
        assert!((hour.threshold_factor - 0.468).abs() < 5e-4);
        assert_eq!((hour.short_warmup, hour.long_warmup), (30.0, 48.0));
        assert_eq!(hour.shift_after, 12.0);
    }

    #[test]
    fn constants_stay_sane_outside_it() {
        let day = Cadence::new(86_400);
        assert_eq!(day.threshold_factor, Cadence::new(3_600).threshold_factor);
        assert!(!day.has_daily_profile);
        assert_eq!((day.short_warmup, day.long_warmup, day.shift_after), (30.0, 48.0, 4.0));
        let tens = Cadence::new(10);
        assert!(tens.threshold_factor > 1.0 && tens.threshold_factor < 1.3);
        assert_eq!((tens.opening_points(), tens.cluster_gap), (2_880, 30.0));
    }
}
