//! The ports of the road: what the pipeline needs from sources, stores and notifiers, in its own words.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;

use super::{
    BackfillStep, Backlog, Commit, CorrectableBlob, FrameBlob, Instructed, Label, ModelBlob, RecordedInput,
};
use crate::{
    anomaly::{Alert, Incident, IncidentKind, IncidentState, Milestone},
    record::{Checkpoint, PartitionId, Receipt, RecordBatch, RejectSample, SourceId},
    window::SliceKey,
};

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The configuration's, or the input's: a person must change something.
    User,
    /// A service's outside.
    External,
    /// Ours.
    Internal,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It cannot.
    Never,
    /// It can, after a growing pause.
    Backoff,
    /// It can, after this long: the other side said so.
    After(Duration),
}

/// Whether a source can be trusted to have shown all there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Connecting, or has not shown its first records yet.
    Starting,
    /// There is more to read: silence means nothing.
    Reading,
    /// Everything there is has been read: silence is silence.
    CaughtUp,
    /// Cannot be read.
    Unreachable {
        /// Why, for people.
        why: String,
    },
    /// Read to its end.
    Ended,
}

impl SourceState {
    /// The word in metrics and the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Reading => "reading",
            Self::CaughtUp => "caught_up",
            Self::Unreachable { .. } => "unreachable",
            Self::Ended => "ended",
        }
    }
}

/// A source could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// What it is configured to read cannot be read as it is.
    #[error("{0}")]
    Unusable(String),
    /// It is away; trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// It is away, and the source goes on trying by itself: asking at once waits for that.
    #[error("{0}")]
    Retrying(String),
}

impl SourceError {
    /// Whose fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unusable(_) => Fault::User,
            Self::Unavailable(_) | Self::Retrying(_) => Fault::External,
        }
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unusable(_) => Retry::Never,
            Self::Unavailable(_) => Retry::Backoff,
            Self::Retrying(_) => Retry::After(Duration::ZERO),
        }
    }
}

/// Where records come from. The run loop does, for one source:
///
/// ```text
/// loop {
///     batches = source.next_batches()  // cancelled and called again at any await
///     engine.ingest(batches)           // on as many threads as there are partitions and cores
///     store.commit(engine.take_commit())
///     source.acknowledge(checkpoint)   // never before the commit
/// }
/// ```
///
/// A source is built with the stored checkpoint and never sees the store. It hands over the records of each
/// partition in order, each record in exactly one batch, each batch starting where the one before ended.
#[async_trait]
pub trait Source: Send {
    /// Partitions known so far; the watermark waits for each of them.
    fn partitions(&self) -> Vec<PartitionId>;

    /// The next batch; `None` when a bounded source has ended. Cancel-safe. After an error that may be
    /// retried it can be called again.
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>, SourceError>;

    /// The next batches, each of another partition, for sources that read several at once. None means that
    /// only the state has changed.
    async fn next_batches(&mut self) -> Result<Option<Vec<RecordBatch>>, SourceError> {
        Ok(self.next_batch().await?.map(|batch| vec![batch]))
    }

    /// Everything up to `checkpoint` is stored, with these receipts in the order of their records.
    async fn acknowledge(
        &mut self,
        checkpoint: &Checkpoint,
        receipts: Vec<Receipt>,
    ) -> Result<(), SourceError>;

    /// Whether there is more to read right now.
    fn state(&self) -> SourceState;

    /// Whether records can be read again after a crash. If not, they are kept in the journal.
    fn can_replay(&self) -> bool;

    /// Which partition is furthest behind in event time, for sources that choose what to read next.
    fn set_event_times(&mut self, _newest_millis: &dyn Fn(&PartitionId) -> Option<i64>) {}

    /// What only the source knows of itself.
    fn figures(&mut self) -> SourceFigures {
        SourceFigures::default()
    }
}

/// What a source tells of itself beside its records. Counts are since the start of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceFigures {
    /// Records still to read, by partition.
    pub lags: Vec<(PartitionId, u64)>,
    /// How far behind the newest record reading is in time, by partition.
    pub behind_millis: Vec<(PartitionId, u64)>,
    /// Records that were deleted before they could be read.
    pub lost: u64,
    /// Records without a value.
    pub tombstones: u64,
    /// Connections lost.
    pub reconnects: u64,
    /// Positions that the other side did not take note of.
    pub acknowledge_failures: u64,
    /// How long it took to note positions, since the last call.
    pub acknowledge_seconds: Vec<f64>,
    /// Other troubles by kind, from a closed set of words.
    pub troubles: Vec<(&'static str, u64)>,
}

/// A store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer moved the checkpoint, or this process is out of step. Nothing was stored.
    #[error("the store refused a commit: {0}; does another process use the same file?")]
    Conflict(#[from] crate::record::Conflict),
    /// The file cannot be used: damaged, of a newer version, or locked by another process.
    #[error("{0}")]
    Unusable(String),
    /// A passing failure, such as a full disk.
    #[error("{0}")]
    Unavailable(String),
}

