//! Which slices explain a deviation: the search behind incidents and behind `tidewatch locate`.
//!
//! A *level* is a partition of the traffic: its cells do not overlap, and each holds what was seen and what was
//! expected. A *cause* is a slice (up to three dimension values), or two slices that differ in one value. Under a cause
//! every cell inside it is off by the same factor and every cell outside is as expected; its evidence is the
//! likelihood ratio of that against "nothing is off" (`evidence.rs`), less the cost of naming it. So a child beats its
//! parent when the rest of the parent is as expected, and loses when the rest is off as well.
//!
//! It does not look for more than one cause at a time; [`Cube::without`] takes one out, so that the next can be found.

mod candidates;
mod contribution;
mod evidence;
mod history;

pub use contribution::{Contribution, contributions};
pub use history::{History, Row};

use serde::{Deserialize, Serialize};

use candidates::Group;
use evidence::Evidence;

/// The most dimension values in one slice.
const VALUES_MAX: usize = 3;

/// Two slices must explain this much more than one. From .10 to .20 as many labelled cases are right.
const PAIR_MARGIN: f64 = 0.15;

/// Pairs are tried among this many groups of a kind, those with most evidence.
const PAIRED_MAX: usize = 24;

/// One cell of a level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CubeCell {
    /// What was seen, in the unit of the measure.
    pub actual: f64,
    /// What was expected, in the same unit.
    pub expected: f64,
    /// How many events the expected value is worth: expected squared over its variance. For a count it is the count.
    pub strength: f64,
}

impl CubeCell {
    /// A cell of a count, or of anything whose variance is `unit` times its mean.
    pub fn of_count(actual: f64, expected: f64, unit: f64) -> Self {
        Self { actual, expected, strength: expected.max(0.0) / unit }
    }

    /// Actual less expected.
    pub fn deviation(&self) -> f64 {
        self.actual - self.expected
    }
}

/// A partition of the traffic by some dimensions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    /// The dimensions, by number, in order.
    pub dimensions: Vec<usize>,
    /// The values of each cell, as many as there are dimensions.
    pub values: Vec<Vec<u32>>,
    /// The cells, in the order of `values`.
    pub cells: Vec<CubeCell>,
}

/// Everything the search may look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cube {
    /// Levels, none of which is a roll-up of another.
    pub levels: Vec<Level>,
    /// How the values of a cell scatter beyond chance: the square of one over their coefficient of variation.
    pub dispersion: f64,
    /// The cost of naming one of `n` values, in units of twice ln(n + 1): more than 1 where neighbouring cells err
    /// together, so that their evidence is worth less than that of independent ones.
    pub cost: f64,
    /// Whether cells add up. The mean of a slice is the mean of its cells where they do not.
    pub additive: bool,
}

/// Dimension and value numbers, in order of dimension; empty for the whole.
pub type SliceValues = Vec<(usize, u32)>;

/// One explanation.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// One slice, or two that differ in one value.
    pub slices: Vec<SliceValues>,
    /// The part of the whole deviation that lies in them, 0 to 1. The rest is unexplained.
    pub share: f64,
    /// Evidence less cost; higher is better. Only the order within one search means anything.
    pub score: f64,
    /// Seen in the slices, where cells add up.
    pub actual: f64,
    /// Expected in the slices, where cells add up.
    pub expected: f64,
}

impl Cause {
    /// Whether it contains all of `slice`.
    pub fn contains(&self, slice: &[(usize, u32)]) -> bool {
        self.slices.iter().any(|outer| outer.iter().all(|pair| slice.contains(pair)))
    }
}

impl Cube {
    /// The best explanations, best first, at most `most`.
    pub fn search(&self, most: usize) -> Vec<Cause> {
        let mut causes: Vec<Cause> = Vec::new();
        for level in &self.levels {
            for cause in self.search_level(level) {
                // A slice that two levels hold must convince in both.
                match causes.iter_mut().find(|known| known.slices == cause.slices) {
                    Some(known) if known.score > cause.score => *known = cause,
                    Some(_) => {}
                    None => causes.push(cause),
                }
            }
        }
        sort(&mut causes);
        causes.truncate(most);
        causes
    }

    /// The cube as it would be had `cause` not been: its cells are as expected.
    #[must_use]
    pub fn without(&self, cause: &Cause) -> Self {
        let mut rest = self.clone();
        for level in &mut rest.levels {
            let touches = |values: &[u32]| {
                let slice: SliceValues =
                    level.dimensions.iter().copied().zip(values.iter().copied()).collect();
                cause.slices.iter().any(|outer| {
                    let named = |(dimension, value): &(usize, u32)| {
                        !level.dimensions.contains(dimension) || slice.contains(&(*dimension, *value))
                    };
                    outer.iter().all(named)
                })
            };
            for (values, cell) in level.values.iter().zip(&mut level.cells) {
                if touches(values) {
                    cell.actual = cell.expected;
                }
            }
        }
        rest
    }

