//! `tidewatch score`: a detector over ready-made series.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use jiff::tz::TimeZone;

use super::Exit;
use crate::{
    backtest::{ScoreDetector, ScoreError, ScoreOptions, score_series},
    config::parse_duration,
};

/// Arguments of `score`.
#[derive(Debug, Args)]
pub(super) struct ScoreArguments {
    /// CSV files with a header, plain or .gz, one series each
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Column of the time
    #[arg(long)]
    timestamp: String,
    /// Column of the value
    #[arg(long)]
    value: String,
    /// The shop's time zone
    #[arg(long, default_value = "UTC")]
    timezone: String,
    /// Time between points, e.g. 5m; the median distance of the rows by default
    #[arg(long, value_parser = parse_duration)]
    interval: Option<Duration>,
    /// The detector, at its default settings
    #[arg(long, value_enum, default_value_t)]
    detector: ScoreDetector,
    /// Folder for the results, one file per input
    #[arg(long)]
    out: PathBuf,
}

pub(super) fn score(arguments: &ScoreArguments) -> anyhow::Result<()> {
    let zone = TimeZone::get(&arguments.timezone)
        .map_err(|_| Exit::Usage(format!("--timezone: `{}` is no known time zone", arguments.timezone)))?;
    let options = ScoreOptions {
        timestamp: arguments.timestamp.clone(),
        value: arguments.value.clone(),
        zone,
        interval_seconds: arguments.interval.map(|interval| interval.as_secs() as u32),
        detector: arguments.detector,
    };
    if let Some(missing) = arguments.files.iter().find(|path| !path.exists()) {
        return Err(Exit::Usage(format!("no file `{}`", missing.display())).into());
    }
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("could not make folder `{}`", arguments.out.display()))?;
    let bar = ProgressBar::new(arguments.files.len() as u64);
    for path in &arguments.files {
        score_file(path, &arguments.out, &options).with_context(|| format!("`{}`", path.display()))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn score_file(path: &Path, out: &Path, options: &ScoreOptions) -> anyhow::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let file = BufReader::new(File::open(path)?);
    let (stem, input): (&str, Box<dyn Read>) = match name.strip_suffix(".gz") {
        Some(stem) => (stem, Box::new(flate2::read::MultiGzDecoder::new(file))),
        None => (name, Box::new(file)),
    };
    let stem = stem.strip_suffix(".csv").unwrap_or(stem);
    let rows = score_series(input, options).map_err(|error| match error {
        // A wrong --timestamp or --value.
        ScoreError::NoColumn { .. } => Exit::Usage(error.to_string()).into(),
        error => anyhow::Error::from(error),
    })?;
    rows.write_csv(BufWriter::new(File::create(out.join(format!("{stem}.csv")))?))?;
    Ok(())
}
