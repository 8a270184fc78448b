//! The past of a monitor: steps of a backfill, and the store beside this one in which it lies ready.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{
    Durability, SqliteStore,
    sqlite::failed,
    write::{write_models, write_windows},
};
use crate::pipeline::{BackfillStep, Backlog, StoreError};

impl SqliteStore {
    /// Where the past of a monitor is made ready for the store at `path`. Letters, digits, `-` and `_` of the
    /// monitor's name stay as they are.
    pub fn backlog_path(path: &Path, monitor: &str) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".backfill-");
        for byte in monitor.bytes() {
            let is_plain = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            name.push(if is_plain { char::from(byte).to_string() } else { format!("%{byte:02x}") });
        }
        name.into()
    }

    /// The file; `None` in memory.
    pub fn path(&self) -> Option<PathBuf> {
        let path = self.write(|connection| Ok(connection.path().map(PathBuf::from)));
        path.ok().flatten().filter(|path| !path.as_os_str().is_empty())
    }

    pub(super) fn open_backlog(&self, monitor: &str) -> Result<Option<Backlog>, StoreError> {
        let Some(path) =
            self.path().map(|path| Self::backlog_path(&path, monitor)).filter(|path| path.exists())
        else {
            return Ok(None);
        };
        let store = Self::open(&path, Durability::Normal)?;
        let state = store.read(|connection| {
            connection
                .query_row("SELECT state FROM monitors WHERE monitor = ?1", [monitor], |row| row.get(0))
                .optional()
                .map_err(failed)
        })?;
        Ok(state.map(|state| Backlog { history: Box::new(store), state }))
    }

    pub(super) fn take_step(&self, step: &BackfillStep) -> Result<(), StoreError> {
        let monitor = step.monitor.as_str();
        self.write(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            for window in step.frames.chunk_by(|a, b| a.start_millis == b.start_millis) {
                for table in ["frames", "revisions", "correctable"] {
                    let sql = format!("DELETE FROM {table} WHERE monitor = ?1 AND start_millis = ?2");
                    transaction
                        .prepare_cached(&sql)
                        .and_then(|mut statement| statement.execute(params![monitor, window[0].start_millis]))
                        .map_err(failed)?;
                }
            }
            write_windows(&transaction, monitor, &step.slices, &step.frames).map_err(failed)?;
            if step.is_last {
                transaction.execute("DELETE FROM models WHERE monitor = ?1", [monitor]).map_err(failed)?;
            }
            write_models(&transaction, monitor, &step.models).map_err(failed)?;
            transaction.commit().map_err(failed)
        })
    }
}
