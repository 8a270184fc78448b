//! What a shard gave becomes batches: packed records are taken apart, what was read before is left out, and a
//! gap between the stored position and what is still there is noticed.

use bytes::Bytes;

use super::{
    KinesisReading,
    aggregate::{Unpacked, unpack},
    place::{self, Place},
};
use crate::record::{Envelope, PartitionId, Position, Record, RecordBatch, inflate, log_events};

/// Records and bytes of one batch at most; a single record may be larger.
const RECORDS_PER_BATCH: usize = 10_000;
const BYTES_PER_BATCH: usize = 4 << 20;

/// One record as the service keeps it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) sequence: Position,
    pub(super) key: Option<String>,
    pub(super) arrived_millis: Option<i64>,
    pub(super) data: Bytes,
}

/// What was noticed on the way, since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    /// Records that only look packed.
    pub(super) damaged: u64,
    /// The first record still there, when the one that was read last is not.
    pub(super) gap_before: Option<Position>,
}

#[derive(Debug)]
pub(super) struct Cutter {
    partition: PartitionId,
    position: Position,
    reading: KinesisReading,
    records_per_batch: usize,
    /// The record at the stored position has not been seen again yet.
    unproven: bool,
    noticed: Noticed,
}

impl Cutter {
    /// A shard that is read on after `position`.
    pub(super) fn new(partition: PartitionId, position: Position, reading: KinesisReading) -> Self {
        let unproven = matches!(place::place(&position), Place::Sequence(_));
        let noticed = Noticed::default();
        Self { partition, position, reading, records_per_batch: RECORDS_PER_BATCH, unproven, noticed }
    }

    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    pub(super) fn take_noticed(&mut self) -> Noticed {
        std::mem::take(&mut self.noticed)
    }

