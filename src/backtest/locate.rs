//! Which slices explain a deviation in ready-made rows: one CSV file, one row per time and combination of values.

use std::{collections::BTreeMap, io::Read};

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::{
    anomaly::locate::{Cause, Cube, History, Row, contributions},
    record::{Field, TimestampFormat},
};

/// What to read, and which moment to explain.
#[derive(Clone, Debug)]
pub struct LocateOptions {
    /// Column of the time.
    pub timestamp: String,
    /// The time to explain, written in any form that the column may have.
    pub at: String,
    /// What is explained.
    pub measure: LocatedMeasure,
    /// Columns of the dimensions.
    pub dimensions: Vec<String>,
    /// The zone of times that carry none.
    pub zone: TimeZone,
}

/// What is explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocatedMeasure {
    /// The sum of a column.
    Sum(String),
    /// The sum of one column over the sum of another.
    Ratio(String, String),
}

/// A file could not be explained.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The rows cannot be read as CSV.
    #[error("no valid CSV: {0}")]
    Csv(#[from] csv::Error),
    /// A column is missing.
    #[error("no column `{name}`; there are {found}")]
    NoColumn {
        /// The column.
        name: String,
        /// Those there are.
        found: String,
    },
    /// The time to explain cannot be read.
    #[error("{0}")]
    At(String),
    /// A row is not what it should be.
    #[error("row {row}: {detail}")]
    Row {
        /// Counted from 1, without the header.
        row: usize,
        /// What is wrong.
        detail: String,
    },
    /// The time has no rows, or none before it.
    #[error("no rows {0}")]
    Nothing(String),
}

/// One explanation as written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Located {
    /// The slices; `[{}]` is the whole.
    pub slices: Vec<BTreeMap<String, String>>,
    /// The part of the deviation in them, 0 to 1; the rest is unexplained.
    pub share: f64,
    /// Evidence less the cost of naming the slices; only the order means anything.
    pub score: f64,
    /// The sum in the slices; of a ratio, its numerator.
    pub actual: f64,
    /// What was expected.
    pub expected: f64,
}

/// What explains a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocatedFile {
    /// Best first.
    pub explanations: Vec<Located>,
    /// Per dimension what each value holds of the deviation, in percent; `(rest)` is all that are not named.
    pub contributions: BTreeMap<String, BTreeMap<String, u32>>,
}

/// How many explanations are told.
const TOLD: usize = 10;

/// Explains the rows at a time by those before.
pub fn locate(input: impl Read, options: &LocateOptions) -> Result<LocatedFile, LocateError> {
    let at = TimestampFormat::Auto
        .millis(&Field::Text(options.at.as_str().into()), &options.zone)
        .map_err(LocateError::At)?;
    let mut names = Names::new(options.dimensions.len());
    let rows = read(input, options, &mut names)?;
    let is_ratio = matches!(options.measure, LocatedMeasure::Ratio(..));
    let history = History::new(rows, options.dimensions.len(), is_ratio, at);
    if !history.has_now() {
        return Err(LocateError::Nothing(format!("at {}", options.at)));
    }
    if !history.has_past() {
        return Err(LocateError::Nothing(format!("before {}", options.at)));
    }
    let cube = history.cube();
    let causes = cube.search(TOLD);
    let contributions = told_contributions(&cube, causes.first(), &options.dimensions, &names);
    let explanations = causes.iter().map(|cause| names.located(cause, &options.dimensions)).collect();
    Ok(LocatedFile { explanations, contributions })
}

fn told_contributions(
    cube: &Cube,
    cause: Option<&Cause>,
    dimensions: &[String],
    names: &Names,
) -> BTreeMap<String, BTreeMap<String, u32>> {
    let sign = cause.map_or(1.0, |cause| (cause.actual - cause.expected).signum());
    let told = |(dimension, parts): (usize, Vec<_>)| {
        let name = |value: Option<u32>| {
            value.map_or_else(|| "(rest)".to_owned(), |value| names.text(dimension, value).to_owned())
        };
        let parts = parts
            .into_iter()
            .map(|part: crate::anomaly::locate::Contribution| (name(part.value), part.percent));
        (dimensions[dimension].clone(), parts.collect())
    };
    contributions(cube, sign).into_iter().map(told).collect()
}

