//! What a webhook posts, receiver by receiver.
//!
//! | format         | shape                                                                   |
//! |----------------|-------------------------------------------------------------------------|
//! | `tidewatch`    | the alert as in `docs/alert.schema.json`                                |
//! | `cloudevents`  | the same as the data of a CloudEvent 1.0, structured mode               |
//! | `slack`        | blocks of an incoming webhook                                           |
//! | `teams`        | an adaptive card for a workflow's webhook trigger                       |
//! | `pagerduty`    | Events API v2: trigger and resolve, one dedup key per incident          |
//! | `opsgenie`     | create and close by alias                                               |
//! | `alertmanager` | API v2: labels that stay the same through an incident, so that it resolves |

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::render::{AlertWire, cut};
use crate::anomaly::AlertKind;

/// Slack's limits on a header and on a text.
const SLACK_HEADER_CHARS: usize = 150;
const SLACK_TEXT_CHARS: usize = 3_000;
/// Slack's limit on the fields of a section.
const SLACK_FIELDS: usize = 10;
/// PagerDuty's limit on the summary.
const PAGERDUTY_SUMMARY_CHARS: usize = 1_024;
/// Opsgenie's limits.
const OPSGENIE_MESSAGE_CHARS: usize = 130;
const OPSGENIE_DESCRIPTION_CHARS: usize = 15_000;
/// Alertmanager takes an alert for over when it has not heard of it for long. An incident that goes on is told only
/// when something changes, so it is announced for this long.
const ALERTMANAGER_FIRING: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A CloudEvent in structured mode.
pub(super) fn cloudevents(alert: &AlertWire) -> Value {
    json!({
        "specversion": "1.0",
        "id": alert.id,
        "source": format!("/tidewatch/monitors/{}", alert.incident.monitor),
        "type": format!("tidewatch.alert.{}", alert.kind.as_str()),
        "subject": alert.incident.id,
        "time": alert.at,
        "datacontenttype": "application/json",
        "data": alert,
    })
}

/// Blocks, and a text for notifications and old clients.
pub(super) fn slack(alert: &AlertWire) -> Value {
    let field = |(name, value): &(&str, String)| json!({"type": "mrkdwn", "text": format!("*{name}*\n{}", escaped(value))});
    let facts = alert.facts();
    let fields: Vec<Value> = facts.iter().take(SLACK_FIELDS).map(field).collect();
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": cut(&alert.title(), SLACK_HEADER_CHARS)}}),
        json!({"type": "section", "text": {"type": "mrkdwn", "text": section(&alert.incident.summary)}}),
        json!({"type": "section", "fields": fields}),
    ];
    let notes = alert.notes();
    if !notes.is_empty() {
        blocks
            .push(json!({"type": "section", "text": {"type": "mrkdwn", "text": section(&notes.join("\n"))}}));
    }
    if let Some(link) = &alert.link {
        let button = json!({"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": link});
        blocks.push(json!({"type": "actions", "elements": [button]}));
    }
    json!({"text": section(&alert.title()), "blocks": blocks})
}

fn section(text: &str) -> String {
    cut(&escaped(text), SLACK_TEXT_CHARS)
}

/// Slack's three control characters.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An adaptive card inside the message that Teams workflows expect.
pub(super) fn teams(alert: &AlertWire) -> Value {
    let color = match alert.urgency() {
        _ if alert.kind == AlertKind::Closed => "good",
        "critical" | "error" => "attention",
        _ => "warning",
    };
    let facts: Vec<Value> =
        alert.facts().into_iter().map(|(name, value)| json!({"title": name, "value": value})).collect();
    let mut body = vec![
        json!({"type": "TextBlock", "text": alert.title(), "wrap": true, "weight": "bolder", "size": "medium", "color": color}),
        json!({"type": "FactSet", "facts": facts}),
    ];
    body.extend(alert.notes().iter().map(|note| json!({"type": "TextBlock", "text": note, "wrap": true})));
    let actions: Vec<Value> = alert
        .link
        .iter()
        .map(|link| json!({"type": "Action.OpenUrl", "title": "Open", "url": link}))
        .collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": actions,
    });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

