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
        let first = self.cells.get(index).copied().flatten();
        let Some(revised) = self.revision.as_ref().and_then(|revision| revision.cells.get(index)) else {
            return Observed { cell: first, as_closed: None };
        };
        // A gap, or a slice that was not kept yet, stays one until something of it came.
        let is_gap = first.is_none() && revised.is_none_or(|cell| cell.weight == 0.0);
        let cell = if is_gap { None } else { *revised };
        Observed { cell, as_closed: (cell != first).then_some(first) }
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
}
