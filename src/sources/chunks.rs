//! A byte stream cut into whole rows: from a plain or compressed file, or from standard input.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::record::{Record, RowSplit, RowSplitter};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Reads rows and knows how many bytes they took.
pub(super) struct RowReader {
    input: Input,
    split: RowSplit,
    row_bytes_max: usize,
    rest: Vec<u8>,
    /// Inside a row over the limit, whose beginning was handed out already.
    skipping: bool,
    /// Bytes of the stream handed out.
    position: u64,
    ended: bool,
}

enum Input {
    Reader(Box<dyn Read + Send>),
    /// Standard input blocks, so a thread reads it.
    Thread(mpsc::Receiver<io::Result<Bytes>>),
}

/// Opens a file by its ending: `.gz`, `.zst`, or plain.
pub fn open_file(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let file = File::open(path)?;
    Ok(match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => Box::new(file),
    })
}

impl RowReader {
    /// Opens a file by its ending: `.gz`, `.zst`, or plain.
    pub(super) fn open(path: &Path, split: RowSplit, row_bytes_max: usize) -> io::Result<Self> {
        Ok(Self::new(Input::Reader(open_file(path)?), split, row_bytes_max))
    }

    /// Reads standard input.
    pub(super) fn stdin(split: RowSplit, row_bytes_max: usize) -> Self {
        let (sender, receiver) = mpsc::channel(4);
        std::thread::spawn(move || {
            let mut stdin = io::stdin().lock();
            loop {
                let mut chunk = vec![0; CHUNK_BYTES];
                let read = match stdin.read(&mut chunk) {
                    Ok(0) => return,
                    Ok(count) => {
                        chunk.truncate(count);
                        Ok(Bytes::from(chunk))
                    }
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.blocking_send(read).is_err() || failed {
                    return;
                }
            }
        });
        Self::new(Input::Thread(receiver), split, row_bytes_max)
    }

    /// Reads bytes that are decompressed already.
    #[cfg(feature = "s3")]
    pub(super) fn over(input: Box<dyn Read + Send>, split: RowSplit, row_bytes_max: usize) -> Self {
        Self::new(Input::Reader(input), split, row_bytes_max)
    }

    fn new(input: Input, split: RowSplit, row_bytes_max: usize) -> Self {
        Self { input, split, row_bytes_max, rest: Vec::new(), skipping: false, position: 0, ended: false }
    }

    /// Bytes of the decompressed stream that were handed out.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// True when everything was handed out.
    pub(super) fn ended(&self) -> bool {
        self.ended && self.rest.is_empty()
    }

    /// Counts on from a position reached in an earlier life of the stream, of which nothing comes again.
    pub(super) fn count_from(&mut self, position: u64) {
        self.position += position;
    }

    /// Skips to a position reached before: at once in a plain file, by reading in others.
    pub(super) fn skip_to(&mut self, position: u64, path: &Path) -> io::Result<()> {
        if position <= self.position {
            return Ok(());
        }
        let compressed = path.extension().is_some_and(|ending| ending == "gz" || ending == "zst");
        self.rest.clear();
        if compressed {
            *self = Self::open(path, self.split, self.row_bytes_max)?;
            if let Input::Reader(reader) = &mut self.input {
                io::copy(&mut reader.take(position), &mut io::sink())?;
            }
        } else {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(position))?;
            self.input = Input::Reader(Box::new(file));
        }
        self.position = position;
        self.ended = false;
        Ok(())
    }

