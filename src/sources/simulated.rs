//! The seeded shop as a source: history as fast as it can be read, then live by the clock.
//!
//! A position is the number of events handed out, so a restart makes the same events again and goes on.

use std::{iter::Peekable, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tidewatch_datasets::shop::{Shop, ShopConfig};

use crate::{
    pipeline::{Clock, Source, SourceError, SourceState},
    record::{Checkpoint, PartitionId, Position, Receipt, Record, RecordBatch},
};

const EVENTS_PER_BATCH: usize = 10_000;
/// Longest wait between looks at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Behind the clock by more than this, the source is still catching up.
const BEHIND_MILLIS: i64 = 60_000;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct SimulatedSourceConfig {
    /// The shop.
    pub shop: ShopConfig,
}

/// Hands out the shop's events up to the clock's time.
#[derive(Debug)]
pub struct SimulatedSource {
    events: Peekable<Shop>,
    partition: PartitionId,
    position: Position,
    newest_millis: i64,
    clock: Arc<dyn Clock>,
}

impl SimulatedSource {
    /// Goes on after the checkpoint.
    pub fn new(config: &SimulatedSourceConfig, checkpoint: &Checkpoint, clock: Arc<dyn Clock>) -> Self {
        let partition = PartitionId::new("shop");
        let position = checkpoint.position(&partition);
        let mut shop = Shop::new(&config.shop);
        if let Some(taken) = position.number().filter(|taken| *taken > 0) {
            shop.nth(taken as usize - 1);
        }
        let newest_millis = config.shop.start_millis;
        Self { events: shop.peekable(), partition, position, newest_millis, clock }
    }

    fn batch(&mut self, until_millis: i64) -> RecordBatch {
        let mut text = Vec::with_capacity(EVENTS_PER_BATCH * 200);
        let mut ends = Vec::with_capacity(EVENTS_PER_BATCH);
        while ends.len() < EVENTS_PER_BATCH
            && let Some(event) = self.events.next_if(|event| event.time_millis <= until_millis)
        {
            self.newest_millis = event.time_millis;
            event.write_json(&mut text);
            ends.push(text.len());
        }
        let text = Bytes::from(text);
        let mut start = 0;
        let mut record = |end: usize| Record::new(text.slice(std::mem::replace(&mut start, end)..end));
        let records: Vec<Record> = ends.into_iter().map(&mut record).collect();
        let reached = self.position.number().unwrap_or(0) + records.len() as u64;
        let from_exclusive = std::mem::replace(&mut self.position, Position::at(reached));
        RecordBatch {
            partition: self.partition.clone(),
            records,
            from_exclusive,
            to_inclusive: self.position.clone(),
            header: None,
            received_millis: None,
            lag_millis: Some((until_millis - self.newest_millis).max(0)),
            ends_partition: false,
        }
    }
}

#[async_trait]
impl Source for SimulatedSource {
    fn partitions(&self) -> Vec<PartitionId> {
        vec![self.partition.clone()]
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        loop {
            let now = self.clock.now_millis();
            match self.events.peek() {
                None => return Ok(None),
                Some(event) if event.time_millis <= now => return Ok(Some(self.batch(now))),
                Some(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn acknowledge(&mut self, _: &Checkpoint, _: Vec<Receipt>) -> Result<(), SourceError> {
        Ok(())
    }

    fn state(&self) -> SourceState {
        if self.clock.now_millis() - self.newest_millis > BEHIND_MILLIS.max(0) {
            SourceState::Reading
        } else {
            SourceState::CaughtUp
        }
    }

    fn can_replay(&self) -> bool {
        true
    }
}
