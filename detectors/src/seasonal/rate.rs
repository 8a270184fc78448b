//! From strengths to false-alarm rates.
//!
//! Each class and side has a threshold at which the series would alarm about once every two weeks on that
//! side, and a tail that says how the rate falls above it. Light tails and low thresholds where peaks fall off
//! like Gaussian noise, heavy ones elsewhere. A page takes the weaker of two surprises, relative and absolute.
//! Rates are natural logarithms of false alarms per week and side.

use super::absolute::Absolute;
use super::cadence::Cadence;
use super::contrast::{CONTRASTS, PAGE_CONTRASTS, Reading};
use super::judgement::{Evidence, Judgement, Threshold, Voice};
use super::size::SizeRate;
use super::tracker::{Sighting, Tracker};
use crate::score::{Reason, Side};

/// ln .5: the rate of one side that makes severity 70.
pub(super) const LN_HALF: f64 = -std::f64::consts::LN_2;
/// ln 1e4, where there is nothing to report.
pub(super) const LN_QUIET: f64 = 9.210_340_371_976_184;
/// ln 5.45 and ln 12: thresholds of the minor class with light and with heavy tails.
const LN_MINOR_LIGHT: f64 = 1.695_615_608_675_151_7;
/// Above its threshold the rate of the minor class falls so much slower than that of a page: its long windows
/// hold what drifts, and drift has no Gaussian end.
const MINOR_FALL: f64 = 0.75;
const LN_MINOR_HEAVY: f64 = 2.484_906_649_788_000_3;
/// Typical residuals that make severity 70 at one minute.
const ABSOLUTE_THRESHOLD: f64 = 7.0;
/// Both surprises at so many times their thresholds make severity 70.
pub(super) const BOTH: f64 = 1.2;
/// A page needs a residual of at least the inverse of this, in thresholds.
pub(super) const ABSOLUTE_REACH: f64 = 1.5;
/// The rate of one side that makes severity 59.9: what is expected stays in sight and is no anomaly.
pub(super) const HELD_LN_RATE: f64 = 0.505 * std::f64::consts::LN_10 - std::f64::consts::LN_2;
const MOST_STRENGTH: f64 = 1e4;

/// The four trackers: page rise, page drop, minor rise, minor drop.
pub(super) const TRACKERS: usize = 4;
pub(super) const SIDES: [Side; 2] = [Side::Rise, Side::Drop];

/// Thresholds and tails of one series at one observation.
pub(super) struct Grounds {
    lightness: f64,
    pub(super) page_tail: Tail,
    pub(super) minor_tail: Tail,
    pub(super) minor_threshold: f64,
}

/// How the rate falls above the threshold.
pub(super) struct Tail {
    steepness: f64,
    /// Factor on the steepness above the threshold.
    fall: f64,
    growth: f64,
    ln_most: f64,
}

impl Tail {
    fn new(lightness: f64, fall: f64, cadence: &Cadence) -> Self {
        Self {
            fall,
            steepness: 14.0 * lightness + 5.0 * (1.0 - lightness),
            growth: 2.0 * lightness,
            ln_most: cadence.ln_points_per_week,
        }
    }

    /// The rate at `times` the threshold.
    pub(super) fn ln_rate(&self, times: f64) -> f64 {
        let ln_times = times.ln();
        let height = if self.growth < 0.01 {
            ln_times
        } else {
            ((self.growth * ln_times).min(30.0).exp() - 1.0) / self.growth
        };
        let steepness = if height > 0.0 { self.fall * self.steepness } else { self.steepness };
        (LN_HALF + (-steepness * height).min(12.0)).min(self.ln_most)
    }
}

/// One factor over the threshold from two: how many times its own threshold each surprise is.
///
/// Their geometric mean beside [`BOTH`], so that one that is far beyond makes up for some of the other; but a
/// relative surprise below its threshold never pages, and a residual below two thirds of its own neither.
pub(super) fn together(relative: f64, absolute: f64) -> f64 {
    if relative <= 0.0 || absolute <= 0.0 {
        return 0.0;
    }
    relative.min(ABSOLUTE_REACH * absolute).min((relative * absolute).sqrt() / BOTH)
}

