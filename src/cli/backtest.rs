//! `tidewatch backtest`: raw events through the whole road.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{inputs, open, output};
use crate::{
    anomaly::{Incident, IncidentKind},
    backtest::{
        Backtest, Goal, NabFigures, Outline, RateFigures, Review, backtest as run_backtest, outlines, tune,
        write_report,
    },
    pipeline::{EngineLimits, StatusBoard, SystemClock},
    sources::{Damages, Reach},
};

/// Characters of an outline, and of the name before it.
const OUTLINE_WIDTH: usize = 72;
const NAME_WIDTH: usize = 16;
/// Refused events that are named.
const REFUSED_NAMED: usize = 5;

/// What every run over files is told.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// The configuration that holds the monitor
    #[arg(long)]
    pub(super) config: PathBuf,
    /// The monitor
    #[arg(long)]
    pub(super) monitor: String,
    /// Files, patterns, s3:// and http(s):// addresses, or - for standard input: JSON lines, CSV, TSV or Parquet, plain,
    /// gzip or Zstandard
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
    /// Where to write the incidents as a table
    #[arg(long)]
    csv: Option<PathBuf>,
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
    let split = if labels.is_some() { arguments.split } else { 0.0 };
    let rates = RateFigures::new(&found, labels.as_deref(), split, arguments.severity);
    let nab = labels.as_deref().and_then(|labels| NabFigures::new(&found, labels, arguments.severity));
    if let Some(path) = &arguments.json {
        let mut document = found.to_json();
        if let Some(review) = &review {
            document["judged"] = serde_json::to_value(review.figures())?;
        }
        document["rate"] = serde_json::to_value(rates)?;
        document["nab"] = serde_json::to_value(nab)?;
        output::write(path, &(serde_json::to_string_pretty(&document)? + "\n"))?;
    }
    if let Some(path) = &arguments.csv {
        output::write(path, &found.to_csv())?;
    }
    if let Some(path) = &arguments.report {
        let tuning = tune(&found, labels.as_deref(), split, Goal::BestF1);
        let labels = labels.as_deref().unwrap_or_default();
        let html = write_report(&found, &tuning, labels, review.as_ref(), arguments.severity).await?;
        output::write(path, &html)?;
    }
    for outline in outlines(&found, OUTLINE_WIDTH, arguments.severity).await? {
        print_outline(&outline);
    }
    report(&found, arguments.severity);
    for line in review.iter().flat_map(|review| review.figures().lines()) {
        output::line(line);
    }
    output::line(rates.line());
    if let Some(nab) = nab {
        output::line(nab.line());
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
        let inputs = inputs::inputs(self.inputs, &source, &spec).await?;
        let files = inputs.files()?;
        let damages = files.damages();
        let board = StatusBoard::default();
        let limits = EngineLimits { threads: threads.max(1), ..EngineLimits::default() };
        let progress = tokio::spawn(show_progress(board.clone(), files.reach()));
        let outcome =
            run_backtest(Box::new(files), inputs.decoder, spec, limits, Arc::new(SystemClock), board).await;
        progress.abort();
        let found = outcome?;
        tell_troubles(&found, &damages)?;
        Ok(found)
    }
}

/// Tells what could not be read or used; an error when that is everything.
fn tell_troubles(found: &Backtest, damages: &Damages) -> anyhow::Result<()> {
    damages.list().iter().for_each(output::warn);
    let summary = &found.summary;
    for line in found.refused_lines().take(REFUSED_NAMED) {
        output::warn(line);
    }
    let more = summary.rejected.saturating_sub(REFUSED_NAMED as u64);
    if more > 0 {
        output::warn(format!("{more} more events were refused"));
    }
    if summary.late > 0 {
        output::warn(format!(
            "{} events were late: further behind the newest of their file than `allowed_lateness`",
            summary.late
        ));
    }
    if summary.counted == 0 {
        let events = summary.records_in;
        anyhow::bail!("none of {events} events could be used");
    }
    Ok(())
}

/// A line that shows how far reading has come.
pub(super) async fn show_progress(board: StatusBoard, reach: Reach) {
    let style = |text| ProgressStyle::with_template(text).expect("the template is valid");
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {elapsed} {msg}"));
    let started = Instant::now();
    loop {
        let (done, total) = reach.bytes();
        if total > 0 && bar.length().is_none() {
            bar.set_style(style("{elapsed} {bar:24} {percent} %, {eta} left: {msg}"));
        }
        if total > 0 {
            bar.set_length(total);
            bar.set_position(done.min(total));
        }
        if let (Some(source), Some(monitor)) = (board.sources().first(), board.monitors().first()) {
            let rate = source.num_records as f64 / started.elapsed().as_secs_f64().max(1e-3);
            bar.set_message(format!(
                "{} records, {rate:.0} a second, {} windows, {} series",
                source.num_records, monitor.totals.windows, monitor.num_series
            ));
        }
        bar.tick();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A measure as a line of blocks, with its incidents under it.
fn print_outline(outline: &Outline) {
    let name: String = outline.measure.chars().take(NAME_WIDTH).collect();
    output::line(format!("{name:>NAME_WIDTH$}  {}", sparkline(&outline.values)));
    if outline.marks.contains(&true) {
        let marks: String = outline.marks.iter().map(|mark| if *mark { '^' } else { ' ' }).collect();
        output::line(format!("{:>NAME_WIDTH$}  {}", "", marks.trim_end()));
    }
}

/// One character for each value, from the least to the greatest.
fn sparkline(values: &[Option<f64>]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known = || values.iter().flatten();
    let (least, greatest) = (
        known().fold(f64::INFINITY, |least, value| least.min(*value)),
        known().fold(f64::NEG_INFINITY, |greatest, value| greatest.max(*value)),
    );
    let block = |value: &Option<f64>| {
        let Some(value) = value else { return ' ' };
        let share = (value - least) / (greatest - least);
        BLOCKS[if share.is_finite() { (share * 7.0).round() as usize } else { 0 }]
    };
    values.iter().map(block).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_goes_from_the_least_to_the_greatest() {
        assert_eq!(sparkline(&[Some(0.0), Some(7.0), None, Some(3.5)]), "▁█ ▅");
        assert_eq!(sparkline(&[Some(2.0), Some(2.0)]), "▁▁");
        assert_eq!(sparkline(&[]), "");
    }
}
