//! Why an event was refused, in words that name what was wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Record;

/// The closed set of reasons: a metric label, never free text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The bytes are not of the source's format.
    Malformed,
    /// A JSON value that is not an object.
    NotAnObject,
    /// A delimited row with another number of cells than columns.
    WrongColumns,
    /// A record over the size limit.
    TooLarge,
    /// No timestamp in the event.
    NoTimestamp,
    /// A timestamp that could not be read.
    BadTimestamp,
    /// A timestamp later than the record's arrival by more than the allowed lead.
    InTheFuture,
    /// A measure's input is there but is no finite number.
    NotANumber,
}

impl RejectReason {
    /// Every reason, in the order of the metric's labels.
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::NotAnObject,
        Self::WrongColumns,
        Self::TooLarge,
        Self::NoTimestamp,
        Self::BadTimestamp,
        Self::InTheFuture,
        Self::NotANumber,
    ];

    /// The label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotAnObject => "not_an_object",
            Self::WrongColumns => "wrong_columns",
            Self::TooLarge => "too_large",
            Self::NoTimestamp => "no_timestamp",
            Self::BadTimestamp => "bad_timestamp",
            Self::InTheFuture => "in_the_future",
            Self::NotANumber => "not_a_number",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refused event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The reason, for counting.
    pub reason: RejectReason,
    /// What exactly was wrong, naming the field and the value.
    pub detail: String,
}

impl Reject {
    /// A reject with its detail.
    pub fn new(reason: RejectReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// A refused event as kept for people: where it was, and the beginning of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectSample {
    /// The partition.
    pub partition: String,
    /// The batch's range of positions, as `(from..to]`.
    pub positions: String,
    /// Index of the record in its batch, from 0.
    pub record: usize,
    /// Index of the row in its record, from 0.
    pub row: usize,
    /// The reason.
    pub reason: RejectReason,
    /// What was wrong.
    pub detail: String,
    /// The record, cut to its first 64 KiB; empty when an earlier row of the same record holds it already.
    pub payload: String,
    /// The whole record, where refused records are passed on.
    #[serde(skip)]
    pub whole: Option<Record>,
}

impl RejectSample {
    /// Bytes of records in it.
    pub fn num_bytes(&self) -> usize {
        self.payload.len() + self.whole.as_ref().map_or(0, |record| record.payload.len())
    }
}
