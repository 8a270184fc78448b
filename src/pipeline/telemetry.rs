//! Every metric and every log line of the road, in one file: one struct per event, whose `emit` does both.
//!
//! An error that loses data also counts the loss; a retry is not a loss. Labels come from closed sets: names
//! from the configuration and fixed words, never a slice or an id.

use std::time::Duration;

use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::{FeedbackFigures, Label, MonitorStatus, SourceFigures, SourceState, SourceStatus, Totals};
use crate::{anomaly::Incident, record::RejectReason};

/// The metrics of one process.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    records: IntCounterVec,
    bytes: IntCounterVec,
    source_up: IntGaugeVec,
    source_lag: GaugeVec,
    events: IntCounterVec,
    rejected: IntCounterVec,
    windows_closed: IntCounterVec,
    windows_open: IntGaugeVec,
    events_waiting: IntGaugeVec,
    revisions: IntCounterVec,
    correctable: IntGaugeVec,
    correctable_bytes: IntGaugeVec,
    retracted: IntCounterVec,
    event_lag: GaugeVec,
    slices_refused: IntCounterVec,
    scored: IntCounterVec,
    series: IntGaugeVec,
    learning: IntGaugeVec,
    incidents: IntCounterVec,
    incidents_open: IntGaugeVec,
    false_alarms_nominal: GaugeVec,
    nominal_measured: IntGaugeVec,
    told: IntGaugeVec,
    feedback: IntGaugeVec,
    precision: GaugeVec,
    response_rate: GaugeVec,
    instructions: IntCounterVec,
    alerts: IntCounterVec,
    alerts_waiting: IntGaugeVec,
    held_back: IntCounterVec,
    rate_limited: IntCounterVec,
    commits: IntCounterVec,
    commit_seconds: Histogram,
    store_errors: IntCounterVec,
    records_behind: IntGaugeVec,
    seconds_behind: GaugeVec,
    source_trouble: IntCounterVec,
    acknowledge_seconds: Histogram,
    letters: IntCounterVec,
    reloads: IntCounterVec,
    stream: IntCounterVec,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Registers every metric.
    #[expect(clippy::too_many_lines, reason = "a list: one entry per metric")]
    pub fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels).expect("names are valid");
            registry.register(Box::new(metric.clone())).expect("names are distinct");
            metric
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels).expect("names are valid");
            registry.register(Box::new(metric.clone())).expect("names are distinct");
            metric
        };
        let seconds = |name: &str, help: &str, labels: &[&str]| {
            let metric = GaugeVec::new(Opts::new(name, help), labels).expect("names are valid");
            registry.register(Box::new(metric.clone())).expect("names are distinct");
            metric
        };
        let buckets = prometheus::exponential_buckets(0.000_25, 2.0, 16).expect("constants are valid");
        let commit_seconds = Histogram::with_opts(
            HistogramOpts::new("tidewatch_store_commit_seconds", "Time one commit took.").buckets(buckets),
        )
        .expect("names are valid");
        registry.register(Box::new(commit_seconds.clone())).expect("names are distinct");
        let buckets = prometheus::exponential_buckets(0.000_25, 2.0, 16).expect("constants are valid");
        let acknowledge_seconds = Histogram::with_opts(
            HistogramOpts::new("tidewatch_source_commit_seconds", "Time until a broker noted positions.")
                .buckets(buckets),
        )
        .expect("names are valid");
        registry.register(Box::new(acknowledge_seconds.clone())).expect("names are distinct");
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("names are distinct");
        Self {
            records: counter("tidewatch_source_records_total", "Records read.", &["source"]),
            bytes: counter("tidewatch_source_bytes_total", "Payload bytes read.", &["source"]),
            source_up: gauge("tidewatch_source_up", "1 while the source can be read.", &["source"]),
            source_lag: seconds("tidewatch_source_lag_seconds", "How far reading is behind.", &["source"]),
            events: counter(
                "tidewatch_record_events_total",
                "Events by what became of them: counted, revised, late, after_close, over_limit, rejected.",
                &["monitor", "outcome"],
            ),
            rejected: counter(
                "tidewatch_record_events_rejected_total",
                "Refused events by reason.",
                &["monitor", "reason"],
            ),
            windows_closed: counter("tidewatch_window_closed_total", "Windows closed.", &["monitor"]),
            events_waiting: gauge(
                "tidewatch_record_events_waiting",
                "Late events that the next closing window will merge into an earlier one.",
                &["monitor"],
            ),
            revisions: counter(
                "tidewatch_window_revisions_total",
                "Revisions of closed windows by late events.",
                &["monitor"],
            ),
            correctable: gauge(
                "tidewatch_window_correctable",
                "Closed windows that late events can still revise.",
                &["monitor"],
            ),
            correctable_bytes: gauge(
                "tidewatch_window_correctable_bytes",
                "What is kept of them, in memory and in the store.",
                &["monitor"],
            ),
            retracted: counter(
                "tidewatch_anomaly_incidents_retracted_total",
                "Incidents that late events took back.",
                &["monitor"],
            ),
            windows_open: gauge("tidewatch_window_open", "Windows open.", &["monitor"]),
            event_lag: seconds(
                "tidewatch_window_event_time_lag_seconds",
                "Wall clock less the newest event time.",
                &["monitor"],
            ),
            slices_refused: counter(
                "tidewatch_window_slices_refused_total",
                "Slices counted under (other) because of max_series, per window.",
                &["monitor"],
            ),
            scored: counter(
                "tidewatch_detector_observations_scored_total",
                "Observations scored.",
                &["monitor"],
            ),
            series: gauge("tidewatch_detector_series", "Series kept.", &["monitor"]),
            learning: gauge(
                "tidewatch_detector_series_learning",
                "Series without a score yet.",
                &["monitor"],
            ),
            incidents: counter(
                "tidewatch_anomaly_incidents_total",
                "Incidents opened.",
                &["monitor", "kind"],
            ),
            incidents_open: gauge("tidewatch_anomaly_incidents_open", "Incidents open.", &["monitor"]),
            false_alarms_nominal: seconds(
                "tidewatch_alert_false_alarms_nominal_per_week",
                "False alarms a week that the alert rules may cost over the series judged now, ungrouped.",
                &["monitor"],
            ),
            nominal_measured: gauge(
                "tidewatch_alert_nominal_measured",
                "1 while every rule asks for a rate that calibration was measured at.",
                &["monitor"],
            ),
            told: gauge(
                "tidewatch_alert_incidents_told",
                "Incidents of which a rule has told, by days of event time back from the last window.",
                &["monitor", "days"],
            ),
            feedback: gauge(
                "tidewatch_feedback_incidents",
                "Told incidents of the last 28 days by what people said of them; missed: reported as not told.",
                &["monitor", "label"],
            ),
            precision: seconds(
                "tidewatch_feedback_precision",
                "Confirmed and new normal among the labelled incidents of the last 28 days.",
                &["monitor"],
            ),
            response_rate: seconds(
                "tidewatch_feedback_response_rate",
                "Acknowledged or labelled among the told incidents of the last 28 days.",
                &["monitor"],
            ),
            instructions: counter(
                "tidewatch_feedback_instructions_total",
                "What people asked: acknowledge, assign, mute, note, feedback, missed, event, undo.",
                &["monitor", "ask", "outcome"],
            ),
            alerts: counter(
                "tidewatch_alert_deliveries_total",
                "Alerts by outcome of an attempt: sent, failed (will be tried again), dropped.",
                &["notifier", "outcome"],
            ),
            alerts_waiting: gauge("tidewatch_alert_waiting", "Alerts in the outbox.", &["notifier"]),
            held_back: counter(
                "tidewatch_alert_held_back_total",
                "Alerts held back by a rule, each counted once: cap, cool_down, schedule (or mute).",
                &["monitor", "reason"],
            ),
            rate_limited: counter(
                "tidewatch_alert_rate_limited_total",
                "Times that max_per_minute made a notifier's alerts wait.",
                &["notifier"],
            ),
            commits: counter("tidewatch_store_commits_total", "Commits.", &["source", "kind"]),
            commit_seconds,
            store_errors: counter(
                "tidewatch_store_errors_total",
                "Failed commits, each tried again.",
                &["source"],
            ),
            records_behind: gauge(
                "tidewatch_source_lag_records",
                "Records still to read, by partition and under the name (all) in total.",
                &["source", "partition"],
            ),
            stream: counter(
                "tidewatch_api_stream_clients_total",
                "Clients of the stream of changes by why they were turned away: refused (too many), dropped (too slow).",
                &["outcome"],
            ),
            letters: counter(
                "tidewatch_source_dead_letters_total",
                "Refused events for the dead letters: written, failed (an attempt for some of them), dropped.",
                &["source", "outcome"],
            ),
            seconds_behind: seconds(
                "tidewatch_source_behind_seconds",
                "How far behind the newest record of a partition reading is, where the source is told.",
                &["source", "partition"],
            ),
            source_trouble: counter(
                "tidewatch_source_trouble_total",
                "lost: records deleted before they were read; tombstone: records without a value; unreadable: \
                 objects not read to their end; refused: posts that were too many; reconnect: connections lost; commit_failed: positions the broker did not note; throttled: calls put off; \
                 damaged_pack: packed records with a wrong checksum; polled_instead: fan-out refused.",
                &["source", "kind"],
            ),
            acknowledge_seconds,
            reloads: counter(
                "tidewatch_config_reloads_total",
                "Times the configuration was read again: done, refused (what ran before goes on).",
                &["outcome"],
            ),
            registry,
        }
    }

    /// Brings gauges and counters up to date with what a source tells of itself.
    pub fn observe_figures(&self, source: &str, figures: &SourceFigures) {
        let mut total = 0;
        for (partition, lag) in &figures.lags {
            total += lag;
            self.records_behind.with_label_values(&[source, partition.as_str()]).set(*lag as i64);
        }
        if !figures.lags.is_empty() {
            self.records_behind.with_label_values(&[source, "(all)"]).set(total as i64);
        }
        for (partition, millis) in &figures.behind_millis {
            let gauge = self.seconds_behind.with_label_values(&[source, partition.as_str()]);
            gauge.set(*millis as f64 / 1e3);
        }
        let named = [
            ("lost", figures.lost),
            ("tombstone", figures.tombstones),
            ("reconnect", figures.reconnects),
            ("commit_failed", figures.acknowledge_failures),
        ];
        for (kind, count) in named.iter().chain(&figures.troubles) {
            let counter = self.source_trouble.with_label_values(&[source, kind]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        for seconds in &figures.acknowledge_seconds {
            self.acknowledge_seconds.observe(*seconds);
        }
    }

    /// The text that Prometheus scrapes.
    pub fn scrape(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("writing into memory cannot fail");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Brings gauges and counters up to date with a source and its monitors. `before` holds the totals that
    /// were told last, so that counters move by what is new in this process.
    pub fn observe(
        &self,
        source: &SourceStatus,
        monitors: &[MonitorStatus],
        before: &[Totals],
        now_millis: i64,
    ) {
        let name = source.source.as_str();
        let up = !matches!(source.state, SourceState::Unreachable { .. } | SourceState::Starting);
        self.source_up.with_label_values(&[name]).set(i64::from(up));
        self.source_lag.with_label_values(&[name]).set(source.lag_millis.unwrap_or(0) as f64 / 1e3);
        for (index, monitor) in monitors.iter().enumerate() {
            let name = monitor.monitor.as_str();
            let nothing = Totals::default();
            self.count_events(name, &monitor.totals, before.get(index).unwrap_or(&nothing));
            self.windows_open.with_label_values(&[name]).set(monitor.num_open_windows as i64);
            self.events_waiting.with_label_values(&[name]).set(monitor.totals.waiting as i64);
            let (windows, bytes) = monitor.correctable;
            self.correctable.with_label_values(&[name]).set(windows as i64);
            self.correctable_bytes.with_label_values(&[name]).set(bytes as i64);
            self.series.with_label_values(&[name]).set(monitor.num_series as i64);
            self.learning.with_label_values(&[name]).set(monitor.num_learning as i64);
            let nominal = monitor.nominal;
            let per_week = nominal.per_week.unwrap_or(0.0);
            self.false_alarms_nominal.with_label_values(&[name]).set(per_week);
            self.nominal_measured.with_label_values(&[name]).set(i64::from(nominal.is_measured));
            for (days, told) in ["7", "28"].into_iter().zip(monitor.told) {
                self.told.with_label_values(&[name, days]).set(told as i64);
            }
            self.observe_feedback(name, &monitor.feedback);
            self.incidents_open.with_label_values(&[name]).set(monitor.num_open_incidents as i64);
            if let Some(newest) = monitor.newest_event_millis {
                self.event_lag.with_label_values(&[name]).set((now_millis - newest) as f64 / 1e3);
            }
        }
    }

    /// Forgets what holds of sources, monitors and notifiers, before others begin to tell.
    pub fn forget_gauges(&self) {
        for gauge in [
            &self.source_up,
            &self.windows_open,
            &self.series,
            &self.learning,
            &self.incidents_open,
            &self.nominal_measured,
            &self.told,
            &self.feedback,
            &self.alerts_waiting,
            &self.records_behind,
        ] {
            gauge.reset();
        }
        for gauge in [
            &self.source_lag,
            &self.event_lag,
            &self.false_alarms_nominal,
            &self.precision,
            &self.response_rate,
            &self.seconds_behind,
        ] {
            gauge.reset();
        }
    }

    fn observe_feedback(&self, monitor: &str, figures: &FeedbackFigures) {
        for (label, count) in Label::ALL.iter().zip(figures.labels) {
            self.feedback.with_label_values(&[monitor, label.as_str()]).set(count as i64);
        }
        self.feedback.with_label_values(&[monitor, "missed"]).set(figures.missed as i64);
        // What cannot be told has no sample.
        if let Some(precision) = figures.precision() {
            self.precision.with_label_values(&[monitor]).set(precision);
        }
        if let Some(rate) = figures.response_rate() {
            self.response_rate.with_label_values(&[monitor]).set(rate);
        }
    }

    fn count_events(&self, monitor: &str, now: &Totals, before: &Totals) {
        for (outcome, now, before) in [
            ("counted", now.counted, before.counted),
            ("revised", now.revised, before.revised),
            ("late", now.late, before.late),
            ("after_close", now.after_close, before.after_close),
            ("over_limit", now.over_limit, before.over_limit),
            ("rejected", now.num_rejected(), before.num_rejected()),
        ] {
            self.events.with_label_values(&[monitor, outcome]).inc_by(now.saturating_sub(before));
        }
        for (reason, (now, before)) in RejectReason::ALL.iter().zip(now.rejected.iter().zip(before.rejected))
        {
            self.rejected.with_label_values(&[monitor, reason.as_str()]).inc_by(now.saturating_sub(before));
        }
        for (counter, now, before) in [
            (&self.windows_closed, now.windows, before.windows),
            (&self.revisions, now.revisions, before.revisions),
            (&self.retracted, now.retracted, before.retracted),
            (&self.scored, now.scored, before.scored),
            (&self.slices_refused, now.refused_slices, before.refused_slices),
        ] {
            counter.with_label_values(&[monitor]).inc_by(now.saturating_sub(before));
        }
        for (reason, now, before) in [
            ("cap", now.held_back.cap, before.held_back.cap),
            ("cool_down", now.held_back.cool_down, before.held_back.cool_down),
            ("schedule", now.held_back.schedule, before.held_back.schedule),
        ] {
            self.held_back.with_label_values(&[monitor, reason]).inc_by(now.saturating_sub(before));
        }
    }

    /// A notifier's alerts wait for its limit.
    pub(super) fn note_rate_limited(&self, notifier: &str) {
        self.rate_limited.with_label_values(&[notifier]).inc();
    }

    /// A client was not let in to the stream of changes, since too many listen.
    pub fn note_stream_refused(&self) {
        self.stream.with_label_values(&["refused"]).inc();
    }

    /// A client was let go, since it took too long to read what changed.
    pub fn note_stream_dropped(&self) {
        self.stream.with_label_values(&["dropped"]).inc();
    }

    /// Alerts that wait for one notifier.
    pub fn set_waiting(&self, notifier: &str, num_alerts: u64) {
        self.alerts_waiting.with_label_values(&[notifier]).set(num_alerts as i64);
    }
}

/// A batch came from a source.
#[derive(Debug)]
pub(super) struct BatchRead<'a> {
    pub(super) source: &'a str,
    pub(super) num_records: usize,
    pub(super) num_bytes: usize,
}

impl BatchRead<'_> {
    pub(super) fn emit(&self, telemetry: &Telemetry) {
        telemetry.records.with_label_values(&[self.source]).inc_by(self.num_records as u64);
        telemetry.bytes.with_label_values(&[self.source]).inc_by(self.num_bytes as u64);
    }
}

