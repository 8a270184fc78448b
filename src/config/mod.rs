//! Floor 7: the configuration, from text to checked parts.
//!
//! Three steps: as written ([`written`], unknown keys refused), checked (this room's output: no invalid
//! value can be represented), parts (`assemble`). Checking does no I/O. Every problem names the key, the
//! value and what is allowed, and all sections are checked before the first problem is reported.

mod calendar;
mod change;
mod check;
mod detector;
mod edit;
mod files;
mod http;
mod kafka;
mod kinesis;
mod measure;
mod merge;
mod monitor;
mod notifier;
mod propose;
mod rules;
mod s3;
mod sasl;
mod schema;
mod secrets;
mod units;
mod written;

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tidewatch_datasets::shop::ShopConfig;

use crate::{
    anomaly::Threshold,
    pipeline::MonitorSpec,
    record::{Decoder, Format, SourceId},
    sources::{
        FileSourceConfig, HttpSender, HttpSourceConfig, KafkaSourceConfig, KinesisSourceConfig,
        S3SourceConfig,
    },
    store::Durability,
};

pub use change::{Change, MonitorText, TextProblem, Tried, line_of};
pub use files::{ConfigFile, ConfigFiles};
pub use merge::Place;
pub use notifier::{
    EmailConfig, EmailTls, NotifierConfig, SNS_FORMATS, SnsConfig, WEBHOOK_FORMATS, WebhookConfig,
};
pub use propose::{Proposal, instant_millis, propose};
pub use secrets::{Environment, Secret};

/// The example that `tidewatch config example` prints; a test keeps it valid.
pub const EXAMPLE: &str = include_str!("example.toml");

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The web server.
    pub server: ServerConfig,
    /// Where results live.
    pub store: StoreConfig,
    /// Sources with the monitors that read them.
    pub sources: Vec<SourceConfig>,
    /// Notifiers by name.
    pub notifiers: BTreeMap<String, NotifierConfig>,
    /// The default page threshold of each monitor, which its rules may override.
    pub thresholds: BTreeMap<String, Threshold>,
}

/// The web server.
#[derive(Debug)]
pub struct ServerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What callers must present; always set beyond loopback.
    pub token: Option<Secret>,
}

/// The store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The file.
    pub path: PathBuf,
    /// What a commit survives.
    pub durability: Durability,
}

/// One source.
#[derive(Debug)]
pub struct SourceConfig {
    /// Its name.
    pub id: SourceId,
    /// Where it reads.
    pub kind: SourceKind,
    /// How its records are written.
    pub format: Format,
    /// Longest record.
    pub record_bytes_max: usize,
    /// Reads its records for all its monitors.
    pub decoder: Decoder,
    /// The monitors that read it.
    pub monitors: Vec<Arc<MonitorSpec>>,
    /// Where refused events go.
    pub dead_letter: Option<PathBuf>,
}

/// The kinds of sources.
#[derive(Debug)]
pub enum SourceKind {
    /// Files or standard input.
    File(FileSourceConfig),
    /// Events posted to us, by programs, pages or Firehose.
    Http(HttpSourceConfig),
    /// Kafka topics.
    Kafka(Box<KafkaSourceConfig>),
    /// A Kinesis stream.
    Kinesis(Box<KinesisSourceConfig>),
    /// Objects of a bucket.
    S3(Box<S3SourceConfig>),
    /// The seeded shop.
    Simulated(ShopConfig),
}

impl SourceKind {
    /// The word in configuration and API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Http(config) => match config.sender {
                HttpSender::Any => "http",
                HttpSender::Firehose => "firehose",
            },
            Self::Kafka(_) => "kafka",
            Self::Kinesis(_) => "kinesis",
            Self::S3(_) => "s3",
            Self::Simulated(_) => "simulated",
        }
    }
}

/// Something wrong in a configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, e.g. `monitors.shop.interval`.
    pub path: String,
    /// The value and what is allowed.
    pub detail: String,
    /// Where it is written, as far as known.
    pub place: Option<Place>,
}

impl Problem {
    fn new(path: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { path: path.into(), detail: detail.to_string(), place: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.detail)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read `{}`: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The folder holds no configuration.
    #[error("the folder `{}` holds no file *.toml", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The text is not of the right form.
    #[error("{}{message}", place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
    Form {
        /// What is wrong.
        message: String,
        /// Where.
        place: Option<Place>,
    },
    /// Values are wrong.
    #[error("{}", list(.0))]
    Values(Vec<Problem>),
}

/// A duration as written in a configuration, e.g. `5m`; the error says what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let millis = units::duration_millis("", text).map_err(|problem| problem.detail)?;
    Ok(Duration::from_millis(millis as u64))
}

