//! What alert rules would have told over stored windows: the scores as they were stored, through the code that tells
//! live.
//!
//! Not seen: what the wall clock tells (no data, engine trouble), relations, whose scores are not stored, and what
//! became of windows that retention has deleted. Stored severities end at 100, so a budget that asks for rarer events
//! than that previews nothing.

use std::collections::BTreeMap;

use super::{
    BlobError, History, IncidentQuery, StoreError,
    stage::Stage,
    stored::{StoredWindows, windows},
};
use crate::anomaly::{Alert, HeldBack, IncidentKind, MonitorFacts};

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
    // Each rule speaks to a notifier of its own name, so that a message is told once.
    let mut told = facts.clone();
    for rule in &mut told.rules {
        rule.to = vec![rule.name.clone()];
    }
    let mut stage = Stage::new(&told, &slices);
    let mut stored = StoredWindows::new(history, &facts.monitor, slices.len(), (from_millis, i64::MAX));
    while let Some(page) = stored.next_page().await? {
        for window in windows(&page) {
            let readings = stage.stored_readings(window, num_measures)?;
            stage.window((window[0].start_millis, window[0].end_millis), &readings);
        }
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
    Ok(finish(stage, facts, &ids))
}

/// Gives incidents the ids under which they were stored, found by their beginning.
fn finish(stage: Stage<'_>, facts: &MonitorFacts, ids: &BTreeMap<i64, String>) -> RulesPreview {
    let mut preview = RulesPreview {
        alerts: Vec::new(),
        held_back: stage.held_back,
        num_windows: stage.num_windows,
        from_millis: stage.span_millis.map(|(from, _)| from),
        to_millis: stage.span_millis.map(|(_, to)| to),
    };
    for mut alert in stage.alerts {
        let to = facts.rules.iter().find(|rule| rule.name == alert.notifier);
        alert.incident.id = ids.get(&alert.incident.opened_millis).cloned().unwrap_or_default();
        let to = to.map(|rule| rule.to.clone()).unwrap_or_default();
        preview.alerts.push(PreviewedAlert { rule: alert.notifier.clone(), to, alert });
    }
    preview
}
