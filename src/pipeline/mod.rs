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

mod backfill;
mod backtests;
mod carry_out;
mod clock;
mod commit;
mod correction;
mod deliver;
mod desk;
mod effect;
mod engine;
mod frames;
mod guard;
mod instruct;
mod intake;
mod ledger;
mod letters;
mod lineage;
mod models;
mod monitor;
mod ports;
mod preview;
mod realised;
mod reconsider;
mod relations;
mod replay;
mod rescore;
mod restore;
mod run;
mod series;
mod spec;
mod stage;
mod status;
mod stored;
mod telemetry;
mod trouble;

pub use backfill::{BackfillError, BackfillProgress, BackfillStep, Backlog, backfill};
pub use backtests::{BacktestOrder, BacktestRow, Backtests, BacktestsError};
pub use clock::{AcceleratedClock, Clock, ManualClock, SystemClock};
pub use commit::{
    Commit, CorrectableBlob, FrameBlob, ModelBlob, MonitorCommit, RecordedInput, RecordedInputKind,
    RevisionBlob, SlicesFrom,
};
pub use deliver::{Courier, DeliveryPolicy};
pub use desk::{Desk, DeskError, Inbox};
pub use effect::{Effect, EffectOf, effect};
pub use engine::{Engine, EngineLimits};
pub use frames::{BlobError, FrameReader, Observed, SHARD_SLICES, ShardFrame, ShardRevision, StoredScore};
pub use guard::Guard;
pub use instruct::{
    Ask, EnteredEvent, GivenFeedback, Instructed, Instruction, Label, MissedIncident, Reach, Refused, SaidTo,
    SeriesAt, Target,
};
pub use ledger::{KnownEvent, Ledger};
pub use models::Models;
pub use monitor::{Monitor, Totals};
pub use ports::{
    CareQuery, DeadLetters, DeliveryQuery, DeliveryRow, DeliveryState, Fault, History, HistoryRange,
    IncidentQuery, LettersKept, Notifier, NotifierRecord, NotifyError, Outbox, OutboxRow, Restored,
    RestoredMonitor, Retry, SEVERITY_STEPS, Source, SourceError, SourceFigures, SourceState, Store,
    StoreError,
};
pub use preview::{PreviewError, PreviewedAlert, RulesPreview, preview};
pub use reconsider::{Explained, Past, Preview, PreviewedIncident};
pub use relations::RelationSpec;
pub use replay::{ReplayError, replay};
pub use rescore::{Rescore, RescoreLimits, Rescored, Scores};
pub use restore::{RestoreError, relearn, restore};
pub use run::{IncidentWatcher, RunError, RunPolicy, Runner};
pub use series::{Judging, MeasureProgress, OutsideCauses, Seen, Why};
pub use spec::{MonitorSpec, SliceZones};
pub use status::{FeedbackFigures, MonitorStatus, SourceStatus, StatusBoard};
pub use telemetry::{Reload, Telemetry};
