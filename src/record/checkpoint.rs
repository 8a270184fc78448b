//! Positions, checkpoints, and the rule that lets every record count exactly once.
//!
//! A result is stored together with the [`CheckpointDelta`] it was made from. The store applies the delta
//! to its checkpoint in the same transaction:
//!
//! | the delta starts      | outcome                                              |
//! |-----------------------|------------------------------------------------------|
//! | at the stored position | applied; the checkpoint moves to the delta's end     |
//! | before it             | [`Conflict`]: these records were counted already     |
//! | after it              | [`Conflict`]: records in between were never counted  |
//!
//! A refused delta changes nothing, for no partition. So a crash between any two steps, a replayed batch,
//! or a second process on the same store can never count a record twice or skip one.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The name of a configured source, e.g. `clicks`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(Arc<str>);

/// One independently ordered part of a source: a Kafka partition, a Kinesis shard, a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId(Arc<str>);

macro_rules! name_type {
    ($name:ident) => {
        impl $name {
            /// Takes the name as it is.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }
            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
name_type!(SourceId);
name_type!(PartitionId);

/// A place in a partition: the last record that has been read. Ordered as the records are.
///
/// Written as `beginning`, `1042`, or `1042.3` for the third record packed inside record 1042. Numbers may
/// be longer than 64 bits, as Kinesis sequence numbers are; they compare as numbers, never as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Position {
    /// Before the first record.
    #[default]
    Beginning,
    /// At a record.
    At(Number, u32),
}

/// A whole number of any length. Derived order is right because `Small` sorts below `Large`, and `Large`
/// compares by length first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Number {
    /// Fits 64 bits.
    Small(u64),
    /// Does not; length and digits, without leading zeros.
    Large(usize, Arc<str>),
}

impl Position {
    /// The position of the record with this number.
    pub fn at(number: u64) -> Self {
        Self::At(Number::Small(number), 0)
    }

    /// The digits of the number; `None` at the beginning.
    pub fn digits(&self) -> Option<String> {
        match self {
            Self::Beginning => None,
            Self::At(Number::Small(number), _) => Some(number.to_string()),
            Self::At(Number::Large(_, digits), _) => Some(digits.to_string()),
        }
    }

    /// Which of the records packed inside one; 0 at the beginning.
    pub fn part(&self) -> u32 {
        match self {
            Self::Beginning => 0,
            Self::At(_, part) => *part,
        }
    }

    /// Another of the records packed inside the same one; the beginning has none.
    #[must_use]
    pub fn with_part(&self, part: u32) -> Self {
        match self {
            Self::Beginning => Self::Beginning,
            Self::At(number, _) => Self::At(number.clone(), part),
        }
    }

    /// The number, if it fits 64 bits; `None` at the beginning.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::At(Number::Small(number), _) => Some(*number),
            Self::Beginning | Self::At(Number::Large(..), _) => None,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::At(number, part) = self else { return f.write_str("beginning") };
        match number {
            Number::Small(number) => write!(f, "{number}")?,
            Number::Large(_, digits) => f.write_str(digits)?,
        }
        if *part > 0 { write!(f, ".{part}") } else { Ok(()) }
    }
}

/// The text is not a position.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a position: expected `beginning`, a whole number, or `number.part`")]
pub struct PositionError(String);

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        if text == "beginning" {
            return Ok(Self::Beginning);
        }
        let refuse = || PositionError(text.to_owned());
        let (number, part) = text.split_once('.').unwrap_or((text, "0"));
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse());
        }
        let part = part.parse().map_err(|_| refuse())?;
        let digits = number.trim_start_matches('0');
        let number = if digits.is_empty() {
            Number::Small(0)
        } else {
            digits.parse().map_or_else(|_| Number::Large(digits.len(), digits.into()), Number::Small)
        };
        Ok(Self::At(number, part))
    }
}

impl Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How far every partition of one source has been read and stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint(BTreeMap<PartitionId, Position>);

/// What one commit covers: for each partition the range `(from, to]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointDelta(BTreeMap<PartitionId, (Position, Position)>);

/// A delta does not start where the checkpoint stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partition `{partition}` stands at {stands_at}, but the delta starts at {starts_at}")]
pub struct Conflict {
    /// The first partition that does not fit.
    pub partition: PartitionId,
    /// The position held.
    pub stands_at: Position,
    /// The position the delta starts from.
    pub starts_at: Position,
}

impl Checkpoint {
    /// The position of a partition; the beginning for one never seen.
    pub fn position(&self, partition: &PartitionId) -> Position {
        self.0.get(partition).cloned().unwrap_or_default()
    }

