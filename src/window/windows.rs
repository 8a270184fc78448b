//! All open windows of one monitor, and the one place where windows close.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Frame, Intake, PartialFrame, PartitionClock, SliceKey, SliceRegistry, Watermarks, WindowSpec, combine,
};
use crate::record::PartitionId;

/// A silence longer than this many windows is skipped, not closed window by window: only a wrong clock or
/// a file with years between its parts makes one.
const MAX_SILENT_WINDOWS: i64 = 50_000;

/// The windows of one monitor over all partitions of its source.
#[derive(Debug)]
pub struct Windows {
    spec: Arc<WindowSpec>,
    intakes: BTreeMap<PartitionId, Intake>,
    watermarks: Watermarks,
    registry: SliceRegistry,
    /// Start of the next window to close; `None` before the first event.
    next_start: Option<i64>,
    /// Spans of wall-clock time in which nobody could reach us.
    away: Vec<(i64, i64)>,
    skipped: u64,
}

/// End of a span of absence that lasts until the first event comes; see [`Windows::detach`].
const UNTIL_HEARD: i64 = i64::MAX;

/// Spans of absence that are remembered; older ones lie behind every window that is still to close.
const AWAY_KEPT: usize = 8;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedIntake {
    partition: PartitionId,
    clock: PartitionClock,
    open: Vec<PartialFrame>,
    /// Late events with the window in which they came.
    waiting: Vec<(i64, PartialFrame)>,
}

/// A window that has closed.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Its observations.
    pub frame: Frame,
    /// All that came to it, where it can be revised later.
    pub whole: Option<PartialFrame>,
    /// What came late for earlier windows, partition by partition.
    pub late: Vec<PartialFrame>,
}

/// Everything about open windows that must survive a restart. The registry is stored apart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SavedWindows {
    next_start: Option<i64>,
    watermarks: Watermarks,
    intakes: Vec<SavedIntake>,
    away: Vec<(i64, i64)>,
}

impl Windows {
    /// No windows yet.
    pub fn new(spec: Arc<WindowSpec>) -> Self {
        Self {
            spec,
            intakes: BTreeMap::new(),
            watermarks: Watermarks::default(),
            registry: SliceRegistry::default(),
            next_start: None,
            away: Vec::new(),
            skipped: 0,
        }
    }

    /// The windows as they were saved, with the slices kept then.
    pub fn restore(spec: Arc<WindowSpec>, saved: SavedWindows, slices: Vec<SliceKey>) -> Self {
        let next_start = saved.next_start;
        let intakes = saved
            .intakes
            .into_iter()
            .map(|saved| {
                let intake = Intake::restore(saved.clock, next_start, saved.open, saved.waiting);
                (saved.partition, intake)
            })
            .collect();
        Self {
            spec,
            intakes,
            watermarks: saved.watermarks,
            registry: SliceRegistry::from_keys(slices),
            next_start,
            away: saved.away,
            skipped: 0,
        }
    }

    /// What [`Windows::restore`] needs besides the slices.
    pub fn save(&self) -> SavedWindows {
        SavedWindows {
            next_start: self.next_start,
            away: self.away.clone(),
            watermarks: self.watermarks.clone(),
            intakes: self
                .intakes
                .iter()
                .map(|(partition, intake)| SavedIntake {
                    partition: partition.clone(),
                    clock: intake.clock().clone(),
                    open: intake.snapshot(),
                    waiting: intake.snapshot_waiting(),
                })
                .collect(),
        }
    }

    /// What is aggregated.
    pub fn spec(&self) -> &Arc<WindowSpec> {
        &self.spec
    }

    /// The slices kept.
    pub fn registry(&self) -> &SliceRegistry {
        &self.registry
    }

