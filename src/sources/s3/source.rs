//! The run loop's end: takes what the reader has, and settles messages after the commit.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, atomic::Ordering},
};

use async_trait::async_trait;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    S3Keys, S3SourceConfig,
    client::Bucket,
    progress::Progress,
    reader::{Read, Reader, Shared},
};
use crate::{
    pipeline::{Clock, Source, SourceError, SourceFigures, SourceState},
    record::{Checkpoint, PartitionId, Position, Receipt, RecordBatch},
};

/// Reads a bucket.
pub struct S3Source {
    partition: PartitionId,
    reads: mpsc::Receiver<Read>,
    state: SourceState,
    /// The last position handed over.
    position: Position,
    /// Messages, each with the position after which it is settled.
    messages: VecDeque<(Position, Vec<String>)>,
    shared: Arc<Shared>,
    undeleted: u64,
    reader: JoinHandle<()>,
}

impl fmt::Debug for S3Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Source").field("position", &self.position).finish_non_exhaustive()
    }
}

impl S3Source {
    /// Goes on where `checkpoint` stands. `kept` are the ids of records that the store kept, and when it did.
    pub fn new(
        config: S3SourceConfig,
        checkpoint: &Checkpoint,
        kept: &[(String, i64)],
        clock: Arc<dyn Clock>,
    ) -> Self {
        let start = config.start.millis(clock.now_millis());
        let progress = Progress::new(checkpoint, kept, start, config.late_millis());
        let partition = progress.partition().clone();
        let position = checkpoint.position(&partition);
        let (sender, reads) = mpsc::channel(1);
        let shared = Arc::new(Shared::default());
        let reader = Reader { config, progress, reads: sender, shared: Arc::clone(&shared), clock };
        Self {
            partition,
            reads,
            state: SourceState::Starting,
            position,
            messages: VecDeque::new(),
            shared,
            undeleted: 0,
            reader: tokio::spawn(reader.run()),
        }
    }

    /// Lists the first objects, to see whether that works.
    pub async fn check(config: &S3SourceConfig, now_millis: i64) -> Result<String, SourceError> {
        let bucket =
            Bucket::connect(&config.bucket, config.region.as_deref(), config.endpoint.as_deref()).await?;
        let prefix = match &config.keys {
            S3Keys::Prefix(prefix) => prefix.clone(),
            S3Keys::Folders(template) => {
                let last = template.folders(now_millis, now_millis).last();
                last.map(|folder| folder.prefix).unwrap_or_default()
            }
        };
        let page = bucket.list(&prefix, None).await?;
        let more = if page.next.is_some() { " and more" } else { "" };
        Ok(format!("{} objects{more} at `s3://{}/{prefix}`", page.objects.len(), config.bucket))
    }
}

impl Drop for S3Source {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[async_trait]
impl Source for S3Source {
    fn partitions(&self) -> Vec<PartitionId> {
        vec![self.partition.clone()]
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        loop {
            match self.next_batches().await? {
                Some(mut batches) => {
                    if let Some(batch) = batches.pop() {
                        return Ok(Some(batch));
                    }
                }
                None => return Ok(None),
            }
        }
    }

    async fn next_batches(&mut self) -> Result<Option<Vec<RecordBatch>>, SourceError> {
        match self.reads.recv().await {
            Some(Read::Batch(batch)) => {
                self.position = batch.to_inclusive.clone();
                self.state = SourceState::Reading;
                Ok(Some(vec![batch]))
            }
            Some(Read::Settled(handles)) => {
                if !handles.is_empty() {
                    self.messages.push_back((self.position.clone(), handles));
                }
                Ok(Some(Vec::new()))
            }
            Some(Read::State(SourceState::Ended)) | None => {
                self.state = SourceState::Ended;
                Ok(None)
            }
            Some(Read::State(state)) => {
                self.state = state;
                Ok(Some(Vec::new()))
            }
            Some(Read::Failed(error)) => Err(error),
        }
    }

    async fn acknowledge(&mut self, checkpoint: &Checkpoint, _: Vec<Receipt>) -> Result<(), SourceError> {
        let stored = checkpoint.position(&self.partition);
        let mut handles = Vec::new();
        while self.messages.front().is_some_and(|(position, _)| *position <= stored) {
            handles.extend(self.messages.pop_front().into_iter().flat_map(|(_, handles)| handles));
        }
        if let Some(queue) = self.shared.queue.get()
            && let Err(error) = queue.delete(&handles).await
        {
            // They come again, and their objects are known to be read.
            self.undeleted += handles.len() as u64;
            tracing::debug!(%error, "messages were not deleted");
        }
        Ok(())
    }

    fn state(&self) -> SourceState {
        self.state.clone()
    }

    fn can_replay(&self) -> bool {
        true
    }

    fn figures(&mut self) -> SourceFigures {
        SourceFigures {
            lost: self.shared.lost.load(Ordering::Relaxed),
            troubles: vec![("unreadable", self.shared.unreadable.load(Ordering::Relaxed))],
            acknowledge_failures: self.undeleted,
            ..SourceFigures::default()
        }
    }
}
