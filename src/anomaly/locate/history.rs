//! What to expect of each cell from rows of earlier times, for data that no monitor holds.
//!
//! A ratio's cell expects its denominator times the rate it had, which is shrunk towards the product of the rates of its
//! single values by twenty events, so that sparse cells borrow from their dimensions. A sum's cell expects its mean
//! over the latest thirty earlier times, a time without a row counting as nothing. There is no season in either.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use super::{Cube, CubeCell, Level};

/// The scatter where the expected value is no more than a mean of earlier rows: a coefficient of variation of 22 %.
const DISPERSION: f64 = 20.0;
/// Such expected values err together, so their evidence is worth a quarter. From 3 to 6 about as many labelled cases
/// are right, `docs/accuracy.md` has the table.
const COST: f64 = 4.0;
/// How many events a cell borrows from its dimensions. 5 to 50 give the same first answers.
const BORROWED_EVENTS: f64 = 20.0;
/// How many events a single value borrows from the whole.
const BORROWED_BY_VALUES: f64 = 1.0;
/// Sums look back this many times.
const TIMES_MAX: usize = 30;
/// The median of a squared normal deviate.
const MEDIAN_SQUARE: f64 = 0.455;

/// One row: a cell at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The time, milliseconds since the Unix epoch.
    pub millis: i64,
    /// One value per dimension.
    pub values: Vec<u32>,
    /// The sum, or the numerator.
    pub value: f64,
    /// The denominator; `None` for sums.
    pub weight: Option<f64>,
}

/// Rows by cell.
#[derive(Debug)]
pub struct History {
    num_dimensions: usize,
    is_ratio: bool,
    now: BTreeMap<Vec<u32>, (f64, f64)>,
    /// Per cell and earlier time.
    past: BTreeMap<Vec<u32>, BTreeMap<i64, (f64, f64)>>,
    times: BTreeSet<i64>,
}

impl History {
    /// Sorts rows into those at `at_millis` and those before; later ones are passed over.
    pub fn new(
        rows: impl IntoIterator<Item = Row>,
        num_dimensions: usize,
        is_ratio: bool,
        at_millis: i64,
    ) -> Self {
        let (now, past, times) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut history = Self { num_dimensions, is_ratio, now, past, times };
        for row in rows {
            let slot = match row.millis.cmp(&at_millis) {
                Ordering::Equal => history.now.entry(row.values).or_default(),
                Ordering::Less => {
                    history.times.insert(row.millis);
                    history.past.entry(row.values).or_default().entry(row.millis).or_default()
                }
                Ordering::Greater => continue,
            };
            slot.0 += row.value;
            slot.1 += row.weight.unwrap_or_default();
        }
        history
    }

    /// Whether there is anything at the time asked for.
    pub fn has_now(&self) -> bool {
        !self.now.is_empty()
    }

    /// Whether there is anything before it.
    pub fn has_past(&self) -> bool {
        !self.times.is_empty()
    }

    /// The cube at the time asked for.
    pub fn cube(&self) -> Cube {
        let cells = if self.is_ratio { self.ratio_cells() } else { self.sum_cells() };
        let (values, cells) = cells.into_iter().unzip();
        let level = Level { dimensions: (0..self.num_dimensions).collect(), values, cells };
        Cube { levels: vec![level], dispersion: DISPERSION, cost: COST, additive: true }
    }

