//! Records that the Kinesis Producer Library packed into one: a magic number, a protobuf message, and the MD5
//! of the message. What lacks the magic number or has another checksum is an ordinary record, as the format says.
//! Reference: github.com/awslabs/amazon-kinesis-producer, aggregation-format.md.

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;

#[derive(Clone, PartialEq, Message)]
struct Aggregated {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Packed>,
}

#[derive(Clone, PartialEq, Message)]
struct Packed {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(bytes = "bytes", required, tag = "3")]
    data: Bytes,
}

/// A record as its producer knows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UserRecord {
    pub(super) key: Option<String>,
    pub(super) data: Bytes,
}

/// What a record's data is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unpacked {
    /// An ordinary record.
    Single,
    /// Begins like packed records and is none: an ordinary record, and worth a count.
    Damaged,
    /// Several.
    Several(Vec<UserRecord>),
}

/// Takes a record apart without copying what is in it.
pub(super) fn unpack(data: &Bytes) -> Unpacked {
    if !data.starts_with(&MAGIC) {
        return Unpacked::Single;
    }
    let Some(end) = data.len().checked_sub(DIGEST_BYTES).filter(|end| *end >= MAGIC.len()) else {
        return Unpacked::Damaged;
    };
    let message = data.slice(MAGIC.len()..end);
    if Md5::digest(&message)[..] != data[end..] {
        return Unpacked::Damaged;
    }
    let Ok(Aggregated { partition_key_table, records }) = Aggregated::decode(message) else {
        return Unpacked::Damaged;
    };
    let key = |index: u64| partition_key_table.get(usize::try_from(index).ok()?).cloned();
    let records = records
        .into_iter()
        .map(|Packed { partition_key_index, data }| UserRecord { key: key(partition_key_index), data });
    Unpacked::Several(records.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five records `data-0` to `data-4` as the package aws-kinesis-agg 1.2.3 packs them.
    const MESSAGE: &str = "0a03706b300a03706b31120531323334351a0a08001a06646174612d301a0a08011a06646174612d31\
                           1a0a08001a06646174612d321a0c080110001a06646174612d331a0a08001a06646174612d34";

    fn packed() -> Vec<u8> {
        let digits = MESSAGE.as_bytes().chunks(2);
        let message: Vec<u8> =
            digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        let digest = Md5::digest(&message);
        [&MAGIC[..], &message, &digest[..]].concat()
    }

    #[test]
    fn packed_records_come_apart_in_order() {
        let Unpacked::Several(records) = unpack(&packed().into()) else { panic!("not taken apart") };
        let texts: Vec<(String, String)> = records
            .iter()
            .map(|record| (record.key.clone().unwrap(), String::from_utf8_lossy(&record.data).into_owned()))
            .collect();
        let expected =
            [("pk0", "data-0"), ("pk1", "data-1"), ("pk0", "data-2"), ("pk1", "data-3"), ("pk0", "data-4")];
        assert_eq!(texts, expected.map(|(key, data)| (key.to_owned(), data.to_owned())));
    }

    #[test]
    fn anything_else_is_an_ordinary_record() {
        assert_eq!(unpack(&Bytes::from_static(b"{}")), Unpacked::Single);
        assert_eq!(unpack(&Bytes::new()), Unpacked::Single);
        let whole = packed();
        for at in [4, 30, whole.len() - 1] {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            assert_eq!(unpack(&bad.into()), Unpacked::Damaged, "byte {at}");
        }
        for length in [4, 19, 20, whole.len() - 1] {
            assert_eq!(
                unpack(&Bytes::copy_from_slice(&whole[..length])),
                Unpacked::Damaged,
                "{length} bytes"
            );
        }
    }

    #[test]
    fn an_empty_aggregate_holds_nothing() {
        let whole = [&MAGIC[..], &Md5::digest(b"")[..]].concat();
        assert_eq!(unpack(&whole.into()), Unpacked::Several(Vec::new()));
    }
}
