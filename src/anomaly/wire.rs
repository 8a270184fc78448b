//! The published form of an incident: the same JSON in the API, in alerts and in backtests.
//!
//! Other tools rely on its names and shapes: fields are added, never renamed or removed. Times are RFC 3339
//! in UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidewatch_detectors::Side;
use utoipa::ToSchema;

use super::{Impact, Incident, IncidentKind, IncidentState, Member, SeverityTrack};

/// An incident as others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentWire {
    /// `<monitor>-<number>`; stable.
    pub id: String,
    /// The monitor.
    pub monitor: String,
    /// `deviation`, `minor` or `no_data`.
    #[schema(value_type = String)]
    pub kind: IncidentKind,
    /// `open` or `closed`.
    #[schema(value_type = String)]
    pub state: IncidentState,
    /// Start of the first anomalous window.
    pub opened_at: String,
    /// End of the last anomalous window; null while open.
    pub closed_at: Option<String>,
    /// End of the last anomalous window so far.
    pub until: String,
    /// Page severity, 0-100: first, peak and final.
    pub severity: SeverityWire,
    /// Highest severity in the minor class, which never pages.
    pub minor: f64,
    /// The measure that is most unusual; empty for `no_data`.
    pub measure: String,
    /// `drop` or `rise`; null for `no_data`.
    #[schema(value_type = Option<String>)]
    pub direction: Option<Side>,
    /// The slices that explain it; `[{}]` is the whole.
    pub slices: Vec<BTreeMap<String, String>>,
    /// Share of the deviation in those slices, 0-1.
    pub share: f64,
    /// Expected in those slices over the anomalous windows (mean for measures that do not add up).
    pub expected: f64,
    /// Actual.
    pub actual: f64,
    /// What it amounts to; null for measures that do not add up.
    pub impact: Option<ImpactWire>,
    /// One sentence.
    pub summary: String,
    /// The anomalous series, most unusual first; the list is cut, `num_members` is not.
    pub members: Vec<MemberWire>,
    /// How many series took part.
    pub num_members: usize,
}

/// How a severity went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeverityWire {
    /// In the first anomalous window.
    pub first: f64,
    /// The highest.
    pub peak: f64,
    /// In the last anomalous window.
    #[serde(rename = "final")]
    pub last: f64,
}

/// Actual less expected, with an interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImpactWire {
    /// The amount.
    pub value: f64,
    /// Lower end, by the band.
    pub lower: f64,
    /// Upper end, by the band.
    pub upper: f64,
    /// Its unit; the measure's name where none is configured.
    pub unit: String,
}

/// One anomalous series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemberWire {
    /// The measure.
    pub measure: String,
    /// The slice; `{}` is the whole.
    pub slice: BTreeMap<String, String>,
    /// `drop` or `rise`.
    #[schema(value_type = String)]
    pub direction: Side,
    /// Page severity.
    pub severity: SeverityWire,
    /// Highest severity in the minor class.
    pub minor: f64,
    /// Start of its first anomalous window.
    pub opened_at: String,
    /// End of its last anomalous window.
    pub until: String,
    /// Sum of the expected values over the anomalous windows.
    pub expected: f64,
    /// Sum of the values.
    pub actual: f64,
}

/// RFC 3339 in UTC.
pub fn rfc3339(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map(|instant| instant.to_string()).unwrap_or_default()
}

/// Severities are rounded to a hundredth for people; rates keep their digits elsewhere.
fn rounded(severity: f64) -> f64 {
    (severity * 100.0).round() / 100.0
}

impl From<&SeverityTrack> for SeverityWire {
    fn from(track: &SeverityTrack) -> Self {
        Self { first: rounded(track.first), peak: rounded(track.peak), last: rounded(track.last) }
    }
}

impl From<&Impact> for ImpactWire {
    fn from(impact: &Impact) -> Self {
        Self { value: impact.value, lower: impact.lower, upper: impact.upper, unit: impact.unit.clone() }
    }
}

impl From<&Member> for MemberWire {
    fn from(member: &Member) -> Self {
        let anomaly = &member.anomaly;
        Self {
            measure: member.measure.clone(),
            slice: member.slice.clone(),
            direction: anomaly.side,
            severity: (&anomaly.severity).into(),
            minor: rounded(anomaly.minor_peak),
            opened_at: rfc3339(anomaly.opened_millis),
            until: rfc3339(anomaly.until_millis),
            expected: anomaly.expected,
            actual: anomaly.actual,
        }
    }
}

impl From<&Incident> for IncidentWire {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.clone(),
            monitor: incident.monitor.clone(),
            kind: incident.kind,
            state: incident.state,
            opened_at: rfc3339(incident.opened_millis),
            closed_at: incident.closed_millis.map(rfc3339),
            until: rfc3339(incident.until_millis),
            severity: (&incident.severity).into(),
            minor: rounded(incident.minor_peak),
            measure: incident.measure.clone(),
            direction: incident.side,
            slices: vec![incident.slice.clone()],
            share: incident.share,
            expected: incident.expected,
            actual: incident.actual,
            impact: incident.impact.as_ref().map(Into::into),
            summary: incident.summary.clone(),
            members: incident.members.iter().map(Into::into).collect(),
            num_members: incident.num_members,
        }
    }
}
