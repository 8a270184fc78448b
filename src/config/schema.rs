//! The keys of a source whose records are Avro or Protobuf: a registry, or a schema file.

use std::sync::Arc;

use serde::Deserialize;

use super::{Environment, Problem, kafka::WrittenKafka};
use crate::{
    record::{Encoding, Format, Schema, SchemaOf},
    sources::KafkaRegistry,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRegistry {
    url: String,
    username: Option<String>,
    password: Option<String>,
    token: Option<String>,
    /// A file.
    ca: Option<String>,
}

/// The format, and the registry to ask, if it is one that needs a schema.
pub(super) fn format(
    name: &str,
    written: &WrittenKafka,
    environment: &Environment,
) -> Result<Option<(Format, Option<KafkaRegistry>)>, Problem> {
    let at = |key: &str| format!("sources.{name}.{key}");
    let encoding = match written.format.as_deref() {
        Some("avro") => Encoding::Avro,
        Some("protobuf") => Encoding::Protobuf,
        _ => {
            let keys = [
                ("registry", written.registry.is_some()),
                ("schema", written.schema.is_some()),
                ("message", written.message.is_some()),
            ];
            return match keys.into_iter().find(|(_, given)| *given) {
                Some((key, _)) => {
                    Err(Problem::new(at(key), "goes with `format = \"avro\"` or `\"protobuf\"` only"))
                }
                None => Ok(None),
            };
        }
    };
    if written.columns.is_some() {
        return Err(Problem::new(at("columns"), "a schema names its own fields"));
    }
    if written.message.is_some() && (encoding != Encoding::Protobuf || written.schema.is_none()) {
        return Err(Problem::new(at("message"), "goes with `format = \"protobuf\"` and `schema` only"));
    }
    match (&written.registry, &written.schema) {
        (Some(registry), None) => {
            let registry = self::registry(&at("registry"), registry, encoding, environment)?;
            Ok(Some((Format::Encoded(SchemaOf::Record(encoding)), Some(registry))))
        }
        (None, Some(file)) => {
            let path = environment.expand(&at("schema"), file)?;
            let bytes = read(&at("schema"), &path)?;
            let schema = Schema::of_file(encoding, &bytes, written.message.as_deref())
                .map_err(|error| Problem::new(at("schema"), format!("`{path}`: {error}")))?;
            Ok(Some((Format::Encoded(SchemaOf::All(Arc::new(schema))), None)))
        }
        _ => Err(Problem::new(
            at("registry"),
            "expected one of registry (a table with a url) and schema (a file)",
        )),
    }
}

fn registry(
    path: &str,
    written: &WrittenRegistry,
    encoding: Encoding,
    environment: &Environment,
) -> Result<KafkaRegistry, Problem> {
    let at = |key: &str| format!("{path}.{key}");
    let url = environment.expand(&at("url"), &written.url)?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Problem::new(at("url"), format!("`{url}`; expected http:// or https://")));
    }
    let secret = |key: &str, text: &Option<String>| {
        let secret = text.as_ref().map(|text| environment.secret(&at(key), text)).transpose()?;
        Ok::<_, Problem>(secret.map(|secret| secret.expose().to_owned()))
    };
    let (password, token) = (secret("password", &written.password)?, secret("token", &written.token)?);
    let login = match (&written.username, password) {
        (Some(user), Some(password)) => Some((environment.expand(&at("username"), user)?, password)),
        (None, None) => None,
        _ => return Err(Problem::new(at("username"), "username and password belong together")),
    };
    if login.is_some() && token.is_some() {
        return Err(Problem::new(at("token"), "expected username and password, or a token"));
    }
    let ca = match &written.ca {
        Some(file) => {
            let bytes = read(&at("ca"), &environment.expand(&at("ca"), file)?)?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        None => None,
    };
    Ok(KafkaRegistry { url, encoding, login, token, ca })
}

fn read(path: &str, file: &str) -> Result<Vec<u8>, Problem> {
    std::fs::read(file).map_err(|error| Problem::new(path, format!("could not read `{file}`: {error}")))
}

#[cfg(all(test, feature = "schemas"))]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Option<(Format, Option<KafkaRegistry>)>, String> {
        let written: WrittenKafka =
            toml::from_str(&format!("brokers = \"b:1\"\ntopic = \"t\"\n{text}")).expect("a section");
        let environment = Environment::from_pairs([("PW", "hidden")]);
        format("clicks", &written, &environment)
            .map_err(|problem| format!("{}: {}", problem.path, problem.detail))
    }

    #[test]
    fn a_registry_keeps_its_secrets_and_a_file_is_read_at_once() {
        let text =
            "format = \"avro\"\n[registry]\nurl = \"http://r\"\nusername = \"u\"\npassword = \"${PW}\"";
        let (format, registry) = checked(text).unwrap().unwrap();
        assert_eq!(format, Format::Encoded(SchemaOf::Record(Encoding::Avro)));
        assert!(!format!("{registry:?}").contains("hidden"));
        assert_eq!(registry.unwrap().login, Some(("u".into(), "hidden".into())));
        assert!(checked("format = \"json\"").unwrap().is_none());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "syntax = \"proto3\"; message Click { string c = 1; }").unwrap();
        let with = |message: &str| {
            let path = file.path().display();
            checked(&format!("format = \"protobuf\"\nschema = \"{path}\"\nmessage = \"{message}\""))
        };
        assert!(with("Click").unwrap().unwrap().1.is_none());
        assert!(with("Order").unwrap_err().contains("it has no message `Order`"));
    }

    #[test]
    fn problems_name_the_key() {
        for (text, expected) in [
            ("format = \"avro\"", "sources.clicks.registry: expected one of"),
            ("schema = \"a.avsc\"", "sources.clicks.schema: goes with"),
            ("format = \"avro\"\nschema = \"/nowhere\"", "sources.clicks.schema: could not read `/nowhere`"),
            (
                "format = \"avro\"\nregistry = { url = \"r:1\" }",
                "sources.clicks.registry.url: `r:1`; expected",
            ),
        ] {
            let problem = checked(text).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
