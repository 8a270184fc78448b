//! One process per store: an advisory lock on a file beside it, which the system drops when a process dies.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

/// The lock, held until dropped.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

/// The lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process uses the store `{}`; start with --standby to wait for it to end", path.display())]
    Held {
        /// The store.
        path: PathBuf,
    },
    /// The lock file cannot be opened.
    #[error("could not open `{}`: {error}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl StoreLock {
    /// Takes the lock of the store at `path`, or says at once that it is held.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let lock_path = path.with_extension("lock");
        let io = |error| LockError::Io { path: lock_path.clone(), error };
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let first = StoreLock::acquire(&path).unwrap();
        let error = StoreLock::acquire(&path).unwrap_err();
        assert!(matches!(error, LockError::Held { .. }), "{error}");
        drop(first);
        StoreLock::acquire(&path).unwrap();
    }
}
