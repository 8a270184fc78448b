//! How far event time has come, per partition and in all.
//!
//! A partition's watermark is the newest event time seen in it, less the allowed lateness. It only moves
//! forward. The combined watermark is the least of all partitions that are still expected to speak:
//!
//! | partition                          | counts towards the combined watermark            |
//! |------------------------------------|--------------------------------------------------|
//! | has spoken                         | yes, with its watermark                          |
//! | known, has not spoken yet          | yes: holds everything back until it speaks or is idle |
//! | idle (silent for the idle timeout) | no; from its next event on, yes again            |
//! | ended (a file read to its end)     | no, unless it grows                              |
//!
//! With nobody left to speak there is no combined watermark; then only the clock, or the end of all input,
//! closes windows. Whether a partition is idle is told from outside and recorded, since it depends on the
//! wall clock; everything else follows from the records alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::PartitionId;

/// The event clock of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionClock {
    newest_millis: Option<i64>,
    idle: bool,
    ended: bool,
}

impl PartitionClock {
    /// Takes note of an event's time; the clock never runs backwards.
    pub fn observe(&mut self, time_millis: i64) {
        self.idle = false;
        if self.newest_millis.is_none_or(|newest| newest < time_millis) {
            self.newest_millis = Some(time_millis);
        }
    }

    /// The newest event time seen.
    pub fn newest_millis(&self) -> Option<i64> {
        self.newest_millis
    }

    /// The watermark: no event older than this is on time.
    pub fn watermark(&self, allowed_lateness_millis: i64) -> Option<i64> {
        self.newest_millis.map(|newest| newest - allowed_lateness_millis)
    }

    /// Leaves the partition out until its next event.
    pub fn set_idle(&mut self) {
        self.idle = true;
    }

    /// Leaves the partition out once it was read to its end; a file that has grown since is not.
    pub fn set_ended(&mut self, ended: bool) {
        self.ended = ended;
    }

    /// True while the combined watermark waits for this partition.
    pub fn is_awaited(&self) -> bool {
        !self.idle && !self.ended
    }
}

/// The clocks of all partitions of a source, as one monitor sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermarks(BTreeMap<PartitionId, PartitionClock>);

impl Watermarks {
    /// The clock of a partition, starting one for a partition seen first.
    pub fn partition(&mut self, partition: &PartitionId) -> &mut PartitionClock {
        self.0.entry(partition.clone()).or_default()
    }

    /// The time up to which nothing more is expected; `None` while an awaited partition has not spoken, or
    /// when none is awaited.
    pub fn combined(&self, allowed_lateness_millis: i64) -> Option<i64> {
        let mut awaited = self.0.values().filter(|clock| clock.is_awaited()).peekable();
        awaited.peek()?;
        awaited.map(|clock| clock.watermark(allowed_lateness_millis)).min().flatten()
    }

    /// True when partitions are known and none is awaited.
    pub fn all_silent(&self) -> bool {
        !self.0.is_empty() && self.0.values().all(|clock| !clock.is_awaited())
    }

    /// True when every known partition has ended.
    pub fn all_ended(&self) -> bool {
        !self.0.is_empty() && self.0.values().all(|clock| clock.ended)
    }

    /// The newest event time of any partition.
    pub fn newest_millis(&self) -> Option<i64> {
        self.0.values().filter_map(PartitionClock::newest_millis).max()
    }

    /// Partitions and their clocks in partition order.
    pub fn iter(&self) -> impl Iterator<Item = (&PartitionId, &PartitionClock)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENESS: i64 = 30;

    fn watermarks(newest: &[(&str, i64)]) -> Watermarks {
        let mut watermarks = Watermarks::default();
        for (partition, time) in newest {
            watermarks.partition(&PartitionId::new(*partition)).observe(*time);
        }
        watermarks
    }

    #[test]
    fn the_slowest_awaited_partition_decides() {
        let mut watermarks = watermarks(&[("a", 1000), ("b", 400)]);
        assert_eq!(watermarks.combined(LATENESS), Some(370));
        watermarks.partition(&PartitionId::new("b")).set_idle();
        assert_eq!(watermarks.combined(LATENESS), Some(970));
        watermarks.partition(&PartitionId::new("b")).observe(500);
        assert_eq!(watermarks.combined(LATENESS), Some(470));
        watermarks.partition(&PartitionId::new("b")).set_ended(true);
        watermarks.partition(&PartitionId::new("b")).observe(600);
        assert_eq!(watermarks.combined(LATENESS), Some(970));
        watermarks.partition(&PartitionId::new("b")).set_ended(false);
        assert_eq!(watermarks.combined(LATENESS), Some(570));
    }

    #[test]
    fn a_partition_that_has_not_spoken_holds_everything_back() {
        let mut watermarks = watermarks(&[("a", 1000)]);
        watermarks.partition(&PartitionId::new("b"));
        assert_eq!(watermarks.combined(LATENESS), None);
        watermarks.partition(&PartitionId::new("b")).set_idle();
        assert_eq!(watermarks.combined(LATENESS), Some(970));
    }

    #[test]
    fn with_nobody_left_to_speak_there_is_no_watermark() {
        let mut watermarks = watermarks(&[("a", 1000)]);
        assert!(!watermarks.all_silent());
        watermarks.partition(&PartitionId::new("a")).set_idle();
        assert_eq!(watermarks.combined(LATENESS), None);
        assert!(watermarks.all_silent());
        assert!(!watermarks.all_ended());
        assert_eq!(Watermarks::default().combined(LATENESS), None);
        assert!(!Watermarks::default().all_silent());
    }

    #[test]
    fn a_clock_never_runs_backwards() {
        let mut clock = PartitionClock::default();
        assert_eq!(clock.watermark(LATENESS), None);
        for (time, newest) in [(100, 100), (50, 100), (100, 100), (101, 101)] {
            clock.observe(time);
            assert_eq!(clock.newest_millis(), Some(newest));
        }
    }
}
