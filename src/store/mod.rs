//! Floor 5: where results live.
//!
//! A store promises: a commit is all or nothing; a delta that does not start at the stored checkpoint is
//! refused and changes nothing; what was committed survives the process being killed at any moment; one
//! process at a time holds a store.

mod adopt;
mod backfill;
mod dead_letters;
mod deliveries;
mod incidents;
mod instructions;
mod lock;
mod migrate;
mod read;
mod sqlite;
mod write;

pub use dead_letters::DeadLetterFile;
pub use lock::{LockError, StoreLock};
pub use sqlite::{Durability, SqliteStore};
