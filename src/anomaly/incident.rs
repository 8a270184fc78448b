//! One incident: what belongs to it, how severe it was, and its sentence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidewatch_detectors::Side;

use super::{
    Anomaly, MonitorFacts, Mute, SeverityTrack, WindowView,
    alert::{Lasting, Told},
    explain, words,
};

/// What kind of trouble an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// Measures off what was expected, severe enough to page.
    Deviation,
    /// Small or slow deviations: listed, never paged.
    Minor,
    /// The source cannot be read, so nothing can be said.
    NoData,
    /// Most of what is sent cannot be used, so what is said rests on little.
    EngineTrouble,
}

/// Where an incident is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Going on.
    Open,
    /// Over.
    Closed,
}

/// What the deviation amounts to so far, in the measure's unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// Actual less expected, summed over the anomalous windows.
    pub value: f64,
    /// Lower end, by the band.
    pub lower: f64,
    /// Upper end, by the band.
    pub upper: f64,
    /// The measure's unit; its name where none is configured.
    pub unit: String,
}

/// One anomalous series of an incident, with its names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The measure.
    pub measure: String,
    /// The slice; `{}` is the whole.
    pub slice: BTreeMap<String, String>,
    /// The anomaly.
    pub anomaly: Anomaly,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// `<monitor>-<number>`.
    pub id: String,
    /// The monitor.
    pub monitor: String,
    /// What kind of trouble.
    pub kind: IncidentKind,
    /// Open or closed.
    pub state: IncidentState,
    /// Start of its first anomalous window, milliseconds since the Unix epoch.
    pub opened_millis: i64,
    /// End of its last anomalous window, once closed.
    pub closed_millis: Option<i64>,
    /// End of its last anomalous window so far.
    pub until_millis: i64,
    /// Page severity: in each window the highest of its anomalies.
    pub severity: SeverityTrack,
    /// Highest severity in the minor class.
    pub minor_peak: f64,
    /// log10 of false events per series-week at its most unusual, unclipped.
    pub page_log10_rate: f64,
    /// The measure that is most unusual.
    pub measure: String,
    /// Above or below.
    pub side: Option<Side>,
    /// The slice that explains it; `{}` is the whole.
    pub slice: BTreeMap<String, String>,
    /// The share of the deviation in that slice, 0..=1.
    pub share: f64,
    /// Expected sum of that series over its anomalous windows.
    pub expected: f64,
    /// Actual sum.
    pub actual: f64,
    /// What it amounts to; `None` for measures that do not add up.
    pub impact: Option<Impact>,
    /// One sentence with numbers, slice and start.
    pub summary: String,
    /// The anomalous series, most unusual first; at most [`MEMBERS_KEPT`].
    pub members: Vec<Member>,
    /// How many series took part.
    pub num_members: usize,
    /// The quiet that somebody asked for.
    #[serde(default)]
    pub mute: Option<Mute>,
    pub(super) told: BTreeMap<usize, Told>,
    #[serde(default)]
    pub(super) lasting: BTreeMap<usize, Lasting>,
}

/// An incident over thousands of series keeps this many of them by name.
pub const MEMBERS_KEPT: usize = 100;

impl Incident {
    /// True in its first window.
    pub fn is_new(&self) -> bool {
        self.members.iter().all(|member| member.anomaly.num_windows <= 1)
    }

    /// Whether somebody asked for quiet about it, at this time.
    pub fn is_muted(&self, at_millis: i64) -> bool {
        self.mute.is_some_and(|mute| mute.holds(at_millis, self.severity.peak))
    }

    /// Whether any rule has told of it.
    pub fn is_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// True when over.
    pub fn is_closed(&self) -> bool {
        self.state == IncidentState::Closed
    }
}

impl Incident {
    /// An incident that holds nothing yet.
    pub(super) fn open(id: String, kind: IncidentKind, monitor: &str, opened_millis: i64) -> Self {
        Self {
            id,
            monitor: monitor.to_owned(),
            kind,
            state: IncidentState::Open,
            opened_millis,
            closed_millis: None,
            until_millis: opened_millis,
            severity: SeverityTrack::starting(0.0),
            minor_peak: 0.0,
            page_log10_rate: f64::MAX,
            measure: String::new(),
            side: None,
            slice: BTreeMap::new(),
            share: 1.0,
            expected: 0.0,
            actual: 0.0,
            impact: None,
            summary: String::new(),
            members: Vec::new(),
            num_members: 0,
            mute: None,
            told: BTreeMap::new(),
            lasting: BTreeMap::new(),
        }
    }

