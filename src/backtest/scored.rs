//! Reads what `tidewatch score` wrote, with the labels beside it, for the scorers of the datasets crate.
//!
//! A score file has one row per row of its data file, in the same order. Data files are `NAME.csv` or
//! `NAME.csv.gz` with `timestamp` and `label`; score files `NAME.csv` with `timestamp` and the column to judge.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;
use tidewatch_datasets::scoring::{EventSeries, NabFile, PointSeries, QuietSeries};

use crate::record::{Field, TimestampFormat};

/// Scores or labels could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScoredError {
    /// A file or folder cannot be read.
    #[error("could not read `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The rows of a file are not what they should be.
    #[error("`{}`: {detail}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

/// A named series, ready for its scorer.
#[derive(Clone, Debug)]
pub struct Named<T> {
    /// The file name without `.csv` and `.gz`.
    pub name: String,
    /// The series.
    pub series: T,
}

/// Labelled series of `data` with their scores from `scores`, by name. The first `history` of each is not judged.
pub fn read_labelled(
    data: &Path,
    scores: &Path,
    column: &str,
    history: f64,
) -> Result<Vec<Named<EventSeries>>, ScoredError> {
    let read = |(name, path): (String, PathBuf)| {
        let truth = Table::read(&path, &["timestamp", "label"])?;
        let score_path = scores.join(format!("{name}.csv"));
        let scored = Table::read(&score_path, &[column])?;
        let (rows, expected) = (scored.rows(), truth.rows());
        if rows != expected {
            let detail = format!("{rows} rows, but `{}` has {expected}", path.display());
            return Err(ScoredError::Content { path: score_path, detail });
        }
        let (times, order) = truth.times()?;
        let labels = truth.numbers(1)?;
        let labels: Vec<bool> = order.iter().map(|row| labels[*row] > 0.0).collect();
        let severities = scored.numbers(0)?;
        let severities: Vec<f64> = order.iter().map(|row| severities[*row]).collect();
        Ok(Named { name, series: EventSeries::new(&times, &labels, &severities, history) })
    };
    csv_files(data)?.into_iter().map(read).collect()
}

/// Labelled series of `data` with their scores, row by row as they stand in their files. The first `history` of each is
/// left out.
pub fn read_points(
    data: &Path,
    scores: &Path,
    column: &str,
    history: f64,
) -> Result<Vec<Named<PointSeries>>, ScoredError> {
    let read = |(name, path): (String, PathBuf)| {
        let truth = Table::read(&path, &["label"])?;
        let scored = Table::read(&scores.join(format!("{name}.csv")), &[column])?;
        let from = (truth.rows() as f64 * history) as usize;
        let labels: Vec<bool> = truth.numbers(0)?.iter().skip(from).map(|label| *label > 0.0).collect();
        let severities: Vec<f64> = scored.numbers(0)?.into_iter().skip(from).collect();
        if labels.len() != severities.len() {
            let detail = format!("{} rows, but its scores have {}", truth.rows(), scored.rows());
            return Err(ScoredError::Content { path, detail });
        }
        Ok(Named { name, series: PointSeries::new(&labels, &severities) })
    };
    csv_files(data)?.into_iter().map(read).collect()
}

/// Scored series without labels, by name.
pub fn read_quiet(scores: &Path, column: &str) -> Result<Vec<Named<QuietSeries>>, ScoredError> {
    let read = |(name, path): (String, PathBuf)| {
        let table = Table::read(&path, &["timestamp", column])?;
        let (times, order) = table.times()?;
        let severities = table.numbers(1)?;
        let severities: Vec<f64> = order.iter().map(|row| severities[*row]).collect();
        Ok(Named { name, series: QuietSeries::new(&times, &severities) })
    };
    csv_files(scores)?.into_iter().map(read).collect()
}

/// The files of the Numenta benchmark: `windows` is its `combined_windows.json`, each `category/file.csv` in it is
/// read as `scores/file.csv`. Scores are in 0 to 1 for the benchmark, so they are divided by 100.
pub fn read_nab(windows: &Path, scores: &Path, column: &str) -> Result<Vec<NabFile>, ScoredError> {
    let text = std::fs::read(windows).map_err(|source| ScoredError::Io { path: windows.into(), source })?;
    let labels: BTreeMap<String, Vec<(String, String)>> = serde_json::from_slice(&text)
        .map_err(|error| ScoredError::Content { path: windows.into(), detail: error.to_string() })?;
    let read = |(key, spans): (&String, &Vec<(String, String)>)| {
        let name = key.rsplit('/').next().unwrap_or(key);
        let path = scores.join(name);
        let table = Table::read(&path, &["timestamp", column])?;
        let row = |time: &String| {
            table.cells.iter().position(|cells| second(&cells[0]) == second(time)).ok_or_else(|| {
                ScoredError::Content { path: path.clone(), detail: format!("no row of `{time}`") }
            })
        };
        let rows = spans.iter().map(|(first, last)| Ok((row(first)?, row(last)?)));
        let rows = rows.collect::<Result<Vec<_>, ScoredError>>()?;
        let values: Vec<f64> = table.numbers(1)?.iter().map(|score| score / 100.0).collect();
        Ok(NabFile::new(&values, &rows))
    };
    labels.iter().map(read).collect()
}

