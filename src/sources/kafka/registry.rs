//! The schema registry: asks for the schemas that records name, and remembers them. A number's schema never
//! changes, so one that was found is not asked for again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::{runtime::Runtime, time::Instant};

use super::KafkaRegistry;
use crate::{
    pipeline::SourceError,
    record::{Header, RecordBatch, Schema, SchemaText, Schemas},
};

/// Schemas remembered; the one not used for longest makes room.
const KNOWN_MAX: usize = 1_000;
/// Schemas that one schema may refer to, directly and through others.
const REFERENCES_MAX: usize = 100;
/// How long a number that the registry does not know is not asked for again.
const UNKNOWN_FOR: Duration = Duration::from_secs(30);
/// For one question.
const PATIENCE: Duration = Duration::from_secs(5);
/// What Confluent's registry says when it knows no such subject, version or schema.
const NOT_THERE: std::ops::RangeInclusive<u32> = 40_401..=40_403;

/// A client with what it has found so far.
pub(super) struct Registry {
    config: KafkaRegistry,
    /// The source's name, for messages.
    source: String,
    client: reqwest::Client,
    /// Its own, since its owner is a thread outside of any.
    runtime: Runtime,
    known: BTreeMap<u32, Known>,
    uses: u64,
}

struct Known {
    schema: Result<Arc<Schema>, String>,
    /// Ask again then.
    until: Option<Instant>,
    used: u64,
}

/// What the registry answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    schema: String,
    /// Avro's is left out.
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Clone, Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: u32,
}

#[derive(Deserialize)]
struct Refusal {
    error_code: u32,
}

/// Why there is no schema.
enum Missing {
    /// The registry says so, or what it has cannot be used.
    Refused(String),
    /// It did not answer, or not as a registry does: ask again.
    Away(String),
}

impl Registry {
    pub(super) fn new(source: &str, config: &KafkaRegistry) -> Result<Self, SourceError> {
        let failed = |error: &dyn std::fmt::Display| {
            SourceError::Unusable(format!("`sources.{source}.registry`: {error}"))
        };
        let mut client = reqwest::Client::builder().timeout(PATIENCE).pool_max_idle_per_host(0);
        if let Some(ca) = &config.ca {
            let roots =
                reqwest::Certificate::from_pem_bundle(ca.as_bytes()).map_err(|error| failed(&error))?;
            client = client.tls_certs_merge(roots);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            config: config.clone(),
            source: source.to_owned(),
            client: client.build().map_err(|error| failed(&error))?,
            runtime: runtime.map_err(|error| failed(&error))?,
            known: BTreeMap::new(),
            uses: 0,
        })
    }

    /// Puts the schemas of its records into a batch. The error says why the registry cannot be asked now.
    pub(super) fn furnish(&mut self, batch: &mut RecordBatch) -> Result<(), String> {
        let mut schemas = Schemas::default();
        let mut numbers: Vec<u32> = Vec::new();
        for number in batch.records.iter().filter_map(|record| Schemas::number(&record.payload)) {
            if !numbers.contains(&number) {
                numbers.push(number);
                schemas.insert(number, self.schema(number)?);
            }
        }
        batch.header = Some(Header::Schemas(Arc::new(schemas)));
        Ok(())
    }

    fn schema(&mut self, number: u32) -> Result<Result<Arc<Schema>, String>, String> {
        self.uses += 1;
        if let Some(known) = self.known.get_mut(&number)
            && known.until.is_none_or(|until| until > Instant::now())
        {
            known.used = self.uses;
            return Ok(known.schema.clone());
        }
        let (schema, until) = match self.runtime.block_on(self.fetch(number)) {
            Ok(schema) => (Ok(Arc::new(schema)), None),
            Err(Missing::Refused(why)) => (Err(why), Some(Instant::now() + UNKNOWN_FOR)),
            Err(Missing::Away(why)) => return Err(why),
        };
        if self.known.len() >= KNOWN_MAX {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(number, _)| *number);
            self.known.retain(|number, _| Some(*number) != oldest);
        }
        self.known.insert(number, Known { schema: schema.clone(), until, used: self.uses });
        Ok(schema)
    }

    async fn fetch(&self, number: u32) -> Result<Schema, Missing> {
        let number = number.to_string();
        let answer = self.ask(&["schemas", "ids", &number]).await?;
        let kind = answer.schema_type.as_deref().unwrap_or("AVRO");
        let wanted = self.config.encoding.as_str();
        if kind != wanted {
            return Err(Missing::Refused(format!("it is {kind} and not {wanted}")));
        }
        let mut references: Vec<(String, String)> = Vec::new();
        let mut waiting = answer.references;
        while let Some(reference) = waiting.pop() {
            if references.iter().any(|(name, _)| *name == reference.name) {
                continue;
            }
            if references.len() >= REFERENCES_MAX {
                return Err(Missing::Refused(format!("it refers to over {REFERENCES_MAX} others")));
            }
            let version = reference.version.to_string();
            let found = self.ask(&["subjects", &reference.subject, "versions", &version]).await?;
            references.push((reference.name, found.schema));
            waiting.extend(found.references);
        }
        let text = SchemaText { text: &answer.schema, references: &references };
        Schema::parse(self.config.encoding, text).map_err(|error| Missing::Refused(error.to_string()))
    }

    async fn ask(&self, path: &[&str]) -> Result<Answer, Missing> {
        let away = |why: String| {
            let setting = format!("`sources.{}.registry`", self.source);
            Missing::Away(format!("the schema registry at {}: {why}; check {setting}", self.config.url))
        };
        let mut url = reqwest::Url::parse(&self.config.url).map_err(|error| away(error.to_string()))?;
        url.path_segments_mut().map_err(|()| away("it is no URL".into()))?.pop_if_empty().extend(path);
        let mut request =
            self.client.get(url).header("accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some((user, password)) = &self.config.login {
            request = request.basic_auth(user, Some(password));
        }
        if let Some(token) = &self.config.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| away(plain(&error)))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| away(plain(&error)))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| away(format!("no schema came: {error}")));
        }
        let code = serde_json::from_slice(&body).ok().map(|refusal: Refusal| refusal.error_code);
        // Any other "not found" speaks of the address and not of the schema.
        if status == reqwest::StatusCode::NOT_FOUND && code.is_some_and(|code| NOT_THERE.contains(&code)) {
            return Err(Missing::Refused("the registry does not have it".into()));
        }
        Err(away(format!("it answered {status}")))
    }
}

/// An error with what caused it, without the address, which is said already.
fn plain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    if text.is_empty() { "no answer".to_owned() } else { text }
}
