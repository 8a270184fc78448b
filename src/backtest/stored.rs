//! A backtest over what a store holds already: its windows under settings of one's own, and what people said of its
//! incidents as labels.

use std::sync::Arc;

use super::{Backtest, Label};
use crate::{
    anomaly::IncidentKind,
    pipeline::{
        Ask, History, IncidentQuery, Label as Said, Ledger, MonitorSpec, ReplayError, StoreError, replay,
    },
    store::SqliteStore,
};

/// What `spec` would have said over the stored windows that start within `range`. See [`replay`] for what is not seen;
/// `told` is its.
pub async fn backtest_stored<H, F>(
    history: &H,
    spec: Arc<MonitorSpec>,
    range: (i64, i64),
    told: impl FnMut(u64, i64) -> F,
) -> Result<Backtest, ReplayError>
where
    H: History + ?Sized,
    F: Future<Output = bool>,
{
    let store = Arc::new(SqliteStore::temporary()?);
    let (facts, interval_millis) = (spec.facts.clone(), spec.window.grid.width().millis());
    let status = replay(history, store.as_ref(), spec, range, told).await?;
    Ok(Backtest::of(store, facts, interval_millis, &status).await?)
}

/// Incidents that people confirmed, and those that they reported as missed, in order of time.
pub async fn said_labels<H: History + ?Sized>(history: &H, monitor: &str) -> Result<Vec<Label>, StoreError> {
    let rows = history.instructed(monitor).await?;
    let ledger = Ledger::of(&rows);
    let query = IncidentQuery {
        monitor: Some(monitor.to_owned()),
        kind: Some(IncidentKind::Deviation),
        limit: usize::MAX >> 1,
        ..IncidentQuery::default()
    };
    let mut labels = Vec::new();
    for incident in history.incidents(&query).await? {
        if ledger.label(&incident.id) == Some(Said::Confirmed) {
            labels.push(Label {
                start_millis: incident.opened_millis,
                end_millis: incident.until_millis.max(incident.opened_millis + 1),
                name: incident.id,
            });
        }
    }
    for row in rows.iter().filter(|row| ledger.holds(row.number)) {
        if let Ask::Missed(missed) = &row.instruction.ask {
            labels.push(Label {
                start_millis: missed.from_millis,
                end_millis: missed.to_millis.max(missed.from_millis + 1),
                name: format!("missed, reported by {}", row.instruction.by),
            });
        }
    }
    labels.sort_by_key(|label| (label.start_millis, label.end_millis));
    Ok(labels)
}
