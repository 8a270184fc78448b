//! How closed windows are stored: one blob per window and shard of slices, columns side by side, compressed.

use serde::{Deserialize, Serialize};
use tidewatch_detectors::{Reason, Score};

use super::FrameBlob;
use crate::window::{Cell, Frame};

/// Slices per shard: a chart of one series reads one shard, a window writes few rows.
pub const SHARD_SLICES: usize = 256;

/// Fast, and most of what a higher level gains.
const ZSTD_LEVEL: i32 = 1;

/// The observations and scores of one window for the slices of one shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShardFrame {
    /// Events per slice.
    pub events: Vec<u64>,
    /// Slices x measures, as first closed.
    pub cells: Vec<Option<Cell>>,
    /// Slices x measures; `None` while a detector learns.
    pub scores: Vec<Option<StoredScore>>,
    /// Values as they stand after revisions; stored apart, so that what was first closed stays as it is.
    #[serde(skip)]
    pub revision: Option<ShardRevision>,
}

/// What late events made of the observations of one window, for the slices of one shard. Slices that were kept
/// only later are behind those of the frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShardRevision {
    /// Events per slice.
    pub events: Vec<u64>,
    /// Slices x measures.
    pub cells: Vec<Option<Cell>>,
}

/// One observation as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// The value after all revisions; `None` is a gap.
    pub cell: Option<Cell>,
    /// What was first closed, where a revision has changed it.
    pub as_closed: Option<Option<Cell>>,
}

/// The part of a score that charts and exports need.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredScore {
    /// What was expected.
    pub expected: f64,
    /// Lower end of the band.
    pub lower: f64,
    /// Upper end of the band.
    pub upper: f64,
    /// Page severity.
    pub severity: f32,
    /// Minor severity.
    pub minor: f32,
    /// An alarm was held back because people expect its like.
    pub expected_alarm: bool,
}

impl From<&Score> for StoredScore {
    fn from(score: &Score) -> Self {
        Self {
            expected: score.expected,
            lower: score.lower,
            upper: score.upper,
            severity: score.severity() as f32,
            minor: score.minor() as f32,
            expected_alarm: score.reason == Reason::Expected,
        }
    }
}

/// A stored blob cannot be read: the file is damaged or of another version.
#[derive(Debug, thiserror::Error)]
#[error("could not decode a stored {what}: {detail}")]
pub struct BlobError {
    what: &'static str,
    detail: String,
}

impl Observed {
    /// What was first closed, and what a revision has at `index`.
    fn of(first: Option<Cell>, revision: Option<&ShardRevision>, index: usize) -> Self {
        let Some(revised) = revision.and_then(|revision| revision.cells.get(index)) else {
            return Self { cell: first, as_closed: None };
        };
        // A gap, or a slice that was not kept yet, stays one until something of it came.
        let is_gap = first.is_none() && revised.is_none_or(|cell| cell.weight == 0.0);
        let cell = if is_gap { None } else { *revised };
        Self { cell, as_closed: (cell != first).then_some(first) }
    }
}

impl ShardRevision {
    /// Compresses the revision.
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
    }
}

/// The shards in which two versions of a window differ, with their values in the second.
pub(super) fn shard_revisions(before: &Frame, after: &Frame) -> Vec<(usize, ShardRevision)> {
    let mut revisions = Vec::new();
    for (shard, rows) in after.slices.chunks(SHARD_SLICES).enumerate() {
        let known = before.slices.chunks(SHARD_SLICES).nth(shard).unwrap_or_default();
        if known == rows {
            continue;
        }
        let revision = ShardRevision {
            events: rows.iter().map(|row| row.events).collect(),
            cells: rows.iter().flat_map(|row| row.cells.iter().copied()).collect(),
        };
        revisions.push((shard, revision));
    }
    revisions
}