/// Everything a judgement rests on.
pub(super) struct Court<'a> {
    pub(super) cadence: &'a Cadence,
    pub(super) trackers: &'a [Tracker; TRACKERS],
    pub(super) readings: &'a [Reading; CONTRASTS],
    pub(super) absolute: &'a Absolute,
    pub(super) zero_richness: f64,
    /// How rare the size of a rise is on a series that is nearly always zero.
    pub(super) size: Option<SizeRate>,
    /// A continuous series of nearly only zeros has no minor class of its own.
    pub(super) page_only: bool,
    /// Weeks learned, this observation included.
    pub(super) weeks: f64,
    /// The rate of the running silence, if any.
    pub(super) silence_ln_rate: Option<f64>,
}

impl Court<'_> {
    pub(super) fn judge(&self) -> Judgement {
        let Grounds { lightness, page_tail, minor_tail, minor_threshold } = self.grounds();

        let mut judgement = Judgement {
            page: [Evidence::NOTHING; 2],
            minor: [Evidence::NOTHING; 2],
            sightings: self.trackers.map(|tracker| Sighting {
                strength: 0.0,
                ln_rate: LN_QUIET,
                quantiles: tracker.decayed(self.cadence),
            }),
            loudest: (0, 0.0),
            voices: [Voice::default(); 2],
            silenced: [false; 2],
            page_thresholds: [Threshold::default(); 2],
        };
        for (side, sign) in [1.0, -1.0].into_iter().enumerate() {
            self.judge_page(side, sign, lightness, &page_tail, &mut judgement);
        }
        for (side, sign) in [1.0, -1.0].into_iter().enumerate() {
            self.judge_minor(side, sign, minor_threshold, &minor_tail, &mut judgement);
        }
        if self.page_only {
            judgement.minor = judgement.page;
        }
        judgement
    }

    /// Where thresholds lie and how rates fall off on this series.
    #[inline]
    pub(super) fn grounds(&self) -> Grounds {
        let lightness =
            self.trackers[0].quantiles().lightness().min(self.trackers[1].quantiles().lightness())
                * ((self.weeks - 1.0) / 2.0).clamp(0.0, 1.0);
        Grounds {
            lightness,
            page_tail: Tail::new(lightness, 1.0, self.cadence),
            minor_tail: Tail::new(0.5 * lightness, MINOR_FALL, self.cadence),
            minor_threshold: self.minor_threshold(lightness),
        }
    }

    /// The two surprises of page comparison `index` on one side, in multiples of their thresholds.
    #[inline]
    pub(super) fn surprises(&self, index: usize, sign: f64, threshold: Threshold) -> (f64, f64) {
        let reading = &self.readings[index];
        let residual = sign * reading.local_residual / self.absolute.scale(index, self.zero_richness);
        (sign * reading.strength / threshold.strength, residual / threshold.residual)
    }

    /// The largest strength on one side among comparisons `from..to`.
    fn strongest(&self, from: usize, to: usize, sign: f64) -> (usize, f64) {
        let mut strongest = (0, 0.0);
        for (index, reading) in self.readings.iter().enumerate().take(to).skip(from) {
            let strength = sign * reading.strength;
            if strength > strongest.1 {
                strongest = (index, strength);
            }
        }
        strongest
    }

    fn judge_page(&self, side: usize, sign: f64, lightness: f64, tail: &Tail, judgement: &mut Judgement) {
        let strongest = self.strongest(0, PAGE_CONTRASTS, sign);
        if strongest.1 > judgement.loudest.1 {
            judgement.loudest = strongest;
        }
        let threshold = self.page_threshold(side, lightness, judgement);
        judgement.page_thresholds[side] = threshold;
        let strength = strongest.1.min(MOST_STRENGTH);
        let (mut page, mut plain) = (Evidence::NOTHING, Evidence::NOTHING);
        if strength > 1.0 {
            plain = Evidence::of(strongest.0, tail.ln_rate(strength / threshold.strength));
            let (index, times) = self.two_surprises(sign, threshold);
            if times * threshold.strength > 1.0 {
                page = Evidence::of(index, tail.ln_rate(times));
            }
        }
        if side == 0
            && let Some(size) = self.size
        {
            page.ln_rate = size.temper(page.ln_rate);
            plain.ln_rate = size.temper(plain.ln_rate);
        }
        let sighting = &mut judgement.sightings[side];
        if side == 1
            && let Some(silence) = self.silence_ln_rate
            && silence < page.ln_rate
        {
            let ln_rate = silence + sighting.quantiles.rarity;
            page = Evidence { ln_rate, reason: Reason::Silence };
            plain = plain.or_rarer(page);
        }
        sighting.strength = strength;
        sighting.ln_rate = page.ln_rate;
        judgement.page[side] = page;
        judgement.minor[side] = plain;
        judgement.voices[side] = Voice {
            index: strongest.0,
            strength,
            alarms: page.ln_rate.min(plain.ln_rate) < LN_HALF,
            silence: page.reason == Reason::Silence,
        };
    }

    /// The comparison whose two surprises together exceed their thresholds most, and by which factor.
    pub(super) fn two_surprises(&self, sign: f64, threshold: Threshold) -> (usize, f64) {
        let mut best = (0, 0.0);
        for (index, reading) in self.readings.iter().enumerate().take(PAGE_CONTRASTS) {
            if sign * reading.strength > 1.0 {
                let (relative, absolute) = self.surprises(index, sign, threshold);
                let times = together(relative, absolute);
                if times > best.1 {
                    best = (index, times);
                }
            }
        }
        best
    }

    fn page_threshold(&self, side: usize, lightness: f64, judgement: &Judgement) -> Threshold {
        let factor = self.cadence.threshold_factor;
        let quantiles = judgement.sightings[side].quantiles;
        let young = 7.28 - 1.98 * ((self.weeks - 1.0) / 3.0).clamp(0.0, 1.0);
        let heavy = young.max(5.0 + (quantiles.q30 / factor - 2.4) * 4.0).min(15.0) * factor;
        let strength = if lightness > 0.0 {
            let settled_q10 = self.trackers[side].quantiles().q10;
            let light = (1.31 * settled_q10).max(3.4 * factor).min(heavy);
            (lightness * light.ln() + (1.0 - lightness) * heavy.ln()).exp()
        } else {
            heavy
        };
        let rarity = if quantiles.rarity == 0.0 { 1.0 } else { quantiles.rarity.exp() };
        Threshold { strength: strength * rarity, residual: ABSOLUTE_THRESHOLD * factor * rarity }
    }

    fn minor_threshold(&self, lightness: f64) -> f64 {
        let base = if lightness > 0.0 {
            (lightness * LN_MINOR_LIGHT + (1.0 - lightness) * LN_MINOR_HEAVY).exp()
        } else {
            12.0
        };
        let young = 1.0 + 0.3 * (1.0 - (self.weeks - 2.0) / 3.0).clamp(0.0, 1.0);
        base * self.cadence.threshold_factor * young
    }

    fn judge_minor(&self, side: usize, sign: f64, threshold: f64, tail: &Tail, judgement: &mut Judgement) {
        let strongest = self.strongest(PAGE_CONTRASTS, CONTRASTS, sign);
        if strongest.1 > judgement.loudest.1 {
            judgement.loudest = strongest;
        }
        let strength = if self.page_only { 0.0 } else { strongest.1.min(MOST_STRENGTH) };
        let mut slow = Evidence::NOTHING;
        if strength > 1.0 {
            slow = Evidence::of(strongest.0, tail.ln_rate(strength / threshold));
        }
        let sighting = &mut judgement.sightings[2 + side];
        sighting.strength = strength;
        sighting.ln_rate = slow.ln_rate;
        if slow.ln_rate < LN_HALF && !judgement.voices[side].alarms {
            judgement.voices[side] = Voice { index: strongest.0, strength, alarms: true, silence: false };
        }
        judgement.minor[side] = judgement.minor[side].or_rarer(slow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_half_a_week_at_its_threshold_and_falls_from_there() {
        let cadence = Cadence::new(60);
        for lightness in [0.0, 0.3, 1.0] {
            let tail = Tail::new(lightness, 1.0, &cadence);
            assert_eq!(tail.ln_rate(1.0), LN_HALF);
            let mut last = f64::INFINITY;
            for tenths in 5..40 {
                let rate = tail.ln_rate(f64::from(tenths) / 10.0);
                assert!(rate < last);
                last = rate;
            }
            assert!(tail.ln_rate(1e300).is_finite() && tail.ln_rate(1e-300) <= cadence.ln_points_per_week);
        }
    }

    #[test]
    fn constants_are_what_they_say() {
        assert!((LN_QUIET.exp() - 1e4).abs() < 1e-8);
        assert!((LN_MINOR_LIGHT.exp() - 5.45).abs() < 1e-12 && (LN_MINOR_HEAVY.exp() - 12.0).abs() < 1e-12);
    }
}
