//! `tidewatch locate`: which slices explain a deviation in data that no monitor holds.

use std::{fs::File, io::BufWriter, path::PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{
    Exit, output,
    score::{open, require_files},
};
use crate::backtest::{LocateError, LocateOptions, Located, LocatedFile, LocatedMeasure, locate};

/// Arguments of `locate`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("measure").required(true).args(["sum", "ratio"])))]
pub(super) struct LocateArguments {
    /// CSV files with a header, plain or .gz; each is explained by its own earlier rows
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Column of the time
    #[arg(long)]
    timestamp: String,
    /// The time to explain
    #[arg(long, value_name = "TIME")]
    at: String,
    /// Explain the sum of a column
    #[arg(long, value_name = "COLUMN")]
    sum: Option<String>,
    /// Explain the sum of one column over the sum of another
    #[arg(long, value_name = "NUMERATOR/DENOMINATOR")]
    ratio: Option<String>,
    /// Columns of the dimensions
    #[arg(long, value_delimiter = ',', required = true)]
    dimensions: Vec<String>,
    /// The zone of times that carry none
    #[arg(long, default_value = "UTC")]
    timezone: String,
    /// Where to write the result; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    json: PathBuf,
}

#[derive(Serialize)]
struct Explained {
    file: String,
    #[serde(flatten)]
    located: LocatedFile,
}

pub(super) fn run(arguments: &LocateArguments) -> anyhow::Result<()> {
    let options = options(arguments)?;
    require_files(&arguments.files)?;
    let mut all = Vec::new();
    for path in &arguments.files {
        let located = locate(open(path)?.1, &options).map_err(usage);
        let located = located.with_context(|| format!("`{}`", path.display()))?;
        if arguments.json.as_os_str() != "-" {
            let best = located.explanations.first().map(sentence).unwrap_or_default();
            output::line(format!("{}: {best}", path.display()));
        }
        all.push(Explained { file: path.display().to_string(), located });
    }
    if arguments.json.as_os_str() == "-" {
        output::line(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let file = File::create(&arguments.json)
        .with_context(|| format!("could not write `{}`", arguments.json.display()))?;
    serde_json::to_writer_pretty(BufWriter::new(file), &all)?;
    Ok(())
}

fn options(arguments: &LocateArguments) -> Result<LocateOptions, Exit> {
    let LocateArguments { timestamp, at, sum, ratio, dimensions, timezone, .. } = arguments;
    let zone = TimeZone::get(timezone)
        .map_err(|_| Exit::Usage(format!("--timezone: `{timezone}` is no known time zone")))?;
    let measure = match (sum, ratio.as_ref().map(|ratio| (ratio, ratio.split_once('/')))) {
        (Some(column), _) => LocatedMeasure::Sum(column.clone()),
        (None, Some((_, Some((numerator, denominator))))) => {
            LocatedMeasure::Ratio(numerator.to_owned(), denominator.to_owned())
        }
        (None, other) => {
            let ratio = other.map(|(ratio, _)| ratio.as_str()).unwrap_or_default();
            return Err(Exit::Usage(format!("--ratio: `{ratio}`; expected NUMERATOR/DENOMINATOR")));
        }
    };
    let (timestamp, at) = (timestamp.clone(), at.clone());
    Ok(LocateOptions { timestamp, at, measure, dimensions: dimensions.clone(), zone })
}

/// `country=DE and country=AT explain 93 % (20 instead of 95)`.
fn sentence(best: &Located) -> String {
    let place = |slice: &std::collections::BTreeMap<String, String>| {
        let values: Vec<String> = slice.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if values.is_empty() { "everything".to_owned() } else { values.join(", ") }
    };
    let places: Vec<String> = best.slices.iter().map(place).collect();
    let number = crate::anomaly::number;
    format!(
        "{} explains {:.0} % ({} instead of {})",
        places.join(" and "),
        100.0 * best.share,
        number(best.actual),
        number(best.expected)
    )
}

/// A wrong column or time is wrong usage.
fn usage(error: LocateError) -> anyhow::Error {
    match error {
        LocateError::NoColumn { .. } | LocateError::At(_) | LocateError::Nothing(_) => {
            Exit::Usage(error.to_string()).into()
        }
        error => error.into(),
    }
}
