//! Drills on synthetic counts with one known change: what the seasonal detector says, and how soon.
//!
//! Every change comes in the middle of the seventh week. An alert is an onset or a clear rise, as in the `alert`
//! column of `tidewatch score`. On a holiday the counts of other series come on top.

use tidewatch_datasets::synthetic::{CountSeries, WEEK_MINUTES};
use tidewatch_detectors::{
    DetectorConfig, Direction, LearnPolicy, Observation, Occasion, SeasonalConfig, ValueKind,
};

use super::alert_column::AlertColumn;

const WEEKS: usize = 9;
const DAY: usize = 1_440;
const PAGE: f64 = 70.0;
/// What a holiday brings on top, in times of the usual.
const MOST_MORE: usize = 3;
/// Monday of the seventh week.
const CHANGE_WEEK: usize = 6 * WEEK_MINUTES;

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drill {
    /// Nothing.
    Nothing,
    /// From Wednesday 10:00 on only 60 of 100 events are left, for good.
    Shift,
    /// Nothing at all arrives for two hours from this hour of Wednesday.
    Outage(u8),
    /// On Sunday the clocks go from 02:00 to 03:00.
    Spring,
    /// On Sunday the clocks go from 03:00 back to 02:00.
    Autumn,
    /// On Thursday a holiday of the calendar brings four times the usual.
    Holiday(Holiday),
}

/// What is known of a holiday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holiday {
    /// Nothing.
    New,
    /// It was the same three weeks ago.
    Back,
    /// It was the same three weeks ago; now it brings twice the usual.
    Half,
}

/// What was said from the change on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrillResult {
    /// Alerts in the first two days.
    pub two_days: usize,
    /// Alerts in the first week.
    pub first_week: usize,
    /// Alerts in the week after that.
    pub second_week: usize,
    /// Minutes to the first severity of 70, the first counted as 1.
    pub delay: Option<usize>,
}

impl Drill {
    /// The minute of the series at which the change begins.
    fn start(self) -> usize {
        match self {
            Self::Nothing | Self::Shift => CHANGE_WEEK + 2 * DAY + 600,
            Self::Outage(hour) => CHANGE_WEEK + 2 * DAY + 60 * usize::from(hour),
            Self::Spring => CHANGE_WEEK + 6 * DAY + 120,
            Self::Autumn => CHANGE_WEEK + 6 * DAY + 180,
            Self::Holiday(_) => CHANGE_WEEK + 3 * DAY,
        }
    }

    /// Minutes of the model in the order in which they happen: a civil hour is left out, or comes twice.
    fn minutes(self) -> Vec<usize> {
        let (all, start) = (WEEKS * WEEK_MINUTES, self.start());
        match self {
            Self::Spring => (0..start).chain(start + 60..all).collect(),
            Self::Autumn => (0..start).chain(start - 60..all).collect(),
            _ => (0..all).collect(),
        }
    }

    fn changed(self, minute: usize, count: u32) -> u32 {
        let since = minute.checked_sub(self.start());
        match (self, since) {
            (Self::Outage(_), Some(0..120)) => 0,
            (Self::Shift, Some(since)) => thinned(since as u64, count),
            _ => count,
        }
    }

    /// How many times the usual comes on top of it in this minute: none but on a holiday.
    fn more(self, minute: usize) -> usize {
        let Self::Holiday(holiday) = self else { return 0 };
        let day = |start: usize| (start..start + DAY).contains(&minute);
        if day(self.start()) {
            return if holiday == Holiday::Half { 1 } else { MOST_MORE };
        }
        if holiday != Holiday::New && day(self.start() - 3 * WEEK_MINUTES) { MOST_MORE } else { 0 }
    }
}

/// Keeps each event with probability 0.6.
fn thinned(minute: u64, count: u32) -> u32 {
    let kept = |event: &u32| {
        let mixed = (minute << 20 | u64::from(*event)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 29)) >> 11) as f64 / 9_007_199_254_740_992.0 < 0.6
    };
    (0..count).filter(kept).count() as u32
}

/// Runs a drill on series number `number` of the seed.
pub fn run_drill(drill: Drill, seed: u64, rate: f64, number: u64) -> DrillResult {
    let series = CountSeries::new(seed, rate, number, WEEKS);
    let crowds: Vec<CountSeries> = match drill {
        Drill::Holiday(_) => (1..=MOST_MORE as u64)
            .map(|crowd| CountSeries::new(seed, rate, number + crowd * 1_000_000, WEEKS))
            .collect(),
        _ => Vec::new(),
    };
    let config =
        SeasonalConfig::new(60, ValueKind::Learned, Direction::Both).expect("a minute is an interval");
    let mut model = DetectorConfig::Seasonal(config).start();
    let (mut alerts, mut result) = (AlertColumn::default(), DrillResult::default());
    for (step, minute) in drill.minutes().into_iter().enumerate() {
        if !series.recorded[minute] {
            continue;
        }
        let more: u32 = crowds.iter().take(drill.more(minute)).map(|crowd| crowd.counts[minute]).sum();
        let count = drill.changed(minute, series.counts[minute]) + more;
        let civil = CountSeries::civil_seconds(minute);
        let Some(mut observation) = Observation::new(civil, f64::from(count), u64::from(count)) else {
            continue;
        };
        if drill.more(minute) > 0 {
            observation = observation.with_occasion(Occasion { class: 1, uplift: None });
        }
        let Some(score) = model.observe(&observation, LearnPolicy::Learn) else { continue };
        let alerted = usize::from(alerts.next(score.severity()) >= PAGE);
        let Some(since) = step.checked_sub(drill.start()) else { continue };
        if score.severity() >= PAGE && result.delay.is_none() {
            result.delay = Some(since + 1);
        }
        result.two_days += if since < 2 * DAY { alerted } else { 0 };
        result.first_week += if since < WEEK_MINUTES { alerted } else { 0 };
        result.second_week += if (WEEK_MINUTES..2 * WEEK_MINUTES).contains(&since) { alerted } else { 0 };
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_seen_and_thinning_keeps_its_share() {
        let result = run_drill(Drill::Outage(15), 1, 50.0, 0);
        assert!(result.delay.is_some_and(|minutes| minutes <= 10), "{result:?}");
        let kept: u32 = (0..1_000).map(|minute| thinned(minute, 5)).sum();
        assert!((2_850..3_150).contains(&kept), "{kept}");
    }

    #[test]
    fn a_holiday_that_comes_back_is_no_news_and_half_of_it_is() {
        let run = |holiday| run_drill(Drill::Holiday(holiday), 1, 50.0, 0);
        assert_eq!((run(Holiday::New).two_days, run(Holiday::Back).two_days), (0, 0));
        assert!(run(Holiday::Half).delay.is_some_and(|minutes| minutes < DAY));
    }

    #[test]
    fn clock_changes_skip_or_repeat_an_hour() {
        assert_eq!(Drill::Spring.minutes().len(), WEEKS * WEEK_MINUTES - 60);
        assert_eq!(Drill::Autumn.minutes().len(), WEEKS * WEEK_MINUTES + 60);
    }
}
