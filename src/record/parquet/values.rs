//! Values of Parquet as JSON text.

use std::io::Write;

use parquet::{
    basic::{LogicalType, TimeUnit},
    record::{Field, Row},
    schema::types::Type,
};

/// Whether a column holds times in nanoseconds.
pub(super) fn is_nanos(column: &Type) -> bool {
    matches!(
        column.get_basic_info().logical_type_ref(),
        Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS
    )
}

pub(super) fn write_object(text: &mut Vec<u8>, row: &Row, nanos: &[String]) {
    text.push(b'{');
    for (index, (name, field)) in row.get_column_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write_text(text, name);
        text.push(b':');
        match field {
            Field::Long(value) if nanos.contains(name) => write_display(text, &(value / 1_000)),
            field => write_field(text, field),
        }
    }
    text.push(b'}');
}

pub(super) fn write_field(text: &mut Vec<u8>, field: &Field) {
    match field {
        Field::Null => text.extend_from_slice(b"null"),
        Field::Float(value) if !value.is_finite() => text.extend_from_slice(b"null"),
        Field::Double(value) if !value.is_finite() => text.extend_from_slice(b"null"),
        Field::Float(value) => write_display(text, value),
        Field::Double(value) => write_display(text, value),
        Field::TimestampMillis(value) | Field::TimestampMicros(value) => write_display(text, value),
        Field::Str(value) => write_text(text, value),
        Field::Bytes(value) => write_text(text, &String::from_utf8_lossy(value.data())),
        Field::Date(_) | Field::TimeMillis(_) | Field::TimeMicros(_) => write_text(text, &field.to_string()),
        Field::Group(row) => write_object(text, row, &[]),
        Field::ListInternal(list) => {
            text.push(b'[');
            for (index, item) in list.elements().iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_field(text, item);
            }
            text.push(b']');
        }
        Field::MapInternal(map) => {
            text.push(b'{');
            for (index, (key, value)) in map.entries().iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                match key {
                    Field::Str(key) => write_text(text, key),
                    key => write_text(text, &key.to_string()),
                }
                text.push(b':');
                write_field(text, value);
            }
            text.push(b'}');
        }
        whole_or_decimal => write_display(text, whole_or_decimal),
    }
}

pub(super) fn write_display(text: &mut Vec<u8>, value: &impl std::fmt::Display) {
    write!(text, "{value}").expect("writing to memory cannot fail");
}

pub(super) fn write_text(text: &mut Vec<u8>, value: &str) {
    serde_json::to_writer(text, value).expect("text always serializes");
}
