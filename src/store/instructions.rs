//! What people told monitors, and what incidents came to: rows that are only ever added.

use rusqlite::{Connection, Transaction, params};

use super::{
    read::rows,
    sqlite::{damaged, failed},
    write::json,
};
use crate::{
    anomaly::Milestone,
    pipeline::{Ask, CareQuery, Instructed, MonitorCommit, StoreError},
};

/// Adds the rows of a commit. A number that is there already is a second writer, and fails.
pub(super) fn write(transaction: &Transaction<'_>, commit: &MonitorCommit) -> rusqlite::Result<()> {
    let monitor = commit.monitor.as_str();
    for row in &commit.instructed {
        let ask = &row.instruction.ask;
        let word = match ask {
            Ask::Assign { to, .. } => to.as_deref(),
            Ask::Feedback(feedback) => Some(feedback.label.as_str()),
            _ => None,
        };
        transaction
            .prepare_cached(
                "INSERT INTO instructions (monitor, number, incident, ask, word, row)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![monitor, row.number, ask.incident(), ask.as_str(), word, json(row)])?;
        if let Ask::Undo { number } = ask {
            transaction
                .prepare_cached("UPDATE instructions SET undone = 1 WHERE monitor = ?1 AND number = ?2")?
                .execute(params![monitor, number])?;
        }
    }
    for milestone in &commit.milestones {
        transaction
            .prepare_cached("INSERT INTO milestones (incident, milestone) VALUES (?1, ?2)")?
            .execute(params![milestone.incident, json(milestone)])?;
    }
    Ok(())
}

/// Everything people told a monitor.
pub(super) fn of_monitor(connection: &Connection, monitor: &str) -> Result<Vec<Instructed>, StoreError> {
    let sql = "SELECT row FROM instructions WHERE monitor = ?1 ORDER BY number";
    rows(connection, sql, params![monitor], "instruction")
}

/// What people told about incidents.
pub(super) fn about(connection: &Connection, incidents: &[&str]) -> Result<Vec<Instructed>, StoreError> {
    let sql = "SELECT row FROM instructions WHERE incident IN (SELECT value FROM json_each(?1))
               ORDER BY monitor, number";
    rows(connection, sql, params![json(&incidents)], "instruction")
}

/// What an incident came to.
pub(super) fn milestones(connection: &Connection, incident: &str) -> Result<Vec<Milestone>, StoreError> {
    let sql = "SELECT milestone FROM milestones WHERE incident = ?1 ORDER BY sequence";
    rows(connection, sql, params![incident], "milestone")
}

/// The condition of a [`CareQuery`] on the table of incidents; its word is parameter 10.
pub(super) fn care(query: Option<CareQuery>) -> (&'static str, Option<&'static str>) {
    match query {
        None => ("?10 IS NULL", None),
        Some(CareQuery::Acknowledged) => (
            "?10 IS NULL AND EXISTS (SELECT 1 FROM instructions AS told
               WHERE told.incident = incidents.id AND told.ask = 'acknowledge')",
            None,
        ),
        Some(CareQuery::Unanswered) => (
            "?10 IS NULL AND NOT EXISTS (SELECT 1 FROM instructions AS told
               WHERE told.incident = incidents.id AND told.ask IN ('acknowledge', 'feedback') AND NOT undone)",
            None,
        ),
        Some(CareQuery::Labelled(label)) => (
            "?10 = (SELECT told.word FROM instructions AS told
               WHERE told.incident = incidents.id AND told.ask = 'feedback' AND NOT undone
               ORDER BY told.number DESC LIMIT 1)",
            Some(label.as_str()),
        ),
    }
}

/// The models of one shard as last saved.
pub(super) fn snapshot(
    connection: &Connection,
    monitor: &str,
    shard: usize,
) -> Result<Option<crate::pipeline::ModelBlob>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT through_millis, models FROM models WHERE monitor = ?1 AND shard = ?2")
        .map_err(failed)?;
    let mut found = statement.query(params![monitor, shard]).map_err(failed)?;
    let Some(row) = found.next().map_err(failed)? else { return Ok(None) };
    let through_millis = row.get(0).map_err(|error| damaged("model snapshot", &error))?;
    Ok(Some(crate::pipeline::ModelBlob { shard, through_millis, bytes: row.get(1).map_err(failed)? }))
}