/// The values of each dimension by number, in the order in which they came.
struct Names {
    texts: Vec<Vec<String>>,
    numbers: Vec<BTreeMap<String, u32>>,
}

impl Names {
    fn new(dimensions: usize) -> Self {
        Self { texts: vec![Vec::new(); dimensions], numbers: vec![BTreeMap::new(); dimensions] }
    }

    fn number(&mut self, dimension: usize, text: &str) -> u32 {
        if let Some(number) = self.numbers[dimension].get(text) {
            return *number;
        }
        let number = self.texts[dimension].len() as u32;
        self.texts[dimension].push(text.to_owned());
        self.numbers[dimension].insert(text.to_owned(), number);
        number
    }

    fn text(&self, dimension: usize, value: u32) -> &str {
        &self.texts[dimension][value as usize]
    }

    fn located(&self, cause: &Cause, dimensions: &[String]) -> Located {
        let slice = |slice: &Vec<(usize, u32)>| {
            let named = |(dimension, value): &(usize, u32)| {
                (dimensions[*dimension].clone(), self.text(*dimension, *value).to_owned())
            };
            slice.iter().map(named).collect()
        };
        let Cause { slices, share, score, actual, expected } = cause;
        let slices = slices.iter().map(slice).collect();
        Located { slices, share: *share, score: *score, actual: *actual, expected: *expected }
    }
}

fn read(input: impl Read, options: &LocateOptions, names: &mut Names) -> Result<Vec<Row>, LocateError> {
    let mut reader = csv::Reader::from_reader(input);
    let header = reader.headers()?.clone();
    let place = |name: &String| {
        header.iter().position(|column| column == name).ok_or_else(|| LocateError::NoColumn {
            name: name.clone(),
            found: header.iter().collect::<Vec<_>>().join(", "),
        })
    };
    let timestamp = place(&options.timestamp)?;
    let (value, weight) = match &options.measure {
        LocatedMeasure::Sum(column) => (place(column)?, None),
        LocatedMeasure::Ratio(numerator, denominator) => (place(numerator)?, Some(place(denominator)?)),
    };
    let dimensions = options.dimensions.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let refuse = |detail: String| LocateError::Row { row: rows.len() + 1, detail };
        let number = |column: usize| {
            let text = record[column].trim();
            text.parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
                .ok_or_else(|| refuse(format!("`{text}` is not a number")))
        };
        let millis = TimestampFormat::Auto
            .millis(&Field::Text((&record[timestamp]).into()), &options.zone)
            .map_err(refuse)?;
        let (value, weight) = (number(value)?, weight.map(number).transpose()?);
        let values = dimensions
            .iter()
            .enumerate()
            .map(|(dimension, column)| names.number(dimension, &record[*column]));
        rows.push(Row { millis, values: values.collect(), value, weight });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> LocateOptions {
        LocateOptions {
            timestamp: "t".to_owned(),
            at: "2026-03-01 08:26".to_owned(),
            measure: LocatedMeasure::Sum("n".to_owned()),
            dimensions: vec!["country".to_owned()],
            zone: TimeZone::UTC,
        }
    }

    #[test]
    fn rows_are_explained_with_the_names_of_the_file() {
        let mut rows = vec!["t,country,n".to_owned()];
        for (minute, germans) in [(23, 90), (24, 95), (25, 92), (26, 12)] {
            for (country, number) in [("DE", germans), ("FR", 60), ("IT", 55)] {
                rows.push(format!("2026-03-01 08:{minute},{country},{number}"));
            }
        }
        let file = locate(rows.join("\n").as_bytes(), &options()).unwrap();
        assert_eq!(file.explanations[0].slices, [BTreeMap::from([("country".to_owned(), "DE".to_owned())])]);
        assert_eq!(file.contributions["country"]["DE"], 100);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = |text: &str| locate(text.as_bytes(), &options()).unwrap_err().to_string();
        assert_eq!(told("t,n\n"), "no column `country`; there are t, n");
        assert_eq!(told("t,country,n\n1,DE,x\n"), "row 1: `x` is not a number");
        assert_eq!(told("t,country,n\n1,DE,2\n"), "no rows at 2026-03-01 08:26");
        assert_eq!(told("t,country,n\n2026-03-01 08:26,DE,2\n"), "no rows before 2026-03-01 08:26");
    }
}