    /// The next row alone: a header.
    pub(super) async fn next_row(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(end) = RowSplitter::new(self.split).find_end(&self.rest) {
                let row: Vec<u8> = self.rest.drain(..=end).collect();
                self.position += row.len() as u64;
                return Ok(Some(Bytes::from(row).slice(..end)));
            }
            if self.ended || self.rest.len() > self.row_bytes_max {
                let row = std::mem::take(&mut self.rest);
                self.position += row.len() as u64;
                return Ok((!row.is_empty()).then(|| row.into()));
            }
            self.fill().await?;
        }
    }

    /// The next rows, as many as one chunk completes; empty only at the end. Cancel-safe: what was read is
    /// kept.
    pub(super) async fn next_rows(&mut self, most: usize) -> io::Result<Vec<Record>> {
        loop {
            let records = self.cut(most);
            if !records.is_empty() || self.ended() {
                return Ok(records);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        let before = self.rest.len();
        match &mut self.input {
            Input::Reader(reader) => tokio::task::block_in_place(|| {
                self.rest.resize(before + CHUNK_BYTES, 0);
                let count = reader.read(&mut self.rest[before..]);
                self.rest.truncate(before + *count.as_ref().unwrap_or(&0));
                count.map(drop)
            })?,
            Input::Thread(receiver) => {
                if let Some(chunk) = receiver.recv().await {
                    self.rest.extend_from_slice(&chunk?);
                }
            }
        }
        self.ended = self.rest.len() == before;
        Ok(())
    }

    /// Cuts complete rows off what was read.
    fn cut(&mut self, most: usize) -> Vec<Record> {
        let mut ends = Vec::new();
        let mut taken = 0;
        while ends.len() < most {
            let rest = &self.rest[taken..];
            let end = if self.skipping {
                memchr::memchr(b'\n', rest)
            } else {
                RowSplitter::new(self.split).find_end(rest)
            };
            match end {
                Some(end) => ends.push((taken, taken + end, std::mem::take(&mut self.skipping))),
                None if self.ended && !rest.is_empty() => {
                    ends.push((taken, self.rest.len(), std::mem::take(&mut self.skipping)));
                    taken = self.rest.len();
                    break;
                }
                None if rest.len() > self.row_bytes_max => {
                    // Too long to hold: its beginning is handed out, and refused for its size.
                    ends.push((
                        taken,
                        taken + self.row_bytes_max + 1,
                        std::mem::replace(&mut self.skipping, true),
                    ));
                    taken = self.rest.len();
                    break;
                }
                None => break,
            }
            taken = ends.last().map_or(taken, |(_, end, _)| end + 1);
        }
        let rest = self.rest.split_off(taken.min(self.rest.len()));
        let bytes = Bytes::from(std::mem::replace(&mut self.rest, rest));
        self.position += bytes.len() as u64;
        ends.into_iter()
            .filter(|(_, _, skipped)| !skipped)
            .map(|(start, end, _)| Record::new(bytes.slice(start..end)))
            .filter(|record| !record.payload.iter().all(u8::is_ascii_whitespace))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rows(bytes: &[u8], split: RowSplit, most: usize) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.txt");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = RowReader::open(&path, split, 1000).unwrap();
        let mut rows = Vec::new();
        loop {
            let records = reader.next_rows(most).await.unwrap();
            if records.is_empty() {
                break;
            }
            rows.extend(records.iter().map(|record| String::from_utf8_lossy(&record.payload).into_owned()));
        }
        assert_eq!(reader.position(), bytes.len() as u64);
        rows
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_come_whole_and_the_last_needs_no_newline() {
        for most in [1, 2, 100] {
            assert_eq!(rows(b"a\n\nbb\r\nc", RowSplit::Newline, most).await, ["a", "bb\r", "c"]);
            assert_eq!(rows(b"a,\"x\ny\"\nb\n", RowSplit::Quoted, most).await, ["a,\"x\ny\"", "b"]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_row_over_the_limit_is_cut_and_the_next_one_whole() {
        let mut bytes = vec![b'x'; 600_000];
        bytes.extend_from_slice(b"\nnext\n");
        let found = rows(&bytes, RowSplit::Newline, 100).await;
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].len(), found[1].as_str()), (1001, "next"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn compressed_files_resume_where_they_stood() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.gz");
        let mut encoder =
            flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        io::Write::write_all(&mut encoder, b"one\ntwo\nthree\n").unwrap();
        encoder.finish().unwrap();
        let mut reader = RowReader::open(&path, RowSplit::Newline, 1000).unwrap();
        reader.next_rows(1).await.unwrap();
        let mut resumed = RowReader::open(&path, RowSplit::Newline, 1000).unwrap();
        resumed.skip_to(reader.position(), &path).unwrap();
        let rows = resumed.next_rows(10).await.unwrap();
        assert_eq!(rows.iter().map(|row| &row.payload[..]).collect::<Vec<_>>(), [&b"two"[..], b"three"]);
    }
}
