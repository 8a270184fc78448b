//! One step of the detector with the kind of values settled: score, then learn.
//!
//! Scoring reads the state and prepares everything that moves whatever is learned: windows, clock, quantiles.
//! Learning applies it. Nothing is computed twice and nothing here allocates.

use serde::{Deserialize, Serialize};

use super::absolute::{Absolute, weights, zero_richness};
use super::band::band;
use super::baseline::{Baseline, Expectation};
use super::cadence::Cadence;
use super::contrast::{CALIBRATE_AFTER, CONTRASTS, Calibration, Frame, PAGE_CONTRASTS, Reading};
use super::envelope::{Envelopes, Episode};
use super::event::{Event, Outcome};
use super::facts::{Facts, clip};
use super::judgement::{Evidence, Judgement};
use super::memory::Occasions;
use super::occasion::{Calendar, View};
use super::rate::{Court, SIDES, TRACKERS};
use super::silence::Silence;
use super::size::{Run, Sizes};
use super::tracker::Tracker;
use super::window::Windows;
use super::{Judged, Mode, Prepared};
use crate::detector::LearnPolicy;
use crate::observation::Occasion;
use crate::score::{Direction, Reason, Score, Side};

/// A page rarer than this (log10 per week, severity 60) gives the reason; else the minor class does.
const PAGE_REASON_LOG10_RATE: f64 = 0.5;
/// Minor rates from here on have severity 0.
const QUIET_LOG10_RATE: f64 = 3.5;
const LEAST_LOG10_RATE: f64 = -300.0;

/// Everything a series has taught the detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Core {
    pub(super) baseline: Baseline,
    pub(super) windows: Windows,
    pub(super) calibrations: [Calibration; CONTRASTS],
    pub(super) absolute: Absolute,
    pub(super) silence: Silence,
    pub(super) sizes: Sizes,
    pub(super) trackers: [Tracker; TRACKERS],
    pub(super) event: Event,
    /// The running or last event of each side.
    pub(super) episodes: [Episode; 2],
    /// What people expect; nothing on most series.
    pub(super) envelopes: Option<Box<Envelopes>>,
    /// Nothing until the calendar names an occasion.
    pub(super) occasions: Option<Box<Occasions>>,
}

/// What scoring found and learning applies.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The value, shifted and cut to what the detector works with.
    x: f64,
    learned: f64,
    ramp: f64,
    expectation: Expectation,
    closes: bool,
    windows: Windows,
    readings: [Reading; CONTRASTS],
    zero_share: f64,
    clock: f64,
    run: Run,
    calendar: Calendar,
    pub(super) judgement: Judgement,
}

impl Step {
    /// The slow level, and what it says for this time with the rhythm; shifted like `x`.
    pub(super) fn slow_view(&self) -> (f64, f64) {
        let Expectation { slow_level, profile, exposure, .. } = self.expectation;
        (slow_level, slow_level * profile / exposure)
    }

    /// What the step rests on.
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            learned: self.learned,
            ramp: self.ramp,
            expectation: &self.expectation,
            closes: self.closes,
            windows: &self.windows,
            readings: &self.readings,
            zero_share: self.zero_share,
            clock: self.clock,
            run: self.run,
            calendar: &self.calendar,
        }
    }
}

impl Core {
    pub(super) fn new(cadence: &Cadence) -> Self {
        Self {
            baseline: Baseline::new(),
            windows: Windows::new(),
            calibrations: [Calibration::new(); CONTRASTS],
            absolute: Absolute::new(),
            silence: Silence::new(),
            sizes: Sizes::new(),
            trackers: [Tracker::new(cadence); TRACKERS],
            event: Event::new(),
            episodes: [Episode::new(); 2],
            envelopes: None,
            occasions: None,
        }
    }

    /// Observations learned so far.
    pub(super) fn learned(&self) -> u64 {
        self.baseline.learned
    }

