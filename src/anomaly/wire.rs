//! Incidents as they are told: the same JSON from the API, in alerts and from `backtest --json`.
//!
//! Other tools rely on names and shapes: they only grow. Times are RFC 3339 in UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tidewatch_detectors::Side;
use utoipa::ToSchema;

use super::{Impact, Incident, IncidentKind, IncidentState, Member, Money, Related, Revision, SeverityTrack};

/// One incident.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Incident")]
pub struct IncidentWire {
    /// `<monitor>-<number>`.
    #[schema(example = "shop-3")]
    pub id: String,
    /// The monitor.
    pub monitor: String,
    /// `deviation`, `minor` (listed, never paged), `no_data` (the source cannot be read) or `engine_trouble` (most
    /// of what is sent cannot be used).
    #[schema(example = "deviation")]
    pub kind: &'static str,
    /// `open`, `closed`, or `retracted`: with events that came late, none of its windows is anomalous.
    #[schema(example = "open")]
    pub state: &'static str,
    /// Start of the first anomalous window.
    #[schema(format = DateTime)]
    pub opened_at: String,
    /// End of the last anomalous window, once closed.
    #[schema(format = DateTime)]
    pub closed_at: Option<String>,
    /// End of the last anomalous window so far.
    #[schema(format = DateTime)]
    pub until: String,
    /// Page severity, 0 to 100.
    pub severity: SeverityWire,
    /// Highest severity in the minor class, 0 to 100.
    pub minor: f64,
    /// The primary measure: the one that broke first in the order of the funnel, else the most unusual; `null` when
    /// there is no data.
    pub measure: Option<String>,
    /// The first broken step of the funnel; `null` when none is clearly broken.
    pub broken_step: Option<String>,
    /// `drop` or `rise`; `null` when there is no data.
    #[schema(example = "drop")]
    pub direction: Option<&'static str>,
    /// The slices that explain it best; `[{}]` is the whole.
    pub slices: Vec<BTreeMap<String, String>>,
    /// The share of the deviation in those slices, 0 to 1; the rest is unexplained.
    pub share: f64,
    /// Per dimension what each value holds of the deviation, in whole percent that sum to 100; `(rest)` is all values
    /// that are not named.
    pub contributions: BTreeMap<String, BTreeMap<String, u32>>,
    /// Measures that usually go ahead of the primary one (likely causes) or follow it (likely effects).
    pub related: Vec<RelatedWire>,
    /// The part of the primary measure that no likely cause accounts for, 0 to 1.
    pub unknown_cause: f64,
    /// The incident that this one turned out to be a part of.
    pub merged_into: Option<String>,
    /// Expected over the anomalous windows: the sum of a count or sum, else the mean.
    pub expected: f64,
    /// What came instead.
    pub actual: f64,
    /// What it amounts to; `null` for measures that do not add up.
    pub impact: Option<ImpactWire>,
    /// What events that came late made of it; `null` if none came for its windows.
    pub revised: Option<RevisionWire>,
    /// One sentence.
    pub summary: String,
    /// The anomalous series, most unusual first; only the first hundred.
    pub members: Vec<MemberWire>,
    /// How many series took part.
    pub num_members: usize,
}

/// How late events changed an incident. `expected`, `actual`, `impact` and the sentence are as revised.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Revision")]
pub struct RevisionWire {
    /// End of the window with which the last revision took effect.
    #[schema(format = DateTime)]
    pub at: String,
    /// How many times one of its windows was revised.
    pub times: u32,
    /// `expected` before the first revision.
    pub expected_before: f64,
    /// `actual` before the first revision.
    pub actual_before: f64,
}

/// How a severity went. Each is kept, none rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Severity")]
pub struct SeverityWire {
    /// In the first anomalous window.
    pub first: f64,
    /// The highest.
    pub peak: f64,
    /// In the last anomalous window.
    #[serde(rename = "final")]
    pub last: f64,
}

/// Actual less expected, with the range that the band allows.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Impact")]
pub struct ImpactWire {
    /// Actual less expected.
    pub value: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// The measure's unit; its name where none is configured.
    pub unit: String,
    /// The same in money, counted once over levels and measures; `null` where nothing is known to be worth any.
    pub money: Option<MoneyWire>,
}

/// An amount of money with the range that the band allows.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Money")]
pub struct MoneyWire {
    /// Actual less expected.
    pub value: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// As configured.
    #[schema(example = "EUR")]
    pub currency: String,
}

/// A measure that usually goes ahead of another, or follows it: learned association, no proof.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Related")]
pub struct RelatedWire {
    /// The measure.
    pub measure: String,
    /// `cause` or `effect`.
    #[schema(example = "cause")]
    pub role: &'static str,
    /// By how many windows it goes ahead or follows.
    pub windows: u32,
    /// The part of the variance that goes with it, 0 to 1.
    pub share: f64,
}

