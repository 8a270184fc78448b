//! What late events make of incidents.
//!
//! A revised window is judged again by what was expected of it when it closed: the models have learned what was known
//! then. A value that lies within its band now is not anomalous any more; one that was anomalous within its band, by
//! what had gathered over windows before it, is calm when it has come half the way back. Numbers, impact and sentence
//! of an incident follow; its beginning, its end and its severities stay as they were told. An incident without an
//! anomalous window is retracted. Revised windows never open an incident.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tidewatch_detectors::Side;

use super::{
    Anomaly, AnomalyTracker, Incident, IncidentBook, IncidentKind, MonitorFacts, Revision, Updates,
    WindowView,
    alert::{self, Moment},
    explain::Step,
    group::OpenIncident,
};
use crate::window::{Frame, SliceKey};

/// A change of the deviation by less than this part is not worth a message.
const NEWS_PART: f64 = 0.1;

/// What a judged window gave to incidents, for as long as the window can be revised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowMarks {
    loud: Vec<Loud>,
    /// What it added to the steps of incidents, by number and measure.
    steps: Vec<(u64, Vec<Option<Step>>)>,
}

/// A series that was anomalous in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Loud {
    /// Number of the incident it joined.
    incident: u64,
    series: usize,
    side: Side,
    /// The value from which on it is calm.
    calm_from: f64,
    pub(super) actual: f64,
    pub(super) expected: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
}

/// A closed window before and after late events.
#[derive(Clone, Copy, Debug)]
pub struct RevisedWindow<'w> {
    /// Its start and end.
    pub span_millis: (i64, i64),
    /// As it stood.
    pub before: &'w Frame,
    /// As it stands.
    pub after: &'w Frame,
    /// End of the window with whose close this takes effect.
    pub at_millis: i64,
}

impl Loud {
    fn of(view: &WindowView<'_>, incident: u64, series: usize) -> Option<Self> {
        let reading = view.reading(series)?;
        let score = reading.score?;
        let (actual, expected) = (reading.actual, score.expected);
        let band = if score.side == Side::Drop { score.lower } else { score.upper };
        let within = if score.side == Side::Drop { actual >= band } else { actual <= band };
        Some(Self {
            incident,
            series,
            side: score.side,
            calm_from: if within { f64::midpoint(actual, expected) } else { band },
            actual,
            expected,
            lower: score.lower,
            upper: score.upper,
        })
    }

    fn holds(&self, value: f64) -> bool {
        match self.side {
            Side::Drop => value < self.calm_from,
            Side::Rise => value > self.calm_from,
        }
    }
}

impl RevisedWindow<'_> {
    /// The value of a measure of a slice before and after; `None` where either is not known.
    fn values(&self, slice: usize, measure: usize) -> Option<(f64, f64)> {
        let value = |frame: &Frame| Some(frame.slices.get(slice)?.cells.get(measure).copied()??.value);
        Some((value(self.before)?, value(self.after)?))
    }

    fn changes(&self, slice: usize) -> bool {
        self.before.slices.get(slice) != self.after.slices.get(slice)
    }
}

impl IncidentBook {
    /// What must be known of a window to revise it; `joined` are its anomalous series and their incidents.
    pub(super) fn mark(&mut self, view: &WindowView<'_>, joined: &[(u64, usize)]) -> WindowMarks {
        let oldest = view.start_millis.saturating_sub(view.facts.revisable_millis);
        let width = view.end_millis - view.start_millis;
        for open in self.open.values_mut().chain(self.past.values_mut()) {
            let later = open.loud.split_off(&oldest.saturating_sub(width - 1));
            open.is_settled |= !open.loud.is_empty();
            open.loud = later;
        }
        self.past.retain(|_, past| !past.loud.is_empty());
        let mut marks = WindowMarks::default();
        for (number, series) in joined {
            marks.loud.extend(Loud::of(view, *number, *series));
        }
        for number in joined.iter().map(|(number, _)| *number).collect::<BTreeSet<u64>>() {
            let Some(open) = self.open.get_mut(&number) else { continue };
            open.loud.insert(view.start_millis);
            let steps = open.explained.take_newest(view.start_millis);
            marks.steps.extend(steps.map(|steps| (number, steps)));
        }
        marks
    }

