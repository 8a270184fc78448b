//! The task that looks for objects and reads them. It owns the progress, and waits while nobody takes its batches.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{OnceCell, mpsc};

use super::{
    S3Keys, S3SourceConfig,
    client::{Bucket, Listed},
    object::ObjectRows,
    progress::Progress,
    queue::Queue,
};
use crate::{
    pipeline::{Clock, SourceError, SourceState},
    record::{Header, Record, RecordBatch},
};

/// Rows of one batch.
const ROWS_PER_BATCH: usize = 20_000;
/// Objects remembered of one listing; the rest is listed again.
const LISTED_MAX: usize = 10_000;
/// Time that passes without objects is noted at most so often.
const NOTE_EVERY_MILLIS: i64 = 3_600_000;
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What the reader hands over.
#[derive(Debug)]
pub(super) enum Read {
    /// Rows, or a position alone.
    Batch(RecordBatch),
    /// Messages of the queue that are settled once everything before is stored.
    Settled(Vec<String>),
    /// Whether there is more right now.
    State(SourceState),
    /// The bucket cannot be read.
    Failed(SourceError),
}

/// What the source may look at.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Objects that could not be read, or not to their end.
    pub(super) unreadable: AtomicU64,
    /// Objects that went away before they were read.
    pub(super) lost: AtomicU64,
    pub(super) queue: OnceCell<Queue>,
}

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) config: S3SourceConfig,
    pub(super) progress: Progress,
    pub(super) reads: mpsc::Sender<Read>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Why reading stops.
enum Stop {
    /// Nobody takes the batches any more.
    Unwanted,
    Failed(SourceError),
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

impl Reader {
    /// Reads until everything has been read, or nobody wants it any more.
    pub(super) async fn run(mut self) {
        let mut bucket = None;
        let mut has_read = false;
        let mut failures = 0;
        loop {
            match self.turn(&mut bucket).await {
                Ok(()) if !self.config.follow => {
                    // The source may be gone already, which is as good.
                    drop(self.send(Read::State(SourceState::Ended)).await);
                    return;
                }
                Ok(()) => {
                    (has_read, failures) = (true, 0);
                    if self.send(Read::State(SourceState::CaughtUp)).await.is_err() {
                        return;
                    }
                    if self.config.queue_url.is_none() {
                        tokio::time::sleep(self.config.refresh).await;
                    }
                }
                Err(Stop::Unwanted) => return,
                Err(Stop::Failed(error)) => {
                    // What was readable before is taken for a passing trouble.
                    let error = match error {
                        SourceError::Unusable(why) if has_read => SourceError::Unavailable(why),
                        error => error,
                    };
                    if self.send(Read::Failed(error)).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause(failures)).await;
                    failures += 1;
                }
            }
        }
    }

    async fn turn(&mut self, bucket: &mut Option<Bucket>) -> Result<(), Stop> {
        let bucket = if let Some(bucket) = bucket {
            bucket
        } else {
            let (region, endpoint) = (&self.config.region, &self.config.endpoint);
            let connected = Bucket::connect(&self.config.bucket, region.as_deref(), endpoint.as_deref());
            bucket.insert(connected.await?)
        };
        if self.progress.is_new() {
            // Where a source without a past begins is settled before anything is read.
            self.send_batch(Vec::new(), None).await?;
        }
        match (self.config.queue_url.clone(), self.config.keys.clone()) {
            (Some(url), _) => self.take_messages(bucket, &url).await,
            (None, S3Keys::Prefix(prefix)) => self.read_prefix(bucket, &prefix).await,
            (None, S3Keys::Folders(template)) => {
                let now = self.clock.now_millis();
                for folder in template.folders(self.progress.floor_millis(), now) {
                    let end_millis = folder.start_millis + template.width_millis();
                    self.read_folder(bucket, &folder.prefix, end_millis).await?;
                    self.pass(folder.start_millis).await?;
                }
                Ok(())
            }
        }
    }

    /// Every new object of a folder, by key.
    async fn read_folder(&mut self, bucket: &Bucket, prefix: &str, end_millis: i64) -> Result<(), Stop> {
        let mut page = None;
        loop {
            let listed = bucket.list(prefix, page.take()).await?;
            for object in listed.objects {
                if self.progress.is_wanted(&object.key, end_millis) {
                    self.read(bucket, &object, end_millis).await?;
                }
            }
            page = listed.next;
            if page.is_none() {
                return Ok(());
            }
        }
    }

    /// Every new object, the longest unchanged first.
    async fn read_prefix(&mut self, bucket: &Bucket, prefix: &str) -> Result<(), Stop> {
        loop {
            let listed_at = self.clock.now_millis();
            let (oldest, is_all) = self.oldest(bucket, prefix).await?;
            for object in oldest {
                self.progress.reach(object.modified_millis);
                self.read(bucket, &object, object.modified_millis).await?;
            }
            if is_all {
                if listed_at > self.progress.reached_millis() + NOTE_EVERY_MILLIS {
                    self.pass(listed_at).await?;
                }
                return Ok(());
            }
        }
    }

