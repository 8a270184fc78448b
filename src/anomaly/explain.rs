//! What explains an open incident: its slices, the first broken step of the funnel, and how each measure went there.
//!
//! The search runs over every measure with anomalies, and the one with most evidence is believed. A step is broken when, over the windows so far, it is four standard
//! deviations off and by at least a tenth and a third of what the most unusual measure is off.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    MeasureShape, MonitorFacts, WindowView,
    space::{BAND_DEVIATIONS, Finding, Space, SpaceSum},
};
use crate::window::SliceKey;

/// The slices are searched over the sum of this many first windows; then again whenever an incident is more unusual.
const SETTLING_WINDOWS: u32 = 12;

/// With less evidence than this, the slice of the most unusual series is the explanation.
const BELIEVED_SCORE: f64 = 8.0;

const BROKEN_DEVIATIONS: f64 = 4.0;
const BROKEN_SHARE_MIN: f64 = 0.1;
const BROKEN_PART: f64 = 1.0 / 3.0;

/// How one measure went in the explaining slices since they are the explanation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) actual: f64,
    pub(super) expected: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) variance: f64,
    pub(super) windows: u32,
}

/// What explains an open incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Explained {
    /// The slices; empty before the first search.
    pub(super) slices: Vec<SliceKey>,
    /// The part of the deviation that lies in them.
    pub(super) share: f64,
    /// The measure they were searched for.
    pub(super) measure: usize,
    /// Per dimension what each value holds of the deviation, in percent.
    pub(super) contributions: BTreeMap<String, BTreeMap<String, u32>>,
    score: f64,
    /// Per measure.
    pub(super) steps: Vec<Step>,
    /// Start of the first window in the steps.
    since_millis: Option<i64>,
    /// What the newest window added to the steps.
    newest: Option<(i64, Vec<Option<Step>>)>,
    /// Windows with anomalies so far.
    windows: u32,
    /// Measures with anomalies so far.
    measures: BTreeSet<usize>,
    sum: SpaceSum,
}

impl Explained {
    /// Whether any of its slices shares traffic with `slice`.
    pub(super) fn overlaps(&self, slice: &SliceKey) -> bool {
        self.slices.iter().any(|own| own.overlaps(slice))
    }

    /// Whether any of its slices holds all of `slice`.
    pub(super) fn contains(&self, slice: &SliceKey) -> bool {
        self.slices.iter().any(|own| own.contains(slice))
    }

    /// Whether one of `wide` holds all of its slices.
    pub(super) fn is_within(&self, wide: &[SliceKey]) -> bool {
        !self.slices.is_empty() && wide.iter().any(|wide| self.slices.iter().all(|own| wide.contains(own)))
    }

    /// The first explanation, by an anomaly and what was found for it.
    pub(super) fn start(
        &mut self,
        space: &Space<'_>,
        view: &WindowView<'_>,
        series: usize,
        finding: Option<Finding>,
    ) {
        let slice = view.slice(series);
        let fits =
            |finding: &Finding| finding.score > 0.0 && finding.slices.iter().any(|one| one.overlaps(slice));
        match finding.filter(fits) {
            Some(finding) => self.begin(space, finding, view.measure(series)),
            None => self.adopt(vec![slice.clone()], 1.0, view.measure(series)),
        }
    }

    /// Takes a window in which `joining` are the measures and `rarest` the most unusual series of all. `others` are
    /// explained by other incidents.
    pub(super) fn take(
        &mut self,
        view: &WindowView<'_>,
        space: &Space<'_>,
        joining: impl Iterator<Item = usize>,
        (rarest, is_new_peak): (usize, bool),
        others: &[SliceKey],
    ) {
        self.windows += 1;
        self.measures.extend(joining);
        if self.windows <= SETTLING_WINDOWS {
            space.add_to(&mut self.sum);
            let measures: Vec<usize> = self.measures.iter().copied().collect();
            self.search(space, &measures, others);
        } else if is_new_peak {
            self.sum = SpaceSum::default();
            space.add_to(&mut self.sum);
            let known = self.score;
            self.search(space, &[self.measure], others);
            self.score = self.score.max(known);
        }
        if self.slices.is_empty() {
            self.adopt(vec![view.slice(rarest).clone()], 1.0, view.measure(rarest));
        }
        self.follow(view, space);
    }