/// A commit was stored.
#[derive(Debug)]
pub(super) struct CommitStored<'a> {
    pub(super) source: &'a str,
    pub(super) full: bool,
    pub(super) took: Duration,
}

impl CommitStored<'_> {
    pub(super) fn emit(&self, telemetry: &Telemetry) {
        let kind = if self.full { "full" } else { "light" };
        telemetry.commits.with_label_values(&[self.source, kind]).inc();
        telemetry.commit_seconds.observe(self.took.as_secs_f64());
        tracing::trace!(source = self.source, kind, took = ?self.took, "commit stored");
    }
}

/// A commit failed and will be tried again; nothing is lost.
#[derive(Debug)]
pub(super) struct CommitPostponed<'a> {
    pub(super) source: &'a str,
    pub(super) error: &'a super::StoreError,
}

impl CommitPostponed<'_> {
    pub(super) fn emit(&self, telemetry: &Telemetry) {
        telemetry.store_errors.with_label_values(&[self.source]).inc();
        tracing::warn!(source = self.source, error = %self.error, "commit failed, trying again");
    }
}

/// Refused events were written to a place for dead letters.
#[derive(Debug)]
pub(super) struct LettersWritten<'a> {
    pub(super) source: &'a str,
    pub(super) kept: super::LettersKept,
}