/// An event of PagerDuty's Events API v2.
pub(super) fn pagerduty(alert: &AlertWire, routing_key: &str) -> Value {
    let dedup_key = dedup_key(alert);
    let action = match alert.kind {
        AlertKind::Closed => "resolve",
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
            "component": alert.incident.measure,
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
    if alert.kind == AlertKind::Closed {
        let body = json!({"source": "Tidewatch", "note": cut(&alert.title(), OPSGENIE_DESCRIPTION_CHARS)});
        return (format!("/{alias}/close?identifierType=alias"), body);
    }
    if alert.kind == AlertKind::Acknowledged {
        return (format!("/{alias}/acknowledge?identifierType=alias"), json!({"source": "Tidewatch"}));
    }
    let priority = match alert.urgency() {
        "critical" => "P1",
        "error" => "P2",
        "warning" => "P3",
        _ => "P4",
    };
    let mut details: serde_json::Map<String, Value> =
        alert.facts().into_iter().map(|(name, value)| (name.to_lowercase(), value.into())).collect();
    details.extend(alert.link.iter().map(|link| ("link".to_owned(), link.clone().into())));
    let description: Vec<String> =
        std::iter::once(alert.incident.summary.clone()).chain(alert.notes()).collect();
    let body = json!({
        "message": cut(&alert.title(), OPSGENIE_MESSAGE_CHARS),
        "alias": alias,
        "description": cut(&description.join("\n"), OPSGENIE_DESCRIPTION_CHARS),
        "entity": alert.incident.monitor,
        "source": "Tidewatch",
        "tags": ["tidewatch", alert.incident.monitor],
        "details": details,
        "priority": priority,
    });
    (String::new(), body)
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
    let ends_at =
        incident.closed_at.clone().filter(|_| alert.kind == AlertKind::Closed).unwrap_or_else(firing_until);
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
    fn slack_gets_blocks_within_its_limits_and_escaped() {
        let body = slack(&wire("opened"));
        let blocks = body["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        assert_eq!(blocks[0]["text"]["type"], "plain_text");
        assert!(text(&blocks[0]["text"]["text"]).chars().count() <= 150);
        assert!(text(&blocks[1]["text"]["text"]).contains("(&lt;140&gt; USD"));
        let fields = blocks[2]["fields"].as_array().unwrap();
        assert!(!fields.is_empty() && fields.len() <= 10);
        assert!(fields.iter().all(|field| field["type"] == "mrkdwn" && text(&field["text"]).len() <= 2_000));
        assert_eq!(blocks[3]["elements"][0]["url"], "https://tw.example/incidents/shop-3");
    }

    #[test]
    fn teams_gets_an_adaptive_card_in_a_message() {
        let body = teams(&wire("escalated"));
        let attachment = &body["attachments"][0];
        assert_eq!(
            (text(&body["type"]), text(&attachment["contentType"])),
            ("message", "application/vnd.microsoft.card.adaptive")
        );
        let card = &attachment["content"];
        assert_eq!((text(&card["type"]), text(&card["version"])), ("AdaptiveCard", "1.4"));
        assert!(card["body"].as_array().unwrap().iter().all(|part| part["type"].is_string()));
        assert!(
            card["body"][1]["facts"]
                .as_array()
                .unwrap()
                .iter()
                .all(|fact| fact["title"].is_string() && fact["value"].is_string())
        );
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

    #[test]
    fn a_cloud_event_carries_the_documented_json() {
        let event = cloudevents(&wire("opened"));
        assert_eq!((text(&event["specversion"]), text(&event["type"])), ("1.0", "tidewatch.alert.opened"));
        assert_eq!(event["data"]["schema"], "tidewatch.alert.v1");
        assert_eq!(event["data"]["incident"]["id"], "shop-3");
    }

    #[test]
    fn a_template_fills_body_and_address() {
        use crate::notifiers::Template;
        let body = Template::parse(r#"{"what": {{ title | tojson }}, "id": "{{ incident.id }}"}"#).unwrap();
        let filled: Value = serde_json::from_str(&body.render(&wire("opened")).unwrap()).unwrap();
        assert_eq!(filled["id"], "shop-3");
        assert!(text(&filled["what"]).starts_with("Severity 94"));
        assert!(Template::parse("{{ title").is_err());
        assert!(Template::parse("{{ nothing.there }}").unwrap().render(&wire("opened")).is_err());
    }
}