    /// Records a position as read from the store, whatever stood there before.
    pub fn insert(&mut self, partition: PartitionId, position: Position) {
        self.0.insert(partition, position);
    }

    /// Moves to the end of `delta`, or changes nothing.
    pub fn apply(&mut self, delta: &CheckpointDelta) -> Result<(), Conflict> {
        for (partition, (from, _)) in &delta.0 {
            let stands_at = self.position(partition);
            if stands_at != *from {
                return Err(Conflict { partition: partition.clone(), stands_at, starts_at: from.clone() });
            }
        }
        for (partition, (_, to)) in &delta.0 {
            self.0.insert(partition.clone(), to.clone());
        }
        Ok(())
    }

    /// Partitions and positions in partition order.
    pub fn iter(&self) -> impl Iterator<Item = (&PartitionId, &Position)> {
        self.0.iter()
    }
}

impl CheckpointDelta {
    /// Adds the range of one more batch. It must start where this delta ends for its partition.
    pub fn extend(
        &mut self,
        partition: &PartitionId,
        from_exclusive: &Position,
        to_inclusive: &Position,
    ) -> Result<(), Conflict> {
        let range = self
            .0
            .entry(partition.clone())
            .or_insert_with(|| (from_exclusive.clone(), from_exclusive.clone()));
        if range.1 != *from_exclusive || to_inclusive < from_exclusive {
            return Err(Conflict {
                partition: partition.clone(),
                stands_at: range.1.clone(),
                starts_at: from_exclusive.clone(),
            });
        }
        range.1 = to_inclusive.clone();
        Ok(())
    }

    /// True when no batch was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges `(from_exclusive, to_inclusive)` in partition order.
    pub fn iter(&self) -> impl Iterator<Item = (&PartitionId, &(Position, Position))> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(partition: &str, from: &Position, to: u64) -> CheckpointDelta {
        let mut delta = CheckpointDelta::default();
        delta.extend(&PartitionId::new(partition), from, &Position::at(to)).unwrap();
        delta
    }

    #[test]
    fn a_delta_fits_only_where_the_checkpoint_stands() {
        let mut checkpoint = Checkpoint::default();
        checkpoint.apply(&delta("p", &Position::Beginning, 7)).unwrap();
        let before = checkpoint.clone();
        for from in [Position::Beginning, Position::at(3), Position::at(9)] {
            let conflict = checkpoint.apply(&delta("p", &from, 12)).unwrap_err();
            assert_eq!((conflict.stands_at, conflict.starts_at), (Position::at(7), from));
            assert_eq!(checkpoint, before);
        }
        checkpoint.apply(&delta("p", &Position::at(7), 12)).unwrap();
        assert_eq!(checkpoint.position(&PartitionId::new("p")), Position::at(12));
    }

    #[test]
    fn one_bad_partition_refuses_the_whole_delta() {
        let mut checkpoint = Checkpoint::default();
        let mut both = delta("a", &Position::Beginning, 1);
        both.extend(&PartitionId::new("b"), &Position::at(5), &Position::at(6)).unwrap();
        assert!(checkpoint.apply(&both).is_err());
        assert_eq!(checkpoint, Checkpoint::default());
    }

    #[test]
    fn batches_of_a_delta_must_follow_each_other() {
        let mut delta = delta("p", &Position::at(1), 4);
        let partition = PartitionId::new("p");
        assert!(delta.extend(&partition, &Position::at(5), &Position::at(6)).is_err());
        delta.extend(&partition, &Position::at(4), &Position::at(6)).unwrap();
        assert_eq!(delta.iter().next().unwrap().1, &(Position::at(1), Position::at(6)));
    }

    #[test]
    fn positions_order_as_numbers_of_any_length() {
        let written = [
            "beginning",
            "0",
            "9",
            "10",
            "10.2",
            "18446744073709551615",
            "18446744073709551616",
            "49590338271490256608559692538361571095921575989136588898",
            "49590338271490256608559692538361571095921575989136588898.1",
        ];
        let parsed: Vec<Position> = written.iter().map(|text| text.parse().unwrap()).collect();
        assert!(parsed.is_sorted(), "{parsed:?}");
        for (text, position) in written.iter().zip(&parsed) {
            assert_eq!(&position.to_string(), text);
        }
        assert_eq!("0042".parse::<Position>().unwrap(), Position::at(42));
        for bad in ["", "-1", "1.x", "one", "1.2.3"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }
}
