use prost_reflect::prost::Message;

use super::*;
use crate::record::{Encoding, FieldPaths, Schema};

const SHOP: &str = r#"
    syntax = "proto3";
    package shop;
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
    import "geo.proto";
    message Other {}
    message Click {
        enum Kind { VIEW = 0; ORDER = 1; }
        message Deep { string note = 1; }
        google.protobuf.Timestamp at = 1;
        geo.Place place = 2;
        Kind kind = 3;
        double total = 4;
        optional int64 count = 5;
        repeated string tags = 6;
        map<string, int32> extra = 7;
        google.protobuf.DoubleValue tax = 8;
        string userName = 9;
    }"#;
const GEO: &str = r#"syntax = "proto3"; package geo; message Place { string country = 1; }"#;

fn references() -> Vec<(String, String)> {
    vec![("geo.proto".to_owned(), GEO.to_owned())]
}

fn schema(text: &str) -> Schema {
    Schema::parse(Encoding::Protobuf, SchemaText { text, references: &references() }).unwrap()
}

fn read(schema: &Schema, payload: &[u8], names: &[&str]) -> Result<Vec<String>, String> {
    let mut paths = FieldPaths::default();
    for name in names {
        paths.index(name);
    }
    let mut row = Vec::new();
    schema.read(payload, &paths, &mut row)?;
    Ok(row.iter().map(|field| format!("{field:?}")).collect())
}

/// A click from its text form, with the places 1 (in its file) before it.
fn click(json: &str) -> Vec<u8> {
    let parsed = ProtobufSchema::parse(SchemaText { text: SHOP, references: &references() }).unwrap();
    let descriptor = parsed.file.parent_pool().get_message_by_name("shop.Click").unwrap();
    let message = DynamicMessage::parse_text_format(descriptor, json).unwrap();
    [&[2, 2][..], &message.encode_to_vec()].concat()
}

const NAMES: [&str; 9] =
    ["at", "place.country", "kind", "total", "count", "tags", "extra.n", "tax", "user_name"];

#[test]
fn every_kind_of_value_is_read_by_its_path() {
    let payload = click(
        r#"at { seconds: 1772323200 nanos: 123456789 } place { country: "DE" } kind: ORDER total: 12.5 count: 3
           tags: "a" extra { key: "n" value: -4 } tax { value: 0.19 } userName: "x""#,
    );
    assert_eq!(
        read(&schema(SHOP), &payload, &NAMES).unwrap(),
        [
            "Int(1772323200123)",
            "Text(\"DE\")",
            "Text(\"ORDER\")",
            "Float(12.5)",
            "Int(3)",
            "Composite",
            "Int(-4)",
            "Float(0.19)",
            "Missing",
        ]
    );
    assert_eq!(read(&schema(SHOP), &payload, &["userName"]).unwrap(), ["Text(\"x\")"]);
}

#[test]
fn what_is_left_out_has_its_default_unless_it_can_be_absent() {
    assert_eq!(
        read(&schema(SHOP), &click(""), &["kind", "total", "count", "at", "place.country", "tax"]).unwrap(),
        ["Text(\"VIEW\")", "Float(0.0)", "Missing", "Missing", "Missing", "Missing"]
    );
}

#[test]
fn a_record_names_its_message_and_rubbish_is_refused() {
    let schema = schema(SHOP);
    // A zero alone is the first message; 2 places: Click, then Deep in it.
    assert_eq!(read(&schema, &[0], &["note"]).unwrap(), ["Missing"]);
    assert_eq!(read(&schema, &[4, 2, 0, 10, 2, b'h', b'i'], &["note"]).unwrap(), ["Text(\"hi\")"]);
    assert!(read(&schema, &[2, 40], &["note"]).unwrap_err().contains("does not have"));
    assert!(read(&schema, &[], &["note"]).unwrap_err().contains("cut short"));
    assert!(read(&schema, &[2, 2, 10], &["at"]).is_err());
}

#[test]
fn a_compiled_schema_reads_the_same() {
    let mut compiled = file(UNNAMED, SHOP).unwrap().file_descriptor_proto().clone();
    compiled.name = Some("some/other/name.proto".into());
    let compiled = BASE64_STANDARD.encode(compiled.encode_to_vec());
    let payload = click("total: 2");
    assert_eq!(read(&schema(&compiled), &payload, &["total"]).unwrap(), ["Float(2.0)"]);
    let set = schema_set();
    let schema = Schema::of_file(Encoding::Protobuf, &set, Some("shop.Click")).unwrap();
    assert_eq!(read(&schema, &payload[2..], &["total"]).unwrap(), ["Float(2.0)"]);
    assert!(Schema::parse(Encoding::Protobuf, SchemaText { text: "nonsense", references: &[] }).is_err());
}

/// What `protoc --descriptor_set_out --include_imports` writes.
fn schema_set() -> Vec<u8> {
    let parsed = ProtobufSchema::parse(SchemaText { text: SHOP, references: &references() }).unwrap();
    parsed.file.parent_pool().encode_to_vec()
}
