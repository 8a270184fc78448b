//! Committing: one transaction, conditional on the checkpoint.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::{
    SqliteStore, instructions,
    sqlite::{damaged, failed},
};
use crate::{
    pipeline::{
        BackfillStep, Commit, CorrectableBlob, FrameBlob, ModelBlob, MonitorCommit, Restored,
        RestoredMonitor, SlicesFrom, Store, StoreError,
    },
    record::{Checkpoint, Header, PartitionId, Position, Record, RecordBatch, SourceId},
};

/// The records of a journal row, with the header row they share.
#[derive(Serialize, Deserialize)]
struct JournalRecords {
    header: Option<Vec<u8>>,
    records: Vec<(Option<String>, Vec<u8>)>,
}

#[async_trait]
impl Store for SqliteStore {
    async fn restore(&self, source: &SourceId) -> Result<Restored, StoreError> {
        self.read(|connection| {
            Ok(Restored {
                checkpoint: checkpoint(connection, source)?,
                journal: journal(connection, source)?,
            })
        })
    }

    async fn restore_monitor(&self, monitor: &str) -> Result<RestoredMonitor, StoreError> {
        self.read(|connection| {
            let state = connection
                .query_row("SELECT state FROM monitors WHERE monitor = ?1", [monitor], |row| row.get(0))
                .optional()
                .map_err(failed)?;
            let mut statement = connection
                .prepare_cached("SELECT shard, through_millis, models FROM models WHERE monitor = ?1")
                .map_err(failed)?;
            let models = statement
                .query_map([monitor], |row| {
                    Ok(ModelBlob { shard: row.get(0)?, through_millis: row.get(1)?, bytes: row.get(2)? })
                })
                .and_then(Iterator::collect)
                .map_err(failed)?;
            let slices = super::read::slices(connection, monitor)?;
            Ok(RestoredMonitor { state, slices, models, correctable: correctable(connection, monitor)? })
        })
    }

    async fn backfill(&self, step: &BackfillStep) -> Result<(), StoreError> {
        self.take_step(step)
    }

    async fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        self.write(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            move_checkpoint(&transaction, commit)?;
            write_journal(&transaction, commit).map_err(failed)?;
            for monitor in commit.monitors.iter().flatten() {
                write_monitor(&transaction, &commit.source, monitor, commit.at_millis).map_err(failed)?;
            }
            transaction.commit().map_err(failed)
        })
    }
}

fn correctable(connection: &Connection, monitor: &str) -> Result<Vec<CorrectableBlob>, StoreError> {
    connection
        .prepare_cached(
            "SELECT start_millis, correctable FROM correctable WHERE monitor = ?1 ORDER BY start_millis",
        )
        .and_then(|mut statement| {
            let blob = |row: &rusqlite::Row<'_>| {
                Ok(CorrectableBlob { start_millis: row.get(0)?, bytes: row.get(1)? })
            };
            statement.query_map([monitor], blob)?.collect()
        })
        .map_err(failed)
}

fn checkpoint(connection: &Connection, source: &SourceId) -> Result<Checkpoint, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT partition, position FROM checkpoints WHERE source = ?1")
        .map_err(failed)?;
    let rows = statement
        .query_map([source.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .map_err(failed)?;
    let mut checkpoint = Checkpoint::default();
    for row in rows {
        let (partition, position) = row.map_err(failed)?;
        checkpoint.insert(PartitionId::new(partition), parse_position(&position)?);
    }
    Ok(checkpoint)
}

fn parse_position(text: &str) -> Result<Position, StoreError> {
    text.parse().map_err(|error| damaged("position", &error))
}

fn journal(connection: &Connection, source: &SourceId) -> Result<Vec<RecordBatch>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT partition, from_exclusive, to_inclusive, received_millis, records
             FROM journal WHERE source = ?1 ORDER BY sequence",
        )
        .map_err(failed)?;
    let mut rows = statement.query([source.as_str()]).map_err(failed)?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let text = |column| row.get::<_, String>(column).map_err(failed);
        let bytes: Vec<u8> = row.get(4).map_err(failed)?;
        let stored: JournalRecords =
            postcard::from_bytes(&bytes).map_err(|error| damaged("journal row", &error))?;
        let record = |(id, payload): (Option<String>, Vec<u8>)| Record {
            payload: payload.into(),
            id: id.map(Into::into),
            envelope: None,
            place: None,
        };
        batches.push(RecordBatch {
            partition: PartitionId::new(text(0)?),
            records: stored.records.into_iter().map(record).collect(),
            from_exclusive: parse_position(&text(1)?)?,
            to_inclusive: parse_position(&text(2)?)?,
            header: stored.header.map(|row| Header::Row(row.into())),
            received_millis: row.get(3).map_err(failed)?,
            lag_millis: None,
            ends_partition: false,
        });
    }
    Ok(batches)
}

