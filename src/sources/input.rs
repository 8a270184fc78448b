//! The rows of one input: a text or a Parquet file; from disk, an address or standard input; packed or not.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{
    chunks::RowReader,
    packed::unpack,
    remote::{self, is_url},
};
#[cfg(feature = "parquet")]
use crate::record::{ParquetRows, Place};
use crate::{
    pipeline::SourceError,
    record::{Format, Record},
};

/// The rows of one input, in order.
pub(super) enum Rows {
    /// Of a text.
    Text(Box<RowReader>),
    /// Of a Parquet file.
    #[cfg(feature = "parquet")]
    Table {
        /// As JSON.
        rows: Box<ParquetRows>,
        /// Nothing follows.
        ended: bool,
        /// Of the file, as it lies there.
        bytes: u64,
        /// How far all inputs have been read.
        reach: Reach,
    },
}

/// How far inputs have been read, in bytes as they lie on disk; for people who wait.
#[derive(Clone, Debug, Default)]
pub struct Reach(Arc<[AtomicU64; 2]>);

impl Reach {
    /// Bytes read, and bytes in all as far as they are known.
    pub fn bytes(&self) -> (u64, u64) {
        let [done, total] = &*self.0;
        (done.load(Ordering::Relaxed), total.load(Ordering::Relaxed))
    }

    pub(super) fn read(&self, bytes: u64) {
        self.0[0].fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.0[1].fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Counts what is read of a file.
struct Counted<R> {
    input: R,
    reach: Reach,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.reach.read(count as u64);
        Ok(count)
    }
}

/// Rows could not be had.
#[derive(Debug)]
pub(super) enum RowsError {
    /// What is there cannot be read as it is, in part or to its end.
    Damaged(String),
    /// It could not be reached.
    Source(SourceError),
}

impl From<SourceError> for RowsError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// Whether a name says that a file is Parquet.
pub fn is_parquet(path: &str) -> bool {
    let path = if is_url(path) { path.split(['?', '#']).next().unwrap_or(path) } else { path };
    let plain = path.strip_suffix(".gz").or_else(|| path.strip_suffix(".zst")).unwrap_or(path);
    matches!(plain.rsplit_once('.'), Some((_, "parquet" | "pq")))
}

/// The first rows of an input, for a look at it.
#[derive(Debug, Default)]
pub struct Beginning {
    /// Its text, unpacked; of a Parquet file, its rows as JSON lines.
    pub text: Vec<u8>,
    /// Why there is no more, if it is damaged.
    pub damage: Option<String>,
}

/// Reads so many bytes from the beginning of an input, or so many rows where it is Parquet.
pub async fn beginning(path: &str, bytes_max: usize, rows_max: usize) -> Result<Beginning, SourceError> {
    let mut found = Beginning::default();
    let read = async {
        if is_parquet(path) {
            let mut rows =
                Rows::open(Path::new(path), &Format::Json, &[], bytes_max, &Reach::default()).await?;
            for row in rows.next_rows(rows_max).await? {
                found.text.extend_from_slice(&row.payload);
                found.text.push(b'\n');
            }
            return Ok(());
        }
        let (input, _) = bytes_of(Path::new(path), &Reach::default()).await?;
        let text = &mut found.text;
        let read = tokio::task::block_in_place(|| input.take(bytes_max as u64).read_to_end(text));
        read.map(drop).map_err(|error| read_error(Path::new(path), &error))
    };
    match read.await {
        Err(RowsError::Source(error)) => return Err(error),
        Err(RowsError::Damaged(why)) => found.damage = Some(why),
        Ok(()) => {}
    }
    Ok(found)
}

impl Rows {
    /// Opens an input; `-` is standard input.
    pub(super) async fn open(
        path: &Path,
        format: &Format,
        fields: &[String],
        record_bytes_max: usize,
        reach: &Reach,
    ) -> Result<Self, RowsError> {
        if path == Path::new("-") {
            let reader = RowReader::stdin(format.row_split(), record_bytes_max);
            return Ok(Self::Text(Box::new(reader)));
        }
        if is_parquet(&path.to_string_lossy()) {
            return Self::table(path, fields, reach).await;
        }
        let (input, _) = bytes_of(path, reach).await?;
        Ok(Self::Text(Box::new(RowReader::over(input, format.row_split(), record_bytes_max))))
    }

    #[cfg(not(feature = "parquet"))]
    #[allow(clippy::unused_async, reason = "reads in builds that can")]
    async fn table(_: &Path, _: &[String], _: &Reach) -> Result<Self, RowsError> {
        let why = "this build has no `parquet`; build it with `--features parquet`";
        Err(SourceError::Unusable(why.to_owned()).into())
    }

    #[cfg(feature = "parquet")]
    async fn table(path: &Path, fields: &[String], reach: &Reach) -> Result<Self, RowsError> {
        // A copy is made at once, so what counts is how far its rows have come.
        let (input, is_plain_file) = bytes_of(path, &Reach::default()).await?;
        let file = tokio::task::block_in_place(|| {
            if is_plain_file { File::open(path) } else { super::packed::unpacked_file(input) }
        });
        let file = file.map_err(|error| read_error(path, &error))?;
        let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
        let rows = tokio::task::block_in_place(|| ParquetRows::open(file, fields));
        let rows = rows.map_err(|error| RowsError::Damaged(error.to_string()))?;
        Ok(Self::Table { rows: Box::new(rows), ended: false, bytes, reach: reach.clone() })
    }