    /// Lets go of incidents that are over; those that can still be revised are kept aside.
    pub(super) fn let_go(&mut self, facts: &MonitorFacts) {
        let over = self.open.extract_if(.., |_, open| open.incident.is_closed());
        for (number, mut open) in over {
            if facts.revisable_millis > 0 && !open.loud.is_empty() {
                open.explained.settle();
                self.past.insert(number, open);
            }
        }
    }

    /// Judges the incidents of a revised window again. `num_series` may raise false alarms.
    pub fn revise(
        &mut self,
        facts: &MonitorFacts,
        slices: &[SliceKey],
        tracker: &mut AnomalyTracker,
        window: &RevisedWindow<'_>,
        marks: &mut WindowMarks,
        num_series: usize,
    ) -> Updates {
        let mut touched = self.judge_again(facts, tracker, window, marks);
        touched.extend(self.follow_again(facts, slices, window, marks));
        let mut updates = Updates::default();
        let (start_millis, end_millis) = window.span_millis;
        let moment = Moment {
            facts,
            num_series,
            at_millis: window.at_millis,
            interval_millis: end_millis - start_millis,
        };
        for number in touched {
            let is_loud = marks.loud.iter().any(|loud| self.home(loud.incident) == Some(number));
            let was_open = self.open.contains_key(&number);
            let Some(open) = find(&mut self.open, &mut self.past, number) else { continue };
            if !is_loud {
                open.loud.remove(&start_millis);
            }
            let is_news = open.restate_revised(facts, window.at_millis);
            let incident = &mut open.incident;
            if is_news {
                updates.news.push(incident.id.clone());
            }
            if is_news && incident.kind == IncidentKind::Deviation {
                alert::tell_revision(incident, was_open, &mut self.paces, moment, &mut updates);
            }
            updates.incidents.push(incident.clone());
        }
        self.let_go(facts);
        self.past.retain(|_, past| !past.loud.is_empty());
        updates
    }

    /// Judges the anomalous series of a window by their values now; says whose incidents changed.
    fn judge_again(
        &mut self,
        facts: &MonitorFacts,
        tracker: &mut AnomalyTracker,
        window: &RevisedWindow<'_>,
        marks: &mut WindowMarks,
    ) -> BTreeSet<u64> {
        let mut touched = BTreeSet::new();
        let stride = facts.measures.len();
        let mut loud = std::mem::take(&mut marks.loud);
        loud.retain_mut(|loud| {
            let Some(number) = self.home(loud.incident) else { return true };
            let values = window.values(loud.series / stride, loud.series % stride);
            let Some((_, now)) = values.filter(|(before, after)| before != after) else { return true };
            touched.insert(number);
            let holds = loud.holds(now);
            touched.extend(self.change(tracker, loud, window.span_millis.0, holds.then_some(now)));
            loud.actual = now;
            holds
        });
        // Relations are not judged again: they go with the last measure that was anomalous in the window.
        let width = window.after.slices.first().map_or(0, |row| row.cells.len());
        let is_measure = |loud: &Loud| loud.series % stride < width;
        let judged: BTreeSet<u64> =
            loud.iter().filter(|loud| is_measure(loud)).filter_map(|loud| self.home(loud.incident)).collect();
        loud.retain(|loud| {
            let Some(number) = self.home(loud.incident) else { return true };
            let alone = !judged.contains(&number) && touched.contains(&number);
            if !alone || !window.changes(loud.series / stride) {
                return true;
            }
            touched.extend(self.change(tracker, loud, window.span_millis.0, None));
            false
        });
        marks.loud = loud;
        touched
    }

    /// One window of an anomaly has the value `now`, or is calm. Gives the incidents that hold the anomaly.
    fn change(
        &mut self,
        tracker: &mut AnomalyTracker,
        loud: &Loud,
        start_millis: i64,
        now: Option<f64>,
    ) -> Vec<u64> {
        let revise = |anomaly: &mut Anomaly| match now {
            Some(now) => {
                anomaly.revise(now - loud.actual);
                true
            }
            None => anomaly.lose(loud),
        };
        tracker.revise(loud.series, start_millis, revise);
        let mut holders = Vec::new();
        for (number, open) in self.open.iter_mut().chain(self.past.iter_mut()) {
            let (mut holds, mut is_gone) = (false, false);
            open.incident.members.retain_mut(|member| {
                let is_it = member.anomaly.series == loud.series && member.anomaly.spans(start_millis);
                let left = !is_it || revise(&mut member.anomaly);
                holds |= is_it;
                is_gone |= !left;
                left
            });
            if is_gone {
                open.active.remove(&loud.series);
                open.seen.remove(&loud.series);
                open.incident.num_members = open.seen.len();
            }
            if holds {
                holders.push(*number);
            }
        }
        holders
    }

