//! What people did with incidents, and what they asked.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{IncidentWire, rfc3339};
use crate::{
    anomaly::{Incident, Milestone},
    calendar::SpecialTimeWire,
    pipeline::{Ask, Instructed, Label, Preview, PreviewedIncident},
};

/// What people did with an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(title = "Care")]
pub struct CareWire {
    /// Who took care of it last.
    pub acknowledged_by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub acknowledged_at: Option<String>,
    /// Who is to take care of it.
    pub assigned_to: Option<String>,
    /// The quiet that somebody asked for; `null` is none.
    pub mute: Option<MuteWire>,
    /// What people say of it: `confirmed`, `expected`, `false_alarm` or `new_normal`.
    #[schema(example = "confirmed")]
    pub label: Option<&'static str>,
    /// Detectors heard of it, so later scores of its series may differ.
    pub affected_by_feedback: bool,
}

/// Nobody is told while all of this holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Mute")]
pub struct MuteWire {
    /// Until then, milliseconds since the Unix epoch; `null` is for ever.
    pub until_millis: Option<i64>,
    /// While its peak severity is not above this; `null` is any.
    pub until_severity_above: Option<f64>,
}

/// An incident in a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "ListedIncident")]
pub struct ListedIncidentWire {
    /// The incident.
    #[serde(flatten)]
    pub incident: IncidentWire,
    /// What people did with it.
    #[serde(flatten)]
    pub care: CareWire,
}

/// An incident with its life.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "IncidentDetail")]
pub struct IncidentDetailWire {
    /// The incident.
    #[serde(flatten)]
    pub incident: IncidentWire,
    /// What people did with it.
    #[serde(flatten)]
    pub care: CareWire,
    /// What happened to it, in order of time.
    pub timeline: Vec<TimelineWire>,
    /// What people said of it, newest first, with what was taken back.
    pub feedback: Vec<InstructedWire>,
    /// Special times around it.
    pub events: Vec<SpecialTimeWire>,
}

/// One step in the life of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "TimelineEntry")]
pub struct TimelineWire {
    /// Event time of what the engine saw, wall clock of what people did.
    #[schema(format = DateTime)]
    pub at: String,
    /// `opened`, `escalated`, `recovered`, `resumed`, `closed`, `revised`, `retracted`; `acknowledge`, `assign`, `mute`, `note`, `feedback`.
    #[schema(example = "escalated")]
    pub what: &'static str,
    /// Who.
    pub by: Option<String>,
    /// Peak page severity by then.
    pub severity: Option<f64>,
    /// In words.
    pub text: Option<String>,
}

/// An instruction that was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Instructed")]
pub struct InstructedWire {
    /// Its number; takes it back.
    pub number: u64,
    /// What was asked: `acknowledge`, `assign`, `mute`, `note`, `feedback`, `missed`, `event`, `events` or `undo`.
    #[schema(example = "feedback")]
    pub what: &'static str,
    /// The incident it is about.
    pub incident: Option<String>,
    /// When, by the wall clock.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who.
    pub by: String,
    /// What feedback says.
    pub label: Option<&'static str>,
    /// Why it happened.
    pub cause: Option<String>,
    /// In words.
    pub comment: Option<String>,
    /// When its effect ends.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// How many series heard of it.
    pub num_series: usize,
    /// How many series unlearn the windows of a range.
    pub num_unlearned: usize,
    /// False once it was taken back.
    pub holds: bool,
}

/// Instructions to a monitor, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "InstructedList")]
pub struct InstructedListWire {
    /// The instructions.
    pub feedback: Vec<InstructedWire>,
}

/// What feedback would have done to the stored past.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "FeedbackPreview")]
pub struct PreviewWire {
    /// Incidents of which nothing would be left.
    pub silences: Vec<PreviewedWire>,
    /// Incidents that would lose series or windows.
    pub reduces: Vec<PreviewedWire>,
    /// Confirmed incidents among those silenced: reasons not to say it so.
    pub must_not: Vec<PreviewedWire>,
    /// Anomalous windows of the series looked at, without it.
    pub windows_without: usize,
    /// And with it.
    pub windows_with: usize,
    /// Series it reaches.
    pub num_series: usize,
    /// Series looked at: the most unusual.
    pub num_series_looked_at: usize,
}

/// An incident in a preview.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "PreviewedIncident")]
pub struct PreviewedWire {
    /// Its id.
    pub id: String,
    /// `open`, `closed` or `retracted`.
    pub state: &'static str,
    /// When it began.
    #[schema(format = DateTime)]
    pub opened_at: String,
    /// Peak page severity.
    pub severity: f64,
    /// One sentence.
    pub summary: String,
    /// What people said of it.
    pub label: Option<&'static str>,
}

/// Why a window was or was not flagged.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Why")]
pub struct WhyWire {
    /// The monitor.
    pub monitor: String,
    /// The measure.
    pub measure: String,
    /// The slice; `{}` is the whole.
    pub slice: BTreeMap<String, String>,
    /// Start of the window.
    #[schema(format = DateTime)]
    pub from: String,
    /// End of the window.
    #[schema(format = DateTime)]
    pub to: String,
    /// The value; `null` is a gap.
    pub value: Option<f64>,
    /// The score as stored; `null` where nothing was judged.
    pub expected: Option<f64>,
    /// Page severity as stored.
    pub severity: Option<f32>,
    /// Severity in the minor class, as stored.
    pub minor: Option<f32>,
    /// Whether the window was anomalous.
    pub flagged: bool,
    /// The reasons in words.
    pub text: String,
    /// What kept it from being flagged or from paging, each in words.
    pub held_back: Vec<String>,
    /// What each comparison of the detector found, in words, the rarest first.
    pub comparisons: Vec<String>,
    /// Windows seen and needed, while the series warms up.
    pub learning: Option<[u64; 2]>,
    /// An alarm was held back because people expect its like.
    pub affected_by_feedback: bool,
}

