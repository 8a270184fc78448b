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
        /// Times real time.
        speed: Option<f64>,
        record_bytes_max: Option<String>,
        dead_letter: Option<String>,
    },
    Http {
        queue: Option<usize>,
        record_bytes_max: Option<String>,
        dead_letter: Option<String>,
    },
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
    #[serde(default)]
    pub(super) detector: WrittenDetector,
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
pub(super) struct WrittenDetector {
    pub(super) kind: Option<String>,
    pub(super) severity: Option<f64>,
    pub(super) budget: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAlertRule {
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
}
