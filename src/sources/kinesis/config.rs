//! What to read, and as whom. Names no client library, so that every build can check it.

use std::time::Duration;

/// What to read and how to connect.
#[derive(Clone, Debug)]
pub struct KinesisSourceConfig {
    /// The source's name, for messages that name a setting.
    pub name: String,
    /// The stream's name.
    pub stream: String,
    /// Its ARN, if that was given instead.
    pub stream_arn: Option<String>,
    /// `None` where AWS's own configuration names it.
    pub region: Option<String>,
    /// Instead of Amazon's.
    pub endpoint: Option<String>,
    /// Where a stream that was never read begins.
    pub start: KinesisStart,
    /// The consumer to register for enhanced fan-out; `None` for polling.
    pub consumer: Option<String>,
    /// The role to take on.
    pub role: Option<KinesisRole>,
    /// What becomes of a record.
    pub reading: KinesisReading,
    /// How far one shard may be read ahead of another in event time.
    pub max_skew: Duration,
    /// How often a shard is asked that had nothing more.
    pub poll: Duration,
}

/// Where a stream that was never read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KinesisStart {
    /// At the oldest record.
    TrimHorizon,
    /// With the first record after now.
    Latest,
    /// With the first record that arrived at this time, in milliseconds since the Unix epoch, or later.
    At(i64),
    /// This long before now.
    Back(Duration),
}

/// What becomes of a record before it is decoded.
#[derive(Clone, Copy, Debug)]
pub struct KinesisReading {
    /// Some monitor asks for its partition key or arrival time.
    pub wants_envelope: bool,
    /// How long it may be once it is decompressed.
    pub bytes_max: usize,
    /// Payloads of CloudWatch Logs subscriptions are taken apart.
    pub opens_logs: bool,
}

/// A role to take on with the credentials that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KinesisRole {
    /// Which.
    pub arn: String,
    /// What the role's owner asks for, if anything.
    pub external_id: Option<String>,
}

impl KinesisSourceConfig {
    /// Stream, region and endpoint for people.
    pub fn place(&self) -> String {
        let region = self.region.as_deref().unwrap_or("the default region");
        let endpoint = self.endpoint.as_ref().map_or_else(String::new, |url| format!(" at {url}"));
        format!("Kinesis stream `{}` in {region}{endpoint}", self.stream)
    }

    /// A key of this source.
    pub fn setting(&self, key: &str) -> String {
        format!("`sources.{}.{key}`", self.name)
    }
}
