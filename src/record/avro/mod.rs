//! Avro records: reads just the configured fields of one datum, in one pass, borrowing its strings.
//!
//! The schema is parsed by the apache-avro crate. Its own reader of values is not used: it takes a record that
//! was cut short for one with nulls, and it follows nested records as deep as a sender likes.

mod types;

use std::borrow::Cow;

use jiff::{Timestamp, civil, tz::TimeZone};

use super::{
    Field,
    json::Node,
    schema::{SchemaError, SchemaText},
};
use types::{Records, Type};

/// Records inside records, and blocks of arrays and maps among them.
const DEPTH_MAX: usize = 64;
/// Digits of a decimal that is read: what fits into 16 bytes.
const DECIMAL_BYTES_MAX: usize = 16;

/// A schema whose records are told apart by number, so that one may hold itself.
#[derive(Debug)]
pub(super) struct AvroSchema {
    root: Type,
    records: Records,
}

impl AvroSchema {
    pub(super) fn parse(schema: SchemaText<'_>) -> Result<Self, SchemaError> {
        let (root, records) = types::parse(schema)?;
        Ok(Self { root, records })
    }

    /// Reads one datum along the fields that somebody asked for.
    pub(super) fn read<'a>(
        &self,
        payload: &'a [u8],
        node: &Node,
        row: &mut Vec<Field<'a>>,
    ) -> Result<(), String> {
        let mut datum = Datum { rest: payload, row, records: &self.records };
        datum.value(&self.root, Some(node), 0)?;
        match datum.rest.len() {
            0 => Ok(()),
            more => Err(format!("{more} bytes are left over")),
        }
    }
}

/// One datum, read so far.
struct Datum<'a, 'r, 's> {
    rest: &'a [u8],
    row: &'r mut Vec<Field<'a>>,
    records: &'s [Vec<(String, Type)>],
}

impl<'a> Datum<'a, '_, '_> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(format!("{count} bytes should follow, {} do", self.rest.len()));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N).map(|taken| taken.try_into().expect("so many were taken"))
    }

    /// A number of one to ten bytes, zigzag.
    fn long(&mut self) -> Result<i64, String> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err("a number does not end".into())
    }

    fn size(&mut self) -> Result<usize, String> {
        let size = self.long()?;
        usize::try_from(size).map_err(|_| format!("{size} is no length"))
    }

    fn bytes(&mut self, size: Option<usize>) -> Result<&'a [u8], String> {
        let size = size.map_or_else(|| self.size(), Ok)?;
        self.take(size)
    }

    fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes(None)?).map_err(|error| format!("a text is no UTF-8: {error}"))
    }

    /// Reads a value, keeping it when somebody asked for it.
    fn value(&mut self, kind: &Type, node: Option<&Node>, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX}"));
        }
        let field = match kind {
            Type::Union(variants) => {
                let index = self.size()?;
                let variant = variants.get(index).ok_or_else(|| format!("a union has no variant {index}"))?;
                return self.value(variant, node, depth + 1);
            }
            Type::Record(number) => {
                let records = self.records;
                for (name, kind) in &records[*number] {
                    self.value(kind, node.and_then(|node| node.child(name)), depth + 1)?;
                }
                Field::Composite
            }
            Type::Array(items) => {
                self.blocks(depth, |datum| datum.value(items, None, depth + 1))?;
                Field::Composite
            }
            Type::Map(values) => {
                self.blocks(depth, |datum| {
                    let key = datum.text()?;
                    datum.value(values, node.and_then(|node| node.child(key)), depth + 1)
                })?;
                Field::Composite
            }
            scalar => self.scalar(scalar)?,
        };
        if let Some(index) = node.and_then(Node::field) {
            self.row[index] = field;
        }
        Ok(())
    }

    /// The items of an array or a map, which come in blocks.
    fn blocks(
        &mut self,
        depth: usize,
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let count = match self.long()? {
                0 => return Ok(()),
                // A negative count is followed by the size of its block.
                negative if negative < 0 => {
                    self.size()?;
                    negative.unsigned_abs()
                }
                count => count as u64,
            };
            for _ in 0..count {
                let before = self.rest.len();
                item(self)?;
                if self.rest.len() == before && count > 1_000 {
                    return Err(format!("{count} items without a byte at depth {depth}"));
                }
            }
        }
    }

    fn scalar(&mut self, kind: &Type) -> Result<Field<'a>, String> {
        Ok(match kind {
            Type::Boolean => match self.array()? {
                [0] => Field::Bool(false),
                [1] => Field::Bool(true),
                [other] => return Err(format!("{other} is no boolean")),
            },
            Type::Whole(divisor) => Field::Int(self.long()?.div_euclid(*divisor)),
            // The shortest decimal of a float reads as the same number in every format.
            Type::Float => {
                let number = f32::from_le_bytes(self.array()?);
                Field::Float(number.to_string().parse().unwrap_or(f64::from(number)))
            }
            Type::Double => Field::Float(f64::from_le_bytes(self.array()?)),
            Type::Bytes(size) => std::str::from_utf8(self.bytes(*size)?)
                .map_or(Field::Composite, |text| Field::Text(Cow::Borrowed(text))),
            Type::Text => Field::Text(Cow::Borrowed(self.text()?)),
            Type::Enum(symbols) => {
                let index = self.size()?;
                let symbol = symbols.get(index).ok_or_else(|| format!("an enum has no symbol {index}"))?;
                Field::Text(Cow::Owned(symbol.clone()))
            }
            Type::Decimal { size, scale } => decimal(self.bytes(*size)?, *scale),
            Type::Uuid(size) => uuid(self.bytes(*size)?),
            Type::Date => {
                let days = self.long()?;
                local(days.checked_mul(86_400).ok_or("a date is out of range")?, 1)?
            }
            Type::Local(per_second) => local(self.long()?, *per_second)?,
            Type::Null | Type::Array(_) | Type::Map(_) | Type::Union(_) | Type::Record(_) => Field::Null,
        })
    }
}

/// The exact decimal as text, which reads as the nearest number.
fn decimal<'a>(bytes: &[u8], scale: usize) -> Field<'a> {
    if bytes.len() > DECIMAL_BYTES_MAX || scale > 38 {
        return Field::Composite;
    }
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { -1_i128 } else { 0 };
    let unscaled = bytes.iter().fold(sign, |number, byte| number << 8 | i128::from(*byte));
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    Field::Text(Cow::Owned(format!("{sign}{whole}{point}{part}")))
}

fn uuid<'a>(bytes: &[u8]) -> Field<'a> {
    let Ok(bytes) = <[u8; 16]>::try_from(bytes) else { return Field::Composite };
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let text = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    Field::Text(Cow::Owned(text))
}

/// A civil time, to be read in the monitor's zone.
fn local<'a>(count: i64, per_second: i64) -> Result<Field<'a>, String> {
    let nanos = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let instant = Timestamp::new(count.div_euclid(per_second), nanos as i32)
        .map_err(|error| format!("a local time is out of range: {error}"))?;
    let time: civil::DateTime = instant.to_zoned(TimeZone::UTC).datetime();
    Ok(Field::Text(Cow::Owned(time.to_string())))
}

#[cfg(test)]
mod tests;
