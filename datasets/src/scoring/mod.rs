//! Scorers: how good a detector's scores are, from plain numbers.
//!
//! | Scorer | For |
//! |---|---|
//! | [`EventSeries`], [`judge_events`], [`sweep_events`] | labelled series: recall, precision and false events per week |
//! | [`QuietSeries`], [`judge_quiet`] | series without labels: how often a detector speaks |
//! | [`PointSeries`] | the same point by point, as papers report: AUC-PR, VUS-PR, ranges, the AIOps contest |
//! | [`NabFile`], [`nab_best`], [`nab_at`] | the Numenta Anomaly Benchmark |
//! | [`judge_spans`], [`sweep_spans`] | alerts against labelled spans of time |
//! | [`rate_interval`], [`share_interval`] | the interval of a rate or a share that was counted |
//!
//! A score that is missing (`NaN`) never alarms. Nothing here reads files or knows a detector.

mod events;
mod interval;
mod nab;
mod points;
mod quiet;
mod spans;
mod sweep;

pub use events::{EventSeries, EventTable, judge_events};
pub use interval::rate_interval;
pub use nab::{NAB_PROFILES, NabFile, NabProfile, NabScore, nab_at, nab_best};
pub use points::{PointSeries, Touching};
pub use quiet::{QuietSeries, QuietTable, judge_quiet};
pub use spans::{Span, SpanRules, SpanTable, average_precision, judge_spans, share_interval, sweep_spans};
pub use sweep::{EventSweep, sweep_events};

/// Seconds of a week.
const WEEK_SECONDS: f64 = 604_800.0;

/// The median, `NaN` for nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// The median distance of ascending times, in seconds; one minute if there is none.
fn step_seconds(times: &[f64]) -> f64 {
    let step = median(times.windows(2).map(|pair| pair[1] - pair[0]).collect());
    if step > 0.0 { step } else { 60.0 }
}

/// How many points apart two alarms are still one event: an hour, or three points of a coarse series.
fn gap_points(step: f64) -> usize {
    if step <= FINE_SECONDS { ((3_600.0 / step) as usize).max(3) } else { 3 }
}

/// Up to this step a series counts as fine.
const FINE_SECONDS: f64 = 600.0;

/// Alarms at or over `at`, those at most `gap` points apart taken as one; and how many points they hold.
fn count_events(scores: &[f64], at: f64, gap: usize) -> (usize, usize) {
    let (mut events, mut points) = (0, 0);
    let mut last: Option<usize> = None;
    for (index, score) in scores.iter().enumerate() {
        if *score >= at {
            points += 1;
            events += usize::from(last.is_none_or(|last| index - last > gap));
            last = Some(index);
        }
    }
    (events, points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_close_together_are_one_event() {
        let scores = [80.0, 0.0, 0.0, 80.0, 0.0, 0.0, 0.0, 0.0, 80.0, f64::NAN];
        assert_eq!(count_events(&scores, 70.0, 3), (2, 3));
        assert_eq!(count_events(&scores, 90.0, 3), (0, 0));
    }

    #[test]
    fn steps_are_medians() {
        assert_eq!(step_seconds(&[0.0, 60.0, 120.0, 600.0]), 60.0);
        assert_eq!((gap_points(60.0), gap_points(300.0), gap_points(3_600.0)), (60, 12, 3));
        assert!(median(Vec::new()).is_nan());
    }
}