/// One anomalous series of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Member")]
pub struct MemberWire {
    /// The measure.
    pub measure: String,
    /// The slice; `{}` is the whole.
    pub slice: BTreeMap<String, String>,
    /// `drop` or `rise`, in the most unusual window.
    #[schema(example = "drop")]
    pub direction: &'static str,
    /// Page severity.
    pub severity: SeverityWire,
    /// Highest severity in the minor class.
    pub minor: f64,
    /// Start of the first anomalous window.
    #[schema(format = DateTime)]
    pub opened_at: String,
    /// End of the last anomalous window.
    #[schema(format = DateTime)]
    pub until: String,
    /// Sum of the expected values over the anomalous windows.
    pub expected: f64,
    /// Sum of the values over the anomalous windows.
    pub actual: f64,
    /// How many windows were anomalous: the divisor that makes means of the sums.
    pub num_windows: u32,
}

impl From<&Incident> for IncidentWire {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.clone(),
            monitor: incident.monitor.clone(),
            kind: kind_word(incident.kind),
            state: state_word(incident.state),
            opened_at: rfc3339(incident.opened_millis),
            closed_at: incident.closed_millis.map(rfc3339),
            until: rfc3339(incident.until_millis),
            severity: incident.severity.into(),
            minor: rounded(incident.minor_peak),
            measure: Some(incident.measure.clone()).filter(|measure| !measure.is_empty()),
            broken_step: incident.broken_step.clone(),
            direction: incident.side.map(side_word),
            slices: if incident.slices.is_empty() {
                vec![incident.slice.clone()]
            } else {
                incident.slices.clone()
            },
            share: incident.share,
            contributions: incident.contributions.clone(),
            related: incident.related.iter().map(RelatedWire::from).collect(),
            unknown_cause: unknown_cause(&incident.related),
            merged_into: incident.merged_into.clone(),
            expected: incident.expected,
            actual: incident.actual,
            impact: incident.impact.as_ref().map(ImpactWire::from),
            revised: incident.revision.as_ref().map(RevisionWire::from),
            summary: incident.summary.clone(),
            members: incident.members.iter().map(MemberWire::from).collect(),
            num_members: incident.num_members,
        }
    }
}

impl From<&Revision> for RevisionWire {
    fn from(revision: &Revision) -> Self {
        Self {
            at: rfc3339(revision.at_millis),
            times: revision.times,
            expected_before: revision.expected,
            actual_before: revision.actual,
        }
    }
}

impl From<SeverityTrack> for SeverityWire {
    fn from(SeverityTrack { first, peak, last }: SeverityTrack) -> Self {
        Self { first: rounded(first), peak: rounded(peak), last: rounded(last) }
    }
}

impl From<&Impact> for ImpactWire {
    fn from(impact: &Impact) -> Self {
        let Impact { value, lower, upper, unit, money } = impact.clone();
        Self { value, lower, upper, unit, money: money.map(MoneyWire::from) }
    }
}

impl From<Money> for MoneyWire {
    fn from(Money { value, lower, upper, currency }: Money) -> Self {
        Self { value, lower, upper, currency }
    }
}

impl From<&Related> for RelatedWire {
    fn from(Related { measure, is_cause, windows, share }: &Related) -> Self {
        let role = if *is_cause { "cause" } else { "effect" };
        Self { measure: measure.clone(), role, windows: *windows, share: rounded(*share) }
    }
}

fn unknown_cause(related: &[Related]) -> f64 {
    let known: f64 = related.iter().filter(|one| one.is_cause).map(|one| one.share).sum();
    rounded((1.0 - known).clamp(0.0, 1.0))
}

impl From<&Member> for MemberWire {
    fn from(Member { measure, slice, anomaly }: &Member) -> Self {
        Self {
            measure: measure.clone(),
            slice: slice.clone(),
            direction: side_word(anomaly.side),
            severity: anomaly.severity.into(),
            minor: rounded(anomaly.minor_peak),
            opened_at: rfc3339(anomaly.opened_millis),
            until: rfc3339(anomaly.until_millis),
            expected: anomaly.expected,
            actual: anomaly.actual,
            num_windows: anomaly.num_windows,
        }
    }
}

/// To a hundredth: more digits say nothing to people.
fn rounded(severity: f64) -> f64 {
    (severity * 100.0).round() / 100.0
}

/// An instant as RFC 3339 in UTC. One beyond the years -9999..=9999 is written as the nearest within.
pub fn rfc3339(millis: i64) -> String {
    let nearest = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(millis).unwrap_or(nearest).to_string()
}

const fn kind_word(kind: IncidentKind) -> &'static str {
    match kind {
        IncidentKind::Deviation => "deviation",
        IncidentKind::Minor => "minor",
        IncidentKind::NoData => "no_data",
        IncidentKind::EngineTrouble => "engine_trouble",
    }
}

const fn state_word(state: IncidentState) -> &'static str {
    match state {
        IncidentState::Open => "open",
        IncidentState::Closed => "closed",
        IncidentState::Retracted => "retracted",
    }
}

const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Drop => "drop",
        Side::Rise => "rise",
    }
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
