//! The first stretch of a series, in which it shows what its values are.
//!
//! Whole numbers that never go below zero are counts until one value says otherwise; values below zero ask for
//! an offset. The observations of the stretch are kept, so that a changed mind can fold them again under the new
//! reading; at the end of the stretch the mode is final and the buffer is dropped. While the range of a
//! series with negative values still grows, the offset follows in steps of a quarter of the range.

use serde::{Deserialize, Serialize};

use super::cadence::Cadence;
use super::{Mode, readable};
use crate::config::ValueKind;
use crate::detector::LearnPolicy;
use crate::observation::Observation;

/// Buffer and findings of the first stretch; its length is bounded by [`Cadence::opening_points`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Opening {
    points: Vec<Point>,
    found: Findings,
    /// The range that the present mode allows for.
    assumed: Option<(f64, f64)>,
}

/// One kept observation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) civil_seconds: i64,
    pub(super) value: f64,
    pub(super) weight: f64,
    learn: bool,
}

impl Point {
    pub(super) fn policy(&self) -> LearnPolicy {
        if self.learn { LearnPolicy::Learn } else { LearnPolicy::Hold }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Findings {
    whole: bool,
    range: Option<(f64, f64)>,
}

impl Findings {
    fn with(self, value: f64) -> Self {
        let (least, most) = self.range.unwrap_or((value, value));
        Self { whole: self.whole && value.fract() == 0.0, range: Some((least.min(value), most.max(value))) }
    }

    fn mode(self, kind: ValueKind, (least, most): (f64, f64)) -> Mode {
        let count = kind == ValueKind::Learned && self.whole && least >= 0.0;
        let offset = if least < 0.0 { -least + 2.0 * (most - least) } else { 0.0 };
        Mode { count, offset }
    }
}

impl Opening {
    /// The opening of a series of this kind; a declared count has nothing to find out.
    pub(super) fn of(kind: ValueKind) -> Option<Self> {
        (!kind.is_declared_count()).then_some(Self {
            points: Vec::new(),
            found: Findings { whole: true, range: None },
            assumed: None,
        })
    }

    /// What the values are taken for before the first one came.
    pub(super) fn first_mode(kind: ValueKind) -> Mode {
        Mode { count: kind.is_declared_count() || kind == ValueKind::Learned, offset: 0.0 }
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// The mode that `observation` asks for, if it is not `present`.
    pub(super) fn revised(&self, observation: &Observation, present: Mode, kind: ValueKind) -> Option<Mode> {
        let found = self.found.with(readable(observation.value()));
        let range = found.range?;
        let wanted = found.mode(kind, range);
        let fits = wanted.count == present.count
            && (wanted.offset > 0.0) == (present.offset > 0.0)
            && (wanted.offset == 0.0 || self.assumed.is_some_and(|assumed| covers(assumed, range)));
        (!fits).then_some(wanted)
    }

    /// Keeps `observation`, and the range if the mode was revised for it.
    pub(super) fn keep(&mut self, observation: &Observation, policy: LearnPolicy, revised: bool) {
        let value = readable(observation.value());
        self.found = self.found.with(value);
        if revised {
            self.assumed = self.found.range;
        }
        let learn = policy == LearnPolicy::Learn;
        let (civil_seconds, weight) = (observation.civil_seconds(), observation.weight());
        self.points.push(Point { civil_seconds, value, weight, learn });
    }

    /// The final mode, once the stretch is over.
    pub(super) fn verdict(&self, kind: ValueKind, cadence: &Cadence) -> Option<Mode> {
        let over = self.points.len() >= cadence.opening_points();
        self.found.range.filter(|_| over).map(|range| self.found.mode(kind, range))
    }
}

/// Whether `range` lies within a quarter of its width around `assumed`.
fn covers(assumed: (f64, f64), range: (f64, f64)) -> bool {
    let slack = 0.25 * (assumed.1 - assumed.0);
    range.0 >= assumed.0 - slack && range.1 <= assumed.1 + slack
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: f64) -> Observation {
        Observation::new(0, value, 1).unwrap()
    }

    #[test]
    fn whole_numbers_are_counts_until_a_value_says_otherwise() {
        let opening = Opening::of(ValueKind::Learned).unwrap();
        let count = Opening::first_mode(ValueKind::Learned);
        assert_eq!(opening.revised(&at(3.0), count, ValueKind::Learned), None);
        let measured = Mode { count: false, offset: 0.0 };
        assert_eq!(opening.revised(&at(3.5), count, ValueKind::Learned), Some(measured));
        assert!(Opening::of(ValueKind::Count).is_none());
    }

    #[test]
    fn the_offset_follows_the_range_in_steps() {
        let mut opening = Opening::of(ValueKind::Continuous).unwrap();
        let mut mode = Opening::first_mode(ValueKind::Continuous);
        let mut revisions = 0;
        for step in 0..1_000 {
            let observation = at(-f64::from(step));
            let revised = opening.revised(&observation, mode, ValueKind::Continuous);
            revisions += usize::from(revised.is_some());
            mode = revised.unwrap_or(mode);
            opening.keep(&observation, LearnPolicy::Learn, revised.is_some());
            assert!(observation.value() + mode.offset >= 0.0);
        }
        assert!(revisions < 40, "{revisions}");
        let last = opening.verdict(ValueKind::Continuous, &Cadence::new(3_600)).unwrap();
        assert_eq!(last, Mode { count: false, offset: 3.0 * 999.0 });
    }
}
