//! A detector over a ready-made series: one output row per input row, in input order.
//!
//! Rows are taken in stable order of time. An empty value is a gap. A time that repeats is scored and not
//! learned. Default settings only; whether the values are counts is learned from them.

use std::io::Read;

use jiff::tz::TimeZone;
use tidewatch_detectors::{
    Against, ChangeConfig, ConfigError, Detector, DetectorConfig, Direction, Explanation, FlatlineConfig,
    ForestConfig, LearnPolicy, Model, NoveltyConfig, Observation, Score, SeasonalConfig, ValueKind,
};

use super::alert_column::AlertColumn;
use crate::{
    record::{Field, TimestampFormat},
    window::WindowGrid,
};

/// Which columns to read, and how.
#[derive(Clone, Debug)]
pub struct ScoreOptions {
    /// Column of the time.
    pub timestamp: String,
    /// Column of the value.
    pub value: String,
    /// The shop's zone: seasons follow its clocks, and times without a zone are in it.
    pub zone: TimeZone,
    /// Seconds between points; the median distance when `None`.
    pub interval_seconds: Option<u32>,
    /// Which detector, at its default settings.
    pub detector: ScoreDetector,
}

/// The detectors that need no setting, at their defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ScoreDetector {
    /// Daily and weekly seasons.
    #[default]
    Seasonal,
    /// Values a gauge has never shown; the series are declared gauges.
    Novelty,
    /// Patterns that are not remembered.
    Forest,
    /// Against one week ago (intervals from 1 min), rarity learned.
    Change,
    /// No change for a day.
    Flatline,
}

impl ScoreDetector {
    fn config(self, seconds: u32) -> Result<DetectorConfig, ConfigError> {
        let direction = Direction::Both;
        let per_day = (86_400 / seconds.max(1)).max(1);
        Ok(match self {
            Self::Seasonal => {
                DetectorConfig::Seasonal(SeasonalConfig::new(seconds, ValueKind::Learned, direction)?)
            }
            Self::Novelty => {
                DetectorConfig::Novelty(NoveltyConfig::new(seconds, ValueKind::Learned, direction, true)?)
            }
            Self::Forest => DetectorConfig::Forest(ForestConfig::new(seconds, direction, 0)?),
            Self::Change => {
                // Where a week is too long to keep, the day.
                let week = 7 * per_day;
                let season = if week <= 10_080 { week } else { per_day };
                DetectorConfig::Change(ChangeConfig::new(seconds, Against::Season(season), None, direction)?)
            }
            Self::Flatline => DetectorConfig::Flatline(FlatlineConfig::new(seconds, per_day.max(3), 0.0)?),
        })
    }
}

/// A series could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The rows cannot be read as CSV.
    #[error("no valid CSV: {0}")]
    Csv(#[from] csv::Error),
    /// A column is missing.
    #[error("no column `{missing}`; there are: {}", columns.join(", "))]
    NoColumn {
        /// The column asked for.
        missing: String,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// A cell cannot be read.
    #[error("line {line}: {detail}")]
    Cell {
        /// The line, from 1.
        line: u64,
        /// What was wrong.
        detail: String,
    },
    /// The interval is not one that the detector knows.
    #[error("an interval of {0} s; expected 10 s to 1 day (give --interval if the rows are irregular)")]
    Interval(f64),
    /// The time to explain cannot be read.
    #[error("time to explain: {0}")]
    Time(String),
    /// There is nothing to explain.
    #[error("no value at `{0}`, or the detector still warms up there")]
    Nothing(String),
}

/// The rows of a scored series.
#[derive(Debug)]
pub struct ScoredRows {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    timestamp: String,
    value: String,
    number: Option<f64>,
    millis: i64,
    score: Option<Score>,
    alert: f64,
}

/// Scores the series in `input`, a CSV with a header.
pub fn score_series(input: impl Read, options: &ScoreOptions) -> Result<ScoredRows, ScoreError> {
    let (mut rows, order, mut model) = prepare(input, options)?;
    let mut alerts = AlertColumn::default();
    let mut last_millis = None;
    for index in order {
        let row = &mut rows[index];
        let repeated = last_millis.replace(row.millis) == Some(row.millis);
        row.score = score_row(&mut model, row, repeated, &options.zone);
        row.alert = row.score.as_ref().map_or(0.0, |score| alerts.next(score.severity()));
    }
    Ok(ScoredRows { rows })
}

/// Why the row at `time` (in the formats of the time column) has its score, from the rows before it.
pub fn explain_series(
    input: impl Read,
    options: &ScoreOptions,
    time: &str,
) -> Result<Explanation, ScoreError> {
    let wanted =
        TimestampFormat::Auto.millis(&Field::Text(time.into()), &options.zone).map_err(ScoreError::Time)?;
    let (rows, order, mut model) = prepare(input, options)?;
    let nothing = || ScoreError::Nothing(time.to_owned());
    let mut last_millis = None;
    for row in order.into_iter().map(|index| &rows[index]) {
        let repeated = last_millis.replace(row.millis) == Some(row.millis);
        if row.millis == wanted {
            let observation = row.observation(&options.zone).ok_or_else(nothing)?;
            return model.explain(&observation).ok_or_else(nothing);
        }
        score_row(&mut model, row, repeated, &options.zone);
    }
    Err(nothing())
}

/// The rows, their order in time, and the detector before the first of them.
fn prepare(input: impl Read, options: &ScoreOptions) -> Result<(Vec<Row>, Vec<usize>, Model), ScoreError> {
    let rows = read_rows(input, options)?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|index| rows[*index].millis);
    let seconds = match options.interval_seconds {
        Some(seconds) => f64::from(seconds),
        None => median_distance(&rows, &order),
    };
    let config =
        options.detector.config(seconds.round() as u32).map_err(|_| ScoreError::Interval(seconds))?;
    Ok((rows, order, config.start()))
}

