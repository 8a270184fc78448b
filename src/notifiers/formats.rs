//! What a webhook posts, receiver by receiver: here for people and programs, in `pagers` for what wakes people.
//!
//! | format         | shape                                                                   |
//! |----------------|-------------------------------------------------------------------------|
//! | `tidewatch`    | the alert as in `docs/alert.schema.json`                                |
//! | `cloudevents`  | the same as the data of a CloudEvent 1.0, structured mode               |
//! | `slack`        | blocks of an incoming webhook                                           |
//! | `teams`        | an adaptive card for a workflow's webhook trigger                       |
//! | `pagerduty`    | Events API v2: trigger, acknowledge, resolve; one dedup key per incident |
//! | `opsgenie`     | create, acknowledge, add a note and close by alias                      |
//! | `alertmanager` | API v2: labels that stay the same through an incident, so that it resolves |

use serde_json::{Value, json};

use super::render::{AlertWire, cut};
use crate::anomaly::AlertKind;

/// Slack's limits on a header and on a text.
const SLACK_HEADER_CHARS: usize = 150;
const SLACK_TEXT_CHARS: usize = 3_000;
/// Slack's limit on the fields of a section.
const SLACK_FIELDS: usize = 10;
const SLACK_FIELD_CHARS: usize = 2_000;
/// Teams refuses messages above 28 KB.
const TEAMS_NOTES: usize = 25;
const TEAMS_TEXT_CHARS: usize = 500;

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
    let field = |(name, value): &(&str, String)| {
        let text = cut(&format!("*{name}*\n{}", escaped(value)), SLACK_FIELD_CHARS);
        json!({"type": "mrkdwn", "text": text})
    };
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
        _ if matches!(alert.kind, AlertKind::Closed | AlertKind::Retracted) => "good",
        "critical" | "error" => "attention",
        _ => "warning",
    };
    let facts: Vec<Value> = alert
        .facts()
        .into_iter()
        .map(|(name, value)| json!({"title": name, "value": short(&value)}))
        .collect();
    let mut body = vec![
        json!({"type": "TextBlock", "text": short(&alert.title()), "wrap": true, "weight": "bolder", "size": "medium", "color": color}),
        json!({"type": "FactSet", "facts": facts}),
    ];
    let mut notes = alert.notes();
    if notes.len() > TEAMS_NOTES {
        let more = notes.len() - TEAMS_NOTES;
        notes.truncate(TEAMS_NOTES);
        notes.push(format!("and {more} more here"));
    }
    body.extend(notes.iter().map(|note| json!({"type": "TextBlock", "text": short(note), "wrap": true})));
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

fn short(text: &str) -> String {
    cut(text, TEAMS_TEXT_CHARS)
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
