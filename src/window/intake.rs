//! The hot path: one event into the open window it belongs to, for one partition and one monitor.
//!
//! No locks, no allocation for a slice seen before in the window. Each open window has its own table of
//! slices, so memory follows what the windows hold and nothing ever has to be forgotten.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use super::{Aggregate, PartitionClock, WindowSpec};
use crate::record::Event;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Aggregated into its window.
    Counted,
    /// Its window ended before its own partition's watermark.
    Late,
    /// On time for its own partition, but its window was closed without it, by idleness or the clock.
    AfterClose,
    /// Late or after a close, but its window can still be revised: it waits for the close of the window it came in.
    Waits,
    /// The window already holds as many slices of this partition as it may.
    OverLimit,
}

/// The aggregates of one window from one partition: mergeable, serializable, sorted by slice. The seam for
/// aggregates made elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartialFrame {
    /// Start of the window, milliseconds since the Unix epoch.
    pub start_millis: i64,
    /// The slices with events, in the order of their values.
    pub groups: Vec<PartialGroup>,
}

/// One leaf slice of a [`PartialFrame`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartialGroup {
    /// A value per dimension.
    pub values: Vec<Box<str>>,
    /// Events in the slice.
    pub events: u64,
    /// One aggregate per aggregated measure.
    pub aggregates: Vec<Aggregate>,
}

impl PartialFrame {
    /// How many events are in it.
    pub fn num_events(&self) -> u64 {
        self.groups.iter().map(|group| group.events).sum()
    }
}

/// The open windows of one partition.
#[derive(Debug, Default)]
pub struct Intake {
    clock: PartitionClock,
    heard: bool,
    /// Windows that start before this are closed.
    closed_through: Option<i64>,
    open: BTreeMap<i64, OpenWindow>,
    /// Late events by the window in which they came and the window that they are of. They take effect when the
    /// first of the two closes: a moment that does not depend on batches and on other partitions.
    waiting: BTreeMap<(i64, i64), OpenWindow>,
    /// Start and end of the window of the last event: most events fall into the same.
    last: (i64, i64),
}

#[derive(Debug, Default)]
struct OpenWindow {
    groups: GroupTable,
    events: Vec<u64>,
    /// Groups x measures.
    aggregates: Vec<Aggregate>,
}

impl Intake {
    /// Takes one event. Depends on nothing but this partition's events before it and on closes.
    pub fn add(&mut self, spec: &WindowSpec, event: &Event<'_>) -> Outcome {
        let time = event.time_millis;
        if !(self.last.0..self.last.1).contains(&time) {
            let start = spec.grid.start_of(time);
            self.last = (start, spec.grid.end_of(start));
        }
        let (start, end) = self.last;
        let watermark = self.clock.watermark(spec.allowed_lateness_millis);
        let late = watermark.is_some_and(|watermark| end <= watermark);
        self.clock.observe(time);
        self.heard = true;
        if !late && self.closed_through.is_none_or(|closed| start >= closed) {
            let counted = self.open.entry(start).or_default().add(spec, event);
            return if counted { Outcome::Counted } else { Outcome::OverLimit };
        }
        let reached = watermark.max(self.closed_through);
        if reached.is_none_or(|reached| end + spec.correction_millis <= reached) {
            return if late { Outcome::Late } else { Outcome::AfterClose };
        }
        let newest = spec.grid.start_of(self.clock.newest_millis().unwrap_or(time));
        let came_in = self.closed_through.map_or(newest, |closed| closed.max(newest));
        let taken = self.waiting.entry((came_in, start)).or_default().add(spec, event);
        if taken { Outcome::Waits } else { Outcome::OverLimit }
    }

    /// This partition's clock.
    pub fn clock(&self) -> &PartitionClock {
        &self.clock
    }

    /// Whether an event came since the last call.
    pub(super) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// Start of the earliest open window.
    pub(super) fn earliest(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// Start of the latest open window.
    pub(super) fn latest(&self) -> Option<i64> {
        self.open.keys().next_back().copied()
    }

    /// Starts of all open windows.
    pub(super) fn open_starts(&self) -> impl Iterator<Item = i64> + '_ {
        self.open.keys().copied()
    }

    /// Closes every window before `end`, handing out the one that starts at `start` and adding to `late` what came
    /// by then for earlier ones.
    pub(super) fn close(
        &mut self,
        start: i64,
        end: i64,
        late: &mut Vec<PartialFrame>,
    ) -> Option<PartialFrame> {
        self.closed_through = Some(end);
        if !self.waiting.is_empty() {
            let rest = self.waiting.split_off(&(end, i64::MIN));
            let due = std::mem::replace(&mut self.waiting, rest);
            late.extend(due.into_iter().map(|((_, of), window)| window.into_partial(of)));
        }
        self.open.remove(&start).map(|window| window.into_partial(start))
    }

    /// The open windows as they stand.
    pub(super) fn snapshot(&self) -> Vec<PartialFrame> {
        self.open.iter().map(|(start, window)| window.clone_partial(*start)).collect()
    }