    /// The objects that are still to be read and longest unchanged, and whether these are all.
    async fn oldest(&self, bucket: &Bucket, prefix: &str) -> Result<(BTreeSet<Listed>, bool), Stop> {
        let (mut oldest, mut is_all, mut page) = (BTreeSet::new(), true, None);
        loop {
            let listed = bucket.list(prefix, page.take()).await?;
            for object in listed.objects {
                if self.progress.is_wanted(&object.key, object.modified_millis) {
                    oldest.insert(object);
                }
                if oldest.len() > LISTED_MAX {
                    oldest.pop_last();
                    is_all = false;
                }
            }
            page = listed.next;
            if page.is_none() {
                return Ok((oldest, is_all));
            }
        }
    }

    async fn take_messages(&mut self, bucket: &Bucket, url: &str) -> Result<(), Stop> {
        let queue = self.shared.queue.get_or_init(async || Queue::new(&bucket.sdk, url)).await.clone();
        let messages = queue.receive(&self.config.bucket).await?;
        let now = self.clock.now_millis();
        let mut handles = Vec::with_capacity(messages.len());
        for message in messages {
            for key in message.keys {
                if self.is_ours(&key) && !self.progress.is_done(&key) {
                    let object = Listed { modified_millis: now, key, bytes: 0 };
                    self.read(bucket, &object, now).await?;
                }
            }
            handles.push(message.handle);
        }
        self.send(Read::Settled(handles)).await?;
        // What was read is remembered for `late_objects` after this.
        if now > self.progress.reached_millis() + NOTE_EVERY_MILLIS {
            self.pass(now).await?;
        }
        Ok(())
    }

    fn is_ours(&self, key: &str) -> bool {
        match &self.config.keys {
            S3Keys::Prefix(prefix) => key.starts_with(prefix.as_str()),
            S3Keys::Folders(template) => template.may_hold(key),
        }
    }

    /// All rows of an object that were not handed out before. Damage is counted and told, and is its end.
    async fn read(&mut self, bucket: &Bucket, object: &Listed, end_millis: i64) -> Result<(), Stop> {
        let key = object.key.as_str();
        if object.bytes > self.config.object_bytes_max {
            let why = format!("it has {} bytes, more than `object_bytes_max`", object.bytes);
            self.tell_broken(key, &why);
            self.progress.finish(key, end_millis);
            return Ok(());
        }
        let Some(bytes) = bucket.get(key).await? else {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(source = self.config.name, key, "an object went away before it was read");
            self.progress.finish(key, end_millis);
            return Ok(());
        };
        let mut rows = self.progress.rows_read(key);
        let mut opened = match ObjectRows::open(bytes, &self.config, rows).await {
            Ok(opened) => opened,
            Err(why) => {
                self.tell_broken(key, &why);
                self.progress.finish(key, end_millis);
                return Ok(());
            }
        };
        loop {
            let mut chunk = opened.next(ROWS_PER_BATCH).await;
            if let Some(why) = &chunk.broken {
                self.tell_broken(key, why);
            }
            rows += chunk.records.len() as u64;
            if let Some(last) = chunk.records.last_mut() {
                last.id = Some(self.progress.note(key, rows, chunk.ended).into());
                self.send_batch(chunk.records, opened.header().cloned()).await?;
            }
            if chunk.ended {
                self.progress.finish(key, end_millis);
                return Ok(());
            }
        }
    }

    fn tell_broken(&self, key: &str, why: &str) {
        self.shared.unreadable.fetch_add(1, Ordering::Relaxed);
        let bucket = &self.config.bucket;
        tracing::warn!(
            source = self.config.name,
            object = format!("s3://{bucket}/{key}"),
            why,
            "an object cannot be read to its end; the others are read on"
        );
    }

    /// Reading has come to this time, also where nothing was found.
    async fn pass(&mut self, millis: i64) -> Result<(), Stop> {
        if millis <= self.progress.reached_millis() {
            return Ok(());
        }
        self.progress.reach(millis);
        self.send_batch(Vec::new(), None).await
    }

    async fn send_batch(&mut self, records: Vec<Record>, header: Option<Bytes>) -> Result<(), Stop> {
        let (from_exclusive, to_inclusive) = self.progress.advance();
        let batch = RecordBatch {
            partition: self.progress.partition().clone(),
            records,
            from_exclusive,
            to_inclusive,
            header: header.map(Header::Row),
            received_millis: None,
            lag_millis: None,
            ends_partition: false,
        };
        self.send(Read::Batch(batch)).await
    }

    async fn send(&self, read: Read) -> Result<(), Stop> {
        self.reads.send(read).await.map_err(|_| Stop::Unwanted)
    }
}

/// A quarter of a second, doubling.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(250).saturating_mul(1 << failures.min(10)).min(PAUSE_MAX)
}
