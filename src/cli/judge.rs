//! `tidewatch judge`: how good the scores that `tidewatch score` wrote are. Prints a table in Markdown.

use std::path::{Path, PathBuf};

use clap::Args;
use tidewatch_datasets::scoring::{
    EventSeries, EventTable, NAB_PROFILES, PointSeries, QuietSeries, judge_events, judge_quiet, nab_at,
    nab_best, rate_interval, sweep_events,
};

use super::{Exit, output};
use crate::backtest::{Named, read_labelled, read_nab, read_points, read_quiet};

/// Arguments of `judge`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct JudgeArguments {
    /// Folder with what `tidewatch score` wrote
    scores: PathBuf,
    /// Folder with the scored series and a column `label` of 0 and 1; without labels, only alarms are counted
    #[arg(long, conflicts_with = "nab")]
    labels: Option<PathBuf>,
    /// The windows file of the Numenta Anomaly Benchmark: its score
    #[arg(long)]
    nab: Option<PathBuf>,
    /// Severity from which a row is an alarm; may be repeated
    #[arg(long, default_values_t = [70.0])]
    at: Vec<f64>,
    /// The column to judge; `alert` for the benchmark, which charges every row of an alarm
    #[arg(long)]
    column: Option<String>,
    /// Share of each labelled series that is history and not judged
    #[arg(long, default_value_t = 0.5)]
    from: f64,
    /// Add the best F1 of all thresholds and recall at 0.3 and 0.8 false events a week
    #[arg(long)]
    sweep: bool,
    /// One row per series, too
    #[arg(long)]
    split: bool,
    /// Point by point instead, as papers report: means over the labelled series
    #[arg(long, requires = "labels", conflicts_with = "sweep")]
    points: bool,
    /// Where to write the figures of labelled series as JSON, too
    #[arg(long, requires = "labels")]
    json: Option<PathBuf>,
    /// Leave out series whose name starts so; may be repeated
    #[arg(long)]
    skip: Vec<String>,
    /// Name of the rows; the folder's by default
    #[arg(long)]
    name: Option<String>,
    /// Rows only, to be put under the header of another table
    #[arg(long)]
    rows: bool,
}

pub(super) fn judge(arguments: &JudgeArguments) -> anyhow::Result<()> {
    if !(0.0..1.0).contains(&arguments.from) {
        return Err(Exit::Usage(format!("--from: {}; expected 0 up to 1", arguments.from)).into());
    }
    let table = match (&arguments.labels, &arguments.nab) {
        (Some(data), _) if arguments.points => points(arguments, data)?,
        (Some(_), _) => labelled(arguments)?,
        (None, Some(_)) => benchmark(arguments)?,
        (None, None) => quiet(arguments)?,
    };
    for line in table.iter().skip(if arguments.rows { 2 } else { 0 }) {
        output::line(line);
    }
    Ok(())
}

fn labelled(arguments: &JudgeArguments) -> anyhow::Result<Vec<String>> {
    let data = arguments.labels.as_deref().unwrap_or(&arguments.scores);
    let column = arguments.column.as_deref().unwrap_or("severity");
    let mut named = read_labelled(data, &arguments.scores, column, arguments.from)?;
    named.retain(|one| is_wanted(&one.name, arguments));
    let mut head = "| Series | At | F1 | Recall | Precision | False events per week | Worst series | Over 4 a week | Normal \
                    time in alarm | Delay |"
        .to_owned();
    let mut columns = 10;
    if arguments.sweep {
        head += " Recall at 0.3 | Recall at 0.8 | Best F1 |";
        columns += 3;
    }
    let mut table = header(&head, columns);
    if arguments.split {
        for one in &named {
            table.push(event_row(&one.name, std::slice::from_ref(&one.series), arguments.at[0], false));
        }
    }
    let series: Vec<EventSeries> = named.into_iter().map(|one| one.series).collect();
    if let Some(path) = &arguments.json {
        let tables: Vec<_> =
            arguments.at.iter().map(|at| event_figures(&judge_events(&series, *at))).collect();
        output::write(path, &(serde_json::to_string_pretty(&tables)? + "\n"))?;
    }
    for at in &arguments.at {
        table.push(event_row(&title(arguments), &series, *at, arguments.sweep));
    }
    Ok(table)
}

fn event_row(name: &str, series: &[EventSeries], at: f64, with_sweep: bool) -> String {
    let table = judge_events(series, at);
    let mut row = format!(
        "| {name} | {at:.0} | {:.3} | {:.3} | {:.3} | {:.2} | {:.1} | {} of {} | {:.2} % | {:.0} |",
        table.f1(),
        table.recall(),
        table.precision(),
        table.false_per_week(),
        table.worst_per_week,
        table.noisy_series,
        table.series,
        100.0 * table.in_alarm,
        table.delay,
    );
    if with_sweep {
        let sweep = sweep_events(series);
        let (best, at) = (sweep.best.f1(), sweep.best.at);
        let extra =
            format!(" {:.3} | {:.3} | {best:.3} at {at:.0} |", sweep.recall_at_03, sweep.recall_at_08);
        row.push_str(&extra);
    }
    row
}

fn event_figures(table: &EventTable) -> serde_json::Value {
    serde_json::json!({
        "at": table.at, "series": table.series, "segments": table.segments, "weeks": table.weeks,
        "recall": table.recall(), "precision": table.precision(), "f1": table.f1(),
        "fa_week": table.false_per_week(), "worst_fa_week": table.worst_per_week, "busy": table.in_alarm,
        "delay": table.delay, "clean_fa_week": table.clean_per_week,
    })
}

