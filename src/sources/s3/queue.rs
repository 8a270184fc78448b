//! Notifications of new objects from an SQS queue: of S3 itself, through an SNS topic, or of EventBridge.

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, error::DisplayErrorContext, types::DeleteMessageBatchRequestEntry};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::pipeline::SourceError;

/// How long one call waits for messages, in seconds.
const WAIT_SECONDS: i32 = 5;
/// Messages in one call, which is what SQS allows.
const MESSAGES: i32 = 10;

/// One queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    client: Client,
    url: String,
}

/// A message of the queue.
#[derive(Debug)]
pub(super) struct Message {
    /// By which it is deleted.
    pub(super) handle: String,
    /// Keys of new objects in the bucket.
    pub(super) keys: Vec<String>,
}

impl Queue {
    pub(super) fn new(config: &SdkConfig, url: &str) -> Self {
        Self { client: Client::new(config), url: url.to_owned() }
    }

    /// The next messages, perhaps none.
    pub(super) async fn receive(&self, bucket: &str) -> Result<Vec<Message>, SourceError> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MESSAGES)
            .wait_time_seconds(WAIT_SECONDS)
            .send()
            .await
            .map_err(|error| self.failed("read", &DisplayErrorContext(error)))?;
        Ok(received
            .messages
            .unwrap_or_default()
            .into_iter()
            .filter_map(|message| {
                let handle = message.receipt_handle?;
                Some(Message { handle, keys: new_keys(&message.body.unwrap_or_default(), bucket) })
            })
            .collect())
    }

    /// Deletes messages whose objects are stored.
    pub(super) async fn delete(&self, handles: &[String]) -> Result<(), SourceError> {
        for some in handles.chunks(MESSAGES as usize) {
            let mut request = self.client.delete_message_batch().queue_url(&self.url);
            for (index, handle) in some.iter().enumerate() {
                let entry =
                    DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle);
                request = request.entries(entry.build().map_err(|error| self.failed("delete from", &error))?);
            }
            request.send().await.map_err(|error| self.failed("delete from", &DisplayErrorContext(error)))?;
        }
        Ok(())
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) -> SourceError {
        SourceError::Unavailable(format!("could not {what} the queue `{}`: {error}", self.url))
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "Records")]
    records: Option<Vec<Event>>,
    /// Around a message that came through SNS.
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    detail: Option<Entity>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "eventName")]
    name: String,
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    bucket: Named,
    object: Keyed,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Keyed {
    key: String,
}

/// The keys of objects that a message says were made in this bucket. Other messages have none, such as the one by
/// which S3 tries the queue.
fn new_keys(body: &str, bucket: &str) -> Vec<String> {
    let Ok(body) = serde_json::from_str::<Body>(body) else { return Vec::new() };
    if let Some(message) = body.message {
        return new_keys(&message, bucket);
    }
    if let (Some("Object Created"), Some(detail)) = (body.detail_type.as_deref(), &body.detail) {
        return (detail.bucket.name == bucket).then(|| detail.object.key.clone()).into_iter().collect();
    }
    let made = |event: &Event| event.name.starts_with("ObjectCreated:") && event.s3.bucket.name == bucket;
    body.records
        .iter()
        .flatten()
        .filter(|event| made(event))
        .map(|event| decoded(&event.s3.object.key))
        .collect()
}

/// S3 writes keys as HTML forms do.
fn decoded(key: &str) -> String {
    percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_every_kind_of_message() {
        let plain = r#"{"Records":[
            {"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"shop"},"object":{"key":"a+b/%C3%A9.gz","size":1}}},
            {"eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"shop"},"object":{"key":"gone"}}},
            {"eventName":"ObjectCreated:Copy","s3":{"bucket":{"name":"other"},"object":{"key":"x"}}}]}"#;
        assert_eq!(new_keys(plain, "shop"), ["a b/é.gz"]);
        let through_sns = serde_json::json!({"Type": "Notification", "Message": plain}).to_string();
        assert_eq!(new_keys(&through_sns, "shop"), ["a b/é.gz"]);
        let bridge =
            r#"{"detail-type":"Object Created","detail":{"bucket":{"name":"shop"},"object":{"key":"a+b"}}}"#;
        assert_eq!(new_keys(bridge, "shop"), ["a+b"]);
        for other in [r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#, "no JSON", "{}"] {
            assert!(new_keys(other, "shop").is_empty(), "{other}");
        }
    }
}
