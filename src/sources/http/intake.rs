//! Where posts are handed over, and what a source takes.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::{
    pipeline::Clock,
    record::{Receipt, Record},
};

/// What a source takes, from whom, and how much of it.
#[derive(Clone)]
pub struct HttpSourceConfig {
    /// Who posts.
    pub sender: HttpSender,
    /// Posts that may wait.
    pub queue: usize,
    /// What senders show: a bearer token, or Firehose's access key. `None` leaves it to the server's token.
    pub token: Option<String>,
    /// Pages that may send without a token, as `https://shop.example.com`.
    pub origins: Vec<String>,
    /// More posts in a second are refused.
    pub posts_per_second: Option<u32>,
    /// Longer posts are refused.
    pub body_bytes_max: usize,
}

/// Who posts to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpSender {
    /// Programs and pages, to `/v1/events`.
    Any,
    /// Amazon Data Firehose, to `/firehose/NAME`.
    Firehose,
}

impl Default for HttpSourceConfig {
    fn default() -> Self {
        Self {
            sender: HttpSender::Any,
            queue: 1_000,
            token: None,
            origins: Vec::new(),
            posts_per_second: None,
            body_bytes_max: 16 << 20,
        }
    }
}

impl fmt::Debug for HttpSourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSourceConfig")
            .field("sender", &self.sender)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// Where the API hands over posts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpIntake {
    config: Arc<HttpSourceConfig>,
    posts: mpsc::Sender<Post>,
    in_flight: Arc<Mutex<BTreeSet<Arc<str>>>>,
    pace: Arc<Mutex<Pace>>,
    refused: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
pub(super) struct Post {
    pub(super) records: Vec<Record>,
    pub(super) reply: oneshot::Sender<Receipt>,
}

/// What may still be posted: refilled by the clock, up to one second's worth.
#[derive(Debug)]
struct Pace {
    posts: f64,
    at_millis: i64,
}

/// A post was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpIntakeError {
    /// Too many posts wait already.
    #[error("too many posts are waiting")]
    Behind,
    /// More posts in a second than the source may get.
    #[error("too many posts in a second; `posts_per_second` is {0}")]
    TooFast(u32),
    /// A post with the same idempotency key is being stored right now.
    #[error("a post with this idempotency key is being stored")]
    InFlight,
    /// The service is stopping; whether the post was stored is not known.
    #[error("the service is stopping")]
    Stopping,
}

impl HttpIntake {
    /// An intake for a source, with the source's end, and the number of posts that were refused.
    pub(super) fn new(
        config: HttpSourceConfig,
        clock: Arc<dyn Clock>,
    ) -> (Self, mpsc::Receiver<Post>, Arc<AtomicU64>) {
        let (posts, taken) = mpsc::channel(config.queue.max(1));
        let refused = Arc::new(AtomicU64::new(0));
        let full = f64::from(config.posts_per_second.unwrap_or(0));
        let intake = Self {
            config: Arc::new(config),
            posts,
            in_flight: Arc::default(),
            pace: Arc::new(Mutex::new(Pace { posts: full, at_millis: clock.now_millis() })),
            refused: Arc::clone(&refused),
            clock,
        };
        (intake, taken, refused)
    }

    /// What the source takes, from whom, and how much.
    pub fn config(&self) -> &HttpSourceConfig {
        &self.config
    }

    /// Counts a post against `posts_per_second`.
    pub fn admit(&self) -> Result<(), HttpIntakeError> {
        let Some(most) = self.config.posts_per_second else { return Ok(()) };
        let now = self.clock.now_millis();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = (now - pace.at_millis).max(0) as f64 / 1e3;
        pace.posts = (pace.posts + passed * f64::from(most)).min(f64::from(most));
        pace.at_millis = now;
        if pace.posts < 1.0 {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(HttpIntakeError::TooFast(most));
        }
        pace.posts -= 1.0;
        Ok(())
    }

    /// Hands over a post of one record and waits until it is stored.
    pub async fn take(&self, payload: Bytes, id: Option<Arc<str>>) -> Result<Receipt, HttpIntakeError> {
        self.take_all(vec![payload], id).await
    }

    /// Hands over a post of several records, at least one, and waits until all are stored, in one commit. The id
    /// is that of the last.
    pub async fn take_all(
        &self,
        payloads: Vec<Bytes>,
        id: Option<Arc<str>>,
    ) -> Result<Receipt, HttpIntakeError> {
        let _guard = match &id {
            Some(id) => Some(InFlight::enter(&self.in_flight, id.clone())?),
            None => None,
        };
        let mut records: Vec<Record> = payloads.into_iter().map(Record::new).collect();
        if let Some(last) = records.last_mut() {
            last.id = id;
        }
        let (reply, receipt) = oneshot::channel();
        self.posts.try_send(Post { records, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                HttpIntakeError::Behind
            }
            mpsc::error::TrySendError::Closed(_) => HttpIntakeError::Stopping,
        })?;
        receipt.await.map_err(|_| HttpIntakeError::Stopping)
    }
}

impl Post {
    pub(super) fn payload_bytes(&self) -> usize {
        self.records.iter().map(|record| record.payload.len()).sum()
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
