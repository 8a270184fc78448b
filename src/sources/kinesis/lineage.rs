//! Which shards may be read. Splitting and merging closes shards and makes children of them; a child holds
//! what came after everything in its parents, so it is read after all of them were read to their end.

use std::collections::BTreeMap;

use super::place::{self, Place};
use crate::record::Position;

/// A shard as the service lists it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Also parents that have expired and are listed no more.
    pub(super) parents: Vec<String>,
    /// Its first sequence number.
    pub(super) starts_at: Position,
    /// Takes no more records.
    pub(super) is_closed: bool,
}

/// Shards by id.
pub(super) type Shards = BTreeMap<String, Listed>;

/// How far each shard is read, as stored.
pub(super) type Positions = BTreeMap<String, Position>;

/// The shards to read now, with where each is read on.
///
/// `start` is where a stream begins of which nothing was read yet. A shard without listed parents that turns up
/// later is read from its beginning, and so is a child; unless its parents held nothing since `start`, because
/// then it may be older than that itself.
pub(super) fn readable(shards: &Shards, positions: &Positions, start: &Position) -> Positions {
    let never_read = positions.is_empty();
    let mut found = Positions::new();
    for (id, shard) in shards {
        let parents: Vec<&String> =
            shard.parents.iter().filter(|parent| shards.contains_key(*parent)).collect();
        let is_done = |id: &String| positions.get(id).is_some_and(place::is_drained);
        if is_done(id) || !parents.iter().all(|parent| is_done(parent)) {
            continue;
        }
        let position = match positions.get(id) {
            Some(position) if *position != Position::Beginning => position.clone(),
            _ if !parents.is_empty() => inherited(&parents, positions),
            None if never_read => start.clone(),
            _ => Position::Beginning,
        };
        found.insert(id.clone(), position);
    }
    found
}

fn inherited(parents: &[&String], positions: &Positions) -> Position {
    let time = |parent: &&String| match positions.get(*parent).map(place::place) {
        Some(Place::Time(millis)) => Some(millis),
        _ => None,
    };
    let times: Option<Vec<i64>> = parents.iter().map(time).collect();
    times.and_then(|times| times.into_iter().min()).map_or(Position::Beginning, place::at_time)
}

/// Children of a shard.
pub(super) fn children<'s>(shards: &'s Shards, id: &str) -> impl Iterator<Item = &'s String> {
    shards.iter().filter(move |(_, shard)| shard.parents.iter().any(|parent| parent == id)).map(|(id, _)| id)
}

/// Shards of which something was read that have expired before they were read to their end.
pub(super) fn expired(shards: &Shards, positions: &Positions) -> Vec<String> {
    let is_gone =
        |(id, position): &(&String, &Position)| !shards.contains_key(*id) && !place::is_drained(position);
    positions.iter().filter(is_gone).map(|(id, _)| id.clone()).collect()
}

/// The first shard that begins after what was read of it: another stream has taken the name.
pub(super) fn made_anew<'s>(shards: &'s Shards, positions: &Positions) -> Option<&'s String> {
    let is_other = |(id, shard): &(&String, &Listed)| {
        let position = positions.get(*id);
        position.is_some_and(|position| {
            matches!(place::place(position), Place::Sequence(_)) && *position < shard.starts_at
        })
    };
    shards.iter().find(is_other).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(last: u8) -> Position {
        format!("49590338271490256608559692538361571095921575989136588{last:03}").parse().unwrap()
    }

    /// 1 is split into 2 and 3, which are merged into 4.
    fn family() -> Shards {
        [("1", vec![]), ("2", vec!["1"]), ("3", vec!["1"]), ("4", vec!["2", "3"])]
            .into_iter()
            .map(|(id, parents)| {
                let parents = parents.into_iter().map(str::to_owned).collect();
                (id.to_owned(), Listed { parents, starts_at: number(10), is_closed: false })
            })
            .collect()
    }

    fn positions(of: &[(&str, Position)]) -> Positions {
        of.iter().map(|(id, position)| ((*id).to_owned(), position.clone())).collect()
    }

    fn read(known: &[(&str, Position)]) -> Vec<(String, Position)> {
        readable(&family(), &positions(known), &place::at_time(7)).into_iter().collect()
    }

    fn at(id: &str, position: Position) -> (String, Position) {
        (id.to_owned(), position)
    }

    #[test]
    fn children_wait_for_all_their_parents() {
        let (done, half) = (place::drained(&number(30)), number(20));
        assert_eq!(read(&[]), [at("1", place::at_time(7))]);
        assert_eq!(read(&[("1", half.clone())]), [at("1", half.clone())]);
        assert_eq!(
            read(&[("1", done.clone())]),
            [at("2", Position::Beginning), at("3", Position::Beginning)]
        );
        let one = [("1", done.clone()), ("2", done.clone()), ("3", half.clone()), ("4", Position::Beginning)];
        assert_eq!(read(&one), [at("3", half)]);
        assert_eq!(
            read(&[("1", done.clone()), ("2", done.clone()), ("3", done)]),
            [at("4", Position::Beginning)]
        );
    }

    #[test]
    fn a_start_in_time_is_handed_down_past_empty_parents() {
        let empty = place::drained(&place::at_time(7));
        assert_eq!(read(&[("1", empty.clone())]), [at("2", place::at_time(7)), at("3", place::at_time(7))]);
        let heard = place::drained(&number(30));
        assert_eq!(read(&[("1", empty.clone()), ("2", empty), ("3", heard)]), [at("4", Position::Beginning)]);
    }

    #[test]
    fn what_is_listed_no_more_holds_up_nobody_and_is_told() {
        let mut shards = family();
        shards.remove("1");
        let known = positions(&[("1", number(20))]);
        assert_eq!(readable(&shards, &known, &place::at_time(7)).len(), 2);
        assert_eq!(expired(&shards, &known), ["1"]);
        assert!(expired(&shards, &positions(&[("1", place::drained(&number(20)))])).is_empty());
    }

    #[test]
    fn a_stream_made_anew_is_told_from_the_one_that_was_read() {
        assert_eq!(made_anew(&family(), &positions(&[("1", number(9))])), Some(&"1".to_owned()));
        assert_eq!(made_anew(&family(), &positions(&[("1", number(10)), ("2", place::at_time(5))])), None);
    }
}
