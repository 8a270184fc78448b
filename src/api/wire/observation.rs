//! Series and their observations.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::rfc3339;
use crate::{
    calendar::SpecialTimeWire,
    pipeline::{Observed, StoredScore},
};

/// One measure of one slice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Series")]
pub struct SeriesWire {
    /// The measure.
    pub measure: String,
    /// The slice; `{}` is the whole.
    pub slice: BTreeMap<String, String>,
}

/// Series of a monitor, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "SeriesList")]
pub struct SeriesListWire {
    /// The series.
    pub series: Vec<SeriesWire>,
    /// How many series the monitor keeps.
    pub num_series: usize,
    /// What to ask for as `after` to go on; `null` at the end.
    pub next: Option<usize>,
}

/// One series in one closed window.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(title = "Observation")]
pub struct ObservationWire {
    /// Start of the window.
    #[schema(format = DateTime)]
    pub time: String,
    /// The value, with all events that came within `correction_period`; `null` is a gap.
    pub value: Option<f64>,
    /// What the value rests on: events, or a ratio's denominator.
    pub weight: Option<f64>,
    /// Late events changed the value after the window was closed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub revised: bool,
    /// Of a revised value the one first closed, which `severity` is about; left out if that was a gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_closed: Option<f64>,
    /// The expected value; `null` while the detector learns.
    pub expected: Option<f64>,
    /// Lower end of the band.
    pub lower: Option<f64>,
    /// Upper end of the band.
    pub upper: Option<f64>,
    /// Page severity, 0 to 100.
    pub severity: Option<f32>,
    /// Severity in the minor class, 0 to 100.
    pub minor: Option<f32>,
    /// An alarm was held back because people expect its like.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub affected_by_feedback: bool,
}

/// The observations of one series, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Observations")]
pub struct ObservationsWire {
    /// The monitor.
    pub monitor: String,
    /// The measure.
    pub measure: String,
    /// The slice; `{}` is the whole.
    pub slice: BTreeMap<String, String>,
    /// Width of a window.
    pub interval_seconds: i64,
    /// The zone whose civil time the windows follow.
    pub zone: String,
    /// The observations.
    pub observations: Vec<ObservationWire>,
    /// Whether windows were left out to keep to `points`. Those that are here are as stored.
    pub sampled: bool,
    /// Out of so many windows each, the lowest, the highest and the most severe are here.
    pub windows_per_point: u64,
    /// Special times that hold for the slice within them.
    pub events: Vec<SpecialTimeWire>,
}

impl ObservationWire {
    /// The observation of a series in the window that starts then. A series that was not kept yet when the window
    /// closed is a gap.
    pub fn new(start_millis: i64, observed: Observed, score: Option<StoredScore>) -> Self {
        let Observed { cell, as_closed } = observed;
        Self {
            time: rfc3339(start_millis),
            value: cell.map(|cell| cell.value),
            weight: cell.map(|cell| cell.weight),
            revised: as_closed.is_some(),
            as_closed: as_closed.flatten().map(|cell| cell.value),
            expected: score.map(|score| score.expected),
            lower: score.map(|score| score.lower),
            upper: score.map(|score| score.upper),
            severity: score.map(|score| score.severity),
            minor: score.map(|score| score.minor),
            affected_by_feedback: score.is_some_and(|score| score.expected_alarm),
        }
    }
}
