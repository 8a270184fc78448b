//! Floor 5: where records come from.
//!
//! Every source promises what [`Source`](crate::pipeline::Source) says: the records of a partition in order,
//! each in exactly one batch; resuming strictly after the checkpoint it was built with; nothing lost when a
//! call is cancelled. A source knows no store, no monitor and no other source.

mod chunks;
mod file;
mod http;
mod kafka;
mod kinesis;
mod s3;
mod simulated;

pub use chunks::open_file;
pub use file::{FileSource, FileSourceConfig};
pub use http::{HttpIntake, HttpIntakeError, HttpSender, HttpSource, HttpSourceConfig};
#[cfg(feature = "kafka")]
pub use kafka::{KafkaLetters, KafkaSource};
pub use kafka::{KafkaLogin, KafkaRegistry, KafkaSourceConfig, KafkaStart, KafkaTopics};
#[cfg(feature = "kinesis")]
pub use kinesis::KinesisSource;
pub use kinesis::{KinesisReading, KinesisRole, KinesisSourceConfig, KinesisStart};
#[cfg(feature = "s3")]
pub use s3::S3Source;
pub use s3::{PathTemplate, S3Format, S3Keys, S3SourceConfig, S3Start};
pub use simulated::{SimulatedSource, SimulatedSourceConfig};
