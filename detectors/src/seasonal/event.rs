//! The alarm that is running: how long it has run, when it is over, and when it is the new normal.
//!
//! At the peak of an event the ratio of what came to what was expected is kept. As soon as the baseline fits the
//! data clearly better than that ratio does, the event is over and the windows need not drain. An alarm of more
//! than half a day is a level shift: it is accepted.

use serde::{Deserialize, Serialize};

use super::baseline::Expectation;
use super::cadence::Cadence;
use super::contrast::slot;
use super::judgement::Judgement;
use super::window::Windows;
use crate::detector::LearnPolicy;

/// Evidence (natural logarithm of the likelihood ratio) that ends an event.
const OVER: f64 = 7.0;
/// Below this strength an event that no longer alarms ends as well.
const FADED: f64 = 2.5;

/// The alarm state of one series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Event {
    open: bool,
    peak: f64,
    /// What came to what was expected, at the peak.
    ratio: f64,
    /// How much better the baseline fits than the ratio, since the peak.
    fit: f64,
    run: f64,
}

/// What follows from one more observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing special.
    Continue,
    /// The new level is to be taken for normal.
    Shifted,
}

impl Event {
    pub(super) fn new() -> Self {
        Self { open: false, peak: 0.0, ratio: 1.0, fit: 0.0, run: 0.0 }
    }

    /// Whether an alarm runs, or ran until just now.
    pub(super) fn alarm_runs(&self) -> bool {
        self.run > 0.0
    }

    /// The new level is accepted: nothing runs.
    pub(super) fn stop(&mut self) {
        *self = Self::new();
    }

    /// Takes in `x`; settles `windows` where an event ends. Held time does not count towards a level shift.
    pub(super) fn follow(
        &mut self,
        (x, expectation): (f64, &Expectation),
        judgement: &Judgement,
        windows: &mut Windows,
        policy: LearnPolicy,
        cadence: &Cadence,
    ) -> Outcome {
        let alarming = judgement.alarming();
        let (loudest, strength) = judgement.loudest;
        if alarming {
            self.alarm(slot(loudest), strength, windows, policy);
        }
        if self.open {
            self.weigh(x, expectation);
            if self.fit > OVER {
                windows.settle();
                self.open = false;
                self.run = if alarming { 1.0 } else { 0.0 };
            } else if !alarming && strength < FADED {
                self.open = false;
            }
        }
        if !alarming {
            self.run = (self.run - 2.0).max(0.0);
        }
        if policy == LearnPolicy::Learn && self.run > cadence.shift_after {
            self.run = 0.0;
            return Outcome::Shifted;
        }
        Outcome::Continue
    }

    fn alarm(&mut self, slot: usize, strength: f64, windows: &Windows, policy: LearnPolicy) {
        if !self.open {
            self.open = true;
            self.peak = 0.0;
            self.fit = 0.0;
        }
        if strength > self.peak {
            self.peak = strength;
            self.ratio = windows.observed[slot] / windows.expected[slot].max(1e-12);
            self.fit = 0.0;
        }
        match policy {
            LearnPolicy::Learn => self.run += 1.0,
            LearnPolicy::Hold => self.run = self.run.max(1.0),
        }
    }

    fn weigh(&mut self, x: f64, expectation: &Expectation) {
        let as_event = x - self.ratio * expectation.mean;
        let as_normal = x - expectation.mean;
        let gain = (as_event * as_event - as_normal * as_normal) / (2.0 * expectation.variance);
        self.fit = (self.fit + gain).max(0.0);
    }
}
