//! What people said about alarms: how large and how long an expected one was.
//!
//! The last event of each side is known by its height and length, so that it can be marked when it is over. A
//! marked one leaves an envelope; a later alarm on that side is silent while it stays within one, in height and
//! in time. What is larger or lasts longer speaks as ever.

use serde::{Deserialize, Serialize};

use super::cadence::Cadence;
use super::contrast::{PAGE_CONTRASTS, slot};
use super::judgement::{Evidence, Judgement};
use super::rate::{HELD_LN_RATE, LN_HALF, SIDES};
use super::window::Windows;
use crate::feedback::Alarm;
use crate::score::{Reason, Side};

/// How many envelopes a series keeps; the oldest is forgotten.
const MOST_ENVELOPES: usize = 16;
/// How much higher than the marked one a later alarm may be, as a factor on the logarithm of the ratio.
const HIGHER: f64 = 1.2;
/// How much longer, as a factor and in observations.
const LONGER: f64 = 1.5;
const LONGER_POINTS: f64 = 5.0;
/// Heights end here: a drop by 98 % is as good as one to nothing.
const MOST_HEIGHT: f64 = 4.0;

/// The running or last event of one side; page and minor class together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Episode {
    /// Largest strength so far, of the short comparisons once one of them has spoken.
    peak: f64,
    /// Logarithm of what came to what was expected at that peak, positive in the direction of the side.
    height: f64,
    /// Observations from the first to the last in alarm; 0 before the first event.
    length: u32,
    /// Observations since the last in alarm.
    quiet: u32,
    /// A comparison of the page class has spoken.
    short: bool,
    /// It was loud enough for a page, so the rarity rule has counted it or will.
    paged: bool,
    running: bool,
}

impl Episode {
    pub(super) fn new() -> Self {
        Self { peak: 0.0, height: 0.0, length: 0, quiet: 0, short: false, paged: false, running: false }
    }

    /// How long it has run, this observation included, if it goes on with it.
    fn elapsed(&self) -> u32 {
        if self.running { self.length.saturating_add(self.quiet).saturating_add(1) } else { 1 }
    }

    /// Length of the running event, in observations.
    pub(super) fn running(&self) -> Option<u32> {
        self.running.then_some(self.length)
    }

    /// In numbers; `None` before the first event.
    pub(super) fn alarm(&self, side: Side) -> Option<Alarm> {
        (self.length > 0).then_some(Alarm { side, height: self.height, length: self.length })
    }

    pub(super) fn end(&mut self) {
        self.running = false;
    }

    /// Whether there was a page, once: the answer is then forgotten.
    pub(super) fn take_page(&mut self) -> bool {
        std::mem::take(&mut self.paged)
    }

    /// Takes in what was judged about one more observation.
    pub(super) fn follow(
        &mut self,
        side: usize,
        judgement: &Judgement,
        windows: &Windows,
        cadence: &Cadence,
    ) {
        let voice = judgement.voices[side];
        if !voice.alarms {
            if self.running {
                self.quiet += 1;
                self.running = f64::from(self.quiet) <= cadence.cluster_gap;
            }
            return;
        }
        let length = self.elapsed();
        if !self.running {
            *self = Self { running: true, ..Self::new() };
        }
        (self.length, self.quiet) = (length, 0);
        self.paged |= judgement.sightings[side].ln_rate < LN_HALF && !judgement.silenced[side];
        let short = voice.index < PAGE_CONTRASTS;
        let first = short && !self.short;
        if first || (short == self.short && voice.strength >= self.peak) {
            self.short |= short;
            self.peak = voice.strength;
            self.height = height(side, judgement, windows);
        }
    }
}

/// Height of what speaks on this side: the logarithm of what came to what was expected.
fn height(side: usize, judgement: &Judgement, windows: &Windows) -> f64 {
    let voice = judgement.voices[side];
    if voice.silence {
        return MOST_HEIGHT;
    }
    let slot = slot(voice.index);
    let ratio = (windows.observed[slot] / windows.expected[slot].max(1e-12)).max(1e-12).ln();
    (if SIDES[side] == Side::Rise { ratio } else { -ratio }).clamp(0.0, MOST_HEIGHT)
}

/// An alarm that somebody expects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Envelope {
    side: Side,
    height: f64,
    /// In observations.
    length: u32,
    /// The marked event still runs; its length is not known yet.
    open: bool,
    /// Alarms from then on, by the wall clock, are not expected any more.
    expires: Option<i64>,
}