    /// Begins with what was found.
    pub(super) fn begin(&mut self, space: &Space<'_>, finding: Finding, measure: usize) {
        self.contributions = space.contributions(&self.sum, measure, finding.sign());
        self.score = finding.score;
        self.adopt(finding.slices, finding.share, measure);
    }

    /// Takes the measure with most evidence: what breaks early in a funnel is counted most.
    fn search(&mut self, space: &Space<'_>, measures: &[usize], others: &[SliceKey]) {
        let found = measures
            .iter()
            .filter_map(|measure| Some((*measure, space.explain_sum(&self.sum, *measure, others)?)));
        let best = found.max_by(|(a, one), (b, two)| one.score.total_cmp(&two.score).then(b.cmp(a)));
        let Some((measure, best)) = best.filter(|(_, best)| best.score >= BELIEVED_SCORE) else { return };
        if self.windows <= SETTLING_WINDOWS || best.score >= self.score {
            self.begin(space, best, measure);
        }
    }

    fn adopt(&mut self, slices: Vec<SliceKey>, share: f64, measure: usize) {
        if self.slices != slices {
            self.steps.clear();
            (self.since_millis, self.newest) = (None, None);
        }
        (self.slices, self.share, self.measure) = (slices, share, measure);
    }

    fn follow(&mut self, view: &WindowView<'_>, space: &Space<'_>) {
        self.steps.resize(view.facts.measures.len(), Step::default());
        let mut newest = Vec::with_capacity(self.steps.len());
        for (measure, step) in self.steps.iter_mut().enumerate() {
            let now = window_step(view, space, measure, &self.slices);
            if let Some(now) = now {
                step.actual += now.actual;
                step.expected += now.expected;
                step.lower += now.lower;
                step.upper += now.upper;
                step.variance += now.variance;
                step.windows += 1;
            }
            newest.push(now);
        }
        self.since_millis.get_or_insert(view.start_millis);
        self.newest = (view.facts.revisable_millis > 0).then_some((view.start_millis, newest));
    }

    /// Hands out what the window that starts then added to the steps.
    pub(super) fn take_newest(&mut self, start_millis: i64) -> Option<Vec<Option<Step>>> {
        self.newest.take().filter(|(start, _)| *start == start_millis).map(|(_, steps)| steps)
    }

    /// Whether a window that starts then is in the steps.
    pub(super) fn follows(&self, start_millis: i64) -> bool {
        self.since_millis.is_some_and(|since| since <= start_millis)
    }

    /// Forgets what only a search needs: the incident is over.
    pub(super) fn settle(&mut self) {
        (self.sum, self.newest) = (SpaceSum::default(), None);
    }

    /// The measure that broke first; `None` when none is clearly broken.
    pub(super) fn first_broken(&self, facts: &MonitorFacts, primary: usize) -> Option<usize> {
        let least = self.steps.get(primary).map_or(0.0, |step| step.change().abs() * BROKEN_PART);
        let order = self.order(facts);
        order.into_iter().find(|measure| self.steps[*measure].is_broken(least.max(BROKEN_SHARE_MIN)))
    }

    /// The funnel, then what is not in it: sums, then the rest.
    fn order(&self, facts: &MonitorFacts) -> Vec<usize> {
        let mut order = facts.funnel.clone();
        let mut rest: Vec<usize> = (0..self.steps.len()).filter(|measure| !order.contains(measure)).collect();
        let kind = |measure: &usize| match facts.measures[*measure].shape {
            MeasureShape::Count => 0,
            MeasureShape::Sum => 1,
            MeasureShape::Other | MeasureShape::Ratio { .. } => 2,
        };
        let size = |measure: &usize| self.steps[*measure].expected;
        rest.sort_by(|a, b| kind(a).cmp(&kind(b)).then(size(b).total_cmp(&size(a))).then(a.cmp(b)));
        order.extend(rest);
        order.retain(|measure| *measure < self.steps.len());
        order
    }

