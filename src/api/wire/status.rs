//! Health and status of sources and monitors.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::rfc3339;
use crate::{
    pipeline::{MonitorStatus, SourceState, SourceStatus, Totals},
    record::{RejectReason, RejectSample},
};

/// Characters of a refused record that are shown.
const PAYLOAD_SHOWN_CHARS: usize = 512;

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Live")]
pub struct LiveWire {
    /// Always true.
    pub live: bool,
}

/// Whether every source can be read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Ready")]
pub struct ReadyWire {
    /// Whether it is.
    pub ready: bool,
    /// What is not.
    pub not_ready: Vec<NotReadyWire>,
}

/// A source that cannot be read now.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "NotReady")]
pub struct NotReadyWire {
    /// The source.
    pub source: String,
    /// `starting` or `unreachable`.
    #[schema(example = "unreachable")]
    pub state: &'static str,
    /// Why.
    pub why: String,
}

/// Everything that runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Status")]
pub struct StatusWire {
    /// Version of the program.
    pub version: &'static str,
    /// The server's time.
    #[schema(format = DateTime)]
    pub now: String,
    /// Sources by name.
    pub sources: Vec<SourceWire>,
    /// Monitors as configured.
    pub monitors: Vec<MonitorWire>,
}

/// One source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Source")]
pub struct SourceWire {
    /// Its name.
    pub name: String,
    /// Its kind, as configured.
    #[schema(example = "http")]
    pub kind: &'static str,
    /// `starting`, `reading`, `caught_up`, `unreachable` or `ended`.
    #[schema(example = "caught_up")]
    pub state: &'static str,
    /// How far reading is behind; `null` where it cannot tell.
    pub lag_millis: Option<i64>,
    /// Records since the process started.
    pub records: u64,
    /// Why it is unreachable.
    pub error: Option<String>,
}

/// Monitors as configured.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Monitors")]
pub struct MonitorsWire {
    /// The monitors.
    pub monitors: Vec<MonitorWire>,
}

/// One monitor: what it watches and how far it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Monitor")]
pub struct MonitorWire {
    /// Its name.
    pub name: String,
    /// Its source.
    pub source: String,
    /// The zone whose civil time its windows follow.
    #[schema(example = "Europe/Berlin")]
    pub zone: String,
    /// Width of a window.
    pub interval_seconds: i64,
    /// Its dimensions.
    pub dimensions: Vec<String>,
    /// Its measures.
    pub measures: Vec<MeasureWire>,
    /// Windows that end at or before this are closed; `null` before the first.
    #[schema(format = DateTime)]
    pub closed_through: Option<String>,
    /// Newest event time.
    #[schema(format = DateTime)]
    pub newest_event: Option<String>,
    /// Series kept.
    pub num_series: usize,
    /// Of these, how many have not scored yet.
    pub num_learning: usize,
    /// Progress, while no series scores yet.
    pub learning: Option<LearningWire>,
    /// Where every event went.
    pub totals: TotalsWire,
    /// Refused events by reason, without the zeros.
    pub rejected_by_reason: BTreeMap<&'static str, u64>,
    /// The last refused events.
    pub reject_samples: Vec<RejectSampleWire>,
    /// Incidents open now.
    pub num_open_incidents: usize,
    /// Windows open now.
    pub num_open_windows: usize,
    /// What alert rules may cost and what came; `null` before the first status.
    pub alert_rate: Option<AlertRateWire>,
}

/// Nominal and realised rates of alerts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "AlertRate")]
pub struct AlertRateWire {
    /// Series with a score in the last window; a budget is shared among them.
    pub series_judged: usize,
    /// False alarms a week that the most talkative rule may cost, ungrouped; `null` without rules.
    pub nominal_per_week: Option<f64>,
    /// Whether every rule asks for a rate that calibration was measured at; else it is extrapolated.
    pub is_measured: bool,
    /// Incidents told in the last 7 days of event time.
    pub told_7_days: usize,
    /// Incidents told in the last 28 days of event time.
    pub told_28_days: usize,
}

/// One measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Measure")]
pub struct MeasureWire {
    /// Its name.
    pub name: String,
    /// `count`, `sum`, `avg`, `min`, `max`, `distinct`, `ratio`, or a quantile such as `p95`.
    #[schema(example = "count")]
    pub kind: String,
    /// Its unit, if configured.
    pub unit: Option<String>,
}

