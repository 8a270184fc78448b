//! Occasions of the calendar: what is expected on one, and how it is judged.
//!
//! On an occasion the mean is multiplied by what the class is known for. Windows start afresh at its edges, so the
//! short comparisons look for what breaks within it; the long ones are silent, and the occasion as a whole is judged
//! instead, by the ratio of what came to what its class makes expect. A class that nobody knows may be anything
//! from an eighth to eight times the usual, and what is expected follows what comes.

use super::MAX_MEAN;
use super::Mode;
use super::absolute::Absolute;
use super::baseline::Expectation;
use super::cadence::Cadence;
use super::contrast::{PAGE_CONTRASTS, Reading};
use super::facts::Facts;
use super::judgement::{Evidence, Judgement, Voice};
use super::memory::{LEAST_SPREAD, MOST_LN_RATIO, Occasions, Recent, Running};
use super::rate::LN_HALF;
use super::window::Windows;
use crate::observation::Occasion;
use crate::score::Reason;

/// Relative deviation of the shape within the day, where the class is known and where it is not.
const KNOWN_SHAPE: f64 = 0.2;
const NEW_SHAPE: f64 = 0.3;
/// Standard deviation of the logarithm of what an occasion does of which nobody knows anything.
const NEW_SPREAD: f64 = 1.0;
/// ln 3: on such an occasion a rise within it is at least so common a week and side.
const LN_LEAST_RISE: f64 = 1.098_612_288_668_109_8;
/// ln 28: an occasion as a whole is judged as if four times a day, every day.
const LN_LOOKS: f64 = 3.332_204_510_175_204;
/// So many standard deviations make severity 70 then.
const SPREADS_AT_70: f64 = 2.1;
/// Typical residuals, times the root of their number, that the occasion as a whole needs for a page.
const RESIDUALS: f64 = 7.0;
/// Prior of what is expected of a new occasion, in dispersions: so many single events are taken as usual.
const PRIOR: f64 = 5.0;
/// Relative variance of it that the clock of silence allows for.
const NEW_DOUBT: f64 = 0.25;
/// Fading sum of observations before the occasion as a whole is judged, and in parts of a week: three of them, and
/// two hours.
const LEAST_POINTS: f64 = 2.6;
const LEAST_WEEKS: f64 = 0.01;

/// What the calendar means for one observation.
#[derive(Clone, Debug)]
pub(super) enum Calendar {
    /// No occasion, nor one just before.
    Ordinary,
    /// The first observation after one.
    Left,
    /// An occasion.
    On(Box<View>),
}

/// One observation on an occasion.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) occasion: Occasion,
    pub(super) civil_seconds: i64,
    /// The first one of an occurrence.
    pub(super) begins: bool,
    /// Somebody knows what the class does: earlier occurrences, or the user.
    known: bool,
    /// What the class multiplies the mean by, as far as is known, and the deviation of its logarithm.
    promised: f64,
    spread: f64,
    /// What the mean is multiplied by.
    ratio: f64,
    pub(super) usual: f64,
    pub(super) usual_variance: f64,
    /// The occurrence's fading sums, this observation included.
    pub(super) recent: Recent,
}

impl Calendar {
    /// The calendar at one observation; `expectation` becomes that of the occasion.
    #[inline]
    pub(super) fn look(
        occasions: Option<&Occasions>,
        (civil_seconds, x, now): (i64, f64, Option<Occasion>),
        expectation: &mut Expectation,
        cadence: &Cadence,
        mode: Mode,
    ) -> Self {
        let Some(mut occasion) = now else {
            let left = occasions.is_some_and(Occasions::runs);
            return if left { Self::Left } else { Self::Ordinary };
        };
        // A factor says nothing about values that may be negative.
        let valid = |uplift: &f64| *uplift > 0.0 && uplift.is_finite() && mode.offset == 0.0;
        occasion.uplift = occasion.uplift.filter(valid);
        let running = occasions.and_then(|occasions| occasions.running(occasion.class, civil_seconds));
        let mut view = View::of(occasions, running, (civil_seconds, occasion));
        view.follow(running, x, expectation, cadence);
        view.expect(expectation);
        Self::On(Box::new(view))
    }

