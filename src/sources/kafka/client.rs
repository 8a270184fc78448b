//! The client: what librdkafka tells us beside records, and its errors in words that name broker and setting.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rdkafka::{
    ClientConfig, ClientContext, Statistics, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::{
    KafkaLogin, KafkaSourceConfig,
    login::{Login, TokenError},
};
use crate::{
    pipeline::{Clock, SourceError},
    record::PartitionId,
};
use tokio::time::Instant;

pub(super) type Consumer = BaseConsumer<Context>;

/// Commit times remembered between two looks.
const COMMITS_KEPT: usize = 1_000;

/// What the callbacks note, and what the run loop's side asks to know.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The last trouble, until the broker is heard of again.
    pub(super) trouble: Option<(RDKafkaErrorCode, String)>,
    /// Why there is no token to log in with, while there is none; `Ok` once there was one.
    pub(super) token: Option<Result<(), TokenError>>,
    /// No broker can be reached.
    pub(super) all_down: bool,
    /// End of each partition, as last heard.
    pub(super) ends: BTreeMap<PartitionId, i64>,
    /// Connections lost, since the start.
    pub(super) disconnects: u64,
    /// When the commits under way were sent.
    pub(super) commits_sent: VecDeque<Instant>,
    /// How long those that were answered took.
    pub(super) commit_seconds: Vec<f64>,
    pub(super) commits_failed: u64,
    /// Records deleted before they could be read.
    pub(super) lost: u64,
    /// Records without a value.
    pub(super) tombstones: u64,
    /// Next offset to read and whether the end was reached, by partition.
    pub(super) reached: BTreeMap<PartitionId, (i64, bool)>,
    /// Newest event time by partition, told by the engine.
    pub(super) newest_millis: BTreeMap<PartitionId, i64>,
}

/// Shared by client, reader and source.
#[derive(Clone, Debug)]
pub(super) struct Context {
    notes: Arc<Mutex<Notes>>,
    login: Option<Arc<Login>>,
}

impl Context {
    /// For one client.
    pub(super) fn new(config: &KafkaSourceConfig, clock: Arc<dyn Clock>) -> Result<Self, SourceError> {
        let login = config.login.as_ref().map(|login| Login::new(login, clock)).transpose();
        let login = login
            .map_err(|error| SourceError::Unusable(format!("`sources.{}.sasl`: {error}", config.name)))?;
        Ok(Self { notes: Arc::default(), login: login.map(Arc::new) })
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while the first token is still to come.
    pub(super) fn lacks_token(&self) -> bool {
        self.login.is_some() && self.notes().token.is_none()
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// Called when there is no token yet and when the last one ends soon, on the thread that polls.
    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let login = self.login.as_ref().ok_or("no login with tokens is configured")?;
        let token = login.token();
        self.notes().token = Some(token.as_ref().map(|_| ()).map_err(Clone::clone));
        let token = token?;
        Ok(OAuthToken { token: token.text, principal_name: token.principal, lifetime_ms: token.ends_millis })
    }

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // Up to forty lines a second while a broker is away; the state is told once, elsewhere.
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let mut notes = self.notes();
        if code == RDKafkaErrorCode::AllBrokersDown {
            notes.all_down = true;
        } else {
            notes.trouble = Some((code, reason.to_owned()));
        }
    }

    #[expect(clippy::iter_over_hash_type, reason = "each entry has a place of its own")]
    fn stats(&self, statistics: Statistics) {
        let mut notes = self.notes();
        let lost = statistics.brokers.values().filter_map(|broker| broker.disconnects).sum::<i64>();
        notes.disconnects = u64::try_from(lost).unwrap_or(0);
        for (name, topic) in &statistics.topics {
            for (number, partition) in &topic.partitions {
                // The last stable offset: open transactions are not ours to read yet.
                if *number >= 0 && partition.ls_offset >= 0 {
                    notes.ends.insert(partition_id(name, *number), partition.ls_offset);
                }
            }
        }
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        let mut notes = self.notes();
        let sent = notes.commits_sent.pop_front();
        match (result, sent) {
            (Ok(()), Some(sent)) if notes.commit_seconds.len() < COMMITS_KEPT => {
                notes.commit_seconds.push(sent.elapsed().as_secs_f64());
            }
            (Ok(()), _) => {}
            (Err(error), _) => {
                notes.commits_failed += 1;
                tracing::debug!(%error, "the group's offsets were not written; the store's hold");
            }
        }
    }
}

