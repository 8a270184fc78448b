//! Events posted to us. A post is one record, or several, of the single partition `http`; it is answered only
//! after the commit that holds it. Posts that wait while a commit runs go into the next one together, so that
//! many small posts stay fast.

mod intake;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::{
    pipeline::{Clock, Source, SourceError, SourceFigures, SourceState},
    record::{Checkpoint, PartitionId, Position, Receipt, RecordBatch},
};
use intake::Post;
pub use intake::{HttpIntake, HttpIntakeError, HttpSender, HttpSourceConfig};

/// Posts and bytes that go into one commit at most.
const POSTS_PER_BATCH: usize = 1_000;
const BYTES_PER_BATCH: usize = 8 << 20;

/// The pipeline's end.
#[derive(Debug)]
pub struct HttpSource {
    posts: mpsc::Receiver<Post>,
    partition: PartitionId,
    position: Position,
    /// How many records a post had, and who waits for their receipts.
    waiting: VecDeque<(usize, oneshot::Sender<Receipt>)>,
    refused: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

impl HttpSource {
    /// A source and the intake that feeds it.
    pub fn new(
        checkpoint: &Checkpoint,
        config: HttpSourceConfig,
        clock: Arc<dyn Clock>,
    ) -> (Self, HttpIntake) {
        let (intake, posts, refused) = HttpIntake::new(config, Arc::clone(&clock));
        let partition = PartitionId::new("http");
        let position = checkpoint.position(&partition);
        (Self { posts, partition, position, waiting: VecDeque::new(), refused, clock }, intake)
    }
}

#[async_trait]
impl Source for HttpSource {
    fn partitions(&self) -> Vec<PartitionId> {
        vec![self.partition.clone()]
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        let Some(first) = self.posts.recv().await else { return Ok(None) };
        // No await from here on, so a cancelled call has taken nothing.
        let mut bytes = first.payload_bytes();
        let mut posts = vec![first];
        while posts.len() < POSTS_PER_BATCH && bytes < BYTES_PER_BATCH {
            let Ok(post) = self.posts.try_recv() else { break };
            bytes += post.payload_bytes();
            posts.push(post);
        }
        let mut records = Vec::with_capacity(posts.len());
        for post in posts {
            self.waiting.push_back((post.records.len(), post.reply));
            records.extend(post.records);
        }
        let reached = self.position.number().unwrap_or(0) + records.len() as u64;
        let from_exclusive = std::mem::replace(&mut self.position, Position::at(reached));
        Ok(Some(RecordBatch {
            partition: self.partition.clone(),
            records,
            from_exclusive,
            to_inclusive: self.position.clone(),
            header: None,
            received_millis: Some(self.clock.now_millis()),
            lag_millis: Some(0),
            ends_partition: false,
        }))
    }

    async fn acknowledge(&mut self, _: &Checkpoint, receipts: Vec<Receipt>) -> Result<(), SourceError> {
        let mut receipts = receipts.into_iter();
        for (count, reply) in self.waiting.drain(..) {
            let receipt = match count {
                1 => receipts.next().unwrap_or_default(),
                _ => Receipt::of_all(receipts.by_ref().take(count)),
            };
            // A sender that has gone away does not want to know.
            drop(reply.send(receipt));
        }
        Ok(())
    }

    fn state(&self) -> SourceState {
        SourceState::CaughtUp
    }

    fn can_replay(&self) -> bool {
        false
    }