impl Row {
    fn observation(&self, zone: &TimeZone) -> Option<Observation> {
        Observation::new(WindowGrid::civil_seconds_in(zone, self.millis), self.number?, 1)
    }
}

fn score_row(model: &mut Model, row: &Row, repeated: bool, zone: &TimeZone) -> Option<Score> {
    let observation = row.observation(zone)?;
    if repeated { model.score(&observation).score } else { model.observe(&observation, LearnPolicy::Learn) }
}

fn read_rows(input: impl Read, options: &ScoreOptions) -> Result<Vec<Row>, ScoreError> {
    let mut reader = csv::Reader::from_reader(input);
    let columns: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let column = |name: &String| {
        columns
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| ScoreError::NoColumn { missing: name.clone(), columns: columns.clone() })
    };
    let (timestamp, value) = (column(&options.timestamp)?, column(&options.value)?);
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |detail: String| ScoreError::Cell { line, detail };
        let time = record.get(timestamp).unwrap_or_default();
        let millis = TimestampFormat::Auto.millis(&Field::Text(time.into()), &options.zone).map_err(cell)?;
        let text = record.get(value).unwrap_or_default();
        rows.push(Row {
            timestamp: time.to_owned(),
            number: number(text).map_err(cell)?,
            value: text.to_owned(),
            millis,
            score: None,
            alert: 0.0,
        });
    }
    Ok(rows)
}

/// A finite number; an empty cell or `nan` is a gap.
fn number(text: &str) -> Result<Option<f64>, String> {
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("nan") {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(format!("`{text}` is not a finite number")),
    }
}

fn median_distance(rows: &[Row], order: &[usize]) -> f64 {
    let mut distances: Vec<i64> =
        order.windows(2).map(|pair| rows[pair[1]].millis - rows[pair[0]].millis).collect();
    distances.sort_unstable();
    match distances.len() {
        0 => 60.0,
        count if count % 2 == 1 => distances[count / 2] as f64 / 1e3,
        count => (distances[count / 2 - 1] + distances[count / 2]) as f64 / 2e3,
    }
}

impl ScoredRows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True for a series without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the published columns; empty cells while the detector has no opinion.
    pub fn write_csv(&self, output: impl std::io::Write) -> Result<(), ScoreError> {
        let mut writer = csv::Writer::from_writer(output);
        writer.write_record([
            "timestamp",
            "value",
            "expected",
            "lower",
            "upper",
            "severity",
            "minor",
            "alert",
        ])?;
        for row in &self.rows {
            let cells = row.score.map(|score| {
                [
                    score.expected.to_string(),
                    score.lower.to_string(),
                    score.upper.to_string(),
                    format!("{:.4}", score.severity()),
                    format!("{:.4}", score.minor()),
                    format!("{:.4}", row.alert),
                ]
            });
            let cells = cells.unwrap_or_default();
            let (timestamp, value) = (row.timestamp.as_str(), row.value.as_str());
            writer.write_record([timestamp, value].into_iter().chain(cells.iter().map(String::as_str)))?;
        }
        writer.flush().map_err(csv::Error::from)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ScoreOptions {
        ScoreOptions {
            timestamp: "timestamp".into(),
            value: "value".into(),
            zone: TimeZone::UTC,
            interval_seconds: None,
            detector: ScoreDetector::Seasonal,
        }
    }

    fn score(text: &str) -> Result<String, ScoreError> {
        let mut output = Vec::new();
        score_series(text.as_bytes(), &options())?.write_csv(&mut output)?;
        Ok(String::from_utf8(output).unwrap())
    }

    #[test]
    fn rows_come_back_in_input_order_with_times_as_written() {
        let output = score("timestamp,value\n120.0,3\n0,1\n60,\n60,2\n").unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines[0], "timestamp,value,expected,lower,upper,severity,minor,alert");
        assert_eq!(lines[1..], ["120.0,3,,,,,,", "0,1,,,,,,", "60,,,,,,,", "60,2,,,,,,"]);
    }

    #[test]
    fn a_spike_after_the_warm_up_is_found_where_it_is() {
        let row = |minute: i64| {
            let value = if (9_000..9_010).contains(&minute) { 900 } else { 100 + (minute * 7) % 13 };
            format!("{},{value}", minute * 60)
        };
        let rows: Vec<String> = (0..10_000).map(row).collect();
        let text = format!("timestamp,value\n{}\n", rows.join("\n"));
        let output = score(&text).unwrap();
        let severity = |line: usize| -> f64 {
            output.lines().nth(line + 1).unwrap().split(',').nth(5).unwrap().parse().unwrap()
        };
        assert!(severity(9_000) >= 70.0);
        assert!(severity(8_900) < 50.0);

        let explain = |time: &str| explain_series(text.as_bytes(), &options(), time);
        let at = explain(&(9_000 * 60).to_string()).unwrap();
        assert!((at.score.unwrap().severity() - severity(9_000)).abs() < 1e-3);
        assert!(at.to_string().starts_with("900 came where "), "{at}");
        assert!(matches!(explain("7"), Err(ScoreError::Nothing(_))));
    }

    #[test]
    fn mistakes_name_the_line() {
        assert_eq!(
            score("timestamp,value\n0,x\n").unwrap_err().to_string(),
            "line 2: `x` is not a finite number"
        );
        assert_eq!(
            score("time,value\n").unwrap_err().to_string(),
            "no column `timestamp`; there are: time, value"
        );
        assert!(matches!(score("timestamp,value\n0,1\n1,1\n").unwrap_err(), ScoreError::Interval(_)));
    }
}
