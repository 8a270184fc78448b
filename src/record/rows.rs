//! Where one row of a text ends: at a newline that is not inside double quotes.
//!
//! Used by the file source to cut a stream into records, and by the decoder for records of many rows.
//! It keeps no text, so a stream can be fed in pieces of any size.

use memchr::memchr2_iter;

/// How rows end in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSplit {
    /// At every newline (JSON lines).
    Newline,
    /// At a newline outside double quotes (CSV and TSV, RFC 4180).
    Quoted,
}

/// Finds row ends in a text that may come in pieces.
#[derive(Clone, Copy, Debug)]
pub struct RowSplitter {
    split: RowSplit,
    in_quotes: bool,
}

impl RowSplitter {
    /// Starts at the beginning of a row.
    pub fn new(split: RowSplit) -> Self {
        Self { split, in_quotes: false }
    }

    /// The index of the newline that ends the row, looking at `text` as the continuation of what was
    /// passed before. `None` when the row goes on after `text`.
    pub fn find_end(&mut self, text: &[u8]) -> Option<usize> {
        if self.split == RowSplit::Newline {
            return memchr::memchr(b'\n', text);
        }
        for at in memchr2_iter(b'\n', b'"', text) {
            if text[at] == b'"' {
                self.in_quotes = !self.in_quotes;
            } else if !self.in_quotes {
                return Some(at);
            }
        }
        None
    }

    /// The rows of a whole text, without their line ends; empty rows are left out.
    pub fn rows(split: RowSplit, text: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = text;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = Self::new(split).find_end(rest).unwrap_or(rest.len());
                let row = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
                rest = rest.get(end + 1..).unwrap_or_default();
                if !row.iter().all(u8::is_ascii_whitespace) {
                    return Some(row);
                }
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_newline_does_not_end_a_row() {
        let text = b"a,\"x\ny\",\"say \"\"hi\"\"\"\r\n\nb,2\n";
        let rows: Vec<_> = RowSplitter::rows(RowSplit::Quoted, text).collect();
        assert_eq!(rows, [&b"a,\"x\ny\",\"say \"\"hi\"\"\""[..], b"b,2"]);
        assert_eq!(RowSplitter::rows(RowSplit::Newline, text).count(), 3);
    }

    #[test]
    fn pieces_of_any_size_find_the_same_end() {
        let text = b"a,\"x\ny\",z\nnext";
        for cut in 0..10 {
            let mut splitter = RowSplitter::new(RowSplit::Quoted);
            let end = splitter
                .find_end(&text[..cut])
                .or_else(|| splitter.find_end(&text[cut..]).map(|end| end + cut));
            assert_eq!(end, Some(9), "cut at {cut}");
        }
    }
}
