//! Kafka topics. Positions are ours: one process reads all partitions of its topics, goes on strictly after
//! the stored checkpoint, and tells the broker's group how far it came only after each commit, for lag tools.
//!
//! ```text
//! librdkafka's threads   fetch and decompress, one bounded queue per partition
//! reader.rs (a thread)   takes a batch from every partition that may be read; finds new partitions
//! registry.rs            finds the schemas that Avro and Protobuf records name
//! source.rs              hands the batches of several partitions to the run loop at once
//! letters.rs             passes refused records on to a topic
//! login.rs, msk.rs       tokens to log in with
//! ```
//!
//! A partition of topic `orders` is called `orders/3`; its position is the offset of the last record read.

mod config;

#[cfg(feature = "kafka")]
mod assign;
#[cfg(feature = "kafka")]
mod client;
#[cfg(feature = "kafka")]
mod letters;
#[cfg(feature = "kafka")]
mod login;
#[cfg(feature = "kafka")]
mod msk;
#[cfg(feature = "kafka")]
mod part;
#[cfg(feature = "kafka")]
mod positions;
#[cfg(feature = "kafka")]
mod reader;
#[cfg(feature = "kafka")]
mod registry;
#[cfg(feature = "kafka")]
mod source;

pub use config::{KafkaLogin, KafkaRegistry, KafkaSourceConfig, KafkaStart, KafkaTopics};
#[cfg(feature = "kafka")]
pub use {letters::KafkaLetters, source::KafkaSource};
