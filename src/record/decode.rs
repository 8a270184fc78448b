//! Records into rows of fields. Never fails as a whole: what cannot be read becomes a reject of its own.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::de::{DeserializeSeed, Deserializer as _, SeqAccess, Visitor};

use super::{Field, FieldPaths, Reject, RejectReason, RowSplit, RowSplitter, SchemaOf, Schemas, tabbed};

/// How the records of a source are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object per record, an array of objects, or newline-delimited objects.
    Json,
    /// Rows of cells.
    Delimited {
        /// The byte between cells: `,` or a tab.
        delimiter: u8,
        /// The names of the cells; `None` when each partition starts with a header row.
        columns: Option<Vec<String>>,
    },
    /// Rows of cells after a header, of which each holds many series: a cell whose column no monitor asks for is a row
    /// of its own, with its column as `series` and itself as `value`, beside the cells that are asked for.
    Wide {
        /// The byte between cells.
        delimiter: u8,
    },
    /// Avro or Protobuf.
    Encoded(SchemaOf),
    /// Rows of cells between tabs in which nothing is quoted.
    Tabbed {
        /// The names of the cells.
        columns: Vec<String>,
        /// What stands in a cell without a value.
        nothing: &'static str,
    },
}

impl Format {
    /// How a stream of this format is cut into records.
    pub fn row_split(&self) -> RowSplit {
        match self {
            Self::Json | Self::Encoded(_) | Self::Tabbed { .. } => RowSplit::Newline,
            Self::Delimited { .. } | Self::Wide { .. } => RowSplit::Quoted,
        }
    }

    /// True when the first row of each partition names the columns.
    pub fn has_header(&self) -> bool {
        matches!(self, Self::Delimited { columns: None, .. } | Self::Wide { .. })
    }
}

/// The fields that a wide row is turned into.
const SERIES: &str = "series";
const VALUE: &str = "value";

/// Reads records of one format, keeping only the fields somebody asked for.
#[derive(Clone, Debug)]
pub struct Decoder {
    format: Format,
    paths: FieldPaths,
    /// Cell index -> field index, for delimited formats.
    cells: Vec<Option<usize>>,
    /// Of a wide format, the columns' names.
    series: Vec<String>,
    record_bytes_max: usize,
    /// Those of the batch that is being read.
    schemas: Option<Arc<Schemas>>,
}

/// Called once for each row, with its fields or with why it has none.
pub type Visit<'v, 'a> = &'v mut dyn FnMut(Result<&[Field<'a>], Reject>);

/// The columns of a delimited format lack a field that a monitor needs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the columns lack `{missing}`; they are: {}", columns.join(", "))]
pub struct FormatError {
    /// The field that was asked for.
    pub missing: String,
    /// The columns there are.
    pub columns: Vec<String>,
}

impl Decoder {
    /// A decoder for `format` that reads `paths` and refuses records of more bytes than `record_bytes_max`.
    pub fn new(format: Format, paths: FieldPaths, record_bytes_max: usize) -> Self {
        let cells = match &format {
            Format::Delimited { columns: Some(columns), .. } | Format::Tabbed { columns, .. } => {
                Self::cells(columns, &paths)
            }
            _ => Vec::new(),
        };
        Self { format, paths, cells, series: Vec::new(), record_bytes_max, schemas: None }
    }

    fn cells(columns: &[String], paths: &FieldPaths) -> Vec<Option<usize>> {
        columns.iter().map(|column| paths.names().iter().position(|path| path == column)).collect()
    }

    /// The same for records of another format.
    #[must_use]
    pub fn reading(&self, format: Format) -> Self {
        Self::new(format, self.paths.clone(), self.record_bytes_max)
    }

    /// The fields asked for, in the order of a row.
    pub fn fields(&self) -> &[String] {
        self.paths.names()
    }

