use apache_avro::{
    Decimal, Schema as Parsed,
    types::{Record, Value},
    writer::datum::GenericDatumWriter,
};

use super::*;
use crate::record::{Encoding, FieldPaths, Schema};

const SHOP: &str = r#"{"type": "record", "name": "Click", "namespace": "shop", "fields": [
    {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "geo", "type": ["null", {"type": "record", "name": "Geo", "fields": [
        {"name": "country", "type": ["null", "string"]},
        {"name": "rate", "type": "float"}]}]},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["VIEW", "ORDER"]}},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "extra", "type": {"type": "map", "values": "long"}},
    {"name": "back", "type": ["null", "Geo"]},
    {"name": "paid", "type": "boolean"},
    {"name": "count", "type": "int"}]}"#;

fn paths(names: &[&str]) -> FieldPaths {
    let mut paths = FieldPaths::default();
    for name in names {
        paths.index(name);
    }
    paths
}

fn schema(text: &str) -> Schema {
    Schema::parse(Encoding::Avro, SchemaText { text, references: &[] }).unwrap()
}

fn read(schema: &Schema, payload: &[u8], names: &[&str]) -> Result<Vec<String>, String> {
    let mut row = Vec::new();
    schema.read(payload, &paths(names), &mut row)?;
    Ok(row.iter().map(|field| format!("{field:?}")).collect())
}

/// A click, written by the crate's own writer.
fn click() -> Vec<u8> {
    let parsed = Parsed::parse_str(SHOP).unwrap();
    let geo = |country: Value, rate: f32| {
        Value::Union(
            1,
            Box::new(Value::Record(vec![("country".into(), country), ("rate".into(), Value::Float(rate))])),
        )
    };
    let mut record = Record::new(&parsed).unwrap();
    record.put("time", Value::TimestampMicros(1_772_323_200_123_456));
    record.put("local", Value::LocalTimestampMillis(1_772_323_200_500));
    record.put("day", Value::Date(20_513));
    record.put("total", Value::Decimal(Decimal::from((-1_234_i32).to_be_bytes().to_vec())));
    record.put("geo", geo(Value::Union(1, Box::new(Value::String("DE".into()))), 0.1));
    record.put("kind", Value::Enum(1, "ORDER".into()));
    record.put("tags", Value::Array(vec![Value::String("a".into()), Value::String("b".into())]));
    record.put("extra", Value::Map([("n".to_owned(), Value::Long(-3))].into()));
    record.put("back", geo(Value::Union(0, Box::new(Value::Null)), 2.5));
    record.put("paid", Value::Boolean(true));
    record.put("count", Value::Int(7));
    GenericDatumWriter::builder(&parsed).build().unwrap().write_value_to_vec(record).unwrap()
}

#[test]
fn every_kind_of_value_is_read_by_its_path() {
    let names = [
        "time",
        "local",
        "day",
        "total",
        "geo.country",
        "geo.rate",
        "kind",
        "tags",
        "extra.n",
        "back.country",
        "geo",
        "count",
        "none",
    ];
    assert_eq!(
        read(&schema(SHOP), &click(), &names).unwrap(),
        [
            "Int(1772323200123)",
            "Text(\"2026-03-01T00:00:00.5\")",
            "Text(\"2026-03-01T00:00:00\")",
            "Text(\"-12.34\")",
            "Text(\"DE\")",
            "Float(0.1)",
            "Text(\"ORDER\")",
            "Composite",
            "Int(-3)",
            "Null",
            "Composite",
            "Int(7)",
            "Missing",
        ]
    );
}

#[test]
fn what_is_cut_short_or_too_long_is_refused_wherever_it_ends() {
    let (schema, whole) = (schema(SHOP), click());
    for end in 0..whole.len() {
        assert!(read(&schema, &whole[..end], &["count"]).is_err(), "cut after {end} bytes");
    }
    let longer = [whole.as_slice(), &[0]].concat();
    assert_eq!(read(&schema, &longer, &["count"]).unwrap_err(), "1 bytes are left over");
}

#[test]
fn hostile_bytes_end_in_an_error() {
    let list = schema(
        r#"{"type": "record", "name": "L", "fields": [{"name": "n", "type": ["null", "L"]},
            {"name": "e", "type": {"type": "array", "items": "null"}}]}"#,
    );
    assert!(read(&list, &vec![2; 100_000], &["n"]).unwrap_err().contains("nested deeper"));
    // A block of 2^62 nulls takes no bytes.
    let mut endless = vec![0];
    endless.extend([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert!(read(&list, &endless, &["n"]).unwrap_err().contains("items without a byte"));
    assert!(read(&list, &[4], &["n"]).unwrap_err().contains("no variant 2"));
    assert!(read(&schema("\"string\""), &[1], &["n"]).unwrap_err().contains("no length"));
    assert!(read(&schema("\"long\""), &[0xff; 20], &["n"]).unwrap_err().contains("does not end"));
}

#[test]
fn types_of_other_subjects_are_found() {
    let geo = r#"{"type": "record", "name": "shop.Geo", "fields": [{"name": "country", "type": "string"}]}"#;
    let text = r#"{"type": "record", "name": "shop.Click", "fields": [{"name": "geo", "type": "shop.Geo"}]}"#;
    let references = [("shop.Geo".to_owned(), geo.to_owned())];
    let schema = Schema::parse(Encoding::Avro, SchemaText { text, references: &references }).unwrap();
    assert_eq!(read(&schema, &[4, b'D', b'E'], &["geo.country"]).unwrap(), ["Text(\"DE\")"]);
    let alone = Schema::parse(Encoding::Avro, SchemaText { text, references: &[] });
    assert!(alone.unwrap_err().to_string().contains("Avro schema"));
}

#[test]
fn decimals_and_uuids_keep_every_digit() {
    let shown = |field: Field<'_>| field.text().unwrap().into_owned();
    assert_eq!(shown(decimal(&[0x01], 3)), "0.001");
    assert_eq!(shown(decimal(&[0xff], 2)), "-0.01");
    assert_eq!(shown(decimal(&[0x00, 0xff], 0)), "255");
    assert_eq!(decimal(&[1; 17], 2), Field::Composite);
    assert_eq!(shown(uuid(&[0xab; 16])), "abababab-abab-abab-abab-abababababab");
}