impl LettersWritten<'_> {
    pub(super) fn emit(&self, telemetry: &Telemetry) {
        for (outcome, count) in [("written", self.kept.written), ("dropped", self.kept.dropped)] {
            telemetry.letters.with_label_values(&[self.source, outcome]).inc_by(count);
        }
    }
}

/// Refused events could not be written and will be tried again before anything is committed.
#[derive(Debug)]
pub(super) struct LettersPostponed<'a> {
    pub(super) source: &'a str,
    pub(super) error: &'a super::StoreError,
}

impl LettersPostponed<'_> {
    pub(super) fn emit(&self, telemetry: &Telemetry) {
        telemetry.letters.with_label_values(&[self.source, "failed"]).inc();
        tracing::warn!(source = self.source, error = %self.error, "dead letters not written, trying again");
    }
}

/// Somebody asked something of a monitor.
#[derive(Debug)]
pub(super) struct InstructionTaken<'a> {
    pub(super) monitor: &'a str,
    pub(super) ask: &'static str,
    pub(super) by: &'a str,
    pub(super) refused: Option<&'a super::Refused>,
}

impl InstructionTaken<'_> {
    pub(super) fn emit(&self, telemetry: &Telemetry) {
        let outcome = if self.refused.is_some() { "refused" } else { "done" };
        telemetry.instructions.with_label_values(&[self.monitor, self.ask, outcome]).inc();
        let Self { monitor, ask, by, refused } = self;
        tracing::info!(monitor, ask, by, ?refused, "instruction taken");
    }
}

