//! One shard by polling: GetRecords, within the limits of the shard.

use std::sync::Arc;

use aws_sdk_kinesis::{primitives::DateTime, types::ShardIteratorType};
use tokio::sync::Semaphore;

use super::{
    client::names,
    failure::{Failure, judge},
    pace,
    place::{Place, place},
    shard::{Over, ShardTask},
};

impl ShardTask {
    /// Reads until the shard ends. At most as many answers as `answers` has permits are held in memory.
    pub(super) async fn poll(mut self, answers: Arc<Semaphore>) {
        let mut iterator = None;
        loop {
            match self.turn(iterator.take(), &answers).await {
                Ok(Turn::Go(next)) => iterator = next,
                Ok(Turn::End) => return self.end().await,
                Err(Over) => return,
            }
        }
    }

    async fn turn(&mut self, iterator: Option<String>, answers: &Arc<Semaphore>) -> Result<Turn, Over> {
        self.wait_for_others().await;
        let iterator = match iterator {
            Some(iterator) => iterator,
            None => match self.iterator().await {
                Ok(Some(iterator)) => iterator,
                Ok(None) => return Ok(Turn::End),
                Err(failure) => {
                    self.fail(failure).await?;
                    return Ok(Turn::Go(None));
                }
            },
        };
        let permit = Arc::clone(answers).acquire_owned().await.map_err(|_| Over)?;
        let asked = self.client.get_records().shard_iterator(&iterator).send().await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) => {
                drop(permit);
                let failure = judge(&self.config, "GetRecords", &error);
                // Throttling and trouble on the way leave the iterator as it was.
                let keeps = matches!(failure, Failure::Throttled | Failure::Away(_)) && self.failures < 2;
                if failure == Failure::Iterator && self.failures == 0 {
                    self.failures = 1;
                } else {
                    self.fail(failure).await?;
                }
                return Ok(Turn::Go(keeps.then_some(iterator)));
            }
        };
        let num_bytes = answer.records.iter().map(|record| record.data.as_ref().len()).sum();
        let next = answer.next_shard_iterator.filter(|next| !next.is_empty());
        // At the end of a closed shard its children have more.
        let behind_millis = answer.millis_behind_latest.filter(|_| next.is_some());
        self.hand_over(answer.records, behind_millis, Some(permit)).await?;
        let Some(next) = next else { return Ok(Turn::End) };
        tokio::time::sleep(pace::after_answer(num_bytes, behind_millis == Some(0), self.config.poll)).await;
        Ok(Turn::Go(Some(next)))
    }

    /// An iterator that begins with the record that was read last, which shows whether it is still there. One
    /// that the service no longer takes is asked for from the oldest record on: what was read is left out.
    async fn iterator(&self) -> Result<Option<String>, Failure> {
        match self.iterator_at(place(self.cutter.position())).await {
            Err(Failure::Refused(_)) if matches!(place(self.cutter.position()), Place::Sequence(_)) => {
                self.iterator_at(Place::Horizon).await
            }
            other => other,
        }
    }

    async fn iterator_at(&self, place: Place) -> Result<Option<String>, Failure> {
        let (name, arn) = names(&self.config);
        let request = self.client.get_shard_iterator().set_stream_name(name).set_stream_arn(arn);
        let request = request.shard_id(&self.shard);
        let request = match place {
            Place::Horizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Place::Time(millis) => request
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(millis)),
            Place::Sequence(number) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(number),
        };
        let answer = request.send().await.map_err(|error| judge(&self.config, "GetShardIterator", &error))?;
        Ok(answer.shard_iterator)
    }
}

/// What comes next.
enum Turn {
    /// Another call, with this iterator if there is one.
    Go(Option<String>),
    /// Nothing: the shard has ended.
    End,
}
