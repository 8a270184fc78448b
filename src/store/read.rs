//! Reading what was stored: for the API, exports, restarts and delivery.

use async_trait::async_trait;
use rusqlite::{Connection, ToSql, params};
use serde::de::DeserializeOwned;

use super::{
    SqliteStore, deliveries, incidents, instructions,
    sqlite::{damaged, failed},
};
use crate::{
    anomaly::{Incident, Milestone},
    pipeline::{
        Backlog, DeliveryQuery, DeliveryRow, FrameBlob, History, HistoryRange, IncidentQuery, Instructed,
        ModelBlob, NotifierRecord, Outbox, OutboxRow, RecordedInput, SEVERITY_STEPS, StoreError,
    },
    record::{Receipt, SourceId},
    window::SliceKey,
};

#[async_trait]
impl History for SqliteStore {
    async fn slices(&self, monitor: &str) -> Result<Vec<SliceKey>, StoreError> {
        self.read(|connection| slices(connection, monitor))
    }

    async fn span(&self, monitor: &str) -> Result<Option<(i64, i64)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT min(start_millis), max(start_millis) FROM frames WHERE monitor = ?1";
            connection
                .query_row(sql, [monitor], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?)))
                .map(|(first, last): (Option<i64>, Option<i64>)| first.zip(last))
                .map_err(failed)
        })
    }

    async fn backlog(&self, monitor: &str) -> Result<Option<Backlog>, StoreError> {
        self.open_backlog(monitor)
    }

    async fn frames(&self, monitor: &str, range: HistoryRange) -> Result<Vec<FrameBlob>, StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached(
                    "SELECT start_millis, end_millis, shard, frame, revision
                     FROM frames LEFT JOIN revisions USING (monitor, start_millis, shard)
                     WHERE monitor = ?1 AND start_millis >= ?2 AND start_millis < ?3
                       AND (?4 IS NULL OR shard = ?4)
                     ORDER BY start_millis, shard LIMIT ?5",
                )
                .map_err(failed)?;
            let parameters = params![monitor, range.from_millis, range.to_millis, range.shard, range.limit];
            statement
                .query_map(parameters, |row| {
                    Ok(FrameBlob {
                        start_millis: row.get(0)?,
                        end_millis: row.get(1)?,
                        shard: row.get(2)?,
                        bytes: row.get(3)?,
                        revision: row.get(4)?,
                    })
                })
                .and_then(Iterator::collect)
                .map_err(failed)
        })
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Incident>, StoreError> {
        self.read(|connection| incidents::list(connection, query))
    }

    async fn severities(&self, query: &IncidentQuery) -> Result<[u64; SEVERITY_STEPS], StoreError> {
        self.read(|connection| incidents::severities(connection, query))
    }

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<DeliveryRow>, StoreError> {
        self.read(|connection| deliveries::list(connection, query))
    }

    async fn notifier_record(&self, notifier: &str, since_millis: i64) -> Result<NotifierRecord, StoreError> {
        self.read(|connection| deliveries::record(connection, notifier, since_millis))
    }

    async fn instructed(&self, monitor: &str) -> Result<Vec<Instructed>, StoreError> {
        self.read(|connection| instructions::of_monitor(connection, monitor))
    }

    async fn instructed_about(&self, incidents: &[&str]) -> Result<Vec<Instructed>, StoreError> {
        self.read(|connection| instructions::about(connection, incidents))
    }

    async fn milestones(&self, incident: &str) -> Result<Vec<Milestone>, StoreError> {
        self.read(|connection| instructions::milestones(connection, incident))
    }

    async fn snapshot(&self, monitor: &str, shard: usize) -> Result<Option<ModelBlob>, StoreError> {
        self.read(|connection| instructions::snapshot(connection, monitor, shard))
    }

    async fn incident(&self, id: &str) -> Result<Option<Incident>, StoreError> {
        self.read(|connection| {
            let found =
                rows(connection, "SELECT incident FROM incidents WHERE id = ?1", params![id], "incident")?;
            Ok(found.into_iter().next())
        })
    }

    async fn receipt(&self, source: &SourceId, id: &str) -> Result<Option<Receipt>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT receipt FROM receipts WHERE source = ?1 AND id = ?2";
            Ok(rows(connection, sql, params![source.as_str(), id], "receipt")?.into_iter().next())
        })
    }

    async fn inputs(&self, source: &SourceId) -> Result<Vec<RecordedInput>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT input FROM inputs WHERE source = ?1 ORDER BY sequence";
            rows(connection, sql, params![source.as_str()], "recorded input")
        })
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn due(&self, notifier: &str, now_millis: i64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached(
                    "SELECT alert, attempts FROM outbox AS mine
                     WHERE state = 'waiting' AND notifier = ?1 AND due_millis <= ?2
                       AND NOT EXISTS (
                         SELECT 1 FROM outbox AS earlier
                         WHERE earlier.state = 'waiting' AND earlier.notifier = ?1
                           AND earlier.due_millis > ?2 AND earlier.sequence < mine.sequence
                           AND earlier.alert ->> '$.incident.id' = mine.alert ->> '$.incident.id')
                     ORDER BY sequence LIMIT ?3",
                )
                .map_err(failed)?;
            let mut rows = statement.query(params![notifier, now_millis, limit]).map_err(failed)?;
            let mut due = Vec::new();
            while let Some(row) = rows.next().map_err(failed)? {
                let alert: String = row.get(0).map_err(failed)?;
                due.push(OutboxRow { alert: parse("alert", &alert)?, attempts: row.get(1).map_err(failed)? });
            }
            Ok(due)
        })
    }

    async fn delivered(&self, id: &str, now_millis: i64) -> Result<(), StoreError> {
        self.settle(
            "UPDATE outbox SET state = 'sent', attempts = attempts + 1, settled_millis = ?2, error = NULL
             WHERE id = ?1",
            params![id, now_millis],
        )
    }

    async fn postpone(&self, id: &str, due_millis: i64, error: &str) -> Result<(), StoreError> {
        self.settle(
            "UPDATE outbox SET due_millis = ?2, attempts = attempts + 1, error = ?3 WHERE id = ?1",
            params![id, due_millis, error],
        )
    }

    async fn give_up(&self, id: &str, now_millis: i64, error: &str) -> Result<(), StoreError> {
        self.settle(
            "UPDATE outbox SET state = 'given_up', attempts = attempts + 1, settled_millis = ?2, error = ?3
             WHERE id = ?1",
            params![id, now_millis, error],
        )
    }

    async fn num_waiting(&self, notifier: &str) -> Result<u64, StoreError> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT count(*) FROM outbox WHERE state = 'waiting' AND notifier = ?1",
                    [notifier],
                    |row| row.get(0),
                )
                .map_err(failed)
        })
    }
}

