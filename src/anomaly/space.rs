//! A judged window as cubes that the search of `locate` can look at: one per measure, made of the slices that are kept.
//!
//! Levels are the finest roll-ups a monitor keeps. A count is compared with its expected count. A ratio is its numerator
//! against what its denominator would give at the expected ratio. Everything else weighs as many events as its band
//! allows. Slices too thin to be judged take part with the value their model expected.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    MeasureShape, WindowView,
    locate::{Cause, Contribution, Cube, CubeCell, Level, SliceValues, contributions},
};
use crate::window::SliceKey;

/// How the values of a cell scatter around what its model expects: a coefficient of variation of 10 %. Models
/// know the season, so it is less than that of plain rows.
const DISPERSION_OF_MODELS: f64 = 100.0;

/// The cost of naming a value: models err for themselves.
const COST_OF_MODELS: f64 = 1.0;

/// A level of more cells is not looked at; coarser ones are.
const CELLS_MAX: usize = 50_000;

/// How many standard deviations a band is wide on each side: its ends are of severity 70.
pub(super) const BAND_DEVIATIONS: f64 = 3.5;

/// Spaces of more cells, measures included, are not added up.
const SUMMED_MAX: usize = 20_000;

/// No cell is worth more events than this.
const STRENGTH_MAX: f64 = 1e6;

/// The slices of a window by level, with numbers for their values.
#[derive(Debug)]
pub(super) struct Space<'w> {
    view: WindowView<'w>,
    levels: Vec<SpaceLevel>,
    /// Per dimension the values by number.
    texts: Vec<Vec<&'w str>>,
}

#[derive(Debug)]
struct SpaceLevel {
    dimensions: Vec<usize>,
    /// Slice numbers and their values.
    slices: Vec<(usize, Vec<u32>)>,
}

/// Cells added up over the windows of an incident: more is seen in several windows than in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SpaceSum {
    /// Slices x measures; empty when the space is too large.
    cells: Vec<Option<CubeCell>>,
}

/// What was found for one measure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// The slices that explain it.
    pub(super) slices: Vec<SliceKey>,
    /// The part of the deviation that lies in them.
    pub(super) share: f64,
    /// Evidence less cost.
    pub(super) score: f64,
    cause: Cause,
}

