//! What has been read: which objects, and how far into the one that was being read.
//!
//! The partition is `objects`. Its position is a running number followed by 13 digits of the time *reached*: the
//! newest time of folders or objects that reading has come to. An object whose time is more than `late_objects`
//! before that is behind us. Of the others, the last record of each batch carries an id that the store keeps with the
//! results: `done KEY` when the object is through, else `ROWS KEY`. So the list of objects read is bounded, and moves
//! in the same transaction as their counts.

use std::{collections::BTreeMap, hash::BuildHasher};

use foldhash::quality::FixedState;

use crate::record::{Checkpoint, PartitionId, Position};

const DONE: &str = "done";
/// Digits of `reached` in a position.
const REACHED_DIGITS: usize = 13;

/// What has been read.
#[derive(Debug)]
pub(super) struct Progress {
    partition: PartitionId,
    late_millis: i64,
    /// That of the last batch.
    position: Position,
    number: u64,
    reached_millis: i64,
    /// Objects that are through, by a hash of their keys, with the end of their time.
    done: BTreeMap<u64, i64>,
    /// Rows read of objects that are not.
    partial: BTreeMap<String, u64>,
}

impl Progress {
    /// Goes on where `checkpoint` stands, with the ids that the store kept and when it did. Starts at `start_millis`
    /// where nothing is stored.
    pub(super) fn new(
        checkpoint: &Checkpoint,
        kept: &[(String, i64)],
        start_millis: i64,
        late_millis: i64,
    ) -> Self {
        let partition = PartitionId::new("objects");
        let position = checkpoint.position(&partition);
        let (number, reached_millis) = parse(&position).unwrap_or((0, start_millis.max(0) + late_millis));
        let mut progress = Self {
            partition,
            late_millis,
            position,
            number,
            reached_millis,
            done: BTreeMap::new(),
            partial: BTreeMap::new(),
        };
        for (id, at_millis) in kept {
            match id.split_once(' ') {
                Some((DONE, key)) => progress.finish(key, *at_millis),
                Some((rows, key)) => {
                    let rows = rows.parse().unwrap_or(0);
                    let known = progress.partial.entry(key.to_owned()).or_default();
                    *known = rows.max(*known);
                }
                None => {}
            }
        }
        let done = &progress.done;
        progress.partial.retain(|key, _| !done.contains_key(&hash(key)));
        progress
    }

    pub(super) fn partition(&self) -> &PartitionId {
        &self.partition
    }

    /// Whether nothing was ever stored.
    pub(super) fn is_new(&self) -> bool {
        self.number == 0
    }

    pub(super) fn reached_millis(&self) -> i64 {
        self.reached_millis
    }

    /// Objects whose time ends up to here are behind us.
    pub(super) fn floor_millis(&self) -> i64 {
        self.reached_millis - self.late_millis
    }

    /// Whether an object whose time ends at `end_millis` is still to be read.
    pub(super) fn is_wanted(&self, key: &str, end_millis: i64) -> bool {
        end_millis > self.floor_millis() && !self.is_done(key)
    }

    pub(super) fn is_done(&self, key: &str) -> bool {
        self.done.contains_key(&hash(key))
    }

    /// Rows of an object that were read before.
    pub(super) fn rows_read(&self, key: &str) -> u64 {
        self.partial.get(key).copied().unwrap_or(0)
    }

    /// Reading has come to this time; what is behind now need not be remembered.
    pub(super) fn reach(&mut self, millis: i64) {
        if millis > self.reached_millis {
            self.reached_millis = millis;
            let floor = self.floor_millis();
            self.done.retain(|_, end| *end > floor);
        }
    }

    /// An object is through.
    pub(super) fn finish(&mut self, key: &str, end_millis: i64) {
        self.partial.remove(key);
        self.done.insert(hash(key), end_millis);
    }

    /// So many rows of an object have been handed out, and the id that says so.
    pub(super) fn note(&mut self, key: &str, rows: u64, is_through: bool) -> String {
        if is_through {
            return format!("{DONE} {key}");
        }
        self.partial.insert(key.to_owned(), rows);
        format!("{rows} {key}")
    }

    /// The next batch: from where to where.
    pub(super) fn advance(&mut self) -> (Position, Position) {
        self.number += 1;
        let reached = self.reached_millis.clamp(0, 10_i64.pow(REACHED_DIGITS as u32) - 1);
        let digits = format!("{}{reached:0width$}", self.number, width = REACHED_DIGITS);
        let to: Position = digits.parse().expect("digits are a position");
        (std::mem::replace(&mut self.position, to.clone()), to)
    }
}

fn parse(position: &Position) -> Option<(u64, i64)> {
    let text = position.to_string();
    let (number, reached) = text.split_at_checked(text.len().checked_sub(REACHED_DIGITS)?)?;
    Some((number.parse().ok()?, reached.parse().ok()?))
}

fn hash(key: &str) -> u64 {
    FixedState::default().hash_one(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(progress: &Progress) -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        checkpoint.insert(progress.partition.clone(), progress.position.clone());
        checkpoint
    }

    #[test]
    fn positions_grow_and_say_how_far_reading_came() {
        let mut progress = Progress::new(&Checkpoint::default(), &[], 1_000, 500);
        assert!(progress.is_new());
        assert_eq!(progress.floor_millis(), 1_000);
        let mut before = Position::Beginning;
        for reached in [5_000, 4_000, 2_000_000_000_000] {
            progress.reach(reached);
            let (from, to) = progress.advance();
            assert_eq!(from, before, "batches follow each other");
            assert!(to > from, "{to} {from}");
            before = to;
        }
        let again = Progress::new(&stored(&progress), &[], 0, 500);
        assert_eq!((again.number, again.reached_millis), (3, 2_000_000_000_000));
    }

    #[test]
    fn what_was_read_is_known_after_a_restart_until_it_is_behind() {
        let mut progress = Progress::new(&Checkpoint::default(), &[], 0, 1_000);
        assert!(progress.is_wanted("a b", 10));
        let ids =
            [progress.note("a b", 20, false), progress.note("a b", 30, true), progress.note("c", 7, false)];
        assert_eq!(ids, ["20 a b", "done a b", "7 c"]);
        progress.advance();
        let kept: Vec<(String, i64)> = ids.into_iter().map(|id| (id, 2_000)).collect();
        let mut again = Progress::new(&stored(&progress), &kept, 0, 1_000);
        assert!(!again.is_wanted("a b", 1_500) && again.is_wanted("c", 1_500));
        assert_eq!((again.rows_read("a b"), again.rows_read("c")), (0, 7));
        again.reach(4_000);
        assert!(!again.is_wanted("a b", 2_500), "it is behind");
        assert!(again.done.is_empty(), "and need not be remembered");
    }
}