impl StoreError {
    /// Whose fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Conflict(_) | Self::Unusable(_) => Fault::User,
            Self::Unavailable(_) => Fault::External,
        }
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Conflict(_) | Self::Unusable(_) => Retry::Never,
            Self::Unavailable(_) => Retry::Backoff,
        }
    }
}

/// What a store holds of one source.
#[derive(Debug, Default)]
pub struct Restored {
    /// Where reading goes on.
    pub checkpoint: Checkpoint,
    /// Records stored since the last full commit, in order.
    pub journal: Vec<RecordBatch>,
}

/// What a store holds of one monitor.
#[derive(Debug, Default)]
pub struct RestoredMonitor {
    /// The state of its last full commit; `None` for a monitor never seen.
    pub state: Option<Vec<u8>>,
    /// Its slices by number.
    pub slices: Vec<SliceKey>,
    /// The newest snapshot of each shard.
    pub models: Vec<ModelBlob>,
    /// Closed windows that can still be revised, in order of time.
    pub correctable: Vec<CorrectableBlob>,
}

/// Where results live. One writer per source.
#[async_trait]
pub trait Store: Send + Sync {
    /// What is stored of a source; empty for one never seen.
    async fn restore(&self, source: &SourceId) -> Result<Restored, StoreError>;
    /// What is stored of a monitor.
    async fn restore_monitor(&self, monitor: &str) -> Result<RestoredMonitor, StoreError>;
    /// All or nothing. Refuses (`Conflict`) a delta that does not start at the stored checkpoint.
    async fn commit(&self, commit: &Commit) -> Result<(), StoreError>;
    /// Stores a step of a backfill, all or nothing.
    async fn backfill(&self, step: &BackfillStep) -> Result<(), StoreError>;
}

/// A range of stored windows.
#[derive(Clone, Copy, Debug)]
pub struct HistoryRange {
    /// Windows that start at or after this.
    pub from_millis: i64,
    /// Windows that start before this.
    pub to_millis: i64,
    /// Only this shard.
    pub shard: Option<usize>,
    /// At most this many blobs: the earliest.
    pub limit: usize,
}

/// Which incidents to list.
#[derive(Clone, Debug, Default)]
pub struct IncidentQuery {
    /// Only of this monitor.
    pub monitor: Option<String>,
    /// Only in this state.
    pub state: Option<IncidentState>,
    /// Only of this kind.
    pub kind: Option<IncidentKind>,
    /// Only with at least this peak severity.
    pub min_severity: Option<f64>,
    /// Only opened before this.
    pub opened_before_millis: Option<i64>,
    /// Only opened at or after this.
    pub opened_from_millis: Option<i64>,
    /// Only open ones, and those whose last anomalous window ended after this.
    pub lasting_after_millis: Option<i64>,
    /// Only those after this one in the list: when it opened, and its id.
    pub after: Option<(i64, String)>,
    /// Only with a series of this measure.
    pub measure: Option<String>,
    /// Only with a series that has these values; with a measure, the same series.
    pub slice: BTreeMap<String, String>,
    /// Only what people do or do not care for.
    pub care: Option<CareQuery>,
    /// Only assigned to this person.
    pub assigned: Option<String>,
    /// At most this many: the newest.
    pub limit: usize,
}

/// What people did with an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CareQuery {
    /// Somebody acknowledged it.
    Acknowledged,
    /// Nobody did, nor said anything of it.
    Unanswered,
    /// Its newest label.
    Labelled(Label),
}

/// Which alerts to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// Only to this notifier.
    pub notifier: Option<String>,
    /// Only of this incident.
    pub incident: Option<String>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only those made before the one with this number.
    pub before: Option<i64>,
    /// At most this many: the newest.
    pub limit: usize,
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits for its first or next attempt.
    Waiting,
    /// It was sent.
    Sent,
    /// There are no further attempts.
    GivenUp,
}

/// An alert and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Counts up as alerts are made.
    pub number: i64,
    /// Its id.
    pub id: String,
    /// The incident it tells of.
    pub incident: String,
    /// The monitor of that.
    pub monitor: String,
    /// What it says of it.
    pub summary: String,
    /// Where it goes.
    pub notifier: String,
    /// The word of its kind.
    pub kind: String,
    /// Event time of the window that caused it.
    pub at_millis: i64,
    /// Wall clock at which it was made; event time for those of old stores.
    pub made_millis: i64,
    /// Wall clock at which it was sent or given up.
    pub settled_millis: Option<i64>,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last one failed.
    pub error: Option<String>,
}

/// How a notifier fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifierRecord {
    /// Alerts that wait.
    pub waiting: u64,
    /// Alerts given up since a time.
    pub failed: u64,
    /// When it last took one.
    pub last_sent_millis: Option<i64>,
    /// Why the newest alert that has failed did so.
    pub last_error: Option<String>,
}

