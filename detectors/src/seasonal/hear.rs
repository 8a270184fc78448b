//! What people say about alarms, taken in.

use super::cadence::Cadence;
use super::core::Core;
use super::envelope::Episode;
use crate::feedback::Feedback;
use crate::score::Side;

impl Core {
    /// Takes in what somebody said; whether it changed anything.
    pub(super) fn hear(&mut self, feedback: Feedback, cadence: &Cadence) -> bool {
        match feedback {
            Feedback::Expected { side } => {
                self.expect_again(side) && {
                    self.pardon(side, cadence);
                    true
                }
            }
            Feedback::FalseAlarm { side } => {
                self.expect_again(side) && {
                    self.trackers[index_of(side)].step_up(cadence);
                    true
                }
            }
            Feedback::Confirmed { side } => self.pardon(side, cadence),
            Feedback::NewNormal => {
                self.accept_level();
                true
            }
        }
    }

    fn expect_again(&mut self, side: Side) -> bool {
        let mut envelopes = self.envelopes.take().unwrap_or_default();
        let kept = envelopes.keep(index_of(side), &self.episodes[index_of(side)]);
        self.envelopes = (!envelopes.is_empty()).then_some(envelopes);
        kept
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
