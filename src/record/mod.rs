//! Floor 1: what comes in. Raw records with their positions, and how a record becomes events.
//!
//! The promise of this room: a bad record never stops the stream. Whatever cannot be read becomes a
//! [`Reject`] with a reason, and everything else in the same record is kept.
//!
//! It knows nothing of windows, of any source, or of the wall clock.

#[cfg(feature = "schemas")]
mod avro;
mod checkpoint;
mod cloudwatch;
mod decode;
mod envelope;
mod filter;
mod inflate;
mod json;
mod mapping;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "schemas")]
mod protobuf;
mod reject;
mod rows;
mod sample;
mod schema;
mod tabbed;
mod timestamp;

pub use checkpoint::{Checkpoint, CheckpointDelta, Conflict, PartitionId, Position, SourceId};
pub use cloudwatch::log_events;
pub use decode::{Decoder, Format, FormatError, Visit};
pub use envelope::Envelope;
pub use filter::{Condition, Predicate, Scalar};
pub use inflate::inflate;
pub use json::{Field, FieldPaths};
pub use mapping::{Event, Input, InputKind, Inputs, Mapping, MappingError, MeasureInput, NO_VALUE};
#[cfg(feature = "parquet")]
pub use parquet::{ParquetError, ParquetRows};
pub use reject::{Reject, RejectReason, RejectSample};
pub use rows::{RowSplit, RowSplitter};
pub use sample::{Sample, SampleForm};
pub use schema::{Encoding, Schema, SchemaError, SchemaOf, SchemaText, Schemas};
pub use timestamp::{TimestampFormat, TimestampFormatError};

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One raw message of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bytes as they came, decompressed.
    pub payload: Bytes,
    /// The sender's own name for this record, by which a repetition is known.
    pub id: Option<Arc<str>>,
    /// What came around it, where some monitor asks for that.
    pub envelope: Option<Box<Envelope>>,
    /// Where it stands in its file, for people who look for it there.
    pub place: Option<Place>,
}

/// Where a record stands in its file, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The line of a text that it begins in.
    Line(u64),
    /// The row of a table.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

impl Record {
    /// A record without an id.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), id: None, envelope: None, place: None }
    }

    /// A record that stands there in its file.
    pub fn at(payload: impl Into<Bytes>, place: Option<Place>) -> Self {
        Self { place, ..Self::new(payload) }
    }

    /// A copy that keeps nothing else in memory, as a record does that shares a buffer with its batch.
    #[must_use]
    pub fn detached(&self) -> Self {
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let envelope = self.envelope.as_deref().map(|envelope| {
            let header = |(name, value): &(String, Option<Bytes>)| (name.clone(), value.as_ref().map(copy));
            Box::new(Envelope {
                key: envelope.key.as_ref().map(copy),
                headers: envelope.headers.iter().map(header).collect(),
                ..*envelope
            })
        });
        Self { payload: copy(&self.payload), id: self.id.clone(), envelope, place: self.place }
    }
}

/// Refused rows that a receipt names.
pub const REJECTS_NAMED: usize = 20;

/// What became of one record's events; the answer to a sender that waits for one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Events in the record.
    pub events: u64,
    /// Events aggregated by every monitor of the source.
    pub counted: u64,
    /// Events refused by a monitor, or unreadable.
    pub rejected: u64,
    /// Events that came late for a window that can still be revised.
    #[serde(default)]
    pub revised: u64,
    /// Events too late for their window.
    pub late: u64,
    /// Events over a limit.
    pub over_limit: u64,
    /// The first refused rows: index in the record and why.
    pub rejects: Vec<(usize, String)>,
}

/// What the records of a batch share and cannot be read without.
#[derive(Clone, Debug)]
pub enum Header {
    /// The header row of a delimited file.
    Row(Bytes),
    /// The schemas that the records name.
    Schemas(Arc<Schemas>),
}

impl Receipt {
    /// The receipt of several records that came together; a refused row is then named by its record.
    pub fn of_all(receipts: impl Iterator<Item = Receipt>) -> Self {
        let mut all = Self::default();
        for (index, receipt) in receipts.enumerate() {
            all.events += receipt.events;
            all.counted += receipt.counted;
            all.revised += receipt.revised;
            all.rejected += receipt.rejected;
            all.late += receipt.late;
            all.over_limit += receipt.over_limit;
            let room = REJECTS_NAMED.saturating_sub(all.rejects.len());
            all.rejects.extend(receipt.rejects.into_iter().take(room).map(|(_, detail)| (index, detail)));
        }
        all
    }
}

/// A run of consecutive records of one partition, with the positions it covers.
///
/// The positions are a field of the batch and not of its records, so that a batch of empty records
/// moves the checkpoint like any other.
#[derive(Clone, Debug)]
pub struct RecordBatch {
    /// Where the records come from.
    pub partition: PartitionId,
    /// The records in the partition's own order.
    pub records: Vec<Record>,
    /// The position before the first record: what the checkpoint must hold for this batch to fit.
    pub from_exclusive: Position,
    /// The position of the last record.
    pub to_inclusive: Position,
    /// What its records cannot be read without.
    pub header: Option<Header>,
    /// When the records arrived, for sources that can tell: events much later than this are refused.
    /// Milliseconds since the Unix epoch. `None` for stored files.
    pub received_millis: Option<i64>,
    /// How far behind the newest data this batch is, where the source can tell.
    pub lag_millis: Option<i64>,
    /// True when nothing will ever follow in this partition.
    pub ends_partition: bool,
}

impl RecordBatch {
    /// Payload bytes in this batch.
    pub fn payload_bytes(&self) -> usize {
        self.records.iter().map(|record| record.payload.len()).sum()
    }
}