/// A rate as written in a configuration, e.g. `1 per week`, in events a week; the error says what is allowed.
pub fn parse_budget(text: &str) -> Result<f64, String> {
    units::budget_per_week("", text).map_err(|problem| problem.detail)
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

impl Config {
    /// Reads and checks text. Secrets come from `environment`.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let written: written::WrittenConfig = toml::from_str(text)
            .map_err(|error| ConfigError::Form { message: error.to_string(), place: None })?;
        check::check(&written, environment).map_err(ConfigError::Values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        Config::parse(text, &Environment::default()).unwrap_err().to_string()
    }

    const SHOP: &str = r#"
        [sources.clicks]
        kind = "http"
        [monitors.shop]
        source = "clicks"
        timestamp = "at"
        interval = "5m"
        [monitors.shop.measures]
        views = { count = true }
    "#;

    #[test]
    fn the_example_is_valid() {
        let environment = Environment::from_pairs([("WEBHOOK_SECRET", "s3cret")]);
        let config = Config::parse(EXAMPLE, &environment).unwrap();
        assert!(!config.sources.is_empty() && !config.notifiers.is_empty());
    }

    #[test]
    fn a_small_configuration_gets_sensible_defaults() {
        let config = Config::parse(SHOP, &Environment::default()).unwrap();
        assert!(config.server.listen.ip().is_loopback());
        let monitor = &config.sources[0].monitors[0];
        assert_eq!(monitor.window.rollups, [Vec::<bool>::new()]);
        assert_eq!(monitor.facts.rules, []);
    }

    #[test]
    fn problems_name_key_value_and_what_is_allowed() {
        let with = |from: &str, to: &str| problems(&SHOP.replace(from, to));
        assert_eq!(
            with("\"5m\"", "\"7m\""),
            "`monitors.shop.interval`: 420 s is no window width: from 10 s to 1 day, dividing an hour, \
             or whole hours dividing a day"
        );
        assert_eq!(
            with("source = \"clicks\"", "source = \"click\""),
            "`monitors.shop.source`: `click` is not configured; there are: clicks"
        );
        assert_eq!(
            with("count = true", "sum = 3"),
            "`monitors.shop.measures.views.sum`: expected the path of a field"
        );
        assert_eq!(
            with("count = true", "ratio = [\"orders\", \"views\"]"),
            "`monitors.shop.measures.views.ratio`: `orders` is no aggregated measure of this monitor"
        );
        assert!(with("interval", "intervall").contains("unknown field `intervall`"));
        let zone = with("timestamp", "timezone = \"Europe/Bern\"\ntimestamp");
        assert!(zone.starts_with("`monitors.shop.timezone`: `Europe/Bern` is no known time zone"), "{zone}");
    }

    #[test]
    fn beyond_loopback_a_token_is_required() {
        let open = format!("[server]\nlisten = \"0.0.0.0:8321\"\n{SHOP}");
        assert!(problems(&open).starts_with("`server.token`: required"), "{}", problems(&open));
        let closed = format!("[server]\nlisten = \"0.0.0.0:8321\"\ntoken = \"${{TOKEN}}\"\n{SHOP}");
        assert_eq!(problems(&closed), "`server.token`: environment variable `TOKEN` is not set");
        let environment = Environment::from_pairs([("TOKEN", "abc")]);
        let config = Config::parse(&closed, &environment).unwrap();
        assert!(!format!("{config:?}").contains("abc"), "secrets are masked");
    }

    #[test]
    fn every_section_reports_its_problem() {
        let text = SHOP.replace("\"5m\"", "\"soon\"")
            + "\n[notifiers.hook]\nkind = \"webhook\"\nurl = \"ftp://x\"\n";
        let all = problems(&text);
        assert!(all.contains("`monitors.shop.interval`") && all.contains("`notifiers.hook.url`"), "{all}");
    }

    #[test]
    fn rules_and_notifiers_are_checked() {
        let rule = |keys: &str| {
            format!(
                "{SHOP}\n[[monitors.shop.alerts]]\nto = [\"mail\"]\n{keys}\n[notifiers.mail]\nkind = \"email\"\n\
                 host = \"mail.example.com\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n"
            )
        };
        let good = rule(
            "measures = [\"views\"]\ndirection = \"drop\"\nmin_duration = \"2 of 3\"\nmax_per_hour = 5\n\
             cool_down = \"10m\"\nevents = [\"opened\", \"no_data\"]\n\
             schedule = { days = [\"mon\", \"fri\"], from = \"08:00\", to = \"24:00\" }\n\
             mute = [[\"2026-03-01T00:00:00Z\", \"2026-03-02T00:00:00Z\"]]",
        );
        let config = Config::parse(&good, &Environment::default()).unwrap();
        let rule_read = &config.sources[0].monitors[0].facts.rules[0];
        assert_eq!((rule_read.pacing.per_hour, rule_read.pacing.cool_down_millis), (Some(5), 600_000));
        for (keys, complaint) in [
            ("measures = [\"sales\"]", "alerts[0].measures`: `sales` is no measure of this monitor"),
            ("slices = { country = [\"DE\"] }", "alerts[0].slices`: `country` is no dimension"),
            ("min_duration = \"5 of 3\"", "alerts[0].min_duration`"),
            ("direction = \"up\"", "alerts[0].direction`"),
            ("max_per_hour = 0", "alerts[0].max_per_hour`"),
            ("schedule = { days = [\"monday\"] }", "alerts[0].schedule.days`: `monday`"),
            ("digest = \"day\"\ncool_down = \"5m\"", "alerts[0].digest`"),
        ] {
            let all = problems(&rule(keys));
            assert!(all.contains(complaint), "{keys}: {all}");
        }
        let open = rule("").replace("from =", "tls = \"none\"\nusername = \"u\"\npassword = \"p\"\nfrom =");
        assert!(problems(&open).contains("`notifiers.mail.tls`: none would send the password"));
        let bad = format!("{SHOP}\n[notifiers.topic]\nkind = \"sns\"\ntopic_arn = \"shop\"\n");
        assert!(problems(&bad).contains("expected arn:aws:sns:REGION:ACCOUNT:TOPIC"));
    }
}
