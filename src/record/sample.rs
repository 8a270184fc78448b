//! The first rows of a file whose form nobody has told us yet, as a table of text.

use std::collections::BTreeMap;

use serde_json::Value;

/// How the rows of a sample are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleForm {
    /// One JSON object per line.
    Json,
    /// Separated by commas.
    Csv,
    /// Separated by tabs.
    Tsv,
}

/// A table of the first rows. A cell that is missing, null or empty is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// How it was written.
    pub form: SampleForm,
    /// Paths such as `geo.country`, or names of columns.
    pub columns: Vec<String>,
    /// One cell per column.
    pub rows: Vec<Vec<Option<String>>>,
    /// Lines that could not be read: number and reason.
    pub unreadable: Vec<(u64, String)>,
}

impl Sample {
    /// Reads text whose last line may be cut off. `None` when it holds no row.
    pub fn read(text: &str, rows_max: usize) -> Option<Self> {
        let first = text.lines().find(|line| !line.trim().is_empty())?;
        let sample = if first.trim_start().starts_with('{') {
            json_lines(text, rows_max)
        } else if first.contains('\t') {
            delimited(text, b'\t', SampleForm::Tsv, rows_max)
        } else {
            delimited(text, b',', SampleForm::Csv, rows_max)
        };
        Some(sample).filter(|sample| !sample.rows.is_empty())
    }

    /// The cells of a column that have a value.
    pub fn values(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(move |row| row.get(column)?.as_deref())
    }
}

fn json_lines(text: &str, rows_max: usize) -> Sample {
    let mut columns: BTreeMap<String, usize> = BTreeMap::new();
    let mut objects = Vec::new();
    let mut unreadable = Vec::new();
    let whole = text
        .strip_suffix('\n')
        .map_or_else(|| text.rsplit_once('\n').map_or(text, |(whole, _)| whole), |_| text);
    for (index, line) in whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if objects.len() == rows_max {
            break;
        }
        match serde_json::from_str::<Value>(line) {
            Ok(value @ Value::Object(_)) => {
                let mut cells = Vec::new();
                flatten("", &value, &mut cells);
                for (path, _) in &cells {
                    let next = columns.len();
                    columns.entry(path.clone()).or_insert(next);
                }
                objects.push(cells);
            }
            Ok(_) => unreadable.push((index as u64 + 1, "no JSON object".to_owned())),
            Err(error) => unreadable.push((index as u64 + 1, error.to_string())),
        }
    }
    let mut names = vec![String::new(); columns.len()];
    for (name, index) in &columns {
        names[*index].clone_from(name);
    }
    let row = |cells: Vec<(String, Option<String>)>| {
        let mut row = vec![None; names.len()];
        for (path, cell) in cells {
            row[columns[&path]] = cell;
        }
        row
    };
    let rows = objects.into_iter().map(row).collect();
    Sample { form: SampleForm::Json, columns: names, rows, unreadable }
}

/// Scalars by path; arrays are left out, as the decoder does.
fn flatten(prefix: &str, value: &Value, cells: &mut Vec<(String, Option<String>)>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&path, member, cells);
            }
        }
        Value::Array(_) => {}
        Value::Null => cells.push((prefix.to_owned(), None)),
        Value::String(text) if text.is_empty() => cells.push((prefix.to_owned(), None)),
        Value::String(text) => cells.push((prefix.to_owned(), Some(text.clone()))),
        scalar => cells.push((prefix.to_owned(), Some(scalar.to_string()))),
    }
}

fn delimited(text: &str, delimiter: u8, form: SampleForm, rows_max: usize) -> Sample {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let columns: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(|name| name.trim().to_owned()).collect(),
        Err(_) => Vec::new(),
    };
    let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
    for record in reader.records().take(rows_max) {
        match record {
            Ok(record) if record.len() == columns.len() => {
                let cell = |cell: &str| Some(cell.trim().to_owned()).filter(|cell| !cell.is_empty());
                rows.push(record.iter().map(cell).collect());
            }
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                unreadable.push((line, format!("{} cells, the header has {}", record.len(), columns.len())));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                unreadable.push((line, error.to_string()));
            }
        }
    }
    // The sample may end in the middle of a row.
    if !text.ends_with('\n') {
        let last = unreadable.last().map(|(line, _)| *line);
        if last.is_some_and(|line| line as usize >= text.lines().count()) {
            unreadable.pop();
        }
    }
    Sample { form, columns, rows, unreadable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_json_becomes_paths_and_bad_lines_are_named() {
        let text = "{\"at\":1,\"geo\":{\"country\":\"DE\"},\"tags\":[1]}\nnope\n{\"at\":2,\"paid\":true,\"geo\":null}\n{\"at\":3";
        let sample = Sample::read(text, 100).unwrap();
        assert_eq!(sample.columns, ["at", "geo.country", "geo", "paid"]);
        assert_eq!(sample.rows.len(), 2);
        assert_eq!(sample.values(1).collect::<Vec<_>>(), ["DE"]);
        assert_eq!(sample.values(0).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(sample.unreadable.len(), 1);
        assert_eq!(sample.unreadable[0].0, 2);
    }

    #[test]
    fn delimiters_are_told_apart() {
        let sample = Sample::read("at,qty\n1,\n2,5\n3\n4,6", 100).unwrap();
        assert_eq!((sample.form, sample.rows.len()), (SampleForm::Csv, 3));
        assert_eq!(sample.values(1).collect::<Vec<_>>(), ["5", "6"]);
        assert_eq!(sample.unreadable, [(4, "1 cells, the header has 2".to_owned())]);
        let sample = Sample::read("at\tqty, net\n1\t2\n", 100).unwrap();
        assert_eq!((sample.form, sample.columns.len()), (SampleForm::Tsv, 2));
        assert!(Sample::read("at,qty\n", 100).is_none());
        assert!(Sample::read("\n", 100).is_none());
    }
}