    /// Takes the header row of a partition. Fields that it lacks are read as missing from then on.
    pub fn set_header(&mut self, header: &[u8]) -> Result<(), FormatError> {
        let (Format::Delimited { delimiter, columns: None } | Format::Wide { delimiter }) = self.format
        else {
            return Ok(());
        };
        let is_wide = matches!(self.format, Format::Wide { .. });
        let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
        let columns: Vec<String> =
            split_cells(header, delimiter).into_iter().map(|cell| cell.trim().to_owned()).collect();
        self.cells = Self::cells(&columns, &self.paths);
        let made = |path: &&String| is_wide && [SERIES, VALUE].contains(&path.as_str());
        let missing = self.paths.names().iter().find(|path| !columns.contains(path) && !made(path));
        if is_wide {
            self.series.clone_from(&columns);
        }
        match missing {
            Some(missing) => Err(FormatError { missing: missing.clone(), columns }),
            None => Ok(()),
        }
    }

    /// True when the first row of each partition names the columns.
    pub fn has_header(&self) -> bool {
        self.format.has_header()
    }

    /// Takes the schemas of the records that follow.
    pub fn set_schemas(&mut self, schemas: Arc<Schemas>) {
        self.schemas = Some(schemas);
    }

    /// Calls `visit` once for each row of the record, in order, with its fields or with why it has none.
    pub fn decode<'a>(&self, payload: &'a [u8], row: &mut Vec<Field<'a>>, visit: Visit<'_, 'a>) {
        if payload.len() > self.record_bytes_max {
            // A quote that is never closed takes the following lines with it.
            let is_quote =
                self.format.row_split() == RowSplit::Quoted && memchr::memchr(b'\n', payload).is_some();
            let hint = if is_quote { "; is a quote left open?" } else { "" };
            let detail = format!("the record is over the limit of {} bytes{hint}", self.record_bytes_max);
            return visit(Err(Reject::new(RejectReason::TooLarge, detail)));
        }
        match &self.format {
            Format::Json => self.decode_json(payload, row, visit),
            Format::Encoded(schema) => {
                let read = match (schema, &self.schemas) {
                    (SchemaOf::All(schema), _) => schema.read(payload, &self.paths, row),
                    (SchemaOf::Record(_), Some(schemas)) => schemas.read(payload, &self.paths, row),
                    (SchemaOf::Record(_), None) => Err("no schemas came with it".into()),
                };
                match read {
                    Ok(()) => visit(Ok(row)),
                    Err(detail) => visit(Err(Reject::new(RejectReason::Malformed, detail))),
                }
            }
            Format::Delimited { delimiter, .. } => {
                for text in RowSplitter::rows(RowSplit::Quoted, payload) {
                    match self.read_cells(split_cells(text, *delimiter), "", row) {
                        Ok(()) => visit(Ok(row)),
                        Err(reject) => visit(Err(reject)),
                    }
                }
            }
            Format::Wide { delimiter } => {
                for text in RowSplitter::rows(RowSplit::Quoted, payload) {
                    self.read_wide(&split_cells(text, *delimiter), row, visit);
                }
            }
            Format::Tabbed { nothing, .. } => {
                for text in RowSplitter::rows(RowSplit::Newline, payload) {
                    match self.read_cells(tabbed::cells(text).collect(), nothing, row) {
                        Ok(()) => visit(Ok(row)),
                        Err(reject) => visit(Err(reject)),
                    }
                }
            }
        }
    }

    fn read_cells<'a>(
        &self,
        cells: Vec<Cow<'a, str>>,
        nothing: &str,
        row: &mut Vec<Field<'a>>,
    ) -> Result<(), Reject> {
        self.paths.clear(row);
        if cells.len() != self.cells.len() {
            return Err(Reject::new(
                RejectReason::WrongColumns,
                format!("the row has {} cells, the header {}", cells.len(), self.cells.len()),
            ));
        }
        for (cell, field) in cells.into_iter().zip(&self.cells) {
            if let Some(field) = field
                && !cell.is_empty()
                && cell != nothing
            {
                row[*field] = Field::Text(cell);
            }
        }
        Ok(())
    }

    /// A row for each cell that is a value.
    fn read_wide<'a>(&self, cells: &[Cow<'a, str>], row: &mut Vec<Field<'a>>, visit: Visit<'_, 'a>) {
        if let Err(reject) = self.read_cells(cells.to_vec(), "", row) {
            return visit(Err(reject));
        }
        let place = |name: &str| self.paths.names().iter().position(|path| path == name);
        let (series, value) = (place(SERIES), place(VALUE));
        for (index, cell) in cells.iter().enumerate() {
            let is_gap = cell.trim().is_empty() || cell.trim().eq_ignore_ascii_case("nan");
            if self.cells[index].is_some() || is_gap {
                continue;
            }
            if let Some(series) = series {
                row[series] = Field::Text(Cow::Owned(self.series[index].clone()));
            }
            if let Some(value) = value {
                row[value] = Field::Text(cell.clone());
            }
            visit(Ok(row));
        }
    }

    fn decode_json<'a>(&self, payload: &'a [u8], row: &mut Vec<Field<'a>>, visit: Visit<'_, 'a>) {
        let text = payload.trim_ascii();
        if text.first() == Some(&b'[') {
            let mut deserializer = serde_json::Deserializer::from_slice(text);
            let rows = ArraySeed { decoder: self, row, visit };
            let outcome = (&mut deserializer).deserialize_seq(rows).and_then(|()| deserializer.end());
            if let Err(error) = outcome {
                visit(Err(malformed(&error)));
            }
        } else if is_lines(text) {
            for line in RowSplitter::rows(RowSplit::Newline, text) {
                self.read_object(line, row, visit);
            }
        } else {
            self.read_object(text, row, visit);
        }
    }

    fn read_object<'a>(&self, text: &'a [u8], row: &mut Vec<Field<'a>>, visit: Visit<'_, 'a>) {
        // Text that is UTF-8 as a whole need not be checked string by string.
        let outcome = match std::str::from_utf8(text) {
            Ok(text) => self.read_value(serde_json::Deserializer::from_str(text), row),
            Err(_) => self.read_value(serde_json::Deserializer::from_slice(text), row),
        };
        match outcome {
            Ok(true) => visit(Ok(row)),
            Ok(false) => visit(Err(not_an_object())),
            Err(error) => visit(Err(malformed(&error))),
        }
    }

    fn read_value<'a, R: serde_json::de::Read<'a>>(
        &self,
        mut deserializer: serde_json::Deserializer<R>,
        row: &mut Vec<Field<'a>>,
    ) -> serde_json::Result<bool> {
        let object = self.paths.read(&mut deserializer, row)?;
        deserializer.end().map(|()| object)
    }
}

