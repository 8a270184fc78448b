//! The run loop's side: batches of several shards out, event times in.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    KinesisSourceConfig, begin,
    client::{client, list_shards},
    failure::Failure,
    reader::Heard,
    shard::Context,
};
use crate::{
    pipeline::{Clock, Source, SourceError, SourceFigures, SourceState},
    record::{Checkpoint, PartitionId, Receipt, RecordBatch},
};

/// What the reader may say ahead.
const HEARD_WAITING: usize = 4;
/// Bytes taken from the reader at most, by one answer more.
const BYTES_WAITING: usize = 32 << 20;

/// Reads a Kinesis stream.
pub struct KinesisSource {
    config: KinesisSourceConfig,
    context: Context,
    heard: mpsc::Receiver<Heard>,
    task: JoinHandle<()>,
    partitions: BTreeSet<PartitionId>,
    state: SourceState,
    /// Taken from the reader and not handed out yet.
    waiting: VecDeque<RecordBatch>,
    /// Said after what waits.
    error: Option<SourceError>,
}

impl fmt::Debug for KinesisSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisSource").field("config", &self.config).finish_non_exhaustive()
    }
}

impl KinesisSource {
    /// Lists the shards of a stream and says how many there are.
    pub async fn check(mut config: KinesisSourceConfig) -> Result<String, SourceError> {
        let unusable = |failure: Failure| SourceError::Unusable(failure.text().to_owned());
        let client = client(&mut config).await.map_err(unusable)?;
        let shards = list_shards(&client, &config).await.map_err(unusable)?;
        let open = shards.values().filter(|shard| !shard.is_closed).count();
        Ok(format!("{open} open shards, {} closed", shards.len() - open))
    }

    /// Starts the task that reads; connecting happens there. Needs a runtime.
    pub fn new(config: KinesisSourceConfig, checkpoint: &Checkpoint, clock: Arc<dyn Clock>) -> Self {
        let context = Context::default();
        let (sender, heard) = mpsc::channel(HEARD_WAITING);
        let reader = begin::run(config.clone(), checkpoint.clone(), context.clone(), clock, sender);
        Self {
            config,
            context,
            heard,
            task: tokio::spawn(reader),
            partitions: checkpoint.iter().map(|(partition, _)| partition.clone()).collect(),
            state: SourceState::Starting,
            waiting: VecDeque::new(),
            error: None,
        }
    }

    /// Waits for the reader and takes what it has said. Cancel-safe.
    async fn hear(&mut self) -> Result<(), SourceError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut next = self.heard.recv().await;
        let mut num_bytes = 0;
        while let Some(heard) = next.take() {
            match heard {
                Heard::Read(batches, state, permit) => {
                    num_bytes += batches.iter().map(RecordBatch::payload_bytes).sum::<usize>();
                    self.partitions.extend(batches.iter().map(|batch| batch.partition.clone()));
                    self.waiting.extend(batches);
                    self.state = state;
                    drop(permit);
                }
                Heard::Lost(error) if self.waiting.is_empty() => return Err(error),
                Heard::Lost(error) => {
                    self.error = Some(error);
                    return Ok(());
                }
            }
            if num_bytes < BYTES_WAITING {
                next = self.heard.try_recv().ok();
            }
            if next.is_none() {
                return Ok(());
            }
        }
        let name = &self.config.name;
        Err(SourceError::Unusable(format!("the task that reads Kinesis for `{name}` has ended")))
    }
}

/// Takes the first batch of each shard. Nothing is taken past the end of a shard before that end itself, so that
/// children never come before their parents.
fn round(waiting: &mut VecDeque<RecordBatch>) -> Vec<RecordBatch> {
    let mut taken: BTreeSet<PartitionId> = BTreeSet::new();
    let (mut round, mut rest) = (Vec::new(), VecDeque::new());
    let mut barrier = false;
    for batch in waiting.drain(..) {
        let repeats = taken.contains(&batch.partition);
        barrier |= repeats && batch.ends_partition;
        if barrier || repeats {
            rest.push_back(batch);
        } else {
            taken.insert(batch.partition.clone());
            round.push(batch);
        }
    }
    *waiting = rest;
    round
}

impl Drop for KinesisSource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Source for KinesisSource {
    fn partitions(&self) -> Vec<PartitionId> {
        self.partitions.iter().cloned().collect()
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        while self.waiting.is_empty() {
            self.hear().await?;
        }
        Ok(self.waiting.pop_front())
    }

    async fn next_batches(&mut self) -> Result<Option<Vec<RecordBatch>>, SourceError> {
        if self.waiting.is_empty() {
            self.hear().await?;
        }
        Ok(Some(round(&mut self.waiting)))
    }

    /// Nothing to tell: no lease, no position on the other side.
    async fn acknowledge(&mut self, _: &Checkpoint, _: Vec<Receipt>) -> Result<(), SourceError> {
        Ok(())
    }

    fn state(&self) -> SourceState {
        if self.waiting.is_empty() { self.state.clone() } else { SourceState::Reading }
    }

    fn can_replay(&self) -> bool {
        true
    }

    fn set_event_times(&mut self, newest_millis: &dyn Fn(&PartitionId) -> Option<i64>) {
        let newest = self
            .partitions
            .iter()
            .filter_map(|partition| Some((partition.clone(), newest_millis(partition)?)))
            .collect();
        self.context.notes().newest_millis = newest;
    }

    fn figures(&mut self) -> SourceFigures {
        let notes = self.context.notes();
        let behind = |(partition, standing): (&PartitionId, &super::shard::Standing)| {
            Some((partition.clone(), standing.behind_millis?))
        };
        SourceFigures {
            behind_millis: notes.standings.iter().filter_map(behind).collect(),
            lost: notes.lost,
            reconnects: notes.reconnects,
            troubles: vec![
                ("throttled", notes.throttled),
                ("damaged_pack", notes.damaged),
                ("polled_instead", notes.polled_instead),
            ],
            ..SourceFigures::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Position;

    fn batch(partition: &str, to: u64, ends_partition: bool) -> RecordBatch {
        RecordBatch {
            partition: PartitionId::new(partition),
            records: Vec::new(),
            from_exclusive: Position::Beginning,
            to_inclusive: Position::at(to),
            header: None,
            received_millis: None,
            lag_millis: None,
            ends_partition,
        }
    }

    #[test]
    fn a_round_has_one_batch_of_each_shard_and_no_child_before_its_parent() {
        let mut waiting: VecDeque<RecordBatch> = [
            batch("a", 1, false),
            batch("a", 2, false),
            batch("b", 1, false),
            batch("a", 3, true),
            batch("child", 1, false),
            batch("b", 2, false),
        ]
        .into();
        let mut rounds = Vec::new();
        while !waiting.is_empty() {
            let taken = round(&mut waiting);
            rounds.push(
                taken
                    .iter()
                    .map(|batch| format!("{}{}", batch.partition, batch.to_inclusive))
                    .collect::<Vec<_>>(),
            );
        }
        assert_eq!(rounds, [vec!["a1", "b1"], vec!["a2"], vec!["a3", "child1", "b2"]]);
    }
}
