//! Spans on one clock, found by the days they touch.

use std::collections::BTreeMap;

const DAY_SECONDS: i64 = 86_400;

/// Which clock a span is read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The wall clock of each slice: seconds since 1970-01-01T00:00 there.
    Wall,
    /// The same instant everywhere: seconds since the Unix epoch.
    Instant,
}

/// From a second until another, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The clock of both.
    pub clock: Clock,
    /// First second.
    pub from: i64,
    /// First second after.
    pub to: i64,
}

/// The spans of one clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Timeline {
    /// By day since 1970: the spans that touch it, as from, to and number of the entry.
    days: BTreeMap<i64, Vec<(i64, i64, usize)>>,
}

impl Timeline {
    pub(super) fn add(&mut self, from: i64, to: i64, entry: usize) {
        for day in from.div_euclid(DAY_SECONDS)..=(to - 1).max(from).div_euclid(DAY_SECONDS) {
            self.days.entry(day).or_default().push((from, to, entry));
        }
    }

    /// Calls `found` for each span that touches `from..to`, with its entry and whether the common part is at
    /// least half of the shorter of the two. A span over several days may be found several times.
    pub(super) fn touching(&self, from: i64, to: i64, mut found: impl FnMut(usize, bool)) {
        if self.days.is_empty() {
            return;
        }
        let days = from.div_euclid(DAY_SECONDS)..=(to - 1).div_euclid(DAY_SECONDS);
        for (span_from, span_to, entry) in self.days.range(days).flat_map(|(_, spans)| spans) {
            let common = to.min(*span_to) - from.max(*span_from);
            if common > 0 {
                found(*entry, 2 * common >= (to - from).min(span_to - span_from));
            }
        }
    }
}
