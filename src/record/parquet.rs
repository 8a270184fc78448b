//! Parquet files as rows of JSON, so that every reader of JSON records reads them.
//!
//! Times are numbers: milliseconds or microseconds, as stored; nanoseconds become microseconds. Decimals are numbers,
//! dates text, bytes text as far as they are UTF-8. Only the columns that somebody asks for are read.

use std::{
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use parquet::{
    basic::{LogicalType, TimeUnit},
    file::{reader::FileReader, serialized_reader::SerializedFileReader},
    record::{Field, Row, reader::RowIter},
    schema::types::Type,
};

/// The rows of one file, read one after the other.
pub struct ParquetRows {
    rows: RowIter<'static>,
    /// Columns in nanoseconds.
    nanos: Vec<String>,
}

impl std::fmt::Debug for ParquetRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetRows").finish_non_exhaustive()
    }
}

/// A file is not Parquet, or damaged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParquetError(String);

impl ParquetRows {
    /// Reads the columns of `file` that hold one of the fields of these paths; all when `paths` is empty.
    pub fn open(file: Bytes, paths: &[String]) -> Result<Self, ParquetError> {
        let reader = SerializedFileReader::new(file).map_err(|error| ParquetError(error.to_string()))?;
        let schema = reader.metadata().file_metadata().schema_descr().root_schema_ptr();
        let nanos = schema.get_fields().iter().filter(|column| is_nanos(column)).map(|column| column.name());
        let nanos = nanos.map(str::to_owned).collect();
        let rows = RowIter::from_file_into(Box::new(reader))
            .project(projection(&schema, paths))
            .map_err(|error| ParquetError(error.to_string()))?;
        Ok(Self { rows, nanos })
    }

    /// The next rows, each a JSON object; empty only at the end.
    pub fn next_rows(&mut self, most: usize) -> Result<Vec<Bytes>, ParquetError> {
        // The library panics over some kinds of damage.
        catch_unwind(AssertUnwindSafe(|| {
            let rows = self.rows.by_ref().take(most);
            rows.map(|row| row.map(|row| object(&row, &self.nanos).into())).collect::<Result<_, _>>()
        }))
        .unwrap_or_else(|_| Err(parquet::errors::ParquetError::General("damaged pages".to_owned())))
        .map_err(|error| ParquetError(error.to_string()))
    }
}

/// The columns that are asked for; `None` for all.
fn projection(schema: &Type, paths: &[String]) -> Option<Type> {
    let wanted = |name: &str| {
        paths.iter().any(|path| path == name || path.split('.').next().is_some_and(|first| first == name))
    };
    let columns: Vec<_> =
        schema.get_fields().iter().filter(|column| wanted(column.name())).cloned().collect();
    if columns.is_empty() {
        return None;
    }
    Type::group_type_builder(schema.name()).with_fields(columns).build().ok()
}

fn is_nanos(column: &Type) -> bool {
    matches!(
        column.get_basic_info().logical_type_ref(),
        Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS
    )
}

fn object(row: &Row, nanos: &[String]) -> String {
    let mut text = String::from("{");
    for (name, field) in row.get_column_iter() {
        if text.len() > 1 {
            text.push(',');
        }
        write_text(&mut text, name);
        text.push(':');
        match field {
            Field::Long(value) if nanos.contains(name) => write_display(&mut text, &(value / 1_000)),
            field => write_field(&mut text, field),
        }
    }
    text.push('}');
    text
}

