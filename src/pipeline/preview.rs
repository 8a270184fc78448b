//! What alert rules would have told over stored windows: the scores as they were stored, through the code that tells
//! live.
//!
//! Not seen: what the wall clock tells (no data, engine trouble), relations, whose scores are not stored, and what
//! became of windows that retention has deleted. Stored severities end at 100, so a budget that asks for rarer events
//! than that previews nothing.

use std::collections::BTreeMap;

use tidewatch_detectors::{Reason, Score, Side, log10_rate_of_severity};

use super::{
    BlobError, History, HistoryRange, IncidentQuery, SHARD_SLICES, ShardFrame, StoreError, StoredScore,
};
use crate::{
    anomaly::{
        Alert, AnomalyTracker, HeldBack, IncidentBook, IncidentKind, MonitorFacts, Reading, WindowView,
    },
    window::{Cell, SliceKey},
};

/// Blobs read at a time; a window has one per 256 slices.
const PAGE: usize = 10_000;
/// Stored incidents whose ids are looked up.
const INCIDENTS_MAX: usize = 10_000;

/// One message that a rule would have sent.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewedAlert {
    /// The rule's name.
    pub rule: String,
    /// The notifiers it would have gone to.
    pub to: Vec<String>,
    /// The message. Its incident has the id under which it was stored, or else none.
    pub alert: Alert,
}

/// What rules would have done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesPreview {
    /// The messages in order.
    pub alerts: Vec<PreviewedAlert>,
    /// What they would have held back.
    pub held_back: HeldBack,
    /// Windows that were looked at.
    pub num_windows: usize,
    /// Start of the first.
    pub from_millis: Option<i64>,
    /// End of the last.
    pub to_millis: Option<i64>,
}

/// A preview could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it holds cannot be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Tells the stored windows of a monitor that start at or after `from_millis` to the rules of `facts`.
/// `num_measures` counts those with stored scores; the names of relations follow them in `facts`.
pub async fn preview(
    history: &dyn History,
    facts: &MonitorFacts,
    num_measures: usize,
    from_millis: i64,
) -> Result<RulesPreview, PreviewError> {
    let slices = history.slices(&facts.monitor).await?;
    let mut stage = Stage::new(facts, num_measures, slices);
    let mut range = HistoryRange { from_millis, to_millis: i64::MAX, shard: None, limit: PAGE };
    range.limit = range.limit.max(2 * stage.slices.len().div_ceil(SHARD_SLICES));
    loop {
        let mut page = history.frames(&facts.monitor, range).await?;
        let next = page.last().map(|blob| blob.start_millis).filter(|_| page.len() == range.limit);
        if next.is_some() {
            // The last window may be cut by the page: it comes whole with the next one.
            page.retain(|blob| Some(blob.start_millis) != next);
        }
        for window in page.chunk_by(|a, b| a.start_millis == b.start_millis) {
            let mut frames = BTreeMap::new();
            for blob in window {
                frames.insert(blob.shard, ShardFrame::decode(&blob.bytes)?);
            }
            stage.window(window[0].start_millis, window[0].end_millis, &frames);
        }
        let Some(next) = next else { break };
        range.from_millis = next;
        tokio::task::yield_now().await;
    }
    let query = IncidentQuery {
        monitor: Some(facts.monitor.clone()),
        kind: Some(IncidentKind::Deviation),
        limit: INCIDENTS_MAX,
        ..IncidentQuery::default()
    };
    let stored = history.incidents(&query).await?;
    let ids = stored.into_iter().map(|incident| (incident.opened_millis, incident.id)).collect();
    Ok(stage.finish(facts, &ids))
}

/// Anomalies and incidents over stored windows.
struct Stage {
    /// Each rule speaks to a notifier of its own name, so that a message is told once.
    facts: MonitorFacts,
    num_measures: usize,
    slices: Vec<SliceKey>,
    tracker: AnomalyTracker,
    book: IncidentBook,
    alerts: Vec<Alert>,
    preview: RulesPreview,
}

impl Stage {
    fn new(facts: &MonitorFacts, num_measures: usize, slices: Vec<SliceKey>) -> Self {
        let mut facts = facts.clone();
        for rule in &mut facts.rules {
            rule.to = vec![rule.name.clone()];
        }
        Self {
            facts,
            num_measures,
            slices,
            tracker: AnomalyTracker::default(),
            book: IncidentBook::default(),
            alerts: Vec::new(),
            preview: RulesPreview::default(),
        }
    }

    fn window(&mut self, start_millis: i64, end_millis: i64, frames: &BTreeMap<usize, ShardFrame>) {
        let stride = self.facts.measures.len();
        let mut readings = vec![None; self.slices.len() * stride];
        for (shard, frame) in frames {
            for (index, (cell, score)) in frame.cells.iter().zip(&frame.scores).enumerate() {
                let slice = shard * SHARD_SLICES + index / self.num_measures;
                if let Some(place) = readings.get_mut(slice * stride + index % self.num_measures) {
                    *place = cell.map(|cell| reading(cell, score.as_ref()));
                }
            }
        }
        let (facts, slices) = (&self.facts, &self.slices);
        let view = WindowView { facts, slices, readings: &readings, start_millis, end_millis };
        let (changed, closed) = self.tracker.update(&view);
        let updates = self.book.update(&view, &changed, &closed);
        self.alerts.extend(updates.alerts);
        self.preview.held_back += updates.held_back;
        self.preview.num_windows += 1;
        self.preview.from_millis.get_or_insert(start_millis);
        self.preview.to_millis = Some(end_millis);
    }

    /// Gives incidents the ids under which they were stored, found by their beginning.
    fn finish(self, facts: &MonitorFacts, ids: &BTreeMap<i64, String>) -> RulesPreview {
        let mut preview = self.preview;
        for mut alert in self.alerts {
            let to = facts.rules.iter().find(|rule| rule.name == alert.notifier);
            alert.incident.id = ids.get(&alert.incident.opened_millis).cloned().unwrap_or_default();
            let to = to.map(|rule| rule.to.clone()).unwrap_or_default();
            preview.alerts.push(PreviewedAlert { rule: alert.notifier.clone(), to, alert });
        }
        preview
    }
}

fn reading(cell: Cell, score: Option<&StoredScore>) -> Reading {
    let score = score.map(|stored| Score {
        expected: stored.expected,
        lower: stored.lower,
        upper: stored.upper,
        page_log10_rate: log10_rate_of_severity(f64::from(stored.severity)),
        minor_log10_rate: log10_rate_of_severity(f64::from(stored.minor)),
        side: if cell.value < stored.expected { Side::Drop } else { Side::Rise },
        reason: Reason::Quiet,
    });
    Reading { actual: cell.value, score, expected: score.map(|score| score.expected) }
}
