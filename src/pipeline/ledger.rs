//! What holds of everything that people said: what models fold over, special times, labels.
//!
//! A fold over [`Instructed`] rows in order. Undoing leaves a row out of it, so that models rebuilt from history
//! under the ledger are bit for bit those that never heard it.

use std::collections::{BTreeMap, BTreeSet};

use tidewatch_detectors::Said;

use super::{Ask, EnteredEvent, Instructed, Label, MonitorSpec, Refused, SHARD_SLICES, Seen, SeriesAt};
use crate::{
    calendar::{EntryKind, Scope},
    window::SliceKey,
};

/// Series that one instruction may reach.
pub(super) const REACH_MAX: usize = 10_000;

/// What holds now.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    last: u64,
    heard: Vec<Heard>,
    /// Ranges that are not learned, by series, with the number of their instruction.
    holds: BTreeMap<SeriesAt, Vec<(u64, i64, i64)>>,
    events: Vec<KnownEvent>,
    /// Labels of incidents, the newest last.
    labels: BTreeMap<String, Vec<(u64, Label)>>,
    acknowledged: BTreeSet<String>,
    missed: BTreeSet<u64>,
}

/// What models were told at one place of the log.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) number: u64,
    pub(super) after_millis: i64,
    said: BTreeMap<SeriesAt, Said>,
}

/// An event that was entered, and the windows for which it counts.
#[derive(Clone, Debug)]
pub struct KnownEvent {
    /// Its number.
    pub number: u64,
    /// What it is.
    pub event: EnteredEvent,
    scope: Scope,
    /// Windows that start before this do not know it.
    added_millis: i64,
    /// Nor do those that start at or after this.
    removed_millis: Option<i64>,
}

impl KnownEvent {
    /// Whether it was taken back.
    pub fn is_removed(&self) -> bool {
        self.removed_millis.is_some()
    }
}

