//! What to read, and the client settings it takes. Names no client library, so that every build can check it.

use std::{fmt, time::Duration};

use crate::record::Encoding;

/// What to read and how to connect.
#[derive(Clone)]
pub struct KafkaSourceConfig {
    /// The source's name, for messages that name a setting.
    pub name: String,
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// Which topics.
    pub topics: KafkaTopics,
    /// The group that offsets are reported under.
    pub group: String,
    /// Where a topic that was never read begins.
    pub start: KafkaStart,
    /// Settings of the client beyond those above: security, and whatever was passed through. Never printed.
    pub properties: Vec<(String, String)>,
    /// Some monitor asks for a record's key, headers or timestamp.
    pub wants_envelope: bool,
    /// How far one partition may be read ahead of another in event time.
    pub max_skew: Duration,
    /// How often to look for new partitions and topics.
    pub refresh: Duration,
    /// Where the schemas of Avro and Protobuf records are.
    pub registry: Option<KafkaRegistry>,
    /// The topic that refused records are passed on to.
    pub letters: Option<String>,
    /// A login with tokens.
    pub login: Option<KafkaLogin>,
}

/// A login with tokens that are fetched or made, and renewed in time.
#[derive(Clone)]
pub enum KafkaLogin {
    /// Tokens of an OAuth 2 authorization server, by the client credentials grant.
    Credentials {
        /// Its token endpoint.
        url: String,
        /// The client.
        id: String,
        /// Its secret. Never printed.
        secret: String,
        /// What to ask for.
        scope: Option<String>,
        /// Certificates to trust besides the system's, in PEM.
        ca: Option<String>,
    },
    /// Signatures for Amazon MSK, with credentials as AWS tools find them.
    Msk {
        /// The cluster's region.
        region: String,
    },
}

/// A schema registry that answers as Confluent's does.
#[derive(Clone)]
pub struct KafkaRegistry {
    /// Where it is, such as `http://registry:8081`.
    pub url: String,
    /// What the records are encoded as.
    pub encoding: Encoding,
    /// User and password. Never printed.
    pub login: Option<(String, String)>,
    /// A bearer token. Never printed.
    pub token: Option<String>,
    /// Certificates to trust besides the system's, in PEM.
    pub ca: Option<String>,
}

/// Which topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaTopics {
    /// These.
    Named(Vec<String>),
    /// All that match, such as `orders-*`, also ones made later.
    Pattern(glob::Pattern),
}

/// Where a topic that was never read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaStart {
    /// At the oldest record.
    Earliest,
    /// With the first record after now.
    Latest,
    /// With the first record of this broker time, in milliseconds since the Unix epoch.
    At(i64),
    /// This long before now.
    Back(Duration),
}

impl fmt::Debug for KafkaSourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSourceConfig")
            .field("brokers", &self.brokers)
            .field("topics", &self.topics)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KafkaLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KafkaLogin")
    }
}

impl fmt::Debug for KafkaRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaRegistry").field("url", &self.url).finish_non_exhaustive()
    }
}

impl KafkaTopics {
    /// Whether this topic is to be read.
    pub fn contains(&self, topic: &str) -> bool {
        match self {
            Self::Named(names) => names.iter().any(|name| name == topic),
            Self::Pattern(pattern) => pattern.matches(topic) && !topic.starts_with("__"),
        }
    }
}

/// What correctness rests on; `properties` may not name these.
const OURS: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("enable.partition.eof", "true"),
    ("allow.auto.create.topics", "false"),
];

/// What works well; `properties` may say otherwise. The default queue backoff of a second costs a factor of
/// seven while catching up, and the default queue of 64 MiB holds for each partition.
const DEFAULTS: &[(&str, &str)] = &[
    ("fetch.queue.backoff.ms", "10"),
    ("queued.max.messages.kbytes", "8192"),
    ("fetch.wait.max.ms", "100"),
    ("statistics.interval.ms", "1000"),
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("reconnect.backoff.max.ms", "2000"),
    ("socket.connection.setup.timeout.ms", "10000"),
    ("client.id", "tidewatch"),
];

impl KafkaSourceConfig {
    /// True for a client setting that has a key of its own or that correctness rests on.
    pub fn is_reserved(property: &str) -> bool {
        matches!(property, "bootstrap.servers" | "metadata.broker.list" | "group.id" | "group.instance.id")
            || OURS.iter().any(|(ours, _)| *ours == property)
    }

    /// All settings of the client; a later one holds.
    pub fn client_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let given = self.properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let named = [("bootstrap.servers", self.brokers.as_str()), ("group.id", self.group.as_str())];
        DEFAULTS.iter().copied().chain(given).chain(named).chain(OURS.iter().copied())
    }

    /// The settings of the client that writes dead letters: no letter twice or out of order.
    pub fn producer_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let security = |key: &&str| {
            ["security.", "ssl.", "sasl.", "socket.", "client.", "broker.", "enable.ssl", "debug"]
                .iter()
                .any(|start| key.starts_with(start))
        };
        let named = [
            ("client.id", "tidewatch"),
            ("reconnect.backoff.max.ms", "2000"),
            ("topic.metadata.propagation.max.ms", "2000"),
            // The broker says what is too large.
            ("message.max.bytes", "1000000000"),
        ];
        let given = self.properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let ours = [("bootstrap.servers", self.brokers.as_str()), ("enable.idempotence", "true")];
        named.into_iter().chain(given.filter(move |(key, _)| security(key))).chain(ours)
    }

    /// The last value of a client setting that was given.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_correctness_rests_on_cannot_be_overruled_and_nothing_is_shown() {
        let config = KafkaSourceConfig {
            name: "clicks".into(),
            brokers: "b:9092".into(),
            topics: KafkaTopics::Pattern(glob::Pattern::new("or*").unwrap()),
            group: "g".into(),
            start: KafkaStart::Earliest,
            properties: vec![
                ("isolation.level".into(), "read_uncommitted".into()),
                ("client.id".into(), "me".into()),
                ("sasl.password".into(), "hidden".into()),
            ],
            wants_envelope: false,
            max_skew: Duration::from_hours(1),
            refresh: Duration::from_secs(10),
            registry: None,
            letters: None,
            login: None,
        };
        let last =
            |key: &str| config.client_properties().filter(|(known, _)| *known == key).last().unwrap().1;
        assert_eq!((last("isolation.level"), last("client.id")), ("read_committed", "me"));
        assert!(KafkaSourceConfig::is_reserved("group.id") && !KafkaSourceConfig::is_reserved("debug"));
        assert!(!format!("{config:?}").contains("hidden"));
        assert!(config.topics.contains("orders") && !config.topics.contains("clicks"));
    }
}
