//! The JSON form of what a calendar lists, for the API and for `tidewatch calendar`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Clock, Listed};

/// A special time.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SpecialTimeWire {
    /// Its name.
    pub name: String,
    /// `holiday`, `promotion`, `deploy` or `outage`.
    pub kind: &'static str,
    /// `retail`, `public`, `imported`, `configured` or `entered`.
    pub origin: &'static str,
    /// First moment. RFC 3339 in UTC, or without an offset: then it is the wall clock of each slice.
    pub from: String,
    /// First moment after, written like `from`.
    pub to: String,
    /// The dimensions and values it holds for; empty for everything.
    pub scope: BTreeMap<String, Vec<String>>,
    /// By what the usual value is expected to be multiplied, if somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplift: Option<f64>,
    /// The occasion: the same each time it comes back.
    pub class: String,
    /// The number that takes back what was entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

impl SpecialTimeWire {
    /// A listed span in words of a monitor's dimensions.
    pub fn of(listed: &Listed<'_>, dimensions: &[String]) -> Self {
        let pattern = match listed.span.clock {
            Clock::Wall => "%Y-%m-%dT%H:%M:%S",
            Clock::Instant => "%Y-%m-%dT%H:%M:%SZ",
        };
        let text = |second: i64| {
            Timestamp::from_second(second).map(|at| at.strftime(pattern).to_string()).unwrap_or_default()
        };
        let entry = listed.entry;
        Self {
            name: entry.name.to_string(),
            kind: entry.kind.as_str(),
            origin: entry.origin.as_str(),
            from: text(listed.span.from),
            to: text(listed.span.to),
            scope: entry.scope.to_map(dimensions),
            uplift: entry.uplift,
            class: format!("{:016x}", entry.class),
            number: None,
        }
    }
}
