//! What people tell a monitor: feedback, care for incidents, events. Recorded like the passing of time, so that a
//! replay hears the same at the same place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidewatch_detectors::{Alarm, Feedback, Said, Side};

use crate::{
    anomaly::Mute,
    calendar::{Entry, EntryKind, Origin, Scope, Span, class_of},
};

/// One measure of one slice, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesAt {
    /// Number of the slice.
    pub slice: usize,
    /// Number of the measure.
    pub measure: usize,
}

/// What somebody says about an incident or a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// It was real.
    Confirmed,
    /// It was real and expected: do not alarm about its like.
    Expected,
    /// There was nothing.
    FalseAlarm,
    /// The level has changed for good.
    NewNormal,
}

impl Label {
    /// All, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::Confirmed, Self::Expected, Self::FalseAlarm, Self::NewNormal];

    /// The word in API, metrics and store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Expected => "expected",
            Self::FalseAlarm => "false_alarm",
            Self::NewNormal => "new_normal",
        }
    }
}

/// How far feedback reaches beyond the series it is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// All series that took part.
    #[default]
    Incident,
    /// The most unusual series alone.
    Series,
    /// Every measure of its slice.
    Slice,
    /// Its measure in every slice.
    Measure,
    /// Every series of the monitor.
    Monitor,
}

/// A series that feedback is about, with its alarm in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The series.
    pub series: SeriesAt,
    /// The alarm as stored windows show it.
    pub alarm: Alarm,
}

/// Feedback about an incident, or about a range of one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GivenFeedback {
    /// What is said.
    pub label: Label,
    /// The incident it is about, if it is about one.
    pub incident: Option<String>,
    /// Start of what it is about, milliseconds since the Unix epoch.
    pub from_millis: i64,
    /// End of what it is about, exclusive.
    pub to_millis: i64,
    /// The series it is about, the most unusual first.
    pub targets: Vec<Target>,
    /// It is the running or the last alarm of its series, so the detectors know it better than `targets`.
    pub latest: bool,
    /// How far it reaches.
    pub reach: Reach,
    /// Why it happened, in a word.
    pub cause: Option<String>,
    /// Anything else.
    pub comment: Option<String>,
    /// Later alarms are silenced no more, in event time.
    pub expires_millis: Option<i64>,
}

impl GivenFeedback {
    /// The series it reaches, of a monitor with so many slices and measures, each with its own alarm if it has one.
    pub(super) fn reach(&self, num_slices: usize, num_measures: usize) -> BTreeMap<SeriesAt, Option<Alarm>> {
        let Some(first) = self.targets.first().map(|target| target.series) else { return BTreeMap::new() };
        let every = |slices: std::ops::Range<usize>, measures: std::ops::Range<usize>| {
            slices.flat_map(move |slice| measures.clone().map(move |measure| SeriesAt { slice, measure }))
        };
        let (slice, measure) = (first.slice, first.measure);
        let mut reached: BTreeMap<SeriesAt, Option<Alarm>> = match self.reach {
            Reach::Incident | Reach::Series => BTreeMap::new(),
            Reach::Slice => every(slice..slice + 1, 0..num_measures).map(|at| (at, None)).collect(),
            Reach::Measure => every(0..num_slices, measure..measure + 1).map(|at| (at, None)).collect(),
            Reach::Monitor => every(0..num_slices, 0..num_measures).map(|at| (at, None)).collect(),
        };
        for target in &self.targets {
            let wanted = match self.reach {
                Reach::Series => target.series == first,
                Reach::Incident => true,
                _ => reached.contains_key(&target.series),
            };
            if wanted {
                reached.insert(target.series, Some(target.alarm));
            }
        }
        reached
    }

    /// What a model is told about an alarm of its own series, or about the like of one elsewhere.
    pub(super) fn words(&self, own: Option<Alarm>, expires: Option<i64>) -> Vec<Said> {
        let Some(alarm) = own.or_else(|| self.targets.first().map(|target| target.alarm)) else {
            return Vec::new();
        };
        let side = alarm.side;
        let feedback = match (self.label, own) {
            (Label::NewNormal, _) => return vec![Feedback::NewNormal.into()],
            (Label::Confirmed, None) => return Vec::new(),
            (Label::Confirmed, Some(_)) => Feedback::Confirmed { side },
            (Label::FalseAlarm, Some(_)) => Feedback::FalseAlarm { side },
            (Label::Expected, _) | (Label::FalseAlarm, None) => Feedback::Expected { side },
        };
        let known = Said { feedback, about: None, expires };
        let told = Said { feedback, about: Some(alarm), expires };
        if own.is_some() && self.latest { vec![known, told] } else { vec![told] }
    }
}

/// An incident that nobody was told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissedIncident {
    /// Where it was.
    pub series: SeriesAt,
    /// Above or below what was expected.
    pub side: Side,
    /// From then on.
    pub from_millis: i64,
    /// Until then, exclusive.
    pub to_millis: i64,
    /// Anything else.
    pub comment: Option<String>,
}

