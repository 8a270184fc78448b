//! The store in one SQLite file, in write-ahead mode: one writer, readers that never wait for it.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrate::migrate;
use crate::pipeline::StoreError;

/// What a commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power: each commit waits for the disk.
    #[default]
    Full,
    /// The death of the process; loss of power may undo the last commits, never half of one.
    Normal,
}

/// One SQLite file, or memory.
#[derive(Debug)]
pub struct SqliteStore {
    /// `None` in memory, where the writer's connection is the only one.
    reader: Option<Mutex<Connection>>,
    /// Closed last, so that an orderly end leaves everything in the one file: only a writing connection can
    /// bring the write-ahead log home.
    writer: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens or makes the file and brings its schema up to date.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let unusable = |error: rusqlite::Error| {
            StoreError::Unusable(format!("could not open store `{}`: {error}", path.display()))
        };
        let mut writer = Connection::open(path).map_err(unusable)?;
        writer.pragma_update(None, "journal_mode", "WAL").map_err(unusable)?;
        let synchronous = match durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        };
        writer.pragma_update(None, "synchronous", synchronous).map_err(unusable)?;
        writer.busy_timeout(Duration::from_secs(5)).map_err(unusable)?;
        migrate(&mut writer)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags).map_err(unusable)?;
        reader.busy_timeout(Duration::from_secs(5)).map_err(unusable)?;
        Ok(Self { writer: Mutex::new(writer), reader: Some(Mutex::new(reader)) })
    }

    /// A store that lives as long as this value, in a nameless temporary file: for backtests, of which nobody knows how
    /// much they will store.
    pub fn temporary() -> Result<Self, StoreError> {
        // SQLite makes a file for an empty name once its cache is full, and removes it in the end.
        let mut writer = Connection::open("").map_err(failed)?;
        writer.pragma_update(None, "journal_mode", "MEMORY").map_err(failed)?;
        writer.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
        migrate(&mut writer)?;
        Ok(Self { writer: Mutex::new(writer), reader: None })
    }

    /// A store in memory that lives as long as this value.
    pub fn in_memory() -> Result<Self, StoreError> {
        let mut writer = Connection::open_in_memory().map_err(failed)?;
        migrate(&mut writer)?;
        Ok(Self { writer: Mutex::new(writer), reader: None })
    }

    /// Runs `work` on the writing connection, off the async threads.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        tokio::task::block_in_place(|| work(&mut lock(&self.writer)))
    }

    /// Runs `work` on a reading connection.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.reader.as_ref().unwrap_or(&self.writer);
        tokio::task::block_in_place(|| work(&lock(connection)))
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic inside a transaction rolls it back when the transaction is dropped.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sorts SQLite's errors by what the caller does next.
#[expect(clippy::needless_pass_by_value, reason = "reads well as `map_err(failed)`")]
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    let passing = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
        )
    );
    let text = format!("the store failed: {error}");
    if passing { StoreError::Unavailable(text) } else { StoreError::Unusable(text) }
}

/// A row that this build cannot read.
pub(super) fn damaged(what: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unusable(format!("the store holds a damaged {what}: {error}"))
}
