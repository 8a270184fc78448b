//! Compressed streams, known by what they begin with; and files by what they hold.

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read},
    path::Path,
};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTANDARD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Opens a file and unpacks it if it is gzip or Zstandard.
pub fn open_file(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a folder"));
    }
    Ok(unpack(file)?.0)
}

/// What a stream holds, unpacked, and whether it was packed.
pub(super) fn unpack(mut input: impl Read + Send + 'static) -> io::Result<(Box<dyn Read + Send>, bool)> {
    let mut head = Vec::with_capacity(ZSTANDARD.len());
    input.by_ref().take(ZSTANDARD.len() as u64).read_to_end(&mut head)?;
    let is_gzip = head.starts_with(GZIP);
    let is_zstandard = head.starts_with(ZSTANDARD);
    let whole = Cursor::new(head).chain(input);
    if is_gzip {
        let reader = flate2::read::MultiGzDecoder::new(BufReader::new(whole));
        return Ok((Box::new(Unpacked { reader, packing: "gzip" }), true));
    }
    if is_zstandard {
        let reader = zstd::stream::read::Decoder::new(whole)?;
        return Ok((Box::new(Unpacked { reader, packing: "Zstandard" }), true));
    }
    Ok((Box::new(whole), false))
}

/// Says of its errors whether the data is damaged or could not be had.
struct Unpacked<R> {
    reader: R,
    packing: &'static str,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => error,
            _ if error.raw_os_error().is_some() => error,
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(io::ErrorKind::InvalidData, format!("its {} data is cut off", self.packing))
            }
            _ => io::Error::new(
                io::ErrorKind::InvalidData,
                format!("its {} data is damaged: {error}", self.packing),
            ),
        })
    }
}

/// A file whose packing is undone, to be read in any order: itself, or a copy in a nameless temporary file.
#[cfg(feature = "parquet")]
pub(super) fn unpacked_file(mut input: Box<dyn Read + Send>) -> io::Result<File> {
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut input, &mut copy)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> (Vec<u8>, Option<String>) {
        let mut text = Vec::new();
        let error = unpack(Cursor::new(bytes)).and_then(|(mut input, _)| input.read_to_end(&mut text)).err();
        (text, error.map(|error| error.to_string()))
    }

    #[test]
    fn packing_is_known_by_its_first_bytes() {
        let text = b"timestamp,value\n1,2\n";
        let zipped = zstd::encode_all(&text[..], 3).unwrap();
        for bytes in [text.to_vec(), gzip(text), zipped, [gzip(&text[..9]), gzip(&text[9..])].concat()] {
            assert_eq!(read(bytes), (text.to_vec(), None));
        }
        for short in [&b""[..], b"a", b"\x1f"] {
            assert_eq!(read(short.to_vec()), (short.to_vec(), None));
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_told_apart() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|number| (number * 7_919).to_le_bytes()).collect();
        let (packed, zipped) = (gzip(&text), zstd::encode_all(&text[..], 3).unwrap());
        let (kept, error) = read(packed[..packed.len() / 2].to_vec());
        assert!(text.starts_with(&kept) && kept.len() > 1_000);
        assert_eq!(error.unwrap(), "its gzip data is cut off");
        let (kept, error) = read(zipped[..zipped.len() / 2].to_vec());
        assert!(text.starts_with(&kept) && kept.len() > 1_000);
        assert_eq!(error.unwrap(), "its Zstandard data is cut off");
        let mut bad = packed.clone();
        bad[5_000..5_200].fill(0xff);
        assert!(read(bad).1.unwrap().starts_with("its gzip data is damaged: "));
    }
}
