//! CloudWatch Logs, as a subscription hands them on: one JSON document with many log events.
//!
//! A message that is a JSON object gives its own fields; any other is the field `@message`. Each event also has
//! `@timestamp` (milliseconds), `@logGroup` and `@logStream`.

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    message_type: String,
    log_group: String,
    log_stream: String,
    log_events: Vec<LogEvent>,
}

#[derive(Deserialize)]
struct LogEvent {
    timestamp: i64,
    message: String,
}

/// The log events of a payload, each as a JSON object; `None` for anything else. A control message, by which the
/// service tries whether anybody listens, has none.
pub fn log_events(payload: &[u8]) -> Option<Vec<Bytes>> {
    let looks_so = payload.trim_ascii_start().starts_with(b"{")
        && memmem::find(payload, b"\"messageType\"").is_some()
        && memmem::find(payload, b"\"logEvents\"").is_some();
    if !looks_so {
        return None;
    }
    let document: Document = serde_json::from_slice(payload).ok()?;
    match document.message_type.as_str() {
        "DATA_MESSAGE" => {
            Some(document.log_events.iter().map(|event| object(&document, event).into()).collect())
        }
        "CONTROL_MESSAGE" => Some(Vec::new()),
        _ => None,
    }
}

/// What surrounds the message comes last, and of a name that comes twice the last counts.
fn object(document: &Document, event: &LogEvent) -> String {
    let around = json!({
        "@timestamp": event.timestamp, "@logGroup": document.log_group, "@logStream": document.log_stream,
    })
    .to_string();
    let message = event.message.trim();
    match message.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(fields) if fields.trim().is_empty() => around,
        Some(fields) => format!("{{{fields},{}", &around[1..]),
        None => format!("{{\"@message\":{},{}", json!(message), &around[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_events_become_objects() {
        let payload = json!({
            "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "shop", "logStream": "web-1",
            "subscriptionFilters": ["all"],
            "logEvents": [
                {"id": "1", "timestamp": 7, "message": "{\"type\": \"purchase\", \"total\": 5}\n"},
                {"id": "2", "timestamp": 8, "message": "GET /cart 200"},
                {"id": "3", "timestamp": 9, "message": "{}"},
            ],
        });
        let events = log_events(payload.to_string().as_bytes()).unwrap();
        let events: Vec<serde_json::Value> =
            events.iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
        let around = |time: i64| json!({"@timestamp": time, "@logGroup": "shop", "@logStream": "web-1"});
        let mut first = around(7);
        first["type"] = "purchase".into();
        first["total"] = 5.into();
        let mut second = around(8);
        second["@message"] = "GET /cart 200".into();
        assert_eq!(events, [first, second, around(9)]);
    }

    #[test]
    fn a_control_message_has_no_events_and_anything_else_is_left_alone() {
        let control = json!({
            "messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "",
            "subscriptionFilters": [],
            "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE: Checking health"}],
        });
        assert_eq!(log_events(control.to_string().as_bytes()), Some(Vec::new()));
        for other in [r#"{"type":"view"}"#, r#"{"messageType":"X","logEvents":7}"#, "[1]", ""] {
            assert_eq!(log_events(other.as_bytes()), None, "{other}");
        }
    }
}
