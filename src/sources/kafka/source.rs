//! The run loop's side: batches out, event times in, offsets to the broker after the commit.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::Arc,
    thread::JoinHandle,
};

use async_trait::async_trait;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
};
use tokio::sync::mpsc;

use super::{
    KafkaSourceConfig,
    client::{self, Consumer, Context, topic_of},
    reader::{Heard, Reader},
};
use crate::{
    pipeline::{Clock, Source, SourceError, SourceFigures, SourceState},
    record::{Checkpoint, PartitionId, Position, Receipt, RecordBatch},
};
use tokio::time::Instant;

/// Rounds that wait to be taken, besides the one being made.
const ROUNDS_WAITING: usize = 1;

/// Reads Kafka topics.
pub struct KafkaSource {
    config: KafkaSourceConfig,
    context: Context,
    consumer: Arc<Consumer>,
    rounds: mpsc::Receiver<Heard>,
    thread: Option<JoinHandle<()>>,
    partitions: BTreeSet<PartitionId>,
    state: SourceState,
    /// Taken from a round and not handed out yet.
    waiting: VecDeque<RecordBatch>,
    /// What the broker was told.
    told: BTreeMap<PartitionId, Position>,
}

impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource").field("config", &self.config).finish_non_exhaustive()
    }
}

impl KafkaSource {
    /// Makes the client and starts its thread; connecting happens there.
    pub fn new(
        config: KafkaSourceConfig,
        checkpoint: &Checkpoint,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let context = Context::default();
        let consumer = client::consumer(&config, &context)?;
        let (sender, rounds) = mpsc::channel(ROUNDS_WAITING);
        let partitions: BTreeSet<PartitionId> =
            checkpoint.iter().map(|(partition, _)| partition.clone()).collect();
        let reader = Reader {
            config: config.clone(),
            context: context.clone(),
            consumer: Arc::clone(&consumer),
            checkpoint: checkpoint.clone(),
            clock,
            sender,
            parts: BTreeMap::new(),
            topics: partitions.iter().filter_map(topic_of).map(|(topic, _)| topic.to_owned()).collect(),
            connected: false,
            lost: false,
            looked_at: None,
            told: SourceState::Starting,
            positioned: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("kafka-{}", config.name))
            .spawn(move || reader.run())
            .map_err(|error| SourceError::Unusable(format!("no thread for Kafka: {error}")))?;
        Ok(Self {
            config,
            context,
            consumer,
            rounds,
            thread: Some(thread),
            partitions,
            state: SourceState::Starting,
            waiting: VecDeque::new(),
            told: BTreeMap::new(),
        })
    }

    /// Takes the next round. Cancel-safe.
    async fn hear(&mut self) -> Result<(), SourceError> {
        match self.rounds.recv().await {
            Some(Heard::Read(batches, state)) => {
                self.partitions.extend(batches.iter().map(|batch| batch.partition.clone()));
                self.waiting.extend(batches);
                self.state = state;
                Ok(())
            }
            Some(Heard::Lost(error)) => Err(error),
            None => Err(SourceError::Unusable(format!(
                "the thread that reads Kafka for `{}` has ended",
                self.config.name
            ))),
        }
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.rounds.close();
        while self.rounds.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            // It says good-bye within seconds; a panic in it was reported when it happened.
            drop(thread.join());
        }
    }
}

#[async_trait]
impl Source for KafkaSource {
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
        Ok(Some(self.waiting.drain(..).collect()))
    }

    /// Tells the broker how far the store has come. A failure is counted and costs nothing: the store's
    /// positions hold.
    async fn acknowledge(&mut self, checkpoint: &Checkpoint, _: Vec<Receipt>) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::new();
        for (partition, position) in checkpoint.iter() {
            let Some((topic, number)) = topic_of(partition) else { continue };
            let Some(offset) = position.number().filter(|_| self.told.get(partition) != Some(position))
            else {
                continue;
            };
            if list.add_partition_offset(topic, number, Offset::Offset(offset as i64 + 1)).is_ok() {
                self.told.insert(partition.clone(), position.clone());
            }
        }
        if list.count() == 0 {
            return Ok(());
        }
        self.context.notes().commits_sent.push_back(Instant::now());
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            let mut notes = self.context.notes();
            notes.commits_sent.pop_back();
            notes.commits_failed += 1;
            tracing::debug!(%error, "the group's offsets were not written; the store's hold");
        }
        Ok(())
    }

    fn state(&self) -> SourceState {
        self.state.clone()
    }

    fn can_replay(&self) -> bool {
        true
    }

    fn set_event_times(&mut self, newest_millis: &dyn Fn(&PartitionId) -> Option<i64>) {
        let newest: BTreeMap<PartitionId, i64> = self
            .partitions
            .iter()
            .filter_map(|partition| Some((partition.clone(), newest_millis(partition)?)))
            .collect();
        self.context.notes().newest_millis = newest;
    }

    fn figures(&mut self) -> SourceFigures {
        let mut notes = self.context.notes();
        let lag = |(partition, (next, at_end)): (&PartitionId, &(i64, bool))| {
            let end = notes.ends.get(partition).copied().unwrap_or(*next);
            let lag = if *at_end { 0 } else { (end - next).max(0) as u64 };
            (partition.clone(), lag)
        };
        let lags = notes.reached.iter().map(lag).collect();
        SourceFigures {
            lags,
            lost: notes.lost,
            tombstones: notes.tombstones,
            reconnects: notes.disconnects,
            acknowledge_failures: notes.commits_failed,
            acknowledge_seconds: std::mem::take(&mut notes.commit_seconds),
        }
    }
}
