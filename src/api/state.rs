//! What the routes look at. Everything in it is shared with the run loops and read only, but for the intakes.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use tokio::sync::Semaphore;

use super::{
    configuring::Configuring,
    deliveries::{NotifierInfo, Tests},
    error::ApiError,
    keys::KeysInFlight,
    slices::SliceCache,
    stream::Feed,
    wire::{MeasureWire, MonitorWire, TotalsWire},
};
use crate::{
    anomaly::MonitorFacts,
    calendar::Calendar,
    pipeline::{Backtests, Clock, Desk, History, MonitorSpec, SourceState, StatusBoard, Telemetry},
    record::SourceId,
    sources::HttpIntake,
    window::MeasureKind,
};

/// The parts the API is assembled from.
pub struct ApiState {
    /// What was stored.
    pub history: Arc<dyn History>,
    /// What runs.
    pub board: StatusBoard,
    /// The metrics.
    pub telemetry: Arc<Telemetry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The monitors as configured.
    pub monitors: Vec<MonitorInfo>,
    /// The monitors by name, to judge their past again.
    pub specs: BTreeMap<String, Arc<MonitorSpec>>,
    /// Where each source takes instructions for its monitors.
    pub desks: BTreeMap<String, Desk>,
    /// The notifiers by name.
    pub notifiers: BTreeMap<String, NotifierInfo>,
    /// Where run loops tell what changes.
    pub feed: Feed,
    /// The sources that take posts, by name.
    pub intakes: BTreeMap<String, HttpIntake>,
    /// Where backtests are run and kept; `None` without a folder to keep them in.
    pub backtests: Option<Arc<dyn Backtests>>,
    /// Whoever holds the configuration's files; `None` when it does not come from files.
    pub configuring: Option<Arc<dyn Configuring>>,
    /// What a client must show as a bearer token; `None` lets everyone in.
    pub token: Option<String>,
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState").field("monitors", &self.monitors).finish_non_exhaustive()
    }
}

/// Limits of the API.
#[derive(Clone, Copy, Debug)]
pub struct ApiLimits {
    /// Largest body of a post, before and after decompression.
    pub body_bytes_max: usize,
    /// How long a reading request may take. A post may take a minute: it waits for its commit.
    pub timeout: Duration,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self { body_bytes_max: 16 << 20, timeout: Duration::from_secs(30) }
    }
}

/// What is known of a monitor before it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorInfo {
    /// Its name.
    pub name: String,
    /// Its source.
    pub source: String,
    /// Name of the zone whose civil time its windows follow.
    pub zone: String,
    /// The zone that wall-clock times of the calendar are listed in.
    pub default_zone: TimeZone,
    /// Its special times.
    pub calendar: Arc<Calendar>,
    /// Width of a window.
    pub interval_seconds: i64,
    /// Its dimensions, in the order of a slice's values.
    pub dimensions: Vec<String>,
    /// Its measures, in the order of a window's cells.
    pub measures: Vec<MeasureInfo>,
    /// Names, units, alert rules.
    pub facts: MonitorFacts,
}

/// What is known of a measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureInfo {
    /// Its name.
    pub name: String,
    /// The word of its kind, e.g. `count` or `p95`.
    pub kind: String,
    /// Its unit, if configured.
    pub unit: Option<String>,
}

impl MonitorInfo {
    /// The facts of a checked monitor.
    pub fn of(source: &SourceId, spec: &MonitorSpec) -> Self {
        let measures = spec.window.measures.iter().zip(&spec.facts.measures);
        Self {
            name: spec.facts.monitor.clone(),
            source: source.to_string(),
            zone: spec.window.grid.zone().iana_name().unwrap_or("fixed").to_owned(),
            default_zone: spec.zones.default.clone(),
            calendar: Arc::clone(&spec.calendar),
            interval_seconds: spec.window.grid.width().seconds(),
            dimensions: spec.facts.dimensions.clone(),
            measures: measures
                .map(|(measure, facts)| MeasureInfo {
                    name: measure.name.clone(),
                    kind: kind_word(measure.kind),
                    unit: facts.unit.clone(),
                })
                .collect(),
            facts: spec.facts.clone(),
        }
    }

