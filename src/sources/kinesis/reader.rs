//! The task that knows the stream: lists its shards, starts a task for each that may be read, and when one has
//! ended, makes its children known in the same breath. So the watermark never runs ahead of what they hold.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use aws_sdk_kinesis::Client;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::MissedTickBehavior,
};

use super::{
    KinesisSourceConfig,
    client::list_shards,
    cut::Cutter,
    failure::Failure,
    lineage::{self, Positions, Shards},
    place,
    shard::{Context, Over, Said, ShardTask},
};
use crate::{
    pipeline::{SourceError, SourceState},
    record::{PartitionId, Position, RecordBatch},
};

/// How often to look for the children of a shard that has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks after which a shard is taken to have none.
const LOOKS_MAX: u32 = 30;

/// What the reader has to say.
#[derive(Debug)]
pub(super) enum Heard {
    /// Batches, and the state after them. The permit is given back when the batches are taken.
    Read(Vec<RecordBatch>, SourceState, Option<OwnedSemaphorePermit>),
    /// It cannot be read now; goes on trying unless the error says otherwise.
    Lost(SourceError),
}

/// How reading stands with a shard.
#[derive(Debug, Default)]
pub(super) struct Progress {
    at_end: bool,
    in_trouble: bool,
}

/// A shard that has ended, until its children are found.
#[derive(Debug)]
pub(super) struct Ended {
    shard: String,
    batch: RecordBatch,
    looks: u32,
}

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) config: Arc<KinesisSourceConfig>,
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) sender: mpsc::Sender<Heard>,
    pub(super) said: mpsc::Receiver<(String, Said)>,
    pub(super) say: mpsc::Sender<(String, Said)>,
    pub(super) shards: Shards,
    /// As the store has them; of shards being read, where they began.
    pub(super) positions: Positions,
    pub(super) start: Position,
    pub(super) reading: BTreeMap<String, Progress>,
    pub(super) ended: Vec<Ended>,
    pub(super) tasks: JoinSet<()>,
    pub(super) answers: Arc<Semaphore>,
    /// Of fan-out; without one, shards are polled.
    pub(super) consumer: Option<Arc<str>>,
    /// Some shard has been read.
    pub(super) has_read: bool,
    pub(super) lost: bool,
}

