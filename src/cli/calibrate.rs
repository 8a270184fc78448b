//! `tidewatch calibrate`: what severities are worth on synthetic counts. Prints tables in Markdown.

use clap::Args;
use tidewatch_datasets::synthetic::{
    CleanRun, FaultRun, WARM_UP_WEEKS, calibration, power, threshold_of_rate,
};

use super::{Exit, output, scenarios};
use crate::backtest::{SyntheticPlan, SyntheticRuns, run_synthetic};

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
pub(super) struct CalibrateArguments {
    /// Mean counts per minute
    #[arg(long, value_delimiter = ',', default_values_t = [0.5, 5.0, 50.0, 500.0, 5_000.0])]
    rates: Vec<f64>,
    /// Series per rate
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    series: u64,
    /// Weeks of each series; the first four are for learning
    #[arg(long, default_value_t = 12)]
    weeks: usize,
    /// Same seed, same series
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run drills instead: clock changes, a lasting shift, outages
    #[arg(long)]
    drills: bool,
    /// Series scored at the same time
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Severities, and how many false events per series and week each stands for.
const NOMINAL: [(f64, f64); 4] = [(60.0, 3.2), (70.0, 1.0), (80.0, 0.1), (90.0, 0.01)];

pub(super) fn calibrate(arguments: &CalibrateArguments) -> anyhow::Result<()> {
    if !(WARM_UP_WEEKS + 1..=104).contains(&arguments.weeks) {
        return Err(Exit::Usage(format!("--weeks: {}; expected 5 to 104", arguments.weeks)).into());
    }
    if let Some(rate) = arguments.rates.iter().find(|rate| !(**rate > 0.0 && **rate <= 100_000.0)) {
        return Err(Exit::Usage(format!("--rates: {rate}; expected above 0, up to 100000")).into());
    }
    if arguments.drills {
        scenarios::print_drills(arguments.seed, arguments.series);
        return Ok(());
    }
    let plan = |rate: f64| SyntheticPlan {
        seed: arguments.seed,
        rate,
        series: arguments.series,
        weeks: arguments.weeks,
    };
    let runs: Vec<(f64, SyntheticRuns)> =
        arguments.rates.iter().map(|rate| (*rate, run_synthetic(plan(*rate), arguments.threads))).collect();
    let weeks = arguments.series as usize * (arguments.weeks - WARM_UP_WEEKS);
    output::line(format!("False events per series-week on clean series, {weeks} series-weeks per rate:\n"));
    calibration_table(&runs);
    output::line(
        "\nShare of faults found, at severity 70 and where clean series cost one false event a week:\n",
    );
    power_table(&runs);
    Ok(())
}

fn calibration_table(runs: &[(f64, SyntheticRuns)]) {
    output::line(
        "| Counts per minute | At 60 | At 70 | Worst series at 70 | At 80 | At 90 | At 70, pages alone |",
    );
    output::line("|---|---|---|---|---|---|---|");
    output::line("| *nominal* | 3.2 | 1 | | 0.1 | 0.01 | |");
    for (rate, runs) in runs {
        let cells: Vec<String> = NOMINAL
            .iter()
            .map(|(at, _)| calibration(&runs.clean.both, *at))
            .map(|table| {
                let (low, high) = table.interval;
                let digits = if table.at >= 90.0 { 3 } else { 2 };
                let rate = format!("{:.digits$} ({low:.digits$} to {high:.digits$})", table.per_week);
                if table.at == 70.0 { format!("{rate} | {:.2}", table.worst_per_week) } else { rate }
            })
            .collect();
        let pages = calibration(&runs.clean.pages, 70.0).per_week;
        output::line(format!("| {rate} | {} | {pages:.2} |", cells.join(" | ")));
    }
}

fn power_table(runs: &[(f64, SyntheticRuns)]) {
    output::line(
        "| Counts per minute | Judged | All at 70 | All | Dips | Up to 30 % | Severity of one a week |",
    );
    output::line("|---|---|---|---|---|---|---|");
    for (name, class) in [("severity and minor", 0), ("pages alone", 1)] {
        let (rates, mut sums) = (runs.len() as f64, [0.0; 4]);
        for (rate, runs) in runs {
            let (clean, faulty): (&[CleanRun], &[FaultRun]) = match class {
                0 => (&runs.clean.both, &runs.faulty.both),
                _ => (&runs.clean.pages, &runs.faulty.pages),
            };
            let at = threshold_of_rate(clean, 1.0);
            let fair = power(faulty, at);
            let figures = [power(faulty, 70.0).all, fair.all, fair.dips, fair.small];
            for (sum, figure) in sums.iter_mut().zip(figures) {
                *sum += figure / rates;
            }
            output::line(format!("| {rate} | {name} | {} | {at:.1} |", shares(&figures)));
        }
        output::line(format!("| **mean** | {name} | {} | |", shares(&sums)));
    }
}

fn shares(figures: &[f64]) -> String {
    figures.iter().map(|figure| format!("{figure:.3}")).collect::<Vec<_>>().join(" | ")
}