/// Severities are counted in so many equal steps from 0 to 100.
pub const SEVERITY_STEPS: usize = 20;

/// Reading what was stored.
#[async_trait]
pub trait History: Send + Sync {
    /// The slices of a monitor by number.
    async fn slices(&self, monitor: &str) -> Result<Vec<SliceKey>, StoreError>;
    /// Starts of the first and the last stored window.
    async fn span(&self, monitor: &str) -> Result<Option<(i64, i64)>, StoreError>;
    /// Stored windows by start, then shard.
    async fn frames(&self, monitor: &str, range: HistoryRange) -> Result<Vec<FrameBlob>, StoreError>;
    /// Incidents, newest first.
    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Incident>, StoreError>;
    /// How many incidents there are, whatever the limit, by peak severity in equal steps.
    async fn severities(&self, query: &IncidentQuery) -> Result<[u64; SEVERITY_STEPS], StoreError>;
    /// Alerts, newest first.
    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<DeliveryRow>, StoreError>;
    /// How a notifier fares, with its failures since a time.
    async fn notifier_record(&self, notifier: &str, since_millis: i64) -> Result<NotifierRecord, StoreError>;
    /// One incident.
    async fn incident(&self, id: &str) -> Result<Option<Incident>, StoreError>;
    /// The receipt of a record by its id, if it was stored.
    async fn receipt(&self, source: &SourceId, id: &str) -> Result<Option<Receipt>, StoreError>;
    /// Everything people told a monitor, in order.
    async fn instructed(&self, monitor: &str) -> Result<Vec<Instructed>, StoreError>;
    /// What people told about these incidents, in order.
    async fn instructed_about(&self, incidents: &[&str]) -> Result<Vec<Instructed>, StoreError>;
    /// What an incident came to, in order.
    async fn milestones(&self, incident: &str) -> Result<Vec<Milestone>, StoreError>;
    /// The newest snapshot of a shard's models.
    async fn snapshot(&self, monitor: &str, shard: usize) -> Result<Option<ModelBlob>, StoreError>;
    /// Everything that the wall clock and people did to the monitors of a source, in order.
    async fn inputs(&self, source: &SourceId) -> Result<Vec<RecordedInput>, StoreError>;
    /// The past that lies ready for a monitor.
    async fn backlog(&self, monitor: &str) -> Result<Option<Backlog>, StoreError>;
}

/// An alert that waits to be sent.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// The alert.
    pub alert: Alert,
    /// Attempts so far.
    pub attempts: u32,
}

/// Alerts between commit and delivery.
#[async_trait]
pub trait Outbox: Send + Sync + fmt::Debug {
    /// A notifier's alerts that are due at this time, oldest first. One that waits for a retry holds up the
    /// later ones of its incident, so that each incident is told in order, and no other.
    async fn due(&self, notifier: &str, now_millis: i64, limit: usize) -> Result<Vec<OutboxRow>, StoreError>;
    /// The alert was delivered.
    async fn delivered(&self, id: &str, now_millis: i64) -> Result<(), StoreError>;
    /// An attempt failed; try again later.
    async fn postpone(&self, id: &str, due_millis: i64, error: &str) -> Result<(), StoreError>;
    /// No further attempts.
    async fn give_up(&self, id: &str, now_millis: i64, error: &str) -> Result<(), StoreError>;
    /// How many alerts wait for a notifier.
    async fn num_waiting(&self, notifier: &str) -> Result<u64, StoreError>;
}

/// One attempt to send failed.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The receiver will never take this message.
    #[error("refused: {0}")]
    Refused(String),
    /// The receiver could not be reached or failed.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The receiver asked for a pause.
    #[error("throttled for {} s: {why}", after.as_secs())]
    Throttled {
        /// How long.
        after: Duration,
        /// Why.
        why: String,
    },
}

impl NotifyError {
    /// Whose fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused(_) => Fault::User,
            Self::Unavailable(_) | Self::Throttled { .. } => Fault::External,
        }
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused(_) => Retry::Never,
            Self::Unavailable(_) => Retry::Backoff,
            Self::Throttled { after, .. } => Retry::After(*after),
        }
    }
}

/// Sends alerts somewhere.
#[async_trait]
pub trait Notifier: Send + Sync + fmt::Debug {
    /// Sends once. Retries, limits and duplicates are the business of delivery.
    async fn send(&self, alert: &Alert) -> Result<(), NotifyError>;
}

/// Takes refused events, for people to look at.
#[async_trait]
pub trait DeadLetters: Send {
    /// Keeps these. Called before the commit that counts them, and again with the same ones after an error
    /// that may be retried, so that none is lost.
    async fn keep(&mut self, rejects: &[RejectSample]) -> Result<LettersKept, StoreError>;
}

/// What became of refused events that were to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LettersKept {
    /// Written.
    pub written: u64,
    /// Never to be written; where each came from was logged.
    pub dropped: u64,
}
