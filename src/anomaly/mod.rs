//! Floor 3: scores become anomalies, anomalies become incidents, incidents become alert rows.
//!
//! Pure: the same windows give the same incidents, with the same ids, in live runs, replays and backtests.
//! Nothing here knows a store, a notifier or the wall clock.

mod alert;
mod book;
mod explain;
mod group;
#[cfg(test)]
mod group_tests;
mod incident;
mod life;
pub mod locate;
mod merge;
mod pace;
mod pairing;
mod related;
mod revise;
mod rules;
#[cfg(test)]
mod shift_tests;
mod space;
mod view;
mod wire;
mod words;

pub use alert::{Alert, AlertKind, AlertRule, MEASURED_LOG10_RATE, NominalRate, Threshold};
pub use book::{IncidentBook, Updates};
pub use incident::{Impact, Incident, IncidentKind, IncidentState, MEMBERS_KEPT, Member, Money, Revision};
pub use life::{Lives, Milestone, MilestoneKind, Mute};
pub use merge::{Anomaly, AnomalyTracker, MINOR_RECORDED_FROM, PAGE_RECORDED_FROM, SeverityTrack};
pub use pace::{DIGEST_ENTRIES_MAX, DigestEntry, DigestEvery, HeldBack, Pacing};
pub use pairing::pair;
pub use related::Related;
pub use revise::{RevisedWindow, WindowMarks};
pub use rules::{Conditions, DURATION_WINDOWS_MAX, MinDuration, RuleEvent, Schedule};
pub use view::{MeasureFacts, MeasureShape, MonitorFacts, Reading, WindowView};
pub use wire::{
    ImpactWire, IncidentWire, MemberWire, MoneyWire, RelatedWire, RevisionWire, SeverityWire, rfc3339,
};
pub use words::number;
