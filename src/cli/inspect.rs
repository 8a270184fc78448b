//! `tidewatch inspect`: what a file holds, and a configuration to start with.

use std::path::PathBuf;

use clap::Args;

use super::{
    Exit,
    inputs::{find, odd_times},
    output,
};
use crate::{
    anomaly::rfc3339,
    config::{instant_millis as millis, propose},
    record::Sample,
    sources::beginning,
};

/// Bytes looked at.
const SAMPLE_BYTES: usize = 16 << 20;
/// Rows looked at.
const SAMPLE_ROWS: usize = 50_000;
/// Unreadable lines named.
const NAMED: usize = 5;

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// JSON lines, CSV, TSV or Parquet, plain, gzip or Zstandard: a file, a pattern (its first file is looked at), or an
    /// s3:// or http(s):// address
    file: String,
    /// Write the proposed configuration here instead of printing it
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(super) async fn inspect(arguments: &InspectArguments) -> anyhow::Result<()> {
    let given = &arguments.file;
    let path = find(given).await?.swap_remove(0);
    let refuse = |why: String| Exit::Usage(format!("`{path}`: {why}"));
    let found = beginning(&path, SAMPLE_BYTES, SAMPLE_ROWS).await;
    let found = found.map_err(|error| Exit::Usage(error.to_string()))?;
    if let Some(why) = &found.damage {
        output::warn(format!("`{path}` after {} bytes: {why}", found.text.len()));
    }
    if let Some(at) = memchr::memchr(0, &found.text) {
        return Err(refuse(format!("byte {} is zero: it is no text", at + 1)).into());
    }
    if memchr::memchr(b'\n', &found.text).is_none() && found.text.len() >= SAMPLE_BYTES {
        return Err(refuse(format!("line 1 does not end within {SAMPLE_BYTES} bytes")).into());
    }
    let text = String::from_utf8_lossy(&found.text);
    let sample = Sample::read(&text, SAMPLE_ROWS).ok_or_else(|| refuse("holds no rows".to_owned()))?;
    for (line, why) in sample.unreadable.iter().take(NAMED) {
        output::warn(format!("line {line}: {why}"));
    }
    let proposal = propose(&sample).map_err(refuse)?;
    for odd in odd_times(&sample, &proposal.timestamp, millis) {
        output::warn(format!("`{path}`: {odd}"));
    }
    let (from, to) = proposal.span_millis;
    let summary = format!(
        "{} rows looked at, {} of them unreadable; {} columns; {} from {} to {}, {:.1} rows a minute",
        sample.rows.len() + sample.unreadable.len(),
        sample.unreadable.len(),
        sample.columns.len(),
        match (proposal.is_series, proposal.is_wide) {
            (true, true) => "ready-made series, one in each column,",
            (true, false) => "a ready-made series",
            _ => "events",
        },
        rfc3339(from),
        rfc3339(to),
        proposal.rows_per_minute
    );
    let toml = proposal.to_toml(given);
    let Some(out) = &arguments.out else {
        output::warn(summary);
        output::print(&toml);
        return Ok(());
    };
    output::write(out, &toml)?;
    output::line(summary);
    let out = out.display();
    output::line(format!("wrote `{out}`; next: tidewatch backtest --config {out} --monitor shop {given}"));
    Ok(())
}