/// The condition that makes every record count once; see [`Checkpoint::apply`].
fn move_checkpoint(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), StoreError> {
    checkpoint(transaction, &commit.source)?.apply(&commit.delta)?;
    let mut statement = transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO checkpoints (source, partition, position) VALUES (?1, ?2, ?3)",
        )
        .map_err(failed)?;
    for (partition, (_, to)) in commit.delta.iter() {
        statement
            .execute(params![commit.source.as_str(), partition.as_str(), to.to_string()])
            .map_err(failed)?;
    }
    Ok(())
}

fn write_journal(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<()> {
    let source = commit.source.as_str();
    if commit.monitors.is_some() {
        transaction.prepare_cached("DELETE FROM journal WHERE source = ?1")?.execute([source])?;
        transaction
            .prepare_cached("DELETE FROM receipts WHERE source = ?1 AND at_millis < ?2")?
            .execute(params![source, commit.at_millis - commit.receipts_kept_millis])?;
    }
    for batch in &commit.journal {
        let record = |record: &Record| (record.id.as_deref().map(str::to_owned), record.payload.to_vec());
        let records = JournalRecords {
            header: batch.header.as_ref().and_then(header_row),
            records: batch.records.iter().map(record).collect(),
        };
        let bytes = postcard::to_stdvec(&records).expect("plain bytes always serialize");
        transaction
            .prepare_cached(
                "INSERT INTO journal (source, partition, from_exclusive, to_inclusive, received_millis, records)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                source,
                batch.partition.as_str(),
                batch.from_exclusive.to_string(),
                batch.to_inclusive.to_string(),
                batch.received_millis,
                bytes
            ])?;
    }
    for (id, receipt) in &commit.receipts {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO receipts (source, id, receipt, at_millis) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![source, id.as_ref(), json(receipt), commit.at_millis])?;
    }
    for input in &commit.inputs {
        transaction
            .prepare_cached("INSERT INTO inputs (source, input) VALUES (?1, ?2)")?
            .execute(params![source, json(input)])?;
    }
    Ok(())
}

fn write_monitor(
    transaction: &Transaction<'_>,
    source: &SourceId,
    commit: &MonitorCommit,
    at_millis: i64,
) -> rusqlite::Result<()> {
    let monitor = commit.monitor.as_str();
    transaction
        .prepare_cached("INSERT OR REPLACE INTO monitors (monitor, source, state) VALUES (?1, ?2, ?3)")?
        .execute(params![monitor, source.as_str(), commit.state])?;
    write_windows(transaction, monitor, &commit.slices, &commit.frames)?;
    write_revisions(transaction, commit)?;
    write_models(transaction, monitor, &commit.models)?;
    if let Some(retain_from) = commit.retain_from_millis {
        transaction
            .prepare_cached("DELETE FROM frames WHERE monitor = ?1 AND start_millis < ?2")?
            .execute(params![monitor, retain_from])?;
        transaction
            .prepare_cached("DELETE FROM revisions WHERE monitor = ?1 AND start_millis < ?2")?
            .execute(params![monitor, retain_from])?;
    }
    write_incidents(transaction, commit, at_millis)?;
    instructions::write(transaction, commit)
}

/// Windows and the slices that they bring.
pub(super) fn write_windows(
    transaction: &Transaction<'_>,
    monitor: &str,
    slices: &SlicesFrom,
    frames: &[FrameBlob],
) -> rusqlite::Result<()> {
    for (index, key) in slices.keys.iter().enumerate() {
        transaction
            .prepare_cached("INSERT INTO slices (monitor, number, key) VALUES (?1, ?2, ?3)")?
            .execute(params![monitor, slices.first + index, json(key)])?;
    }
    for frame in frames {
        transaction
            .prepare_cached(
                "INSERT INTO frames (monitor, start_millis, shard, end_millis, frame) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![monitor, frame.start_millis, frame.shard, frame.end_millis, frame.bytes])?;
    }
    Ok(())
}

pub(super) fn write_models(
    transaction: &Transaction<'_>,
    monitor: &str,
    models: &[ModelBlob],
) -> rusqlite::Result<()> {
    for blob in models {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO models (monitor, shard, through_millis, models) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![monitor, blob.shard, blob.through_millis, blob.bytes])?;
    }
    Ok(())
}

