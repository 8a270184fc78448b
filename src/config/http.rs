//! The sections of sources that others post to.

use serde::Deserialize;

use super::{Environment, Problem, units::size_bytes};
use crate::sources::{HttpSender, HttpSourceConfig};

const DEFAULT_BODY: &str = "16MiB";
const DEFAULT_FIREHOSE_BODY: &str = "64MiB";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenHttp {
    queue: Option<usize>,
    token: Option<String>,
    #[serde(default)]
    origins: Vec<String>,
    posts_per_second: Option<u32>,
    record_bytes_max: Option<String>,
    pub(super) dead_letter: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenFirehose {
    queue: Option<usize>,
    /// What Firehose calls the access key.
    token: Option<String>,
    posts_per_second: Option<u32>,
    pub(super) format: Option<String>,
    pub(super) columns: Option<Vec<String>>,
    record_bytes_max: Option<String>,
    pub(super) dead_letter: Option<String>,
}

pub(super) fn check_http(
    name: &str,
    written: &WrittenHttp,
    environment: &Environment,
) -> Result<HttpSourceConfig, Problem> {
    let section = Section { name, environment };
    Ok(HttpSourceConfig {
        sender: HttpSender::Any,
        queue: written.queue.unwrap_or(1_000).max(1),
        token: section.token(written.token.as_deref())?,
        origins: section.origins(&written.origins)?,
        posts_per_second: section.rate(written.posts_per_second)?,
        body_bytes_max: section.size(written.record_bytes_max.as_deref().unwrap_or(DEFAULT_BODY))?,
    })
}

pub(super) fn check_firehose(
    name: &str,
    written: &WrittenFirehose,
    environment: &Environment,
) -> Result<HttpSourceConfig, Problem> {
    let section = Section { name, environment };
    Ok(HttpSourceConfig {
        sender: HttpSender::Firehose,
        queue: written.queue.unwrap_or(1_000).max(1),
        token: section.token(written.token.as_deref())?,
        origins: Vec::new(),
        posts_per_second: section.rate(written.posts_per_second)?,
        body_bytes_max: section.size(written.record_bytes_max.as_deref().unwrap_or(DEFAULT_FIREHOSE_BODY))?,
    })
}

/// Firehose shows no other secret than the access key, so it is required wherever others can reach us.
pub(super) fn check_access(name: &str, config: &HttpSourceConfig, is_reachable: bool) -> Result<(), Problem> {
    if config.sender == HttpSender::Firehose && config.token.is_none() && is_reachable {
        let path = format!("sources.{name}.token");
        return Err(Problem::new(path, "required, since `server.listen` is reachable from outside"));
    }
    Ok(())
}

struct Section<'a> {
    name: &'a str,
    environment: &'a Environment,
}

impl Section<'_> {
    fn at(&self, key: &str) -> String {
        format!("sources.{}.{key}", self.name)
    }

    fn token(&self, written: Option<&str>) -> Result<Option<String>, Problem> {
        let Some(text) = written else { return Ok(None) };
        let token = self.environment.secret(&self.at("token"), text)?.expose().to_owned();
        if token.is_empty() { Err(Problem::new(self.at("token"), "is empty")) } else { Ok(Some(token)) }
    }

    fn origins(&self, written: &[String]) -> Result<Vec<String>, Problem> {
        let is_origin = |text: &str| {
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '?', ' ']))
        };
        match written.iter().find(|text| !is_origin(text)) {
            Some(text) => Err(Problem::new(
                self.at("origins"),
                format!("`{text}` is no origin; expected for example https://shop.example.com"),
            )),
            None => Ok(written.to_vec()),
        }
    }

    fn rate(&self, written: Option<u32>) -> Result<Option<u32>, Problem> {
        match written {
            Some(0) => Err(Problem::new(self.at("posts_per_second"), "expected a number from 1")),
            rate => Ok(rate),
        }
    }

    fn size(&self, text: &str) -> Result<usize, Problem> {
        size_bytes(&self.at("record_bytes_max"), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_hidden_and_problems_name_their_key() {
        let environment = Environment::from_pairs([("KEY", "hidden")]);
        let written: WrittenHttp = toml::from_str(
            "token = \"${KEY}\"\norigins = [\"https://shop.example.com\"]\nposts_per_second = 5",
        )
        .unwrap();
        let config = check_http("clicks", &written, &environment).unwrap();
        assert_eq!((config.token.as_deref(), config.posts_per_second), (Some("hidden"), Some(5)));
        assert!(!format!("{config:?}").contains("hidden"));
        for (text, expected) in [
            ("origins = [\"*\"]", "sources.clicks.origins: `*` is no origin"),
            (
                "origins = [\"https://a.example/\"]",
                "sources.clicks.origins: `https://a.example/` is no origin",
            ),
            ("posts_per_second = 0", "sources.clicks.posts_per_second: expected a number from 1"),
            ("token = \"\"", "sources.clicks.token: is empty"),
            ("record_bytes_max = \"1GB\"", "sources.clicks.record_bytes_max: `1GB` is no size"),
        ] {
            let written: WrittenHttp = toml::from_str(text).unwrap();
            let problem = check_http("clicks", &written, &environment).unwrap_err();
            let said = format!("{}: {}", problem.path, problem.detail);
            assert!(said.starts_with(expected), "{said}");
        }
        let written: WrittenFirehose = toml::from_str("").unwrap();
        let open = check_firehose("logs", &written, &environment).unwrap();
        assert!(check_access("logs", &open, false).is_ok());
        assert_eq!(check_access("logs", &open, true).unwrap_err().path, "sources.logs.token");
    }
}