    /// The first row alone.
    pub(super) async fn header(&mut self) -> Result<Option<Bytes>, RowsError> {
        match self {
            Self::Text(reader) => reader.next_row().await.map_err(|error| reader_error(reader, &error)),
            #[cfg(feature = "parquet")]
            Self::Table { .. } => Ok(None),
        }
    }

    /// The next rows; empty at the end, or sooner when most of what was read is left out. After damage there may be more.
    pub(super) async fn next_rows(&mut self, most: usize) -> Result<Vec<Record>, RowsError> {
        match self {
            Self::Text(reader) => reader.next_rows(most).await.map_err(|error| reader_error(reader, &error)),
            #[cfg(feature = "parquet")]
            Self::Table { rows, ended, bytes, reach } => {
                let found = tokio::task::block_in_place(|| rows.next_rows(most));
                let found = found.map_err(|error| RowsError::Damaged(error.to_string()))?;
                *ended = found.is_empty();
                reach.read(*bytes * found.len() as u64 / rows.num_rows().max(1));
                let first = rows.passed() + 1 - found.len() as u64;
                Ok((first..).zip(found).map(|(row, text)| Record::at(text, Some(Place::Row(row)))).collect())
            }
        }
    }

    /// True when everything was handed out, or nothing more can be.
    pub(super) fn ended(&self) -> bool {
        match self {
            Self::Text(reader) => reader.ended(),
            #[cfg(feature = "parquet")]
            Self::Table { ended, .. } => *ended,
        }
    }

    /// Bytes or rows that lie behind.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Text(reader) => reader.position(),
            #[cfg(feature = "parquet")]
            Self::Table { rows, .. } => rows.passed(),
        }
    }

    /// Goes on at a position reached in an earlier life; standard input, of which nothing comes again, counts on from it.
    pub(super) async fn skip_to(&mut self, position: u64, path: &Path) -> Result<(), RowsError> {
        match self {
            Self::Text(reader) if path == Path::new("-") => reader.count_from(position),
            Self::Text(reader) if position > reader.position() => {
                let (mut input, is_plain_file) = bytes_of(path, &Reach::default()).await?;
                let mut passed = 0;
                if is_plain_file {
                    let mut file = File::open(path).map_err(|error| read_error(path, &error))?;
                    file.seek(SeekFrom::Start(position)).map_err(|error| read_error(path, &error))?;
                    (input, passed) = (Box::new(file), position);
                }
                reader.resume(input, passed, position).map_err(|error| read_error(path, &error))?;
            }
            Self::Text(_) => {}
            #[cfg(feature = "parquet")]
            Self::Table { rows, .. } => tokio::task::block_in_place(|| rows.skip_to(position))
                .map_err(|error| RowsError::Damaged(error.to_string()))?,
        }
        Ok(())
    }
}

/// The unpacked bytes of a file or an address, and whether they are those of a file that was not packed.
async fn bytes_of(path: &Path, reach: &Reach) -> Result<(Box<dyn Read + Send>, bool), RowsError> {
    let text = path.to_string_lossy();
    if is_url(&text) {
        let (input, bytes) = remote::open(&text).await?;
        reach.expect(bytes.unwrap_or(0));
        let input = Counted { input, reach: reach.clone() };
        let unpacked = tokio::task::block_in_place(|| unpack(input));
        return Ok((unpacked.map_err(|error| read_error(path, &error))?.0, false));
    }
    let unpacked = File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a folder"));
        }
        unpack(Counted { input: file, reach: reach.clone() })
    });
    let (input, is_packed) = unpacked.map_err(|error| read_error(path, &error))?;
    Ok((input, !is_packed))
}

/// Before anything was read.
fn read_error(path: &Path, error: &io::Error) -> RowsError {
    let text = format!("could not read `{}`: {error}", path.display());
    match error.kind() {
        io::ErrorKind::InvalidData => RowsError::Damaged(error.to_string()),
        io::ErrorKind::InvalidInput | io::ErrorKind::ConnectionAborted => SourceError::Unusable(text).into(),
        _ => SourceError::Unavailable(text).into(),
    }
}

/// In the middle of a text; it names the place.
fn reader_error(reader: &mut RowReader, error: &io::Error) -> RowsError {
    let place = match reader.line() {
        Some(line) => format!("line {line} (byte {})", reader.position()),
        None => format!("byte {}", reader.position()),
    };
    match error.kind() {
        io::ErrorKind::InvalidData => {
            reader.end();
            RowsError::Damaged(format!("breaks off at {place}: {error}"))
        }
        io::ErrorKind::ConnectionAborted => SourceError::Unusable(format!("at {place}: {error}")).into(),
        _ => SourceError::Unavailable(format!("at {place}: {error}")).into(),
    }
}
