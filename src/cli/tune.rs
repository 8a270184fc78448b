//! `tidewatch tune`: the severity and minimum duration that meet a goal, and the curve of all others.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, backtest::RunArguments, open, output};
use crate::{
    backtest::{Goal, Setting, Tuning, tune as run_tuning},
    config::{parse_budget, parse_duration},
};

/// Widest bar of the curve.
const BAR: f64 = 40.0;

/// Arguments of `tune`.
#[derive(Debug, Args)]
pub(super) struct TuneArguments {
    #[command(flatten)]
    run: RunArguments,
    /// `1 per week` (or day, month): as many incidents as people can bear; or `f1`: the best on the labels
    #[arg(long, default_value = "1 per week")]
    goal: String,
    /// Labels, in any form that `backtest --labels` reads
    #[arg(long)]
    labels: Option<PathBuf>,
    /// This share of the time is history and not judged
    #[arg(long, default_value_t = 0.7)]
    split: f64,
    /// Run again with this allowed lateness and show what it loses; may be repeated, e.g. 30s
    #[arg(long)]
    lateness: Vec<String>,
    /// Where to write every setting
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(super) async fn tune(arguments: TuneArguments) -> anyhow::Result<()> {
    open::share("--split", arguments.split)?;
    let goal = goal(&arguments)?;
    let run = arguments.run.run();
    let found = run.backtest(arguments.run.threads, None).await?;
    let labels = match &arguments.labels {
        Some(path) => Some(open::labels(path, &found)?),
        None => None,
    };
    let tuning = run_tuning(&found, labels.as_deref(), arguments.split, goal);
    if let Some(path) = &arguments.json {
        output::write(path, &(serde_json::to_string_pretty(&tuning)? + "\n"))?;
    }
    curve(&tuning);
    advise(&tuning);
    for text in &arguments.lateness {
        let lateness = parse_duration(text).map_err(|detail| Exit::Usage(format!("--lateness: {detail}")))?;
        let millis = lateness.as_millis() as i64;
        let summary = run.backtest(arguments.run.threads, Some(millis)).await?.summary;
        let late = summary.late + summary.after_close;
        output::line(format!(
            "allowed_lateness = \"{text}\": {late} of {} events come too late ({:.3} %)",
            summary.records_in,
            100.0 * late as f64 / summary.records_in.max(1) as f64
        ));
    }
    Ok(())
}

fn goal(arguments: &TuneArguments) -> anyhow::Result<Goal> {
    if arguments.run.inputs.iter().any(|input| input == "-") && !arguments.lateness.is_empty() {
        return Err(Exit::Usage("standard input can be read once only; --lateness needs files".into()).into());
    }
    if arguments.goal != "f1" {
        let per_week = parse_budget(&arguments.goal)
            .map_err(|detail| Exit::Usage(format!("--goal: {detail}, or `f1`")))?;
        return Ok(Goal::PerWeek(per_week));
    }
    if arguments.labels.is_none() {
        return Err(Exit::Usage("--goal f1 needs --labels FILE".into()).into());
    }
    Ok(Goal::BestF1)
}

/// Alerts against severity, without a minimum duration.
fn curve(tuning: &Tuning) {
    let immediate: Vec<&Setting> =
        tuning.settings.iter().filter(|one| one.min_windows == 1 && one.severity % 5.0 == 0.0).collect();
    let most = immediate.iter().map(|one| one.per_week).fold(f64::MIN_POSITIVE, f64::max);
    output::line("severity  incidents a week");
    for one in immediate {
        let bar = "\u{2588}".repeat((BAR * one.per_week / most).ceil() as usize);
        let judged = one
            .found
            .zip(one.f1)
            .map(|((found, labels), f1)| format!("  {found} of {labels} found, F1 {f1:.2}"));
        output::line(format!(
            "{:>8}  {:>6.2} {bar}{}",
            one.severity,
            one.per_week,
            judged.unwrap_or_default()
        ));
    }
}

fn advise(tuning: &Tuning) {
    let Some(best) = tuning.best.map(|index| &tuning.settings[index]) else {
        output::line("no setting meets the goal");
        return;
    };
    let mut parts = vec![format!("best: severity = {}", best.severity)];
    if best.min_windows > 1 {
        parts.push(format!("min_duration = \"{0} of {0}\"", best.min_windows));
    }
    parts.push(format!("{:.2} incidents a week", best.per_week));
    if let (Some((found, labels)), Some(f1)) = (best.found, best.f1) {
        parts.push(format!("{found} of {labels} labels, F1 {f1:.3}"));
    }
    if let Some(minutes) = best.delay_minutes {
        parts.push(format!("known after {minutes:.0} min"));
    }
    output::line(parts.join(", "));
}