    /// The clocks of the partitions.
    pub fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }

    /// The partition's intake, taken out so that a worker thread can own it. Give it back with
    /// [`Windows::put_intake`].
    pub fn take_intake(&mut self, partition: &PartitionId) -> Intake {
        self.watermarks.partition(partition);
        self.intakes.remove(partition).unwrap_or_else(|| {
            Intake::restore(PartitionClock::default(), self.next_start, Vec::new(), Vec::new())
        })
    }

    /// Gives back an intake after a batch and moves the partition's clock.
    pub fn put_intake(&mut self, partition: PartitionId, mut intake: Intake) {
        if intake.take_heard()
            && let Some(newest) = intake.clock().newest_millis()
        {
            self.watermarks.partition(&partition).observe(newest);
        }
        self.intakes.insert(partition, intake);
    }

    /// A partition whose first batch is still to come: the combined watermark waits for it.
    pub fn await_partition(&mut self, partition: &PartitionId) {
        self.watermarks.partition(partition);
    }

    /// Leaves a silent partition out until it speaks again.
    pub fn set_idle(&mut self, partition: &PartitionId) {
        self.watermarks.partition(partition).set_idle();
    }

    /// Leaves a partition out that was read to its end, or takes it in again when it has grown.
    pub fn set_ended(&mut self, partition: &PartitionId, ended: bool) {
        self.watermarks.partition(partition).set_ended(ended);
    }

    /// Nobody could reach us from `from_millis` to `to_millis`: an empty window in that span says nothing and
    /// closes as a gap, not as zeros.
    pub fn set_away(&mut self, from_millis: i64, to_millis: i64) {
        if self.is_detached() {
            return;
        }
        self.away.push((from_millis, to_millis));
        let surplus = self.away.len().saturating_sub(AWAY_KEPT);
        self.away.drain(..surplus);
    }

    /// Forgets the partitions after their end: the next events come from others, at an unknown later time. What
    /// lies between is neither zeros nor gaps but left out. Closed windows stay closed.
    pub fn detach(&mut self) {
        self.intakes.clear();
        self.watermarks = Watermarks::default();
        self.away = self.next_start.map(|start| (start, UNTIL_HEARD)).into_iter().collect();
    }

    /// Keeps more slices, found in a past that was not counted here.
    pub fn admit(&mut self, keys: &[SliceKey]) {
        for key in keys.iter().filter(|key| self.registry.number(key).is_none()).cloned().collect::<Vec<_>>()
        {
            self.registry.admit(key);
        }
    }

    /// Begins after a past that ends at `end_millis`, if no window has closed yet: as after [`Windows::detach`], but
    /// what is open stays open.
    pub fn join_after(&mut self, end_millis: i64) {
        if self.next_start.is_none() {
            self.next_start = Some(end_millis);
            self.intakes
                .values_mut()
                .for_each(|intake| drop(intake.close(i64::MIN, end_millis, &mut Vec::new())));
            self.away = vec![(end_millis, UNTIL_HEARD)];
        }
    }

    /// Start of the earliest open window.
    pub fn earliest_open(&self) -> Option<i64> {
        self.intakes.values().filter_map(Intake::earliest).min()
    }

    fn is_detached(&self) -> bool {
        self.away.last().is_some_and(|(_, to)| *to == UNTIL_HEARD)
    }

    /// Whether windows of the present partitions have closed: from then on it matters where a partition joins.
    pub fn has_begun(&self) -> bool {
        self.next_start.is_some() && !self.is_detached()
    }

    /// The first window after [`Windows::detach`]: the next in line as it is; a later one as a gap, since what
    /// came to it before the first event heard is not known.
    fn rejoin(&mut self, earliest: i64, through_millis: i64) -> Option<Closed> {
        let end = self.spec.grid.end_of(earliest);
        if end > through_millis {
            return None;
        }
        self.away.clear();
        if Some(earliest) == self.next_start {
            return self.close_next(through_millis);
        }
        let mut late = Vec::new();
        self.intakes.values_mut().for_each(|intake| drop(intake.close(earliest, end, &mut late)));
        self.next_start = Some(end);
        Some(Closed { frame: Frame::gap(&self.spec, &self.registry, earliest), whole: None, late })
    }

    /// How far windows may close by the records alone; everything once all partitions have ended.
    pub fn ready_through(&self) -> Option<i64> {
        if self.watermarks.all_ended() {
            let latest = self.intakes.values().filter_map(Intake::latest).max();
            return latest.map(|start| self.spec.grid.end_of(start));
        }
        self.watermarks.combined(self.spec.allowed_lateness_millis)
    }

    /// Closes the next window if it ends at or before `through_millis`. Call until it gives `None`.
    pub fn close_next(&mut self, through_millis: i64) -> Option<Closed> {
        let earliest = self.earliest_open();
        if self.is_detached() {
            return self.rejoin(earliest?, through_millis);
        }
        let mut start = self.next_start.or(earliest)?;
        if let Some(earliest) = earliest {
            let silent = (earliest - start) / self.spec.grid.width().millis();
            if silent > MAX_SILENT_WINDOWS {
                self.skipped += silent as u64;
                start = earliest;
            }
        }
        let end = self.spec.grid.end_of(start);
        if end > through_millis {
            return None;
        }
        let mut late = Vec::new();
        let close = |intake: &mut Intake| intake.close(start, end, &mut late);
        let partials: Vec<PartialFrame> = self.intakes.values_mut().filter_map(close).collect();
        self.next_start = Some(end);
        let is_gap = partials.is_empty() && self.away.iter().any(|(from, to)| *from < end && start < *to);
        let whole = combine::merge(start, partials);
        let frame =
            if is_gap { Frame::gap(&self.spec, &self.registry, start) } else { self.frame_of(&whole) };
        let whole = (self.spec.correction_millis > 0).then_some(whole);
        Some(Closed { frame, whole, late })
    }

    /// The frame of a closed window of all that came to it by now. Slices seen first are kept from now on.
    pub fn frame_of(&mut self, whole: &PartialFrame) -> Frame {
        combine::combine(&self.spec, &mut self.registry, whole)
    }

    /// A window together with what came late for it.
    #[must_use]
    pub fn merged(whole: PartialFrame, late: Vec<PartialFrame>) -> PartialFrame {
        let start_millis = whole.start_millis;
        combine::merge(start_millis, std::iter::once(whole).chain(late).collect())
    }

    /// Start of the next window to close.
    pub fn next_start(&self) -> Option<i64> {
        self.next_start
    }

    /// How many windows are open in any partition.
    pub fn num_open(&self) -> usize {
        let mut starts: Vec<i64> = self.intakes.values().flat_map(Intake::open_starts).collect();
        starts.sort_unstable();
        starts.dedup();
        starts.len()
    }

    /// Windows skipped in overlong silences since the start of the process.
    pub fn num_skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
