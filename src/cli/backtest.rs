//! `tidewatch backtest`: raw events through the whole road.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{open, output};
use crate::{
    anomaly::{Incident, IncidentKind},
    backtest::{Backtest, Goal, Review, backtest as run_backtest, tune, write_report},
    pipeline::{EngineLimits, StatusBoard, SystemClock},
};

/// What every run over files is told.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// The configuration that holds the monitor
    #[arg(long)]
    pub(super) config: PathBuf,
    /// The monitor
    #[arg(long)]
    pub(super) monitor: String,
    /// Files, patterns, or - for standard input; .gz and .zst are read as they are
    #[arg(required = true)]
    pub(super) inputs: Vec<String>,
    /// Threads
    #[arg(long, default_value_t = 1)]
    pub(super) threads: usize,
}

impl RunArguments {
    pub(super) fn run(&self) -> Run<'_> {
        Run { config: &self.config, monitor: &self.monitor, inputs: &self.inputs }
    }
}

/// Arguments of `backtest`.
#[derive(Debug, Args)]
pub(super) struct BacktestArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Where to write incidents and summary
    #[arg(long)]
    json: Option<PathBuf>,
    /// List incidents from this peak severity on
    #[arg(long, default_value_t = 70.0)]
    severity: f64,
    /// Judge against these labels: `truth.json`, spans or points as CSV, windows of NAB, incidents as JSON
    #[arg(long)]
    labels: Option<PathBuf>,
    /// With labels: this share of the time is history and not judged; 0 walks forward over everything
    #[arg(long, default_value_t = 0.7)]
    split: f64,
    /// Write a report that any browser shows
    #[arg(long)]
    report: Option<PathBuf>,
}

pub(super) async fn backtest(arguments: BacktestArguments) -> anyhow::Result<()> {
    open::share("--split", arguments.split)?;
    let run = arguments.run.run();
    let found = run.backtest(arguments.run.threads, None).await?;
    let labels = match &arguments.labels {
        Some(path) => Some(open::labels(path, &found)?),
        None => None,
    };
    let review =
        labels.as_ref().map(|labels| Review::new(&found, labels, arguments.split, arguments.severity));
    if let Some(path) = &arguments.json {
        let mut document = found.to_json();
        if let Some(review) = &review {
            document["judged"] = serde_json::to_value(review.figures())?;
        }
        output::write(path, &(serde_json::to_string_pretty(&document)? + "\n"))?;
    }
    if let Some(path) = &arguments.report {
        let split = if labels.is_some() { arguments.split } else { 0.0 };
        let tuning = tune(&found, labels.as_deref(), split, Goal::BestF1);
        let labels = labels.as_deref().unwrap_or_default();
        let html = write_report(&found, &tuning, labels, review.as_ref(), arguments.severity).await?;
        output::write(path, &html)?;
    }
    report(&found, arguments.severity);
    for line in review.iter().flat_map(|review| review.figures().lines()) {
        output::line(line);
    }
    Ok(())
}

/// One run of a monitor over files; `compare` and `tune` make several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) config: &'a Path,
    pub(super) monitor: &'a str,
    pub(super) inputs: &'a [String],
}

impl Run<'_> {
    /// Runs it; with another allowed lateness than configured, if one is given.
    pub(super) async fn backtest(
        self,
        threads: usize,
        lateness_millis: Option<i64>,
    ) -> anyhow::Result<Backtest> {
        let config = open::config(self.config)?;
        let (source, mut spec) = open::monitor(config, self.monitor)?;
        if let Some(millis) = lateness_millis {
            let spec = Arc::make_mut(&mut spec);
            let window = Arc::make_mut(&mut spec.window);
            // What comes too late shall be counted as such.
            (window.allowed_lateness_millis, window.correction_millis) = (millis, 0);
            spec.facts.revisable_millis = 0;
        }
        let files = open::inputs(self.inputs, source.format, source.record_bytes_max)?;
        let board = StatusBoard::default();
        let limits = EngineLimits { threads: threads.max(1), ..EngineLimits::default() };
        let progress = tokio::spawn(show_progress(board.clone()));
        let outcome =
            run_backtest(Box::new(files), source.decoder, spec, limits, Arc::new(SystemClock), board).await;
        progress.abort();
        Ok(outcome?)
    }
}

/// A line that shows how far reading has come.
pub(super) async fn show_progress(board: StatusBoard) {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("the template is valid");
    let bar = ProgressBar::new_spinner().with_style(style);
    loop {
        if let (Some(source), Some(monitor)) = (board.sources().first(), board.monitors().first()) {
            bar.set_message(format!(
                "{} records, {} windows, {} series",
                source.num_records, monitor.totals.windows, monitor.num_series
            ));
        }
        bar.tick();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn report(found: &Backtest, severity: f64) {
    let listed: Vec<&Incident> = found
        .incidents
        .iter()
        .filter(|incident| incident.kind == IncidentKind::Deviation && incident.severity.peak >= severity)
        .collect();
    for incident in &listed {
        output::line(format!("{:>5.1}  {:10}  {}", incident.severity.peak, incident.id, incident.summary));
    }
    let summary = &found.summary;
    output::line(format!(
        "{} incidents at severity {severity} or more, {} in all, in {} windows of {} series",
        listed.len(),
        found.incidents.len(),
        summary.windows,
        summary.series,
    ));
    output::line(format!(
        "{} events in = {} counted + {} revised + {} rejected + {} late + {} after close + {} over limit",
        summary.records_in,
        summary.counted,
        summary.revised,
        summary.rejected,
        summary.late,
        summary.after_close,
        summary.over_limit,
    ));
}