    /// The batches of one answer, which begins at or before the position.
    pub(super) fn cut(&mut self, kept: Vec<Kept>, behind_millis: Option<i64>) -> Vec<RecordBatch> {
        if let Some(first) = kept.first()
            && std::mem::take(&mut self.unproven)
            && first.sequence > self.position
        {
            self.noticed.gap_before = Some(first.sequence.clone());
        }
        let (mut batches, mut records, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut last = self.position.clone();
        for record in kept {
            let Kept { sequence, key, arrived_millis, data } = record;
            let user_records = match unpack(&data) {
                Unpacked::Several(user_records) => {
                    user_records.into_iter().map(|record| (record.key, record.data)).collect()
                }
                Unpacked::Damaged => {
                    self.noticed.damaged += u64::from(sequence > self.position);
                    vec![(key, data)]
                }
                Unpacked::Single => vec![(key, data)],
            };
            if user_records.is_empty() {
                last = last.max(sequence.clone());
            }
            for (part, (key, data)) in user_records.into_iter().enumerate() {
                let position = sequence.with_part(part as u32);
                if position <= last {
                    continue;
                }
                bytes += self.open(key, data, arrived_millis, &mut records);
                last = position;
                if records.len() >= self.records_per_batch || bytes >= BYTES_PER_BATCH {
                    batches.push(self.advance(last.clone(), std::mem::take(&mut records), behind_millis));
                    bytes = 0;
                }
            }
        }
        if last > self.position {
            batches.push(self.advance(last, records, behind_millis));
        }
        batches
    }

    /// A batch without records that says where the shard begins.
    pub(super) fn begin(&mut self, at: Position) -> RecordBatch {
        self.position = Position::Beginning;
        self.advance(at, Vec::new(), None)
    }

    /// A batch without records that says that nothing will follow.
    pub(super) fn end(&mut self) -> RecordBatch {
        let end = place::drained(&self.position);
        RecordBatch { ends_partition: true, ..self.advance(end, Vec::new(), None) }
    }

    /// Adds what is in a record once it is decompressed, and says how long that is.
    fn open(
        &self,
        key: Option<String>,
        data: Bytes,
        timestamp_millis: Option<i64>,
        records: &mut Vec<Record>,
    ) -> usize {
        let payload = inflate(data, self.reading.bytes_max);
        let envelope = self.reading.wants_envelope.then(|| {
            let key = key.map(Bytes::from);
            Box::new(Envelope { key, timestamp_millis, headers: Vec::new(), offset: None })
        });
        let num_bytes = payload.len();
        match log_events(&payload).filter(|_| self.reading.opens_logs) {
            Some(events) => {
                let record = |payload| Record { envelope: envelope.clone(), ..Record::new(payload) };
                records.extend(events.into_iter().map(record));
            }
            None => records.push(Record { envelope, ..Record::new(payload) }),
        }
        num_bytes
    }

    fn advance(&mut self, to: Position, records: Vec<Record>, lag_millis: Option<i64>) -> RecordBatch {
        let from_exclusive = std::mem::replace(&mut self.position, to.clone());
        RecordBatch {
            partition: self.partition.clone(),
            records,
            from_exclusive,
            to_inclusive: to,
            header: None,
            received_millis: None,
            lag_millis,
            ends_partition: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};

    use super::*;

    fn number(last: u8) -> Position {
        format!("49590338271490256608559692538361571095921575989136588{last:03}").parse().unwrap()
    }

    fn kept(last: u8, data: impl Into<Bytes>) -> Kept {
        Kept { sequence: number(last), key: None, arrived_millis: None, data: data.into() }
    }

    /// Packed records of one byte each: the numbers from 0.
    fn packed(count: u8) -> Vec<u8> {
        let message: Vec<u8> =
            (0..count).flat_map(|byte| [0x1a, 0x05, 0x08, 0x00, 0x1a, 0x01, byte]).collect();
        let digest = Md5::digest(&message);
        [&[0xf3, 0x89, 0x9a, 0xc2][..], &message, &digest[..]].concat()
    }

    fn cutter(position: Position) -> Cutter {
        let reading = KinesisReading { wants_envelope: false, bytes_max: 100_000, opens_logs: true };
        Cutter::new(PartitionId::new("s/1"), position, reading)
    }

    fn payloads(batches: &[RecordBatch]) -> Vec<u8> {
        batches.iter().flat_map(|batch| batch.records.iter().map(|record| record.payload[0])).collect()
    }

    #[test]
    fn reading_goes_on_strictly_after_a_record_inside_a_packed_one() {
        let answer = || vec![kept(5, packed(4)), kept(6, "x"), kept(7, packed(2))];
        let mut first = cutter(Position::Beginning);
        first.records_per_batch = 3;
        let batches = first.cut(answer(), Some(9));
        assert_eq!(payloads(&batches), [0, 1, 2, 3, b'x', 0, 1]);
        let stops: Vec<Position> = batches.iter().map(|batch| batch.to_inclusive.clone()).collect();
        assert_eq!(stops, [number(5).with_part(2), number(7), number(7).with_part(1)]);
        assert!(batches.windows(2).all(|pair| pair[0].to_inclusive == pair[1].from_exclusive));
        for (index, stop) in stops.iter().enumerate() {
            let mut again = cutter(stop.clone());
            let rest = again.cut(answer(), None);
            assert_eq!(payloads(&rest), payloads(&batches[index + 1..]), "after {stop}");
            assert_eq!(again.take_noticed(), Noticed::default());
        }
    }

    #[test]
    fn a_position_that_is_gone_is_noticed_once() {
        let mut cutter = cutter(number(4));
        assert!(cutter.cut(Vec::new(), None).is_empty());
        cutter.cut(vec![kept(6, "x")], None);
        assert_eq!(cutter.take_noticed().gap_before, Some(number(6)));
        cutter.cut(vec![kept(9, "x")], None);
        assert_eq!(cutter.take_noticed(), Noticed::default());
    }

    #[test]
    fn compressed_log_events_are_records_of_their_own() {
        let payload = r#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"shop","logStream":"web",
            "subscriptionFilters":[],"logEvents":[{"id":"1","timestamp":7,"message":"{\"a\":1}"},
            {"id":"2","timestamp":8,"message":"GET /"}]}"#;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, payload.as_bytes()).unwrap();
        let batches = cutter(Position::Beginning).cut(vec![kept(3, encoder.finish().unwrap())], None);
        let texts: Vec<&[u8]> = batches[0].records.iter().map(|record| &record.payload[..]).collect();
        assert!(texts[0].starts_with(b"{\"a\":1,") && texts[1].starts_with(b"{\"@message\":\"GET /\""));
        assert_eq!((texts.len(), &batches[0].to_inclusive), (2, &number(3)));
    }

    #[test]
    fn empty_and_damaged_packs_move_the_position() {
        let mut cutter = cutter(Position::Beginning);
        let mut bad = packed(2);
        bad[9] ^= 1;
        let batches = cutter.cut(vec![kept(3, packed(0)), kept(4, bad)], None);
        assert_eq!(payloads(&batches), [0xf3]);
        assert_eq!((cutter.take_noticed().damaged, cutter.position()), (1, &number(4)));
        let batches = cutter.cut(vec![kept(5, packed(0))], None);
        assert_eq!((batches.len(), payloads(&batches).len(), cutter.position()), (1, 0, &number(5)));
        let end = cutter.end();
        assert!(end.ends_partition && place::is_drained(&end.to_inclusive));
    }
}