    fn figures(&mut self) -> SourceFigures {
        let refused = self.refused.load(Ordering::Relaxed);
        SourceFigures { troubles: vec![("refused", refused)], ..SourceFigures::default() }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pipeline::ManualClock;

    fn receipt(counted: u64) -> Receipt {
        Receipt { events: counted, counted, ..Receipt::default() }
    }

    #[tokio::test]
    async fn posts_are_answered_after_the_commit_in_their_order() {
        let (mut source, intake) = HttpSource::new(
            &Checkpoint::default(),
            HttpSourceConfig::default(),
            Arc::new(ManualClock::at(7)),
        );
        let posts: Vec<_> = (0..3)
            .map(|index| {
                let intake = intake.clone();
                tokio::spawn(async move { intake.take(Bytes::from(vec![b'x'; index + 1]), None).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let batch = source.next_batch().await.unwrap().unwrap();
        assert_eq!((batch.records.len(), batch.to_inclusive.clone()), (3, Position::at(3)));
        assert!(posts.iter().all(|post| !post.is_finished()));
        let receipts = batch.records.iter().map(|record| receipt(record.payload.len() as u64)).collect();
        source.acknowledge(&Checkpoint::default(), receipts).await.unwrap();
        for (index, post) in posts.into_iter().enumerate() {
            assert_eq!(post.await.unwrap().unwrap().counted, index as u64 + 1);
        }
    }

    #[tokio::test]
    async fn a_full_queue_and_a_repeated_key_are_refused() {
        let (source, intake) = HttpSource::new(
            &Checkpoint::default(),
            HttpSourceConfig { queue: 1, ..HttpSourceConfig::default() },
            Arc::new(ManualClock::at(7)),
        );
        let first = tokio::spawn({
            let intake = intake.clone();
            async move { intake.take(Bytes::from("x"), Some("key".into())).await }
        });
        tokio::task::yield_now().await;
        let again = intake.take(Bytes::from("x"), Some("key".into())).await;
        assert_eq!(again.unwrap_err(), HttpIntakeError::InFlight);
        assert_eq!(intake.take(Bytes::from("x"), None).await.unwrap_err(), HttpIntakeError::Behind);
        drop(source);
        assert_eq!(first.await.unwrap().unwrap_err(), HttpIntakeError::Stopping);
    }

    #[tokio::test]
    async fn a_post_of_several_records_gets_one_receipt_for_all() {
        let clock = Arc::new(ManualClock::at(7));
        let (mut source, intake) =
            HttpSource::new(&Checkpoint::default(), HttpSourceConfig::default(), clock);
        let post = tokio::spawn(async move {
            intake.take_all(vec!["a".into(), "b".into()], Some("request".into())).await
        });
        tokio::task::yield_now().await;
        let batch = source.next_batch().await.unwrap().unwrap();
        let ids: Vec<_> = batch.records.iter().map(|record| record.id.as_deref()).collect();
        assert_eq!((ids.as_slice(), batch.to_inclusive), (&[None, Some("request")][..], Position::at(2)));
        let refused =
            Receipt { events: 1, rejected: 1, rejects: vec![(0, "no".into())], ..Receipt::default() };
        source.acknowledge(&Checkpoint::default(), vec![receipt(1), refused]).await.unwrap();
        let all = post.await.unwrap().unwrap();
        assert_eq!((all.events, all.counted, all.rejected), (2, 1, 1));
        assert_eq!(all.rejects, [(1, "no".to_owned())]);
    }

    #[tokio::test]
    async fn posts_beyond_the_rate_are_refused_and_counted() {
        let clock = Arc::new(ManualClock::at(0));
        let config = HttpSourceConfig { posts_per_second: Some(2), ..HttpSourceConfig::default() };
        let (mut source, intake) = HttpSource::new(&Checkpoint::default(), config, clock.clone());
        assert_eq!([intake.admit(), intake.admit()], [Ok(()), Ok(())]);
        assert_eq!(intake.admit(), Err(HttpIntakeError::TooFast(2)));
        clock.set(500);
        assert_eq!([intake.admit(), intake.admit()], [Ok(()), Err(HttpIntakeError::TooFast(2))]);
        clock.set(60_500);
        assert_eq!([intake.admit(), intake.admit()], [Ok(()), Ok(())]);
        assert!(intake.admit().is_err(), "a pause saves up for one second only");
        assert_eq!(source.figures().troubles, [("refused", 3)]);
    }
}
