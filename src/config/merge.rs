//! Several texts as one document, in which every key still knows its file and line.
//!
//! Tables of the same name in several texts are one table; any other key may be written once.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue, Deserializer, Error},
};

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file; `None` when there is only one.
    pub file: Option<PathBuf>,
    /// From 1 on.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "`{}` line {}", file.display(), self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

/// Texts one behind the other: an offset in all of them tells file and line.
pub(super) struct Texts<'t> {
    texts: Vec<(Option<PathBuf>, &'t str)>,
    /// Each with blanks ahead, which shift its offsets to where they are among all texts.
    shifted: Vec<String>,
}

/// The keys of a document with the offsets at which they are written.
pub(super) type Offsets = BTreeMap<String, usize>;

/// Why texts are no document: what, and where.
pub(super) type Malformed = (String, Option<Place>);

impl<'t> Texts<'t> {
    pub(super) fn new(texts: Vec<(Option<PathBuf>, &'t str)>) -> Self {
        let mut begin = 0;
        let mut shifted = Vec::with_capacity(texts.len());
        for (_, text) in &texts {
            shifted.push(" ".repeat(begin) + text);
            begin += text.len() + 1;
        }
        Self { texts, shifted }
    }

    /// File and line of an offset.
    pub(super) fn place(&self, offset: usize) -> Option<Place> {
        let mut begin = 0;
        for (file, text) in &self.texts {
            if offset <= begin + text.len() {
                let before = text.as_bytes().get(..offset - begin).unwrap_or_default();
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                return Some(Place { file: file.clone(), line });
            }
            begin += text.len() + 1;
        }
        None
    }

    /// One document out of all of them.
    pub(super) fn merge(&self) -> Result<Spanned<DeTable<'_>>, Malformed> {
        let mut all = DeTable::new();
        for text in &self.shifted {
            let parsed = DeTable::parse(text).map_err(|error| self.malformed(&error))?;
            merge_into(&mut all, parsed.into_inner(), "")
                .map_err(|(path, first, second)| self.twice(&path, first, second))?;
        }
        let end = self.shifted.last().map_or(0, String::len);
        Ok(Spanned::new(0..end, all))
    }

    /// What a parser or deserializer complained about.
    pub(super) fn malformed(&self, error: &Error) -> Malformed {
        let place = error.span().and_then(|span| self.place(span.start));
        (error.message().to_owned(), place)
    }

    fn twice(&self, path: &str, first: usize, second: usize) -> Malformed {
        let (first, second) = (self.place(first), self.place(second));
        let also = first.map(|place| format!(", and already in {place}")).unwrap_or_default();
        (format!("`{path}` is written twice{also}"), second)
    }
}

/// Reads a merged document.
pub(super) fn read<T: serde::de::DeserializeOwned>(document: Spanned<DeTable<'_>>) -> Result<T, Error> {
    T::deserialize(Deserializer::from(document))
}

/// The offset of every key and of every element of a list, by path.
pub(super) fn offsets(document: &DeTable<'_>) -> Offsets {
    let mut offsets = Offsets::new();
    note_table(document, "", &mut offsets);
    offsets
}

/// Where a path is written, or else the nearest table around it.
pub(super) fn nearest(offsets: &Offsets, path: &str) -> Option<usize> {
    let mut path = path;
    loop {
        if let Some(offset) = offsets.get(path) {
            return Some(*offset);
        }
        path = &path[..path.rfind(['.', '['])?];
    }
}

fn note_table(table: &DeTable<'_>, path: &str, offsets: &mut Offsets) {
    for (key, value) in table {
        let path = joined(path, key.get_ref());
        offsets.insert(path.clone(), key.span().start);
        note_value(value, &path, offsets);
    }
}

fn note_value(value: &Spanned<DeValue<'_>>, path: &str, offsets: &mut Offsets) {
    match value.get_ref() {
        DeValue::Table(table) => note_table(table, path, offsets),
        DeValue::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                let path = format!("{path}[{index}]");
                offsets.insert(path.clone(), value.span().start);
                note_value(value, &path, offsets);
            }
        }
        _ => {}
    }
}

fn merge_into<'i>(
    all: &mut DeTable<'i>,
    more: DeTable<'i>,
    path: &str,
) -> Result<(), (String, usize, usize)> {
    for (key, value) in more {
        let path = joined(path, key.get_ref());
        let Some((known, old)) = all.get_key_value(&key) else {
            all.insert(key, value);
            continue;
        };
        let twice = (path.clone(), known.span().start, key.span().start);
        if !matches!(old.get_ref(), DeValue::Table(_)) {
            return Err(twice);
        }
        let DeValue::Table(value) = value.into_inner() else { return Err(twice) };
        if let Some(DeValue::Table(old)) = all.get_mut(&key).map(Spanned::get_mut) {
            merge_into(old, value, &path)?;
        }
    }
    Ok(())
}

fn joined(path: &str, key: &DeString<'_>) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}
