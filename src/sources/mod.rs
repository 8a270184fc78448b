//! Floor 5: where records come from.
//!
//! Every source promises what [`Source`](crate::pipeline::Source) says: the records of a partition in order,
//! each in exactly one batch; resuming strictly after the checkpoint it was built with; nothing lost when a
//! call is cancelled. A source knows no store, no monitor and no other source.

mod chunks;
mod file;
mod http;
mod input;
mod kafka;
mod kinesis;
mod packed;
mod remote;
mod s3;
mod simulated;

pub use file::{Damages, FileSource, FileSourceConfig};
pub use http::{HttpIntake, HttpIntakeError, HttpSender, HttpSource, HttpSourceConfig};
pub use input::{Beginning, Reach, beginning, is_parquet};
#[cfg(feature = "kafka")]
pub use kafka::{KafkaLetters, KafkaSource};
pub use kafka::{KafkaLogin, KafkaRegistry, KafkaSourceConfig, KafkaStart, KafkaTopics};
#[cfg(feature = "kinesis")]
pub use kinesis::KinesisSource;
pub use kinesis::{KinesisReading, KinesisRole, KinesisSourceConfig, KinesisStart};
pub use packed::open_file;
pub use remote::{find_objects, is_url};
#[cfg(feature = "s3")]
pub use s3::S3Source;
pub use s3::{PathTemplate, S3Format, S3Keys, S3SourceConfig, S3Start};
pub use simulated::{SimulatedSource, SimulatedSourceConfig};
