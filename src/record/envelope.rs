//! What comes around a record's payload: key, headers, the time the broker keeps. Monitors reach it as the
//! fields `@key`, `@timestamp` (milliseconds) and `@header.NAME`.

use bytes::Bytes;

use super::{Decoder, Field, Record, decode::Visit};

/// Around a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The record's key.
    pub key: Option<Bytes>,
    /// The record's own time.
    pub timestamp_millis: Option<i64>,
    /// Headers in their order, also such without a value; the last of a name counts.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Where exactly it was in its partition, if it is to be passed on when it is refused.
    pub offset: Option<u64>,
}

impl Envelope {
    /// True for the name of a field that an envelope may hold.
    pub fn holds(path: &str) -> bool {
        path == "@key" || path == "@timestamp" || path.starts_with("@header.")
    }

    fn field(&self, path: &str) -> Field<'_> {
        match path {
            "@key" => text(self.key.as_ref()),
            "@timestamp" => self.timestamp_millis.map_or(Field::Missing, Field::Int),
            _ => {
                let name = path.trim_start_matches("@header.");
                let found = self.headers.iter().rev().find(|(known, _)| known == name);
                text(found.and_then(|(_, value)| value.as_ref()))
            }
        }
    }
}

fn text(bytes: Option<&Bytes>) -> Field<'_> {
    bytes.map_or(Field::Missing, |bytes| Field::Text(String::from_utf8_lossy(bytes)))
}

impl Decoder {
    /// Calls `visit` for each row of the record, with the fields of its envelope filled in.
    pub fn decode_record<'a>(&self, record: &'a Record, row: &mut Vec<Field<'a>>, visit: Visit<'_, 'a>) {
        let Some(envelope) = record.envelope.as_deref() else {
            return self.decode(&record.payload, row, visit);
        };
        let around: Vec<(usize, Field<'a>)> = self
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, name)| Envelope::holds(name))
            .map(|(index, name)| (index, envelope.field(name)))
            .collect();
        if around.is_empty() {
            return self.decode(&record.payload, row, visit);
        }
        self.decode(&record.payload, row, &mut |fields| match fields {
            Ok(fields) => {
                let mut fields = fields.to_vec();
                for (index, field) in &around {
                    fields[*index] = field.clone();
                }
                visit(Ok(&fields));
            }
            Err(reject) => visit(Err(reject)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FieldPaths, Format};

    #[test]
    fn an_envelope_fills_its_fields_and_no_others() {
        let mut paths = FieldPaths::default();
        for path in ["a", "@key", "@timestamp", "@header.tenant"] {
            paths.index(path);
        }
        let decoder = Decoder::new(Format::Json, paths, 1000);
        let envelope = Envelope {
            key: Some("k".into()),
            timestamp_millis: Some(7),
            headers: vec![("tenant".into(), Some("x".into())), ("tenant".into(), Some("y".into()))],
            offset: None,
        };
        let record = Record { envelope: Some(Box::new(envelope)), ..Record::new(r#"{"a":1}"#) };
        let mut rows = Vec::new();
        decoder.decode_record(&record, &mut Vec::new(), &mut |row| {
            rows.push(
                row.map(|row| row.iter().map(|field| format!("{field:?}")).collect::<Vec<_>>()).unwrap(),
            );
        });
        assert_eq!(rows, [["Int(1)", "Text(\"k\")", "Int(7)", "Text(\"y\")"]]);
    }
}
