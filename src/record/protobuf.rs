//! Protobuf records: reads the configured fields of one message.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FileDescriptor, MapKey, MessageDescriptor, ReflectMessage, Value,
};
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver},
};

use super::{
    Field,
    json::Node,
    schema::{SchemaError, SchemaText},
};

/// The name of a schema that has none.
const UNNAMED: &str = "schema.proto";

/// The messages of one file.
#[derive(Debug)]
pub(super) struct ProtobufSchema {
    file: FileDescriptor,
    /// All records are this message; if none is named here, each record names its own.
    message: Option<MessageDescriptor>,
}

/// The texts that a schema brings with it.
struct Texts(Vec<File>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let found = self.0.iter().find(|file| file.name() == name).cloned();
        found.ok_or_else(|| protox::Error::file_not_found(name))
    }
}

/// A schema as text, or, as a registry returns it when a serializer registered it, in base64.
fn file(name: &str, text: &str) -> Result<File, SchemaError> {
    let mut file = match BASE64_STANDARD.decode(text.trim()) {
        Ok(bytes) => File::decode_file_descriptor_proto(bytes.as_slice())
            .map_err(|error| SchemaError(format!("no Protobuf schema: {error}")))?,
        Err(_) => File::from_source(name, text)
            .map_err(|error| SchemaError(format!("no Protobuf schema: {error}")))?,
    };
    if file.name() != name {
        let mut descriptor = file.file_descriptor_proto().clone();
        descriptor.name = Some(name.to_owned());
        file = File::from_file_descriptor_proto(descriptor);
    }
    Ok(file)
}

impl ProtobufSchema {
    pub(super) fn parse(schema: SchemaText<'_>) -> Result<Self, SchemaError> {
        let mut files = vec![file(UNNAMED, schema.text)?];
        for (name, text) in schema.references {
            files.push(file(name, text)?);
        }
        let mut resolver = ChainFileResolver::new();
        resolver.add(Texts(files));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler
            .include_imports(true)
            .open_file(UNNAMED)
            .map_err(|error| SchemaError(format!("no Protobuf schema: {error}")))?;
        let pool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(UNNAMED);
        Ok(Self { file: file.expect("it was compiled just now"), message: None })
    }

    /// A `.proto` file, or the set of descriptors that `protoc --descriptor_set_out` writes.
    pub(super) fn of_file(bytes: &[u8], message: Option<&str>) -> Result<Self, SchemaError> {
        let compiled = DescriptorPool::decode(bytes).ok().and_then(|pool| pool.files().last());
        let mut schema = if let Some(file) = compiled {
            Self { file, message: None }
        } else {
            let text = std::str::from_utf8(bytes).map_err(|error| SchemaError(error.to_string()))?;
            Self::parse(SchemaText { text, references: &[] })?
        };
        let found = match message {
            Some(name) => schema.file.parent_pool().get_message_by_name(name),
            None => schema.file.messages().next(),
        };
        let missing = || SchemaError(format!("it has no message `{}`", message.unwrap_or("(any)")));
        schema.message = Some(found.ok_or_else(missing)?);
        Ok(schema)
    }

    /// Reads one record along the fields that somebody asked for.
    pub(super) fn read<'a>(
        &self,
        payload: &'a [u8],
        node: &Node,
        row: &mut Vec<Field<'a>>,
    ) -> Result<(), String> {
        let (descriptor, bytes) = match &self.message {
            Some(message) => (message.clone(), payload),
            None => self.named(payload)?,
        };
        let message = DynamicMessage::decode(descriptor, bytes).map_err(|error| error.to_string())?;
        fields(&message, node, row);
        Ok(())
    }

    /// The message that the numbers before a record lead to: how many there are, then each the place of a
    /// message in its file or in the message before. A zero alone stands for the first message.
    fn named<'a>(&self, payload: &'a [u8]) -> Result<(MessageDescriptor, &'a [u8]), String> {
        let mut rest = payload;
        let count = number(&mut rest)?;
        let mut next = || if count == 0 { Ok(0) } else { number(&mut rest) };
        let first = next()?;
        let missing = || "it names a message that the schema does not have".to_owned();
        let mut message = self.file.messages().nth(first).ok_or_else(missing)?;
        for _ in 1..count {
            let place = next()?;
            let inner = message.child_messages().nth(place);
            message = inner.ok_or_else(missing)?;
        }
        Ok((message, rest))
    }
}

