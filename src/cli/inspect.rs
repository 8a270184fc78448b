//! `tidewatch inspect`: what a file holds, and a configuration to start with.

use std::{io::Read, path::PathBuf};

use anyhow::Context;
use clap::Args;

use super::{Exit, output};
use crate::{anomaly::rfc3339, config::propose, record::Sample, sources::open_file};

/// Bytes looked at.
const SAMPLE_BYTES: u64 = 16 << 20;
/// Rows looked at.
const SAMPLE_ROWS: usize = 50_000;
/// Unreadable lines named.
const NAMED: usize = 5;

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// JSON lines, CSV or TSV; .gz and .zst are read as they are
    file: PathBuf,
    /// Write the proposed configuration here instead of printing it
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(super) fn inspect(arguments: &InspectArguments) -> anyhow::Result<()> {
    let path = &arguments.file;
    let context = || format!("could not read `{}`", path.display());
    let mut bytes = Vec::new();
    let read = open_file(path).with_context(context)?.take(SAMPLE_BYTES).read_to_end(&mut bytes);
    if let Err(error) = read {
        output::warn(format!("`{}` breaks off after {} bytes: {error}", path.display(), bytes.len()));
    }
    let text = String::from_utf8_lossy(&bytes);
    let refuse = |why: String| Exit::Usage(format!("`{}`: {why}", path.display()));
    let sample = Sample::read(&text, SAMPLE_ROWS).ok_or_else(|| refuse("holds no rows".to_owned()))?;
    for (line, why) in sample.unreadable.iter().take(NAMED) {
        output::warn(format!("line {line}: {why}"));
    }
    let proposal = propose(&sample).map_err(refuse)?;
    let (from, to) = proposal.span_millis;
    let summary = format!(
        "{} rows looked at, {} of them unreadable; {} columns; {} from {} to {}, {:.1} rows a minute",
        sample.rows.len() + sample.unreadable.len(),
        sample.unreadable.len(),
        sample.columns.len(),
        if proposal.is_series { "a ready-made series" } else { "events" },
        rfc3339(from),
        rfc3339(to),
        proposal.rows_per_minute
    );
    let toml = proposal.to_toml(&path.display().to_string());
    let Some(out) = &arguments.out else {
        output::warn(summary);
        output::print(&toml);
        return Ok(());
    };
    output::write(out, &toml)?;
    output::line(summary);
    let (out, file) = (out.display(), path.display());
    output::line(format!("wrote `{out}`; next: tidewatch backtest --config {out} --monitor shop {file}"));
    Ok(())
}
