//! Taking over a monitor that was trained in a file of its own.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{SqliteStore, sqlite::failed};
use crate::pipeline::StoreError;

/// What belongs to a monitor. Checkpoints, recorded inputs and alerts belong to the source it was trained from.
const COPY: [&str; 7] = [
    "INSERT INTO main.monitors (monitor, source, state)
     SELECT monitor, source, state FROM trained.monitors WHERE monitor = ?1",
    "INSERT INTO main.slices (monitor, number, key)
     SELECT monitor, number, key FROM trained.slices WHERE monitor = ?1",
    "INSERT INTO main.frames (monitor, start_millis, shard, end_millis, frame)
     SELECT monitor, start_millis, shard, end_millis, frame FROM trained.frames WHERE monitor = ?1 ORDER BY id",
    "INSERT INTO main.revisions (monitor, start_millis, shard, revision)
     SELECT monitor, start_millis, shard, revision FROM trained.revisions WHERE monitor = ?1",
    "INSERT INTO main.models (monitor, shard, through_millis, models)
     SELECT monitor, shard, through_millis, models FROM trained.models WHERE monitor = ?1",
    "INSERT INTO main.incidents (id, monitor, kind, state, opened_millis, severity_peak, incident)
     SELECT id, monitor, kind, state, opened_millis, severity_peak, incident
     FROM trained.incidents WHERE monitor = ?1",
    "INSERT INTO main.milestones (incident, milestone)
     SELECT incident, milestone FROM trained.milestones
     WHERE incident IN (SELECT id FROM trained.incidents WHERE monitor = ?1) ORDER BY sequence",
];

impl SqliteStore {
    /// Whether anything is stored of a monitor.
    pub fn knows(&self, monitor: &str) -> Result<bool, StoreError> {
        self.read(|connection| knows(connection, monitor).map_err(failed))
    }

    /// Takes over a monitor from the store in the file `from`, all or nothing: its windows, slices, models,
    /// incidents and state. Refused when this store has something of the monitor already.
    pub fn adopt(&self, monitor: &str, from: &Path) -> Result<(), StoreError> {
        self.write(|connection| {
            connection
                .execute("ATTACH DATABASE ?1 AS trained", [from.to_string_lossy().as_ref()])
                .map_err(failed)?;
            let outcome = copy(connection, monitor);
            connection.execute("DETACH DATABASE trained", []).map_err(failed)?;
            outcome
        })
    }
}

fn copy(connection: &mut Connection, monitor: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    if knows(&transaction, monitor).map_err(failed)? {
        return Err(StoreError::Unusable(format!("the store already holds monitor `{monitor}`")));
    }
    for statement in COPY {
        transaction.execute(statement, params![monitor]).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn knows(connection: &Connection, monitor: &str) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM main.monitors WHERE monitor = ?1)
             OR EXISTS (SELECT 1 FROM main.frames WHERE monitor = ?1)",
        [monitor],
        |row| row.get(0),
    )
}
