//! What to read from a bucket.

use std::time::Duration;

use super::PathTemplate;
use crate::record::Format;

/// Objects of one bucket.
#[derive(Clone, Debug)]
pub struct S3SourceConfig {
    /// The source's name.
    pub name: String,
    /// The bucket.
    pub bucket: String,
    /// Where its objects lie.
    pub keys: S3Keys,
    /// First time of interest: of folders, or of the objects' last changes.
    pub start: S3Start,
    /// Whether to wait for new objects, or end when all there are have been read.
    pub follow: bool,
    /// How often to look for new objects.
    pub refresh: Duration,
    /// How long after its time an object may still appear.
    pub late_objects: Duration,
    /// For how long of that windows wait for objects; those that come later revise.
    pub awaited: Duration,
    /// How objects are written.
    pub format: S3Format,
    /// Fields that monitors ask for, so that other columns need not be read.
    pub fields: Vec<String>,
    /// Longest row; longer ones are refused.
    pub record_bytes_max: usize,
    /// Largest object, as stored; larger ones are not read.
    pub object_bytes_max: u64,
    /// Instead of the one that AWS tools find.
    pub region: Option<String>,
    /// Instead of Amazon's.
    pub endpoint: Option<String>,
    /// A queue that tells of new objects, instead of listing.
    pub queue_url: Option<String>,
}

/// First time of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Start {
    /// All there are.
    Earliest,
    /// From now on.
    Latest,
    /// This time, in milliseconds since the Unix epoch.
    At(i64),
    /// This long before now.
    Back(Duration),
}

impl S3Start {
    /// The time, seen from `now_millis`.
    pub fn millis(self, now_millis: i64) -> i64 {
        match self {
            Self::Earliest => 0,
            Self::Latest => now_millis,
            Self::At(millis) => millis,
            Self::Back(duration) => now_millis - duration.as_millis() as i64,
        }
    }
}

/// Where objects lie.
#[derive(Clone, Debug)]
pub enum S3Keys {
    /// All whose keys begin so.
    Prefix(String),
    /// In folders named after their time.
    Folders(PathTemplate),
}

/// How objects are written. Gzip and Zstandard are known by their first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum S3Format {
    /// Rows of text.
    Rows(Format),
    /// Parquet, whose rows reach the decoder as JSON.
    Parquet,
}

/// An object, or what the names of some begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sources) struct S3Place {
    pub(in crate::sources) bucket: String,
    pub(in crate::sources) key: String,
}

impl S3Place {
    /// Reads `s3://BUCKET/KEY`.
    pub(in crate::sources) fn parse(url: &str) -> Option<Self> {
        let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
        Some(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

const DAY: i64 = 86_400_000;

impl S3SourceConfig {
    /// How long after its time an object may still be read. A queue may tell of it twice.
    pub fn late_millis(&self) -> i64 {
        let late = self.late_objects.as_millis() as i64;
        if self.queue_url.is_some() { late.max(DAY) } else { late }
    }

    /// How long after an event its object is waited for.
    pub fn patience_millis(&self) -> i64 {
        self.width_millis() + self.awaited.as_millis() as i64 + 2 * self.refresh.as_millis() as i64
    }

    fn width_millis(&self) -> i64 {
        match &self.keys {
            S3Keys::Prefix(_) => 0,
            S3Keys::Folders(template) => template.width_millis(),
        }
    }

    /// How long it must be remembered that an object was read: for as long as it may be listed again.
    pub fn memory_millis(&self) -> i64 {
        2 * self.width_millis() + self.late_millis() + DAY
    }
}
