//! What a webhook posts to receivers that keep alerts: PagerDuty, Opsgenie, Alertmanager. Each is told of one thing per
//! incident under one key, which begins, goes on and ends.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::render::{AlertWire, cut};
use crate::anomaly::AlertKind;

/// PagerDuty's limit on the summary.
const PAGERDUTY_SUMMARY_CHARS: usize = 1_024;
/// Opsgenie's limits.
const OPSGENIE_MESSAGE_CHARS: usize = 130;
const OPSGENIE_DESCRIPTION_CHARS: usize = 15_000;
const OPSGENIE_TAG_CHARS: usize = 50;
/// All details together may have 8,000.
const OPSGENIE_DETAIL_CHARS: usize = 600;
/// Alertmanager takes an alert for over when it has not heard of it for long. An incident that goes on is told only
/// when something changes, so it is announced for this long.
const ALERTMANAGER_FIRING: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An event of PagerDuty's Events API v2.
pub(super) fn pagerduty(alert: &AlertWire, routing_key: &str) -> Value {
    let dedup_key = dedup_key(alert);
    let action = match alert.kind {
        AlertKind::Closed | AlertKind::Retracted => "resolve",
        // A trigger would open an incident anew that is over.
        AlertKind::Revised if alert.incident.state != "open" => "resolve",
        AlertKind::Acknowledged => "acknowledge",
        _ => "trigger",
    };
    if action != "trigger" {
        return json!({"routing_key": routing_key, "event_action": action, "dedup_key": dedup_key});
    }
    let links: Vec<Value> = alert.link.iter().map(|link| json!({"href": link, "text": "Incident"})).collect();
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "Tidewatch",
        "payload": {
            "summary": cut(&alert.title(), PAGERDUTY_SUMMARY_CHARS),
            "source": alert.incident.monitor,
            "severity": alert.urgency(),
            "timestamp": alert.at,
            "component": alert.incident.measure.as_deref().unwrap_or(&alert.incident.monitor),
            "class": alert.incident.kind,
            "custom_details": alert,
        },
        "links": links,
    })
}

/// What a receiver knows an incident by. Notices and digests are about no single incident.
fn dedup_key(alert: &AlertWire) -> String {
    match alert.kind {
        AlertKind::Suppressed | AlertKind::Digest => format!("tidewatch-{}", alert.id),
        _ => format!("tidewatch-{}", alert.incident.id),
    }
}

/// What follows the base URL of an Opsgenie request, and its body.
pub(super) fn opsgenie(alert: &AlertWire) -> (String, Value) {
    let alias = dedup_key(alert);
    // A second `create` with the alias only counts up, so what is new about an incident is a note.
    let action = match alert.kind {
        AlertKind::Closed | AlertKind::Retracted => Some("close"),
        AlertKind::Acknowledged => Some("acknowledge"),
        AlertKind::Escalated | AlertKind::Recovered | AlertKind::Resumed | AlertKind::Revised => {
            Some("notes")
        }
        AlertKind::Opened | AlertKind::Suppressed | AlertKind::Digest => None,
    };
    if let Some(action) = action {
        let body = json!({"source": "Tidewatch", "note": cut(&alert.title(), OPSGENIE_DESCRIPTION_CHARS)});
        return (format!("/{alias}/{action}?identifierType=alias"), body);
    }
    let priority = match alert.urgency() {
        "critical" => "P1",
        "error" => "P2",
        "warning" => "P3",
        _ => "P4",
    };
    let mut details: serde_json::Map<String, Value> =
        alert.facts().into_iter().map(|(name, value)| (name.to_lowercase(), detail(&value))).collect();
    details.extend(alert.link.iter().map(|link| ("link".to_owned(), detail(link))));
    let description: Vec<String> =
        std::iter::once(alert.incident.summary.clone()).chain(alert.notes()).collect();
    let body = json!({
        "message": cut(&alert.title(), OPSGENIE_MESSAGE_CHARS),
        "alias": alias,
        "description": cut(&description.join("\n"), OPSGENIE_DESCRIPTION_CHARS),
        "entity": alert.incident.monitor,
        "source": "Tidewatch",
        "tags": ["tidewatch", cut(&alert.incident.monitor, OPSGENIE_TAG_CHARS)],
        "details": details,
        "priority": priority,
    });
    (String::new(), body)
}

