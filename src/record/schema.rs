//! Records that only a schema can read: Avro and Protobuf. Which schema a record was written with stands
//! before it, as the number that a registry gave it; the batch brings the schemas of its records along.

use std::{fmt, sync::Arc};

use super::{Field, FieldPaths};
#[cfg(feature = "schemas")]
use super::{avro::AvroSchema, protobuf::ProtobufSchema};

/// How such records are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Apache Avro, binary.
    Avro,
    /// Protocol Buffers.
    Protobuf,
}

impl Encoding {
    /// The word that registries use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Protobuf => "PROTOBUF",
        }
    }
}

/// Where the schema of a record is found.
#[derive(Clone, Debug)]
pub enum SchemaOf {
    /// Each record begins with a zero byte and the number of its schema, as Confluent's serializers write it.
    Record(Encoding),
    /// All records have this one, and nothing stands before them.
    All(Arc<Schema>),
}

impl PartialEq for SchemaOf {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Record(one), Self::Record(two)) => one == two,
            (Self::All(one), Self::All(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Eq for SchemaOf {}

/// A schema, ready to read records with.
pub struct Schema(Kind);

enum Kind {
    #[cfg(feature = "schemas")]
    Avro(AvroSchema),
    #[cfg(feature = "schemas")]
    Protobuf(ProtobufSchema),
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// A schema cannot be used; says why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(pub(super) String);

/// A schema as written, with those it refers to: names (for Protobuf, the names of imports) and texts.
#[derive(Clone, Copy, Debug)]
pub struct SchemaText<'a> {
    /// JSON for Avro, a `.proto` file or its compiled form in base64 for Protobuf.
    pub text: &'a str,
    /// What it refers to.
    pub references: &'a [(String, String)],
}

impl Schema {
    /// Reads a schema of a registry. The message of a Protobuf record is named by the record.
    pub fn parse(encoding: Encoding, schema: SchemaText<'_>) -> Result<Self, SchemaError> {
        #[cfg(not(feature = "schemas"))]
        {
            let _ = schema;
            Err(SchemaError(format!("this build reads no {}", encoding.as_str())))
        }
        #[cfg(feature = "schemas")]
        Ok(Self(match encoding {
            Encoding::Avro => Kind::Avro(AvroSchema::parse(schema)?),
            Encoding::Protobuf => Kind::Protobuf(ProtobufSchema::parse(schema)?),
        }))
    }

    /// Reads a schema file for records with nothing before them. `message` names the Protobuf message: the
    /// first of the file if it is left out.
    pub fn of_file(encoding: Encoding, bytes: &[u8], message: Option<&str>) -> Result<Self, SchemaError> {
        #[cfg(not(feature = "schemas"))]
        {
            let _ = (bytes, message);
            Err(SchemaError(format!("this build reads no {}", encoding.as_str())))
        }
        #[cfg(feature = "schemas")]
        match encoding {
            Encoding::Avro => {
                let text = std::str::from_utf8(bytes).map_err(|error| SchemaError(error.to_string()))?;
                Self::parse(encoding, SchemaText { text, references: &[] })
            }
            Encoding::Protobuf => Ok(Self(Kind::Protobuf(ProtobufSchema::of_file(bytes, message)?))),
        }
    }

    /// Reads one record into `row`, which is cleared first. The error says what is wrong with the record.
    pub(super) fn read<'a>(
        &self,
        payload: &'a [u8],
        paths: &FieldPaths,
        row: &mut Vec<Field<'a>>,
    ) -> Result<(), String> {
        paths.clear(row);
        #[cfg(not(feature = "schemas"))]
        let _ = payload;
        match self.0 {
            #[cfg(feature = "schemas")]
            Kind::Avro(ref schema) => schema.read(payload, paths.root(), row),
            #[cfg(feature = "schemas")]
            Kind::Protobuf(ref schema) => schema.read(payload, paths.root(), row),
        }
    }
}

/// The schemas that the records of a batch were written with, by their numbers in the registry.
#[derive(Clone, Debug, Default)]
pub struct Schemas(Vec<(u32, Result<Arc<Schema>, String>)>);

impl Schemas {
    /// The number that stands before a record's own bytes, if it begins as a record with a number does.
    pub fn number(payload: &[u8]) -> Option<u32> {
        match payload {
            [0, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => None,
        }
    }

    /// Adds a schema, or why there is none.
    pub fn insert(&mut self, number: u32, schema: Result<Arc<Schema>, String>) {
        self.0.push((number, schema));
    }

    /// Reads one record by the schema it names.
    pub(super) fn read<'a>(
        &self,
        payload: &'a [u8],
        paths: &FieldPaths,
        row: &mut Vec<Field<'a>>,
    ) -> Result<(), String> {
        let Some(number) = Self::number(payload) else {
            return Err("the record does not begin with a zero byte and the number of its schema".into());
        };
        match self.0.iter().find(|(known, _)| *known == number) {
            Some((_, Ok(schema))) => schema
                .read(&payload[5..], paths, row)
                .map_err(|error| format!("not written with schema {number}: {error}")),
            Some((_, Err(why))) => Err(format!("schema {number}: {why}")),
            None => Err(format!("schema {number} is not known")),
        }
    }
}
