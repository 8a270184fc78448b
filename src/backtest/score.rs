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

use super::{
    alert_column::AlertColumn,
    ready_made::{self, Oddities, Point, ReadyMade},
};
use crate::{
    record::{Field, TimestampFormat},
    window::WindowGrid,
};

/// Which columns to read, and how.
#[derive(Clone, Debug)]
pub struct ScoreOptions {
    /// Column of the time.
    pub timestamp: String,
    /// Columns of values, each a series; `*` for every other column of numbers.
    pub values: Vec<String>,
    /// Columns that tell series apart which stand one below the other.
    pub by: Vec<String>,
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
    #[error("no column `{missing}`; there are: {}{}", columns.join(", "), hint(columns))]
    NoColumn {
        /// The column asked for.
        missing: String,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// No row can be read; of the first one, why.
    #[error("{0}")]
    Unreadable(String),
    /// The interval is not one that the detector knows.
    #[error("an interval of {0} s; expected 10 s to 1 day (give --interval if the rows are irregular)")]
    Interval(f64),
    /// The time to explain cannot be read.
    #[error("time to explain: {0}")]
    Time(String),
    /// One series is explained, and there are several.
    #[error("which series? there are: {}", .0.join(", "))]
    Several(Vec<String>),
    /// There is nothing to explain.
    #[error("no value at `{0}`, or the detector still warms up there")]
    Nothing(String),
}

/// One column, and a sign that is no comma: a likely cause.
fn hint(columns: &[String]) -> &'static str {
    match columns {
        [only] if only.contains(';') => " (are its columns separated by `;`?)",
        [only] if only.contains('\t') => " (are its columns separated by tabs?)",
        _ => "",
    }
}

/// The rows of a scored series.
#[derive(Debug)]
pub struct ScoredRows {
    /// Which series of its file; empty for the only one.
    pub name: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    point: Point,
    score: Option<Score>,
    alert: f64,
}

/// Scores the series in `input`, a CSV with a header, and says what was odd about it.
pub fn score_series(
    input: impl Read,
    options: &ScoreOptions,
) -> Result<(Vec<ScoredRows>, Oddities), ScoreError> {
    let (series, odd) = ready_made::read(input, options)?;
    let scored = series.into_iter().map(|one| score_one(one, options)).collect::<Result<_, _>>()?;
    Ok((scored, odd))
}

fn score_one(series: ReadyMade, options: &ScoreOptions) -> Result<ScoredRows, ScoreError> {
    let (order, mut model) = prepare(&series.points, options)?;
    let row = |point| Row { point, score: None, alert: 0.0 };
    let mut rows: Vec<Row> = series.points.into_iter().map(row).collect();
    let mut alerts = AlertColumn::default();
    let mut last_millis = None;
    for index in order {
        let row = &mut rows[index];
        let repeated = last_millis.replace(row.point.millis) == Some(row.point.millis);
        row.score = score_point(&mut model, &row.point, repeated, &options.zone);
        row.alert = row.score.as_ref().map_or(0.0, |score| alerts.next(score.severity()));
    }
    Ok(ScoredRows { name: series.name, rows })
}

/// Why the row at `time` (in the formats of the time column) has its score, from the rows before it; of a file with one
/// series.
pub fn explain_series(
    input: impl Read,
    options: &ScoreOptions,
    time: &str,
) -> Result<Explanation, ScoreError> {
    let wanted =
        TimestampFormat::Auto.millis(&Field::Text(time.into()), &options.zone).map_err(ScoreError::Time)?;
    let (mut series, _) = ready_made::read(input, options)?;
    if series.len() > 1 {
        return Err(ScoreError::Several(series.into_iter().map(|one| one.name).collect()));
    }
    let points = series.pop().unwrap_or_default().points;
    let (order, mut model) = prepare(&points, options)?;
    let nothing = || ScoreError::Nothing(time.to_owned());
    let mut last_millis = None;
    for point in order.into_iter().map(|index| &points[index]) {
        let repeated = last_millis.replace(point.millis) == Some(point.millis);
        if point.millis == Some(wanted) {
            let observation = point.observation(&options.zone).ok_or_else(nothing)?;
            return model.explain(&observation).ok_or_else(nothing);
        }
        score_point(&mut model, point, repeated, &options.zone);
    }
    Err(nothing())
}

