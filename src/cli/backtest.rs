//! `tidewatch backtest`: raw events through the whole road.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{open, output};
use crate::{
    anomaly::{Incident, IncidentKind},
    backtest::{Backtest, backtest as run_backtest},
    pipeline::{EngineLimits, StatusBoard, SystemClock},
};

/// Arguments of `backtest`.
#[derive(Debug, Args)]
pub(super) struct BacktestArguments {
    /// The configuration that holds the monitor
    #[arg(long)]
    config: PathBuf,
    /// The monitor
    #[arg(long)]
    monitor: String,
    /// Files, patterns, or - for standard input; .gz and .zst are read as they are
    #[arg(required = true)]
    inputs: Vec<String>,
    /// Where to write incidents and summary
    #[arg(long)]
    json: Option<PathBuf>,
    /// Threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// List incidents from this peak severity on
    #[arg(long, default_value_t = 70.0)]
    severity: f64,
}

pub(super) async fn backtest(arguments: BacktestArguments) -> anyhow::Result<()> {
    let config = open::config(&arguments.config)?;
    let (source, spec) = open::monitor(config, &arguments.monitor)?;
    let files = open::inputs(&arguments.inputs, source.format, source.record_bytes_max)?;
    let board = StatusBoard::default();
    let limits = EngineLimits { threads: arguments.threads.max(1), ..EngineLimits::default() };
    let progress = tokio::spawn(show_progress(board.clone()));
    let outcome =
        run_backtest(Box::new(files), source.decoder, spec, limits, Arc::new(SystemClock), board).await;
    progress.abort();
    let found = outcome?;
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&found.to_json())?;
        std::fs::write(path, text + "\n").with_context(|| format!("could not write `{}`", path.display()))?;
    }
    report(&found, arguments.severity);
    Ok(())
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
        "{} events in = {} counted + {} rejected + {} late + {} after close + {} over limit",
        summary.records_in,
        summary.counted,
        summary.rejected,
        summary.late,
        summary.after_close,
        summary.over_limit,
    ));
}