fn detail(value: &str) -> Value {
    cut(value, OPSGENIE_DETAIL_CHARS).into()
}

/// The list of one alert that Alertmanager takes.
pub(super) fn alertmanager(alert: &AlertWire) -> Value {
    let incident = &alert.incident;
    let told: Timestamp = alert.at.parse().unwrap_or(Timestamp::MIN);
    let (name, lasts) = match alert.kind {
        AlertKind::Suppressed | AlertKind::Digest => ("TidewatchNotice", SignedDuration::from_hours(1)),
        _ => ("TidewatchIncident", ALERTMANAGER_FIRING),
    };
    let firing_until = || told.checked_add(lasts).unwrap_or(Timestamp::MAX).to_string();
    let is_over = matches!(alert.kind, AlertKind::Closed | AlertKind::Retracted)
        // An incident that is over and revised does not ring again.
        || alert.kind == AlertKind::Revised && incident.closed_at.is_some();
    let ends_at = incident.closed_at.clone().filter(|_| is_over).unwrap_or_else(firing_until);
    // The first severity is never rewritten; labels that change would make another alert of it.
    let first = match incident.severity.first {
        first if first >= 90.0 => "critical",
        first if first >= 80.0 => "error",
        first if first >= 70.0 => "warning",
        _ => "info",
    };
    json!([{
        "labels": {
            "alertname": name,
            "monitor": incident.monitor,
            "incident": incident.id,
            "kind": incident.kind,
            "severity": first,
        },
        "annotations": {
            "summary": incident.summary,
            "title": alert.title(),
            "measure": incident.measure.clone().unwrap_or_default(),
            "direction": incident.direction.unwrap_or_default(),
            "peak": format!("{:.0}", incident.severity.peak),
            "alert": alert.id,
        },
        "startsAt": incident.opened_at,
        "endsAt": ends_at,
        "generatorURL": alert.link.clone().unwrap_or_default(),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifiers::render::tests::alert;

    fn wire(kind: &str) -> AlertWire {
        AlertWire::new(&alert(kind), Some("https://tw.example/incidents/{id}"))
    }

    fn text(value: &Value) -> &str {
        value.as_str().expect("a text")
    }

    #[test]
    fn pagerduty_triggers_and_resolves_under_one_key() {
        let (opened, escalated, closed) = (
            pagerduty(&wire("opened"), "k"),
            pagerduty(&wire("escalated"), "k"),
            pagerduty(&wire("closed"), "k"),
        );
        assert_eq!(
            [&opened, &escalated, &closed].map(|event| text(&event["event_action"])),
            ["trigger", "trigger", "resolve"]
        );
        assert!(
            [&opened, &escalated, &closed]
                .iter()
                .all(|event| event["dedup_key"] == "tidewatch-shop-3" && event["routing_key"] == "k")
        );
        let payload = &opened["payload"];
        assert_eq!((text(&payload["severity"]), text(&payload["source"])), ("critical", "shop"));
        assert!(text(&payload["summary"]).chars().count() <= 1_024);
        assert!(text(&payload["timestamp"]).parse::<Timestamp>().is_ok());
    }

    #[test]
    fn opsgenie_creates_and_closes_by_alias() {
        let (path, body) = opsgenie(&wire("opened"));
        assert_eq!(
            (path.as_str(), text(&body["alias"]), text(&body["priority"])),
            ("", "tidewatch-shop-3", "P1")
        );
        assert!(text(&body["message"]).chars().count() <= 130);
        assert!(body["details"].as_object().unwrap().values().all(Value::is_string));
        let (path, _) = opsgenie(&wire("closed"));
        assert_eq!(path, "/tidewatch-shop-3/close?identifierType=alias");
    }

    #[test]
    fn alertmanager_sees_one_alert_that_ends() {
        let (opened, closed) = (alertmanager(&wire("opened")), alertmanager(&wire("closed")));
        assert_eq!(opened[0]["labels"], closed[0]["labels"], "or it would never resolve");
        assert_eq!(closed[0]["endsAt"], "2026-03-01T08:50:00Z");
        assert_eq!(opened[0]["endsAt"], "2026-03-08T08:50:00Z");
        assert!(opened[0]["labels"].as_object().unwrap().values().all(Value::is_string));
        assert!(opened[0]["annotations"].as_object().unwrap().values().all(Value::is_string));
    }
}
