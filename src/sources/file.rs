//! Files, addresses and standard input. Each is a partition; the one that is furthest behind in event time is read
//! next, so that windows close as they would have live.
//!
//! A position is the number of decompressed bytes read, or of rows of a Parquet file. Standard input cannot be read again
//! after a crash, so its records are kept in the journal. Damage costs what cannot be read; it is counted and told, and
//! the rest is read on.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    input::{Reach, Rows, RowsError},
    remote::is_url,
};
use crate::{
    pipeline::{Source, SourceError, SourceFigures, SourceState},
    record::{Checkpoint, Format, Header, PartitionId, Position, Receipt, Record, RecordBatch},
};

/// Rows per batch at full speed, and when paced.
const ROWS_PER_BATCH: usize = 20_000;
const ROWS_PER_PACED_BATCH: usize = 200;

/// What to read.
#[derive(Clone, Debug)]
pub struct FileSourceConfig {
    /// Each a path, a glob pattern, an address, or `-` for standard input.
    pub paths: Vec<String>,
    /// How the files are written; those that end in `.parquet` are Parquet, whose rows are JSON.
    pub format: Format,
    /// Fields that monitors ask for, so that other columns need not be read.
    pub fields: Vec<String>,
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
    damages: Damages,
    reach: Reach,
}

/// What could not be read, in words that name file and place; filled while the source is read.
#[derive(Clone, Debug, Default)]
pub struct Damages(Arc<Mutex<Vec<String>>>);

impl Damages {
    /// All so far.
    pub fn list(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, path: &Path, detail: &str) {
        tracing::warn!(file = %path.display(), detail, "a file is damaged; the rest is read on");
        let text = format!("`{}` {detail}", path.display());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

struct Part {
    partition: PartitionId,
    path: PathBuf,
    position: Position,
    reader: Option<Rows>,
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
        let reach = Reach::default();
        for path in &paths {
            reach.expect(std::fs::metadata(path).map_or(0, |file| file.len()));
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
        Ok(Self { config, parts, pace: None, damages: Damages::default(), reach })
    }

    /// What cannot be read of the files, also after the source was given away.
    pub fn damages(&self) -> Damages {
        self.damages.clone()
    }

    /// How far the files have been read, also after the source was given away.
    pub fn reach(&self) -> Reach {
        self.reach.clone()
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
    if path == "-" || is_url(path) || !path.contains(['*', '?', '[']) {
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
    async fn open(&mut self, config: &FileSourceConfig, reach: &Reach) -> Result<(), RowsError> {
        if self.reader.is_none() {
            let (format, fields) = (&config.format, &config.fields);
            let opened = Rows::open(&self.path, format, fields, config.record_bytes_max, reach);
            self.reader = Some(opened.await?);
        }
        let reader = self.reader.as_mut().expect("set above");
        if config.format.has_header() && self.header.is_none() {
            self.header = reader.header().await?;
        }
        if let Some(position) = self.position.number() {
            reader.skip_to(position, &self.path).await?;
        }
        self.opened = true;
        Ok(())
    }

    async fn next_batch(&mut self, most: usize) -> Result<RecordBatch, RowsError> {
        let reader = self.reader.as_mut().expect("opened before");
        let records = reader.next_rows(most).await?;
        self.ended = reader.ended() || records.is_empty();
        let to_inclusive = Position::at(reader.position());
        Ok(self.batch(records, to_inclusive))
    }

    fn batch(&mut self, records: Vec<Record>, to_inclusive: Position) -> RecordBatch {
        let from_exclusive = std::mem::replace(&mut self.position, to_inclusive.clone());
        RecordBatch {
            partition: self.partition.clone(),
            records,
            from_exclusive,
            to_inclusive,
            header: self.header.clone().map(Header::Row),
            received_millis: None,
            lag_millis: None,
            ends_partition: self.ended,
        }
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
        let read = async {
            if !part.opened {
                part.open(&self.config, &self.reach).await?;
            }
            part.next_batch(most).await
        };
        let error = match read.await {
            Ok(batch) => return Ok(Some(batch)),
            Err(RowsError::Damaged(detail)) => detail,
            Err(RowsError::Source(error)) => return Err(error),
        };
        // An empty batch, so that the engine hears of an end.
        self.damages.add(&part.path, &error);
        part.ended = part.reader.as_ref().is_none_or(Rows::ended);
        let reached =
            part.reader.as_ref().map_or(part.position.clone(), |reader| Position::at(reader.position()));
        Ok(Some(part.batch(Vec::new(), reached)))
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

    fn figures(&mut self) -> SourceFigures {
        let unreadable = self.damages.list().len() as u64;
        SourceFigures { troubles: vec![("unreadable", unreadable)], ..SourceFigures::default() }
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
