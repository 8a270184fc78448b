//! Objects in S3, or in anything that speaks its protocol: by prefix, in folders named after their time, or as a queue
//! tells of them.
//!
//! ```text
//! reader.rs (a task)   lists, fetches and unpacks one object after the other; waits while nobody takes its batches
//! progress.rs          which objects were read, and how far into the one being read
//! source.rs            hands batches to the run loop; deletes messages after the commit
//! ```
//!
//! All objects are one partition, `objects`, so that windows do not wait for objects that have ended. Each object is
//! read once, by its key. A whole object is held in memory as it is stored, and unpacked piece by piece.

mod config;
mod template;

#[cfg(feature = "s3")]
mod client;
#[cfg(feature = "s3")]
mod object;
#[cfg(feature = "s3")]
mod progress;
#[cfg(feature = "s3")]
mod queue;
#[cfg(feature = "s3")]
mod reader;
#[cfg(feature = "s3")]
mod source;

#[cfg(feature = "s3")]
pub(super) use client::Bucket;
pub(super) use config::S3Place;
pub use config::{S3Format, S3Keys, S3SourceConfig, S3Start};
#[cfg(feature = "s3")]
pub use source::S3Source;
pub use template::PathTemplate;
