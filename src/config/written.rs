//! The configuration as people write it. Nothing is checked here but names and shapes.

use std::collections::BTreeMap;

use serde::Deserialize;

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
    Kafka(Box<super::kafka::WrittenKafka>),
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
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum WrittenNotifier {
    Webhook {
        url: String,
        secret: Option<String>,
        timeout: Option<String>,
        /// Only `tidewatch` for now.
        format: Option<String>,
    },
}
