//! One thing that a calendar knows: its name, what it is, where it holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidewatch_detectors::Occasion;

use crate::window::SliceKey;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A day off, or a day of shopping.
    Holiday,
    /// Something the shop does to sell more.
    Promotion,
    /// A change of the shop itself.
    Deploy,
    /// The shop is known to be broken or shut: nothing seen then is normal.
    Outage,
}

impl EntryKind {
    /// All kinds with their words.
    pub const WORDS: [(&str, Self); 4] = [
        ("holiday", Self::Holiday),
        ("promotion", Self::Promotion),
        ("deploy", Self::Deploy),
        ("outage", Self::Outage),
    ];

    /// The word in configuration and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holiday => "holiday",
            Self::Promotion => "promotion",
            Self::Deploy => "deploy",
            Self::Outage => "outage",
        }
    }
}

/// Where an entry comes from, in the order in which it gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The built-in days of retail.
    Retail,
    /// Public holidays of a country.
    Public,
    /// An imported calendar.
    Imported,
    /// The configuration.
    Configured,
    /// Somebody entered it while the service ran.
    Entered,
}

impl Origin {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retail => "retail",
            Self::Public => "public",
            Self::Imported => "imported",
            Self::Configured => "configured",
            Self::Entered => "entered",
        }
    }
}

/// The slices an entry holds for: dimensions by number, each with the values that count; all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<(usize, Vec<Box<str>>)>);

impl Scope {
    /// A scope of these dimensions and values; none is every slice.
    pub fn new(parts: Vec<(usize, Vec<Box<str>>)>) -> Self {
        Self(parts)
    }

    /// Whether a slice lies within it; a slice that rolls up one of the dimensions does not.
    pub fn holds(&self, slice: &SliceKey) -> bool {
        self.0.iter().all(|(dimension, values)| {
            slice.0.get(*dimension).and_then(Option::as_ref).is_some_and(|value| values.contains(value))
        })
    }

    /// How many dimensions it names.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// The values by the names of their dimensions.
    pub fn to_map(&self, dimensions: &[String]) -> BTreeMap<String, Vec<String>> {
        self.0
            .iter()
            .filter_map(|(dimension, values)| {
                let values = values.iter().map(ToString::to_string).collect();
                Some((dimensions.get(*dimension)?.clone(), values))
            })
            .collect()
    }
}

/// One thing that a calendar knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: Box<str>,
    /// Its class: [`class_of`] of what makes it the same each time.
    pub class: u64,
    /// What it is.
    pub kind: EntryKind,
    /// Where it comes from.
    pub origin: Origin,
    /// Which slices it holds for.
    pub scope: Scope,
    /// By what the usual value is expected to be multiplied, if somebody knows.
    pub uplift: Option<f64>,
}

impl Entry {
    /// What a detector is told.
    pub fn occasion(&self) -> Occasion {
        Occasion { class: self.class, uplift: self.uplift }
    }
}

/// FNV-1a of a name: stable over processes, platforms and versions.
pub fn class_of(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_the_published_fnv() {
        assert_eq!(class_of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(class_of("foobar"), 0x8594_4171_f739_67e8);
    }
}
