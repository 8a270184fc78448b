//! One partition: its queue, how far it was read, and the next batch of it.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use rdkafka::{
    Message,
    consumer::base_consumer::PartitionQueue,
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers},
};

use super::client::Context;
use crate::record::{Envelope, PartitionId, Position, Record, RecordBatch};
use tokio::time::Instant;

/// Records and bytes of one batch at most; a single record may be larger.
const RECORDS_PER_BATCH: usize = 20_000;
const BYTES_PER_BATCH: usize = 4 << 20;

pub(super) struct Part {
    pub(super) id: PartitionId,
    pub(super) queue: PartitionQueue<Context>,
    pub(super) position: Position,
    /// Nothing more to read when last asked.
    pub(super) at_end: bool,
    /// When it last had something, or was at its end.
    pub(super) heard: Instant,
    /// Bytes and records of the last batch: the next one is likely as large.
    pub(super) usual: (usize, usize),
}

/// What a partition's queue held besides records.
pub(super) enum Trouble {
    /// The broker no longer has the next offset.
    OffsetGone,
    /// Something that passes or that the client retries.
    Other(KafkaError),
}

/// What is kept of a record beside its payload.
#[derive(Clone, Copy)]
pub(super) struct Keep {
    /// Key, headers and time.
    pub(super) envelope: bool,
    /// Its offset as well, so that it can be passed on.
    pub(super) offset: bool,
}

/// Records on their way into one batch, all in one buffer.
struct Filling {
    keep: Keep,
    buffer: BytesMut,
    records: Vec<Cut>,
    last_offset: i64,
    newest_millis: Option<i64>,
    tombstones: u64,
}

/// Where a record is in the buffer.
struct Cut {
    payload: Range<usize>,
    around: Option<Box<Around>>,
}

struct Around {
    key: Option<Range<usize>>,
    timestamp_millis: Option<i64>,
    headers: Vec<(String, Option<Range<usize>>)>,
    offset: Option<u64>,
}

impl Part {
    /// Offset of the next record.
    pub(super) fn next_offset(&self) -> i64 {
        self.position.number().map_or(0, |offset| offset as i64 + 1)
    }

    /// Takes what the queue holds, at most one batch. Trouble ends the batch and is returned beside it.
    pub(super) fn take(
        &mut self,
        keep: Keep,
        now_millis: i64,
    ) -> (Option<RecordBatch>, u64, Option<Trouble>) {
        let mut filling = Filling {
            keep,
            buffer: BytesMut::with_capacity(self.usual.0),
            records: Vec::with_capacity(self.usual.1),
            last_offset: self.next_offset() - 1,
            newest_millis: None,
            tombstones: 0,
        };
        let before = filling.last_offset;
        let mut trouble = None;
        while filling.records.len() < RECORDS_PER_BATCH && filling.buffer.len() < BYTES_PER_BATCH {
            match self.queue.poll(std::time::Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    self.at_end = false;
                    // After a seek the client may still hold records from before it.
                    if message.offset() > filling.last_offset {
                        filling.push(&message);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.at_end = true;
                    self.heard = Instant::now();
                    break;
                }
                Some(Err(error)) => {
                    trouble = Some(if is_offset_gone(&error) {
                        Trouble::OffsetGone
                    } else {
                        Trouble::Other(error)
                    });
                    break;
                }
            }
        }
        let tombstones = filling.tombstones;
        if filling.last_offset == before {
            return (None, tombstones, trouble);
        }
        self.heard = Instant::now();
        self.usual = filling.size();
        let lag_millis = filling.newest_millis.map(|newest| (now_millis - newest).max(0));
        let batch = self.advance(filling.last_offset, filling.records(), lag_millis);
        (Some(batch), tombstones, trouble)
    }

    /// A batch that says that the partition begins at its very first record.
    pub(super) fn stand_still(&self) -> RecordBatch {
        RecordBatch {
            partition: self.id.clone(),
            records: Vec::new(),
            from_exclusive: self.position.clone(),
            to_inclusive: self.position.clone(),
            header: None,
            received_millis: None,
            lag_millis: None,
            ends_partition: false,
        }
    }

    /// The batch from where the partition stands to `offset`.
    pub(super) fn advance(
        &mut self,
        offset: i64,
        records: Vec<Record>,
        lag_millis: Option<i64>,
    ) -> RecordBatch {
        let to_inclusive = Position::at(offset as u64);
        let from_exclusive = std::mem::replace(&mut self.position, to_inclusive.clone());
        RecordBatch {
            partition: self.id.clone(),
            records,
            from_exclusive,
            to_inclusive,
            header: None,
            received_millis: None,
            lag_millis,
            ends_partition: false,
        }
    }
}

fn is_offset_gone(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
    )
}

impl Filling {
    fn push(&mut self, message: &BorrowedMessage<'_>) {
        self.last_offset = message.offset();
        self.newest_millis = self.newest_millis.max(message.timestamp().to_millis());
        let Some(payload) = message.payload() else {
            self.tombstones += 1;
            return;
        };
        let payload = self.put(payload);
        let around = self.keep.envelope.then(|| Box::new(self.around(message)));
        self.records.push(Cut { payload, around });
    }

    fn put(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        start..self.buffer.len()
    }

    fn around(&mut self, message: &BorrowedMessage<'_>) -> Around {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Around {
            key: message.key().map(|key| self.put(key)),
            timestamp_millis: message.timestamp().to_millis(),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(|value| self.put(value))))
                .collect(),
            offset: self.keep.offset.then(|| message.offset() as u64),
        }
    }

    fn size(&self) -> (usize, usize) {
        (self.buffer.len().min(BYTES_PER_BATCH), self.records.len())
    }

    fn records(self) -> Vec<Record> {
        let whole: Bytes = self.buffer.freeze();
        let envelope = |around: Box<Around>| {
            let value = |range: Range<usize>| whole.slice(range);
            let headers = around.headers.into_iter().map(|(name, range)| (name, range.map(value)));
            Box::new(Envelope {
                key: around.key.map(value),
                timestamp_millis: around.timestamp_millis,
                headers: headers.collect(),
                offset: around.offset,
            })
        };
        let cut = |cut: Cut| Record {
            payload: whole.slice(cut.payload),
            id: None,
            envelope: cut.around.map(envelope),
            place: None,
        };
        self.records.into_iter().map(cut).collect()
    }
}