    /// On the wire, before anything is known of how far it is.
    pub(super) fn to_wire(&self) -> MonitorWire {
        let measure = |MeasureInfo { name, kind, unit }: &MeasureInfo| MeasureWire {
            name: name.clone(),
            kind: kind.clone(),
            unit: unit.clone(),
        };
        MonitorWire {
            name: self.name.clone(),
            source: self.source.clone(),
            zone: self.zone.clone(),
            interval_seconds: self.interval_seconds,
            dimensions: self.dimensions.clone(),
            measures: self.measures.iter().map(measure).collect(),
            closed_through: None,
            newest_event: None,
            num_series: 0,
            num_learning: 0,
            learning: None,
            totals: TotalsWire::default(),
            rejected_by_reason: BTreeMap::new(),
            reject_samples: Vec::new(),
            num_open_incidents: 0,
            num_open_windows: 0,
            alert_rate: None,
        }
    }
}

fn kind_word(kind: MeasureKind) -> String {
    match kind {
        MeasureKind::Ratio { .. } => "ratio".to_owned(),
        MeasureKind::Aggregate(kind) => kind.word(),
    }
}

/// The parts together with what the API itself remembers.
#[derive(Debug)]
pub(super) struct App {
    pub(super) parts: ApiState,
    pub(super) limits: ApiLimits,
    pub(super) keys: KeysInFlight,
    pub(super) slices: SliceCache,
    /// Whose turn it is to judge the past again.
    pub(super) rescoring: Semaphore,
    pub(super) tests: Tests,
    pub(super) openapi: String,
}

impl App {
    pub(super) fn new(parts: ApiState, limits: ApiLimits, openapi: String) -> Self {
        Self {
            parts,
            limits,
            keys: KeysInFlight::default(),
            slices: SliceCache::default(),
            tests: Tests::default(),
            rescoring: Semaphore::new(1),
            openapi,
        }
    }

    /// A configured monitor.
    pub(super) fn monitor(&self, name: &str) -> Result<&MonitorInfo, ApiError> {
        let monitors = &self.parts.monitors;
        monitors.iter().find(|monitor| monitor.name == name).ok_or_else(|| {
            let known = names(monitors.iter().map(|monitor| monitor.name.as_str()));
            ApiError::not_found(format!("there is no monitor `{name}`; the monitors are: {known}"))
        })
    }

    /// A configured monitor and how far it is.
    pub(super) fn monitor_wire(&self, monitor: &MonitorInfo) -> MonitorWire {
        match self.parts.board.monitor(&monitor.name) {
            Some(status) => monitor.to_wire().with_status(&status),
            None => monitor.to_wire(),
        }
    }

    /// The state of every source that is configured or runs; `None` before its run loop starts.
    pub(super) fn source_states(&self) -> BTreeMap<String, Option<SourceState>> {
        let configured = self.parts.monitors.iter().map(|monitor| &monitor.source);
        let mut states: BTreeMap<String, Option<SourceState>> =
            configured.chain(self.parts.intakes.keys()).map(|name| (name.clone(), None)).collect();
        let running = self.parts.board.sources().into_iter();
        states.extend(running.map(|status| (status.source.to_string(), Some(status.state))));
        states
    }
}

/// Names for a sentence: quoted, with commas; `none` for none.
pub(super) fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::AggregateKind;

    #[test]
    fn kinds_have_words() {
        let quantile = |quantile| kind_word(MeasureKind::Aggregate(AggregateKind::Quantile(quantile)));
        assert_eq!((quantile(0.95), quantile(0.999)), ("p95".to_owned(), "p99.9".to_owned()));
        assert_eq!(kind_word(MeasureKind::Ratio { numerator: 0, denominator: 1 }), "ratio");
        assert_eq!(names(["a", "b"].into_iter()), "`a`, `b`");
        assert_eq!(names([].into_iter()), "none");
    }
}