impl SqliteStore {
    /// The ids of records that are kept for a source, and when each was stored.
    pub fn receipt_ids(&self, source: &SourceId) -> Result<Vec<(String, i64)>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT id, at_millis FROM receipts WHERE source = ?1")
                .and_then(|mut statement| {
                    let rows =
                        statement.query_map([source.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
                    rows.collect()
                })
                .map_err(failed)
        })
    }

    fn settle(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<(), StoreError> {
        self.write(|connection| connection.execute(sql, parameters).map(|_| ()).map_err(failed))
    }

    /// Puts an alert that was sent or given up back into the outbox, under the same id. False when there is none.
    pub fn resend(&self, id: &str, now_millis: i64) -> Result<bool, StoreError> {
        self.write(|connection| {
            let sql = "UPDATE outbox
                       SET state = 'waiting', attempts = 0, due_millis = ?2, settled_millis = NULL, error = NULL
                       WHERE id = ?1 AND state <> 'waiting'";
            connection.execute(sql, params![id, now_millis]).map(|rows| rows > 0).map_err(failed)
        })
    }

    /// The ids of all alerts and what became of them, in the order they were made: for tests and audits.
    pub fn outbox_rows(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT id, state FROM outbox ORDER BY id").map_err(failed)?;
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
                .and_then(Iterator::collect)
                .map_err(failed)
        })
    }
}

pub(super) fn slices(connection: &Connection, monitor: &str) -> Result<Vec<SliceKey>, StoreError> {
    let sql = "SELECT key FROM slices WHERE monitor = ?1 ORDER BY number";
    rows(connection, sql, params![monitor], "slice")
}

/// The single JSON column of each row.
pub(super) fn rows<T: DeserializeOwned>(
    connection: &Connection,
    sql: &str,
    parameters: &[&dyn ToSql],
    what: &str,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let texts: Vec<String> =
        statement.query_map(parameters, |row| row.get(0)).and_then(Iterator::collect).map_err(failed)?;
    texts.iter().map(|text| parse(what, text)).collect()
}

fn parse<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| damaged(what, &error))
}
