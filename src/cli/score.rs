//! `tidewatch score`: a detector over ready-made series.

use std::{
    fs::File,
    io::{BufWriter, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use jiff::tz::TimeZone;

use super::{Exit, output};
use crate::{
    backtest::{ScoreDetector, ScoreError, ScoreOptions, explain_series, score_series},
    config::parse_duration,
    sources::open_file,
};

/// Arguments of `score`.
#[derive(Debug, Args)]
pub(super) struct ScoreArguments {
    /// CSV files with a header, plain, gzip or Zstandard
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Column of the time
    #[arg(long)]
    timestamp: String,
    /// Column of the value; several columns are as many series, `*` is every other column of numbers
    #[arg(long, value_delimiter = ',', required = true)]
    value: Vec<String>,
    /// Columns that tell series apart which stand one below the other
    #[arg(long, value_delimiter = ',')]
    by: Vec<String>,
    /// The shop's time zone
    #[arg(long, default_value = "UTC")]
    timezone: String,
    /// Time between points, e.g. 5m; the median distance of the rows by default
    #[arg(long, value_parser = parse_duration)]
    interval: Option<Duration>,
    /// The detector, at its default settings
    #[arg(long, value_enum, default_value_t)]
    detector: ScoreDetector,
    /// Folder for the results, one file per series
    #[arg(long, required_unless_present = "explain")]
    out: Option<PathBuf>,
    /// Print why the value at this time has its score, and stop there
    #[arg(long, value_name = "TIME", conflicts_with = "out")]
    explain: Option<String>,
}

pub(super) fn score(arguments: &ScoreArguments) -> anyhow::Result<()> {
    let zone = TimeZone::get(&arguments.timezone)
        .map_err(|_| Exit::Usage(format!("--timezone: `{}` is no known time zone", arguments.timezone)))?;
    let options = ScoreOptions {
        timestamp: arguments.timestamp.clone(),
        values: arguments.value.clone(),
        by: arguments.by.clone(),
        zone,
        interval_seconds: arguments.interval.map(|interval| interval.as_secs() as u32),
        detector: arguments.detector,
    };
    require_files(&arguments.files)?;
    if let Some(time) = &arguments.explain {
        for path in &arguments.files {
            let explained = explain_series(open(path)?.1, &options, time).map_err(usage);
            output::line(explained.with_context(|| format!("`{}`", path.display()))?);
        }
        return Ok(());
    }
    // The parser wants one of the two.
    let Some(out) = &arguments.out else { return Ok(()) };
    std::fs::create_dir_all(out).with_context(|| format!("could not make folder `{}`", out.display()))?;
    let bar = ProgressBar::new(arguments.files.len() as u64);
    for path in &arguments.files {
        score_file(path, out, &options).with_context(|| format!("`{}`", path.display()))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn score_file(path: &Path, out: &Path, options: &ScoreOptions) -> anyhow::Result<()> {
    let (stem, input) = open(path)?;
    let (series, odd) = score_series(input, options).map_err(usage)?;
    for line in odd.lines() {
        output::warn(format!("`{}`: {line}", path.display()));
    }
    for rows in series {
        // What a file name may not hold everywhere, no file name holds.
        let plain =
            |letter: char| if letter.is_alphanumeric() || "-_. ".contains(letter) { letter } else { '_' };
        let name: String = rows.name.chars().map(plain).collect();
        let name = if name.is_empty() { format!("{stem}.csv") } else { format!("{stem}.{name}.csv") };
        rows.write_csv(BufWriter::new(File::create(out.join(name))?))?;
    }
    Ok(())
}

/// A file that is not there is wrong usage.
pub(super) fn require_files(files: &[PathBuf]) -> Result<(), Exit> {
    let missing = files.iter().find(|path| !path.exists());
    missing.map_or(Ok(()), |path| Err(Exit::Usage(format!("no file `{}`", path.display()))))
}

/// The name of a file without its endings, and its text.
pub(super) fn open(path: &Path) -> anyhow::Result<(&str, Box<dyn Read>)> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    Ok((stem.strip_suffix(".csv").unwrap_or(stem), open_file(path)?))
}

/// A wrong `--timestamp`, `--value` or `--explain` is wrong usage.
fn usage(error: ScoreError) -> anyhow::Error {
    match error {
        ScoreError::NoColumn { .. }
        | ScoreError::Time(_)
        | ScoreError::Several(_)
        | ScoreError::Nothing(_) => Exit::Usage(error.to_string()).into(),
        error => error.into(),
    }
}