impl CareWire {
    /// What these instructions about an incident amount to.
    pub fn of<'r>(incident: &Incident, told: impl Iterator<Item = &'r Instructed>, undone: &[u64]) -> Self {
        let mute = incident.mute.filter(|_| !incident.is_closed());
        let mut care = Self {
            mute: mute.map(|mute| MuteWire {
                until_millis: mute.until_millis,
                until_severity_above: mute.until_above,
            }),
            ..Self::default()
        };
        for row in told.filter(|row| !undone.contains(&row.number)) {
            match &row.instruction.ask {
                Ask::Acknowledge { .. } => {
                    care.acknowledged_by = Some(row.instruction.by.clone());
                    care.acknowledged_at = Some(rfc3339(row.instruction.at_millis));
                }
                Ask::Assign { to, .. } => care.assigned_to.clone_from(to),
                Ask::Feedback(feedback) => {
                    care.label = Some(feedback.label.as_str());
                    care.affected_by_feedback |= !row.said.is_empty();
                }
                _ => {}
            }
        }
        care
    }
}

impl From<&Milestone> for TimelineWire {
    fn from(milestone: &Milestone) -> Self {
        Self {
            at: rfc3339(milestone.at_millis),
            what: milestone.kind.as_str(),
            by: None,
            severity: Some((milestone.severity * 100.0).round() / 100.0),
            text: None,
        }
    }
}

impl From<&Instructed> for TimelineWire {
    fn from(row: &Instructed) -> Self {
        let instruction = &row.instruction;
        let text = match &instruction.ask {
            Ask::Assign { to, .. } => Some(to.clone().unwrap_or_else(|| "nobody".to_owned())),
            Ask::Mute { mute: None, .. } => Some("quiet ended".to_owned()),
            Ask::Mute { mute: Some(mute), .. } => Some(match (mute.until_millis, mute.until_above) {
                (Some(until), _) => format!("until {}", rfc3339(until)),
                (None, Some(severity)) => format!("until severity is above {severity:.0}"),
                (None, None) => "for good".to_owned(),
            }),
            Ask::Note { text, .. } => Some(text.clone()),
            Ask::Feedback(feedback) => {
                let said =
                    [Some(feedback.label.as_str()), feedback.cause.as_deref(), feedback.comment.as_deref()];
                Some(said.into_iter().flatten().collect::<Vec<_>>().join("; "))
            }
            _ => None,
        };
        Self {
            at: rfc3339(instruction.at_millis),
            what: instruction.ask.as_str(),
            by: Some(instruction.by.clone()),
            severity: None,
            text,
        }
    }
}

impl InstructedWire {
    /// A row, and whether it still holds.
    pub fn of(row: &Instructed, holds: bool) -> Self {
        let ask = &row.instruction.ask;
        let feedback = if let Ask::Feedback(feedback) = ask { Some(feedback) } else { None };
        let comment = match ask {
            Ask::Feedback(feedback) => feedback.comment.clone(),
            Ask::Missed(missed) => missed.comment.clone(),
            Ask::Note { text, .. } => Some(text.clone()),
            Ask::Event(event) => Some(event.name.clone()),
            Ask::Events { name, .. } => Some(name.clone()),
            _ => None,
        };
        Self {
            number: row.number,
            what: ask.as_str(),
            incident: ask.incident().map(str::to_owned),
            at: rfc3339(row.instruction.at_millis),
            by: row.instruction.by.clone(),
            label: feedback.map(|feedback| feedback.label.as_str()),
            cause: feedback.and_then(|feedback| feedback.cause.clone()),
            comment,
            expires_at: feedback.and_then(|feedback| feedback.expires_millis).map(rfc3339),
            num_series: row.said.len(),
            num_unlearned: row.held.len(),
            holds,
        }
    }
}

impl From<&Preview> for PreviewWire {
    fn from(preview: &Preview) -> Self {
        let these = |silenced: bool| {
            let some = preview.incidents.iter().filter(move |known| known.silenced == silenced);
            some.map(PreviewedWire::from).collect()
        };
        Self {
            silences: these(true),
            reduces: these(false),
            must_not: preview.lost().map(PreviewedWire::from).collect(),
            windows_without: preview.windows.0,
            windows_with: preview.windows.1,
            num_series: preview.series.0,
            num_series_looked_at: preview.series.1,
        }
    }
}

impl From<&PreviewedIncident> for PreviewedWire {
    fn from(previewed: &PreviewedIncident) -> Self {
        let wire = IncidentWire::from(&previewed.incident);
        Self {
            id: wire.id,
            state: wire.state,
            opened_at: wire.opened_at,
            severity: wire.severity.peak,
            summary: wire.summary,
            label: previewed.label.map(Label::as_str),
        }
    }
}