impl ShardFrame {
    /// Compresses the frame.
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
    }

    /// The frame of a stored window with what late events made of it.
    pub fn of(blob: &FrameBlob) -> Result<Self, BlobError> {
        let mut frame = Self::decode(&blob.bytes)?;
        frame.revision = blob.revision.as_deref().map(|bytes| unpack("revision", bytes)).transpose()?;
        Ok(frame)
    }

    /// The observation of the series at `index`, slice x measures + measure.
    pub fn observed(&self, index: usize) -> Observed {
        Observed::of(self.cells.get(index).copied().flatten(), self.revision.as_ref(), index)
    }

    /// How many series have a place in the window.
    pub fn num_series(&self) -> usize {
        self.revision.as_ref().map_or(0, |revision| revision.cells.len()).max(self.cells.len())
    }

    /// The frame that was encoded.
    pub fn decode(bytes: &[u8]) -> Result<Self, BlobError> {
        unpack("frame", bytes)
    }
}

/// Reads single series out of frames, without making the others: a long chart looks at a hundred thousand.
pub struct FrameReader {
    zstd: zstd::bulk::Decompressor<'static>,
    plain: Vec<u8>,
}

/// Larger frames are taken as damaged: 256 slices of a thousand measures have less.
const PLAIN_BYTES_MAX: u64 = 64 << 20;

impl std::fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameReader").finish_non_exhaustive()
    }
}

impl Default for FrameReader {
    fn default() -> Self {
        let zstd = zstd::bulk::Decompressor::new().expect("it takes nothing but memory");
        Self { zstd, plain: Vec::new() }
    }
}

impl FrameReader {
    /// One series of a stored window, with what late events made of it.
    pub fn observed(
        &mut self,
        blob: &FrameBlob,
        index: usize,
    ) -> Result<(Observed, Option<StoredScore>), BlobError> {
        let (first, score) = self.series(&blob.bytes, index)?;
        let revision: Option<ShardRevision> =
            blob.revision.as_deref().map(|bytes| unpack("revision", bytes)).transpose()?;
        Ok((Observed::of(first, revision.as_ref(), index), score))
    }

    /// What [`ShardFrame::decode`] has at `index` of its cells and scores; `None` where it ends before that.
    pub fn series(
        &mut self,
        bytes: &[u8],
        index: usize,
    ) -> Result<(Option<Cell>, Option<StoredScore>), BlobError> {
        let fail = |detail: String| BlobError { what: "frame", detail };
        let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
        let size = size.filter(|size| *size <= PLAIN_BYTES_MAX).ok_or_else(|| fail("no size".to_owned()))?;
        self.plain.clear();
        self.plain.reserve(size as usize);
        self.zstd.decompress_to_buffer(bytes, &mut self.plain).map_err(|error| fail(error.to_string()))?;
        let found = |rest| -> postcard::Result<_> {
            // In the order of the fields of `ShardFrame`.
            let (_, rest) = element::<u64>(rest, None)?;
            let (cell, rest) = element::<Option<Cell>>(rest, Some(index))?;
            let (length, mut rest) = postcard::take_from_bytes::<usize>(rest)?;
            if index >= length {
                return Ok((cell.flatten(), None));
            }
            for _ in 0..index {
                (_, rest) = postcard::take_from_bytes::<Option<StoredScore>>(rest)?;
            }
            let (score, _) = postcard::take_from_bytes::<Option<StoredScore>>(rest)?;
            Ok((cell.flatten(), score))
        };
        found(&self.plain).map_err(|error| fail(error.to_string()))
    }
}

/// One element of a list, and what follows the list.
fn element<'b, T: Deserialize<'b>>(
    bytes: &'b [u8],
    index: Option<usize>,
) -> postcard::Result<(Option<T>, &'b [u8])> {
    let (length, mut rest) = postcard::take_from_bytes::<usize>(bytes)?;
    let mut found = None;
    for at in 0..length {
        let (value, behind) = postcard::take_from_bytes(rest)?;
        rest = behind;
        if Some(at) == index {
            found = Some(value);
        }
    }
    Ok((found, rest))
}

