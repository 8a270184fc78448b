//! How closed windows are stored: one blob per window and shard of slices, columns side by side, compressed.

use serde::{Deserialize, Serialize};
use tidewatch_detectors::{Reason, Score};

use crate::window::Cell;

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

impl ShardFrame {
    /// Compresses the frame.
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
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
        };
        assert_eq!(ShardFrame::decode(&frame.encode()).unwrap(), frame);
        assert!(ShardFrame::decode(b"not a frame").is_err());
    }
}
