//! Events posted to us. A post is one record of the single partition `http`; it is answered only after the
//! commit that holds it. Posts that wait while a commit runs go into the next one together, so that many
//! small posts stay fast.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::{
    pipeline::{Clock, Source, SourceError, SourceState},
    record::{Checkpoint, PartitionId, Position, Receipt, Record, RecordBatch},
};

/// Posts and bytes that go into one commit at most.
const POSTS_PER_BATCH: usize = 1_000;
const BYTES_PER_BATCH: usize = 8 << 20;

/// Where the API hands over posts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpIntake {
    posts: mpsc::Sender<Post>,
    in_flight: Arc<Mutex<BTreeSet<Arc<str>>>>,
}

#[derive(Debug)]
struct Post {
    record: Record,
    reply: oneshot::Sender<Receipt>,
}

/// A post was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpIntakeError {
    /// Too many posts wait already.
    #[error("too many posts are waiting")]
    Behind,
    /// A post with the same idempotency key is being stored right now.
    #[error("a post with this idempotency key is being stored")]
    InFlight,
    /// The service is stopping; whether the post was stored is not known.
    #[error("the service is stopping")]
    Stopping,
}

impl HttpIntake {
    /// Hands over a post and waits until it is stored.
    pub async fn take(&self, payload: Bytes, id: Option<Arc<str>>) -> Result<Receipt, HttpIntakeError> {
        let _guard = match &id {
            Some(id) => Some(InFlight::enter(&self.in_flight, id.clone())?),
            None => None,
        };
        let (reply, receipt) = oneshot::channel();
        self.posts.try_send(Post { record: Record { payload, id, envelope: None }, reply }).map_err(
            |error| match error {
                mpsc::error::TrySendError::Full(_) => HttpIntakeError::Behind,
                mpsc::error::TrySendError::Closed(_) => HttpIntakeError::Stopping,
            },
        )?;
        receipt.await.map_err(|_| HttpIntakeError::Stopping)
    }
}

/// Holds an id while its post is under way.
struct InFlight {
    ids: Arc<Mutex<BTreeSet<Arc<str>>>>,
    id: Arc<str>,
}

impl InFlight {
    fn enter(ids: &Arc<Mutex<BTreeSet<Arc<str>>>>, id: Arc<str>) -> Result<Self, HttpIntakeError> {
        let fresh = ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        if fresh { Ok(Self { ids: ids.clone(), id }) } else { Err(HttpIntakeError::InFlight) }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// The pipeline's end.
#[derive(Debug)]
pub struct HttpSource {
    posts: mpsc::Receiver<Post>,
    partition: PartitionId,
    position: Position,
    waiting: VecDeque<oneshot::Sender<Receipt>>,
    clock: Arc<dyn Clock>,
}

impl HttpSource {
    /// A source and the intake that feeds it; at most `queue` posts wait.
    pub fn new(checkpoint: &Checkpoint, queue: usize, clock: Arc<dyn Clock>) -> (Self, HttpIntake) {
        let (sender, posts) = mpsc::channel(queue.max(1));
        let partition = PartitionId::new("http");
        let position = checkpoint.position(&partition);
        let source = Self { posts, partition, position, waiting: VecDeque::new(), clock };
        (source, HttpIntake { posts: sender, in_flight: Arc::default() })
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
        let mut bytes = first.record.payload.len();
        let mut posts = vec![first];
        while posts.len() < POSTS_PER_BATCH && bytes < BYTES_PER_BATCH {
            let Ok(post) = self.posts.try_recv() else { break };
            bytes += post.record.payload.len();
            posts.push(post);
        }
        let mut records = Vec::with_capacity(posts.len());
        for post in posts {
            records.push(post.record);
            self.waiting.push_back(post.reply);
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
        for (receipt, reply) in receipts.into_iter().zip(self.waiting.drain(..)) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::ManualClock;

    fn receipt(counted: u64) -> Receipt {
        Receipt { events: counted, counted, ..Receipt::default() }
    }

    #[tokio::test]
    async fn posts_are_answered_after_the_commit_in_their_order() {
        let (mut source, intake) = HttpSource::new(&Checkpoint::default(), 10, Arc::new(ManualClock::at(7)));
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
        let (source, intake) = HttpSource::new(&Checkpoint::default(), 1, Arc::new(ManualClock::at(7)));
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
}