/// Serializes and compresses a saved state.
pub(super) fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    let plain = postcard::to_stdvec(value).expect("saved states hold no maps of unknown length");
    zstd::bulk::compress(&plain, ZSTD_LEVEL).expect("compressing into memory cannot fail")
}

/// The reverse of [`pack`].
pub(super) fn unpack<T: for<'de> Deserialize<'de>>(what: &'static str, bytes: &[u8]) -> Result<T, BlobError> {
    let fail = |detail: String| BlobError { what, detail };
    let plain = zstd::stream::decode_all(bytes).map_err(|error| fail(error.to_string()))?;
    postcard::from_bytes(&plain).map_err(|error| fail(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_bit_for_bit() {
        let frame = ShardFrame {
            events: vec![3, 0],
            cells: vec![Some(Cell { value: 0.1 + 0.2, weight: 3.0 }), None],
            scores: vec![
                None,
                Some(StoredScore {
                    expected: 1.0,
                    lower: 0.0,
                    upper: 2.5,
                    severity: 70.5,
                    minor: 1.0,
                    expected_alarm: false,
                }),
            ],
            revision: None,
        };
        assert_eq!(ShardFrame::decode(&frame.encode()).unwrap(), frame);
        assert!(ShardFrame::decode(b"not a frame").is_err());
    }

    #[test]
    fn a_revised_value_stands_beside_the_one_first_closed() {
        let cell = |value: f64| Some(Cell { value, weight: value });
        let frame = ShardFrame { events: vec![3, 0], cells: vec![cell(3.0), None], ..ShardFrame::default() };
        let events = vec![3, 2, 0, 1];
        let revision = ShardRevision { events, cells: vec![cell(3.0), cell(2.0), cell(0.0), cell(1.0)] };
        let blob = FrameBlob {
            start_millis: 0,
            end_millis: 1,
            shard: 0,
            bytes: frame.encode(),
            revision: Some(revision.encode()),
        };
        let frame = ShardFrame::of(&blob).unwrap();
        let found: Vec<Observed> = (0..frame.num_series()).map(|index| frame.observed(index)).collect();
        let observed = |cell, as_closed| Observed { cell, as_closed };
        assert_eq!(found[0], observed(cell(3.0), None), "unchanged");
        assert_eq!(found[1], observed(cell(2.0), Some(None)), "was a gap");
        assert_eq!(found[2], observed(None, None), "kept later, and nothing came");
        assert_eq!(found[3], observed(cell(1.0), Some(None)), "kept later");
        assert_eq!(frame.observed(9), observed(None, None));
    }

    #[test]
    fn a_single_series_is_read_as_the_whole_frame_has_it() {
        let score = |index: u32| StoredScore {
            expected: f64::from(index),
            lower: -1.0,
            upper: 1e9,
            severity: index as f32 / 4.0,
            minor: 0.0,
            expected_alarm: index.is_multiple_of(3),
        };
        let frame = ShardFrame {
            events: (0..200).map(|index| index * index * index).collect(),
            cells: (0..400_u32)
                .map(|index| (index % 7 != 0).then_some(Cell { value: f64::from(index), weight: 0.5 }))
                .collect(),
            scores: (0..400).map(|index| (index % 5 != 0).then(|| score(index))).collect(),
            revision: None,
        };
        let (bytes, mut reader) = (frame.encode(), FrameReader::default());
        for index in 0..400 {
            let read = reader.series(&bytes, index).unwrap();
            assert_eq!(read, (frame.cells[index], frame.scores[index]), "{index}");
        }
        assert_eq!(reader.series(&bytes, 400).unwrap(), (None, None));
        assert_eq!(reader.series(&ShardFrame::default().encode(), 0).unwrap(), (None, None));
        assert!(reader.series(b"not a frame", 0).is_err());
        assert!(reader.series(&bytes[..bytes.len() / 2], 0).is_err());
    }
}
