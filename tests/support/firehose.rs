//! A sender that does what the specification of Firehose's HTTP endpoint delivery says: the same request id on every
//! retry, any answer that breaks the rules counts as a failure, 413 gives up, growing pauses in between.

use std::{io::Write, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Longest pause between attempts; the real one waits up to two minutes.
const PAUSE_MAX: Duration = Duration::from_millis(400);

pub(crate) struct Sender {
    client: reqwest::Client,
    url: String,
    key: String,
    patience: Duration,
}

/// One batch under its id.
pub(crate) struct Request {
    id: String,
    records: Vec<Value>,
    gzip: bool,
}

#[derive(Debug)]
pub(crate) struct Delivered {
    /// The last status; 500 for an answer that breaks the rules, 0 for none.
    pub(crate) status: u16,
    pub(crate) attempts: u64,
}

impl Request {
    /// A batch under an id of its own.
    pub(crate) fn new(records: &[Vec<u8>], gzip: bool) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let records = records.iter().map(|data| json!({"data": STANDARD.encode(data)})).collect();
        Self { id: format!("00000000-0000-4000-8000-{number:012x}"), records, gzip }
    }
}

impl Sender {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        // No redirects, and no decoding: an encoded answer breaks the rules.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .expect("a client");
        Self { client, url: url.to_owned(), key: key.to_owned(), patience: Duration::from_mins(1) }
    }

    /// How long a batch is retried.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends until it is taken, given up, or patience ends.
    pub(crate) async fn deliver(&self, request: &Request) -> Delivered {
        let started = Instant::now();
        let mut pause = Duration::from_millis(50);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let status = self.attempt(request).await;
            if status == 200 || status == 413 || started.elapsed() + pause > self.patience {
                return Delivered { status, attempts };
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, request: &Request) -> u16 {
        let body =
            json!({"requestId": request.id, "timestamp": 1_578_090_901_599_i64, "records": request.records});
        let body = body.to_string().into_bytes();
        let mut post = self
            .client
            .post(&self.url)
            .header("Content-Type", "application/json")
            .header("X-Amz-Firehose-Protocol-Version", "1.0")
            .header("X-Amz-Firehose-Request-Id", &request.id)
            .header(
                "X-Amz-Firehose-Source-Arn",
                "arn:aws:firehose:us-east-1:123456789012:deliverystream/shop",
            )
            .header("X-Amz-Firehose-Access-Key", &self.key)
            .header("X-Amz-Firehose-Common-Attributes", r#"{"commonAttributes":{"deployment":"test"}}"#);
        if request.gzip {
            post = post.header("Content-Encoding", "gzip");
        }
        let Ok(answer) = post.body(if request.gzip { gzip(&body) } else { body }).send().await else {
            return 0;
        };
        let status = answer.status().as_u16();
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let json_type = header("content-type").starts_with("application/json");
        let follows =
            json_type && header("content-encoding").is_empty() && !header("content-length").is_empty();
        let Ok(text) = answer.text().await else { return 0 };
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let names_it = answer["requestId"] == request.id && answer["timestamp"].is_i64();
        if follows && names_it && text.len() <= 1 << 20 { status } else { 500 }
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// What a subscription of CloudWatch Logs hands on.
pub(crate) fn cloudwatch(messages: &[String]) -> String {
    let events: Vec<Value> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| json!({"id": index.to_string(), "timestamp": 1, "message": message}))
        .collect();
    json!({
        "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "shop", "logStream": "web",
        "subscriptionFilters": ["all"], "logEvents": events,
    })
    .to_string()
}
