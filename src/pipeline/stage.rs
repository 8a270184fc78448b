//! Anomalies, incidents and alerts over windows of the past: the code that tells live, on its own.

use std::collections::BTreeMap;

use tidewatch_detectors::{Reason, Score, Side, log10_rate_of_severity};

use super::{BlobError, FrameBlob, SHARD_SLICES, ShardFrame, StoredScore};
use crate::{
    anomaly::{Alert, AnomalyTracker, HeldBack, Incident, IncidentBook, MonitorFacts, Reading, WindowView},
    window::{Cell, SliceKey},
};

/// Where windows of the past are told again.
pub(super) struct Stage<'s> {
    facts: &'s MonitorFacts,
    slices: &'s [SliceKey],
    tracker: AnomalyTracker,
    book: IncidentBook,
    /// Everything told, in order.
    pub(super) alerts: Vec<Alert>,
    /// Every incident as it stands, by the number this stage gave it.
    pub(super) incidents: BTreeMap<String, Incident>,
    /// What rules held back.
    pub(super) held_back: HeldBack,
    /// Windows told.
    pub(super) num_windows: usize,
    /// Start of the first and end of the last.
    pub(super) span_millis: Option<(i64, i64)>,
}

impl<'s> Stage<'s> {
    pub(super) fn new(facts: &'s MonitorFacts, slices: &'s [SliceKey]) -> Self {
        Self {
            facts,
            slices,
            tracker: AnomalyTracker::default(),
            book: IncidentBook::default(),
            alerts: Vec::new(),
            incidents: BTreeMap::new(),
            held_back: HeldBack::default(),
            num_windows: 0,
            span_millis: None,
        }
    }

    /// No reading yet of any series of a window.
    pub(super) fn no_readings(&self) -> Vec<Option<Reading>> {
        vec![None; self.slices.len() * self.facts.measures.len()]
    }

    /// Tells a window.
    pub(super) fn window(&mut self, (start_millis, end_millis): (i64, i64), readings: &[Option<Reading>]) {
        let view = WindowView { facts: self.facts, slices: self.slices, readings, start_millis, end_millis };
        let (changed, closed) = self.tracker.update(&view);
        let updates = self.book.update(&view, &changed, &closed);
        self.alerts.extend(updates.alerts);
        self.held_back += updates.held_back;
        for incident in updates.incidents {
            self.incidents.insert(incident.id.clone(), incident);
        }
        self.num_windows += 1;
        self.span_millis = Some((self.span_millis.map_or(start_millis, |(from, _)| from), end_millis));
    }

    /// The readings of a window as they were stored. `num_measures` counts the measures with stored scores.
    pub(super) fn stored_readings(
        &self,
        window: &[FrameBlob],
        num_measures: usize,
    ) -> Result<Vec<Option<Reading>>, BlobError> {
        let stride = self.facts.measures.len();
        let mut readings = self.no_readings();
        for blob in window {
            let frame = ShardFrame::decode(&blob.bytes)?;
            for (index, (cell, score)) in frame.cells.iter().zip(&frame.scores).enumerate() {
                let slice = blob.shard * SHARD_SLICES + index / num_measures;
                if let Some(place) = readings.get_mut(slice * stride + index % num_measures) {
                    *place = cell.map(|cell| reading(cell, score.as_ref()));
                }
            }
        }
        Ok(readings)
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
