//! Slices: combinations of dimension values, roll-ups included, and which of them a monitor keeps.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// The value that stands for all slices beyond the cap.
pub const OTHER: &str = "(other)";

/// A combination of dimension values; a rolled-up dimension is `None`. The whole shop is all `None`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SliceKey(pub Vec<Option<Box<str>>>);

impl SliceKey {
    /// The part of a leaf's values that a roll-up level keeps.
    #[must_use]
    pub fn project(leaf: &[Box<str>], kept: &[bool]) -> Self {
        Self(leaf.iter().zip(kept).map(|(value, kept)| kept.then(|| value.clone())).collect())
    }

    /// The `(other)` slice of the same roll-up level.
    #[must_use]
    pub fn other(&self) -> Self {
        Self(self.0.iter().map(|value| value.as_ref().map(|_| OTHER.into())).collect())
    }

    /// True when every dimension is rolled up.
    pub fn is_whole(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// True for an `(other)` slice.
    pub fn is_other(&self) -> bool {
        self.0.iter().flatten().any(|value| value.as_ref() == OTHER)
    }

    /// How many dimensions are not rolled up.
    pub fn depth(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// True when this slice holds all of `inner`: the same or rolled up in each dimension.
    pub fn contains(&self, inner: &Self) -> bool {
        self.0.iter().zip(&inner.0).all(|(outer, inner)| outer.is_none() || outer == inner)
    }

    /// True when some traffic may lie in both: no dimension has different values.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = |(a, b): (&Option<Box<str>>, &Option<Box<str>>)| a.is_none() || b.is_none() || a == b;
        self.0.iter().zip(&other.0).all(meet)
    }

    /// The named values, e.g. `country=DE, device=mobile`; `everything` for the whole.
    pub fn describe(&self, dimensions: &[String]) -> String {
        let named: Vec<String> = dimensions
            .iter()
            .zip(&self.0)
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}")))
            .collect();
        if named.is_empty() { "everything".to_owned() } else { named.join(", ") }
    }

    /// The named values as a map, without the rolled-up ones.
    pub fn to_map(&self, dimensions: &[String]) -> BTreeMap<String, String> {
        dimensions
            .iter()
            .zip(&self.0)
            .filter_map(|(name, value)| Some((name.clone(), value.as_ref()?.to_string())))
            .collect()
    }
}

impl fmt::Display for SliceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.0.iter().map(|value| value.as_deref().unwrap_or("*")).collect();
        f.write_str(&values.join(","))
    }
}

/// The slices a monitor keeps, each with a number that never changes. Slices are only ever added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceRegistry {
    keys: Vec<SliceKey>,
    numbers: BTreeMap<SliceKey, usize>,
}

impl SliceRegistry {
    /// The registry with these slices, in the order of their numbers.
    pub fn from_keys(keys: Vec<SliceKey>) -> Self {
        let numbers = keys.iter().cloned().enumerate().map(|(number, key)| (key, number)).collect();
        Self { keys, numbers }
    }

    /// The slices in the order of their numbers.
    pub fn keys(&self) -> &[SliceKey] {
        &self.keys
    }

    /// The number of a slice.
    pub fn number(&self, key: &SliceKey) -> Option<usize> {
        self.numbers.get(key).copied()
    }

    /// How many slices are kept.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True before the first window closed.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds a slice.
    pub(super) fn admit(&mut self, key: SliceKey) -> usize {
        let number = self.keys.len();
        self.keys.push(key.clone());
        self.numbers.insert(key, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[Option<&str>]) -> SliceKey {
        SliceKey(values.iter().map(|value| value.map(Into::into)).collect())
    }

    #[test]
    fn projection_containment_and_words() {
        let leaf: Vec<Box<str>> = vec!["DE".into(), "mobile".into()];
        let country = SliceKey::project(&leaf, &[true, false]);
        assert_eq!(country, key(&[Some("DE"), None]));
        assert!(country.contains(&key(&[Some("DE"), Some("mobile")])));
        assert!(!country.contains(&key(&[Some("FR"), Some("mobile")])));
        assert!(!country.contains(&key(&[None, None])));
        let names = ["country".to_owned(), "device".to_owned()];
        assert_eq!(country.describe(&names), "country=DE");
        assert_eq!(key(&[None, None]).describe(&names), "everything");
        assert_eq!(country.other(), key(&[Some(OTHER), None]));
        assert_eq!(country.to_string(), "DE,*");
    }
}
