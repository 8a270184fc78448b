//! What incidents see of one judged window: values and scores of every series, with their names.

use jiff::tz::TimeZone;
use tidewatch_detectors::Score;

use super::AlertRule;
use crate::window::SliceKey;

/// One series in one closed window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The value.
    pub actual: f64,
    /// What the detector said; `None` while it learns.
    pub score: Option<Score>,
    /// What the model expected, also where too little stands behind the series to judge it.
    pub expected: Option<f64>,
}

/// How the values of a measure go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MeasureShape {
    /// Events: they add up, and vary by chance.
    Count,
    /// Amounts: they add up.
    Sum,
    /// One measure over another, by number.
    Ratio {
        /// Above the line.
        numerator: usize,
        /// Below it.
        denominator: usize,
    },
    /// Anything else: means, quantiles, extremes, relations.
    #[default]
    Other,
}

/// The facts about a measure that words and money need.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasureFacts {
    /// Its name.
    pub name: String,
    /// Its unit, as configured.
    pub unit: Option<String>,
    /// How its values go together.
    pub shape: MeasureShape,
    /// What one unit of it is worth, and in which currency.
    pub worth: Option<(f64, String)>,
}

impl MeasureFacts {
    /// Whether values of slices and windows add up.
    pub fn adds_up(&self) -> bool {
        matches!(self.shape, MeasureShape::Count | MeasureShape::Sum)
    }
}

/// The facts about a monitor that do not change from window to window.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorFacts {
    /// The monitor's name: the first part of incident ids.
    pub monitor: String,
    /// Names of the dimensions.
    pub dimensions: Vec<String>,
    /// The measures, in the order of a window's readings.
    pub measures: Vec<MeasureFacts>,
    /// The steps of the funnel, as numbers of measures; empty: counts, the largest first.
    pub funnel: Vec<usize>,
    /// Whose civil time is written in sentences.
    pub zone: TimeZone,
    /// How many calm windows end an anomaly.
    pub calm_windows: u32,
    /// How far before the start of a closing window those end that can still be revised; 0 where none can.
    pub revisable_millis: i64,
    /// Who is told from which severity on.
    pub rules: Vec<AlertRule>,
}

/// One judged window.
#[derive(Clone, Copy, Debug)]
pub struct WindowView<'w> {
    /// The monitor.
    pub facts: &'w MonitorFacts,
    /// The slices by number.
    pub slices: &'w [SliceKey],
    /// Slices x measures; `None` is a gap.
    pub readings: &'w [Option<Reading>],
    /// Start of the window, milliseconds since the Unix epoch.
    pub start_millis: i64,
    /// End of the window, exclusive.
    pub end_millis: i64,
}

impl WindowView<'_> {
    /// The reading of a measure of a slice.
    pub fn at(&self, slice: usize, measure: usize) -> Option<Reading> {
        self.reading(slice * self.facts.measures.len() + measure)
    }

    /// The reading of a series, numbered slice x measures + measure.
    pub fn reading(&self, series: usize) -> Option<Reading> {
        self.readings.get(series).copied().flatten()
    }

    /// The slice of a series.
    pub fn slice(&self, series: usize) -> &SliceKey {
        &self.slices[series / self.facts.measures.len()]
    }

    /// The measure of a series.
    pub fn measure(&self, series: usize) -> usize {
        series % self.facts.measures.len()
    }

    /// How many series a false alarm may come from: those that have a score.
    pub fn num_judged(&self) -> usize {
        self.readings.iter().flatten().filter(|reading| reading.score.is_some()).count()
    }
}
