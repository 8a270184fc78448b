//! Judges scores on synthetic series: false events where nothing is wrong, and the share of faults found.
//!
//! Alarms less than an hour apart are one event. A fault counts as found when the score reaches the threshold
//! inside it or in the five minutes after it; power is the mean over the cells of size and length, so that no
//! cell counts more because chance drew it more often.

use std::collections::BTreeMap;

use super::faults::Fault;
use super::model::{WARM_UP_WEEKS, WEEK_MINUTES};
use crate::scoring::rate_interval;

/// Minutes between two alarms of one event.
const GAP: u32 = 60;
/// Minutes after a fault in which it may still be found.
const GRACE: usize = 5;
/// Lower scores are forgotten.
const FLOOR: f32 = 10.0;

/// The scores of a clean series after the warm-up, the low ones left out.
#[derive(Clone, Debug)]
pub struct CleanRun {
    peaks: Vec<(u32, f32)>,
    weeks: f64,
}

/// What became of each fault of a series.
#[derive(Clone, Debug)]
pub struct FaultRun {
    /// One result per fault.
    pub results: Vec<FaultResult>,
}

/// A fault and the score it got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultResult {
    /// The fault.
    pub fault: Fault,
    /// The highest score in the fault and its grace.
    pub peak: f64,
    /// Minutes from the start to severity 70, the first minute counted as 1; `None` if it was not reached.
    pub delay: Option<usize>,
}

/// False events at one threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The threshold.
    pub at: f64,
    /// How many there were.
    pub events: usize,
    /// Per series and week.
    pub per_week: f64,
    /// A 95 % interval of that rate.
    pub interval: (f64, f64),
    /// Of the worst series.
    pub worst_per_week: f64,
}

/// Shares of the faults that were found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    /// All sizes.
    pub all: f64,
    /// Faults that remove events.
    pub dips: f64,
    /// Sizes up to 30 %.
    pub small: f64,
}

impl CleanRun {
    /// `scores` has one score per minute of the whole series; `NaN` where there is none.
    pub fn new(scores: &[f64]) -> Self {
        let start = WARM_UP_WEEKS * WEEK_MINUTES;
        let peaks = (start..scores.len())
            .filter(|minute| scores[*minute] as f32 >= FLOOR)
            .map(|minute| (minute as u32, scores[minute] as f32))
            .collect();
        Self { peaks, weeks: scores.len().saturating_sub(start) as f64 / WEEK_MINUTES as f64 }
    }

    fn events(&self, at: f64) -> usize {
        let (mut events, mut last) = (0, None);
        for (minute, _) in self.peaks.iter().filter(|(_, score)| f64::from(*score) >= at) {
            events += usize::from(last.is_none_or(|last| minute - last > GAP));
            last = Some(*minute);
        }
        events
    }
}

impl FaultRun {
    /// `scores` as in [`CleanRun::new`].
    pub fn new(scores: &[f64], faults: &[Fault]) -> Self {
        let result = |fault: &Fault| {
            let window = &scores[fault.start..scores.len().min(fault.start + fault.minutes + GRACE)];
            FaultResult {
                fault: *fault,
                peak: window.iter().copied().fold(-1.0, f64::max),
                delay: window.iter().position(|score| *score >= 70.0).map(|minute| minute + 1),
            }
        };
        Self { results: faults.iter().map(result).collect() }
    }
}

/// False events of clean series at the threshold `at`.
pub fn calibration(runs: &[CleanRun], at: f64) -> Calibration {
    let weeks: f64 = runs.iter().map(|run| run.weeks).sum();
    let events: usize = runs.iter().map(|run| run.events(at)).sum();
    let worst = runs.iter().map(|run| run.events(at) as f64 / run.weeks).fold(0.0, f64::max);
    let interval = rate_interval(events, weeks);
    Calibration { at, events, per_week: events as f64 / weeks, interval, worst_per_week: worst }
}

/// The lowest threshold at which clean series have at most `per_week` false events each.
pub fn threshold_of_rate(runs: &[CleanRun], per_week: f64) -> f64 {
    let (mut low, mut high) = (0.0, 100.01);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if calibration(runs, middle).per_week > per_week { low = middle } else { high = middle }
    }
    high
}

/// The share of faults found at the threshold `at`, of runs at one rate.
pub fn power(runs: &[FaultRun], at: f64) -> Power {
    let mut cells: BTreeMap<(i64, usize), (usize, usize)> = BTreeMap::new();
    for result in runs.iter().flat_map(|run| &run.results) {
        let percent = (result.fault.size * 100.0).round() as i64;
        let cell = cells.entry((percent, result.fault.minutes)).or_default();
        cell.0 += usize::from(result.peak >= at);
        cell.1 += 1;
    }
    let mean = |wanted: fn(i64) -> bool| {
        let shares: Vec<f64> = cells
            .iter()
            .filter(|((percent, _), _)| wanted(*percent))
            .map(|(_, (found, all))| *found as f64 / *all as f64)
            .collect();
        shares.iter().sum::<f64>() / shares.len() as f64
    };
    Power {
        all: mean(|_| true),
        dips: mean(|percent| percent < 0),
        small: mean(|percent| percent.abs() <= 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: usize = WARM_UP_WEEKS * WEEK_MINUTES;

    fn run(alarms: &[(usize, f64)]) -> CleanRun {
        let mut scores = vec![f64::NAN; START + 2 * WEEK_MINUTES];
        for (minute, score) in alarms {
            scores[*minute] = *score;
        }
        CleanRun::new(&scores)
    }

    #[test]
    fn events_are_counted_after_the_warm_up() {
        let runs =
            [run(&[(START - 1, 90.0), (START + 5, 72.0), (START + 65, 75.0), (START + 200, 71.0)]), run(&[])];
        let table = calibration(&runs, 70.0);
        assert_eq!((table.events, table.per_week, table.worst_per_week), (2, 0.5, 1.0));
        let at = threshold_of_rate(&runs, 0.25);
        assert!((71.0..71.1).contains(&at), "{at}");
    }

    #[test]
    fn power_is_the_mean_over_cells() {
        let result = |size, peak| {
            let fault = Fault { start: 0, minutes: 5, size };
            FaultResult { fault, peak, delay: None }
        };
        let results = vec![result(-0.5, 80.0), result(-0.5, 60.0), result(-0.5, 60.0), result(0.3, 90.0)];
        let power = power(&[FaultRun { results }], 70.0);
        assert!((power.all - 2.0 / 3.0).abs() < 1e-12);
        assert!((power.dips - 1.0 / 3.0).abs() < 1e-12 && power.small == 1.0);
    }

    #[test]
    fn a_fault_is_found_in_its_grace() {
        let mut scores = vec![0.0; 100];
        scores[14] = 75.0;
        let faults = [Fault { start: 5, minutes: 5, size: 1.0 }, Fault { start: 4, minutes: 5, size: 1.0 }];
        let results = FaultRun::new(&scores, &faults).results;
        assert_eq!((results[0].delay, results[0].peak), (Some(10), 75.0));
        assert_eq!(results[1].delay, None);
    }
}
