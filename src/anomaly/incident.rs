//! One incident: what belongs to it, how severe it was, and its sentence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidewatch_detectors::Side;

use super::{
    Anomaly, MonitorFacts, Mute, SeverityTrack, WindowView,
    alert::{Lasting, Told},
    explain::{Explained, Step},
    related::Related,
    words,
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
    /// Taken back: with what came late, none of its windows is anomalous.
    Retracted,
}

/// How late events changed an incident.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// How many times one of its windows was revised.
    pub times: u32,
    /// End of the window with which the last revision took effect.
    pub at_millis: i64,
    /// Expected sum before the first revision.
    pub expected: f64,
    /// Actual sum before the first revision.
    pub actual: f64,
    /// How far the deviation has moved since that was last told.
    pub(super) untold: f64,
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
    /// The same in money, counted once over levels and measures, where something is known to be worth any.
    #[serde(default)]
    pub money: Option<Money>,
}

/// An amount of money with an interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Money {
    /// Actual less expected.
    pub value: f64,
    /// Lower end, by the band.
    pub lower: f64,
    /// Upper end, by the band.
    pub upper: f64,
    /// As configured, e.g. `EUR`.
    pub currency: String,
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
    /// The primary measure: the one that broke first in the order of the funnel, else the most unusual.
    pub measure: String,
    /// The first broken step of the funnel, where one is clearly broken.
    #[serde(default)]
    pub broken_step: Option<String>,
    /// Above or below.
    pub side: Option<Side>,
    /// The slice that explains it, the first of `slices`; `{}` is the whole.
    pub slice: BTreeMap<String, String>,
    /// The smallest set of slices that explains it.
    #[serde(default)]
    pub slices: Vec<BTreeMap<String, String>>,
    /// The share of the deviation in those slices, 0..=1; the rest is unexplained.
    pub share: f64,
    /// Per dimension what each value holds of the deviation: whole percents that sum to 100.
    #[serde(default)]
    pub contributions: BTreeMap<String, BTreeMap<String, u32>>,
    /// Measures that usually go ahead of the primary one, or follow it.
    #[serde(default)]
    pub related: Vec<Related>,
    /// The incident that this one turned out to be a part of.
    #[serde(default)]
    pub merged_into: Option<String>,
    /// Expected sum in those slices over the anomalous windows.
    pub expected: f64,
    /// Actual sum.
    pub actual: f64,
    /// What it amounts to; `None` for measures that do not add up.
    pub impact: Option<Impact>,
    /// What late events made of it, if any came.
    #[serde(default)]
    pub revision: Option<Revision>,
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

    /// The anomalous series that shows it best: the explaining one, else another of its measure, else the most
    /// unusual. What broke first need not be anomalous by itself.
    pub fn shown(&self) -> Option<&Member> {
        let of_measure = |member: &&Member| member.measure == self.measure;
        let explaining = |member: &&Member| of_measure(member) && member.slice == self.slice;
        let members = || self.members.iter();
        members().find(explaining).or_else(|| members().find(of_measure)).or_else(|| members().next())
    }

    /// Whether any rule has told of it.
    pub fn is_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// True when over.
    pub fn is_closed(&self) -> bool {
        self.state != IncidentState::Open
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
            broken_step: None,
            side: None,
            slice: BTreeMap::new(),
            slices: vec![BTreeMap::new()],
            share: 1.0,
            contributions: BTreeMap::new(),
            related: Vec::new(),
            merged_into: None,
            expected: 0.0,
            actual: 0.0,
            impact: None,
            revision: None,
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

    /// Nothing of it is left.
    pub(super) fn retract(&mut self) {
        self.state = IncidentState::Retracted;
        self.closed_millis = Some(self.until_millis);
    }

    /// Takes in the anomalies of a window, of which the `own` ones make it more severe; says whether it has never been as
    /// unusual.
    pub(super) fn take(&mut self, view: &WindowView<'_>, joining: &[&Anomaly], own: &[&Anomaly]) -> bool {
        self.until_millis = view.end_millis;
        for anomaly in joining {
            self.keep_member(view, anomaly);
        }
        self.members.sort_by(rarest_first);
        self.members.truncate(MEMBERS_KEPT);
        if own.is_empty() {
            return false;
        }
        self.severity.update(own.iter().map(|anomaly| anomaly.severity.last).fold(0.0, f64::max));
        let rarest = own.iter().map(|anomaly| anomaly.page_log10_rate).fold(f64::INFINITY, f64::min);
        let minor = own.iter().map(|anomaly| anomaly.minor_peak).fold(0.0, f64::max);
        let is_new_peak = rarest < self.page_log10_rate || minor > self.minor_peak;
        self.page_log10_rate = self.page_log10_rate.min(rarest);
        self.minor_peak = self.minor_peak.max(minor);
        is_new_peak
    }

    /// Takes over what another incident holds that is a part of this one.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.opened_millis = self.opened_millis.min(other.opened_millis);
        self.until_millis = self.until_millis.max(other.until_millis);
        self.severity.peak = self.severity.peak.max(other.severity.peak);
        self.severity.last = self.severity.last.max(other.severity.last);
        self.page_log10_rate = self.page_log10_rate.min(other.page_log10_rate);
        self.minor_peak = self.minor_peak.max(other.minor_peak);
        for member in &other.members {
            if self.members.iter().all(|known| known.anomaly.series != member.anomaly.series) {
                self.members.push(member.clone());
            }
        }
        self.members.sort_by(rarest_first);
        self.members.truncate(MEMBERS_KEPT);
    }

    fn keep_member(&mut self, view: &WindowView<'_>, anomaly: &Anomaly) {
        let member = Member {
            measure: view.facts.measures[view.measure(anomaly.series)].name.clone(),
            slice: view.slice(anomaly.series).to_map(&view.facts.dimensions),
            anomaly: anomaly.clone(),
        };
        match self.members.iter_mut().find(|known| known.anomaly.series == anomaly.series) {
            // A weaker anomaly that the series has later does not stand for it.
            Some(known) if known.anomaly.opened_millis != anomaly.opened_millis => {
                if anomaly.page_log10_rate <= known.anomaly.page_log10_rate {
                    *known = member;
                }
            }
            Some(known) => *known = member,
            None => self.members.push(member),
        }
        // Thousands may join in one window; only the most unusual are kept by name.
        if self.members.len() > 2 * MEMBERS_KEPT {
            self.members.sort_by(rarest_first);
            self.members.truncate(MEMBERS_KEPT);
        }
    }

    /// Brings explanation, numbers and sentence up to date.
    pub(super) fn restate(&mut self, facts: &MonitorFacts, explained: &Explained, primary: usize) {
        let (measure, is_broken) = explained.first_broken(facts, primary);
        let fact = &facts.measures[measure];
        self.measure.clone_from(&fact.name);
        self.broken_step = is_broken.then(|| fact.name.clone());
        self.slices = explained.slices.iter().map(|slice| slice.to_map(&facts.dimensions)).collect();
        self.slice = self.slices.first().cloned().unwrap_or_default();
        self.share = explained.share;
        self.contributions.clone_from(&explained.contributions);
        let Some((step, side)) = self.step(&fact.name, explained.steps.get(measure)) else { return };
        let windows = if fact.adds_up() { 1.0 } else { f64::from(step.windows.max(1)) };
        self.side = Some(side);
        (self.expected, self.actual) = (step.expected / windows, step.actual / windows);
        self.impact = self.impact(facts, explained, measure, &step);
        let before = explained.before(facts, measure);
        let ahead = before.last().filter(|_| is_broken).map(|step| facts.measures[*step].name.as_str());
        let unit = fact.unit.as_deref();
        self.summary = format!(
            "{} {} {}since {} ({} instead of {}){}",
            fact.name,
            words::against_expected(self.actual, self.expected),
            words::place(&self.slices),
            words::local_time(self.opened_millis, &facts.zone),
            words::amount(self.actual, unit),
            words::amount(self.expected, unit),
            ahead.map(|ahead| format!(", {ahead} as expected")).unwrap_or_default(),
        );
    }

    /// How a measure went in the explaining slices: by its own anomaly where it has one, since that holds all
    /// anomalous windows, else since the slices are the explanation.
    fn step(&self, measure: &str, followed: Option<&Step>) -> Option<(Step, Side)> {
        let own = self.slices.len() == 1;
        let own =
            own.then(|| self.members.iter().find(|one| one.measure == measure && one.slice == self.slice));
        let followed = followed.filter(|step| step.windows > 0);
        let side = |step: &Step| if step.actual < step.expected { Side::Drop } else { Side::Rise };
        match (own.flatten(), followed) {
            (Some(member), followed) => {
                let Anomaly { actual, expected, lower, upper, num_windows, .. } = member.anomaly;
                let step = Step { actual, expected, lower, upper, windows: num_windows, ..Step::default() };
                let longer = followed.filter(|followed| followed.windows > num_windows).copied();
                let step = longer.unwrap_or(step);
                Some((step, if longer.is_some() { side(&step) } else { member.anomaly.side }))
            }
            (None, Some(followed)) => Some((*followed, side(followed))),
            // The slices were searched for another measure; the most unusual series of this one stands for it.
            (None, None) => {
                let like = self.members.iter().find(|one| one.measure == measure).or(self.members.first())?;
                let Anomaly { actual, expected, lower, upper, num_windows, .. } = like.anomaly;
                let step = Step { actual, expected, lower, upper, windows: num_windows, ..Step::default() };
                Some((step, like.anomaly.side))
            }
        }
    }

    fn impact(
        &self,
        facts: &MonitorFacts,
        explained: &Explained,
        measure: usize,
        step: &Step,
    ) -> Option<Impact> {
        let money = explained.money(facts, measure).and_then(|dear| {
            let (worth, currency) = facts.measures[dear].worth.as_ref()?;
            let (step, _) = self.step(&facts.measures[dear].name, explained.steps.get(dear))?;
            Some(Money {
                value: worth * (step.actual - step.expected),
                lower: worth * (step.actual - step.upper),
                upper: worth * (step.actual - step.lower),
                currency: currency.clone(),
            })
        });
        let fact = &facts.measures[measure];
        if fact.adds_up() {
            return Some(Impact {
                value: step.actual - step.expected,
                lower: step.actual - step.upper,
                upper: step.actual - step.lower,
                unit: fact.unit.clone().unwrap_or_else(|| fact.name.clone()),
                money,
            });
        }
        // A mean has no amount of its own.
        money.map(|money| Impact {
            value: money.value,
            lower: money.lower,
            upper: money.upper,
            unit: money.currency.clone(),
            money: Some(money),
        })
    }
}

fn rarest_first(a: &Member, b: &Member) -> std::cmp::Ordering {
    let rates = a.anomaly.page_log10_rate.total_cmp(&b.anomaly.page_log10_rate);
    rates.then(a.anomaly.series.cmp(&b.anomaly.series))
}