fn write_revisions(transaction: &Transaction<'_>, commit: &MonitorCommit) -> rusqlite::Result<()> {
    let monitor = commit.monitor.as_str();
    for revision in &commit.revisions {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO revisions (monitor, start_millis, shard, revision)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![monitor, revision.start_millis, revision.shard, revision.bytes])?;
    }
    for window in &commit.correctable {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO correctable (monitor, start_millis, correctable) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![monitor, window.start_millis, window.bytes])?;
    }
    transaction
        .prepare_cached("DELETE FROM correctable WHERE monitor = ?1 AND start_millis < ?2")?
        .execute(params![monitor, commit.correctable_from_millis])
        .map(|_| ())
}

fn write_incidents(
    transaction: &Transaction<'_>,
    commit: &MonitorCommit,
    at_millis: i64,
) -> rusqlite::Result<()> {
    for incident in &commit.incidents {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO incidents (id, monitor, kind, state, opened_millis, severity_peak, incident)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                incident.id,
                incident.monitor,
                word(&incident.kind),
                word(&incident.state),
                incident.opened_millis,
                incident.severity.peak,
                json(incident)
            ])?;
    }
    for alert in &commit.alerts {
        // An alert that is there already was made from the same records before a crash.
        transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO outbox (id, notifier, alert, due_millis, made_millis)
                 VALUES (?1, ?2, ?3, ?4, ?4)",
            )?
            .execute(params![alert.id, alert.notifier, json(alert), at_millis])?;
    }
    Ok(())
}

pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("rows hold no maps with keys other than text and numbers")
}

/// The serde name of a unit variant.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    json(value).trim_matches('"').to_owned()
}

/// The row to write. Schemas are not: sources that have them can be read again.
fn header_row(header: &Header) -> Option<Vec<u8>> {
    match header {
        Header::Row(row) => Some(row.to_vec()),
        Header::Schemas(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::CheckpointDelta;

    fn commit(from: u64, to: u64) -> Commit {
        let (partition, from, to) = (PartitionId::new("p"), Position::at(from), Position::at(to));
        let mut delta = CheckpointDelta::default();
        delta.extend(&partition, &from, &to).unwrap();
        let batch = RecordBatch {
            partition,
            records: vec![Record { id: Some("post-1".into()), ..Record::new("1,DE") }],
            from_exclusive: from,
            to_inclusive: to,
            header: Some(Header::Row("total,country".into())),
            received_millis: Some(7),
            lag_millis: None,
            ends_partition: false,
        };
        Commit {
            source: SourceId::new("s"),
            delta,
            journal: vec![batch],
            receipts: Vec::new(),
            receipts_kept_millis: 0,
            inputs: Vec::new(),
            monitors: None,
            at_millis: 7,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_journal_gives_back_what_it_was_given() {
        let store = SqliteStore::in_memory().unwrap();
        let mut first = commit(0, 5);
        first.delta = CheckpointDelta::default();
        first.delta.extend(&PartitionId::new("p"), &Position::Beginning, &Position::at(5)).unwrap();
        store.commit(&first).await.unwrap();
        let restored = store.restore(&SourceId::new("s")).await.unwrap();
        let batch = &restored.journal[0];
        assert_eq!(batch.header.as_ref().and_then(header_row).as_deref(), Some(&b"total,country"[..]));
        assert_eq!(batch.records[0].payload, "1,DE");
        assert_eq!(batch.records[0].id.as_deref(), Some("post-1"));
        assert_eq!(restored.checkpoint.position(&PartitionId::new("p")), Position::at(5));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_delta_that_does_not_fit_is_refused_and_changes_nothing() {
        let store = SqliteStore::in_memory().unwrap();
        assert!(matches!(store.commit(&commit(3, 5)).await, Err(StoreError::Conflict(_))));
        let restored = store.restore(&SourceId::new("s")).await.unwrap();
        assert!(restored.journal.is_empty());
        assert_eq!(restored.checkpoint, Checkpoint::default());
    }

    #[test]
    fn an_orderly_end_leaves_everything_in_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(&path, crate::store::Durability::Normal).unwrap();
            let mut first = commit(0, 5);
            first.delta = CheckpointDelta::default();
            first.delta.extend(&PartitionId::new("p"), &Position::Beginning, &Position::at(5)).unwrap();
            store.commit(&first).await.unwrap();
        });
        assert!(!path.with_extension("db-wal").exists(), "the write-ahead log was brought home");
    }
}
