//! What a position in a shard means.
//!
//! | position                     | stands for                                                                  |
//! |------------------------------|-----------------------------------------------------------------------------|
//! | `beginning`                  | nothing read; reading starts at the oldest record                           |
//! | a number below 2^64          | nothing read; reading starts with what arrived at this Unix time in ms      |
//! | sequence number, part        | read up to this record; the part counts the records packed in it, from 0    |
//! | the same, part 4,294,967,295 | the shard was closed and is read to its end                                 |
//!
//! Sequence numbers have 56 digits, so that a time always sorts before them. That is how `latest` survives a
//! crash before the first record, and how a restart knows without asking which shards are done with.

use crate::record::Position;

/// The part that says that a shard is read to its end.
const DRAINED: u32 = u32::MAX;

/// Where to read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// With the oldest record.
    Horizon,
    /// With the first that arrived at this time or later.
    Time(i64),
    /// With the record of this sequence number, which was read, at least in part.
    Sequence(String),
}

pub(super) fn place(position: &Position) -> Place {
    match (position.number(), position.digits()) {
        (Some(0), _) | (None, None) => Place::Horizon,
        (Some(millis), _) => Place::Time(millis as i64),
        (None, Some(sequence)) => Place::Sequence(sequence),
    }
}

/// Before everything that arrived at this time or later.
pub(super) fn at_time(millis: i64) -> Position {
    Position::at(millis.max(0) as u64)
}

/// The last position of a shard that was read up to this one.
pub(super) fn drained(position: &Position) -> Position {
    let read = if *position == Position::Beginning { Position::at(0) } else { position.clone() };
    read.with_part(DRAINED)
}

pub(super) fn is_drained(position: &Position) -> bool {
    position.part() == DRAINED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_a_shard_only_grow() {
        let sequence = "49590338271490256608559692538361571095921575989136588898";
        let record: Position = sequence.parse().unwrap();
        let order = [
            Position::Beginning,
            at_time(1_772_323_200_000),
            record.clone(),
            record.with_part(3),
            drained(&record),
        ];
        assert!(order.is_sorted() && order.iter().rev().is_sorted_by(|a, b| a > b));
        assert_eq!(place(&order[0]), Place::Horizon);
        assert_eq!(place(&order[1]), Place::Time(1_772_323_200_000));
        assert_eq!(place(&order[3]), Place::Sequence(sequence.into()));
        assert!(is_drained(&drained(&Position::Beginning)) && !is_drained(&record));
        assert_eq!(drained(&record).to_string().parse::<Position>().unwrap(), order[4]);
    }
}
