//! Assignment: partitions found are read from where the store stands, and never jump silently.

use std::collections::BTreeMap;

use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError};

use super::{
    KafkaStart,
    client::{partition_id, topic_of},
    part::Part,
    positions::{self, Place},
    reader::{Over, Reader},
};
use crate::record::{PartitionId, Position, RecordBatch};
use tokio::time::Instant;

impl Reader {
    /// Assigns partitions not read yet. A batch without records tells where each starts, so that the store
    /// knows and a restart does not decide again.
    pub(super) fn find(&mut self) -> Result<(), KafkaError> {
        let found = positions::discover(&self.consumer, &self.config)?;
        let known: BTreeMap<PartitionId, Position> =
            self.checkpoint.iter().map(|(id, position)| (id.clone(), position.clone())).collect();
        for (topic, partition) in &found {
            let id = partition_id(topic, *partition);
            if self.parts.contains_key(&id) {
                continue;
            }
            let position = known.get(&id);
            let place = if let Some(position) = position {
                let next = position.number().map_or(0, |offset| offset as i64 + 1);
                positions::go_on(&self.consumer, topic, *partition, next)?
            } else {
                // What appears while we read is new from its first record on.
                let appeared = self.connected || self.topics.contains(topic);
                let start = if appeared { KafkaStart::Earliest } else { self.config.start };
                let now = self.clock.now_millis();
                Place::Next(positions::begin(&self.consumer, (topic, *partition), start, now)?)
            };
            let batch = self.add((topic, *partition), position, place)?;
            self.positioned.extend(batch);
        }
        self.topics.extend(found.into_iter().map(|(topic, _)| topic));
        Ok(())
    }

    /// Starts reading a partition at a place; a batch without records moves the checkpoint there.
    fn add(
        &mut self,
        (topic, partition): (&str, i32),
        position: Option<&Position>,
        place: Place,
    ) -> Result<Option<RecordBatch>, KafkaError> {
        let id = partition_id(topic, partition);
        let next = match place {
            Place::Next(next) => next,
            Place::Lost { first } => {
                let from = position.and_then(Position::number).map_or(0, |offset| offset as i64 + 1);
                self.tell_lost(&id, from, first);
                first
            }
            Place::Shorter { end } => {
                return Err(KafkaError::Seek(format!(
                    "partition {id} ends at offset {end}, but the store has read past it: the topic was made \
                     anew; read it under another source name, or remove the store"
                )));
            }
        };
        // Before the assignment, so that no record takes another way.
        let queue = self.consumer.split_partition_queue(topic, partition);
        let queue = queue.ok_or_else(|| KafkaError::Subscription(id.to_string()))?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(next))?;
        self.consumer.incremental_assign(&list)?;
        let stands = position.cloned().unwrap_or_default();
        let mut part = Part {
            id: id.clone(),
            queue,
            position: stands,
            at_end: false,
            heard: Instant::now(),
            usual: (0, 0),
        };
        let batch = match position {
            Some(_) if part.next_offset() == next => None,
            None if next == 0 => Some(part.stand_still()),
            _ => Some(part.advance(next - 1, Vec::new(), None)),
        };
        self.parts.insert(id, part);
        Ok(batch)
    }

    fn tell_lost(&self, partition: &PartitionId, from: i64, first: i64) {
        let count = (first - from).max(0) as u64;
        self.context.notes().lost += count;
        tracing::error!(
            source = self.config.name,
            %partition,
            from,
            to = first - 1,
            count,
            "data lost: the broker deleted these records before they were read (retention)"
        );
    }

    /// The broker no longer has a partition's next record: says what is lost and goes on with what is there.
    pub(super) fn find_again(&mut self, id: &PartitionId) -> Result<Option<RecordBatch>, Over> {
        let Some((topic, partition)) = topic_of(id) else { return Ok(None) };
        let Some(part) = self.parts.get(id) else { return Ok(None) };
        let (position, next) = (part.position.clone(), part.next_offset());
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let outcome = self
            .consumer
            .incremental_unassign(&list)
            .and_then(|()| positions::go_on(&self.consumer, topic, partition, next))
            .and_then(|place| {
                self.parts.remove(id);
                self.add((topic, partition), Some(&position), place)
            });
        match outcome {
            Ok(batch) => Ok(batch),
            Err(error) => {
                // Unassigned now: the next look assigns it again, from where it stands.
                self.parts.remove(id);
                self.checkpoint.insert(id.clone(), position);
                self.fail(&error).map(|()| None)
            }
        }
    }
}
