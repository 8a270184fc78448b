//! Closed windows that can still be revised.
//!
//! For each of them everything that came to it is kept: mergeable aggregates by leaf slice, all partitions together,
//! and what its scores gave to incidents. Late events are merged into them and the window is combined again by the
//! code that closed it, so whatever the measure, the value is the one it would have had. Windows are kept encoded,
//! in memory and in the store; a limit of bytes holds for both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    CorrectableBlob,
    frames::{BlobError, pack, unpack},
};
use crate::{anomaly::WindowMarks, window::PartialFrame};

/// The closed windows of a monitor that late events can still change.
#[derive(Debug, Default)]
pub(super) struct Corrections {
    /// By start.
    kept: BTreeMap<i64, Kept>,
    num_bytes: usize,
    /// Windows up to this start were given up for the limit.
    given_up: Option<i64>,
}

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    is_stored: bool,
}

/// One window, decoded.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Correctable {
    pub(super) end_millis: i64,
    pub(super) whole: PartialFrame,
    pub(super) marks: WindowMarks,
}

fn decode(bytes: &[u8]) -> Result<Correctable, BlobError> {
    unpack("correctable window", bytes)
}

impl Corrections {
    /// As the store has them, if all can be read.
    pub(super) fn restore(blobs: Vec<CorrectableBlob>, given_up: Option<i64>) -> Result<Self, BlobError> {
        for blob in &blobs {
            decode(&blob.bytes)?;
        }
        let num_bytes = blobs.iter().map(|blob| blob.bytes.len()).sum();
        let kept = |blob: CorrectableBlob| (blob.start_millis, Kept { bytes: blob.bytes, is_stored: true });
        Ok(Self { kept: blobs.into_iter().map(kept).collect(), num_bytes, given_up })
    }

    /// Keeps a window, new or changed; older ones give way when that is more than `bytes_max`.
    pub(super) fn keep(&mut self, window: &Correctable, bytes_max: usize) {
        let bytes = pack(window);
        self.num_bytes += bytes.len();
        if let Some(old) = self.kept.insert(window.whole.start_millis, Kept { bytes, is_stored: false }) {
            self.num_bytes -= old.bytes.len();
        }
        while self.num_bytes > bytes_max {
            let Some((start, oldest)) = self.kept.pop_first() else { return };
            self.num_bytes -= oldest.bytes.len();
            self.given_up = self.given_up.max(Some(start));
        }
    }

    /// The window that starts then.
    pub(super) fn get(&self, start_millis: i64) -> Option<Correctable> {
        let kept = self.kept.get(&start_millis)?;
        Some(decode(&kept.bytes).expect("it was encoded here, or read when it was restored"))
    }

    /// Forgets windows that start before this.
    pub(super) fn forget_before(&mut self, start_millis: i64) {
        let rest = self.kept.split_off(&start_millis);
        let gone = std::mem::replace(&mut self.kept, rest);
        self.num_bytes -= gone.values().map(|kept| kept.bytes.len()).sum::<usize>();
    }

    /// Whether the window that starts then was given up for the limit.
    pub(super) fn has_given_up(&self, start_millis: i64) -> bool {
        self.given_up.is_some_and(|given_up| start_millis <= given_up)
    }

    /// See [`Corrections::has_given_up`].
    pub(super) fn given_up(&self) -> Option<i64> {
        self.given_up
    }

    /// Windows kept, and the bytes of them.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.kept.len(), self.num_bytes)
    }

    /// Start of the oldest window kept.
    pub(super) fn oldest_millis(&self) -> Option<i64> {
        self.kept.keys().next().copied()
    }

    /// What the store does not have yet; from now on it has.
    pub(super) fn take_unstored(&mut self) -> Vec<CorrectableBlob> {
        let new = self.kept.iter_mut().filter(|(_, kept)| !kept.is_stored);
        new.map(|(start_millis, kept)| {
            kept.is_stored = true;
            CorrectableBlob { start_millis: *start_millis, bytes: kept.bytes.clone() }
        })
        .collect()
    }
}
