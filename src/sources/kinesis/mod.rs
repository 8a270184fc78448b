//! Kinesis data streams. Positions are ours: one process reads all shards of its stream and goes on strictly
//! after the stored checkpoint. There is no lease table.
//!
//! ```text
//! begin.rs, reader.rs (a task)  list shards, start a task for each that may be read, announce children
//! poll.rs, push.rs (tasks)      read one shard each: GetRecords, or SubscribeToShard (enhanced fan-out)
//! cut.rs                        what was read -> batches; packed records are taken apart (aggregate.rs)
//! source.rs                     hands the batches of several shards to the run loop at once
//! ```
//!
//! A shard of stream `orders` is called `orders/shardId-000000000001`. `place.rs` says what its position means,
//! `lineage.rs` which shards may be read: a child only after all of its parents.

mod config;

#[cfg(feature = "kinesis")]
mod aggregate;
#[cfg(feature = "kinesis")]
mod begin;
#[cfg(feature = "kinesis")]
mod client;
#[cfg(feature = "kinesis")]
mod consumer;
#[cfg(feature = "kinesis")]
mod cut;
#[cfg(feature = "kinesis")]
mod failure;
#[cfg(feature = "kinesis")]
mod lineage;
#[cfg(feature = "kinesis")]
mod pace;
#[cfg(feature = "kinesis")]
mod place;
#[cfg(feature = "kinesis")]
mod poll;
#[cfg(feature = "kinesis")]
mod push;
#[cfg(feature = "kinesis")]
mod reader;
#[cfg(feature = "kinesis")]
mod shard;
#[cfg(feature = "kinesis")]
mod source;

pub use config::{KinesisReading, KinesisRole, KinesisSourceConfig, KinesisStart};
#[cfg(feature = "kinesis")]
pub use source::KinesisSource;
