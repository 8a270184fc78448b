//! The second half of `tidewatch calibrate`: drills with one known change, over many series.

use super::output;
use crate::backtest::{Drill, DrillResult, Holiday, run_drill};

/// Rates of the drills, in counts per minute.
const RATES: [f64; 4] = [0.5, 5.0, 50.0, 500.0];

pub(super) fn print_drills(seed: u64, series: u64) {
    output::line(format!("Alerts (pages) after a change, mean and highest of {series} series:\n"));
    output::line(
        "| Counts per minute | Nothing changed: two days | Spring clock change: two days | Autumn: two days | \
                  -40 % for good: first week | Second week |",
    );
    output::line("|---|---|---|---|---|---|");
    for rate in RATES {
        let run = |drill| (0..series).map(|number| run_drill(drill, seed, rate, number)).collect::<Vec<_>>();
        let shift = run(Drill::Shift);
        output::line(format!(
            "| {rate} | {} | {} | {} | {} | {} |",
            mean_and_most(&run(Drill::Nothing), |result| result.two_days),
            mean_and_most(&run(Drill::Spring), |result| result.two_days),
            mean_and_most(&run(Drill::Autumn), |result| result.two_days),
            mean_and_most(&shift, |result| result.first_week),
            mean_and_most(&shift, |result| result.second_week),
        ));
    }
    print_holidays(seed, series);
    output::line(format!(
        "\nMinutes from an outage to severity 70, median and slowest of {series} series:\n"
    ));
    output::line("| Counts per minute | At 4:00 | At 10:00 | At 15:00 | At 21:00 |\n|---|---|---|---|---|");
    for rate in RATES {
        let cell =
            |hour| delays((0..series).map(|number| run_drill(Drill::Outage(hour), seed, rate, number)), 120);
        let cells = [4, 10, 15, 21].map(cell);
        output::line(format!("| {rate} | {} |", cells.join(" | ")));
    }
}

fn print_holidays(seed: u64, series: u64) {
    output::line(format!(
        "\nAlerts (pages) on a x4 holiday of the calendar and the day after, mean and highest of {series} series, and \
         minutes to severity 70 where it comes back at x2, median and slowest:\n"
    ));
    output::line(
        "| Counts per minute | The first time | Three weeks later | Then at x2 | Minutes |\n|---|---|---|---|---|",
    );
    for rate in RATES {
        let run = |holiday| {
            (0..series)
                .map(|number| run_drill(Drill::Holiday(holiday), seed, rate, number))
                .collect::<Vec<_>>()
        };
        let half = run(Holiday::Half);
        let alerts = |results: &[DrillResult]| mean_and_most(results, |result| result.two_days);
        output::line(format!(
            "| {rate} | {} | {} | {} | {} |",
            alerts(&run(Holiday::New)),
            alerts(&run(Holiday::Back)),
            alerts(&half),
            delays(half.into_iter(), 1_440),
        ));
    }
}

fn mean_and_most(results: &[DrillResult], count: fn(&DrillResult) -> usize) -> String {
    let sum: usize = results.iter().map(count).sum();
    let most = results.iter().map(count).max().unwrap_or(0);
    format!("{:.2}, {most}", sum as f64 / results.len().max(1) as f64)
}

/// What was not seen within the minutes that it `lasts` counts as slower than any that was.
fn delays(results: impl Iterator<Item = DrillResult>, lasts: usize) -> String {
    let mut minutes: Vec<Option<usize>> =
        results.map(|result| result.delay.filter(|minutes| *minutes <= lasts)).collect();
    minutes.sort_by_key(|minutes| minutes.unwrap_or(usize::MAX));
    let cell = |index: usize| {
        minutes
            .get(index)
            .copied()
            .flatten()
            .map_or_else(|| "not seen".to_owned(), |minutes| minutes.to_string())
    };
    format!("{}, {}", cell(minutes.len() / 2), cell(minutes.len().saturating_sub(1)))
}
