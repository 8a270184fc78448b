//! Ready-made series in a CSV file: one value column, several side by side, or one below the other by some columns.
//!
//! What cannot be read costs its row: it is counted, the first ones are named by their lines, and the rest is kept.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use csv::StringRecord;

use super::{ScoreError, ScoreOptions};
use crate::record::{Field, TimestampFormat};

/// Longest line; of longer ones the rest is passed by.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Unreadable cells that are named.
const NAMED: usize = 5;
/// Characters of a cell that a message shows.
const SHOWN: usize = 64;

/// One series of a file.
#[derive(Debug, Default)]
pub(super) struct ReadyMade {
    /// Its column, or the values that it is told by; empty when the file is one series.
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// One row of a series, as written and as read.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) timestamp: String,
    pub(super) value: String,
    /// `None` where the time cannot be read.
    pub(super) millis: Option<i64>,
    /// `None` for a gap.
    pub(super) number: Option<f64>,
}

/// What was odd about a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    named: Vec<String>,
    unreadable: u64,
    unsorted: Option<(u64, u64)>,
    repeated: Option<(u64, u64)>,
    broken: Option<String>,
}

impl Oddities {
    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.named.clone();
        let more = self.unreadable - self.named.len() as u64;
        if more > 0 {
            lines.push(format!("{more} more cells cannot be read and are taken for gaps"));
        }
        if let Some((count, first)) = self.unsorted {
            lines.push(format!(
                "{count} rows are not in order of time, first on line {first}; they are scored in order"
            ));
        }
        if let Some((count, first)) = self.repeated {
            lines.push(format!(
                "{count} rows repeat a time, first on line {first}; they are scored and not learned"
            ));
        }
        lines.extend(self.broken.clone());
        lines
    }

    fn unreadable(&mut self, line: u64, detail: &str) {
        self.unreadable += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("line {line}: {detail}"));
        }
    }
}

/// Reads every series of a file. An error when nothing can be read of it.
pub(super) fn read(
    input: impl Read,
    options: &ScoreOptions,
) -> Result<(Vec<ReadyMade>, Oddities), ScoreError> {
    let input = ShortLines { input, line_bytes: 0 };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let header = reader.headers()?.clone();
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    let mut odd = Oddities::default();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                // A plain clone would keep the room of the longest line so far for every row.
                let row: StringRecord = record.iter().collect();
                rows.push((record.position().map_or(0, csv::Position::line), row));
            }
            Err(error) => {
                let line = reader.position().line();
                if !matches!(error.kind(), csv::ErrorKind::Io(_)) {
                    odd.unreadable(line, &error.to_string());
                    continue;
                }
                odd.broken = Some(format!("breaks off at line {line}: {error}"));
                break;
            }
        }
    }
    let columns = Columns::find(&header, &rows, options)?;
    let series = columns.series(&rows, options, &mut odd);
    let readable = series
        .iter()
        .flat_map(|one| &one.points)
        .any(|point| point.millis.is_some() && point.number.is_some());
    match &odd.named[..] {
        [first, ..] if !readable => Err(ScoreError::Unreadable(first.clone())),
        _ => Ok((series, odd)),
    }
}

/// Where in a row the parts are.
struct Columns {
    timestamp: usize,
    values: Vec<(String, usize)>,
    by: Vec<usize>,
}

impl Columns {
    fn find(
        header: &StringRecord,
        rows: &[(u64, StringRecord)],
        options: &ScoreOptions,
    ) -> Result<Self, ScoreError> {
        let columns: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        let column = |name: &String| {
            columns
                .iter()
                .position(|column| column == name)
                .ok_or_else(|| ScoreError::NoColumn { missing: name.clone(), columns: columns.clone() })
        };
        let timestamp = column(&options.timestamp)?;
        let by = options.by.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let is_all = options.values.iter().any(|value| value == "*");
        let values = if is_all {
            let is_number = |index: &usize| {
                let cells = rows.iter().filter_map(|(_, row)| row.get(*index));
                cells
                    .map(str::trim)
                    .find(|cell| !cell.is_empty())
                    .is_some_and(|cell| cell.parse::<f64>().is_ok())
            };
            (0..columns.len())
                .filter(|index| *index != timestamp && !by.contains(index))
                .filter(is_number)
                .collect()
        } else {
            options.values.iter().map(column).collect::<Result<Vec<_>, _>>()?
        };
        // One series has the name of its file.
        let is_one = values.len() == 1 && !is_all;
        let name = |index: usize| if is_one { String::new() } else { columns[index].clone() };
        Ok(Self { timestamp, values: values.into_iter().map(|index| (name(index), index)).collect(), by })
    }

