//! What the seasonal detector's severities are worth on synthetic counts: its false events at each severity where
//! nothing is wrong, and the share of injected faults that it finds.

use std::thread;

use tidewatch_datasets::synthetic::{CleanRun, CountSeries, FaultRun, inject};
use tidewatch_detectors::{DetectorConfig, Direction, LearnPolicy, Observation, SeasonalConfig, ValueKind};

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct SyntheticPlan {
    /// Same seed, same series.
    pub seed: u64,
    /// Mean counts per minute.
    pub rate: f64,
    /// How many series.
    pub series: u64,
    /// Length of each, the four weeks of learning included.
    pub weeks: usize,
}

/// The runs at one rate, once with the louder of severity and minor (`both`), once with severity alone (`pages`).
#[derive(Debug, Default)]
pub struct SyntheticRuns {
    /// Clean series.
    pub clean: Classes<CleanRun>,
    /// The same series with faults.
    pub faulty: Classes<FaultRun>,
}

/// The same runs, judged by two classes of severity.
#[derive(Debug)]
pub struct Classes<T> {
    /// Pages and minor anomalies.
    pub both: Vec<T>,
    /// Pages alone.
    pub pages: Vec<T>,
}

impl<T> Default for Classes<T> {
    fn default() -> Self {
        Self { both: Vec::new(), pages: Vec::new() }
    }
}

/// Scores every series of the plan, clean and with faults, on `threads` threads. The result does not depend on
/// their number.
pub fn run_synthetic(plan: SyntheticPlan, threads: usize) -> SyntheticRuns {
    let threads = threads.max(1) as u64;
    let mut one_by_one: Vec<(u64, SyntheticRuns)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = (worker..plan.series).step_by(threads as usize);
                    mine.map(|number| (number, run_one(plan, number))).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    one_by_one.sort_by_key(|(number, _)| *number);
    let mut all = SyntheticRuns::default();
    for (_, runs) in one_by_one {
        all.clean.both.extend(runs.clean.both);
        all.clean.pages.extend(runs.clean.pages);
        all.faulty.both.extend(runs.faulty.both);
        all.faulty.pages.extend(runs.faulty.pages);
    }
    all
}

fn run_one(plan: SyntheticPlan, number: u64) -> SyntheticRuns {
    let mut series = CountSeries::new(plan.seed, plan.rate, number, plan.weeks);
    let (both, pages) = severities(&series);
    let clean = Classes { both: vec![CleanRun::new(&both)], pages: vec![CleanRun::new(&pages)] };
    let faults = inject(&mut series, plan.seed, number);
    let (both, pages) = severities(&series);
    let faulty =
        Classes { both: vec![FaultRun::new(&both, &faults)], pages: vec![FaultRun::new(&pages, &faults)] };
    SyntheticRuns { clean, faulty }
}

/// Per minute: the louder of severity and minor, and severity alone; `NaN` where there is no score.
fn severities(series: &CountSeries) -> (Vec<f64>, Vec<f64>) {
    let config =
        SeasonalConfig::new(60, ValueKind::Learned, Direction::Both).expect("a minute is an interval");
    let mut model = DetectorConfig::Seasonal(config).start();
    let score = |minute: usize| {
        if !series.recorded[minute] {
            return None;
        }
        let count = series.counts[minute];
        let observation =
            Observation::new(CountSeries::civil_seconds(minute), f64::from(count), u64::from(count))?;
        model.observe(&observation, LearnPolicy::Learn)
    };
    (0..series.counts.len())
        .map(score)
        .map(|score| score.map_or((f64::NAN, f64::NAN), |s| (s.severity().max(s.minor()), s.severity())))
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewatch_datasets::synthetic::{calibration, power};

    #[test]
    fn threads_do_not_change_the_result_and_big_faults_are_found() {
        let plan = SyntheticPlan { seed: 1, rate: 500.0, series: 2, weeks: 6 };
        let (one, two) = (run_synthetic(plan, 1), run_synthetic(plan, 2));
        assert_eq!(calibration(&one.clean.both, 60.0), calibration(&two.clean.both, 60.0));
        assert_eq!(power(&one.faulty.both, 70.0).all, power(&two.faulty.both, 70.0).all);
        let loud = one
            .faulty
            .pages
            .iter()
            .flat_map(|run| &run.results)
            .filter(|result| result.fault.size.abs() >= 0.8);
        assert!(loud.clone().all(|result| result.peak >= 70.0), "{:?}", loud.collect::<Vec<_>>());
    }
}