fn write_field(text: &mut String, field: &Field) {
    match field {
        Field::Null => text.push_str("null"),
        Field::Float(value) if !value.is_finite() => text.push_str("null"),
        Field::Double(value) if !value.is_finite() => text.push_str("null"),
        Field::Float(value) => write_display(text, value),
        Field::Double(value) => write_display(text, value),
        Field::TimestampMillis(value) | Field::TimestampMicros(value) => write_display(text, value),
        Field::Str(value) => write_text(text, value),
        Field::Bytes(value) => write_text(text, &String::from_utf8_lossy(value.data())),
        Field::Date(_) | Field::TimeMillis(_) | Field::TimeMicros(_) => write_text(text, &field.to_string()),
        Field::Group(row) => text.push_str(&object(row, &[])),
        Field::ListInternal(list) => {
            text.push('[');
            for (index, item) in list.elements().iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_field(text, item);
            }
            text.push(']');
        }
        Field::MapInternal(map) => {
            text.push('{');
            for (index, (key, value)) in map.entries().iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                match key {
                    Field::Str(key) => write_text(text, key),
                    key => write_text(text, &key.to_string()),
                }
                text.push(':');
                write_field(text, value);
            }
            text.push('}');
        }
        whole_or_decimal => write_display(text, whole_or_decimal),
    }
}

fn write_display(text: &mut String, value: &impl std::fmt::Display) {
    write!(text, "{value}").expect("writing to memory cannot fail");
}

fn write_text(text: &mut String, value: &str) {
    text.push_str(&serde_json::to_string(value).expect("text always serializes"));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::{
        data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };

    use super::*;

    const SCHEMA: &str = "message shop {
        REQUIRED INT64 at (TIMESTAMP(MILLIS,true));
        REQUIRED INT64 fine (TIMESTAMP(NANOS,true));
        REQUIRED INT32 day (DATE);
        OPTIONAL BYTE_ARRAY country (STRING);
        REQUIRED GROUP order { REQUIRED DOUBLE total; REQUIRED INT32 price (DECIMAL(9,2)); }
    }";

    fn file() -> Bytes {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let mut file =
            SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default())).unwrap();
        let mut group = file.next_row_group().unwrap();
        for values in [[1_000_i64, 2_000], [1_772_409_600_000_001_000, 5_000]] {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&values, None, None).unwrap();
            column.close().unwrap();
        }
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int32Type>().write_batch(&[20_514, 0], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[ByteArray::from("D\"E")], Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&[59.9, f64::NAN], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int32Type>().write_batch(&[1_995, -5], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        file.into_inner().unwrap().into()
    }

    fn rows(paths: &[&str]) -> Vec<serde_json::Value> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let mut rows = ParquetRows::open(file(), &paths).unwrap();
        let mut all = Vec::new();
        loop {
            let some = rows.next_rows(1).unwrap();
            if some.is_empty() {
                return all;
            }
            all.extend(some.iter().map(|row| serde_json::from_slice::<serde_json::Value>(row).unwrap()));
        }
    }

    #[test]
    fn every_kind_of_value_becomes_json() {
        let expected = serde_json::json!([
            {"at": 1_000, "fine": 1_772_409_600_000_001_i64, "day": "2026-03-02", "country": "D\"E",
             "order": {"total": 59.9, "price": 19.95}},
            {"at": 2_000, "fine": 5, "day": "1970-01-01", "country": null,
             "order": {"total": null, "price": -0.05}},
        ]);
        assert_eq!(serde_json::Value::from(rows(&[])), expected);
    }

    #[test]
    fn only_columns_that_are_asked_for_are_read() {
        assert_eq!(
            serde_json::Value::from(rows(&["at", "order.total"])),
            serde_json::json!([
                {"at": 1_000, "order": {"total": 59.9, "price": 19.95}},
                {"at": 2_000, "order": {"total": null, "price": -0.05}},
            ])
        );
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        assert!(ParquetRows::open(Bytes::from_static(b"PAR1 and no more"), &[]).is_err());
        let good = file();
        let mut bad = good.to_vec();
        bad[4..60].fill(0xff);
        let outcome = ParquetRows::open(bad.into(), &[]).and_then(|mut rows| rows.next_rows(10));
        assert!(outcome.is_err(), "{outcome:?}");
    }
}
