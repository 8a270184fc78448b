//! What people may see of a running engine: a copy made after each commit, never the state itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{MeasureProgress, Monitor, SourceState, Totals};
use crate::anomaly::NominalRate;
use crate::record::{RejectSample, SourceId};

/// One source as people see it.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Its name.
    pub source: SourceId,
    /// Its kind, as configured.
    pub kind: &'static str,
    /// Whether it can be read.
    pub state: SourceState,
    /// How far behind, where it can tell.
    pub lag_millis: Option<i64>,
    /// Records since the start of the process.
    pub num_records: u64,
}

/// One monitor as people see it.
#[derive(Clone, Debug)]
pub struct MonitorStatus {
    /// Its name.
    pub monitor: String,
    /// Its source.
    pub source: SourceId,
    /// Windows that end at or before this are closed.
    pub closed_through_millis: Option<i64>,
    /// Newest event time of any partition.
    pub newest_event_millis: Option<i64>,
    /// Windows open now.
    pub num_open_windows: usize,
    /// Closed windows that can still be revised, and the bytes kept of them.
    pub correctable: (usize, usize),
    /// Series kept.
    pub num_series: usize,
    /// Of these, how many have not scored yet.
    pub num_learning: usize,
    /// Windows seen and needed, while no series scores yet.
    pub learning: Option<(u64, u64)>,
    /// The same in detail, by measure.
    pub progress: Vec<MeasureProgress>,
    /// Where every event went.
    pub totals: Totals,
    /// The last refused events.
    pub reject_samples: Vec<RejectSample>,
    /// Incidents open now.
    pub num_open_incidents: usize,
    /// Series with a score in the last window.
    pub num_judged: usize,
    /// What its alert rules may cost.
    pub nominal: NominalRate,
    /// Incidents that were told in the last 7 and in the last 28 days of event time.
    pub told: [usize; 2],
    /// What people said to those of 28 days.
    pub feedback: FeedbackFigures,
}

/// How people judged the incidents that were told in the last 28 days of event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedbackFigures {
    /// Told.
    pub told: usize,
    /// Acknowledged or labelled.
    pub answered: usize,
    /// By label, in the order of [`super::Label::ALL`].
    pub labels: [usize; 4],
    /// Missed incidents that were reported and still count, of any age.
    pub missed: usize,
}

impl FeedbackFigures {
    /// The share of labelled incidents that were worth telling: confirmed, or a new normal.
    pub fn precision(&self) -> Option<f64> {
        let [confirmed, expected, false_alarm, new_normal] = self.labels.map(|count| count as f64);
        let all = confirmed + expected + false_alarm + new_normal;
        (all > 0.0).then(|| (confirmed + new_normal) / all)
    }

    /// The share of told incidents that anybody answered.
    pub fn response_rate(&self) -> Option<f64> {
        (self.told > 0).then(|| self.answered as f64 / self.told as f64)
    }
}

pub(super) fn of_monitor(source: &SourceId, monitor: &Monitor) -> MonitorStatus {
    let progress = monitor.models.progress();
    let sum = |part: fn(&MeasureProgress) -> usize| progress.iter().map(part).sum::<usize>();
    let first = progress.iter().filter_map(|measure| measure.first).max_by_key(|(seen, _)| *seen);
    MonitorStatus {
        monitor: monitor.spec.facts.monitor.clone(),
        source: source.clone(),
        closed_through_millis: monitor.windows.next_start(),
        newest_event_millis: monitor.windows.watermarks().newest_millis(),
        num_open_windows: monitor.windows.num_open(),
        correctable: monitor.corrections.size(),
        num_series: sum(|measure| measure.num_series),
        num_learning: sum(|measure| measure.num_learning),
        learning: first.filter(|_| sum(|measure| measure.num_scoring) == 0),
        progress: progress.clone(),
        totals: monitor.totals.clone(),
        reject_samples: monitor.samples.clone(),
        num_open_incidents: monitor.open_incidents().count(),
        num_judged: monitor.num_judged,
        nominal: NominalRate::of(&monitor.spec.facts.rules, monitor.num_judged),
        told: [7, 28].map(|days| monitor.realised.within_days(days)),
        feedback: monitor.feedback_figures(),
    }
}

/// The newest status of all sources and monitors; cheap to share.
#[derive(Clone, Debug, Default)]
pub struct StatusBoard(Arc<RwLock<Board>>);

#[derive(Debug, Default)]
struct Board {
    sources: BTreeMap<SourceId, SourceStatus>,
    monitors: BTreeMap<String, MonitorStatus>,
}

impl StatusBoard {
    /// Replaces what is known of a source and its monitors.
    pub fn update(&self, source: SourceStatus, monitors: Vec<MonitorStatus>) {
        let mut board = self.0.write().unwrap_or_else(PoisonError::into_inner);
        board.sources.insert(source.source.clone(), source);
        board.monitors.extend(monitors.into_iter().map(|status| (status.monitor.clone(), status)));
    }

    /// Forgets everything, before other parts begin to tell.
    pub fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Board::default();
    }

    /// Sources by name.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).sources.values().cloned().collect()
    }

    /// Monitors by name.
    pub fn monitors(&self) -> Vec<MonitorStatus> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).monitors.values().cloned().collect()
    }

    /// One monitor.
    pub fn monitor(&self, name: &str) -> Option<MonitorStatus> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).monitors.get(name).cloned()
    }
}
