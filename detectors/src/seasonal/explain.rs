//! Why an observation has its score: every comparison with its rate, and what held an alarm back.
//!
//! All numbers come from the parts that score; nothing is remembered for it. A cause is named only if without
//! it the page would have come, or where it keeps a part of the detector silent altogether.

use super::contrast::{CONTRASTS, PAGE_CONTRASTS, name, slot};
use super::core::{Core, Step, log10_two_sided};
use super::rate::{Court, Grounds, LN_HALF, SIDES, together};
use super::{Mode, Prepared, Seasonal};
use crate::explain::{Comparison, Explanation, HeldBack};
use crate::observation::Observation;
use crate::score::Side;

/// From this much surprise on (natural logarithm) a run of zeros is worth a word.
const NOTABLE_SILENCE: f64 = 1.0;

impl Seasonal {
    /// Why `observation` has the score it has, also while there is none yet.
    pub fn explain(&self, observation: &Observation) -> Explanation {
        match self.revised(observation) {
            Some(mode) => self.explained(&self.refold(mode), mode, observation),
            None => self.explained(&self.core, self.mode, observation),
        }
    }

    fn explained(&self, core: &Core, mode: Mode, observation: &Observation) -> Explanation {
        let judged = self.step(core, mode, observation);
        let expected = |step: &Step| {
            let expectation = step.facts().expectation;
            expectation.mean / expectation.exposure - mode.offset
        };
        let mut explanation = Explanation {
            value: observation.value(),
            expected: judged.score.map_or(observation.value(), |score| score.expected),
            score: judged.score,
            comparisons: Vec::new(),
            silence_log10_rate: None,
            held_back: Vec::new(),
        };
        let Prepared::Step(step) = &judged.prepared else { return explanation };
        explanation.expected = judged.score.map_or_else(|| expected(step), |score| score.expected);
        let facts = step.facts();
        let court = core.court(&facts, &self.cadence, mode);
        let inquiry = Inquiry { seasonal: self, step, court: &court, grounds: court.grounds(), core };
        explanation.comparisons = inquiry.comparisons();
        explanation.silence_log10_rate = court.silence_ln_rate.map(log10_two_sided);
        explanation.held_back = inquiry.held_back();
        explanation
    }
}

/// One observation under scrutiny.
struct Inquiry<'a> {
    seasonal: &'a Seasonal,
    core: &'a Core,
    step: &'a Step,
    court: &'a Court<'a>,
    grounds: Grounds,
}

impl Inquiry<'_> {
    fn comparisons(&self) -> Vec<Comparison> {
        let spoke = |index: &usize| self.step.facts().readings[*index].spoke;
        (0..CONTRASTS).filter(spoke).map(|index| self.comparison(index)).collect()
    }

    fn comparison(&self, index: usize) -> Comparison {
        let (facts, judgement) = (self.step.facts(), &self.step.judgement);
        let reading = &facts.readings[index];
        let sign = 1.0_f64.copysign(reading.strength);
        let strength = reading.strength.abs();
        let pages = index < PAGE_CONTRASTS;
        let (relative, absolute, tail) = if pages {
            let threshold = judgement.page_thresholds[usize::from(sign < 0.0)];
            let (relative, absolute) = self.court.surprises(index, sign, threshold);
            (relative, Some(absolute), &self.grounds.page_tail)
        } else {
            (strength / self.grounds.minor_threshold, None, &self.grounds.minor_tail)
        };
        Comparison {
            statistic: name(index),
            windows: name(index).windows(),
            pages,
            change: reading.change(facts.windows.expected[slot(index)]),
            strength: reading.strength,
            log10_rate: (strength > 1.0).then(|| log10_two_sided(tail.ln_rate(relative))),
            relative,
            absolute,
        }
    }

    fn held_back(&self) -> Vec<HeldBack> {
        let (facts, cadence) = (self.step.facts(), &self.seasonal.cadence);
        let seen = facts.learned as u64;
        if facts.learned < cadence.short_warmup {
            return vec![HeldBack::WarmingUp { seen, needed: cadence.short_warmup.ceil() as u64 }];
        }
        let mut causes = Vec::new();
        let allowed = |side: Side| self.seasonal.config.direction.allows(side);
        let pages = SIDES
            .iter()
            .enumerate()
            .any(|(index, side)| allowed(*side) && self.step.judgement.page[index].ln_rate < LN_HALF);
        if pages {
            return causes;
        }
        if facts.learned < cadence.long_warmup {
            causes.push(HeldBack::LongWarmingUp { seen, needed: cadence.long_warmup.ceil() as u64 });
        }
        for (index, side) in SIDES.into_iter().enumerate() {
            self.side_held_back(index, allowed(side), &mut causes);
        }
        let silent = self.court.silence_ln_rate.is_some_and(|rate| rate >= LN_HALF);
        if silent && facts.clock > NOTABLE_SILENCE {
            causes.push(HeldBack::SilenceTooShort);
        }
        causes
    }

    /// What kept one side from paging.
    fn side_held_back(&self, side: usize, allowed: bool, causes: &mut Vec<HeldBack>) {
        let judgement = &self.step.judgement;
        let loud = judgement.sightings[side].ln_rate < LN_HALF || judgement.voices[side].alarms;
        if loud && (judgement.silenced[side] || !allowed) {
            causes.push(if allowed { HeldBack::Expected } else { HeldBack::Direction });
            return;
        }
        let sign = if side == 0 { 1.0 } else { -1.0 };
        let threshold = judgement.page_thresholds[side];
        let (best, times) = self.court.two_surprises(sign, threshold);
        if side == 0 && times >= 1.0 && self.step.facts().calendar.is_new() {
            causes.push(HeldBack::NewOccasion);
            return;
        }
        let ramp = self.step.facts().ramp;
        if ramp < 1.0 && self.ramp_hides(side, sign, ramp) {
            causes.push(HeldBack::FirstWeek { factor: ramp });
        }
        if times >= 1.0 {
            // Both surprises suffice, so only the rule of sizes is left.
            causes.push(HeldBack::UsualSize);
            return;
        }
        let (relative, absolute) = self.court.surprises(best, sign, threshold);
        let rarity = self.core.trackers[side].decayed(&self.seasonal.cadence).rarity.exp();
        if together(relative * rarity, absolute * rarity) >= 1.0 {
            causes.push(HeldBack::AlarmsTooOften { factor: rarity });
        } else if relative >= 1.0 && absolute < relative {
            causes.push(HeldBack::SmallForTheWeek { absolute });
        } else if absolute >= 1.0 && relative < absolute {
            causes.push(HeldBack::UsualForTheHour { relative });
        }
    }

    /// Whether strengths as after the first week would have raised an alarm on this side.
    fn ramp_hides(&self, side: usize, sign: f64, ramp: f64) -> bool {
        let threshold = self.step.judgement.page_thresholds[side];
        let pages = (0..PAGE_CONTRASTS).any(|index| {
            let (relative, absolute) = self.court.surprises(index, sign, threshold);
            together(relative / ramp, absolute) >= 1.0
        });
        let minor = self.step.facts().readings[PAGE_CONTRASTS..].iter().any(|reading| {
            let times = sign * reading.strength / self.grounds.minor_threshold;
            times < 1.0 && times / ramp >= 1.0
        });
        pages || minor
    }
}
