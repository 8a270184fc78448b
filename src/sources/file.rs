//! Files and standard input. Each file is a partition; the one that is furthest behind in event time is read
//! next, so that windows close as they would have live.
//!
//! A position is the number of decompressed bytes read. Standard input cannot be read again after a crash, so
//! its records are kept in the journal.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use super::chunks::RowReader;
use crate::{
    pipeline::{Source, SourceError, SourceState},
    record::{Checkpoint, Format, Header, PartitionId, Position, Receipt, RecordBatch},
};

/// Rows per batch at full speed, and when paced.
const ROWS_PER_BATCH: usize = 20_000;
const ROWS_PER_PACED_BATCH: usize = 200;

/// What to read.
#[derive(Clone, Debug)]
pub struct FileSourceConfig {
    /// Each a path, a glob pattern, or `-` for standard input.
    pub paths: Vec<String>,
    /// How the files are written.
    pub format: Format,
    /// Longest row; longer ones are refused.
    pub record_bytes_max: usize,
    /// How many times as fast as the events happened; as fast as possible when `None`.
    pub speed: Option<f64>,
}

/// Reads files until all have ended.
#[derive(Debug)]
pub struct FileSource {
    config: FileSourceConfig,
    parts: Vec<Part>,
    pace: Option<Pace>,
}

struct Part {
    partition: PartitionId,
    path: PathBuf,
    position: Position,
    reader: Option<RowReader>,
    /// The reader stands at `position`.
    opened: bool,
    header: Option<Bytes>,
    newest_millis: Option<i64>,
    ended: bool,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("path", &self.path)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Event time against time passed.
#[derive(Clone, Copy, Debug)]
struct Pace {
    started: tokio::time::Instant,
    first_millis: i64,
}

impl FileSource {
    /// Finds the files. A pattern that matches none is an error; a plain path that does not exist yet is
    /// waited for.
    pub fn new(config: FileSourceConfig, checkpoint: &Checkpoint) -> Result<Self, SourceError> {
        let mut paths = Vec::new();
        for path in &config.paths {
            paths.extend(find(path)?);
        }
        let parts = paths
            .into_iter()
            .map(|path| {
                let partition = PartitionId::new(path.to_string_lossy().into_owned());
                let position = checkpoint.position(&partition);
                Part {
                    partition,
                    path,
                    position,
                    reader: None,
                    opened: false,
                    header: None,
                    newest_millis: None,
                    ended: false,
                }
            })
            .collect();
        Ok(Self { config, parts, pace: None })
    }

    fn is_stdin(&self) -> bool {
        self.config.paths.iter().any(|path| path == "-")
    }

    /// The part that is furthest behind: one that has not spoken, else the one with the oldest event.
    fn next_part(&self) -> Option<usize> {
        (0..self.parts.len())
            .filter(|index| !self.parts[*index].ended)
            .min_by_key(|index| (self.parts[*index].newest_millis, *index))
    }

    /// When the part may be read on, if reading is paced.
    fn due(&self, part: usize) -> Option<tokio::time::Instant> {
        let (speed, pace, newest) = (self.config.speed?, self.pace?, self.parts[part].newest_millis?);
        let seconds = (newest - pace.first_millis) as f64 / 1e3 / speed;
        Some(pace.started + Duration::from_secs_f64(seconds.max(0.0)))
    }
}

fn find(path: &str) -> Result<Vec<PathBuf>, SourceError> {
    if path == "-" || !path.contains(['*', '?', '[']) {
        return Ok(vec![path.into()]);
    }
    let unusable = |detail: String| SourceError::Unusable(format!("`{path}`: {detail}"));
    let mut paths = Vec::new();
    for entry in glob::glob(path).map_err(|error| unusable(error.to_string()))? {
        let entry = entry.map_err(|error| unusable(error.to_string()))?;
        if entry.is_file() {
            paths.push(entry);
        }
    }
    if paths.is_empty() { Err(unusable("matches no file".to_owned())) } else { Ok(paths) }
}

impl Part {
    /// Opens the file and goes to its position, reading the header on the way. Cancel-safe: what was reached
    /// is kept.
    async fn open(&mut self, config: &FileSourceConfig) -> Result<(), SourceError> {
        let is_stdin = self.path == Path::new("-");
        let split = config.format.row_split();
        if self.reader.is_none() {
            self.reader = Some(if is_stdin {
                RowReader::stdin(split, config.record_bytes_max)
            } else {
                RowReader::open(&self.path, split, config.record_bytes_max)
                    .map_err(|error| read_error(&self.path, &error))?
            });
        }
        let reader = self.reader.as_mut().expect("set above");
        if config.format.has_header() {
            self.header = reader.next_row().await.map_err(|error| read_error(&self.path, &error))?;
        }
        if let Some(position) = self.position.number() {
            if is_stdin {
                reader.count_from(position);
            } else {
                reader.skip_to(position, &self.path).map_err(|error| read_error(&self.path, &error))?;
            }
        }
        self.opened = true;
        Ok(())
    }

    async fn next_batch(&mut self, most: usize) -> Result<RecordBatch, SourceError> {
        let reader = self.reader.as_mut().expect("opened before");
        let records = reader.next_rows(most).await.map_err(|error| read_error(&self.path, &error))?;
        self.ended = reader.ended();
        let to_inclusive = Position::at(reader.position());
        let from_exclusive = std::mem::replace(&mut self.position, to_inclusive.clone());
        Ok(RecordBatch {
            partition: self.partition.clone(),
            records,
            from_exclusive,
            to_inclusive,
            header: self.header.clone().map(Header::Row),
            received_millis: None,
            lag_millis: None,
            ends_partition: self.ended,
        })
    }
}

fn read_error(path: &Path, error: &std::io::Error) -> SourceError {
    let text = format!("could not read `{}`: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => SourceError::Unusable(text),
        _ => SourceError::Unavailable(text),
    }
}

#[async_trait]
impl Source for FileSource {
    fn partitions(&self) -> Vec<PartitionId> {
        self.parts.iter().map(|part| part.partition.clone()).collect()
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        let Some(index) = self.next_part() else { return Ok(None) };
        if let Some(due) = self.due(index) {
            tokio::time::sleep_until(due).await;
        }
        let most = if self.config.speed.is_some() { ROWS_PER_PACED_BATCH } else { ROWS_PER_BATCH };
        let part = &mut self.parts[index];
        if !part.opened {
            part.open(&self.config).await?;
        }
        part.next_batch(most).await.map(Some)
    }

    async fn acknowledge(&mut self, _: &Checkpoint, _: Vec<Receipt>) -> Result<(), SourceError> {
        Ok(())
    }

    fn state(&self) -> SourceState {
        if self.parts.iter().all(|part| part.ended) { SourceState::Ended } else { SourceState::Reading }
    }

    fn can_replay(&self) -> bool {
        !self.is_stdin()
    }

    fn set_event_times(&mut self, newest_millis: &dyn Fn(&PartitionId) -> Option<i64>) {
        for part in &mut self.parts {
            part.newest_millis = newest_millis(&part.partition);
        }
        let first = self.parts.iter().filter_map(|part| part.newest_millis).min();
        if self.pace.is_none()
            && let Some(first_millis) = first
        {
            self.pace = Some(Pace { started: tokio::time::Instant::now(), first_millis });
        }
    }
}
