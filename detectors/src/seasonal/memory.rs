//! What a series remembers of occasions: the one that runs, and what earlier ones of each class did.
//!
//! A class is a ratio to the usual mean, in logarithms, as a whole and by the hour, the mean over its occurrences.
//! Hours that an occurrence did not cover follow the whole. An hour takes one byte.

use serde::{Deserialize, Serialize};

use super::occasion::View;
use super::window::Windows;
use crate::observation::LearnedOccasion;

/// Classes kept; the one that does least goes first.
const MOST_CLASSES: usize = 12;
const PARTS: usize = 24;
const SECONDS_PER_PART: i64 = 86_400 / PARTS as i64;
/// Steps in the logarithm of an hour's ratio: 6 %, far below what is believed at least.
const STEPS: f64 = 16.0;
/// Deviation of the logarithm from one occurrence to the next that is believed at least.
pub(super) const LEAST_SPREAD: f64 = 0.2;
/// ln 1000, the farthest ratio believed.
pub(super) const MOST_LN_RATIO: f64 = 6.907_755_278_982_137;
/// After so many seconds without an observation another occurrence begins.
const APART: i64 = 2 * 86_400;
/// Prior of a ratio, in dispersions: so many single events are taken to have come as they were due.
const PRIOR: f64 = 20.0;
/// Weight of what alarms, as in the baseline.
const ALARM_WEIGHT: f64 = 0.3;

/// Occasions of one series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Occasions {
    running: Option<Running>,
    known: Vec<Memory>,
}

/// The occurrence that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Running {
    class: u64,
    /// Natural logarithm of the user's factor.
    ln_uplift: f64,
    newest: i64,
    pub(super) recent: Recent,
    /// By the hour, what came and what is usual then.
    parts: [[f64; 2]; PARTS],
    variance: f64,
    /// The windows of before.
    before: Windows,
}

/// Fading sums over the last hours of an occurrence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Recent {
    /// What came.
    pub(super) came: f64,
    /// What the class makes expect.
    pub(super) due: f64,
    /// Observations.
    pub(super) points: f64,
}

/// What the earlier occurrences of a class did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    class: u64,
    times: u32,
    ln_ratio: f32,
    /// Sum of squares around `ln_ratio`.
    squares: f32,
    parts: [i8; PARTS],
}

fn part_of(civil_seconds: i64) -> usize {
    (civil_seconds.rem_euclid(86_400) / SECONDS_PER_PART) as usize
}

/// Logarithm of the ratio of sums, where `prior` was taken to come at the ratio e^`toward`.
fn shrunken([came, usual]: [f64; 2], prior: f64, toward: f64) -> f64 {
    let ratio = (came + prior * toward.exp()) / (usual + prior).max(1e-300);
    ratio.max(1e-12).ln().clamp(-MOST_LN_RATIO, MOST_LN_RATIO)
}

impl Recent {
    /// The sums after `x`, where `due` was expected.
    pub(super) fn after(self, x: f64, due: f64, keep: f64) -> Self {
        Self { came: keep * self.came + x, due: keep * self.due + due, points: keep * self.points + 1.0 }
    }
}

impl Memory {
    fn new(class: u64) -> Self {
        Self { class, times: 0, ln_ratio: 0.0, squares: 0.0, parts: [0; PARTS] }
    }

    /// Logarithm of what the usual mean is multiplied by at this time of the day.
    pub(super) fn ln_ratio(&self, civil_seconds: i64) -> f64 {
        f64::from(self.parts[part_of(civil_seconds)]) / STEPS
    }

    /// Deviation of that logarithm at the next occurrence: theirs from each other, and that of their mean.
    pub(super) fn spread(&self) -> f64 {
        let times = f64::from(self.times.max(1));
        let own = if self.times > 1 { (f64::from(self.squares) / (times - 1.0)).sqrt() } else { 0.0 };
        own.max(LEAST_SPREAD) * (1.0 + 1.0 / times).sqrt()
    }

