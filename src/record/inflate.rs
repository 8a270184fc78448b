//! Records that were compressed before they were sent.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The text of a gzip payload, and anything else as it is; also what only begins like gzip, which is refused as
/// malformed later. Of what is longer than `bytes_max` one byte more is kept: enough to be refused for its size.
pub fn inflate(payload: Bytes, bytes_max: usize) -> Bytes {
    if !payload.starts_with(&GZIP) {
        return payload;
    }
    let mut text = Vec::new();
    match MultiGzDecoder::new(&payload[..]).take(bytes_max as u64 + 1).read_to_end(&mut text) {
        Ok(_) => text.into(),
        Err(_) => payload,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_opened_and_nothing_else() {
        assert_eq!(inflate(gzip("{\"a\":1}").into(), 100), "{\"a\":1}");
        assert_eq!(inflate([gzip("one\n"), gzip("two")].concat().into(), 100), "one\ntwo");
        assert_eq!(inflate(Bytes::from_static(b"{}"), 100), "{}");
        let cut = Bytes::from(gzip("some text").split_off(3));
        assert_eq!(inflate(cut.clone(), 100), cut);
        let broken = Bytes::copy_from_slice(&gzip("some text")[..15]);
        assert_eq!(inflate(broken.clone(), 100), broken);
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        assert_eq!(inflate(gzip(&"x".repeat(1_000_000)).into(), 1_000).len(), 1_001);
    }
}
