//! How reading begins: the client, the list of shards, the consumer, and what has gone since the last time.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    KinesisSourceConfig, KinesisStart,
    client::{self, list_shards},
    consumer,
    cut::Cutter,
    failure::Failure,
    lineage::{self, Shards},
    pace, place,
    reader::{Heard, Reader, seed},
    shard::{Context, Over},
};
use crate::{
    pipeline::{Clock, SourceError},
    record::{Checkpoint, PartitionId, Position, RecordBatch},
};

/// Answers of GetRecords held in memory or under way, of at most 10 MiB each.
const ANSWERS_HELD: usize = 16;
/// What tasks have to say and the reader has not heard.
const SAID_WAITING: usize = 16;

/// Reads a stream until nobody listens, or until that cannot go on, which is said.
pub(super) async fn run(
    mut config: KinesisSourceConfig,
    checkpoint: Checkpoint,
    context: Context,
    clock: Arc<dyn Clock>,
    sender: mpsc::Sender<Heard>,
) {
    let client = match client::client(&mut config).await {
        Ok(client) => client,
        Err(failure) => {
            // Nobody listens any more: then nobody wants to know.
            drop(sender.send(Heard::Lost(SourceError::Unusable(failure.text().to_owned()))).await);
            return;
        }
    };
    let (say, said) = mpsc::channel(SAID_WAITING);
    let start = match config.start {
        KinesisStart::TrimHorizon => Position::Beginning,
        KinesisStart::Latest => place::at_time(clock.now_millis()),
        KinesisStart::At(millis) => place::at_time(millis),
        KinesisStart::Back(back) => place::at_time(clock.now_millis() - back.as_millis() as i64),
    };
    let positions = checkpoint
        .iter()
        .filter_map(|(partition, position)| Some((shard_of(&config, partition)?, position.clone())))
        .collect();
    let reader = Reader {
        config: Arc::new(config),
        client,
        context,
        sender,
        said,
        say,
        shards: Shards::new(),
        positions,
        start,
        reading: BTreeMap::new(),
        ended: Vec::new(),
        tasks: JoinSet::new(),
        answers: Arc::new(Semaphore::new(ANSWERS_HELD)),
        consumer: None,
        has_read: false,
        lost: false,
    };
    drop(reader.read().await);
}

fn shard_of(config: &KinesisSourceConfig, partition: &PartitionId) -> Option<String> {
    let (stream, shard) = partition.as_str().split_once('/')?;
    (stream == config.stream).then(|| shard.to_owned())
}

impl Reader {
    /// What is known before the first record: first positions, and what is lost.
    pub(super) async fn begin(&mut self) -> Result<Vec<RecordBatch>, Over> {
        self.shards = self.connect().await?;
        if let Some(shard) = lineage::made_anew(&self.shards, &self.positions) {
            let text = format!(
                "{}: shard {shard} begins after the position in the store: the stream was made anew; read it \
                 under another source name, or remove the store",
                self.config.place()
            );
            self.say(Heard::Lost(SourceError::Unusable(text))).await?;
            return Err(Over);
        }
        self.register().await;
        let mut batches = self.write_off_expired();
        batches.extend(self.start_readable());
        Ok(batches)
    }

    /// The shards, as soon as the stream can be reached.
    async fn connect(&self) -> Result<Shards, Over> {
        let mut random = seed(&self.config.stream);
        for failures in 1_u32.. {
            let failure = match list_shards(&self.client, &self.config).await {
                Ok(shards) if shards.is_empty() => {
                    Failure::Away(format!("{}: it has no shards yet", self.config.place()))
                }
                Ok(shards) => return Ok(shards),
                Err(Failure::Final(text) | Failure::Refused(text)) => {
                    self.say(Heard::Lost(SourceError::Unusable(text))).await?;
                    return Err(Over);
                }
                Err(failure) => failure,
            };
            if failures == 1 {
                self.say(Heard::Lost(SourceError::Unavailable(failure.text().to_owned()))).await?;
            }
            tokio::time::sleep(pace::after_failure(failures, pace::next_random(&mut random))).await;
        }
        Err(Over)
    }

    /// Asks for fan-out if that is configured; what cannot be registered is polled, and that is told.
    async fn register(&mut self) {
        let Some(name) = &self.config.consumer else { return };
        match consumer::register(&self.client, &self.config, name, &mut seed(name)).await {
            Ok(arn) => self.consumer = Some(arn.into()),
            Err(failure) => {
                self.context.notes().polled_instead += 1;
                let (source, why) = (&self.config.name, failure.text());
                tracing::warn!(
                    source,
                    consumer = name,
                    why,
                    "no consumer for fan-out, so the stream is polled"
                );
            }
        }
    }

    /// Says of shards that have expired with records that were never read that they are lost.
    fn write_off_expired(&mut self) -> Vec<RecordBatch> {
        let mut batches = Vec::new();
        for shard in lineage::expired(&self.shards, &self.positions) {
            let position = self.positions.get(&shard).cloned().unwrap_or_default();
            self.context.notes().lost += 1;
            tracing::error!(
                source = self.config.name,
                shard,
                %position,
                "data lost: the shard has expired and was not read to its end (retention)"
            );
            let mut cutter = Cutter::new(self.partition(&shard), position, self.config.reading);
            batches.push(cutter.end());
            self.positions.insert(shard, batches[batches.len() - 1].to_inclusive.clone());
        }
        batches
    }
}