    fn fold(&mut self, running: &Running) {
        self.times = self.times.saturating_add(1);
        let whole = running.parts.iter().fold([0.0; 2], |sums, part| [sums[0] + part[0], sums[1] + part[1]]);
        let prior = PRIOR * running.variance / whole[1].max(1e-300);
        let ln_ratio = shrunken(whole, prior, running.ln_uplift);
        let times = f64::from(self.times);
        let away = ln_ratio - f64::from(self.ln_ratio);
        self.ln_ratio += (away / times) as f32;
        self.squares += (away * (ln_ratio - f64::from(self.ln_ratio))) as f32;
        for (part, sums) in self.parts.iter_mut().zip(running.parts) {
            let before = f64::from(*part) / STEPS;
            let after = before + (shrunken(sums, prior, ln_ratio) - before) / times;
            *part = (after * STEPS).round() as i8;
        }
    }
}

impl Occasions {
    /// Whether an occurrence goes on.
    pub(super) fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// The occurrence that an observation of this class and time belongs to.
    pub(super) fn running(&self, class: u64, civil_seconds: i64) -> Option<&Running> {
        self.running
            .as_ref()
            .filter(|running| running.class == class && civil_seconds.saturating_sub(running.newest) < APART)
    }

    /// The windows as they were before the occurrence that goes on.
    pub(super) fn before(&self) -> Option<&Windows> {
        self.running.as_ref().map(|running| &running.before)
    }

    /// What earlier occurrences of a class did.
    pub(super) fn memory(&self, class: u64) -> Option<&Memory> {
        self.known.iter().find(|memory| memory.class == class)
    }

    /// What earlier occurrences of every class did, as a whole.
    pub(super) fn learned(&self) -> impl Iterator<Item = LearnedOccasion> {
        self.known.iter().map(|memory| LearnedOccasion {
            class: memory.class,
            uplift: f64::from(memory.ln_ratio).exp(),
            times: memory.times,
        })
    }

    /// Takes in `x` as `view` saw it; it counts for the class if it `learns`. `windows` are those before `x`.
    pub(super) fn follow(&mut self, view: &View, x: f64, windows: &Windows, alarming: bool, learns: bool) {
        let mut before = *windows;
        if view.begins {
            // One occasion after another: the windows of before both.
            before = self.before().copied().unwrap_or(before);
            self.leave();
        }
        let running = self.running.get_or_insert_with(|| Running {
            class: view.occasion.class,
            ln_uplift: view.occasion.uplift.map_or(0.0, f64::ln),
            newest: view.civil_seconds,
            recent: Recent::default(),
            parts: [[0.0; 2]; PARTS],
            variance: 0.0,
            before,
        });
        running.newest = view.civil_seconds;
        running.recent = view.recent;
        if learns {
            let weight = if alarming { ALARM_WEIGHT } else { 1.0 };
            let part = &mut running.parts[part_of(view.civil_seconds)];
            part[0] += weight * x;
            part[1] += weight * view.usual;
            running.variance += weight * view.usual_variance;
        }
    }

    /// The occurrence is over: its class learns what it did.
    pub(super) fn leave(&mut self) {
        let taught = |running: &Running| running.parts.iter().any(|part| part[1] > 0.0);
        let Some(running) = self.running.take().filter(taught) else { return };
        if let Some(memory) = self.known.iter_mut().find(|memory| memory.class == running.class) {
            return memory.fold(&running);
        }
        let mut memory = Memory::new(running.class);
        memory.fold(&running);
        self.known.push(memory);
        if self.known.len() > MOST_CLASSES {
            let effect = |memory: &Memory| memory.ln_ratio.abs();
            let least =
                self.known.iter().enumerate().min_by(|(_, a), (_, b)| effect(a).total_cmp(&effect(b)));
            if let Some((index, _)) = least {
                self.known.swap_remove(index);
            }
        }
    }
}