/// The order of the rows in time, and the detector before the first of them.
fn prepare(points: &[Point], options: &ScoreOptions) -> Result<(Vec<usize>, Model), ScoreError> {
    let mut order: Vec<usize> = (0..points.len()).filter(|index| points[*index].millis.is_some()).collect();
    order.sort_by_key(|index| points[*index].millis);
    let seconds = match options.interval_seconds {
        Some(seconds) => f64::from(seconds),
        None => median_distance(points, &order),
    };
    let config =
        options.detector.config(seconds.round() as u32).map_err(|_| ScoreError::Interval(seconds))?;
    Ok((order, config.start()))
}

impl Point {
    fn observation(&self, zone: &TimeZone) -> Option<Observation> {
        Observation::new(WindowGrid::civil_seconds_in(zone, self.millis?), self.number?, 1)
    }
}

fn score_point(model: &mut Model, point: &Point, repeated: bool, zone: &TimeZone) -> Option<Score> {
    let observation = point.observation(zone)?;
    if repeated { model.score(&observation).score } else { model.observe(&observation, LearnPolicy::Learn) }
}

fn median_distance(points: &[Point], order: &[usize]) -> f64 {
    let millis = |index: usize| points[index].millis.unwrap_or_default();
    let mut distances: Vec<i64> = order.windows(2).map(|pair| millis(pair[1]) - millis(pair[0])).collect();
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
            let (timestamp, value) = (row.point.timestamp.as_str(), row.point.value.as_str());
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
            values: vec!["value".into()],
            by: Vec::new(),
            zone: TimeZone::UTC,
            interval_seconds: None,
            detector: ScoreDetector::Seasonal,
        }
    }

    fn score(text: &str) -> Result<String, ScoreError> {
        let mut output = Vec::new();
        score_series(text.as_bytes(), &options())?.0[0].write_csv(&mut output)?;
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
    fn side_by_side_and_one_below_the_other_are_the_same_series() {
        let names = |text: &str, options: ScoreOptions| -> Vec<(String, usize)> {
            let (scored, odd) = score_series(text.as_bytes(), &options).unwrap();
            assert_eq!(odd, Oddities::default());
            scored.into_iter().map(|one| (one.name.clone(), one.len())).collect()
        };
        let wide = "timestamp,name,DE,FR\n0,x,1,2\n60,x,3,4\n";
        let both = [("DE".to_owned(), 2), ("FR".to_owned(), 2)];
        assert_eq!(names(wide, ScoreOptions { values: vec!["*".into()], ..options() }), both);
        assert_eq!(names(wide, ScoreOptions { values: vec!["DE".into(), "FR".into()], ..options() }), both);
        let long = "timestamp,country,value\n0,DE,1\n0,FR,2\n60,DE,3\n60,FR,4\n";
        assert_eq!(names(long, ScoreOptions { by: vec!["country".into()], ..options() }), both);
    }

    #[test]
    fn what_cannot_be_read_costs_its_row_and_is_named() {
        let text = "timestamp,value\n0,1\nsoon,2\n60,inf\n120,NaN\n60,4\n120\n180,5\n";
        let (scored, odd) = score_series(text.as_bytes(), &options()).unwrap();
        assert_eq!(scored[0].len(), 7);
        assert_eq!(
            odd.lines(),
            [
                "line 3: `soon` is not a timestamp",
                "line 4: `inf` is not a finite number",
                "1 rows are not in order of time, first on line 6; they are scored in order",
                "1 rows repeat a time, first on line 7; they are scored and not learned",
            ]
        );
        let long = format!("timestamp,value\n0,1\n60,{}\n120,3\n", "9".repeat(3 << 20));
        let (scored, odd) = score_series(long.as_bytes(), &options()).unwrap();
        assert_eq!((scored[0].len(), odd.lines()[0].as_str()), (3, "line 3: is longer than 524288 bytes"));
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
