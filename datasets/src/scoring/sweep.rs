//! What event scoring gives over all thresholds.
//!
//! Thresholds that keep more than 2 % of the normal points in alarm are left out: alarms that hardly ever end
//! join into a few long events and would look quiet.

use super::events::{EventSeries, EventTable, judge_events};

/// The best of all thresholds, and recall under two budgets of false events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventSweep {
    /// The table with the best F1.
    pub best: EventTable,
    /// Highest recall at no more than 0.3 false events per series-week.
    pub recall_at_03: f64,
    /// Highest recall at no more than 0.8 false events per series-week.
    pub recall_at_08: f64,
}

const THRESHOLDS: usize = 60;
const MOST_IN_ALARM: f64 = 0.02;

/// Judges at up to 60 thresholds, spread over the peaks that there are.
pub fn sweep_events(series: &[EventSeries]) -> EventSweep {
    let mut tables: Vec<EventTable> = levels(series).iter().map(|at| judge_events(series, *at)).collect();
    if tables.iter().any(|table| table.in_alarm <= MOST_IN_ALARM) {
        tables.retain(|table| table.in_alarm <= MOST_IN_ALARM);
    } else {
        tables.drain(..tables.len() - 1);
    }
    let mut best = tables[0];
    for table in &tables {
        if table.f1() > best.f1() {
            best = *table;
        }
    }
    let recall_at = |budget: f64| {
        tables
            .iter()
            .filter(|table| table.false_per_week() <= budget)
            .map(EventTable::recall)
            .fold(0.0, f64::max)
    };
    EventSweep { best, recall_at_03: recall_at(0.3), recall_at_08: recall_at(0.8) }
}

/// Quantiles of the peaks of segments and series; never empty, ascending.
fn levels(series: &[EventSeries]) -> Vec<f64> {
    let mut peaks: Vec<f64> = series
        .iter()
        .flat_map(|one| {
            let outside = one.outside.iter().copied().fold(-1.0, f64::max);
            one.segments.iter().map(|segment| segment.peak).chain([outside])
        })
        .filter(|peak| *peak > 0.0)
        .collect();
    peaks.sort_by(f64::total_cmp);
    peaks.dedup();
    if peaks.is_empty() {
        return vec![70.0];
    }
    let mut levels: Vec<f64> =
        (0..THRESHOLDS).map(|index| quantile(&peaks, index as f64 / (THRESHOLDS - 1) as f64)).collect();
    levels.dedup();
    levels
}

/// Linear between the sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(scores: &[f64], labelled: &[usize]) -> EventSeries {
        let times: Vec<f64> = (0..scores.len()).map(|day| day as f64 * 86_400.0).collect();
        let labels: Vec<bool> = (0..scores.len()).map(|day| labelled.contains(&day)).collect();
        EventSeries::new(&times, &labels, scores, 0.0)
    }

    #[test]
    fn the_best_threshold_lies_between_truth_and_noise() {
        let mut scores = vec![0.0; 700];
        (scores[300], scores[500], scores[600], scores[100]) = (90.0, 80.0, 60.0, 70.0);
        let one = series(&scores, &[300, 500]);
        let sweep = sweep_events(&[one]);
        assert!(sweep.best.f1() == 1.0 && sweep.best.at > 70.0, "{sweep:?}");
        assert_eq!(sweep.recall_at_03, 1.0);
    }

    #[test]
    fn an_alarm_that_never_ends_is_not_rewarded() {
        let mut scores = vec![50.0; 700];
        scores[300] = 60.0;
        let sweep = sweep_events(&[series(&scores, &[300])]);
        assert!(sweep.best.at > 50.0, "{sweep:?}");
        assert_eq!(sweep_events(&[series(&[f64::NAN; 50], &[])]).best.at, 70.0);
    }

    #[test]
    fn quantiles_are_linear() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[5.0], 0.3), 5.0);
    }
}
