//! A byte stream cut into whole rows: from a plain or compressed file, or from standard input.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::record::{Place, Record, RowSplit, RowSplitter};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// What some programs put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
    /// The line that comes next; `None` after a beginning was passed by unread.
    line: Option<u64>,
    ended: bool,
}

enum Input {
    Reader(Box<dyn Read + Send>),
    /// Standard input blocks, so a thread reads it.
    Thread(mpsc::Receiver<io::Result<Bytes>>),
}

impl RowReader {
    /// Reads bytes that are decompressed already.
    pub(super) fn over(input: Box<dyn Read + Send>, split: RowSplit, row_bytes_max: usize) -> Self {
        Self::new(Input::Reader(input), split, row_bytes_max)
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

    fn new(input: Input, split: RowSplit, row_bytes_max: usize) -> Self {
        Self {
            input,
            split,
            row_bytes_max,
            rest: Vec::new(),
            skipping: false,
            position: 0,
            line: Some(1),
            ended: false,
        }
    }

    /// Bytes of the decompressed stream that were handed out.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// True when everything was handed out.
    pub(super) fn ended(&self) -> bool {
        self.ended && self.rest.is_empty()
    }

    /// Nothing more can be read; an unfinished row is dropped.
    pub(super) fn end(&mut self) {
        self.rest.clear();
        self.ended = true;
    }

    /// Counts on from a position reached in an earlier life of the stream, of which nothing comes again.
    pub(super) fn count_from(&mut self, position: u64) {
        self.position += position;
        self.line = None;
    }

    /// The line that comes next, where it is known.
    pub(super) fn line(&self) -> Option<u64> {
        self.line
    }

    /// Goes on at a position reached before, in `input`, of which `passed` bytes lie behind already.
    pub(super) fn resume(
        &mut self,
        mut input: Box<dyn Read + Send>,
        passed: u64,
        position: u64,
    ) -> io::Result<()> {
        let left = position.saturating_sub(passed);
        tokio::task::block_in_place(|| io::copy(&mut input.by_ref().take(left), &mut io::sink()))?;
        self.input = Input::Reader(input);
        self.rest.clear();
        self.position = position;
        self.line = None;
        self.ended = false;
        Ok(())
    }

    /// The next row alone: a header.
    pub(super) async fn next_row(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(end) = RowSplitter::new(self.split).find_end(&self.rest) {
                let row: Vec<u8> = self.rest.drain(..=end).collect();
                self.position += row.len() as u64;
                self.pass_lines(&row);
                return Ok(Some(Bytes::from(row).slice(..end)));
            }
            if self.ended || self.rest.len() > self.row_bytes_max {
                let row = std::mem::take(&mut self.rest);
                self.position += row.len() as u64;
                self.pass_lines(&row);
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

    fn pass_lines(&mut self, bytes: &[u8]) {
        self.line = self.line.map(|line| line + memchr::memchr_iter(b'\n', bytes).count() as u64);
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
        if self.position == 0 && self.rest.starts_with(BYTE_ORDER_MARK) {
            self.rest.drain(..BYTE_ORDER_MARK.len());
            self.position = BYTE_ORDER_MARK.len() as u64;
        }
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
        let mut passed = 0;
        let mut records = Vec::with_capacity(ends.len());
        for (start, end, skipped) in ends {
            self.pass_lines(&bytes[passed..start]);
            passed = start;
            let payload = bytes.slice(start..end);
            if !skipped && !payload.iter().all(u8::is_ascii_whitespace) {
                records.push(Record::at(payload, self.line.map(Place::Line)));
            }
        }
        self.pass_lines(&bytes[passed..]);
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8], split: RowSplit) -> RowReader {
        RowReader::over(Box::new(io::Cursor::new(bytes.to_vec())), split, 1000)
    }

    async fn rows(bytes: &[u8], split: RowSplit, most: usize) -> Vec<String> {
        let mut reader = reader(bytes, split);
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
    async fn every_row_knows_its_line() {
        let text = b"\xef\xbb\xbfat,x\n\n1,\"a\nb\"\r\n2,c\n\n\n3,d";
        for most in [1, 100] {
            let mut reader = reader(text, RowSplit::Quoted);
            assert_eq!(reader.next_row().await.unwrap().unwrap(), "at,x");
            let mut lines = Vec::new();
            loop {
                let records = reader.next_rows(most).await.unwrap();
                lines.extend(records.iter().map(|record| record.place.unwrap().to_string()));
                if records.is_empty() {
                    break;
                }
            }
            assert_eq!(lines, ["line 3", "line 5", "line 8"]);
            assert_eq!(reader.position(), text.len() as u64);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn reading_goes_on_at_a_position() {
        let text = b"one\ntwo\nthree\n";
        for passed in [0_usize, 3] {
            let mut first = reader(text, RowSplit::Newline);
            first.next_rows(1).await.unwrap();
            let mut resumed = reader(b"", RowSplit::Newline);
            let rest = Box::new(io::Cursor::new(text[passed..].to_vec()));
            resumed.resume(rest, passed as u64, first.position()).unwrap();
            let rows = resumed.next_rows(10).await.unwrap();
            assert_eq!(rows.iter().map(|row| &row.payload[..]).collect::<Vec<_>>(), [&b"two"[..], b"three"]);
        }
    }
}
