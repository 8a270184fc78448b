//! Looking incidents up: lists, and how many there are of each severity.

use rusqlite::{Connection, ToSql, params};

use super::{
    instructions,
    read::rows,
    sqlite::failed,
    write::{json, word},
};
use crate::{
    anomaly::Incident,
    pipeline::{IncidentQuery, SEVERITY_STEPS, StoreError},
};

/// The incidents of a query, newest first.
pub(super) fn list(connection: &Connection, query: &IncidentQuery) -> Result<Vec<Incident>, StoreError> {
    let filter = filter(query);
    let sql =
        format!("SELECT incident FROM incidents WHERE {filter} ORDER BY opened_millis DESC, id LIMIT ?13");
    with_parameters(query, |parameters| rows(connection, &sql, parameters, "incident"))
}

/// How many incidents of a query there are, by their peak severity. No incident is read for it.
pub(super) fn severities(
    connection: &Connection,
    query: &IncidentQuery,
) -> Result<[u64; SEVERITY_STEPS], StoreError> {
    let sql = format!(
        "SELECT min(CAST(severity_peak * {SEVERITY_STEPS} / 100 AS INTEGER), {SEVERITY_STEPS} - 1), count(*)
         FROM incidents WHERE {} AND ?13 IS NOT NULL GROUP BY 1",
        filter(query)
    );
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let counted: Vec<(usize, u64)> = with_parameters(query, |parameters| {
        statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect)
    })
    .map_err(failed)?;
    let mut steps = [0; SEVERITY_STEPS];
    for (step, count) in counted {
        steps[step.min(SEVERITY_STEPS - 1)] += count;
    }
    Ok(steps)
}

/// The condition of a query; its parameters are those of [`with_parameters`].
fn filter(query: &IncidentQuery) -> String {
    let (care, _) = instructions::care(query.care);
    format!(
        "(?1 IS NULL OR monitor = ?1) AND (?2 IS NULL OR state = ?2)
         AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR severity_peak >= ?4)
         AND (?5 IS NULL OR opened_millis < ?5) AND (?6 IS NULL OR opened_millis >= ?6)
         AND (?7 IS NULL OR opened_millis < ?7 OR opened_millis = ?7 AND id > ?8)
         AND (?14 IS NULL OR state = 'open'
           OR id IN (SELECT late.id FROM incidents AS late WHERE late.until_millis > ?14))
         AND ((?9 IS NULL AND ?11 IS NULL) OR EXISTS (
           SELECT 1 FROM json_each(incident, '$.members') AS member
           WHERE (?9 IS NULL OR member.value ->> '$.measure' = ?9)
             AND (?11 IS NULL OR NOT EXISTS (
               SELECT 1 FROM json_each(?11) AS wanted
               WHERE (member.value -> '$.slice') ->> wanted.key IS NOT wanted.value))))
         AND ({care})
         AND (?12 IS NULL OR ?12 = (
           SELECT told.word FROM instructions AS told
           WHERE told.incident = incidents.id AND told.ask = 'assign'
           ORDER BY told.number DESC LIMIT 1))"
    )
}

fn with_parameters<T>(query: &IncidentQuery, run: impl FnOnce(&[&dyn ToSql]) -> T) -> T {
    let state = query.state.as_ref().map(word);
    let kind = query.kind.as_ref().map(word);
    let slice = (!query.slice.is_empty()).then(|| json(&query.slice));
    let (after_millis, after_id) = query.after.clone().unzip();
    let (_, label) = instructions::care(query.care);
    run(params![
        query.monitor,
        state,
        kind,
        query.min_severity,
        query.opened_before_millis,
        query.opened_from_millis,
        after_millis,
        after_id,
        query.measure,
        label,
        slice,
        query.assigned,
        query.limit,
        query.lasting_after_millis
    ])
}
