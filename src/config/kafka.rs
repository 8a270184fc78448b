//! The section of a Kafka source: from keys that people know to the client's settings.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Environment, Problem,
    sasl::{self, CheckedSasl},
    schema::WrittenRegistry,
    units::duration_millis,
};
use crate::sources::{KafkaLogin, KafkaRegistry, KafkaSourceConfig, KafkaStart, KafkaTopics};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenKafka {
    brokers: String,
    topic: Option<String>,
    topics: Option<Vec<String>>,
    /// With `*` and `?`.
    pattern: Option<String>,
    group: Option<String>,
    /// `earliest`, `latest`, an RFC 3339 time, or a duration before now.
    start: Option<String>,
    pub(super) format: Option<String>,
    pub(super) columns: Option<Vec<String>>,
    pub(super) registry: Option<WrittenRegistry>,
    /// A file, for records that come without the number of a schema.
    pub(super) schema: Option<String>,
    /// The Protobuf message in that file.
    pub(super) message: Option<String>,
    tls: Option<WrittenTls>,
    sasl: Option<WrittenSasl>,
    #[serde(default)]
    properties: BTreeMap<String, toml::Value>,
    max_skew: Option<String>,
    refresh: Option<String>,
    pub(super) record_bytes_max: Option<String>,
    pub(super) dead_letter: Option<String>,
    dead_letters: Option<WrittenLetters>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLetters {
    topic: String,
}

/// An empty table asks for TLS with the system's authorities.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTls {
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    key_password: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSasl {
    pub(super) mechanism: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) token_url: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) scope: Option<String>,
    /// A file: whom to trust at the token URL.
    pub(super) token_ca: Option<String>,
    pub(super) region: Option<String>,
}

/// One section under check.
struct Section<'a> {
    name: &'a str,
    environment: &'a Environment,
    properties: Vec<(String, String)>,
    login: Option<KafkaLogin>,
}

pub(super) fn check(
    name: &str,
    written: &WrittenKafka,
    wants_envelope: bool,
    registry: Option<KafkaRegistry>,
    environment: &Environment,
) -> Result<KafkaSourceConfig, Problem> {
    let mut section = Section { name, environment, properties: Vec::new(), login: None };
    let topics = section.topics(written)?;
    let start = section.start(written.start.as_deref().unwrap_or("earliest"))?;
    section.security(written.tls.as_ref(), written.sasl.as_ref())?;
    section.pass_through(&written.properties)?;
    let duration = |key: &str, text: Option<&str>, default: &str| {
        let millis = duration_millis(&format!("sources.{name}.{key}"), text.unwrap_or(default))?;
        Ok(Duration::from_millis(millis as u64))
    };
    let brokers = environment.expand(&section.at("brokers"), &written.brokers)?;
    if brokers.trim().is_empty() {
        return Err(Problem::new(section.at("brokers"), "is empty; expected host:port, comma-separated"));
    }
    let letters = written.dead_letters.as_ref().map(|letters| letters.topic.clone());
    if let Some(topic) = letters.as_ref().filter(|topic| topics.contains(topic)) {
        let detail = format!("`{topic}` is read by this source, which would refuse the same records again");
        return Err(Problem::new(section.at("dead_letters.topic"), detail));
    }
    let group = written.group.clone().unwrap_or_else(|| format!("tidewatch-{name}"));
    Ok(KafkaSourceConfig {
        name: name.to_owned(),
        brokers,
        topics,
        group,
        start,
        properties: section.properties,
        wants_envelope,
        max_skew: duration("max_skew", written.max_skew.as_deref(), "1h")?,
        refresh: duration("refresh", written.refresh.as_deref(), "10s")?,
        registry,
        letters,
        login: section.login,
    })
}

