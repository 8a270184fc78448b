//! What explains an open incident: its slices, the first broken step of the funnel, and how each measure went there.
//!
//! The search runs over every measure with anomalies, and the one with most evidence is believed. A step is broken when, over the windows so far, it is four standard
//! deviations off and by at least a tenth and a third of what the most unusual measure is off.
//!
//! Numbers are those of the trouble itself. Windows in which nothing speaks for it are set aside; they count when the
//! slices turn out to be still off in them, or when it goes on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tidewatch_detectors::Side;

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

/// Where a ratio of funnel steps is off, so many deviations tell which of the steps it is.
const RATIO_STEP_DEVIATIONS: f64 = 2.0;

/// Slices are still off when they are off by this part of what they were so far.
const STILL_OFF: f64 = 0.4;

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
    /// The same over the windows since in which nothing spoke for it.
    aside: Vec<Step>,
    /// Start of the first window in the steps, of the last one that counts, and of the newest.
    since_millis: Option<i64>,
    counted_millis: Option<i64>,
    last_millis: i64,
    /// What the newest window added to the steps, or set aside.
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

    /// Whether an anomaly speaks for it: it is not the way back of what was off on the other side.
    pub(super) fn is_own(&self, measure: usize, side: Side) -> bool {
        let change = self.steps.get(measure).map_or(0.0, Step::change);
        let sign = if side == Side::Drop { -1.0 } else { 1.0 };
        sign * change > -BROKEN_SHARE_MIN
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
        let now = steps_of(view, Some(space), &self.slices);
        let is_first = self.steps.get(self.measure).is_none_or(|step| step.windows == 0);
        let counts = is_first || self.is_still_off(&now);
        self.note(view, &now);
        add_all(&mut self.aside, &now);
        if counts {
            self.resume();
        }
    }

    /// Sets a window aside in which nothing speaks for it; says whether the slices are still off in it.
    pub(super) fn set_aside(&mut self, view: &WindowView<'_>) -> bool {
        let now = steps_of(view, None, &self.slices);
        self.note(view, &now);
        add_all(&mut self.aside, &now);
        self.is_still_off(&now)
    }

    /// Whether the slices were still off in the windows that were set aside; these count then.
    pub(super) fn goes_on(&mut self) -> bool {
        let goes_on = self.is_still_off(&self.aside);
        if goes_on {
            self.resume();
        }
        goes_on
    }

    fn is_still_off(&self, now: &[Step]) -> bool {
        let measured = self.steps.get(self.measure).zip(now.get(self.measure));
        measured.filter(|(so_far, now)| so_far.windows > 0 && now.windows > 0).is_some_and(|(so_far, now)| {
            let part = now.change() / so_far.change();
            part.is_finite() && part >= STILL_OFF
        })
    }

    fn resume(&mut self) {
        self.counted_millis = Some(self.last_millis);
        add_all(&mut self.steps, &std::mem::take(&mut self.aside));
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
            self.aside.clear();
            (self.since_millis, self.counted_millis, self.newest) = (None, None, None);
        }
        (self.slices, self.share, self.measure) = (slices, share, measure);
    }

    fn note(&mut self, view: &WindowView<'_>, now: &[Step]) {
        self.since_millis.get_or_insert(view.start_millis);
        self.last_millis = view.start_millis;
        let parts = || now.iter().map(|step| (step.windows > 0).then_some(*step)).collect();
        self.newest = (view.facts.revisable_millis > 0).then(|| (view.start_millis, parts()));
    }

    /// Hands out what the window that starts then added to the steps.
    pub(super) fn take_newest(&mut self, start_millis: i64) -> Option<Vec<Option<Step>>> {
        self.newest.take().filter(|(start, _)| *start == start_millis).map(|(_, steps)| steps)
    }

    /// The sums that hold the window that starts then; `None` when none does.
    pub(super) fn sums_of(&mut self, start_millis: i64) -> Option<&mut [Step]> {
        self.since_millis.filter(|since| *since <= start_millis)?;
        let counts = self.counted_millis.is_some_and(|counted| start_millis <= counted);
        Some(if counts { &mut self.steps } else { &mut self.aside })
    }

    /// Forgets what only a search needs: the incident is over.
    pub(super) fn settle(&mut self) {
        (self.sum, self.newest) = (SpaceSum::default(), None);
    }

    /// The measure to be named, and whether it is clearly the one that broke first. Of a ratio of funnel steps the step is
    /// named that is off.
    pub(super) fn first_broken(&self, facts: &MonitorFacts, primary: usize) -> (usize, bool) {
        let least = self.steps.get(primary).map_or(0.0, |step| step.change().abs() * BROKEN_PART);
        let least = least.max(BROKEN_SHARE_MIN);
        let off_by =
            |deviations: f64| move |measure: &usize| self.steps[*measure].is_off_by(deviations, least);
        let broken = self.order(facts).into_iter().find(off_by(BROKEN_DEVIATIONS));
        let named = broken.unwrap_or(self.measure);
        let MeasureShape::Ratio { numerator, denominator } = facts.measures[named].shape else {
            return (named, broken.is_some());
        };
        if ![numerator, denominator].iter().all(|step| facts.funnel.contains(step)) {
            return (named, broken.is_some());
        }
        let known = facts.funnel.iter().copied().filter(|step| *step < self.steps.len());
        let step = known.into_iter().find(off_by(RATIO_STEP_DEVIATIONS));
        (step.unwrap_or(numerator), step.is_some())
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
        let broken = |measure: &usize| self.steps[*measure].is_off_by(BROKEN_DEVIATIONS, 0.0);
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

    fn is_off_by(&self, deviations: f64, least_change: f64) -> bool {
        let found = (self.actual - self.expected).abs() / self.variance.sqrt().max(f64::MIN_POSITIVE);
        self.windows > 0 && found >= deviations && self.change().abs() >= least_change
    }

    fn add(&mut self, other: &Self) {
        self.actual += other.actual;
        self.expected += other.expected;
        self.lower += other.lower;
        self.upper += other.upper;
        self.variance += other.variance;
        self.windows += other.windows;
    }
}

fn add_all(steps: &mut Vec<Step>, more: &[Step]) {
    steps.resize(steps.len().max(more.len()), Step::default());
    for (step, more) in steps.iter_mut().zip(more) {
        step.add(more);
    }
}

/// How each measure went in a window; without a space only slices with series of their own are known.
fn steps_of(view: &WindowView<'_>, space: Option<&Space<'_>>, slices: &[SliceKey]) -> Vec<Step> {
    let numbers: Vec<Option<usize>> =
        slices.iter().map(|slice| view.slices.iter().position(|key| key == slice)).collect();
    let step = |measure| window_step(view, space, measure, (slices, &numbers));
    let steps = (0..view.facts.measures.len()).map(|measure| step(measure).unwrap_or_default());
    steps.collect()
}

/// A measure in some slices in one window: from their own series, else from the cells inside.
fn window_step(
    view: &WindowView<'_>,
    space: Option<&Space<'_>>,
    measure: usize,
    (slices, numbers): (&[SliceKey], &[Option<usize>]),
) -> Option<Step> {
    let mut sum = Step::default();
    for (slice, number) in slices.iter().zip(numbers) {
        let own = number.and_then(|number| series_step(view, number, measure));
        sum.add(&own.or_else(|| cells_step(space?, measure, slice))?);
    }
    sum.windows = 1;
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