impl Ledger {
    /// What these rows, in order, make hold.
    pub fn of<'r>(rows: impl IntoIterator<Item = &'r Instructed>) -> Self {
        let mut ledger = Self::default();
        for row in rows {
            ledger.push(row);
        }
        ledger
    }

    /// The number of the next row.
    pub fn next_number(&self) -> u64 {
        self.last + 1
    }

    /// Takes a row in; says which series must be learned anew because their past has changed.
    pub fn push(&mut self, row: &Instructed) -> BTreeSet<SeriesAt> {
        self.last = row.number;
        let mut anew = BTreeSet::new();
        match &row.instruction.ask {
            Ask::Acknowledge { incident } => {
                self.acknowledged.insert(incident.clone());
            }
            Ask::Assign { .. } | Ask::Mute { .. } | Ask::Note { .. } => {}
            Ask::Feedback(feedback) => {
                if let Some(incident) = &feedback.incident {
                    self.labels.entry(incident.clone()).or_default().push((row.number, feedback.label));
                }
            }
            Ask::Missed(missed) => {
                self.missed.insert(row.number);
                anew = self.hold(row, (missed.from_millis, missed.to_millis));
            }
            ask @ (Ask::Event(_) | Ask::Events { .. }) => {
                for event in ask.entered() {
                    anew.extend(self.enter(row, event));
                }
            }
            Ask::Undo { number } => anew = self.forget(*number, row.after_millis),
        }
        if !row.said.is_empty() {
            let said = row.said.iter().map(|said| (said.series, said.said)).collect();
            self.heard.push(Heard { number: row.number, after_millis: row.after_millis, said });
        }
        anew
    }

    fn enter(&mut self, row: &Instructed, event: &EnteredEvent) -> BTreeSet<SeriesAt> {
        self.events.push(KnownEvent {
            number: row.number,
            event: event.clone(),
            scope: event.entry().scope,
            added_millis: row.after_millis,
            removed_millis: None,
        });
        let to_millis = (event.to_seconds * 1000).min(row.after_millis);
        if event.kind == EntryKind::Outage && event.from_seconds * 1000 < to_millis {
            self.hold(row, (event.from_seconds * 1000, to_millis))
        } else {
            BTreeSet::new()
        }
    }

    fn hold(&mut self, row: &Instructed, (from_millis, to_millis): (i64, i64)) -> BTreeSet<SeriesAt> {
        for series in &row.held {
            self.holds.entry(*series).or_default().push((row.number, from_millis, to_millis));
        }
        row.held.iter().copied().collect()
    }

    /// Leaves a row out; the series whose past has changed by that.
    fn forget(&mut self, number: u64, at_millis: i64) -> BTreeSet<SeriesAt> {
        let mut anew = BTreeSet::new();
        self.heard.retain(|heard| {
            if heard.number == number {
                anew.extend(heard.said.keys());
            }
            heard.number != number
        });
        self.holds.retain(|series, ranges| {
            let before = ranges.len();
            ranges.retain(|(of, _, _)| *of != number);
            if ranges.len() < before {
                anew.insert(*series);
            }
            !ranges.is_empty()
        });
        for event in self.events.iter_mut().filter(|event| event.number == number) {
            event.removed_millis = Some(at_millis);
        }
        self.labels.retain(|_, labels| {
            labels.retain(|(of, _)| *of != number);
            !labels.is_empty()
        });
        self.missed.remove(&number);
        anew
    }

    /// Whether a row can be taken back.
    pub fn check_undo(&self, number: u64) -> Result<(), Refused> {
        let known = self.heard.iter().any(|heard| heard.number == number)
            || self.missed.contains(&number)
            || self.labels.values().flatten().any(|(of, _)| *of == number)
            || self.events.iter().any(|event| event.number == number && !event.is_removed());
        if known { Ok(()) } else { Err(Refused::NothingToUndo(number)) }
    }

    /// What models hear after `number`, in order.
    pub(super) fn heard_after(&self, number: u64) -> &[Heard] {
        &self.heard[self.heard.partition_point(|heard| heard.number <= number)..]
    }

    /// A number that changes with what the models of a shard heard up to `number`, and with what they hold.
    pub(super) fn fingerprint(&self, shard: usize, number: u64) -> u64 {
        let heard = self.heard.iter().filter(|heard| heard.number <= number);
        let said: Vec<_> =
            heard.map(|heard| (heard.number, heard.of_shard(shard).collect::<Vec<_>>())).collect();
        let said: Vec<_> = said.iter().filter(|(_, said)| !said.is_empty()).collect();
        let holds: Vec<_> = self.holds.range(of_shard(shard)).collect();
        let text =
            if said.is_empty() && holds.is_empty() { String::new() } else { format!("{said:?} {holds:?}") };
        crate::calendar::class_of(&text)
    }

    /// Whether a window of a series is not to be learned.
    pub(super) fn is_held(&self, series: SeriesAt, start_millis: i64, end_millis: i64) -> bool {
        !self.holds.is_empty()
            && self.holds.get(&series).is_some_and(|ranges| {
                ranges.iter().any(|(_, from, to)| start_millis < *to && end_millis > *from)
            })
    }

    /// What the models are told of a window of a slice besides its values.
    pub fn seen(&self, spec: &MonitorSpec, slice: &SliceKey, start_millis: i64) -> Seen {
        let mut seen = spec.seen(slice, start_millis);
        let (start, width) = (start_millis.div_euclid(1000), spec.window.grid.width().seconds());
        for known in &self.events {
            let knows = start_millis >= known.added_millis
                && known.removed_millis.is_none_or(|removed| start_millis < removed);
            let event = &known.event;
            let common = (start + width).min(event.to_seconds) - start.max(event.from_seconds);
            if !knows || common <= 0 || !known.scope.holds(slice) {
                continue;
            }
            if event.kind == EntryKind::Outage {
                seen.hold = true;
            } else if 2 * common < width.min(event.to_seconds - event.from_seconds) {
                continue;
            }
            seen.occasion = Some(event.entry().occasion());
        }
        seen
    }

    /// The events that were entered, with those taken back.
    pub fn events(&self) -> &[KnownEvent] {
        &self.events
    }

    /// The newest label of an incident.
    pub fn label(&self, incident: &str) -> Option<Label> {
        self.labels.get(incident)?.last().map(|(_, label)| *label)
    }

    /// Whether somebody took care of an incident or said something about it.
    pub fn is_answered(&self, incident: &str) -> bool {
        self.acknowledged.contains(incident) || self.labels.contains_key(incident)
    }

    /// Missed incidents that were reported.
    pub fn num_missed(&self) -> usize {
        self.missed.len()
    }

    /// Whether feedback still speaks to the model of a series.
    pub fn speaks_to(&self, series: SeriesAt) -> bool {
        self.heard.iter().any(|heard| heard.said.contains_key(&series)) || self.holds.contains_key(&series)
    }

    /// Whether a row still holds.
    pub fn holds(&self, number: u64) -> bool {
        self.check_undo(number).is_ok()
    }
}