impl Section<'_> {
    fn at(&self, key: &str) -> String {
        format!("sources.{}.{key}", self.name)
    }

    fn topics(&self, written: &WrittenKafka) -> Result<KafkaTopics, Problem> {
        match (&written.topic, &written.topics, &written.pattern) {
            (Some(topic), None, None) if !topic.is_empty() => Ok(KafkaTopics::Named(vec![topic.clone()])),
            (None, Some(topics), None) if !topics.is_empty() => Ok(KafkaTopics::Named(topics.clone())),
            (None, None, Some(pattern)) => glob::Pattern::new(pattern)
                .map(KafkaTopics::Pattern)
                .map_err(|error| Problem::new(self.at("pattern"), format!("`{pattern}`: {error}"))),
            _ => Err(Problem::new(self.at("topic"), "expected one of topic, topics, pattern")),
        }
    }

    fn start(&self, text: &str) -> Result<KafkaStart, Problem> {
        match text {
            "earliest" => return Ok(KafkaStart::Earliest),
            "latest" => return Ok(KafkaStart::Latest),
            _ => {}
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(KafkaStart::At(time.as_millisecond()));
        }
        let millis = duration_millis("", text).map_err(|_| {
            Problem::new(
                self.at("start"),
                format!("`{text}`; expected earliest, latest, a time like 2026-03-01T00:00:00Z, or a duration like 2h"),
            )
        })?;
        Ok(KafkaStart::Back(Duration::from_millis(millis as u64)))
    }

    fn set(&mut self, property: &str, value: impl Into<String>) {
        self.properties.push((property.to_owned(), value.into()));
    }

    fn security(&mut self, tls: Option<&WrittenTls>, sasl: Option<&WrittenSasl>) -> Result<(), Problem> {
        let protocol = match (tls, sasl) {
            (None, None) => return Ok(()),
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        self.set("security.protocol", protocol);
        if let Some(tls) = tls {
            if tls.certificate.is_some() != tls.key.is_some() {
                return Err(Problem::new(self.at("tls"), "certificate and key belong together"));
            }
            for (key, property, value) in [
                ("tls.ca", "ssl.ca.location", &tls.ca),
                ("tls.certificate", "ssl.certificate.location", &tls.certificate),
                ("tls.key", "ssl.key.location", &tls.key),
            ] {
                let Some(value) = value else { continue };
                let path = self.environment.expand(&self.at(key), value)?;
                self.set(property, path);
            }
            if let Some(password) = &tls.key_password {
                let password = self.environment.secret(&self.at("tls.key_password"), password)?;
                self.set("ssl.key.password", password.expose());
            }
        }
        if let Some(sasl) = sasl {
            match sasl::check(&self.at("sasl"), sasl, tls.is_some(), self.environment)? {
                CheckedSasl::Password { user, password } => {
                    self.set("sasl.mechanism", sasl.mechanism.as_str());
                    self.set("sasl.username", user);
                    self.set("sasl.password", password.expose());
                }
                CheckedSasl::Token(login) => {
                    self.set("sasl.mechanism", "OAUTHBEARER");
                    self.login = Some(login);
                }
            }
        }
        Ok(())
    }

    fn pass_through(&mut self, properties: &BTreeMap<String, toml::Value>) -> Result<(), Problem> {
        for (property, value) in properties {
            let path = self.at(&format!("properties.\"{property}\""));
            if KafkaSourceConfig::is_reserved(property) {
                return Err(Problem::new(path, "is set by Tidewatch and cannot be passed through"));
            }
            let text = match value {
                toml::Value::String(text) => self.environment.secret(&path, text)?.expose().to_owned(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                _ => return Err(Problem::new(path, "expected a string, a number, true or false")),
            };
            self.set(property, text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<KafkaSourceConfig, String> {
        let written: WrittenKafka = toml::from_str(text).unwrap();
        let environment = Environment::from_pairs([("PW", "hidden")]);
        check("clicks", &written, false, None, &environment)
            .map_err(|problem| format!("{}: {}", problem.path, problem.detail))
    }

    #[test]
    fn security_becomes_client_settings_and_stays_hidden() {
        let config = checked(
            "brokers = \"b:1\"\ntopic = \"t\"\nstart = \"2h\"\ntls = { ca = \"ca.pem\" }\n\
             sasl = { mechanism = \"SCRAM-SHA-512\", username = \"u\", password = \"${PW}\" }\n\
             properties = { \"fetch.min.bytes\" = 5 }",
        )
        .unwrap();
        assert_eq!(config.property("security.protocol"), Some("sasl_ssl"));
        assert_eq!(config.property("sasl.password"), Some("hidden"));
        assert_eq!(config.property("fetch.min.bytes"), Some("5"));
        assert_eq!(config.start, KafkaStart::Back(Duration::from_hours(2)));
        assert_eq!(config.group, "tidewatch-clicks");
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn problems_name_the_key_and_what_is_allowed() {
        for (text, expected) in [
            ("brokers = \"b:1\"", "sources.clicks.topic: expected one of topic, topics, pattern"),
            (
                "brokers = \"b:1\"\ntopic = \"t\"\nstart = \"soon\"",
                "sources.clicks.start: `soon`; expected earliest",
            ),
            (
                "brokers = \"b:1\"\ntopic = \"t\"\nproperties = { \"group.id\" = \"x\" }",
                "sources.clicks.properties.\"group.id\": is set by Tidewatch",
            ),
            (
                "brokers = \"b:1\"\ntopic = \"t\"\ndead_letters = { topic = \"t\" }",
                "sources.clicks.dead_letters.topic: `t` is read by this source",
            ),
            (
                "brokers = \"b:1\"\ntopic = \"t\"\ntls = { key = \"k\" }",
                "sources.clicks.tls: certificate and key",
            ),
        ] {
            let problem = checked(text).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