/// A time as the benchmark writes it, without the fraction of the second.
fn second(time: &str) -> &str {
    time.split('.').next().unwrap_or(time)
}

fn csv_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, ScoredError> {
    let failed = |source| ScoredError::Io { path: folder.into(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(stem) = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".csv") {
            files.push((stem.to_owned(), path));
        }
    }
    files.sort();
    if files.is_empty() {
        let detail = "no .csv or .csv.gz in it".to_owned();
        return Err(ScoredError::Content { path: folder.into(), detail });
    }
    Ok(files)
}

/// Some columns of a CSV file, as text.
struct Table {
    path: PathBuf,
    cells: Vec<Vec<String>>,
}

impl Table {
    fn read(path: &Path, columns: &[&str]) -> Result<Self, ScoredError> {
        let content = |detail: String| ScoredError::Content { path: path.into(), detail };
        let file = File::open(path).map_err(|source| ScoredError::Io { path: path.into(), source })?;
        let file = BufReader::new(file);
        let zipped = path.extension().is_some_and(|ending| ending == "gz");
        let input: Box<dyn Read> =
            if zipped { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut reader = csv::Reader::from_reader(input);
        let header = reader.headers().map_err(|error| content(error.to_string()))?.clone();
        let place = |column: &&str| {
            header
                .iter()
                .position(|name| name == *column)
                .ok_or_else(|| content(format!("no column `{column}`")))
        };
        let places = columns.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let mut cells = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| content(error.to_string()))?;
            cells.push(places.iter().map(|place| record[*place].to_owned()).collect());
        }
        Ok(Self { path: path.into(), cells })
    }

    fn rows(&self) -> usize {
        self.cells.len()
    }

    /// The first column as seconds, ascending, and the rows in that order.
    fn times(&self) -> Result<(Vec<f64>, Vec<usize>), ScoredError> {
        let time = |cells: &Vec<String>| {
            TimestampFormat::Auto
                .millis(&Field::Text(cells[0].as_str().into()), &TimeZone::UTC)
                .map_err(|detail| ScoredError::Content { path: self.path.clone(), detail })
        };
        let millis = self.cells.iter().map(time).collect::<Result<Vec<i64>, _>>()?;
        let mut order: Vec<usize> = (0..millis.len()).collect();
        order.sort_by_key(|row| millis[*row]);
        Ok((order.iter().map(|row| millis[*row] as f64 / 1e3).collect(), order))
    }

    /// A column as numbers; an empty cell is `NaN`.
    fn numbers(&self, column: usize) -> Result<Vec<f64>, ScoredError> {
        let number = |cells: &Vec<String>| match cells[column].trim() {
            "" => Ok(f64::NAN),
            text => text.parse().map_err(|_| ScoredError::Content {
                path: self.path.clone(),
                detail: format!("`{text}` is not a number"),
            }),
        };
        self.cells.iter().map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewatch_datasets::scoring::{NAB_PROFILES, judge_events, judge_quiet, nab_at};

    fn write(folder: &Path, name: &str, rows: impl Iterator<Item = String>) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(name), rows.collect::<Vec<_>>().join("\n")).unwrap();
    }

    #[test]
    fn labels_and_scores_meet_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let (data, scores) = (folder.path().join("data"), folder.path().join("scores"));
        let header = |text: &str| std::iter::once(text.to_owned());
        // Newest first: rows are put in order of time.
        let rows = (0..200).rev().map(|hour| format!("{},1,{}", hour * 3_600, i32::from(hour == 150)));
        write(&data, "a.csv", header("timestamp,value,label").chain(rows));
        let severity = |hour: i32| if [150, 190].contains(&hour) { "75" } else { "" };
        let rows = (0..200).rev().map(|hour| format!("{},{}", hour * 3_600, severity(hour)));
        write(&scores, "a.csv", header("timestamp,severity").chain(rows));
        let series = read_labelled(&data, &scores, "severity", 0.5).unwrap();
        let table = judge_events(series.iter().map(|named| &named.series), 70.0);
        assert_eq!((table.segments, table.found, table.false_events), (1, 1, 1));
        let quiet = read_quiet(&scores, "severity").unwrap();
        assert_eq!(judge_quiet(quiet.iter().map(|named| &named.series), 70.0).events, 2);
        let missing = read_quiet(&data, "severity").unwrap_err().to_string();
        assert!(missing.ends_with("no column `severity`"), "{missing}");
    }

    #[test]
    fn the_benchmark_is_read_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let windows = folder.path().join("windows.json");
        let span = r#"{"c/a.csv": [["2014-01-01 00:40:00.000000", "2014-01-01 00:49:00.000000"]]}"#;
        std::fs::write(&windows, span).unwrap();
        let severity = |row: i32| if row == 40 { 80 } else { 0 };
        let rows = (0..60).map(|row| format!("2014-01-01 00:{row:02}:00,{}", severity(row)));
        write(folder.path(), "a.csv", std::iter::once("timestamp,alert".to_owned()).chain(rows));
        let files = read_nab(&windows, folder.path(), "alert").unwrap();
        assert_eq!(nab_at(&files, &NAB_PROFILES[0], 0.7).normalised, 100.0);
    }
}