/// A step of a backfill was asked for.
#[derive(Debug)]
pub(super) struct BackfillStepTaken<'a> {
    pub(super) monitor: &'a str,
    pub(super) outcome: &'a Result<super::BackfillProgress, super::BackfillError>,
}

impl BackfillStepTaken<'_> {
    pub(super) fn emit(&self) {
        match self.outcome {
            Ok(super::BackfillProgress { added, left, .. }) => {
                tracing::info!(monitor = self.monitor, added, left, "backfill step taken");
            }
            Err(error) => tracing::warn!(monitor = self.monitor, %error, "backfill step not taken"),
        }
    }
}

/// The configuration was read again.
#[derive(Debug)]
pub struct Reload<'a> {
    /// Why it was not taken in.
    pub refused: Option<&'a str>,
}

impl Reload<'_> {
    /// Writes the log line and moves the counter.
    pub fn emit(&self, telemetry: &Telemetry) {
        let outcome = if self.refused.is_some() { "refused" } else { "done" };
        telemetry.reloads.with_label_values(&[outcome]).inc();
        match self.refused {
            Some(why) => tracing::error!(why, "configuration refused, what ran before goes on"),
            None => tracing::info!("configuration taken in"),
        }
    }
}

/// A source cannot be read.
#[derive(Debug)]
pub(super) struct SourceLost<'a> {
    pub(super) source: &'a str,
    pub(super) error: &'a super::SourceError,
}