    /// The windows that an observation falls into: fresh ones where an occasion begins, and those of before where
    /// it has ended.
    #[inline]
    pub(super) fn windows(&self, occasions: Option<&Occasions>, windows: &Windows) -> Windows {
        match self {
            Self::Left => {
                let before = occasions.and_then(Occasions::before);
                before.map_or_else(Windows::empty, Windows::resumed)
            }
            Self::On(view) if view.begins => Windows::empty(),
            _ => *windows,
        }
    }

    /// Whether this is an occasion of which nobody knows what it does.
    pub(super) fn is_new(&self) -> bool {
        matches!(self, Self::On(view) if !view.known)
    }

    /// Whether it is known how much should come: for a new occasion once it has run for a while.
    #[inline]
    pub(super) fn knows_amount(&self, cadence: &Cadence) -> bool {
        !matches!(self, Self::On(view) if !view.known && !view.has_run(cadence))
    }

    /// The long comparisons have nothing to compare with.
    #[inline]
    pub(super) fn quieten(&self, readings: &mut [Reading]) {
        if matches!(self, Self::On(_)) {
            for reading in readings.iter_mut().skip(PAGE_CONTRASTS) {
                reading.strength = 0.0;
            }
        }
    }

    /// Allows for rises on a new occasion, and judges every one as a whole.
    #[inline]
    pub(super) fn temper(
        &self,
        judgement: &mut Judgement,
        facts: &Facts<'_>,
        absolute: &Absolute,
        cadence: &Cadence,
    ) {
        let Self::On(view) = self else { return };
        if !view.known {
            for rate in [
                &mut judgement.page[0].ln_rate,
                &mut judgement.minor[0].ln_rate,
                &mut judgement.sightings[0].ln_rate,
            ] {
                *rate = rate.max(LN_LEAST_RISE);
            }
            judgement.voices[0].alarms = false;
        }
        if facts.learned < cadence.short_warmup {
            return;
        }
        let Some((side, evidence)) = view.as_a_whole(facts, absolute, cadence) else { return };
        judgement.page[side] = judgement.page[side].or_rarer(evidence);
        judgement.minor[side] = judgement.minor[side].or_rarer(evidence);
        judgement.sightings[side].ln_rate = judgement.page[side].ln_rate;
        if evidence.ln_rate < LN_HALF && !judgement.voices[side].alarms {
            judgement.voices[side] =
                Voice { index: PAGE_CONTRASTS, strength: 0.0, alarms: true, silence: false };
        }
    }

    /// The band, as wide as the occasion is uncertain.
    pub(super) fn widen(&self, (lower, upper): (f64, f64)) -> (f64, f64) {
        let Self::On(view) = self else { return (lower, upper) };
        let (mean, reach) = (view.usual * view.promised, (SPREADS_AT_70 * view.spread).exp());
        (lower.min(mean / reach), upper.max((mean * reach).min(MAX_MEAN)))
    }
}

impl View {
    fn of(
        occasions: Option<&Occasions>,
        running: Option<&Running>,
        (civil_seconds, occasion): (i64, Occasion),
    ) -> Self {
        let memory = occasions.and_then(|occasions| occasions.memory(occasion.class));
        let given = occasion.uplift.map(|uplift| (uplift.ln(), LEAST_SPREAD * std::f64::consts::SQRT_2));
        let learned = memory.map(|memory| (memory.ln_ratio(civil_seconds), memory.spread()));
        let known = learned.or(given);
        let (ln_promised, spread) = known.unwrap_or((0.0, NEW_SPREAD));
        let promised = ln_promised.clamp(-MOST_LN_RATIO, MOST_LN_RATIO).exp();
        Self {
            occasion,
            civil_seconds,
            begins: running.is_none(),
            known: known.is_some(),
            promised,
            spread,
            ratio: promised,
            usual: 0.0,
            usual_variance: 0.0,
            recent: Recent::default(),
        }
    }

