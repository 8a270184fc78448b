//! JSON rows: reads just the configured fields of an object, in one pass, without building a tree.
//!
//! Field paths are compiled into a small tree of names; a `DeserializeSeed` walks it beside the parser and
//! skips everything else. Strings without escapes are borrowed from the record.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One configured field of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Field<'a> {
    /// Not in the row.
    #[default]
    Missing,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string, or a cell of a delimited row.
    Text(Cow<'a, str>),
    /// An object or an array where a scalar was expected.
    Composite,
}

impl Field<'_> {
    /// True for a value: neither missing, nor null, nor an empty string.
    pub fn exists(&self) -> bool {
        match self {
            Self::Missing | Self::Null => false,
            Self::Text(text) => !text.is_empty(),
            _ => true,
        }
    }

    /// The number, also one written as text; `None` for anything else, including infinities.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    /// The value as text. A whole number written as a float prints like the whole number.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Missing | Self::Null | Self::Composite => None,
            Self::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Int(number) => Some(Cow::Owned(number.to_string())),
            Self::Float(number) => Some(Cow::Owned(number.to_string())),
            Self::Text(text) => (!text.is_empty()).then(|| Cow::Borrowed(text.as_ref())),
        }
    }
}

/// The fields a source has to read, each under its index in a row.
#[derive(Clone, Debug, Default)]
pub struct FieldPaths {
    paths: Vec<String>,
    root: Node,
}

/// What is asked of an object: its keys that lead to fields, and the field that the value itself is.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    children: Vec<(String, Node)>,
    field: Option<usize>,
}

impl FieldPaths {
    /// The index of a path such as `geo.country`, adding it when new. A key that itself holds a dot is
    /// found by its full name at the top level as well.
    pub fn index(&mut self, path: &str) -> usize {
        if let Some(index) = self.paths.iter().position(|known| known == path) {
            return index;
        }
        let index = self.paths.len();
        self.paths.push(path.to_owned());
        self.root.insert(path.split('.'), index);
        if path.contains('.') {
            self.root.insert(std::iter::once(path), index);
        }
        index
    }

    /// The paths in index order.
    pub fn names(&self) -> &[String] {
        &self.paths
    }

    /// The tree of the paths.
    #[cfg(feature = "schemas")]
    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// Reads one object into `row`, which is cleared first. `Ok(false)` when the value is no object.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        &self,
        deserializer: D,
        row: &mut Vec<Field<'de>>,
    ) -> Result<bool, D::Error> {
        self.clear(row);
        ObjectSeed { node: &self.root, row }.deserialize(deserializer)
    }

    /// Sets every field of `row` to missing.
    pub(super) fn clear(&self, row: &mut Vec<Field<'_>>) {
        row.clear();
        row.resize(self.paths.len(), Field::Missing);
    }
}

impl Node {
    fn insert<'p>(&mut self, mut names: impl Iterator<Item = &'p str>, field: usize) {
        let Some(name) = names.next() else {
            self.field = Some(field);
            return;
        };
        let at = self.children.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.children.push((name.to_owned(), Self::default()));
            self.children.len() - 1
        });
        self.children[at].1.insert(names, field);
    }

    /// What is asked of the value under a key.
    pub(super) fn child(&self, key: &str) -> Option<&Self> {
        self.children.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }
}

#[cfg(feature = "schemas")]
impl Node {
    /// The keys and what is asked of each.
    pub(super) fn children(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.children.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// The index of the field that the value is.
    pub(super) fn field(&self) -> Option<usize> {
        self.field
    }
}

/// Reads an object along `node`; says whether it was one.
pub(super) struct ObjectSeed<'n, 'r, 'de> {
    node: &'n Node,
    row: &'r mut Vec<Field<'de>>,
}

/// Reads any value at `node`, storing scalars when the node is a field.
struct ValueSeed<'n, 'r, 'de> {
    node: &'n Node,
    row: &'r mut Vec<Field<'de>>,
}

/// Matches an object's key against the children of a node without keeping the key.
struct KeySeed<'n>(&'n Node);

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_, '_, 'de> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(ValueSeed { node: self.node, row: self.row })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_, 'de> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> ValueSeed<'_, '_, 'de> {
    fn store(self, value: Field<'de>) -> bool {
        if let Some(field) = self.node.field {
            self.row[field] = value;
        }
        false
    }
}

/// The result says whether the value was an object.
impl<'de> Visitor<'de> for ValueSeed<'_, '_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(self.store(Field::Bool(value)))
    }
    fn visit_i64<E>(self, value: i64) -> Result<bool, E> {
        Ok(self.store(Field::Int(value)))
    }
    fn visit_u64<E>(self, value: u64) -> Result<bool, E> {
        Ok(self.store(i64::try_from(value).map_or(Field::Float(value as f64), Field::Int)))
    }
    fn visit_f64<E>(self, value: f64) -> Result<bool, E> {
        Ok(self.store(Field::Float(value)))
    }
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<bool, E> {
        Ok(self.store(Field::Text(Cow::Borrowed(value))))
    }
    fn visit_str<E>(self, value: &str) -> Result<bool, E> {
        Ok(self.store(Field::Text(Cow::Owned(value.to_owned()))))
    }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(self.store(Field::Null))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.store(Field::Composite))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        while let Some(child) = entries.next_key_seed(KeySeed(self.node))? {
            match child {
                Some(node) => {
                    entries.next_value_seed(ValueSeed { node, row: &mut *self.row })?;
                }
                None => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        self.store(Field::Composite);
        Ok(true)
    }
}

impl<'de, 'n> DeserializeSeed<'de> for KeySeed<'n> {
    type Value = Option<&'n Node>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for KeySeed<'n> {
    type Value = Option<&'n Node>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.child(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(paths: &FieldPaths, text: &'a str) -> (bool, Vec<Field<'a>>) {
        let mut row = Vec::new();
        let object = paths.read(&mut serde_json::Deserializer::from_str(text), &mut row).unwrap();
        (object, row)
    }

    #[test]
    fn reads_only_the_paths_asked_for() {
        let mut paths = FieldPaths::default();
        for path in ["geo.country", "total", "ok", "n", "name", "geo"] {
            paths.index(path);
        }
        let (object, row) = read(
            &paths,
            r#"{"skip":[{"total":1}],"geo":{"city":"x","country":"DE"},"total":12.5,"ok":true,"n":null,"name":"a\"b"}"#,
        );
        assert!(object);
        assert_eq!(
            row,
            [
                Field::Text("DE".into()),
                Field::Float(12.5),
                Field::Bool(true),
                Field::Null,
                Field::Text("a\"b".into()),
                Field::Composite,
            ]
        );
        assert!(matches!(&row[0], Field::Text(Cow::Borrowed(_))));
    }

    #[test]
    fn a_dotted_key_is_found_too_and_scalars_are_no_objects() {
        let mut paths = FieldPaths::default();
        paths.index("geo.country");
        assert_eq!(read(&paths, r#"{"geo.country":"FR"}"#).1, [Field::Text("FR".into())]);
        assert_eq!(read(&paths, r#"{"geo":"FR"}"#).1, [Field::Missing]);
        assert!(!read(&paths, "3").0);
    }

    #[test]
    fn numbers_written_as_text_count_and_infinities_do_not() {
        assert_eq!(Field::Text(" 12.5 ".into()).number(), Some(12.5));
        assert_eq!(Field::Text("inf".into()).number(), None);
        assert_eq!(Field::Text("".into()).number(), None);
        assert_eq!(Field::Int(3).text().unwrap(), "3");
        assert!(!Field::Text("".into()).exists());
    }
}