impl Envelope {
    fn holds(&self, side: Side, height: f64, elapsed: u32) -> bool {
        self.side == side
            && height <= HIGHER * self.height
            && f64::from(elapsed) <= LONGER * f64::from(self.length) + LONGER_POINTS
    }
}

/// All envelopes of one series, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Envelopes {
    kept: Vec<Envelope>,
}

impl Envelopes {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Keeps the event that `episode` is or was; false if there was none.
    pub(super) fn keep(&mut self, side: usize, episode: &Episode, expires: Option<i64>) -> bool {
        let Some(alarm) = episode.alarm(SIDES[side]) else { return false };
        let open = episode.running;
        // Marked twice while it runs, an event is still one.
        self.kept.retain(|known| known.side != alarm.side || !known.open);
        self.push(Envelope { side: alarm.side, height: alarm.height, length: alarm.length, open, expires })
    }

    /// Keeps an alarm that is known by its numbers; false if they say nothing.
    pub(super) fn keep_alarm(&mut self, alarm: &Alarm, expires: Option<i64>) -> bool {
        let Alarm { side, height, length } = *alarm;
        let height = height.min(MOST_HEIGHT);
        height > 0.0 && length > 0 && self.push(Envelope { side, height, length, open: false, expires })
    }

    /// Forgets envelopes whose time is over at `civil_seconds`.
    pub(super) fn forget_expired(&mut self, civil_seconds: i64) {
        self.kept.retain(|envelope| envelope.expires.is_none_or(|expires| civil_seconds < expires));
    }

    fn push(&mut self, envelope: Envelope) -> bool {
        self.kept.retain(|known| *known != envelope);
        if self.kept.len() >= MOST_ENVELOPES {
            self.kept.remove(0);
        }
        self.kept.push(envelope);
        true
    }

    /// Quietens the sides of `judgement` whose alarm stays within an envelope.
    pub(super) fn silence(&self, judgement: &mut Judgement, windows: &Windows, episodes: &[Episode; 2]) {
        for (index, side) in SIDES.into_iter().enumerate() {
            let loud = judgement.page[index].ln_rate.min(judgement.minor[index].ln_rate) < HELD_LN_RATE;
            if !loud {
                continue;
            }
            let (height, elapsed) = (height(index, judgement, windows), episodes[index].elapsed());
            if self.kept.iter().any(|envelope| envelope.holds(side, height, elapsed)) {
                judgement.silenced[index] = true;
                for evidence in [&mut judgement.page[index], &mut judgement.minor[index]] {
                    if evidence.ln_rate < HELD_LN_RATE {
                        *evidence = Evidence { ln_rate: HELD_LN_RATE, reason: Reason::Expected };
                    }
                }
            }
        }
    }

    /// A marked event that still runs is as long as it gets.
    pub(super) fn follow(&mut self, episodes: &[Episode; 2]) {
        for envelope in self.kept.iter_mut().filter(|envelope| envelope.open) {
            let episode = &episodes[usize::from(envelope.side == Side::Drop)];
            envelope.open = episode.running;
            if episode.running {
                envelope.length = envelope.length.max(episode.length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(length: u32) -> Episode {
        Episode { height: 0.5, length, ..Episode::new() }
    }

    #[test]
    fn an_envelope_holds_what_is_as_high_and_as_long() {
        let envelope = Envelope { side: Side::Rise, height: 0.5, length: 10, open: false, expires: None };
        assert!(envelope.holds(Side::Rise, 0.59, 20));
        assert!(!envelope.holds(Side::Rise, 0.61, 20), "too high");
        assert!(!envelope.holds(Side::Rise, 0.5, 21), "too long");
        assert!(!envelope.holds(Side::Drop, 0.5, 1), "the other side");
    }

    #[test]
    fn the_oldest_is_forgotten_and_nothing_is_kept_of_no_event() {
        let mut envelopes = Envelopes::default();
        assert!(!envelopes.keep(0, &Episode::new(), None));
        for length in 1..=20 {
            assert!(envelopes.keep(0, &episode(length), None));
        }
        envelopes.keep(0, &episode(20), None);
        assert_eq!(envelopes.kept.len(), MOST_ENVELOPES);
        assert_eq!(envelopes.kept[0].length, 5);
    }
}