    fn search_level(&self, level: &Level) -> Vec<Cause> {
        let evidence = Evidence::new(level, self.dispersion);
        let sizes = candidates::sizes(level);
        let whole = level.cells.iter().map(CubeCell::deviation).sum();
        let mut causes = Vec::new();
        for places in candidates::places(level.dimensions.len(), VALUES_MAX) {
            let groups = candidates::group(level, &places);
            let cost_of = |place: usize| 2.0 * self.cost * (sizes[place] as f64 + 1.0).ln();
            let cost: f64 = places.iter().map(|place| cost_of(*place)).sum();
            let gains: Vec<f64> = groups.iter().map(|group| evidence.gain(&group.cells)).collect();
            for (group, gain) in groups.iter().zip(&gains) {
                causes.push(self.cause(level, &places, &[group], gain - cost, whole));
            }
            for (one, two, place) in candidates::siblings(&groups, &gains, PAIRED_MAX) {
                let cells: Vec<usize> = groups[one].cells.iter().chain(&groups[two].cells).copied().collect();
                let gain = evidence.gain(&cells) * (1.0 - PAIR_MARGIN);
                let cost = cost + cost_of(places[place]);
                causes.push(self.cause(level, &places, &[&groups[one], &groups[two]], gain - cost, whole));
            }
        }
        sort(&mut causes);
        causes.truncate(KEPT_PER_LEVEL);
        causes
    }

    fn cause(&self, level: &Level, places: &[usize], groups: &[&Group], score: f64, whole: f64) -> Cause {
        let cells = || groups.iter().flat_map(|group| &group.cells).map(|cell| level.cells[*cell]);
        let name = |group: &&Group| {
            places.iter().map(|place| level.dimensions[*place]).zip(group.key.iter().copied()).collect()
        };
        let parts = if self.additive { 1.0 } else { cells().count().max(1) as f64 };
        let (actual, expected) =
            (cells().map(|cell| cell.actual).sum::<f64>(), cells().map(|cell| cell.expected).sum::<f64>());
        let share = if (actual - expected) * whole > 0.0 { (actual - expected) / whole } else { 1.0 };
        Cause {
            slices: groups.iter().map(name).collect(),
            share: share.clamp(0.0, 1.0),
            score,
            actual: actual / parts,
            expected: expected / parts,
        }
    }
}

/// Levels with many slices hand on only their best.
const KEPT_PER_LEVEL: usize = 200;

fn sort(causes: &mut [Cause]) {
    causes.sort_by(|a, b| {
        let scores = b.score.total_cmp(&a.score).then(a.slices.len().cmp(&b.slices.len()));
        scores.then_with(|| a.slices.cmp(&b.slices))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three countries x two devices, 100 expected in each; `actual` says what came.
    fn cube(actual: impl Fn(u32, u32) -> f64) -> Cube {
        let mut level = Level { dimensions: vec![0, 1], ..Level::default() };
        for country in 0..3 {
            for device in 0..2 {
                level.values.push(vec![country, device]);
                level.cells.push(CubeCell::of_count(actual(country, device), 100.0, 1.0));
            }
        }
        Cube { levels: vec![level], dispersion: 100.0, cost: 1.0, additive: true }
    }

    fn best(cube: &Cube) -> Cause {
        cube.search(3).remove(0)
    }

    #[test]
    fn the_narrowest_slice_that_explains_all_is_named() {
        let one = best(&cube(|country, device| if (country, device) == (1, 1) { 20.0 } else { 101.0 }));
        assert_eq!(one.slices, [vec![(0, 1), (1, 1)]]);
        let country = best(&cube(|country, _| if country == 1 { 30.0 } else { 100.0 }));
        assert_eq!((country.slices, country.share), (vec![vec![(0, 1)]], 1.0));
        assert_eq!(best(&cube(|_, device| if device == 0 { 220.0 } else { 95.0 })).slices, [vec![(1, 0)]]);
        assert_eq!(best(&cube(|_, _| 0.0)).slices, [vec![]]);
    }

    #[test]
    fn two_siblings_are_one_cause_and_the_rest_is_searched_again() {
        let level = |actual: [f64; 6]| Level {
            dimensions: vec![0],
            values: (0..6).map(|value| vec![value]).collect(),
            cells: actual.map(|actual| CubeCell::of_count(actual, 400.0, 1.0)).to_vec(),
        };
        let cube =
            |actual| Cube { levels: vec![level(actual)], dispersion: 100.0, cost: 1.0, additive: true };
        let pair = best(&cube([100.0, 400.0, 105.0, 398.0, 404.0, 401.0]));
        assert_eq!(pair.slices, [vec![(0, 0)], vec![(0, 2)]]);
        let other = cube([100.0, 1_200.0, 400.0, 398.0, 404.0, 401.0]);
        let first = best(&other);
        assert_eq!(first.slices, [vec![(0, 1)]]);
        assert_eq!(best(&other.without(&first)).slices, [vec![(0, 0)]]);
    }

    #[test]
    fn where_only_roll_ups_are_kept_a_cause_must_convince_in_all_of_them() {
        let level = |dimension, actual: &[f64]| Level {
            dimensions: vec![dimension],
            values: (0..actual.len() as u32).map(|value| vec![value]).collect(),
            cells: actual.iter().map(|actual| CubeCell::of_count(*actual, 300.0, 1.0)).collect(),
        };
        let levels = vec![level(0, &[90.0, 301.0, 299.0]), level(1, &[232.0, 229.0, 231.0])];
        let cube = Cube { levels, dispersion: 100.0, cost: 1.0, additive: true };
        assert_eq!(best(&cube).slices, [vec![(0, 0)]]);
    }
}