/// How far the warm-up is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Learning")]
pub struct LearningWire {
    /// Windows seen.
    pub seen: u64,
    /// Windows needed.
    pub needed: u64,
}

/// Where every event went: `events` is the sum of the others.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(title = "Totals")]
pub struct TotalsWire {
    /// Events that came.
    pub events: u64,
    /// Aggregated.
    pub counted: u64,
    /// Late, and merged into their closed window.
    pub revised: u64,
    /// Late, and to be merged when the next window closes.
    pub waiting: u64,
    /// Refused.
    pub rejected: u64,
    /// Too late for their window.
    pub late: u64,
    /// Their window had been closed by idleness or the clock.
    pub after_close: u64,
    /// Over a limit.
    pub over_limit: u64,
}

/// One refused event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "RejectSample")]
pub struct RejectSampleWire {
    /// The partition.
    pub partition: String,
    /// The batch's positions.
    #[schema(example = "(1..2]")]
    pub positions: String,
    /// Index of the record in its batch, from 0.
    pub record: usize,
    /// Index of the row in its record, from 0.
    pub row: usize,
    /// The reason.
    #[schema(example = "malformed")]
    pub reason: &'static str,
    /// What was wrong.
    pub detail: String,
    /// The record's first 512 characters.
    pub payload: String,
}

impl NotReadyWire {
    /// `None` when the source is readable or was read to its end.
    pub fn of(name: &str, state: Option<&SourceState>) -> Option<Self> {
        let (state, why) = match state {
            None => ("starting", "its run loop has not started yet".to_owned()),
            Some(SourceState::Starting) => ("starting", "it is connecting".to_owned()),
            Some(SourceState::Unreachable { why }) => ("unreachable", why.clone()),
            Some(SourceState::Reading | SourceState::CaughtUp | SourceState::Ended) => return None,
        };
        Some(Self { source: name.to_owned(), state, why })
    }
}

impl From<&SourceStatus> for SourceWire {
    fn from(status: &SourceStatus) -> Self {
        let error = match &status.state {
            SourceState::Unreachable { why } => Some(why.clone()),
            _ => None,
        };
        Self {
            name: status.source.to_string(),
            kind: status.kind,
            state: status.state.as_str(),
            lag_millis: status.lag_millis,
            records: status.num_records,
            error,
        }
    }
}

impl MonitorWire {
    /// Fills in how far the monitor is; what is configured stays.
    #[must_use]
    pub fn with_status(mut self, status: &MonitorStatus) -> Self {
        self.closed_through = status.closed_through_millis.map(rfc3339);
        self.newest_event = status.newest_event_millis.map(rfc3339);
        self.num_series = status.num_series;
        self.num_learning = status.num_learning;
        self.learning = status.learning.map(|(seen, needed)| LearningWire { seen, needed });
        self.totals = TotalsWire::from(&status.totals);
        let reasons = RejectReason::ALL.iter().zip(status.totals.rejected).filter(|(_, count)| *count > 0);
        self.rejected_by_reason = reasons.map(|(reason, count)| (reason.as_str(), count)).collect();
        self.reject_samples = status.reject_samples.iter().map(RejectSampleWire::from).collect();
        self.num_open_incidents = status.num_open_incidents;
        self.alert_rate = Some(AlertRateWire {
            series_judged: status.num_judged,
            nominal_per_week: status.nominal.per_week,
            is_measured: status.nominal.is_measured,
            told_7_days: status.told[0],
            told_28_days: status.told[1],
        });
        self.num_open_windows = status.num_open_windows;
        self
    }
}

impl From<&Totals> for TotalsWire {
    fn from(totals: &Totals) -> Self {
        Self {
            events: totals.events,
            counted: totals.counted,
            revised: totals.revised,
            waiting: totals.waiting,
            rejected: totals.num_rejected(),
            late: totals.late,
            after_close: totals.after_close,
            over_limit: totals.over_limit,
        }
    }
}

impl From<&RejectSample> for RejectSampleWire {
    fn from(sample: &RejectSample) -> Self {
        Self {
            partition: sample.partition.clone(),
            positions: sample.positions.clone(),
            record: sample.record,
            row: sample.row,
            reason: sample.reason.as_str(),
            detail: sample.detail.clone(),
            payload: sample.payload.chars().take(PAYLOAD_SHOWN_CHARS).collect(),
        }
    }
}