/// Points after the start of a labelled run that count for it, and between alarms that are one.
const CONTEST_POINTS: usize = 7;
const MERGED_POINTS: usize = 3;
/// Widest soft label of a volume, in points.
const VOLUME_POINTS: usize = 20;

fn points(arguments: &JudgeArguments, data: &Path) -> anyhow::Result<Vec<String>> {
    let column = arguments.column.as_deref().unwrap_or("severity");
    let at = arguments.at[0];
    let mut named = read_points(data, &arguments.scores, column, arguments.from)?;
    named.retain(|one| is_wanted(&one.name, arguments) && one.series.touching(at, 0, 0).segments > 0);
    let figures: Vec<[f64; 6]> = named.iter().map(|one| point_figures(&one.series, at)).collect();
    if let Some(path) = &arguments.json {
        let row = |(one, figures): (&Named<PointSeries>, &[f64; 6])| {
            let [auc_pr, vus_pr, contest, events, precision, recall] = figures;
            serde_json::json!({
                "series": one.name, "auc_pr": auc_pr, "vus_pr": vus_pr, "f1k_best": contest, "ev_f1_fix": events,
                "rp_fix": precision, "rr_fix": recall,
            })
        };
        let rows: Vec<_> = named.iter().zip(&figures).map(row).collect();
        output::write(path, &(serde_json::to_string_pretty(&rows)? + "\n"))?;
    }
    let head = "| Series | Labelled | AUC-PR | VUS-PR | Contest F1, best | Event F1 | Range precision | Range recall |";
    let mut table = header(head, 8);
    let row = |name: &str, count: usize, figures: [f64; 6]| {
        let cells: Vec<String> = figures.iter().map(|figure| format!("{figure:.3}")).collect();
        format!("| {name} | {count} | {} |", cells.join(" | "))
    };
    if arguments.split {
        table.extend(named.iter().zip(&figures).map(|(one, figures)| row(&one.name, 1, *figures)));
    }
    let mean = |index: usize| figures.iter().map(|one| one[index]).sum::<f64>() / figures.len() as f64;
    table.push(row(&title(arguments), figures.len(), std::array::from_fn(mean)));
    Ok(table)
}

fn point_figures(series: &PointSeries, at: f64) -> [f64; 6] {
    let touching = series.touching(at, CONTEST_POINTS, MERGED_POINTS);
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let (right, found) = (share(touching.right, touching.alarms), share(touching.found, touching.segments));
    let f1 = if right + found > 0.0 { 2.0 * right * found / (right + found) } else { 0.0 };
    let (precision, recall) = series.ranges(at);
    [series.auc_pr(), series.vus_pr(VOLUME_POINTS), series.contest_f1(CONTEST_POINTS), f1, precision, recall]
}

fn quiet(arguments: &JudgeArguments) -> anyhow::Result<Vec<String>> {
    let column = arguments.column.as_deref().unwrap_or("severity");
    let mut named: Vec<Named<QuietSeries>> = read_quiet(&arguments.scores, column)?;
    named.retain(|one| is_wanted(&one.name, arguments));
    let head = "| Series | At | Count | Weeks | Alarms | Alarms per week | 95 % interval | Worst series | Time in alarm | \
                Worst series |";
    let mut table = header(head, 10);
    if arguments.split {
        table.extend(named.iter().map(|one| quiet_row(&one.name, [&one.series], arguments.at[0])));
    }
    for at in &arguments.at {
        table.push(quiet_row(&title(arguments), named.iter().map(|one| &one.series), *at));
    }
    Ok(table)
}

fn quiet_row<'a>(name: &str, series: impl IntoIterator<Item = &'a QuietSeries>, at: f64) -> String {
    let table = judge_quiet(series, at);
    let (low, high) = rate_interval(table.events, table.weeks);
    format!(
        "| {name} | {at:.0} | {} | {:.1} | {} | {:.2} | {low:.2} to {high:.2} | {:.2} | {:.2} % | {:.2} % |",
        table.series,
        table.weeks,
        table.events,
        table.per_week(),
        table.worst_per_week,
        100.0 * table.in_alarm,
        100.0 * table.worst_in_alarm,
    )
}

fn benchmark(arguments: &JudgeArguments) -> anyhow::Result<Vec<String>> {
    let column = arguments.column.as_deref().unwrap_or("alert");
    let windows = arguments.nab.as_deref().unwrap_or(&arguments.scores);
    let files = read_nab(windows, &arguments.scores, column)?;
    let mut table = header("| Scores | Threshold | Standard | Low FP | Low FN |", 5);
    let name = title(arguments);
    let best: Vec<String> = NAB_PROFILES
        .iter()
        .map(|profile| nab_best(&files, profile))
        .map(|score| format!("{:.2} at {:.1}", score.normalised, 100.0 * score.threshold))
        .collect();
    table.push(format!("| {name} | best | {} |", best.join(" | ")));
    for at in &arguments.at {
        let fixed: Vec<String> = NAB_PROFILES
            .iter()
            .map(|profile| format!("{:.2}", nab_at(&files, profile, at / 100.0).normalised))
            .collect();
        table.push(format!("| {name} | {at:.0} | {} |", fixed.join(" | ")));
    }
    Ok(table)
}

fn is_wanted(name: &str, arguments: &JudgeArguments) -> bool {
    !arguments.skip.iter().any(|start| name.starts_with(start.as_str()))
}

fn title(arguments: &JudgeArguments) -> String {
    let folder = arguments.scores.file_name().and_then(|name| name.to_str()).unwrap_or("scores");
    arguments.name.clone().unwrap_or_else(|| folder.to_owned())
}

fn header(head: &str, columns: usize) -> Vec<String> {
    vec![head.to_owned(), format!("|{}", "---|".repeat(columns))]
}
