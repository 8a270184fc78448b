//! Whether a monitor can use what it is sent: the share of events, over the last minutes of the wall clock, that
//! were refused, late or over a limit.
//!
//! Not part of the state: it speaks of what goes on now, and only while a live source has shown everything, so
//! replays and backtests never see it.

use std::collections::VecDeque;

use super::Totals;

/// How far back it looks.
const SPAN_MILLIS: i64 = 5 * 60_000;
/// How often it looks.
const STEP_MILLIS: i64 = 10_000;
/// Fewer events say nothing.
const EVENTS_MIN: u64 = 100;
/// From this share of unusable events on there is trouble.
const SHARE: f64 = 0.5;

/// What was counted, by the clock.
#[derive(Debug, Default)]
pub(super) struct IntakeWatch(VecDeque<(i64, Totals)>);

/// What it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Most events cannot be used.
    Trouble {
        /// Since then, by the clock.
        since_millis: i64,
        /// In words.
        what: String,
    },
    /// Most can.
    Fine,
}

impl IntakeWatch {
    /// Takes the totals at a time; says what they mean when enough came.
    pub(super) fn look(&mut self, now_millis: i64, totals: &Totals) -> Option<Finding> {
        if self.0.back().is_some_and(|(last, _)| now_millis < last + STEP_MILLIS) {
            return None;
        }
        while self.0.front().is_some_and(|(first, _)| *first < now_millis - SPAN_MILLIS) {
            self.0.pop_front();
        }
        self.0.push_back((now_millis, totals.clone()));
        let (since_millis, before) = self.0.front()?;
        let events = totals.events - before.events;
        if events < EVENTS_MIN {
            return None;
        }
        let refused = totals.num_rejected() - before.num_rejected();
        let late = totals.late + totals.after_close - before.late - before.after_close;
        let over_limit = totals.over_limit - before.over_limit;
        let unusable = refused + late + over_limit;
        if (unusable as f64) < SHARE * events as f64 {
            return Some(Finding::Fine);
        }
        let percent = unusable as f64 / events as f64 * 100.0;
        let what = format!(
            "{percent:.0} % of {events} events ({refused} refused, {late} too late, {over_limit} over a limit)"
        );
        Some(Finding::Trouble { since_millis: *since_millis, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(counted: u64, refused: u64) -> Totals {
        let mut totals = Totals { events: counted + refused, counted, ..Totals::default() };
        totals.rejected[0] = refused;
        totals
    }

    #[test]
    fn trouble_is_a_majority_of_many_and_passes() {
        let mut watch = IntakeWatch::default();
        assert_eq!(watch.look(0, &totals(1_000, 0)), None, "nothing to compare with");
        assert_eq!(watch.look(5_000, &totals(1_000, 500)), None, "too soon");
        assert_eq!(watch.look(10_000, &totals(1_010, 50)), None, "few events say nothing");
        let Some(Finding::Trouble { since_millis, what }) = watch.look(20_000, &totals(1_100, 300)) else {
            panic!("most were refused");
        };
        assert_eq!(since_millis, 0);
        assert_eq!(what, "75 % of 400 events (300 refused, 0 too late, 0 over a limit)");
        assert_eq!(watch.look(400_000, &totals(1_150, 300)), None);
        assert_eq!(watch.look(410_000, &totals(1_400, 310)), Some(Finding::Fine));
    }
}