    /// It ended with its last anomalous window.
    pub(super) fn close(&mut self) {
        self.state = IncidentState::Closed;
        self.closed_millis = Some(self.until_millis);
    }

    /// Takes in the anomalies of a window, whose highest page severity is `severity`.
    pub(super) fn take(&mut self, view: &WindowView<'_>, severity: f64, joining: &[&Anomaly]) {
        self.severity.update(severity);
        self.until_millis = view.end_millis;
        let rarest = joining.iter().map(|anomaly| anomaly.page_log10_rate).fold(f64::INFINITY, f64::min);
        let minor = joining.iter().map(|anomaly| anomaly.minor_peak).fold(0.0, f64::max);
        let is_new_peak = rarest < self.page_log10_rate || minor > self.minor_peak;
        self.page_log10_rate = self.page_log10_rate.min(rarest);
        self.minor_peak = self.minor_peak.max(minor);
        for anomaly in joining {
            self.keep_member(view, anomaly);
        }
        if is_new_peak && let Some(explanation) = explain::explain(view, joining.iter().copied()) {
            let measure = view.measure(explanation.series);
            self.measure.clone_from(&view.facts.measures[measure].name);
            self.slice = view.slice(explanation.series).to_map(&view.facts.dimensions);
            self.share = explanation.share;
        }
        self.restate(view.facts);
    }

    fn keep_member(&mut self, view: &WindowView<'_>, anomaly: &Anomaly) {
        let member = Member {
            measure: view.facts.measures[view.measure(anomaly.series)].name.clone(),
            slice: view.slice(anomaly.series).to_map(&view.facts.dimensions),
            anomaly: anomaly.clone(),
        };
        match self.members.iter_mut().find(|known| known.anomaly.series == anomaly.series) {
            Some(known) => *known = member,
            None => self.members.push(member),
        }
        self.members.sort_by(|a, b| {
            let rates = a.anomaly.page_log10_rate.total_cmp(&b.anomaly.page_log10_rate);
            rates.then(a.anomaly.series.cmp(&b.anomaly.series))
        });
        self.members.truncate(MEMBERS_KEPT);
    }

    /// Brings numbers and sentence up to date with the explaining series.
    fn restate(&mut self, facts: &MonitorFacts) {
        let explaining =
            self.members.iter().find(|member| member.measure == self.measure && member.slice == self.slice);
        let Some(member) = explaining else { return };
        let anomaly = &member.anomaly;
        let measure = facts.measures.iter().find(|measure| measure.name == member.measure);
        let additive = measure.is_some_and(|measure| measure.additive);
        let windows = if additive { 1.0 } else { f64::from(anomaly.num_windows.max(1)) };
        self.side = Some(anomaly.side);
        (self.expected, self.actual) = (anomaly.expected / windows, anomaly.actual / windows);
        let unit = measure.and_then(|measure| measure.unit.clone());
        self.impact = additive.then(|| Impact {
            value: anomaly.deviation(),
            lower: anomaly.actual - anomaly.upper,
            upper: anomaly.actual - anomaly.lower,
            unit: unit.clone().unwrap_or_else(|| member.measure.clone()),
        });
        self.summary = format!(
            "{} {} {}since {} ({} instead of {})",
            member.measure,
            words::against_expected(self.actual, self.expected),
            place(&member.slice),
            words::local_time(anomaly.opened_millis, &facts.zone),
            words::amount(self.actual, unit.as_deref()),
            words::amount(self.expected, unit.as_deref()),
        );
    }
}

fn place(slice: &BTreeMap<String, String>) -> String {
    if slice.is_empty() {
        return String::new();
    }
    let values: Vec<String> = slice.iter().map(|(name, value)| format!("{name} {value}")).collect();
    format!("in {} ", values.join(", "))
}