    /// Scores the value `x` (already shifted, times its `exposure`) and prepares learning it.
    pub(super) fn score(
        &self,
        (civil_seconds, now): (i64, Option<Occasion>),
        (x, exposure): (f64, f64),
        cadence: &Cadence,
        mode: Mode,
        direction: Direction,
    ) -> Judged {
        let learned = self.baseline.learned as f64;
        let closes = self.absolute.closes(self.baseline.slow_level, cadence);
        let mut expectation = self.baseline.expect(civil_seconds, (x, exposure), cadence, mode, closes);
        let today = (civil_seconds, x, now);
        let calendar = Calendar::look(self.occasions.as_deref(), today, &mut expectation, cadence, mode);
        let clipped = if learned <= cadence.clip_after { x } else { clip(x, &expectation) };
        let windows = match &calendar {
            Calendar::Ordinary => self.windows.after(x, clipped, &expectation),
            other => other.windows(self.occasions.as_deref(), &self.windows).after(x, clipped, &expectation),
        };
        let ramp = 1.0 / (1.0 + (1.0 - learned / cadence.points_per_week).max(0.0));
        let frame = Frame { windows: &windows, expectation: &expectation, cadence, mode, learned, ramp };
        let mut readings = [Reading::default(); CONTRASTS];
        for (index, reading) in readings.iter_mut().enumerate() {
            frame.read(index, &self.calibrations[index], reading);
        }
        calendar.quieten(&mut readings);

        let zero_share = self.absolute.zero_share_after(x, learned, cadence);
        let counts = mode.count && calendar.knows_amount(cadence);
        let clock = if counts { self.silence.clock_after(x, &expectation) } else { 0.0 };
        let run = self.sizes.run_after(x);
        let facts = Facts {
            learned,
            ramp,
            expectation: &expectation,
            closes,
            windows: &windows,
            readings: &readings,
            zero_share,
            clock,
            run,
            calendar: &calendar,
        };
        let judgement = self.judge(&facts, cadence, mode);
        let score = (learned >= cadence.short_warmup).then(|| {
            let typical = self.absolute.scale(0, zero_richness(zero_share));
            let edges = band(&frame, &self.calibrations[0], typical, judgement.page_thresholds);
            let edges = calendar.widen(edges);
            let offset = mode.offset * exposure;
            let score = verdict(x, edges, expectation.mean, &judgement, offset, direction);
            if cadence.is_weighted() { per_unit(score, exposure) } else { score }
        });
        let step = Step {
            x,
            learned,
            ramp,
            expectation,
            closes,
            windows,
            readings,
            zero_share,
            clock,
            run,
            calendar,
            judgement,
        };
        Judged { score, prepared: Prepared::Step(step) }
    }

    /// Everything that a judgement of `facts` rests on.
    #[inline]
    pub(super) fn court<'a>(&'a self, facts: &Facts<'a>, cadence: &'a Cadence, mode: Mode) -> Court<'a> {
        let zero_richness = zero_richness(facts.zero_share);
        let level = facts.expectation.slow_level * self.baseline.exposure;
        // Which hours are closed takes two weeks to see.
        let knows_hours = !facts.closes || facts.learned >= 2.0 * cadence.points_per_week;
        Court {
            cadence,
            trackers: &self.trackers,
            readings: facts.readings,
            absolute: &self.absolute,
            zero_richness,
            size: self.sizes.rate(facts.run, zero_richness, facts.learned, cadence),
            page_only: !mode.count && zero_richness > 0.5,
            weeks: (facts.learned + 1.0) / cadence.points_per_week,
            silence_ln_rate: self
                .silence
                .ln_rate(facts.clock, facts.learned, level, cadence)
                .filter(|_| knows_hours),
        }
    }

    /// The judgement, with what people expect.
    #[inline]
    fn judge(&self, facts: &Facts<'_>, cadence: &Cadence, mode: Mode) -> Judgement {
        let mut judgement = self.court(facts, cadence, mode).judge();
        facts.calendar.temper(&mut judgement, facts, &self.absolute, cadence);
        if let Some(envelopes) = &self.envelopes {
            envelopes.silence(&mut judgement, facts.windows, &self.episodes);
        }
        judgement
    }

    /// Applies what [`Self::score`] prepared.
    pub(super) fn learn(&mut self, step: &Step, cadence: &Cadence, policy: LearnPolicy) {
        match &step.calendar {
            Calendar::Ordinary => {}
            Calendar::Left => self.occasions.iter_mut().for_each(|occasions| occasions.leave()),
            Calendar::On(view) => return self.learn_occasion(step, view, cadence, policy),
        }
        let learns = policy == LearnPolicy::Learn;
        let alarm_ran = self.event.alarm_runs();
        if learns {
            self.learn_usual(step, alarm_ran, cadence);
        }
        self.silence.set_clock(step.clock);
        self.sizes.follow(step.run, learns, cadence);
        self.windows = step.windows;
        for (index, (tracker, sighting)) in
            self.trackers.iter_mut().zip(&step.judgement.sightings).enumerate()
        {
            let unseen;
            let mut sighting = sighting;
            if step.judgement.silenced[index % SIDES.len()] {
                unseen = sighting.unseen();
                sighting = &unseen;
            }
            if learns {
                tracker.learn(sighting, index < SIDES.len(), cadence);
            } else {
                tracker.hold(sighting, cadence);
            }
        }
        let outcome = self.follow_alarm(step, policy, cadence);
        if learns {
            self.learn_baseline(step, outcome, cadence);
        }
    }

    /// The alarm that runs, and what people said about it.
    fn follow_alarm(&mut self, step: &Step, policy: LearnPolicy, cadence: &Cadence) -> Outcome {
        for (side, episode) in self.episodes.iter_mut().enumerate() {
            episode.follow(side, &step.judgement, &step.windows, cadence);
        }
        if let Some(envelopes) = &mut self.envelopes {
            envelopes.follow(&self.episodes);
        }
        let value = (step.x, &step.expectation);
        self.event.follow(value, &step.judgement, &mut self.windows, policy, cadence)
    }

    /// On an occasion only windows, clock and alarm move, and what the occasion itself does.
    fn learn_occasion(&mut self, step: &Step, view: &View, cadence: &Cadence, policy: LearnPolicy) {
        let before = self.windows;
        self.silence.set_clock(step.clock);
        self.windows = step.windows;
        // Whatever the policy: an occasion is no new level.
        self.follow_alarm(step, LearnPolicy::Hold, cadence);
        // Before, it is not known what is usual.
        let settled = step.learned >= cadence.long_warmup;
        let learns = settled && policy == LearnPolicy::Learn;
        let occasions = self.occasions.get_or_insert_default();
        occasions.follow(view, step.x, &before, step.judgement.alarming(), learns);
    }

    /// Calibration: what is usual for comparisons, residuals, zeros and silences.
    fn learn_usual(&mut self, step: &Step, alarm_ran: bool, cadence: &Cadence) {
        self.absolute.learn_zero_share(step.zero_share);
        if self.baseline.learned > CALIBRATE_AFTER {
            for (calibration, reading) in self.calibrations.iter_mut().zip(&step.readings) {
                if reading.spoke {
                    calibration.learn(reading, alarm_ran, cadence);
                }
            }
            let weights = weights(&step.windows, &step.expectation, step.closes);
            self.absolute.learn(&step.readings[..PAGE_CONTRASTS], weights, cadence);
        }
        self.silence.learn_run(step.x, self.baseline.learned as f64, alarm_ran, cadence);
    }

    fn learn_baseline(&mut self, step: &Step, outcome: Outcome, cadence: &Cadence) {
        let Step { x, expectation, .. } = step;
        // What people expect is learned like any other value, so that it becomes normal where it recurs.
        let weight = if step.judgement.surprising() { 0.3 } else { 1.0 };
        if outcome == Outcome::Shifted {
            self.baseline.forget_level();
            self.windows.clear();
            self.silence.set_clock(0.0);
            self.end_episodes();
            self.baseline.learn(*x, 1.0, expectation, cadence);
            return;
        }
        let clips = self.baseline.learned as f64 + 1.0 > cadence.clip_after;
        let x = if clips { clip(*x, expectation) } else { *x };
        self.baseline.learn(x, weight, expectation, cadence);
    }

    pub(super) fn end_episodes(&mut self) {
        for episode in &mut self.episodes {
            episode.end();
        }
    }
}

