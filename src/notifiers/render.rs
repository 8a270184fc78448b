//! One truth, many dresses: what every notifier says about an alert.
//!
//! [`AlertWire`] is the documented JSON (`docs/alert.schema.json`); titles, facts and texts are read from it, so no
//! receiver is told something else than another. Times are in UTC.

use serde::Serialize;

use crate::anomaly::{Alert, AlertKind, DigestEntry, IncidentWire, rfc3339};

/// The version of the JSON. It only grows; a breaking change gets another name.
pub(super) const SCHEMA: &str = "tidewatch.alert.v1";

/// The JSON form of an alert.
#[derive(Debug, Serialize)]
pub(super) struct AlertWire {
    pub(super) schema: &'static str,
    pub(super) id: String,
    pub(super) kind: AlertKind,
    pub(super) at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
    pub(super) held_back: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) digest: Vec<DigestWire>,
    pub(super) incident: IncidentWire,
}

/// One event of a digest.
#[derive(Debug, Serialize)]
pub(super) struct DigestWire {
    incident: String,
    kind: AlertKind,
    at: String,
    severity: f64,
    summary: String,
}

impl From<&DigestEntry> for DigestWire {
    fn from(entry: &DigestEntry) -> Self {
        Self {
            incident: entry.incident.clone(),
            kind: entry.kind,
            at: rfc3339(entry.at_millis),
            severity: (entry.severity * 100.0).round() / 100.0,
            summary: entry.summary.clone(),
        }
    }
}

impl AlertWire {
    /// The alert, with a link to its incident if `link` says how one looks (`{id}` is the incident's id).
    pub(super) fn new(alert: &Alert, link: Option<&str>) -> Self {
        Self {
            schema: SCHEMA,
            id: alert.id.clone(),
            kind: alert.kind,
            at: rfc3339(alert.at_millis),
            link: link.map(|link| link.replace("{id}", &alert.incident.id)),
            held_back: alert.held_back,
            digest: alert.digest.iter().map(DigestWire::from).collect(),
            incident: (&alert.incident).into(),
        }
    }

    /// The JSON.
    #[cfg(any(feature = "webhook", feature = "sns"))]
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("alerts hold only text, numbers and lists")
    }

    /// One line that says what happened.
    pub(super) fn title(&self) -> String {
        let Self { incident, held_back, .. } = self;
        match self.kind {
            AlertKind::Suppressed => format!("{}: more alerts are held back", incident.monitor),
            AlertKind::Digest => {
                let events = self.digest.len() as u64 + held_back;
                format!("{}: {events} {}", incident.monitor, if events == 1 { "event" } else { "events" })
            }
            _ => format!("{}: {}", self.label(), incident.summary),
        }
    }

    /// What happened to the incident, in a word or two; nothing for what is about no single one.
    pub(super) fn label(&self) -> String {
        let peak = self.incident.severity.peak;
        match self.kind {
            AlertKind::Opened => format!("Severity {peak:.0}"),
            AlertKind::Escalated => format!("Escalated to severity {peak:.0}"),
            AlertKind::Recovered => "Recovering".to_owned(),
            AlertKind::Resumed => "Off again".to_owned(),
            AlertKind::Revised => "Revised".to_owned(),
            AlertKind::Closed => "Over".to_owned(),
            AlertKind::Retracted => "Taken back".to_owned(),
            AlertKind::Acknowledged => "Acknowledged".to_owned(),
            AlertKind::Suppressed | AlertKind::Digest => String::new(),
        }
    }

    /// How urgent it is, in four steps.
    #[cfg(any(feature = "webhook", feature = "email"))]
    pub(super) fn urgency(&self) -> &'static str {
        match self.incident.severity.peak {
            peak if peak >= 90.0 => "critical",
            peak if peak >= 80.0 => "error",
            peak if peak >= 70.0 => "warning",
            _ => "info",
        }
    }

    /// Name and value of what people ask next.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let incident = &self.incident;
        let mut facts = vec![("Incident", incident.id.clone()), ("State", incident.state.to_owned())];
        if let Some(measure) = &incident.measure {
            let direction = incident.direction.map(|side| format!(" ({side})")).unwrap_or_default();
            facts.push(("Measure", format!("{measure}{direction}")));
            facts.push(("Slice", self.place()));
            facts.push(("Actual", number(incident.actual)));
            facts.push(("Expected", number(incident.expected)));
        }
        if let Some(revised) = &incident.revised {
            let (actual, expected) = (number(revised.actual_before), number(revised.expected_before));
            facts.push(("First told", format!("{actual} instead of {expected}; late events changed it")));
        }
        if let Some(impact) = &incident.impact {
            let (value, lower, upper) = (number(impact.value), number(impact.lower), number(impact.upper));
            facts.push(("Impact", format!("{value} {} ({lower} to {upper})", impact.unit)));
        }
        facts.push((
            "Severity",
            format!("{:.0} (peak {:.0})", incident.severity.last, incident.severity.peak),
        ));
        facts.push(("Since", clock(&incident.opened_at)));
        if let Some(closed) = &incident.closed_at {
            facts.push(("Until", clock(closed)));
        }
        if incident.num_members > 1 {
            facts.push(("Series", incident.num_members.to_string()));
        }
        facts
    }

    /// The explaining slice for people.
    fn place(&self) -> String {
        let pairs = |slice: &std::collections::BTreeMap<String, String>| {
            let pairs: Vec<String> = slice.iter().map(|(name, value)| format!("{name} {value}")).collect();
            if pairs.is_empty() { "everything".to_owned() } else { pairs.join(", ") }
        };
        self.incident.slices.iter().map(pairs).collect::<Vec<_>>().join("; ")
    }

    /// Lines about what is not in the incident itself.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self
            .digest
            .iter()
            .map(|entry| {
                format!("{} {} {}: {}", entry.at, entry.incident, entry.kind.as_str(), entry.summary)
            })
            .collect();
        match (self.kind, self.held_back) {
            (_, 0) => {}
            (AlertKind::Digest, more) => notes.push(format!("and {more} more")),
            (AlertKind::Suppressed, _) => {
                notes.push(
                    "The cap per hour is reached; the next alert says how many were held back.".to_owned(),
                );
            }
            (_, held_back) => {
                notes.push(format!("{held_back} more incidents were held back by the cap per hour."));
            }
        }
        notes
    }

    /// Plain text for people.
    #[cfg(any(feature = "email", feature = "sns"))]
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.title());
        for note in self.notes() {
            text.extend([note.as_str(), "\n"]);
        }
        if self.kind != AlertKind::Digest {
            for (name, value) in self.facts() {
                text.extend([name, ": ", &value, "\n"]);
            }
        }
        if let Some(link) = &self.link {
            text.extend(["\n", link, "\n"]);
        }
        text
    }
}