    /// The steps of the funnel before `measure`, in order; empty when it is none.
    pub(super) fn before(&self, facts: &MonitorFacts, measure: usize) -> Vec<usize> {
        let counts = |measure: &usize| facts.measures[*measure].shape == MeasureShape::Count;
        let order = self.order(facts);
        let steps: Vec<usize> = if facts.funnel.is_empty() {
            order.into_iter().filter(counts).collect()
        } else {
            facts.funnel.clone()
        };
        let place = steps.iter().position(|step| *step == measure).unwrap_or(0);
        steps[..place].to_vec()
    }

    /// The measure whose deviation is told as money: the measure itself, else the first broken one that has a worth.
    pub(super) fn money(&self, facts: &MonitorFacts, measure: usize) -> Option<usize> {
        let has_worth = |measure: &usize| facts.measures[*measure].worth.is_some();
        let broken = |measure: &usize| self.steps[*measure].is_broken(0.0);
        let all = self.order(facts);
        std::iter::once(measure)
            .filter(|own| *own < self.steps.len())
            .chain(all.into_iter().filter(broken))
            .find(has_worth)
    }
}

impl Step {
    /// Takes back what one window added.
    pub(super) fn lose(&mut self, window: &Self) {
        self.actual -= window.actual;
        self.expected -= window.expected;
        self.lower -= window.lower;
        self.upper -= window.upper;
        self.variance -= window.variance;
        self.windows = self.windows.saturating_sub(1);
    }

    fn change(&self) -> f64 {
        (self.actual - self.expected) / self.expected.abs().max(f64::MIN_POSITIVE)
    }

    fn is_broken(&self, least_change: f64) -> bool {
        let deviations = (self.actual - self.expected).abs() / self.variance.sqrt().max(f64::MIN_POSITIVE);
        self.windows > 0 && deviations >= BROKEN_DEVIATIONS && self.change().abs() >= least_change
    }
}

/// A measure in some slices in one window: from their own series, else from the cells inside.
fn window_step(
    view: &WindowView<'_>,
    space: &Space<'_>,
    measure: usize,
    slices: &[SliceKey],
) -> Option<Step> {
    let mut sum = Step::default();
    for slice in slices {
        let number = view.slices.iter().position(|key| key == slice);
        let own = number.and_then(|number| series_step(view, number, measure));
        let step = own.or_else(|| cells_step(space, measure, slice))?;
        sum.actual += step.actual;
        sum.expected += step.expected;
        sum.lower += step.lower;
        sum.upper += step.upper;
        sum.variance += step.variance;
    }
    if !view.facts.measures[measure].adds_up() {
        let parts = slices.len().max(1) as f64;
        for part in [&mut sum.actual, &mut sum.expected, &mut sum.lower, &mut sum.upper] {
            *part /= parts;
        }
        sum.variance /= parts * parts;
    }
    Some(sum)
}

fn series_step(view: &WindowView<'_>, slice: usize, measure: usize) -> Option<Step> {
    let reading = view.at(slice, measure)?;
    if let Some(score) = reading.score {
        let deviation = (score.upper - score.lower) / (2.0 * BAND_DEVIATIONS);
        let (actual, expected, lower, upper) = (reading.actual, score.expected, score.lower, score.upper);
        return Some(Step { actual, expected, lower, upper, variance: deviation.powi(2), windows: 1 });
    }
    let expected = reading.expected?;
    (view.facts.measures[measure].shape == MeasureShape::Count)
        .then(|| of_chance(reading.actual, expected, expected))
}

fn cells_step(space: &Space<'_>, measure: usize, slice: &SliceKey) -> Option<Step> {
    let cells = space.cells(measure, std::slice::from_ref(slice));
    if cells.is_empty() || !space.facts().measures[measure].adds_up() {
        return None;
    }
    let variance =
        cells.iter().map(|cell| cell.expected.powi(2) / cell.strength.max(f64::MIN_POSITIVE)).sum();
    let actual = cells.iter().map(|cell| cell.actual).sum();
    Some(of_chance(actual, cells.iter().map(|cell| cell.expected).sum(), variance))
}

fn of_chance(actual: f64, expected: f64, variance: f64) -> Step {
    let half = BAND_DEVIATIONS * variance.max(0.0).sqrt();
    let (lower, upper) = (expected - half, expected + half);
    Step { actual, expected, lower, upper, variance, windows: 1 }
}
