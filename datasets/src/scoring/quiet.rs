//! How often a detector speaks on series in which nothing is known to be wrong.
//!
//! Everything after the detector's first opinion counts; alarms less than an hour (3 points) apart are one.

use super::{WEEK_SECONDS, count_events, gap_points, step_seconds};

/// A scored series without labels.
#[derive(Clone, Debug)]
pub struct QuietSeries {
    scores: Vec<f64>,
    gap: usize,
    weeks: f64,
}

/// Alarms per week, at one threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuietTable {
    /// How many series were judged.
    pub series: usize,
    /// Series-weeks after the warm-up.
    pub weeks: f64,
    /// Alarms.
    pub events: usize,
    /// Most alarms per week on one series.
    pub worst_per_week: f64,
    /// Share of the points in alarm.
    pub in_alarm: f64,
    /// The largest such share on one series.
    pub worst_in_alarm: f64,
}

impl QuietSeries {
    /// Takes in a series in order of time: `times` in seconds, one score (0 to 100) each.
    pub fn new(times: &[f64], scores: &[f64]) -> Self {
        let step = step_seconds(times);
        let start = scores.iter().position(|score| !score.is_nan()).unwrap_or(scores.len());
        let scores = scores[start..].to_vec();
        let weeks = scores.len() as f64 * step / WEEK_SECONDS;
        Self { scores, gap: gap_points(step), weeks }
    }
}

impl QuietTable {
    /// Alarms per series and week; `NaN` if no series got beyond the warm-up.
    pub fn per_week(&self) -> f64 {
        self.events as f64 / self.weeks
    }
}

/// Judges all series together, at the threshold `at`.
pub fn judge_quiet<'a>(series: impl IntoIterator<Item = &'a QuietSeries>, at: f64) -> QuietTable {
    let mut table = QuietTable::default();
    let (mut busy, mut all) = (0, 0);
    for one in series {
        table.series += 1;
        if one.scores.is_empty() {
            continue;
        }
        let (events, points) = count_events(&one.scores, at, one.gap);
        table.weeks += one.weeks;
        table.events += events;
        table.worst_per_week = table.worst_per_week.max(events as f64 / one.weeks);
        table.worst_in_alarm = table.worst_in_alarm.max(points as f64 / one.scores.len() as f64);
        busy += points;
        all += one.scores.len();
    }
    table.in_alarm = busy as f64 / all.max(1) as f64;
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_does_not_count() {
        let times: Vec<f64> = (0..336).map(|hour| f64::from(hour) * 3_600.0).collect();
        let mut scores = vec![f64::NAN; 168];
        scores.extend(vec![0.0; 168]);
        scores[200] = 75.0;
        scores[202] = 75.0;
        scores[300] = 75.0;
        let table = judge_quiet([&QuietSeries::new(&times, &scores)], 70.0);
        assert_eq!((table.events, table.per_week(), table.in_alarm), (2, 2.0, 3.0 / 168.0));
        let silent = judge_quiet([&QuietSeries::new(&times, &[f64::NAN; 336])], 70.0);
        assert!(silent.events == 0 && silent.per_week().is_nan());
    }
}