/// The score in the unit of the measure, from the sides that may alarm.
fn verdict(
    x: f64,
    (lower, upper): (f64, f64),
    mean: f64,
    judgement: &Judgement,
    offset: f64,
    direction: Direction,
) -> Score {
    let mut page: Option<(Evidence, Side)> = None;
    let mut minor: Option<(Evidence, Side)> = None;
    for (index, side) in SIDES.into_iter().enumerate().filter(|(_, side)| direction.allows(*side)) {
        for (rarest, evidence) in [(&mut page, judgement.page[index]), (&mut minor, judgement.minor[index])] {
            if rarest.is_none_or(|(known, _)| evidence.ln_rate < known.ln_rate) {
                *rarest = Some((evidence, side));
            }
        }
    }
    let nearer = if x < mean { Side::Drop } else { Side::Rise };
    let nothing = (Evidence::NOTHING, nearer);
    let (page, minor) = (page.unwrap_or(nothing), minor.unwrap_or(nothing));
    let page_log10_rate = log10_two_sided(page.0.ln_rate);
    let minor_log10_rate = log10_two_sided(minor.0.ln_rate);
    let (evidence, side) = if page_log10_rate < PAGE_REASON_LOG10_RATE { page } else { minor };
    let quiet = page_log10_rate.min(minor_log10_rate) >= QUIET_LOG10_RATE;
    Score {
        expected: mean - offset,
        lower: lower - offset,
        upper: upper - offset,
        page_log10_rate,
        minor_log10_rate,
        side: if quiet { nearer } else { side },
        reason: if quiet { Reason::Quiet } else { evidence.reason },
    }
}

/// The score of a ratio or a mean, whose values are worked on as sums over `exposure` trials or numbers.
fn per_unit(score: Score, exposure: f64) -> Score {
    Score {
        expected: score.expected / exposure,
        lower: score.lower / exposure,
        upper: score.upper / exposure,
        ..score
    }
}

/// log10 of the rate of both sides together, from the natural logarithm of one side's.
pub(super) fn log10_two_sided(ln_rate: f64) -> f64 {
    ((ln_rate + std::f64::consts::LN_2) * std::f64::consts::LOG10_E).max(LEAST_LOG10_RATE)
}
