//! Floor 2: event time. Events become partial aggregates per window and slice, partitions are combined,
//! and a window closes exactly once. What comes later may revise it, and never closes it again.
//!
//! Three rules keep the answer independent of batching, interleaving, thread count and restarts:
//! late is judged against the event's own partition; partials are kept per partition and combined in
//! partition order; everything iterated is ordered.
//!
//! It knows nothing of detectors, storage or the wall clock: "now" is always an argument.

mod aggregate;
mod combine;
mod grid;
mod intake;
mod slice;
mod watermark;
mod windows;

pub use aggregate::{Aggregate, AggregateKind, Cell};
pub use combine::{Frame, SliceRow};
pub use grid::{WindowGrid, WindowWidth, WindowWidthError};
pub use intake::{Intake, Outcome, PartialFrame, PartialGroup};
pub use slice::{OTHER, SliceKey, SliceRegistry};
pub use watermark::{PartitionClock, Watermarks};
pub use windows::{Closed, SavedWindows, Windows};

/// What a monitor aggregates, and how.
#[derive(Clone, Debug)]
pub struct WindowSpec {
    /// Where windows begin and end.
    pub grid: WindowGrid,
    /// How far behind the newest event of its partition an event may be and still be on time.
    pub allowed_lateness_millis: i64,
    /// How long after its end a closed window can still be revised by late events; 0 is never.
    pub correction_millis: i64,
    /// Names of the dimensions, in the order of an event's values.
    pub dimensions: Vec<String>,
    /// For each roll-up level, which dimensions it keeps.
    pub rollups: Vec<Vec<bool>>,
    /// The measures, aggregated ones and ratios.
    pub measures: Vec<Measure>,
    /// Most series (measure x slice) this monitor keeps; the rest go to `(other)`.
    pub max_series: usize,
    /// Most leaf slices one partition may hold in one window; events beyond are counted, not aggregated.
    pub max_groups: usize,
}

/// One measure of a monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Its name.
    pub name: String,
    /// How its value comes about.
    pub kind: MeasureKind,
}

/// How a measure's value comes about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MeasureKind {
    /// Aggregated from events.
    Aggregate(AggregateKind),
    /// One measure divided by another; both are kept, so that a thin denominator shows.
    Ratio {
        /// Index of the measure above the line.
        numerator: usize,
        /// Index of the measure below the line.
        denominator: usize,
    },
}

impl WindowSpec {
    /// The kinds of the aggregated measures, in order. The inputs of an event have the same order.
    pub fn aggregates(&self) -> impl Iterator<Item = AggregateKind> {
        self.measures.iter().filter_map(|measure| match measure.kind {
            MeasureKind::Aggregate(kind) => Some(kind),
            MeasureKind::Ratio { .. } => None,
        })
    }

    /// The row of a slice in a window without any of its events.
    pub fn quiet_row(&self) -> SliceRow {
        combine::quiet(self)
    }

    /// Most slices, so that slices x measures stays within `max_series`; at least one.
    pub fn max_slices(&self) -> usize {
        (self.max_series / self.measures.len().max(1)).max(1)
    }
}
