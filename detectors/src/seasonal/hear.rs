//! What people say about alarms, taken in.

use super::cadence::Cadence;
use super::core::Core;
use super::envelope::Episode;
use super::rate::SIDES;
use crate::feedback::{Alarm, Feedback, Said};
use crate::score::Side;

impl Core {
    /// Takes in what somebody said; whether it changed anything.
    pub(super) fn hear(&mut self, said: &Said, cadence: &Cadence) -> bool {
        match said.feedback {
            Feedback::Expected { side } => {
                self.expect_again(side, said) && {
                    if said.about.is_none() {
                        self.pardon(side, cadence);
                    }
                    true
                }
            }
            Feedback::FalseAlarm { side } => {
                self.expect_again(side, said) && {
                    self.trackers[index_of(side)].step_up(cadence);
                    true
                }
            }
            Feedback::Confirmed { side } => said.about.is_none() && self.pardon(side, cadence),
            Feedback::NewNormal => {
                self.accept_level();
                true
            }
            Feedback::Missed { side } => {
                for tracker in self.trackers.iter_mut().skip(index_of(side)).step_by(SIDES.len()) {
                    tracker.step_down();
                }
                true
            }
        }
    }

    /// The running or the last alarm of a side.
    pub(super) fn last_alarm(&self, side: Side) -> Option<Alarm> {
        self.episodes[index_of(side)].alarm(side)
    }

    fn expect_again(&mut self, side: Side, said: &Said) -> bool {
        let mut envelopes = self.envelopes.take().unwrap_or_default();
        let kept = match &said.about {
            Some(alarm) => envelopes.keep_alarm(alarm, said.expires),
            None => envelopes.keep(index_of(side), &self.episodes[index_of(side)], said.expires),
        };
        self.envelopes = (!envelopes.is_empty()).then_some(envelopes);
        kept
    }

    /// Forgets what will have expired at the next observation.
    pub(super) fn forget_expired(&mut self, civil_seconds: i64) {
        if let Some(envelopes) = &mut self.envelopes {
            envelopes.forget_expired(civil_seconds);
            if envelopes.is_empty() {
                self.envelopes = None;
            }
        }
    }

    /// Takes back what the last event of this side added to the rarity rule, once.
    fn pardon(&mut self, side: Side, cadence: &Cadence) -> bool {
        let paged = self.episodes[index_of(side)].take_page();
        if paged {
            self.trackers[index_of(side)].pardon(cadence);
        }
        paged
    }

    /// Takes what came lately for normal, as an alarm of half a day would.
    fn accept_level(&mut self) {
        let running = self.episodes.iter().filter_map(Episode::running).max();
        self.baseline.accept_level(self.windows.recent_ratio(running.unwrap_or(u32::MAX)));
        self.windows.clear();
        self.silence.set_clock(0.0);
        self.event.stop();
        self.end_episodes();
    }

    /// Carries over what is known about events and occasions, where the state was folded again.
    pub(super) fn keep_feedback_of(&mut self, before: &Self) {
        self.envelopes.clone_from(&before.envelopes);
        self.occasions.clone_from(&before.occasions);
    }
}

fn index_of(side: Side) -> usize {
    usize::from(side == Side::Drop)
}
