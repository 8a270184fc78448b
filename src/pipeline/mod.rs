//! Floor 4: the road itself. Ports, the pure engine, the run loop, delivery, telemetry.
//!
//! The story of one batch: a [`Source`] hands over records of one partition with the positions they cover.
//! The [`Engine`] decodes them, adds them to the open windows of every monitor of that source, and closes
//! the windows that the watermark has passed. Each closed window is scored series by series, score first,
//! learn second; unusual scores become anomalies, anomalies incidents, incidents alert rows. Everything that
//! changed, together with the positions it came from, is one [`Commit`]. The [`Store`] writes it in one
//! transaction or refuses it. Only then is the source told that the records are safe. Alert rows wait in the
//! outbox until a [`Courier`] has sent them.
//!
//! The engine touches no network, disk, clock or environment; the [`Runner`] and the couriers carry out what it
//! decides.

mod clock;
mod commit;
mod deliver;
mod engine;
mod frames;
mod guard;
mod intake;
mod lineage;
mod models;
mod monitor;
mod ports;
mod realised;
mod relations;
mod restore;
mod run;
mod spec;
mod status;
mod telemetry;

pub use clock::{AcceleratedClock, Clock, ManualClock, SystemClock};
pub use commit::{Commit, FrameBlob, ModelBlob, MonitorCommit, RecordedInput, RecordedInputKind, SlicesFrom};
pub use deliver::{Courier, DeliveryPolicy};
pub use engine::{Engine, EngineLimits};
pub use frames::{BlobError, SHARD_SLICES, ShardFrame, StoredScore};
pub use guard::Guard;
pub use models::{Judging, Models, Seen};
pub use monitor::{Monitor, Totals};
pub use ports::{
    DeadLetters, Fault, History, HistoryRange, IncidentQuery, Notifier, NotifyError, Outbox, OutboxRow,
    Restored, RestoredMonitor, Retry, Source, SourceError, SourceFigures, SourceState, Store, StoreError,
};
pub use relations::RelationSpec;
pub use restore::{RestoreError, restore};
pub use run::{IncidentWatcher, RunError, RunPolicy, Runner};
pub use spec::{MonitorSpec, SliceZones};
pub use status::{MonitorStatus, SourceStatus, StatusBoard};
pub use telemetry::Telemetry;
