//! What the tasks of one source share, and the way from a task to the reader.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_kinesis::{Client, types::Record as ServiceRecord};
use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::Instant,
};

use super::{
    KinesisSourceConfig,
    cut::{Cutter, Kept},
    failure::Failure,
    pace,
};
use crate::record::{PartitionId, Position, RecordBatch};

/// A shard that said nothing for so long holds up no other.
const STALLED: Duration = Duration::from_secs(10);
/// How often to look whether a shard that was too far ahead may go on.
const HELD_PAUSE: Duration = Duration::from_millis(20);
/// Failures in a row after which a shard counts as out of reach.
const FAILURES_TOLD: u32 = 3;

/// How reading stands with one shard.
#[derive(Debug)]
pub(super) struct Standing {
    /// MillisBehindLatest of the last answer.
    pub(super) behind_millis: Option<u64>,
    heard: Instant,
}

/// Counts, and what the run loop's side says.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) standings: BTreeMap<PartitionId, Standing>,
    /// Newest event time by partition, told by the engine.
    pub(super) newest_millis: BTreeMap<PartitionId, i64>,
    pub(super) lost: u64,
    pub(super) throttled: u64,
    pub(super) damaged: u64,
    pub(super) reconnects: u64,
    pub(super) polled_instead: u64,
}

/// Shared by reader, tasks and source.
#[derive(Clone, Debug, Default)]
pub(super) struct Context(Arc<Mutex<Notes>>);

impl Context {
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a shard is too far ahead of the one furthest behind.
    fn is_held(&self, partition: &PartitionId, max_skew: Duration) -> bool {
        let notes = self.notes();
        let Some(own) = notes.newest_millis.get(partition) else { return false };
        let behind = notes.standings.iter().filter(|(other, standing)| {
            *other != partition && standing.behind_millis != Some(0) && standing.heard.elapsed() < STALLED
        });
        let floor =
            behind.map(|(other, _)| notes.newest_millis.get(other).copied().unwrap_or(i64::MIN)).min();
        floor.is_some_and(|floor| *own > floor.saturating_add(max_skew.as_millis() as i64))
    }

    fn hear(&self, partition: &PartitionId, behind_millis: Option<u64>) {
        let standing = Standing { behind_millis, heard: Instant::now() };
        self.notes().standings.insert(partition.clone(), standing);
    }
}

/// What a task has to say of its shard.
#[derive(Debug)]
pub(super) enum Said {
    /// It was read: batches, and whether this was all there is.
    Read { batches: Vec<RecordBatch>, at_end: bool, permit: Option<OwnedSemaphorePermit> },
    /// It was closed and is read to its end.
    Ended(RecordBatch),
    /// It cannot be read now; the task goes on trying.
    Trouble(Failure),
}

/// One shard and the means to read it.
#[derive(Debug)]
pub(super) struct ShardTask {
    pub(super) config: Arc<KinesisSourceConfig>,
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) shard: String,
    pub(super) partition: PartitionId,
    pub(super) cutter: Cutter,
    pub(super) sender: mpsc::Sender<(String, Said)>,
    /// For jitter.
    pub(super) random: u64,
    pub(super) failures: u32,
    /// The reader was told of trouble that lasts.
    pub(super) in_trouble: bool,
    /// What the reader was told last: at the end, or not; `None` before the first answer and after trouble.
    pub(super) told: Option<bool>,
}

/// Nobody listens any more.
pub(super) struct Over;

impl ShardTask {
    /// Waits until this shard is not too far ahead.
    pub(super) async fn wait_for_others(&self) {
        while self.context.is_held(&self.partition, self.config.max_skew) {
            tokio::time::sleep(HELD_PAUSE).await;
        }
    }

    /// Hands over what an answer held.
    pub(super) async fn hand_over(
        &mut self,
        records: Vec<ServiceRecord>,
        behind_millis: Option<i64>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Over> {
        self.failures = 0;
        self.in_trouble = false;
        let behind = behind_millis.map(|millis| millis.max(0) as u64);
        let kept = records.into_iter().filter_map(kept).collect();
        let batches = self.cutter.cut(kept, behind_millis);
        self.tell_noticed();
        self.context.hear(&self.partition, behind);
        let at_end = behind == Some(0);
        if batches.is_empty() && self.told == Some(at_end) {
            return Ok(());
        }
        self.told = Some(at_end);
        self.say(Said::Read { batches, at_end, permit }).await
    }

    /// Hands over that the shard has ended.
    pub(super) async fn end(mut self) {
        let batch = self.cutter.end();
        self.context.hear(&self.partition, Some(0));
        // Nobody listens only when all is over.
        drop(self.say(Said::Ended(batch)).await);
    }

    /// Takes note of a failure and waits.
    pub(super) async fn fail(&mut self, failure: Failure) -> Result<(), Over> {
        self.failures += 1;
        {
            let mut notes = self.context.notes();
            match failure {
                Failure::Throttled => notes.throttled += 1,
                Failure::Away(_) => notes.reconnects += 1,
                _ => {}
            }
        }
        tracing::debug!(shard = self.shard, failures = self.failures, why = failure.text(), "a call failed");
        let lasts = self.failures >= FAILURES_TOLD && failure != Failure::Throttled;
        if (lasts || matches!(failure, Failure::Final(_))) && !self.in_trouble {
            self.in_trouble = true;
            self.told = None;
            self.say(Said::Trouble(failure)).await?;
        }
        let pause = pace::after_failure(self.failures, pace::next_random(&mut self.random));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn tell_noticed(&mut self) {
        let position = self.cutter.position().clone();
        let noticed = self.cutter.take_noticed();
        self.context.notes().damaged += noticed.damaged;
        if noticed.damaged > 0 {
            tracing::debug!(
                shard = self.shard,
                count = noticed.damaged,
                "packed records with a wrong checksum"
            );
        }
        if let Some(first) = noticed.gap_before {
            self.context.notes().lost += 1;
            tracing::error!(
                source = self.config.name,
                partition = %self.partition,
                %first,
                %position,
                "data lost: the record read last has expired, and so may have others after it (retention)"
            );
        }
    }

    async fn say(&self, said: Said) -> Result<(), Over> {
        self.sender.send((self.shard.clone(), said)).await.map_err(|_| Over)
    }
}

fn kept(record: ServiceRecord) -> Option<Kept> {
    let Ok(sequence) = record.sequence_number.parse::<Position>() else {
        tracing::error!(sequence = record.sequence_number, "a sequence number that is no number; left out");
        return None;
    };
    Some(Kept {
        sequence,
        key: record.partition_key,
        arrived_millis: record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok()),
        data: Bytes::from(record.data.into_inner()),
    })
}
