//! `tidewatch export`: stored observations as CSV, one row per window, measure and slice.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::Args;

use super::{open, output};
use crate::{
    anomaly::rfc3339,
    backtest::said_labels,
    pipeline::{FrameBlob, History, HistoryRange, MonitorSpec, SHARD_SLICES, ShardFrame},
    store::SqliteStore,
    window::SliceKey,
};

/// Blobs read at a time.
const PAGE: usize = 10_000;

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// The configuration that holds the monitor
    #[arg(long)]
    config: PathBuf,
    /// The monitor
    #[arg(long)]
    monitor: String,
    /// Windows that start at or after this, RFC 3339
    #[arg(long)]
    from: Option<String>,
    /// Windows that start before this, RFC 3339
    #[arg(long)]
    to: Option<String>,
    /// The CSV file to write
    #[arg(long)]
    out: PathBuf,
    /// Write what people confirmed, and reported as missed, as labels for `backtest --labels` instead
    #[arg(long)]
    labels: bool,
}

pub(super) async fn export(arguments: ExportArguments) -> anyhow::Result<()> {
    let config = open::config(&arguments.config)?;
    let store_config = config.store.clone();
    let (_, spec) = open::monitor(config, &arguments.monitor)?;
    let store = open::store(&store_config)?;
    let mut range = HistoryRange {
        from_millis: open::instant("--from", arguments.from.as_deref(), i64::MIN)?,
        to_millis: open::instant("--to", arguments.to.as_deref(), i64::MAX)?,
        shard: None,
        limit: PAGE,
    };
    if arguments.labels {
        return export_labels(&arguments, &store, (range.from_millis, range.to_millis)).await;
    }
    let context = || format!("could not write `{}`", arguments.out.display());
    let mut writer =
        csv::Writer::from_writer(BufWriter::new(File::create(&arguments.out).with_context(context)?));
    writer.write_record(header(&spec)).with_context(context)?;
    let slices = store.slices(&arguments.monitor).await?;
    let mut rows = 0;
    loop {
        let mut page = store.frames(&arguments.monitor, range).await?;
        let full = page.len() == PAGE;
        let last_start = page.last().map(|blob| blob.start_millis);
        if full {
            // The last window may be cut by the page: it comes whole with the next one.
            page.retain(|blob| Some(blob.start_millis) != last_start);
            anyhow::ensure!(!page.is_empty(), "a window has more shards than a page holds");
        }
        for blob in &page {
            rows += write_blob(&mut writer, &spec, &slices, blob)?;
        }
        let Some(next) = last_start.filter(|_| full) else { break };
        range.from_millis = next;
    }
    writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?.flush().with_context(context)?;
    output::line(format!("{rows} observations in `{}`", arguments.out.display()));
    Ok(())
}

/// What people confirmed and what they reported as missed, as `backtest --labels` reads it.
async fn export_labels(
    arguments: &ExportArguments,
    store: &SqliteStore,
    (from_millis, to_millis): (i64, i64),
) -> anyhow::Result<()> {
    let context = || format!("could not write `{}`", arguments.out.display());
    let mut writer = csv::Writer::from_path(&arguments.out).with_context(context)?;
    writer.write_record(["start", "end", "name"]).with_context(context)?;
    let mut labels = said_labels(store, &arguments.monitor).await?;
    labels.retain(|label| label.start_millis >= from_millis && label.start_millis < to_millis);
    for label in &labels {
        let row = [rfc3339(label.start_millis), rfc3339(label.end_millis), label.name.clone()];
        writer.write_record(row).with_context(context)?;
    }
    writer.flush().with_context(context)?;
    output::line(format!("{} labels in `{}`", labels.len(), arguments.out.display()));
    Ok(())
}

fn header(spec: &MonitorSpec) -> Vec<String> {
    let mut names = vec!["time".to_owned(), "measure".to_owned()];
    names.extend(spec.window.dimensions.iter().cloned());
    let columns = ["value", "count", "expected", "lower", "upper", "severity", "as_closed"];
    names.extend(columns.map(str::to_owned));
    names
}

fn write_blob<W: Write>(
    writer: &mut csv::Writer<W>,
    spec: &MonitorSpec,
    slices: &[SliceKey],
    blob: &FrameBlob,
) -> anyhow::Result<usize> {
    let frame = ShardFrame::of(blob)?;
    let width = spec.window.measures.len();
    let time = rfc3339(blob.start_millis);
    let mut rows = 0;
    for index in 0..frame.num_series() {
        let observed = frame.observed(index);
        let Some(cell) = observed.cell else { continue };
        let slice = &slices[blob.shard * SHARD_SLICES + index / width];
        let mut row = vec![time.clone(), spec.window.measures[index % width].name.clone()];
        row.extend(slice.0.iter().map(|value| value.as_deref().unwrap_or_default().to_owned()));
        row.extend([cell.value.to_string(), cell.weight.to_string()]);
        match frame.scores.get(index).and_then(Option::as_ref) {
            Some(score) => row.extend([
                score.expected.to_string(),
                score.lower.to_string(),
                score.upper.to_string(),
                format!("{:.2}", score.severity),
            ]),
            None => row.extend(std::iter::repeat_n(String::new(), 4)),
        }
        // A gap that was filled later has no value as closed: it says so.
        row.push(match observed.as_closed {
            _ if !observed.is_revised() => String::new(),
            Some(first) => first.value.to_string(),
            None => "gap".to_owned(),
        });
        writer.write_record(&row)?;
        rows += 1;
    }
    Ok(rows)
}
