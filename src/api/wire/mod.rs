//! What goes over the wire, apart from the domain's own types, so that neither binds the other.
//!
//! Promises: names and shapes only grow. Times are RFC 3339 in UTC; a number that cannot be told is `null`,
//! never 0. Incidents have their wire type in `anomaly`, since alerts and backtests write the same.

mod care;
mod observation;
mod post;
mod status;

pub use crate::anomaly::{IncidentWire, rfc3339};
pub use care::{
    CareWire, IncidentDetailWire, InstructedListWire, InstructedWire, ListedIncidentWire, MuteWire,
    PreviewWire, PreviewedWire, TimelineWire, WhyWire,
};
pub use observation::{ObservationWire, ObservationsWire, SeriesListWire, SeriesWire};
pub use post::{EventsWire, RejectWire};
pub use status::{
    AlertRateWire, LearningWire, LiveWire, MeasureWire, MonitorWire, MonitorsWire, NotReadyWire, ReadyWire,
    RejectSampleWire, SourceWire, StatusWire, TotalsWire,
};

use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was refused or failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorWire {
    /// What was wrong: the parameter, its value and what is allowed.
    #[schema(example = "parameter `limit` is `0`; it must be a whole number from 1 to 500")]
    pub error: String,
}

/// Incidents, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Incidents")]
pub struct IncidentsWire {
    /// The incidents.
    pub incidents: Vec<ListedIncidentWire>,
    /// What to ask for as `after` to go on; `null` at the end.
    pub next: Option<String>,
}
