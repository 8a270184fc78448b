//! What goes over the wire, apart from the domain's own types, so that neither binds the other.
//!
//! Promises: names and shapes only grow. Times are RFC 3339 in UTC; a number that cannot be told is `null`,
//! never 0. Nothing here knows HTTP: `backtest --json` writes incidents with the same types.

mod incident;
mod observation;
mod post;
mod status;

pub use incident::{ImpactWire, IncidentWire, IncidentsWire, MemberWire, SeverityWire};
pub use observation::{ObservationWire, ObservationsWire, SeriesListWire, SeriesWire};
pub use post::{EventsWire, RejectWire};
pub use status::{
    LearningWire, LiveWire, MeasureWire, MonitorWire, MonitorsWire, NotReadyWire, ReadyWire,
    RejectSampleWire, SourceWire, StatusWire, TotalsWire,
};

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was refused or failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorWire {
    /// What was wrong: the parameter, its value and what is allowed.
    #[schema(example = "parameter `limit` is `0`; it must be a whole number from 1 to 500")]
    pub error: String,
}

/// An instant as RFC 3339 in UTC. One beyond the years -9999..=9999 is written as the nearest within.
pub fn rfc3339(millis: i64) -> String {
    let nearest = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(millis).unwrap_or(nearest).to_string()
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_772_353_560_250), "2026-03-01T08:26:00.25Z");
        assert!(rfc3339(i64::MAX).starts_with("9999-"));
        assert!(rfc3339(i64::MIN).starts_with("-009999-"));
    }
}