impl Reader {
    pub(super) async fn read(mut self) -> Result<(), Over> {
        let batches = self.begin().await?;
        self.say(Heard::Read(batches, self.state(), None)).await?;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                said = self.said.recv() => match said {
                    Some((shard, said)) => self.take(shard, said).await?,
                    None => return Err(Over),
                },
                _ = looks.tick(), if !self.ended.is_empty() => self.follow().await?,
                () = self.sender.closed() => return Err(Over),
                Some(Err(error)) = self.tasks.join_next() => {
                    let text = format!("a task that reads {} has failed: {error}", self.config.place());
                    self.say(Heard::Lost(SourceError::Unusable(text))).await?;
                    return Err(Over);
                }
            }
        }
    }

    /// Starts a task for each shard that may be read and is not; gives the first positions of new ones.
    pub(super) fn start_readable(&mut self) -> Vec<RecordBatch> {
        let mut batches = Vec::new();
        for (shard, position) in lineage::readable(&self.shards, &self.positions, &self.start) {
            if self.reading.contains_key(&shard) {
                continue;
            }
            let partition = self.partition(&shard);
            let stored = self.positions.get(&shard);
            let mut cutter = Cutter::new(partition.clone(), position.clone(), self.config.reading);
            if stored != Some(&position) {
                batches.push(cutter.begin(position.clone()));
                self.positions.insert(shard.clone(), position);
            }
            let task = ShardTask {
                config: Arc::clone(&self.config),
                client: self.client.clone(),
                context: self.context.clone(),
                random: seed(&shard),
                shard: shard.clone(),
                partition,
                cutter,
                sender: self.say.clone(),
                failures: 0,
                in_trouble: false,
                told: None,
            };
            // What is left in a closed shard is soon read, and its end is sure to be told.
            let is_closed = self.shards.get(&shard).is_some_and(|listed| listed.is_closed);
            match self.consumer.as_ref().filter(|_| !is_closed) {
                Some(consumer) => self.tasks.spawn(task.receive(Arc::clone(consumer))),
                None => self.tasks.spawn(task.poll(Arc::clone(&self.answers))),
            };
            self.reading.insert(shard, Progress::default());
        }
        batches
    }

    async fn take(&mut self, shard: String, said: Said) -> Result<(), Over> {
        match said {
            Said::Read { batches, at_end, permit } => {
                self.reading.insert(shard, Progress { at_end, in_trouble: false });
                (self.lost, self.has_read) = (false, true);
                self.say(Heard::Read(batches, self.state(), permit)).await
            }
            Said::Ended(batch) => {
                self.ended.push(Ended { shard, batch, looks: 0 });
                self.follow().await
            }
            Said::Trouble(Failure::Final(text)) if !self.has_read => {
                self.say(Heard::Lost(SourceError::Unusable(text))).await?;
                Err(Over)
            }
            Said::Trouble(failure) => {
                let text = failure.text().to_owned();
                tracing::warn!(
                    source = self.config.name,
                    shard,
                    error = text,
                    "a shard cannot be read, trying again"
                );
                self.reading.insert(shard, Progress { at_end: false, in_trouble: true });
                let all = self.reading.values().all(|progress| progress.in_trouble);
                if all && !std::mem::replace(&mut self.lost, true) {
                    return self.say(Heard::Lost(SourceError::Unavailable(text))).await;
                }
                self.say(Heard::Read(Vec::new(), self.state(), None)).await
            }
        }
    }

    /// Looks for the children of shards that have ended, and says both at once.
    async fn follow(&mut self) -> Result<(), Over> {
        match list_shards(&self.client, &self.config).await {
            Ok(shards) => self.shards = shards,
            Err(failure) => {
                tracing::debug!(source = self.config.name, why = failure.text(), "no list of shards");
                return Ok(());
            }
        }
        let mut batches = Vec::new();
        let mut announced = Vec::new();
        for mut ended in std::mem::take(&mut self.ended) {
            ended.looks += 1;
            let children: Vec<String> = lineage::children(&self.shards, &ended.shard).cloned().collect();
            if children.is_empty() && ended.looks < LOOKS_MAX {
                self.ended.push(ended);
                continue;
            }
            tracing::info!(source = self.config.name, shard = ended.shard, ?children, "read to its end");
            self.reading.remove(&ended.shard);
            self.positions.insert(ended.shard, ended.batch.to_inclusive.clone());
            batches.push(ended.batch);
            announced.extend(children);
        }
        batches.extend(self.start_readable());
        for child in announced {
            if !self.positions.contains_key(&child) {
                let mut cutter =
                    Cutter::new(self.partition(&child), Position::Beginning, self.config.reading);
                batches.push(cutter.begin(Position::Beginning));
                self.positions.insert(child, Position::Beginning);
            }
        }
        if batches.is_empty() { Ok(()) } else { self.say(Heard::Read(batches, self.state(), None)).await }
    }

    pub(super) fn partition(&self, shard: &str) -> PartitionId {
        PartitionId::new(format!("{}/{shard}", self.config.stream))
    }

    fn state(&self) -> SourceState {
        let is_done = |id: &String| self.positions.get(id).is_some_and(place::is_drained);
        let all_known = self.shards.keys().all(|id| self.reading.contains_key(id) || is_done(id));
        let at_end = self.ended.is_empty() && self.reading.values().all(|progress| progress.at_end);
        if all_known && at_end { SourceState::CaughtUp } else { SourceState::Reading }
    }

    pub(super) async fn say(&self, heard: Heard) -> Result<(), Over> {
        self.sender.send(heard).await.map_err(|_| Over)
    }
}

/// Another for each process, so that processes do not retry in step; never 0.
pub(super) fn seed(name: &str) -> u64 {
    RandomState::new().hash_one(name) | 1
}
