//! How many incidents were told of late: the realised side of a budget.

use std::collections::BTreeMap;

use crate::anomaly::{Incident, IncidentKind};

const DAY_MILLIS: i64 = 86_400_000;
/// Further back nothing is kept.
const DAYS_KEPT: i64 = 28;

/// Incidents of deviations that a rule has told of, by id, with the time they opened.
#[derive(Debug, Default)]
pub(super) struct Realised {
    opened: BTreeMap<String, i64>,
    now_millis: i64,
}

impl Realised {
    /// Counts an incident, if a rule has told of it.
    pub(super) fn note(&mut self, incident: &Incident) {
        if incident.kind == IncidentKind::Deviation && incident.is_told() {
            self.opened.insert(incident.id.clone(), incident.opened_millis);
        }
    }

    /// Event time has come to `now_millis`.
    pub(super) fn forget_before(&mut self, now_millis: i64) {
        self.now_millis = now_millis;
        self.opened.retain(|_, opened| *opened >= now_millis - DAYS_KEPT * DAY_MILLIS);
    }

    /// The incidents of the last 28 days.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.opened.keys().map(String::as_str)
    }

    /// How many opened in so many days before now, at most 28.
    pub(super) fn within_days(&self, days: i64) -> usize {
        self.opened.values().filter(|opened| **opened >= self.now_millis - days * DAY_MILLIS).count()
    }
}