impl Heard {
    /// What the models of one shard hear.
    pub(super) fn of_shard(&self, shard: usize) -> impl Iterator<Item = (SeriesAt, &Said)> {
        self.said.range(of_shard(shard)).map(|(series, said)| (*series, said))
    }
}

impl Seen {
    /// The same, held if people keep this window of the series from being learned.
    pub(super) fn held_by(self, ledger: &Ledger, series: SeriesAt, (start, end): (i64, i64)) -> Self {
        Self { hold: self.hold || ledger.is_held(series, start, end), ..self }
    }
}

fn of_shard(shard: usize) -> std::ops::Range<SeriesAt> {
    let first = |shard: usize| SeriesAt { slice: shard * SHARD_SLICES, measure: 0 };
    first(shard)..first(shard + 1)
}

#[cfg(test)]
mod tests {
    use tidewatch_detectors::{Feedback, Side};

    use super::*;
    use crate::pipeline::{GivenFeedback, Instruction, MissedIncident, Reach, SaidTo};

    fn row(number: u64, ask: Ask, slices: &[usize]) -> Instructed {
        let said = |slice: &usize| SaidTo {
            series: SeriesAt { slice: *slice, measure: 0 },
            said: Feedback::Expected { side: Side::Rise }.into(),
        };
        Instructed {
            number,
            after_millis: number as i64 * 1000,
            instruction: Instruction { at_millis: 0, by: "ana".to_owned(), ask },
            said: slices.iter().map(said).collect(),
            held: Vec::new(),
        }
    }

    fn expected(incident: &str) -> Ask {
        Ask::Feedback(GivenFeedback {
            label: Label::Expected,
            incident: Some(incident.to_owned()),
            from_millis: 0,
            to_millis: 1,
            targets: Vec::new(),
            latest: false,
            reach: Reach::Incident,
            cause: None,
            comment: None,
            expires_millis: None,
        })
    }

    #[test]
    fn undone_rows_leave_no_trace_and_shards_are_apart() {
        let mut ledger = Ledger::of(&[row(1, expected("shop-1"), &[3]), row(2, expected("shop-2"), &[300])]);
        let alone = Ledger::of(&[row(2, expected("shop-2"), &[300])]);
        assert_eq!(ledger.heard_after(1).len(), 1);
        assert_ne!(ledger.fingerprint(0, 9), alone.fingerprint(0, 9));
        assert_eq!(ledger.fingerprint(1, 9), alone.fingerprint(1, 9));
        assert_eq!(ledger.fingerprint(0, 0), alone.fingerprint(0, 9), "before the first row");
        let anew = ledger.push(&row(3, Ask::Undo { number: 1 }, &[]));
        assert_eq!(anew, BTreeSet::from([SeriesAt { slice: 3, measure: 0 }]));
        assert_eq!(ledger.fingerprint(0, 9), alone.fingerprint(0, 9));
        assert_eq!((ledger.label("shop-1"), ledger.label("shop-2")), (None, Some(Label::Expected)));
        assert_eq!(ledger.check_undo(1), Err(Refused::NothingToUndo(1)));
        assert_eq!(ledger.next_number(), 4);
    }

    #[test]
    fn a_missed_range_is_held_until_it_is_undone() {
        let series = SeriesAt { slice: 0, measure: 1 };
        let ask = Ask::Missed(MissedIncident {
            series,
            side: Side::Drop,
            from_millis: 100,
            to_millis: 200,
            comment: None,
        });
        let mut ledger = Ledger::default();
        let missed = Instructed { held: vec![series], ..row(1, ask, &[]) };
        assert_eq!(ledger.push(&missed), BTreeSet::from([series]));
        assert!(ledger.is_held(series, 199, 299) && !ledger.is_held(series, 200, 300));
        assert!(!ledger.is_held(SeriesAt { slice: 0, measure: 0 }, 100, 200));
        assert_eq!(ledger.num_missed(), 1);
        ledger.push(&row(2, Ask::Undo { number: 1 }, &[]));
        assert!(!ledger.is_held(series, 100, 200) && ledger.num_missed() == 0);
    }
}