impl<'w> Space<'w> {
    pub(super) fn new(view: &WindowView<'w>) -> Self {
        let mut masks: BTreeMap<Vec<bool>, Vec<usize>> = BTreeMap::new();
        for (number, key) in view.slices.iter().enumerate() {
            masks.entry(key.0.iter().map(Option::is_some).collect()).or_default().push(number);
        }
        masks.retain(|_, slices| slices.len() <= CELLS_MAX);
        let inside = |a: &[bool], b: &[bool]| a != b && a.iter().zip(b).all(|(a, b)| !a || *b);
        let finest: Vec<&Vec<bool>> =
            masks.keys().filter(|mask| !masks.keys().any(|other| inside(mask, other))).collect();
        let mut texts: Vec<Vec<&str>> = vec![Vec::new(); view.facts.dimensions.len()];
        let mut numbers: Vec<BTreeMap<&str, u32>> = vec![BTreeMap::new(); texts.len()];
        let mut number = |dimension: usize, text: &'w str| {
            *numbers[dimension].entry(text).or_insert_with(|| {
                texts[dimension].push(text);
                texts[dimension].len() as u32 - 1
            })
        };
        let mut levels = Vec::new();
        for mask in finest {
            let dimensions: Vec<usize> = (0..mask.len()).filter(|dimension| mask[*dimension]).collect();
            let mut values = |slice: usize| {
                let key: &'w SliceKey = &view.slices[slice];
                let named =
                    key.0.iter().enumerate().filter_map(|(place, text)| Some((place, text.as_deref()?)));
                named.map(|(dimension, text)| number(dimension, text)).collect::<Vec<u32>>()
            };
            let slices = masks[mask].iter().map(|slice| (*slice, values(*slice))).collect();
            levels.push(SpaceLevel { dimensions, slices });
        }
        Self { view: *view, levels, texts }
    }

    /// The facts of the monitor.
    pub(super) fn facts(&self) -> &'w super::MonitorFacts {
        self.view.facts
    }

    /// The slices that explain a measure best; `None` where nothing is kept of it.
    pub(super) fn explain(&self, measure: usize) -> Option<Finding> {
        self.find(&self.cube(measure))
    }

    /// What explains the rest of a measure had `slices` been as expected.
    pub(super) fn explain_beside(&self, measure: usize, slices: &[SliceKey]) -> Option<Finding> {
        self.find(&self.beside(self.cube(measure), slices))
    }

    /// The same over the windows of a sum.
    pub(super) fn explain_sum(&self, sum: &SpaceSum, measure: usize, beside: &[SliceKey]) -> Option<Finding> {
        self.find(&self.beside(self.cube_of(sum, measure), beside))
    }

    fn beside(&self, cube: Cube, slices: &[SliceKey]) -> Cube {
        if slices.is_empty() {
            return cube;
        }
        let slices = slices.iter().filter_map(|slice| self.values(slice)).collect();
        cube.without(&Cause { slices, share: 0.0, score: 0.0, actual: 0.0, expected: 0.0 })
    }

    /// Adds this window to a sum; a space too large to be kept makes it hold this window alone.
    pub(super) fn add_to(&self, sum: &mut SpaceSum) {
        let width = self.view.facts.measures.len();
        let count: usize = self.levels.iter().map(|level| level.slices.len()).sum();
        if count * width > SUMMED_MAX {
            sum.cells.clear();
            return;
        }
        sum.cells.resize(self.view.slices.len() * width, None);
        for measure in 0..width {
            let unit = self.unit(measure);
            for (slice, _) in self.levels.iter().flat_map(|level| &level.slices) {
                let Some(now) = self.cell(*slice, measure, unit) else { continue };
                let cell = &mut sum.cells[slice * width + measure];
                *cell = Some(cell.map_or(now, |cell| CubeCell {
                    actual: cell.actual + now.actual,
                    expected: cell.expected + now.expected,
                    strength: cell.strength + now.strength,
                }));
            }
        }
    }

    fn cube_of(&self, sum: &SpaceSum, measure: usize) -> Cube {
        if sum.cells.is_empty() {
            return self.cube(measure);
        }
        let width = self.view.facts.measures.len();
        self.cube_with(measure, |slice| sum.cells.get(slice * width + measure).copied().flatten())
    }

    /// Per dimension what each value holds of the deviation of a finding, in percent.
    pub(super) fn contributions(
        &self,
        sum: &SpaceSum,
        measure: usize,
        sign: f64,
    ) -> BTreeMap<String, BTreeMap<String, u32>> {
        let told = |(dimension, parts): (usize, Vec<Contribution>)| {
            let name = |value: Option<u32>| {
                value.map_or("(rest)", |value| self.texts[dimension][value as usize]).to_owned()
            };
            let parts = parts.into_iter().map(|part| (name(part.value), part.percent));
            (self.view.facts.dimensions[dimension].clone(), parts.collect())
        };
        contributions(&self.cube_of(sum, measure), sign).into_iter().map(told).collect()
    }

    /// The cells of a measure inside any of `slices`, at the finest level that can tell.
    pub(super) fn cells(&self, measure: usize, slices: &[SliceKey]) -> Vec<CubeCell> {
        let slices: Vec<SliceValues> = slices.iter().filter_map(|slice| self.values(slice)).collect();
        let cause = Cause { slices, share: 0.0, score: 0.0, actual: 0.0, expected: 0.0 };
        let tells = |level: &&SpaceLevel| {
            cause.slices.iter().flatten().all(|(dimension, _)| level.dimensions.contains(dimension))
        };
        let Some(level) = self.levels.iter().find(tells) else { return Vec::new() };
        let unit = self.unit(measure);
        let inside = level.slices.iter().filter(|(_, values)| {
            let slice: SliceValues = level.dimensions.iter().copied().zip(values.iter().copied()).collect();
            cause.contains(&slice)
        });
        inside.filter_map(|(slice, _)| self.cell(*slice, measure, unit)).collect()
    }

    fn find(&self, cube: &Cube) -> Option<Finding> {
        let cause = cube.search(1).into_iter().next()?;
        let slices = cause.slices.iter().map(|slice| self.key(slice)).collect();
        Some(Finding { slices, share: cause.share, score: cause.score, cause })
    }

    fn key(&self, slice: &SliceValues) -> SliceKey {
        let mut key = vec![None; self.texts.len()];
        for (dimension, value) in slice {
            key[*dimension] = Some(self.texts[*dimension][*value as usize].into());
        }
        SliceKey(key)
    }

    /// `None` for a slice with a value that no level knows.
    fn values(&self, slice: &SliceKey) -> Option<SliceValues> {
        let named = slice.0.iter().enumerate().filter_map(|(place, text)| Some((place, text.as_deref()?)));
        let value = |(dimension, text): (usize, &str)| {
            let number = self.texts[dimension].iter().position(|known| *known == text)?;
            Some((dimension, number as u32))
        };
        named.map(value).collect()
    }

    fn cube(&self, measure: usize) -> Cube {
        let unit = self.unit(measure);
        self.cube_with(measure, |slice| self.cell(slice, measure, unit))
    }

    fn cube_with(&self, measure: usize, cell: impl Fn(usize) -> Option<CubeCell>) -> Cube {
        let level = |level: &SpaceLevel| {
            let cells =
                level.slices.iter().filter_map(|(slice, values)| Some((values.clone(), cell(*slice)?)));
            let (values, cells) = cells.unzip();
            Level { dimensions: level.dimensions.clone(), values, cells }
        };
        Cube {
            levels: self.levels.iter().map(level).collect(),
            dispersion: DISPERSION_OF_MODELS,
            cost: COST_OF_MODELS,
            additive: self.view.facts.measures[measure].adds_up(),
        }
    }

    /// What one event is worth in a measure: 1 of a count; of a sum its variance over its mean, by the bands.
    fn unit(&self, measure: usize) -> f64 {
        if self.view.facts.measures[measure].shape != MeasureShape::Sum {
            return 1.0;
        }
        let slices = self.levels.iter().flat_map(|level| &level.slices);
        let mut units: Vec<f64> = slices
            .filter_map(|(slice, _)| self.view.at(*slice, measure)?.score)
            .filter(|score| score.expected > 0.0)
            .map(|score| ((score.upper - score.lower) / (2.0 * BAND_DEVIATIONS)).powi(2) / score.expected)
            .collect();
        units.sort_by(f64::total_cmp);
        // Large cells scatter beyond chance; the lower quartile is nearer to it.
        units.get(units.len() / 4).copied().unwrap_or(1.0).max(f64::MIN_POSITIVE)
    }

    fn cell(&self, slice: usize, measure: usize, unit: f64) -> Option<CubeCell> {
        let reading = self.view.at(slice, measure)?;
        match self.view.facts.measures[measure].shape {
            MeasureShape::Count | MeasureShape::Sum => {
                Some(CubeCell::of_count(reading.actual, reading.expected?, unit))
            }
            MeasureShape::Ratio { numerator, denominator } => {
                let (above, below) = (self.view.at(slice, numerator)?, self.view.at(slice, denominator)?);
                Some(CubeCell::of_count(above.actual, reading.expected? * below.actual, 1.0))
            }
            MeasureShape::Other => {
                let score = reading.score?;
                let deviation = (score.upper - score.lower) / (2.0 * BAND_DEVIATIONS);
                let strength = (score.expected / deviation.max(f64::MIN_POSITIVE)).powi(2).min(STRENGTH_MAX);
                let (actual, expected) = (reading.actual, score.expected);
                (expected > 0.0).then_some(CubeCell { actual, expected, strength })
            }
        }
    }
}

impl Finding {
    /// Less than none of the deviation is below what was expected.
    pub(super) fn sign(&self) -> f64 {
        (self.cause.actual - self.cause.expected).signum()
    }
}