/// Newline-delimited objects, as opposed to one object printed over several lines: the first line is
/// an object by itself.
fn is_lines(text: &[u8]) -> bool {
    memchr::memchr(b'\n', text).is_some_and(|end| text[..end].trim_ascii_end().ends_with(b"}"))
}

fn malformed(error: &serde_json::Error) -> Reject {
    Reject::new(RejectReason::Malformed, format!("no valid JSON: {error}"))
}

fn not_an_object() -> Reject {
    Reject::new(RejectReason::NotAnObject, "the JSON value is not an object")
}

/// The cells of one row. Rows without quotes are cut in place; the csv crate undoes the quoting of others.
fn split_cells(row: &[u8], delimiter: u8) -> Vec<Cow<'_, str>> {
    if memchr::memchr(b'"', row).is_none() {
        return row.split(|byte| *byte == delimiter).map(String::from_utf8_lossy).collect();
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(row.len().max(64))
        .from_reader(row);
    let mut record = csv::ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(_) => record.iter().map(|cell| Cow::Owned(String::from_utf8_lossy(cell).into_owned())).collect(),
        Err(_) => Vec::new(),
    }
}

/// Visits the objects of an array one by one, so that the good ones before a syntax error are kept.
struct ArraySeed<'d, 'r, 'v, 'de> {
    decoder: &'d Decoder,
    row: &'r mut Vec<Field<'de>>,
    visit: Visit<'v, 'de>,
}

