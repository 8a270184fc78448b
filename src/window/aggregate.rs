//! Mergeable partial aggregates: the value of a measure is made from these when a window closes.

use datasketches::hll::{HllSketch, HllType, HllUnion};
use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};

use crate::record::Input;

/// 4,096 registers: about 1.6 % standard error, and exact while few.
const HLL_LG_K: u8 = 12;

/// How events are aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum AggregateKind {
    /// Number of events.
    Count,
    /// Sum of a number.
    Sum,
    /// Mean of a number.
    Average,
    /// Least number.
    Min,
    /// Largest number.
    Max,
    /// About how many different values (HyperLogLog, 1.6 % standard error).
    Distinct,
    /// Quantile of a number (DDSketch, 1 % relative error); in `0..=1`.
    Quantile(f64),
    /// Sum of numbers that were totals of the window already; none is a gap and no zero.
    Total,
    /// Mean of numbers that were measured for the whole window.
    Level,
}

impl AggregateKind {
    /// The word of the configuration: `count`, `sum`, `p95`.
    pub fn word(self) -> String {
        let word = match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Average => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Distinct => "distinct",
            Self::Total => "total",
            Self::Level => "level",
            // 0.95 * 100 is not quite 95.
            Self::Quantile(quantile) => return format!("p{}", (quantile * 1e5).round() / 1e3),
        };
        word.to_owned()
    }
}

/// A measure's value in one closed window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The value; finite.
    pub value: f64,
    /// What the value rests on: the number of contributing events, or a ratio's denominator.
    pub weight: f64,
}

/// The running aggregate of one measure in one window and slice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Aggregate {
    /// Of [`AggregateKind::Count`].
    Count(u64),
    /// Of sums and averages.
    Sum {
        /// The sum so far.
        sum: f64,
        /// How many numbers.
        count: u64,
    },
    /// Least number and how many; infinite while none.
    Min(f64, u64),
    /// Largest number and how many; negative infinite while none.
    Max(f64, u64),
    /// Sketch of identities and how many events.
    Distinct(#[serde(with = "hll_bytes")] Box<HllSketch>, u64),
    /// Sketch of numbers.
    Quantile(Box<NumberSketch>),
}

/// A DDSketch of the numbers of a window.
#[derive(Clone, Serialize, Deserialize)]
pub struct NumberSketch(DDSketch);

impl std::fmt::Debug for NumberSketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NumberSketch").field("count", &self.0.count()).finish_non_exhaustive()
    }
}

impl Aggregate {
    /// The aggregate of no events.
    pub fn empty(kind: AggregateKind) -> Self {
        match kind {
            AggregateKind::Count => Self::Count(0),
            AggregateKind::Sum | AggregateKind::Average | AggregateKind::Total | AggregateKind::Level => {
                Self::Sum { sum: 0.0, count: 0 }
            }
            AggregateKind::Min => Self::Min(f64::INFINITY, 0),
            AggregateKind::Max => Self::Max(f64::NEG_INFINITY, 0),
            AggregateKind::Distinct => Self::Distinct(
                Box::new(HllSketch::new(HLL_LG_K, HllType::Hll8).expect("12 is within 4..=21")),
                0,
            ),
            AggregateKind::Quantile(_) => {
                Self::Quantile(Box::new(NumberSketch(DDSketch::new(Config::defaults()))))
            }
        }
    }

    /// Takes in one event's input.
    pub fn add(&mut self, input: Input) {
        match (self, input) {
            (Self::Count(count), Input::Event) => *count += 1,
            (Self::Sum { sum, count }, Input::Number(number)) => {
                *sum += number;
                *count += 1;
            }
            (Self::Min(least, count), Input::Number(number)) => {
                *least = least.min(number);
                *count += 1;
            }
            (Self::Max(largest, count), Input::Number(number)) => {
                *largest = largest.max(number);
                *count += 1;
            }
            (Self::Distinct(sketch, count), Input::Identity(identity)) => {
                sketch.update(identity);
                *count += 1;
            }
            (Self::Quantile(sketch), Input::Number(number)) => sketch.0.add(number),
            _ => {}
        }
    }