    fn ratio_cells(&self) -> Vec<(Vec<u32>, CubeCell)> {
        let sums: BTreeMap<&Vec<u32>, (f64, f64)> = self
            .past
            .iter()
            .map(|(values, times)| (values, times.values().fold((0.0, 0.0), |sum, one| add(sum, *one))))
            .collect();
        let whole = sums.values().fold((0.0, 0.0), |sum, one| add(sum, *one));
        let rate = whole.0 / whole.1.max(1.0);
        let mut by_value: BTreeMap<(usize, u32), (f64, f64)> = BTreeMap::new();
        for (values, sum) in &sums {
            for (dimension, value) in values.iter().enumerate() {
                let slot = by_value.entry((dimension, *value)).or_default();
                *slot = add(*slot, *sum);
            }
        }
        let factor = |place: (usize, u32)| {
            let (value, weight) = by_value.get(&place).copied().unwrap_or_default();
            (value + BORROWED_BY_VALUES * rate) / (weight + BORROWED_BY_VALUES) / rate.max(f64::MIN_POSITIVE)
        };
        let cell = |(values, (value, weight)): (&Vec<u32>, &(f64, f64))| {
            let places = values.iter().copied().enumerate();
            let prior = (rate * places.map(factor).product::<f64>()).clamp(1e-6, 0.5);
            let (had, of) = sums.get(values).copied().unwrap_or_default();
            let expected = weight * (had + BORROWED_EVENTS * prior) / (of + BORROWED_EVENTS);
            (values.clone(), CubeCell::of_count(*value, expected, 1.0))
        };
        self.now.iter().map(cell).collect()
    }

    fn sum_cells(&self) -> Vec<(Vec<u32>, CubeCell)> {
        let from =
            self.times.iter().rev().nth(TIMES_MAX - 1).or(self.times.first()).copied().unwrap_or(i64::MAX);
        let num_times = self.times.range(from..).count().max(1) as f64;
        let all: BTreeSet<&Vec<u32>> = self.now.keys().chain(self.past.keys()).collect();
        let mut cells = Vec::new();
        let mut squares = Vec::new();
        for values in all {
            let recent: Vec<f64> = self
                .past
                .get(values)
                .map(|times| times.range(from..).map(|(_, (value, _))| *value).collect())
                .unwrap_or_default();
            let expected = recent.iter().sum::<f64>() / num_times;
            if expected > 0.0 {
                squares.extend(recent.iter().map(|value| (value - expected).powi(2) / expected));
            }
            let actual = self.now.get(values).map_or(0.0, |(value, _)| *value);
            cells.push((values.clone(), actual, expected));
        }
        squares.sort_by(f64::total_cmp);
        // Amounts come in units of their own; events cannot scatter less than chance.
        let scatter = squares.get(squares.len() / 2).map_or(1.0, |median| median / MEDIAN_SQUARE);
        let are_counts = cells.iter().all(|(_, actual, _)| actual.fract() == 0.0);
        let unit = if are_counts { scatter.max(1.0) } else { scatter.max(f64::MIN_POSITIVE) };
        cells
            .into_iter()
            .map(|(values, actual, expected)| (values, CubeCell::of_count(actual, expected, unit)))
            .collect()
    }
}

fn add(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 + b.0, a.1 + b.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(minute: i64, values: [u32; 2], value: f64, weight: Option<f64>) -> Row {
        Row { millis: minute * 60_000, values: values.to_vec(), value, weight }
    }

    #[test]
    fn a_sum_that_lost_its_rows_is_found_missing() {
        let mut rows = Vec::new();
        for minute in 0..10 {
            for country in 0..3 {
                for device in 0..2 {
                    if (minute, country) != (9, 1) {
                        rows.push(row(minute, [country, device], 50.0 + (minute % 3) as f64, None));
                    }
                }
            }
        }
        let history = History::new(rows, 2, false, 540_000);
        assert!(history.has_now() && history.has_past());
        assert_eq!(history.cube().search(1)[0].slices, [vec![(0, 1)]]);
    }

    #[test]
    fn a_ratio_is_judged_at_the_traffic_of_the_moment() {
        let mut rows = Vec::new();
        for minute in 0..6 {
            for country in 0..3 {
                for device in 0..2 {
                    // Traffic doubles at the end; failures of device 1 in country 2 rise tenfold.
                    let traffic = if minute == 5 { 2_000.0 } else { 1_000.0 };
                    let rate = if (minute, country, device) == (5, 2, 1) { 0.1 } else { 0.01 };
                    rows.push(row(minute, [country, device], traffic * rate, Some(traffic)));
                }
            }
        }
        let cause = History::new(rows, 2, true, 300_000).cube().search(1).remove(0);
        assert_eq!(cause.slices, [vec![(0, 2), (1, 1)]]);
        assert!((cause.expected - 20.0).abs() < 1.0 && cause.share > 0.99, "{cause:?}");
    }
}