impl SourceLost<'_> {
    pub(super) fn emit(&self, telemetry: &Telemetry) {
        telemetry.source_up.with_label_values(&[self.source]).set(0);
        tracing::warn!(source = self.source, error = %self.error, "source cannot be read, trying again");
    }
}

/// An incident opened or closed.
#[derive(Debug)]
pub(super) struct IncidentChanged<'a> {
    pub(super) incident: &'a Incident,
    pub(super) opened: bool,
}

impl IncidentChanged<'_> {
    pub(super) fn emit(&self, telemetry: &Telemetry) {
        let incident = self.incident;
        if self.opened {
            let kind = match incident.kind {
                crate::anomaly::IncidentKind::Deviation => "deviation",
                crate::anomaly::IncidentKind::Minor => "minor",
                crate::anomaly::IncidentKind::NoData => "no_data",
                crate::anomaly::IncidentKind::EngineTrouble => "engine_trouble",
            };
            telemetry.incidents.with_label_values(&[incident.monitor.as_str(), kind]).inc();
        }
        let severity = incident.severity.peak;
        tracing::debug!(id = incident.id, severity, summary = incident.summary, "incident changed");
    }
}

/// What became of one attempt to deliver an alert.
#[derive(Debug)]
pub(super) enum Delivery<'a> {
    /// The receiver took it.
    Sent { id: &'a str, notifier: &'a str },
    /// It will be tried again.
    Failed { id: &'a str, notifier: &'a str, error: &'a str },
    /// It will not be tried again: the alert is lost, and a person must act.
    Dropped { id: &'a str, notifier: &'a str, error: &'a str },
}

impl Delivery<'_> {
    pub(super) fn emit(&self, telemetry: &Telemetry) {
        let count = |notifier: &str, outcome: &str| {
            telemetry.alerts.with_label_values(&[notifier, outcome]).inc();
        };
        match self {
            Self::Sent { id, notifier } => {
                count(notifier, "sent");
                tracing::info!(id, notifier, "alert sent");
            }
            Self::Failed { id, notifier, error } => {
                count(notifier, "failed");
                tracing::warn!(id, notifier, error, "alert not delivered, trying again");
            }
            Self::Dropped { id, notifier, error } => {
                count(notifier, "dropped");
                tracing::error!(id, notifier, error, "alert dropped");
            }
        }
    }
}