/// A time as people write it.
fn clock(rfc3339: &str) -> String {
    format!("{} UTC", rfc3339.get(..16).unwrap_or(rfc3339).replace('T', " "))
}

/// A number as people write it.
fn number(value: f64) -> String {
    crate::anomaly::number(value)
}

/// At most `chars` characters, with an ellipsis where something was cut.
#[cfg(any(feature = "webhook", feature = "sns", test))]
pub(super) fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// An alert as an engine writes it.
    pub(in crate::notifiers) fn alert(kind: &str) -> Alert {
        let closed = kind == "closed";
        let alert = json!({
            "id": format!("shop-3:0:1:{kind}:ops"), "notifier": "ops", "kind": kind,
            "at_millis": 1_772_355_000_000_i64,
            "incident": {
                "id": "shop-3", "monitor": "shop", "kind": "deviation",
                "state": if closed { "closed" } else { "open" },
                "opened_millis": 1_772_353_500_000_i64,
                "closed_millis": closed.then_some(1_772_355_000_000_i64),
                "until_millis": 1_772_355_000_000_i64,
                "severity": {"first": 71.0, "peak": 93.5, "final": 92.0},
                "minor_peak": 99.0, "page_log10_rate": -3.0,
                "measure": "revenue", "side": "drop", "slice": {"country": "DE"}, "share": 0.93,
                "expected": 1200.0, "actual": 140.0,
                "impact": {"value": -1060.0, "lower": -1200.0, "upper": -900.0, "unit": "USD"},
                "summary": "revenue 88 % below expected in country DE since Sun 01 Mar 08:25 (<140> USD instead of 1,200 USD)",
                "members": [
                    {"measure": "revenue", "slice": {"country": "DE", "device": "mobile"}, "anomaly": anomaly(3, 100.0, 30.0)},
                    {"measure": "revenue", "slice": {"country": "FR", "device": "mobile"}, "anomaly": anomaly(4, 40.0, 10.0)},
                    {"measure": "orders", "slice": {"country": "DE", "device": "mobile"}, "anomaly": anomaly(5, 10.0, 3.0)},
                ],
                "num_members": 3, "told": {},
            },
        });
        serde_json::from_value(alert).expect("an alert as it is stored")
    }

    fn anomaly(series: usize, expected: f64, actual: f64) -> serde_json::Value {
        json!({
            "series": series, "side": "drop", "opened_millis": 1_772_353_500_000_i64,
            "until_millis": 1_772_355_000_000_i64, "severity": {"first": 71.0, "peak": 93.5, "final": 92.0},
            "minor_peak": 99.0, "page_log10_rate": -3.0, "expected": expected, "actual": actual,
            "lower": expected - 5.0, "upper": expected + 5.0, "num_windows": 5, "calm": 0,
        })
    }

    #[test]
    fn the_text_says_what_where_and_how_much() {
        let text = AlertWire::new(&alert("opened"), Some("https://tw.example/incidents/{id}")).text();
        for part in [
            "Severity 94: revenue 88 %",
            "Slice: country DE",
            "Expected: 1,200",
            "Since: 2026-03-01 08:25 UTC",
            "/incidents/shop-3",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn cutting_counts_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