    /// Brings the steps of the incidents of a window up to date; says whose changed.
    fn follow_again(
        &mut self,
        facts: &MonitorFacts,
        slices: &[SliceKey],
        window: &RevisedWindow<'_>,
        marks: &mut WindowMarks,
    ) -> BTreeSet<u64> {
        let mut touched = BTreeSet::new();
        let start_millis = window.span_millis.0;
        let WindowMarks { loud, steps } = marks;
        steps.retain_mut(|(number, steps)| {
            let is_loud = loud.iter().any(|loud| loud.incident == *number);
            let Some(open) = find(&mut self.open, &mut self.past, *number) else { return true };
            let numbers: Vec<usize> = open
                .explained
                .slices
                .iter()
                .filter_map(|slice| slices.iter().position(|key| key == slice))
                .collect();
            let Some(sums) = open.explained.sums_of(start_millis) else { return false };
            for (measure, (sum, step)) in sums.iter_mut().zip(steps.iter_mut()).enumerate() {
                let Some(step) = step else { continue };
                if !is_loud {
                    sum.lose(step);
                    touched.insert(*number);
                    continue;
                }
                let changes = numbers.iter().filter_map(|slice| window.values(*slice, measure));
                let mut by: f64 = changes.map(|(before, after)| after - before).sum();
                if !facts.measures[measure].adds_up() {
                    by /= numbers.len().max(1) as f64;
                }
                if by != 0.0 {
                    sum.actual += by;
                    step.actual += by;
                    touched.insert(*number);
                }
            }
            is_loud
        });
        touched
    }

    /// The number of an incident, or of the one that it was merged into.
    fn home(&self, number: u64) -> Option<u64> {
        let known = self.open.get(&number).or_else(|| self.past.get(&number))?;
        let Some(into) = &known.incident.merged_into else { return Some(number) };
        let all = || self.open.iter().chain(&self.past);
        all().find(|(_, open)| open.incident.id == *into).map(|(number, _)| *number)
    }
}

fn find<'b>(
    open: &'b mut super::group::OpenIncidents,
    past: &'b mut super::group::OpenIncidents,
    number: u64,
) -> Option<&'b mut OpenIncident> {
    open.get_mut(&number).or_else(|| past.get_mut(&number))
}

impl OpenIncident {
    /// Brings numbers and sentence up to date, or takes the incident back when no anomalous window is left; says
    /// whether that is worth telling.
    fn restate_revised(&mut self, facts: &MonitorFacts, at_millis: i64) -> bool {
        let incident = &mut self.incident;
        let (before, about) = (incident.actual - incident.expected, about(incident));
        let mut revision = incident.revision.unwrap_or(Revision {
            times: 0,
            at_millis,
            expected: incident.expected,
            actual: incident.actual,
            untold: 0.0,
        });
        revision.times += 1;
        revision.at_millis = at_millis;
        if self.loud.is_empty() && !self.is_settled {
            incident.retract();
            self.active.clear();
            revision.untold = 0.0;
            incident.revision = Some(revision);
            return true;
        }
        let stride = facts.measures.len();
        let rarest = incident.members.first().map(|member| member.anomaly.series % stride);
        incident.restate(facts, &self.explained, rarest.unwrap_or(self.explained.measure));
        let deviation = incident.actual - incident.expected;
        revision.untold += deviation - before;
        let is_news = revision.untold.abs() >= NEWS_PART * deviation.abs() || about != self::about(incident);
        if is_news {
            revision.untold = 0.0;
        }
        incident.revision = Some(revision);
        is_news
    }
}

fn about(incident: &Incident) -> (String, Option<Side>) {
    (incident.measure.clone(), incident.side)
}

#[cfg(test)]
#[path = "revise_tests.rs"]
mod tests;
