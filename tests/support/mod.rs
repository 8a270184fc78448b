//! What several tests share.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod process;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tidewatch::{
    config::{Config, Environment, SourceConfig},
    pipeline::{Commit, Engine, EngineLimits, Monitor, Totals},
    record::{Checkpoint, PartitionId, Position, Record, RecordBatch},
    window::SliceKey,
};

/// A monitor over `country` and `device` with every kind of measure, 5-minute windows.
pub(crate) const SHOP: &str = r#"
    [sources.events]
    kind = "file"
    path = "unused.ndjson"
    [monitors.shop]
    source = "events"
    timestamp = "event_time"
    timezone = "Europe/Berlin"
    interval = "5m"
    allowed_lateness = "30s"
    idle_timeout = "60s"
    no_data_after = "5m"
    dimensions = { country = "geo.country", device = "device" }
    [monitors.shop.measures]
    views = { count = true, where = { type = "page_view" } }
    orders = { count = true, where = { type = "purchase" } }
    revenue = { sum = "order.total", where = { type = "purchase" } }
    basket = { avg = "order.total", where = { type = "purchase" } }
    largest = { max = "order.total", where = { type = "purchase" } }
    visitors = { distinct = "visitor_id" }
    checkout = { p95 = "checkout_ms", where = { type = "purchase" } }
    conversion = { ratio = ["orders", "views"] }
    slowest = { max = "checkout_ms", where = { type = "purchase" }, detector = "novelty" }
    [monitors.shop.relations.funnel]
    kind = "mixture"
    measures = ["views", "orders", "visitors"]
    [monitors.shop.calendar]
    by = "country"
    [[monitors.shop.calendar.events]]
    name = "Move of the warehouse"
    kind = "outage"
    from = "2026-03-02T10:00"
    to = "2026-03-02T11:00"
    scope = { country = "DE" }
    [[monitors.shop.calendar.events]]
    name = "Newsletter"
    kind = "promotion"
    from = "2026-03-01T18:00:00Z"
    to = "2026-03-01T20:00:00Z"
    repeat = "daily"
    uplift = 1.3
    [[monitors.shop.alerts]]
    severity = 70
    to = ["hook"]
    [notifiers.hook]
    kind = "webhook"
    url = "http://127.0.0.1:9/unused"
"#;

/// [`SHOP`] with late events revising closed windows for so long.
pub(crate) fn corrected(period: &str) -> String {
    let lateness = "allowed_lateness = \"30s\"";
    SHOP.replace(lateness, &format!("{lateness}\ncorrection_period = \"{period}\""))
}

/// The only source of a configuration.
pub(crate) fn source(text: &str) -> SourceConfig {
    Config::parse(text, &Environment::default()).expect("the test's configuration is valid").sources.remove(0)
}

/// A fresh engine over a configuration.
pub(crate) fn engine(text: &str, threads: usize) -> Engine {
    let source = source(text);
    let monitors = source.monitors.iter().map(|spec| Monitor::new(Arc::clone(spec))).collect();
    let limits = EngineLimits { threads, ..EngineLimits::default() };
    Engine::new(source.id, source.decoder, monitors, Checkpoint::default(), false, limits)
}

/// The lines of one partition, cut into batches of the given sizes, the last repeated.
pub(crate) fn batches(partition: &str, lines: &[String], sizes: &[usize]) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    let (mut taken, mut turn) = (0, 0);
    while taken < lines.len() {
        let size = sizes[turn.min(sizes.len() - 1)].clamp(1, lines.len() - taken);
        turn += 1;
        batches.push(batch(partition, taken, &lines[taken..taken + size], taken + size == lines.len()));
        taken += size;
    }
    batches
}

/// One batch of lines after `from` lines.
pub(crate) fn batch(partition: &str, from: usize, lines: &[String], ends: bool) -> RecordBatch {
    let position = |count: usize| if count == 0 { Position::Beginning } else { Position::at(count as u64) };
    RecordBatch {
        partition: PartitionId::new(partition),
        records: lines.iter().map(|line| Record::new(Bytes::from(line.clone()))).collect(),
        from_exclusive: position(from),
        to_inclusive: position(from + lines.len()),
        header: None,
        received_millis: None,
        lag_millis: None,
        ends_partition: ends,
    }
}

/// Everything that commits say about results, in one order: windows with scores, what late events made of them,
/// incidents, alerts.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Results {
    pub(crate) slices: Vec<SliceKey>,
    pub(crate) frames: BTreeMap<(i64, usize), Vec<u8>>,
    pub(crate) revisions: BTreeMap<(i64, usize), Vec<u8>>,
    pub(crate) milestones: Vec<String>,
    pub(crate) incidents: BTreeMap<String, String>,
    pub(crate) alerts: Vec<String>,
}

impl Results {
    pub(crate) fn take(&mut self, commit: Option<&Commit>) {
        for monitor in commit.iter().flat_map(|commit| commit.monitors.iter().flatten()) {
            self.slices.extend(monitor.slices.keys.iter().cloned());
            for revision in &monitor.revisions {
                self.revisions.insert((revision.start_millis, revision.shard), revision.bytes.clone());
            }
            let milestones = monitor.milestones.iter();
            self.milestones.extend(milestones.map(|one| serde_json::to_string(one).expect("plain data")));
            for frame in &monitor.frames {
                self.frames.insert((frame.start_millis, frame.shard), frame.bytes.clone());
            }
            for incident in &monitor.incidents {
                self.incidents
                    .insert(incident.id.clone(), serde_json::to_string(incident).expect("plain data"));
            }
            self.alerts.extend(monitor.alerts.iter().map(|alert| alert.id.clone()));
        }
    }
}

/// Every event is accounted for.
pub(crate) fn assert_conserved(engine: &Engine) -> Totals {
    let totals = engine.status().remove(0).totals;
    assert!(totals.is_conserved(), "{totals:?}");
    totals
}
