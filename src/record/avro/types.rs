//! A schema as types to read by: references are followed once, and records are told apart by number, so that one
//! may hold itself.

use std::collections::BTreeMap;

use apache_avro::{
    Schema as Parsed,
    schema::{InnerDecimalSchema, Name, RecordSchema, UuidSchema},
};

use crate::record::schema::{SchemaError, SchemaText};

/// What a value looks like in bytes, and what it means.
#[derive(Clone, Debug)]
pub(super) enum Type {
    Null,
    Boolean,
    /// `int`, `long` and what is counted with them; divided by this.
    Whole(i64),
    Float,
    Double,
    Bytes(Option<usize>),
    Text,
    Enum(Vec<String>),
    Decimal {
        size: Option<usize>,
        scale: usize,
    },
    Uuid(Option<usize>),
    /// Days since the epoch.
    Date,
    /// A time without a zone, so many of which make a second.
    Local(i64),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    /// Index of a record.
    Record(usize),
}

/// The fields of each record, by its number.
pub(super) type Records = Vec<Vec<(String, Type)>>;

/// What a datum of this schema is.
pub(super) fn parse(schema: SchemaText<'_>) -> Result<(Type, Records), SchemaError> {
    let references = schema.references.iter().map(|(_, text)| text);
    let (parsed, others) = Parsed::parse_str_with_list(schema.text, references)
        .map_err(|error| SchemaError(format!("no Avro schema: {error}")))?;
    let mut plan = Plan::default();
    for other in &others {
        plan.name(other, None);
    }
    plan.name(&parsed, None);
    let root = plan.typed(&parsed, None)?;
    let mut records = Vec::new();
    for index in 0.. {
        let Some((record, namespace)) = plan.records.get(index).copied() else { break };
        let fields = record.fields.iter();
        let fields = fields.map(|field| Ok((field.name.clone(), plan.typed(&field.schema, namespace)?)));
        records.push(fields.collect::<Result<_, SchemaError>>()?);
    }
    Ok((root, records))
}

/// A schema on its way into types.
#[derive(Default)]
struct Plan<'s> {
    named: BTreeMap<String, (&'s Parsed, Option<&'s str>)>,
    records: Vec<(&'s RecordSchema, Option<&'s str>)>,
    numbers: BTreeMap<String, usize>,
}

fn full_name(name: &Name, namespace: Option<&str>) -> String {
    name.fully_qualified_name(namespace).fullname(None)
}

impl<'s> Plan<'s> {
    /// Notes every named type inside a schema.
    fn name(&mut self, schema: &'s Parsed, namespace: Option<&'s str>) {
        if let Some(name) = schema.name() {
            self.named.entry(full_name(name, namespace)).or_insert((schema, namespace));
        }
        match schema {
            Parsed::Record(record) => {
                let inside = record.name.namespace().or(namespace);
                record.fields.iter().for_each(|field| self.name(&field.schema, inside));
            }
            Parsed::Array(array) => self.name(&array.items, namespace),
            Parsed::Map(map) => self.name(&map.types, namespace),
            Parsed::Union(union) => {
                union.variants().iter().for_each(|variant| self.name(variant, namespace));
            }
            _ => {}
        }
    }

    fn typed(&mut self, schema: &'s Parsed, namespace: Option<&'s str>) -> Result<Type, SchemaError> {
        Ok(match schema {
            Parsed::Null => Type::Null,
            Parsed::Boolean => Type::Boolean,
            Parsed::Int
            | Parsed::Long
            | Parsed::TimeMillis
            | Parsed::TimeMicros
            | Parsed::TimestampMillis => Type::Whole(1),
            Parsed::TimestampMicros => Type::Whole(1_000),
            Parsed::TimestampNanos => Type::Whole(1_000_000),
            Parsed::LocalTimestampMillis => Type::Local(1_000),
            Parsed::LocalTimestampMicros => Type::Local(1_000_000),
            Parsed::LocalTimestampNanos => Type::Local(1_000_000_000),
            Parsed::Date => Type::Date,
            Parsed::Float => Type::Float,
            Parsed::Double => Type::Double,
            Parsed::Bytes | Parsed::BigDecimal => Type::Bytes(None),
            Parsed::Fixed(fixed) | Parsed::Duration(fixed) => Type::Bytes(Some(fixed.size)),
            Parsed::String | Parsed::Uuid(UuidSchema::String) => Type::Text,
            Parsed::Enum(symbols) => Type::Enum(symbols.symbols.clone()),
            Parsed::Decimal(decimal) => {
                let size = match &decimal.inner {
                    InnerDecimalSchema::Bytes => None,
                    InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
                };
                Type::Decimal { size, scale: decimal.scale }
            }
            Parsed::Uuid(UuidSchema::Bytes) => Type::Uuid(None),
            Parsed::Uuid(UuidSchema::Fixed(fixed)) => Type::Uuid(Some(fixed.size)),
            Parsed::Array(array) => Type::Array(Box::new(self.typed(&array.items, namespace)?)),
            Parsed::Map(map) => Type::Map(Box::new(self.typed(&map.types, namespace)?)),
            Parsed::Union(union) => {
                let variants = union.variants().iter().map(|variant| self.typed(variant, namespace));
                Type::Union(variants.collect::<Result<_, _>>()?)
            }
            Parsed::Record(record) => {
                let next = self.records.len();
                let number = *self.numbers.entry(full_name(&record.name, namespace)).or_insert(next);
                if number == next {
                    self.records.push((record, record.name.namespace().or(namespace)));
                }
                Type::Record(number)
            }
            Parsed::Ref { name } => {
                let wanted = full_name(name, namespace);
                let Some((schema, namespace)) = self.named.get(&wanted).copied() else {
                    return Err(SchemaError(format!("the Avro schema lacks the type `{wanted}`")));
                };
                return self.typed(schema, namespace);
            }
        })
    }
}
