//! Row groups whose columns are single values: each column is read for itself, some thousand values at a time.

use bytes::Bytes;
use parquet::{
    basic::{LogicalType, Repetition},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType,
        Int32Type, Int64Type, Int96Type,
    },
    errors::ParquetError as Error,
    file::reader::RowGroupReader,
    record::Field,
    schema::types::{ColumnDescPtr, Type},
};

use super::values::{is_nanos, write_display, write_field, write_text};

/// Values of a column held at a time.
const VALUES: usize = 8_192;

/// Whether a column is a single value.
pub(super) fn is_flat(column: &Type) -> bool {
    column.is_primitive() && column.get_basic_info().repetition() != Repetition::REPEATED
}

/// The columns of one row group, read side by side.
pub(super) struct FlatRows {
    columns: Vec<FlatColumn>,
    left: usize,
}

struct FlatColumn {
    /// `"name":`
    key: Vec<u8>,
    descr: ColumnDescPtr,
    is_nanos: bool,
    is_text: bool,
    values: Values,
}

/// The values of one type that were read and not yet handed out.
struct Typed<T: DataType> {
    reader: ColumnReaderImpl<T>,
    /// 1 where there is a value; empty for columns that always have one.
    levels: Vec<i16>,
    values: Vec<T::T>,
    next_row: usize,
    next_value: usize,
    rows: usize,
}

enum Values {
    Bool(Typed<BoolType>),
    Int(Typed<Int32Type>),
    Long(Typed<Int64Type>),
    Int96(Typed<Int96Type>),
    Float(Typed<FloatType>),
    Double(Typed<DoubleType>),
    Bytes(Typed<ByteArrayType>),
    Fixed(Typed<FixedLenByteArrayType>),
}

impl FlatRows {
    pub(super) fn open(group: &dyn RowGroupReader, schema: &Type, nanos: &[String]) -> Result<Self, Error> {
        let mut columns = Vec::new();
        for column in schema.get_fields() {
            let all = group.metadata().columns();
            let index =
                all.iter().position(|known| known.column_path().parts() == [column.name().to_owned()]);
            let index = index.ok_or_else(|| Error::General(format!("no column `{}`", column.name())))?;
            let mut key = Vec::new();
            write_text(&mut key, column.name());
            key.push(b':');
            columns.push(FlatColumn {
                key,
                descr: all[index].column_descr_ptr(),
                is_nanos: is_nanos(column) || nanos.iter().any(|name| name == column.name()),
                is_text: matches!(column.get_basic_info().logical_type_ref(), Some(LogicalType::String)),
                values: group.get_column_reader(index)?.into(),
            });
        }
        Ok(Self { columns, left: usize::try_from(group.metadata().num_rows()).unwrap_or(0) })
    }

    /// At most so many rows as JSON objects; none at the end.
    pub(super) fn next(&mut self, most: usize) -> Result<Vec<Bytes>, Error> {
        let count = most.min(self.left);
        let mut text = Vec::with_capacity(count * 32 * self.columns.len());
        let mut ends = Vec::with_capacity(count);
        for _ in 0..count {
            text.push(b'{');
            for (index, column) in self.columns.iter_mut().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                text.extend_from_slice(&column.key);
                column.write(&mut text)?;
            }
            text.push(b'}');
            ends.push(text.len());
        }
        self.left -= count;
        let text = Bytes::from(text);
        let mut start = 0;
        Ok(ends.into_iter().map(|end| text.slice(std::mem::replace(&mut start, end)..end)).collect())
    }
}

impl FlatColumn {
    /// Writes the next value.
    fn write(&mut self, text: &mut Vec<u8>) -> Result<(), Error> {
        let descr = &self.descr;
        let field = match &mut self.values {
            Values::Bool(values) => values.next()?.map(|value| Field::convert_bool(descr, *value)),
            Values::Int(values) => values.next()?.map(|value| Field::convert_int32(descr, *value)),
            Values::Long(values) if self.is_nanos => values.next()?.map(|value| Field::Long(*value / 1_000)),
            Values::Long(values) => values.next()?.map(|value| Field::convert_int64(descr, *value)),
            Values::Int96(values) => values.next()?.map(|value| Field::convert_int96(descr, *value)),
            Values::Float(values) => values.next()?.map(|value| Field::convert_float(descr, *value)),
            Values::Double(values) => match values.next()? {
                // The most usual column of all.
                Some(value) if value.is_finite() => {
                    write_display(text, value);
                    return Ok(());
                }
                _ => None,
            },
            Values::Bytes(values) => match values.next()? {
                Some(value) if self.is_text => {
                    write_text(text, &String::from_utf8_lossy(value.data()));
                    return Ok(());
                }
                value => value.cloned().map(|value| Field::convert_byte_array(descr, value)).transpose()?,
            },
            Values::Fixed(values) => {
                let value = values.next()?.cloned();
                value.map(|value| Field::convert_byte_array(descr, ByteArray::from(value))).transpose()?
            }
        };
        write_field(text, &field.unwrap_or(Field::Null));
        Ok(())
    }
}

impl<T: DataType> Typed<T> {
    fn new(reader: ColumnReaderImpl<T>) -> Self {
        Self { reader, levels: Vec::new(), values: Vec::new(), next_row: 0, next_value: 0, rows: 0 }
    }

    /// The value of the next row; `None` for a null.
    fn next(&mut self) -> Result<Option<&T::T>, Error> {
        if self.next_row == self.rows {
            self.levels.clear();
            self.values.clear();
            let (rows, _, _) =
                self.reader.read_records(VALUES, Some(&mut self.levels), None, &mut self.values)?;
            if rows == 0 {
                return Err(Error::EOF("a column has fewer values than its row group rows".to_owned()));
            }
            (self.rows, self.next_row, self.next_value) = (rows, 0, 0);
        }
        let is_null = self.levels.get(self.next_row) == Some(&0);
        self.next_row += 1;
        if is_null {
            return Ok(None);
        }
        self.next_value += 1;
        Ok(self.values.get(self.next_value - 1))
    }
}

impl From<ColumnReader> for Values {
    fn from(reader: ColumnReader) -> Self {
        match reader {
            ColumnReader::BoolColumnReader(reader) => Self::Bool(Typed::new(reader)),
            ColumnReader::Int32ColumnReader(reader) => Self::Int(Typed::new(reader)),
            ColumnReader::Int64ColumnReader(reader) => Self::Long(Typed::new(reader)),
            ColumnReader::Int96ColumnReader(reader) => Self::Int96(Typed::new(reader)),
            ColumnReader::FloatColumnReader(reader) => Self::Float(Typed::new(reader)),
            ColumnReader::DoubleColumnReader(reader) => Self::Double(Typed::new(reader)),
            ColumnReader::ByteArrayColumnReader(reader) => Self::Bytes(Typed::new(reader)),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => Self::Fixed(Typed::new(reader)),
        }
    }
}
