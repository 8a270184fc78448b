//! Refused events as JSON lines in a file, each with its reason and where it was.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use crate::{
    pipeline::{DeadLetters, LettersKept, StoreError},
    record::RejectSample,
};

/// Appends to one file. After a crash the last lines may appear twice, as the records are read again.
#[derive(Debug)]
pub struct DeadLetterFile {
    path: PathBuf,
    file: File,
}

impl DeadLetterFile {
    /// Opens or makes the file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
            StoreError::Unusable(format!("could not open dead-letter file `{}`: {error}", path.display()))
        })?;
        Ok(Self { path: path.to_owned(), file })
    }
}

#[async_trait]
impl DeadLetters for DeadLetterFile {
    async fn keep(&mut self, rejects: &[RejectSample]) -> Result<LettersKept, StoreError> {
        let mut lines = Vec::new();
        for reject in rejects {
            serde_json::to_writer(&mut lines, reject).expect("a sample is plain text and numbers");
            lines.push(b'\n');
        }
        tokio::task::block_in_place(|| self.file.write_all(&lines)).map_err(|error| {
            StoreError::Unavailable(format!("could not write to `{}`: {error}", self.path.display()))
        })?;
        Ok(LettersKept { written: rejects.len() as u64, dropped: 0 })
    }
}