struct RowSeed<'d, 'r, 'de> {
    paths: &'d FieldPaths,
    row: &'r mut Vec<Field<'de>>,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_, '_, 'de> {
    type Value = bool;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        self.paths.read(deserializer, self.row)
    }
}

impl<'de> Visitor<'de> for ArraySeed<'_, '_, '_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { decoder, row, visit } = self;
        while let Some(object) = items.next_element_seed(RowSeed { paths: &decoder.paths, row: &mut *row })? {
            visit(if object { Ok(row) } else { Err(not_an_object()) });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(decoder: &Decoder, payload: &str) -> Vec<Result<Vec<String>, RejectReason>> {
        let mut rows = Vec::new();
        decoder.decode(payload.as_bytes(), &mut Vec::new(), &mut |row| {
            rows.push(
                row.map(|fields| {
                    fields.iter().map(|field| field.text().unwrap_or_default().into_owned()).collect()
                })
                .map_err(|reject| reject.reason),
            );
        });
        rows
    }

    fn decoder(format: Format) -> Decoder {
        let mut paths = FieldPaths::default();
        paths.index("a");
        paths.index("b");
        Decoder::new(format, paths, 1000)
    }

    #[expect(clippy::unnecessary_wraps, reason = "rows are compared with rejects")]
    fn row(a: &str, b: &str) -> Result<Vec<String>, RejectReason> {
        Ok(vec![a.to_owned(), b.to_owned()])
    }

    #[test]
    fn json_comes_as_one_object_an_array_or_lines() {
        let json = decoder(Format::Json);
        assert_eq!(decode(&json, r#"{"a":1,"b":"x"}"#), [row("1", "x")]);
        assert_eq!(decode(&json, "{\n \"a\": 1\n}"), [row("1", "")]);
        assert_eq!(decode(&json, r#"[{"a":1},{"b":2}]"#), [row("1", ""), row("", "2")]);
        assert_eq!(decode(&json, "{\"a\":1}\r\n{\"a\":2}\n\n"), [row("1", ""), row("2", "")]);
        assert_eq!(decode(&json, "[]"), []);
    }

    #[test]
    fn bad_json_loses_only_itself() {
        let json = decoder(Format::Json);
        assert_eq!(
            decode(&json, "{\"a\":1}\n{bad\n7\n{\"a\":2}"),
            [row("1", ""), Err(RejectReason::Malformed), Err(RejectReason::NotAnObject), row("2", "")]
        );
        assert_eq!(
            decode(&json, r#"[{"a":1},5,{"a":2}"#),
            [row("1", ""), Err(RejectReason::NotAnObject), row("2", ""), Err(RejectReason::Malformed)]
        );
        assert_eq!(decode(&json, ""), [Err(RejectReason::Malformed)]);
        assert_eq!(decode(&json, "{\"a\":1} x"), [Err(RejectReason::Malformed)]);
        assert_eq!(decode(&json, &" ".repeat(1001)), [Err(RejectReason::TooLarge)]);
    }

    #[test]
    fn delimited_rows_follow_a_header_or_configured_columns() {
        let mut csv = decoder(Format::Delimited { delimiter: b',', columns: None });
        csv.set_header(b"\xef\xbb\xbfb,skip,a").unwrap();
        assert_eq!(
            decode(&csv, "1,x,2\n\"say \"\"hi\"\", x\",,3\n1,2\n"),
            [row("2", "1"), row("3", "say \"hi\", x"), Err(RejectReason::WrongColumns)]
        );
        let tsv = decoder(Format::Delimited {
            delimiter: b'\t',
            columns: Some(vec!["a".into(), "x".into(), "b".into()]),
        });
        assert_eq!(decode(&tsv, "1\t2\t3"), [row("1", "3")]);
    }

    #[test]
    fn a_header_without_a_needed_field_is_named() {
        let mut csv = decoder(Format::Delimited { delimiter: b',', columns: None });
        let error = csv.set_header(b"a,c").unwrap_err();
        assert_eq!(error.to_string(), "the columns lack `b`; they are: a, c");
    }
}