/// A special time that somebody enters while the service runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnteredEvent {
    /// Its name: the same name is the same occasion.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// First second, since the Unix epoch.
    pub from_seconds: i64,
    /// First second after.
    pub to_seconds: i64,
    /// Dimensions by number with the values it holds for.
    pub scope: Vec<(usize, Vec<Box<str>>)>,
    /// By what the usual value is expected to be multiplied.
    pub uplift: Option<f64>,
}

impl EnteredEvent {
    /// As a calendar knows it.
    pub fn entry(&self) -> Entry {
        Entry {
            name: self.name.as_str().into(),
            class: class_of(&format!("event/{}", self.name)),
            kind: self.kind,
            origin: Origin::Entered,
            scope: Scope::new(self.scope.clone()),
            uplift: self.uplift,
        }
    }

    /// When.
    pub fn span(&self) -> Span {
        Span { clock: crate::calendar::Clock::Instant, from: self.from_seconds, to: self.to_seconds }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Somebody takes care of an incident.
    Acknowledge {
        /// The incident.
        incident: String,
    },
    /// Somebody is to take care of it, or nobody in particular.
    Assign {
        /// The incident.
        incident: String,
        /// Who.
        to: Option<String>,
    },
    /// No alerts about it.
    Mute {
        /// The incident.
        incident: String,
        /// While this holds; `None` ends the quiet.
        mute: Option<Mute>,
    },
    /// Words for others to read.
    Note {
        /// The incident.
        incident: String,
        /// The words.
        text: String,
    },
    /// What somebody says about alarms.
    Feedback(GivenFeedback),
    /// What somebody says about the lack of one.
    Missed(MissedIncident),
    /// A special time.
    Event(EnteredEvent),
    /// The special times of a calendar; they are taken back together.
    Events {
        /// What people call the calendar.
        name: String,
        /// The special times.
        events: Vec<EnteredEvent>,
    },
    /// Takes back feedback, a missed incident, an event or a calendar.
    Undo {
        /// The number of what is taken back.
        number: u64,
    },
}

impl Ask {
    /// The special times that are entered.
    pub fn entered(&self) -> &[EnteredEvent] {
        match self {
            Self::Event(event) => std::slice::from_ref(event),
            Self::Events { events, .. } => events,
            _ => &[],
        }
    }

    /// The word in the API and the store.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Acknowledge { .. } => "acknowledge",
            Self::Assign { .. } => "assign",
            Self::Mute { .. } => "mute",
            Self::Note { .. } => "note",
            Self::Feedback(_) => "feedback",
            Self::Missed(_) => "missed",
            Self::Event(_) => "event",
            Self::Events { .. } => "events",
            Self::Undo { .. } => "undo",
        }
    }

    /// The incident it is about.
    pub fn incident(&self) -> Option<&str> {
        match self {
            Self::Acknowledge { incident }
            | Self::Assign { incident, .. }
            | Self::Mute { incident, .. }
            | Self::Note { incident, .. } => Some(incident),
            Self::Feedback(feedback) => feedback.incident.as_deref(),
            Self::Missed(_) | Self::Event(_) | Self::Events { .. } | Self::Undo { .. } => None,
        }
    }
}

/// One instruction to a monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instruction {
    /// Wall clock, milliseconds since the Unix epoch.
    pub at_millis: i64,
    /// Who, as they called themselves.
    pub by: String,
    /// What.
    pub ask: Ask,
}

/// What a model was told by an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaidTo {
    /// The model's series.
    pub series: SeriesAt,
    /// What.
    pub said: Said,
}

/// An instruction that was carried out: a row of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instructed {
    /// Counts up per monitor, from 1.
    pub number: u64,
    /// Windows that end at or before this were closed by then.
    pub after_millis: i64,
    /// What was asked.
    pub instruction: Instruction,
    /// What models were told.
    pub said: Vec<SaidTo>,
    /// Series that unlearn the windows of a range.
    #[serde(default)]
    pub held: Vec<SeriesAt>,
}

/// An instruction that cannot be carried out; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The engine does not serve this monitor.
    #[error("no monitor `{0}` runs here")]
    NoMonitor(String),
    /// What is to be taken back is not there, or was taken back before.
    #[error("there is nothing with the number {0} that can be undone")]
    NothingToUndo(u64),
    /// A series it names is not kept.
    #[error("it is about a series that the monitor does not keep")]
    NoSeries,
    /// It reaches too far.
    #[error("it reaches {found} series; at most {most}: narrow its scope")]
    TooMany {
        /// Series in reach.
        found: usize,
        /// How many may be.
        most: usize,
    },
    /// Its time is over.
    #[error("it would have expired before the next window")]
    Expired,
}