    /// Takes in `x`; what is expected on a new occasion is what came so far to what is usual.
    fn follow(&mut self, running: Option<&Running>, x: f64, expectation: &Expectation, cadence: &Cadence) {
        (self.usual, self.usual_variance) = (expectation.mean, expectation.variance);
        let before = running.map(|running| running.recent).unwrap_or_default();
        self.recent = before.after(x, self.usual * self.promised, cadence.occasion_keep);
        if !self.known {
            // The first value stands in for what came before it, as it does for the level of a new series.
            let so_far = if self.begins { self.recent } else { before };
            let prior = PRIOR * self.dispersion();
            self.ratio = ((so_far.came + prior) / (so_far.due + prior)).clamp(1e-3, 1e3);
        }
    }

    /// Whether the occasion has run long enough to be judged as a whole.
    fn has_run(&self, cadence: &Cadence) -> bool {
        self.recent.points >= LEAST_POINTS.max(LEAST_WEEKS * cadence.points_per_week)
    }

    fn dispersion(&self) -> f64 {
        self.usual_variance / self.usual
    }

    /// Turns the usual expectation into that of the occasion.
    fn expect(&self, expectation: &mut Expectation) {
        let shape = if self.known { KNOWN_SHAPE } else { NEW_SHAPE };
        let mean = (expectation.mean * self.ratio).clamp(1e-12, MAX_MEAN);
        expectation.variance = expectation.variance * self.ratio + (shape * mean) * (shape * mean);
        expectation.deviation = expectation.variance.sqrt();
        expectation.dispersion = expectation.variance / mean;
        expectation.profile *= self.ratio;
        if self.known {
            expectation.shape.daily_error += self.spread * self.spread;
        } else {
            expectation.doubt = NEW_DOUBT;
        }
        expectation.mean = mean;
    }

    /// What came within the last hours of the occasion against what its class makes expect.
    fn as_a_whole(
        &self,
        facts: &Facts<'_>,
        absolute: &Absolute,
        cadence: &Cadence,
    ) -> Option<(usize, Evidence)> {
        let Recent { came, due, points } = self.recent;
        let away = came - due;
        let typical = absolute.scale(0, super::absolute::zero_richness(facts.zero_share));
        let needed = RESIDUALS * cadence.threshold_factor * typical * points.sqrt();
        if !self.has_run(cadence) || away.abs() < needed {
            return None;
        }
        let dispersion = self.dispersion();
        let ln_ratio = ((came + 2.0 * dispersion) / (due + 2.0 * dispersion)).max(1e-12).ln();
        let chance = dispersion / due.max(1e-12);
        let deviate = ln_ratio.abs() / (self.spread * self.spread + chance).sqrt();
        let ln_rate = (LN_LOOKS + ln_tail(deviate)).max(-600.0);
        Some((usize::from(away < 0.0), Evidence { ln_rate, reason: Reason::Occasion }))
    }
}

/// Natural logarithm of a Gaussian's tail beyond `deviate` >= 0, a close upper bound.
fn ln_tail(deviate: f64) -> f64 {
    let root = (deviate * deviate + 8.0).sqrt();
    -0.5 * deviate * deviate - 0.918_938_533_204_672_7 + (4.0 / (3.0 * deviate + root)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_and_the_tail_are_what_they_say() {
        assert!((LN_LEAST_RISE.exp() - 3.0).abs() < 1e-12 && (LN_LOOKS.exp() - 28.0).abs() < 1e-12);
        // Beyond 1, 2 and 4 standard deviations: .1587, .02275, 3.167e-5.
        for (deviate, tail) in [(1.0, 0.158_7), (2.0, 0.022_75), (4.0, 3.167e-5)] {
            assert!((ln_tail(deviate).exp() / tail - 1.0).abs() < 0.02, "{deviate}");
        }
        assert!((LN_LOOKS + ln_tail(SPREADS_AT_70) - LN_HALF).abs() < 0.05);
    }
}
