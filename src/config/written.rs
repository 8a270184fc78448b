//! The configuration as people write it. Nothing is checked here but names and shapes.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::anomaly::{DigestEvery, RuleEvent};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenConfig {
    #[serde(default)]
    pub(super) server: WrittenServer,
    #[serde(default)]
    pub(super) store: WrittenStore,
    #[serde(default)]
    pub(super) sources: BTreeMap<String, WrittenSource>,
    #[serde(default)]
    pub(super) monitors: BTreeMap<String, WrittenMonitor>,
    #[serde(default)]
    pub(super) notifiers: BTreeMap<String, WrittenNotifier>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenServer {
    pub(super) listen: Option<String>,
    pub(super) token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenStore {
    pub(super) path: Option<String>,
    /// `full` or `normal`.
    pub(super) durability: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum WrittenSource {
    File {
        path: String,
        format: Option<String>,
        columns: Option<Vec<String>>,
        /// Each row holds many series, one in a column.
        #[serde(default)]
        wide: bool,
        /// Times real time.
        speed: Option<f64>,
        record_bytes_max: Option<String>,
        dead_letter: Option<String>,
    },
    Http(super::http::WrittenHttp),
    Firehose(super::http::WrittenFirehose),
    Kafka(Box<super::kafka::WrittenKafka>),
    Kinesis(Box<super::kinesis::WrittenKinesis>),
    S3(Box<super::s3::WrittenS3>),
    Simulated {
        seed: Option<u64>,
        /// First instant, RFC 3339.
        start: String,
        days: Option<u32>,
        /// Events per minute.
        rate: Option<f64>,
        faults_per_week: Option<f64>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenMonitor {
    pub(super) source: String,
    pub(super) timestamp: String,
    pub(super) timestamp_format: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) timezones: Option<WrittenZones>,
    pub(super) interval: String,
    pub(super) allowed_lateness: Option<String>,
    pub(super) correction_period: Option<String>,
    /// Bytes kept of closed windows that can still be revised.
    pub(super) correction_bytes: Option<String>,
    pub(super) idle_timeout: Option<String>,
    pub(super) no_data_after: Option<String>,
    pub(super) max_lead: Option<String>,
    pub(super) retention: Option<String>,
    #[serde(default)]
    pub(super) dimensions: BTreeMap<String, String>,
    pub(super) rollups: Option<Vec<Vec<String>>>,
    pub(super) max_series: Option<usize>,
    pub(super) max_slices_per_partition: Option<usize>,
    pub(super) measures: BTreeMap<String, toml::Table>,
    /// Counts in the order in which visitors pass them.
    #[serde(default)]
    pub(super) funnel: Vec<String>,
    #[serde(default)]
    pub(super) detector: WrittenDetector,
    #[serde(default)]
    pub(super) relations: BTreeMap<String, WrittenRelation>,
    #[serde(default)]
    pub(super) calendar: WrittenCalendar,
    #[serde(default)]
    pub(super) alerts: Vec<WrittenAlertRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenZones {
    pub(super) by: String,
    pub(super) map: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCalendar {
    #[serde(default)]
    pub(super) holidays: Vec<WrittenHolidays>,
    /// A dimension whose values are countries.
    pub(super) by: Option<String>,
    /// Countries of values that are no country codes.
    #[serde(default)]
    pub(super) map: BTreeMap<String, String>,
    pub(super) retail: Option<bool>,
    #[serde(default)]
    pub(super) ics: Vec<WrittenIcs>,
    #[serde(default)]
    pub(super) events: Vec<WrittenEvent>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a country or { country = \"DE\", before = 1, after = 1 }")]
pub(super) enum WrittenHolidays {
    Country(String),
    Around(WrittenAround),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAround {
    pub(super) country: String,
    #[serde(default)]
    pub(super) before: u8,
    #[serde(default)]
    pub(super) after: u8,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a path or { path = \"promos.ics\", kind = \"promotion\" }")]
pub(super) enum WrittenIcs {
    Path(String),
    File(WrittenIcsFile),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenIcsFile {
    pub(super) path: String,
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) scope: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenEvent {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) from: toml::Value,
    pub(super) to: toml::Value,
    /// `yearly`, `monthly`, `weekly`, `daily` or an RRULE.
    pub(super) repeat: Option<String>,
    pub(super) uplift: Option<f64>,
    #[serde(default)]
    pub(super) scope: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenDetector {
    pub(super) kind: Option<String>,
    pub(super) severity: Option<f64>,
    pub(super) budget: Option<String>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    pub(super) windows: Option<u32>,
    pub(super) tolerance: Option<f64>,
    pub(super) percent: Option<f64>,
    pub(super) season: Option<String>,
    pub(super) seed: Option<u64>,
}

impl WrittenDetector {
    /// From the value of a measure's key `detector`.
    pub(super) fn deserialize_from(value: &toml::Value) -> Result<Self, String> {
        Self::deserialize(value.clone()).map_err(|error| error.to_string())
    }

    /// The keys that only some kinds have, as far as they are written.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        [
            ("lower", self.lower.is_some()),
            ("upper", self.upper.is_some()),
            ("windows", self.windows.is_some()),
            ("tolerance", self.tolerance.is_some()),
            ("percent", self.percent.is_some()),
            ("season", self.season.is_some()),
            ("seed", self.seed.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, written)| written.then_some(key))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRelation {
    pub(super) kind: String,
    pub(super) measures: Vec<String>,
    pub(super) max_slices: Option<usize>,
    pub(super) seed: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAlertRule {
    /// What people call it.
    pub(super) name: Option<String>,
    pub(super) severity: Option<f64>,
    pub(super) budget: Option<String>,
    pub(super) to: Vec<String>,
    #[serde(default)]
    pub(super) measures: Vec<String>,
    /// Dimension = one value or several.
    #[serde(default)]
    pub(super) slices: BTreeMap<String, Vec<String>>,
    pub(super) direction: Option<String>,
    pub(super) min_impact: Option<f64>,
    /// `3 of 5`: windows.
    pub(super) min_duration: Option<String>,
    pub(super) schedule: Option<WrittenSchedule>,
    /// Pairs of instants.
    #[serde(default)]
    pub(super) mute: Vec<[String; 2]>,
    pub(super) events: Option<Vec<RuleEvent>>,
    pub(super) cool_down: Option<String>,
    pub(super) max_per_hour: Option<u32>,
    pub(super) digest: Option<DigestEvery>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSchedule {
    pub(super) days: Option<Vec<String>>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum WrittenNotifier {
    Webhook(WrittenWebhook),
    Email(WrittenEmail),
    Sns(WrittenSns),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenWebhook {
    pub(super) url: String,
    pub(super) secret: Option<String>,
    pub(super) timeout: Option<String>,
    /// `tidewatch` unless said otherwise.
    pub(super) format: Option<String>,
    /// PagerDuty's routing key, Opsgenie's API key.
    pub(super) key: Option<String>,
    /// Of `template`.
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Certificate and key in PEM.
    pub(super) client_certificate: Option<String>,
    /// PEM of a private certificate authority.
    pub(super) ca: Option<String>,
    pub(super) link: Option<String>,
    pub(super) max_per_minute: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenEmail {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// `starttls`, `implicit` or `none`.
    pub(super) tls: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) timeout: Option<String>,
    pub(super) ca: Option<String>,
    pub(super) link: Option<String>,
    pub(super) max_per_minute: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSns {
    pub(super) topic_arn: String,
    /// `tidewatch`, `lookout`, `text` or `sms`.
    pub(super) format: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) timeout: Option<String>,
    pub(super) link: Option<String>,
    pub(super) max_per_minute: Option<u32>,
}