    /// Takes in another aggregate of the same kind, of other events.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Count(count), Self::Count(more)) => *count += more,
            (Self::Sum { sum, count }, Self::Sum { sum: more, count: others }) => {
                *sum += more;
                *count += others;
            }
            (Self::Min(least, count), Self::Min(other, others)) => {
                *least = least.min(*other);
                *count += others;
            }
            (Self::Max(largest, count), Self::Max(other, others)) => {
                *largest = largest.max(*other);
                *count += others;
            }
            (Self::Distinct(sketch, count), Self::Distinct(other, others)) => {
                let mut union = HllUnion::new(HLL_LG_K).expect("12 is within 4..=21");
                union.update(sketch);
                union.update(other);
                **sketch = union.to_sketch(HllType::Hll8);
                *count += others;
            }
            (Self::Quantile(sketch), Self::Quantile(other)) => {
                sketch.0.merge(&other.0).expect("all sketches share one configuration");
            }
            _ => debug_assert!(false, "aggregates of different kinds never meet"),
        }
    }

    /// The value, or `None` when there is nothing to say: a mean of no numbers. A count, sum or distinct
    /// count of no events is 0, which is the outage most worth catching. Sums beyond the range of a double
    /// are held at its end.
    pub fn cell(&self, kind: AggregateKind) -> Option<Cell> {
        let cell = |value: f64, count: u64| {
            Some(Cell { value: value.clamp(f64::MIN, f64::MAX), weight: count as f64 })
        };
        match (self, kind) {
            (Self::Count(count), _) => cell(*count as f64, *count),
            (Self::Sum { sum, count }, AggregateKind::Average | AggregateKind::Level) if *count > 0 => {
                cell(sum / *count as f64, *count)
            }
            (Self::Sum { .. }, AggregateKind::Average | AggregateKind::Level)
            | (Self::Sum { count: 0, .. }, AggregateKind::Total) => None,
            (Self::Sum { sum, count }, _) => cell(if sum.is_nan() { 0.0 } else { *sum }, *count),
            (Self::Min(number, count) | Self::Max(number, count), _) if *count > 0 => cell(*number, *count),
            (Self::Distinct(sketch, _), _) => {
                let distinct = sketch.estimate().round();
                cell(distinct, distinct as u64)
            }
            (Self::Quantile(sketch), AggregateKind::Quantile(quantile)) => {
                let value = sketch.0.quantile(quantile).ok().flatten()?;
                cell(value, sketch.0.count() as u64)
            }
            _ => None,
        }
    }
}

/// The common binary format of the DataSketches libraries.
mod hll_bytes {
    use datasketches::hll::HllSketch;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(sketch: &HllSketch, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&sketch.serialize())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Box<HllSketch>, D::Error> {
        let bytes = <Vec<u8>>::deserialize(deserializer)?;
        HllSketch::deserialize(&bytes).map(Box::new).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [AggregateKind; 7] = [
        AggregateKind::Count,
        AggregateKind::Sum,
        AggregateKind::Average,
        AggregateKind::Min,
        AggregateKind::Max,
        AggregateKind::Distinct,
        AggregateKind::Quantile(0.95),
    ];

    fn input(kind: AggregateKind, number: u64) -> Input {
        match kind {
            AggregateKind::Count => Input::Event,
            AggregateKind::Distinct => Input::Identity(number),
            _ => Input::Number(number as f64),
        }
    }

    fn of(kind: AggregateKind, numbers: std::ops::Range<u64>) -> Aggregate {
        let mut aggregate = Aggregate::empty(kind);
        numbers.for_each(|number| aggregate.add(input(kind, number)));
        aggregate
    }

    #[test]
    fn values_of_the_numbers_0_to_99() {
        let expected = [100.0, 4950.0, 49.5, 0.0, 99.0, 100.0, 94.0];
        for (kind, expected) in KINDS.into_iter().zip(expected) {
            let cell = of(kind, 0..100).cell(kind).unwrap();
            assert!((cell.value - expected).abs() <= 0.02 * expected, "{kind:?}: {cell:?}");
            assert_eq!(cell.weight, 100.0);
        }
    }

    #[test]
    fn merged_parts_equal_the_whole() {
        for kind in KINDS {
            let mut left = of(kind, 0..60);
            left.merge(&of(kind, 60..100));
            assert_eq!(left.cell(kind), of(kind, 0..100).cell(kind), "{kind:?}");
        }
    }

    #[test]
    fn nothing_is_zero_for_totals_and_a_gap_for_the_rest() {
        for kind in KINDS {
            let total = matches!(kind, AggregateKind::Count | AggregateKind::Sum | AggregateKind::Distinct);
            let cell = Aggregate::empty(kind).cell(kind);
            assert_eq!(cell, total.then_some(Cell { value: 0.0, weight: 0.0 }), "{kind:?}");
        }
    }

    #[test]
    fn a_saved_aggregate_continues_as_if_never_saved() {
        for kind in KINDS {
            let mut saved: Aggregate =
                postcard::from_bytes(&postcard::to_stdvec(&of(kind, 0..500)).unwrap()).unwrap();
            (500..1000).for_each(|number| saved.add(input(kind, number)));
            assert_eq!(saved.cell(kind), of(kind, 0..1000).cell(kind), "{kind:?}");
        }
    }

    #[test]
    fn sums_stay_finite() {
        let mut sum = Aggregate::empty(AggregateKind::Sum);
        sum.add(Input::Number(f64::MAX));
        sum.add(Input::Number(f64::MAX));
        assert_eq!(sum.cell(AggregateKind::Sum).unwrap().value, f64::MAX);
    }
}