/// A small number of one to five bytes, zigzag.
fn number(rest: &mut &[u8]) -> Result<usize, String> {
    let mut number = 0_u64;
    for shift in (0..35).step_by(7) {
        let Some((byte, behind)) = rest.split_first() else { return Err("it is cut short".into()) };
        *rest = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            let signed = (number >> 1) as i64 ^ -((number & 1) as i64);
            return usize::try_from(signed).map_err(|_| "a message has a negative place".to_owned());
        }
    }
    Err("the place of its message does not end".into())
}

fn fields(message: &DynamicMessage, node: &Node, row: &mut [Field<'_>]) {
    let descriptor = message.descriptor();
    for (name, child) in node.children() {
        let known = descriptor.get_field_by_name(name);
        let Some(field) = known.or_else(|| descriptor.get_field_by_json_name(name)) else { continue };
        // Without a presence of its own a field that is not there has its default: 0, "" or false.
        if field.supports_presence() && !message.has_field(&field) {
            continue;
        }
        let kind = field.kind();
        value(&message.get_field(&field), kind.as_enum(), child, row);
    }
}

fn value(found: &Value, names: Option<&prost_reflect::EnumDescriptor>, node: &Node, row: &mut [Field<'_>]) {
    match found {
        Value::Message(message) => fields(message, node, row),
        Value::Map(entries) => {
            for (name, child) in node.children() {
                let key = MapKey::String(name.to_owned());
                if let Some(entry) = entries.get(&key) {
                    value(entry, None, child, row);
                }
            }
        }
        _ => {}
    }
    if let Some(index) = node.field() {
        row[index] = scalar(found, names);
    }
}

fn scalar<'a>(value: &Value, names: Option<&prost_reflect::EnumDescriptor>) -> Field<'a> {
    let text = |text: String| Field::Text(Cow::Owned(text));
    match value {
        Value::Bool(value) => Field::Bool(*value),
        Value::I32(number) => Field::Int(i64::from(*number)),
        Value::I64(number) => Field::Int(*number),
        Value::U32(number) => Field::Int(i64::from(*number)),
        Value::U64(number) => i64::try_from(*number).map_or(Field::Float(*number as f64), Field::Int),
        Value::F32(number) => Field::Float(number.to_string().parse().unwrap_or(f64::from(*number))),
        Value::F64(number) => Field::Float(*number),
        Value::String(value) => text(value.clone()),
        Value::Bytes(bytes) => {
            std::str::from_utf8(bytes).map_or(Field::Composite, |value| text(value.to_owned()))
        }
        Value::EnumNumber(number) => {
            let name = names.and_then(|names| names.get_value(*number));
            text(name.map_or_else(|| number.to_string(), |value| value.name().to_owned()))
        }
        Value::Message(message) => well_known(message),
        Value::List(_) | Value::Map(_) => Field::Composite,
    }
}

/// A point in time as milliseconds, and the types that only wrap a value.
fn well_known<'a>(message: &DynamicMessage) -> Field<'a> {
    let descriptor = message.descriptor();
    let inside = |name: &str| message.get_field_by_name(name).map(Cow::into_owned);
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = inside("seconds").and_then(|seconds| seconds.as_i64()).unwrap_or(0);
            let nanos = inside("nanos").and_then(|nanos| nanos.as_i32()).unwrap_or(0);
            Field::Int(seconds.saturating_mul(1_000).saturating_add(i64::from(nanos / 1_000_000)))
        }
        name if name.starts_with("google.protobuf.") && name.ends_with("Value") => {
            inside("value").map_or(Field::Composite, |value| scalar(&value, None))
        }
        _ => Field::Composite,
    }
}

#[cfg(test)]
#[path = "protobuf_tests.rs"]
mod tests;