    fn series(
        &self,
        rows: &[(u64, StringRecord)],
        options: &ScoreOptions,
        odd: &mut Oddities,
    ) -> Vec<ReadyMade> {
        let mut series: Vec<ReadyMade> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        // Per series: newest time and where it was.
        let mut newest: Vec<i64> = Vec::new();
        for (line, row) in rows {
            let time = row.get(self.timestamp).unwrap_or_default();
            let millis =
                time_millis(time, row, options).map_err(|detail| odd.unreadable(*line, &detail)).ok();
            let told_by: Vec<&str> =
                self.by.iter().map(|index| row.get(*index).unwrap_or_default()).collect();
            for (column, index) in &self.values {
                let name: Vec<&str> = told_by
                    .iter()
                    .copied()
                    .chain([column.as_str()])
                    .filter(|part| !part.is_empty())
                    .collect();
                let name = name.join("-");
                let at = *known.entry(name.clone()).or_insert_with(|| {
                    series.push(ReadyMade { name, points: Vec::new() });
                    newest.push(i64::MIN);
                    series.len() - 1
                });
                let text = row.get(*index).unwrap_or_default();
                let value = number(text).map_err(|detail| odd.unreadable(*line, &detail)).unwrap_or(None);
                note_order(millis, &mut newest[at], *line, odd);
                let shown = |text: &str| text.chars().take(LINE_BYTES_MAX / 16).collect();
                series[at].points.push(Point {
                    timestamp: shown(time),
                    value: shown(text),
                    millis,
                    number: value,
                });
            }
        }
        series
    }
}

fn time_millis(time: &str, row: &StringRecord, options: &ScoreOptions) -> Result<i64, String> {
    if row.as_slice().len() >= LINE_BYTES_MAX / 2 {
        return Err(format!("is longer than {} bytes", LINE_BYTES_MAX / 2));
    }
    TimestampFormat::Auto.millis(&Field::Text(time.into()), &options.zone)
}

fn note_order(millis: Option<i64>, newest: &mut i64, line: u64, odd: &mut Oddities) {
    let Some(millis) = millis else { return };
    let place = match millis.cmp(newest) {
        std::cmp::Ordering::Less => &mut odd.unsorted,
        std::cmp::Ordering::Equal => &mut odd.repeated,
        std::cmp::Ordering::Greater => {
            *newest = millis;
            return;
        }
    };
    place.get_or_insert((0, line)).0 += 1;
}

/// A finite number; an empty cell or `nan` is a gap.
fn number(text: &str) -> Result<Option<f64>, String> {
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("nan") {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(format!("`{}` is not a finite number", text.chars().take(SHOWN).collect::<String>())),
    }
}

/// Drops what is over the limit of each line, so that no line is ever held whole.
struct ShortLines<R> {
    input: R,
    line_bytes: usize,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.input.read(buffer)?;
            if count == 0 {
                return Ok(0);
            }
            let (mut kept, mut at) = (0, 0);
            while at < count {
                let newline = memchr::memchr(b'\n', &buffer[at..count]).map(|length| at + length);
                let end = newline.unwrap_or(count);
                let keep = (end - at).min(LINE_BYTES_MAX.saturating_sub(self.line_bytes));
                buffer.copy_within(at..at + keep, kept);
                kept += keep;
                self.line_bytes += end - at;
                if newline.is_some() {
                    buffer[kept] = b'\n';
                    kept += 1;
                    self.line_bytes = 0;
                }
                at = end + usize::from(newline.is_some());
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}
