//! Looking up what became of alerts.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::sqlite::failed;
use crate::pipeline::{DeliveryQuery, DeliveryRow, DeliveryState, NotifierRecord, StoreError};

/// How a state is stored.
fn word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "waiting",
        DeliveryState::Sent => "sent",
        DeliveryState::GivenUp => "given_up",
    }
}

/// The alerts of a query, newest first.
pub(super) fn list(connection: &Connection, query: &DeliveryQuery) -> Result<Vec<DeliveryRow>, StoreError> {
    // Only what is asked for stands in the condition, so that its index serves.
    let mut conditions = vec!["?4 IS NULL OR sequence < ?4"];
    conditions.push(if query.notifier.is_some() { "notifier = ?1" } else { "?1 IS NULL" });
    conditions.push(if query.incident.is_some() { "incident = ?2" } else { "?2 IS NULL" });
    conditions.push(if query.state.is_some() { "state = ?3" } else { "?3 IS NULL" });
    let sql = format!(
        "SELECT sequence, id, incident, alert ->> '$.incident.monitor', alert ->> '$.incident.summary',
           notifier, alert ->> '$.kind', alert ->> '$.at_millis', coalesce(made_millis, alert ->> '$.at_millis'),
           settled_millis, state, attempts, error
         FROM outbox WHERE ({}) ORDER BY sequence DESC LIMIT ?5",
        conditions.join(") AND (")
    );
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let state = query.state.map(word);
    statement
        .query_map(params![query.notifier, query.incident, state, query.before, query.limit], row)
        .and_then(Iterator::collect)
        .map_err(failed)
}

fn row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let state: String = row.get(10)?;
    Ok(DeliveryRow {
        number: row.get(0)?,
        id: row.get(1)?,
        incident: row.get(2)?,
        monitor: row.get(3)?,
        summary: row.get(4)?,
        notifier: row.get(5)?,
        kind: row.get(6)?,
        at_millis: row.get(7)?,
        made_millis: row.get(8)?,
        settled_millis: row.get(9)?,
        state: match state.as_str() {
            "sent" => DeliveryState::Sent,
            "given_up" => DeliveryState::GivenUp,
            _ => DeliveryState::Waiting,
        },
        attempts: row.get(11)?,
        error: row.get(12)?,
    })
}

/// How a notifier fares.
pub(super) fn record(
    connection: &Connection,
    notifier: &str,
    since_millis: i64,
) -> Result<NotifierRecord, StoreError> {
    let found = || -> rusqlite::Result<NotifierRecord> {
        let (waiting, failed, last_sent_millis) = connection
            .prepare_cached(
                "SELECT (SELECT count(*) FROM outbox WHERE notifier = ?1 AND state = 'waiting'),
                   (SELECT count(*) FROM outbox
                    WHERE notifier = ?1 AND state = 'given_up' AND settled_millis >= ?2),
                   (SELECT max(settled_millis) FROM outbox WHERE notifier = ?1 AND state = 'sent')",
            )?
            .query_row(params![notifier, since_millis], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let last_error = connection
            .prepare_cached(
                "SELECT error FROM outbox WHERE notifier = ?1 AND error IS NOT NULL
                 ORDER BY sequence DESC LIMIT 1",
            )?
            .query_row([notifier], |row| row.get(0))
            .optional()?;
        Ok(NotifierRecord { waiting, failed, last_sent_millis, last_error })
    };
    found().map_err(failed)
}