    /// The late events that wait, each with the window in which they came.
    pub(super) fn snapshot_waiting(&self) -> Vec<(i64, PartialFrame)> {
        self.waiting.iter().map(|((came_in, of), window)| (*came_in, window.clone_partial(*of))).collect()
    }

    /// The intake that `snapshot` was taken of.
    pub(super) fn restore(
        clock: PartitionClock,
        closed_through: Option<i64>,
        open: Vec<PartialFrame>,
        waiting: Vec<(i64, PartialFrame)>,
    ) -> Self {
        let open = open
            .into_iter()
            .map(|partial| (partial.start_millis, OpenWindow::from_partial(partial)))
            .collect();
        let waiting = waiting
            .into_iter()
            .map(|(came_in, partial)| ((came_in, partial.start_millis), OpenWindow::from_partial(partial)))
            .collect();
        Self { clock, heard: false, closed_through, open, waiting, last: (0, 0) }
    }
}

impl OpenWindow {
    /// False when it holds as many slices as it may.
    fn add(&mut self, spec: &WindowSpec, event: &Event<'_>) -> bool {
        let Some(group) = self.group(spec, event) else { return false };
        self.events[group] += 1;
        let width = event.inputs.len();
        for (aggregate, input) in
            self.aggregates[group * width..(group + 1) * width].iter_mut().zip(event.inputs)
        {
            aggregate.add(*input);
        }
        true
    }

    fn group(&mut self, spec: &WindowSpec, event: &Event<'_>) -> Option<usize> {
        if let Some(group) = self.groups.find(event) {
            return Some(group);
        }
        if self.events.len() >= spec.max_groups {
            return None;
        }
        let values: Vec<Box<str>> = event.dimensions().map(|value| value.into_owned().into()).collect();
        self.aggregates.extend(spec.aggregates().map(Aggregate::empty));
        self.events.push(0);
        Some(self.groups.insert(values))
    }

    fn into_partial(self, start_millis: i64) -> PartialFrame {
        let width = self.aggregates.len() / self.events.len().max(1);
        let mut aggregates = self.aggregates.into_iter();
        let mut groups: Vec<PartialGroup> = self
            .groups
            .leaves
            .into_iter()
            .zip(self.events)
            .map(|(values, events)| PartialGroup {
                values,
                events,
                aggregates: aggregates.by_ref().take(width).collect(),
            })
            .collect();
        groups.sort_unstable_by(|a, b| a.values.cmp(&b.values));
        PartialFrame { start_millis, groups }
    }

    fn clone_partial(&self, start_millis: i64) -> PartialFrame {
        let width = self.aggregates.len() / self.events.len().max(1);
        let group = |index: usize| PartialGroup {
            values: self.groups.leaves[index].clone(),
            events: self.events[index],
            aggregates: self.aggregates[index * width..(index + 1) * width].to_vec(),
        };
        let mut groups: Vec<PartialGroup> = (0..self.events.len()).map(group).collect();
        groups.sort_unstable_by(|a, b| a.values.cmp(&b.values));
        PartialFrame { start_millis, groups }
    }

    fn from_partial(partial: PartialFrame) -> Self {
        let mut window = Self::default();
        for group in partial.groups {
            window.groups.insert(group.values);
            window.events.push(group.events);
            window.aggregates.extend(group.aggregates);
        }
        window
    }
}

/// Interns the dimension values of a window and numbers their combinations densely.
#[derive(Debug, Default)]
struct GroupTable {
    /// Value -> number, one map per dimension.
    values: Vec<HashMap<Box<str>, u32, RandomState>>,
    /// (combination so far, next value) -> combination, one map per dimension after the first.
    pairs: Vec<HashMap<(u32, u32), u32, RandomState>>,
    /// Values of each combination.
    leaves: Vec<Vec<Box<str>>>,
}

impl GroupTable {
    fn find(&self, event: &Event<'_>) -> Option<usize> {
        if self.leaves.is_empty() {
            return None;
        }
        let mut combination = 0_u32;
        for (dimension, value) in event.dimensions().enumerate() {
            let value = *self.values[dimension].get(value.as_ref())?;
            combination = match dimension {
                0 => value,
                _ => *self.pairs[dimension - 1].get(&(combination, value))?,
            };
        }
        Some(combination as usize)
    }

    /// Adds a combination that `find` did not know and gives its number.
    fn insert(&mut self, leaf: Vec<Box<str>>) -> usize {
        self.values.resize_with(leaf.len(), HashMap::default);
        self.pairs.resize_with(leaf.len().saturating_sub(1), HashMap::default);
        let mut combination = 0_u32;
        for (dimension, value) in leaf.iter().enumerate() {
            let known = self.values[dimension].len() as u32;
            let value = *self.values[dimension].entry(value.clone()).or_insert(known);
            combination = if dimension == 0 {
                value
            } else {
                let pairs = &mut self.pairs[dimension - 1];
                let known = pairs.len() as u32;
                *pairs.entry((combination, value)).or_insert(known)
            };
        }
        debug_assert_eq!(combination as usize, self.leaves.len(), "combinations are numbered densely");
        self.leaves.push(leaf);
        combination as usize
    }
}