/// The name of a partition; a topic's name never holds a `/`.
pub(super) fn partition_id(topic: &str, partition: i32) -> PartitionId {
    PartitionId::new(format!("{topic}/{partition}"))
}

/// Topic and number of a partition.
pub(super) fn topic_of(partition: &PartitionId) -> Option<(&str, i32)> {
    let (topic, number) = partition.as_str().rsplit_once('/')?;
    Some((topic, number.parse().ok()?))
}

/// A client that has not connected yet.
pub(super) fn consumer(config: &KafkaSourceConfig, context: &Context) -> Result<Arc<Consumer>, SourceError> {
    let mut client = ClientConfig::new();
    for (key, value) in config.client_properties() {
        client.set(key, value);
    }
    let consumer = client.create_with_context(context.clone()).map_err(|error| match error {
        KafkaError::ClientConfig(_, what, key, _) => SourceError::Unusable(format!(
            "`sources.{}.properties`: librdkafka does not take `{key}`: {what}",
            config.name
        )),
        other => SourceError::Unusable(format!(
            "the client for Kafka at {} could not be made from `sources.{}`: {other}",
            config.brokers, config.name
        )),
    })?;
    Ok(Arc::new(consumer))
}

/// What is wrong, in words that say which setting to look at; `true` when only a person can mend it.
pub(super) fn explain(
    config: &KafkaSourceConfig,
    context: &Context,
    code: RDKafkaErrorCode,
    reason: &str,
) -> (String, bool) {
    if let Some(Err(error)) = &context.notes().token {
        let settings = token_settings(config);
        let text = format!("Kafka at {}: no token to log in with: {error}; check {settings}", config.brokers);
        return (text, error.is_refusal());
    }
    let setting = |key: &str| format!("`sources.{}.{key}`", config.name);
    let wants_certificate = reason.contains("alert") && reason.contains("certificate");
    let (hint, final_) = match code {
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed
            if config.login.is_some() =>
        {
            (format!("the broker refused the token; check {}", token_settings(config)), true)
        }
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
            let user = config.property("sasl.username").unwrap_or("(none)");
            let (name, word) = (setting("sasl.username"), setting("sasl.password"));
            (format!("the login of user `{user}` was refused; check {name} and {word}"), true)
        }
        _ if wants_certificate => {
            let (certificate, key) = (setting("tls.certificate"), setting("tls.key"));
            (
                format!("the broker did not accept the client's certificate; check {certificate} and {key}"),
                true,
            )
        }
        RDKafkaErrorCode::SSL if reason.contains("certificate verify failed") => {
            (format!("the broker's certificate is not trusted; check {}", setting("tls.ca")), true)
        }
        RDKafkaErrorCode::SSL => (format!("TLS failed; check {}", setting("tls")), false),
        RDKafkaErrorCode::UnsupportedSASLMechanism => {
            (format!("the broker does not know the login method; check {}", setting("sasl.mechanism")), true)
        }
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed => {
            (format!("the user may not read it; ask for READ on {} and the group", setting("topic")), true)
        }
        _ => (format!("it cannot be reached; check {}", setting("brokers")), false),
    };
    (format!("Kafka at {}: {hint} ({reason})", config.brokers), final_)
}

/// The settings that tokens come from.
fn token_settings(config: &KafkaSourceConfig) -> String {
    let keys: &[&str] = match config.login {
        Some(KafkaLogin::Msk { .. }) => &["sasl.region"],
        _ => &["sasl.token_url", "sasl.client_id", "sasl.client_secret", "sasl.scope"],
    };
    let named: Vec<String> = keys.iter().map(|key| format!("`sources.{}.{key}`", config.name)).collect();
    let more = match config.login {
        Some(KafkaLogin::Msk { .. }) => " and that the AWS credentials may do `kafka-cluster:Connect`",
        _ => "",
    };
    named.join(", ") + more
}

/// The same for what a call returned.
pub(super) fn call_failed(
    config: &KafkaSourceConfig,
    context: &Context,
    error: &KafkaError,
) -> (String, bool) {
    let noted = context.notes().trouble.clone();
    let (code, reason) = noted.unwrap_or_else(|| {
        (error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown), error.to_string())
    });
    explain(config, context, code, &reason)
}
