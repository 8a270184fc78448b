//! Parquet files as rows of JSON, so that every reader of JSON records reads them.
//!
//! Times are numbers: milliseconds or microseconds, as stored; nanoseconds become microseconds. Decimals are numbers,
//! dates text, bytes text as far as they are UTF-8. Only the columns that somebody asks for are read.
//!
//! One row group is read after the other, some rows of each column at a time, so that memory does not grow with the file.
//! Damage costs the rest of its row group and no more.

mod flat;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::{
    errors::ParquetError as Error,
    file::{
        reader::{ChunkReader, FileReader, RowGroupReader},
        serialized_reader::SerializedFileReader,
    },
    record::reader::{ReaderIter, TreeBuilder},
    schema::types::{SchemaDescriptor, Type},
};

use flat::FlatRows;

/// The rows of one file, read one after the other.
pub struct ParquetRows {
    reader: Box<dyn FileReader>,
    /// The columns that are read.
    schema: Type,
    /// Columns in nanoseconds.
    nanos: Vec<String>,
    group: Option<Group>,
    next_group: usize,
    /// Rows of the file that were handed out or lost.
    passed: u64,
    /// Where the group being read ends.
    group_end: u64,
}

/// One row group being read.
enum Group {
    /// Columns side by side.
    Flat(FlatRows),
    /// Columns within columns.
    Nested(ReaderIter),
}

impl std::fmt::Debug for ParquetRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetRows").field("passed", &self.passed).finish_non_exhaustive()
    }
}

/// A file is not Parquet, or damaged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParquetError(String);

impl ParquetRows {
    /// Reads the columns of `file` that hold one of the fields of these paths; all when `paths` is empty.
    pub fn open<R: ChunkReader + 'static>(file: R, paths: &[String]) -> Result<Self, ParquetError> {
        let bytes = file.len();
        let reader = guarded(|| SerializedFileReader::new(file)).map_err(|error| {
            ParquetError(format!(
                "no Parquet file, or cut off: the index at its end (byte {bytes}) cannot be read: {error}"
            ))
        })?;
        let root = reader.metadata().file_metadata().schema_descr().root_schema();
        let nanos = root.get_fields().iter().filter(|column| values::is_nanos(column));
        let nanos = nanos.map(|column| column.name().to_owned()).collect();
        let schema = projection(root, paths).unwrap_or_else(|| root.clone());
        let reader = Box::new(reader);
        Ok(Self { reader, schema, nanos, group: None, next_group: 0, passed: 0, group_end: 0 })
    }

    /// The next rows, each a JSON object; empty only at the end. After an error the rows of the next row group follow.
    pub fn next_rows(&mut self, most: usize) -> Result<Vec<Bytes>, ParquetError> {
        loop {
            if self.group.is_none() && !self.open_group()? {
                return Ok(Vec::new());
            }
            let (group, nanos) = (&mut self.group, &self.nanos);
            let rows = guarded(|| match group {
                Some(Group::Flat(rows)) => rows.next(most),
                Some(Group::Nested(rows)) => nested_rows(rows, most, nanos),
                None => Ok(Vec::new()),
            });
            match rows {
                Ok(rows) if rows.is_empty() => self.leave_group()?,
                Ok(rows) => {
                    self.passed += rows.len() as u64;
                    return Ok(rows);
                }
                Err(error) => return Err(self.lose_group(&error)),
            }
        }
    }

    /// Rows in the file.
    pub fn num_rows(&self) -> u64 {
        u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Rows of the file that were handed out or lost.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Passes by the first rows of the file.
    pub fn skip_to(&mut self, row: u64) -> Result<(), ParquetError> {
        while let Some(rows) = self.rows_of(self.next_group).filter(|rows| self.passed + rows <= row) {
            self.next_group += 1;
            self.passed += rows;
        }
        while self.passed < row {
            if self.next_rows((row - self.passed).min(10_000) as usize)?.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn rows_of(&self, group: usize) -> Option<u64> {
        let groups = self.reader.metadata().row_groups();
        groups.get(group).map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
    }

    /// False when there is none left.
    fn open_group(&mut self) -> Result<bool, ParquetError> {
        let Some(rows) = self.rows_of(self.next_group) else { return Ok(false) };
        self.group_end = self.passed + rows;
        self.next_group += 1;
        let (reader, schema, nanos, number) = (&self.reader, &self.schema, &self.nanos, self.next_group - 1);
        let opened = guarded(|| {
            let group = reader.get_row_group(number)?;
            Group::open(&*group, schema, nanos)
        });
        match opened {
            Ok(group) => {
                self.group = Some(group);
                Ok(true)
            }
            Err(error) => Err(self.lose_group(&error)),
        }
    }

    fn leave_group(&mut self) -> Result<(), ParquetError> {
        if self.passed < self.group_end {
            return Err(self.lose_group(&Error::EOF("its columns end early".to_owned())));
        }
        self.group = None;
        Ok(())
    }

    fn lose_group(&mut self, error: &Error) -> ParquetError {
        let (number, all) = (self.next_group, self.reader.num_row_groups());
        let byte = self.reader.metadata().row_group(number - 1).file_offset().unwrap_or_default();
        let (first, last) = (self.passed + 1, self.group_end);
        self.group = None;
        self.passed = self.group_end;
        ParquetError(format!(
            "rows {first} to {last} are lost (row group {number} of {all}, from byte {byte} on): {error}"
        ))
    }
}

impl Group {
    fn open(group: &dyn RowGroupReader, schema: &Type, nanos: &[String]) -> Result<Self, Error> {
        if schema.get_fields().iter().all(|column| flat::is_flat(column)) {
            return Ok(Self::Flat(FlatRows::open(group, schema, nanos)?));
        }
        let schema = SchemaDescriptor::new(std::sync::Arc::new(schema.clone()));
        TreeBuilder::new().as_iter(std::sync::Arc::new(schema), group).map(Self::Nested)
    }
}

fn nested_rows(rows: &mut ReaderIter, most: usize, nanos: &[String]) -> Result<Vec<Bytes>, Error> {
    let object = |row: Result<parquet::record::Row, Error>| {
        let mut text = Vec::new();
        values::write_object(&mut text, &row?, nanos);
        Ok(text.into())
    };
    rows.by_ref().take(most).map(object).collect()
}

/// The library panics over some kinds of damage.
fn guarded<T>(read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(Error::General("damaged pages".to_owned())))
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
        let outcome = ParquetRows::open(Bytes::from(bad), &[]).and_then(|mut rows| rows.next_rows(10));
        assert!(outcome.is_err(), "{outcome:?}");
    }
}
