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

/// Everything about open windows that must survive a restart. The registry is stored apart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SavedWindows {
    next_start: Option<i64>,
    watermarks: Watermarks,
    intakes: Vec<(PartitionId, PartitionClock, Vec<PartialFrame>)>,
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
            .map(|(partition, clock, open)| (partition, Intake::restore(clock, next_start, open)))
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
                .map(|(partition, intake)| (partition.clone(), intake.clock().clone(), intake.snapshot()))
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
        self.intakes
            .remove(partition)
            .unwrap_or_else(|| Intake::restore(PartitionClock::default(), self.next_start, Vec::new()))
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

    fn is_detached(&self) -> bool {
        self.away.last().is_some_and(|(_, to)| *to == UNTIL_HEARD)
    }

    /// Whether windows of the present partitions have closed: from then on it matters where a partition joins.
    pub fn has_begun(&self) -> bool {
        self.next_start.is_some() && !self.is_detached()
    }

    /// The first window after [`Windows::detach`]: the next in line as it is; a later one as a gap, since what
    /// came to it before the first event heard is not known.
    fn rejoin(&mut self, earliest: i64, through_millis: i64) -> Option<Frame> {
        let end = self.spec.grid.end_of(earliest);
        if end > through_millis {
            return None;
        }
        self.away.clear();
        if Some(earliest) == self.next_start {
            return self.close_next(through_millis);
        }
        self.intakes.values_mut().for_each(|intake| drop(intake.close(earliest, end)));
        self.next_start = Some(end);
        Some(Frame::gap(&self.spec, &self.registry, earliest))
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
    pub fn close_next(&mut self, through_millis: i64) -> Option<Frame> {
        let earliest = self.intakes.values().filter_map(Intake::earliest).min();
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
        let partials: Vec<PartialFrame> =
            self.intakes.values_mut().filter_map(|intake| intake.close(start, end)).collect();
        self.next_start = Some(end);
        if partials.is_empty() && self.away.iter().any(|(from, to)| *from < end && start < *to) {
            return Some(Frame::gap(&self.spec, &self.registry, start));
        }
        Some(combine::combine(&self.spec, &mut self.registry, start, partials))
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
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::{
        record::{Field, FieldPaths, InputKind, Inputs, Mapping, MeasureInput, TimestampFormat},
        window::{AggregateKind, Measure, MeasureKind, OTHER, Outcome, WindowGrid, WindowWidth},
    };

    struct Bench {
        windows: Windows,
        mapping: Mapping,
        outcomes: Vec<Outcome>,
    }

    impl Bench {
        /// Minute windows, 30 s lateness, one dimension, measures: count, sum and their ratio.
        fn new(max_series: usize) -> Self {
            let mut paths = FieldPaths::default();
            let total = paths.index("total");
            let inputs = [InputKind::Event, InputKind::Number(total)]
                .map(|kind| MeasureInput { kind, conditions: vec![] });
            let mapping = Mapping::new(
                &mut paths,
                "at",
                TimestampFormat::EpochSeconds,
                TimeZone::UTC,
                &["country".to_owned()],
                &inputs,
            )
            .unwrap();
            let measure = |name: &str, kind| Measure { name: name.to_owned(), kind };
            let spec = WindowSpec {
                grid: WindowGrid::new(WindowWidth::from_seconds(60).unwrap(), TimeZone::UTC),
                allowed_lateness_millis: 30_000,
                dimensions: vec!["country".to_owned()],
                rollups: vec![vec![false], vec![true]],
                measures: vec![
                    measure("orders", MeasureKind::Aggregate(AggregateKind::Count)),
                    measure("revenue", MeasureKind::Aggregate(AggregateKind::Sum)),
                    measure("basket", MeasureKind::Ratio { numerator: 1, denominator: 0 }),
                ],
                max_series,
                max_groups: 3,
            };
            Self { windows: Windows::new(Arc::new(spec)), mapping, outcomes: Vec::new() }
        }

        fn feed(&mut self, partition: &str, events: &[(i64, &str, f64)]) -> &mut Self {
            let partition = PartitionId::new(partition);
            let mut intake = self.windows.take_intake(&partition);
            for (at, country, total) in events {
                let row = [Field::Float(*total), Field::Int(*at), Field::Text((*country).into())];
                let mut inputs = Inputs::default();
                let event = self.mapping.read(&row, &mut inputs).unwrap();
                self.outcomes.push(intake.add(self.windows.spec(), &event));
            }
            self.windows.put_intake(partition, intake);
            self
        }

        fn close_ready(&mut self) -> Vec<Frame> {
            let Some(through) = self.windows.ready_through() else { return Vec::new() };
            std::iter::from_fn(|| self.windows.close_next(through)).collect()
        }
    }

    fn values(frame: &Frame) -> Vec<Vec<Option<f64>>> {
        frame
            .slices
            .iter()
            .map(|row| row.cells.iter().map(|cell| cell.map(|cell| cell.value)).collect())
            .collect()
    }

    #[test]
    fn a_window_closes_once_with_rollups_and_ratios() {
        let mut bench = Bench::new(100);
        bench.feed("p", &[(10, "DE", 4.0), (20, "FR", 6.0), (50, "DE", 2.0), (85, "DE", 1.0)]);
        assert!(bench.close_ready().is_empty());
        bench.feed("p", &[(90, "DE", 1.0)]);
        let frames = bench.close_ready();
        assert_eq!(frames.len(), 1);
        assert_eq!((frames[0].start_millis, frames[0].end_millis), (0, 60_000));
        let some = |values: [f64; 3]| values.map(Some).to_vec();
        assert_eq!(
            values(&frames[0]),
            [some([3.0, 12.0, 4.0]), some([2.0, 6.0, 3.0]), some([1.0, 6.0, 6.0])]
        );
        assert!(bench.close_ready().is_empty());
    }

    #[test]
    fn quiet_windows_close_with_zeros_and_gaps() {
        let mut bench = Bench::new(100);
        bench.feed("p", &[(10, "DE", 4.0), (300, "DE", 1.0)]);
        let frames = bench.close_ready();
        assert_eq!(frames.len(), 4);
        assert_eq!(values(&frames[3]), vec![vec![Some(0.0), Some(0.0), None]; 2]);
    }

    #[test]
    fn late_is_judged_by_the_events_own_partition() {
        let mut bench = Bench::new(100);
        bench.feed("fast", &[(1000, "DE", 1.0), (10, "DE", 1.0)]);
        bench.feed("slow", &[(10, "DE", 1.0), (100, "DE", 1.0), (15, "DE", 1.0)]);
        assert_eq!(
            bench.outcomes,
            [Outcome::Counted, Outcome::Late, Outcome::Counted, Outcome::Counted, Outcome::Late]
        );
        assert_eq!(bench.close_ready().len(), 1);
    }

    #[test]
    fn an_event_on_time_for_its_partition_after_a_close_is_told_apart() {
        let mut bench = Bench::new(100);
        bench.feed("a", &[(10, "DE", 1.0)]).feed("b", &[(10, "DE", 1.0)]);
        bench.windows.set_idle(&PartitionId::new("b"));
        bench.feed("a", &[(200, "DE", 1.0)]);
        assert_eq!(bench.close_ready().len(), 2);
        bench.feed("b", &[(15, "DE", 1.0)]);
        assert_eq!(bench.outcomes.last(), Some(&Outcome::AfterClose));
    }

    #[test]
    fn slices_beyond_the_cap_become_other_and_admitted_ones_stay() {
        let mut bench = Bench::new(2 * 3);
        bench.feed("p", &[(1, "FR", 1.0), (2, "DE", 1.0), (3, "DE", 1.0), (91, "IT", 1.0), (92, "IT", 1.0)]);
        let frame = bench.close_ready().remove(0);
        let names: Vec<String> = bench.windows.registry().keys().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["*", "DE", OTHER]);
        assert_eq!((frame.refused_slices, frame.slices[2].events), (1, 1));
        bench.feed("p", &[(150, "DE", 1.0)]);
        let frame = bench.close_ready().remove(0);
        assert_eq!(frame.slices.iter().map(|row| row.events).collect::<Vec<_>>(), [2, 0, 2]);
    }

    #[test]
    fn a_partition_over_its_slice_limit_counts_what_it_leaves_out() {
        let mut bench = Bench::new(100);
        bench.feed("p", &[(1, "A", 1.0), (2, "B", 1.0), (3, "C", 1.0), (4, "D", 1.0), (5, "A", 1.0)]);
        assert_eq!(bench.outcomes[3..], [Outcome::OverLimit, Outcome::Counted]);
    }

    #[test]
    fn a_restart_in_an_open_window_changes_nothing() {
        let events = [(10, "DE", 4.5), (20, "FR", 6.25), (50, "DE", 2.0), (70, "DE", 1.0), (95, "IT", 3.0)];
        let mut straight = Bench::new(100);
        straight.feed("p", &events);
        let mut stopped = Bench::new(100);
        stopped.feed("p", &events[..2]);
        let saved = postcard::to_stdvec(&stopped.windows.save()).unwrap();
        let slices = stopped.windows.registry().keys().to_vec();
        let spec = stopped.windows.spec().clone();
        stopped.windows = Windows::restore(spec, postcard::from_bytes(&saved).unwrap(), slices);
        stopped.feed("p", &events[2..]);
        assert_eq!(straight.close_ready(), stopped.close_ready());
    }

    #[test]
    fn an_empty_window_while_we_were_away_is_a_gap() {
        let mut bench = Bench::new(100);
        bench.feed("p", &[(10, "DE", 4.0)]);
        bench.windows.set_away(70_000, 200_000);
        bench.feed("p", &[(200, "DE", 1.0), (400, "DE", 1.0)]);
        let frames = bench.close_ready();
        let gaps: Vec<bool> =
            frames.iter().map(|frame| frame.slices[0].cells.iter().all(Option::is_none)).collect();
        assert_eq!(gaps, [false, true, true, false, false, false]);
    }

    #[test]
    fn after_a_change_of_partitions_windows_go_on_with_the_first_event() {
        for (first, gaps) in [(120, vec![false]), (910, vec![true, false])] {
            let mut bench = Bench::new(100);
            bench.feed("old", &[(10, "DE", 4.0), (65, "DE", 1.0)]);
            bench.windows.set_ended(&PartitionId::new("old"), true);
            assert_eq!(bench.close_ready().len(), 2);
            bench.windows.detach();
            let saved = bench.windows.save();
            let (spec, slices) = (bench.windows.spec().clone(), bench.windows.registry().keys().to_vec());
            bench.windows = Windows::restore(spec, saved, slices);
            assert!(!bench.windows.has_begun() && bench.windows.close_next(i64::MAX - 60_000).is_none());
            bench.feed("new", &[(70, "DE", 1.0), (first, "DE", 1.0), (first + 60, "DE", 2.0)]);
            assert_eq!(bench.outcomes[2], Outcome::AfterClose, "closed windows stay closed");
            bench.windows.set_ended(&PartitionId::new("new"), true);
            let frames = bench.close_ready();
            assert!(bench.windows.has_begun());
            assert_eq!(frames[0].start_millis, first.div_euclid(60) * 60_000);
            let are_gaps: Vec<bool> = frames.iter().map(|frame| frame.slices[0].cells[0].is_none()).collect();
            assert_eq!(are_gaps[..gaps.len()], gaps);
        }
    }

    #[test]
    fn the_end_of_all_partitions_closes_everything() {
        let mut bench = Bench::new(100);
        bench.feed("p", &[(10, "DE", 1.0), (65, "DE", 1.0)]);
        bench.windows.set_ended(&PartitionId::new("p"), true);
        assert_eq!(bench.close_ready().len(), 2);
    }
}
