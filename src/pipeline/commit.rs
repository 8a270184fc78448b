//! What one transaction of the store holds.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Instructed, Instruction};
use crate::{
    anomaly::{Alert, Incident, Milestone},
    record::{Checkpoint, CheckpointDelta, Receipt, RecordBatch, SourceId},
    window::SliceKey,
};

/// Everything that moves together: results, state, outbox and checkpoint of one source.
///
/// A *full* commit carries the state of all monitors, so that nothing before its checkpoint is needed again.
/// A *light* commit (`monitors` is `None`) moves only the checkpoint and keeps the records themselves in the
/// journal: cheap enough for every HTTP request, exact because a restart reads the journal through the same
/// engine. The next full commit empties the journal. Sources that can be read again make full commits only.
#[derive(Debug)]
pub struct Commit {
    /// The source.
    pub source: SourceId,
    /// The positions it covers; refused unless they start at the stored checkpoint.
    pub delta: CheckpointDelta,
    /// Records to keep until the next full commit.
    pub journal: Vec<RecordBatch>,
    /// Answers to senders, by the record's id.
    pub receipts: Vec<(Arc<str>, Receipt)>,
    /// Earlier answers of the source are kept this long.
    pub receipts_kept_millis: i64,
    /// Closes by idleness or the clock since the last full commit, in order.
    pub inputs: Vec<RecordedInput>,
    /// The state of all monitors of the source, or `None` for a light commit.
    pub monitors: Option<Vec<MonitorCommit>>,
    /// Wall clock, for rows that record when something was stored.
    pub at_millis: i64,
}

/// What changed in one monitor.
#[derive(Debug)]
pub struct MonitorCommit {
    /// The monitor.
    pub monitor: String,
    /// Its open windows, anomalies, incidents and totals, versioned.
    pub state: Vec<u8>,
    /// Slices admitted since the last commit.
    pub slices: SlicesFrom,
    /// Windows closed since the last commit.
    pub frames: Vec<FrameBlob>,
    /// Revisions of windows closed by now.
    pub revisions: Vec<RevisionBlob>,
    /// Closed windows that can still be revised, as far as they are new or changed.
    pub correctable: Vec<CorrectableBlob>,
    /// Windows that start before this can no longer be revised; `i64::MAX` when none can.
    pub correctable_from_millis: i64,
    /// Model snapshots that are due.
    pub models: Vec<ModelBlob>,
    /// Incidents that changed, as they stand.
    pub incidents: Vec<Incident>,
    /// What incidents came to.
    pub milestones: Vec<Milestone>,
    /// Instructions carried out.
    pub instructed: Vec<Instructed>,
    /// Alerts for the outbox.
    pub alerts: Vec<Alert>,
    /// Windows that start before this may be deleted.
    pub retain_from_millis: Option<i64>,
}

/// New slices, numbered from `first` on.
#[derive(Debug, Default)]
pub struct SlicesFrom {
    /// The number of the first.
    pub first: usize,
    /// The slices.
    pub keys: Vec<SliceKey>,
}

/// One closed window of one shard of slices, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameBlob {
    /// Start of the window.
    pub start_millis: i64,
    /// End of the window.
    pub end_millis: i64,
    /// Number of the shard.
    pub shard: usize,
    /// See [`super::ShardFrame`].
    pub bytes: Vec<u8>,
    /// What late events made of it; see [`super::ShardRevision`]. Only when read from a store.
    pub revision: Option<Vec<u8>>,
}

/// What late events made of one closed window of one shard of slices, encoded; takes the place of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionBlob {
    /// Start of the window.
    pub start_millis: i64,
    /// Number of the shard.
    pub shard: usize,
    /// See [`super::ShardRevision`].
    pub bytes: Vec<u8>,
}

/// A closed window that can still be revised, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectableBlob {
    /// Start of the window.
    pub start_millis: i64,
    /// All that came to it, and what it gave to incidents.
    pub bytes: Vec<u8>,
}

/// The models of one shard, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelBlob {
    /// Number of the shard.
    pub shard: usize,
    /// They have learned all windows that end at or before this.
    pub through_millis: i64,
    /// See [`super::Models`].
    pub bytes: Vec<u8>,
}

/// An input that is not a record: what the wall clock or a person did. A replay repeats it at the same place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedInput {
    /// The monitor it concerns.
    pub monitor: String,
    /// Every partition had been read exactly this far.
    pub at: Checkpoint,
    /// What happened.
    pub kind: RecordedInputKind,
}

/// What the wall clock, a person, or the finding of a new partition, did to a monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedInputKind {
    /// A partition was left out for its silence.
    Idle {
        /// The partition.
        partition: String,
    },
    /// A partition that was left out, or unknown, spoke.
    Spoke {
        /// The partition.
        partition: String,
    },
    /// The service did not run, and nobody could send to it.
    Away {
        /// From then on.
        from_millis: i64,
        /// Until then.
        to_millis: i64,
    },
    /// Somebody told it something.
    Instructed {
        /// What.
        instruction: Instruction,
    },
    /// Windows were closed by the clock.
    Clock {
        /// All that end at or before this.
        through_millis: i64,
    },
}
