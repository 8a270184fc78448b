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
            correction_millis: 0,
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

    /// The same, and closed windows can be revised for so many seconds.
    fn correctable(seconds: i64) -> Self {
        let mut bench = Self::new(100);
        let mut spec = (**bench.windows.spec()).clone();
        spec.correction_millis = seconds * 1000;
        bench.windows = Windows::new(Arc::new(spec));
        bench
    }

    fn close_all(&mut self) -> Vec<Closed> {
        let Some(through) = self.windows.ready_through() else { return Vec::new() };
        std::iter::from_fn(|| self.windows.close_next(through)).collect()
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
        self.close_all().into_iter().map(|closed| closed.frame).collect()
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
    assert_eq!(values(&frames[0]), [some([3.0, 12.0, 4.0]), some([2.0, 6.0, 3.0]), some([1.0, 6.0, 6.0])]);
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
fn a_late_event_revises_when_the_window_closes_in_which_it_came() {
    let mut bench = Bench::correctable(120);
    bench.feed("p", &[(10, "DE", 4.0), (130, "DE", 1.0)]);
    assert_eq!(bench.close_all().len(), 1);
    bench.feed("p", &[(20, "FR", 2.0), (15, "DE", 1.0)]);
    assert_eq!(bench.outcomes[2..], [Outcome::Waits, Outcome::Waits]);
    assert!(bench.close_all().is_empty(), "it came in the window from 120 on");
    // A restart keeps what waits.
    let saved = postcard::to_stdvec(&bench.windows.save()).unwrap();
    let (spec, slices) = (bench.windows.spec().clone(), bench.windows.registry().keys().to_vec());
    bench.windows = Windows::restore(spec, postcard::from_bytes(&saved).unwrap(), slices);
    bench.feed("p", &[(215, "DE", 1.0)]);
    let mut closed = bench.close_all();
    let late: Vec<usize> = closed.iter().map(|closed| closed.late.len()).collect();
    assert_eq!(late, [0, 1]);
    let late = closed.pop().unwrap().late;
    assert_eq!((late[0].start_millis, late[0].num_events()), (0, 2));
    let whole = PartialFrame { start_millis: 0, groups: Vec::new() };
    let frame = bench.windows.frame_of(&Windows::merged(whole, late));
    let names: Vec<String> = bench.windows.registry().keys().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["*", "DE", "FR"], "a slice first seen late is kept");
    assert_eq!(frame.slices.iter().map(|row| row.events).collect::<Vec<_>>(), [2, 1, 1]);
}

#[test]
fn the_correction_period_is_judged_by_the_events_own_partition_and_by_what_is_closed() {
    let mut bench = Bench::correctable(60);
    // The watermark of `a` is at 170: the window from 60 on ended 50 s before, the first one 110 s.
    bench.feed("a", &[(200, "DE", 1.0), (70, "DE", 1.0), (50, "DE", 1.0)]);
    assert_eq!(bench.outcomes[1..], [Outcome::Waits, Outcome::Late]);
    bench.feed("b", &[(190, "DE", 1.0)]);
    bench.windows.set_idle(&PartitionId::new("b"));
    bench.feed("a", &[(500, "DE", 1.0)]);
    bench.close_all();
    bench.feed("b", &[(200, "DE", 1.0), (410, "DE", 1.0)]);
    assert_eq!(bench.outcomes[5..], [Outcome::AfterClose, Outcome::Waits]);
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
