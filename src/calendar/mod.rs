//! Floor 3: which days and hours are special, for which slices.
//!
//! Public holidays, the days of retail, imported calendars and configured events become one list of spans.
//! For a slice and a window it gives at most one occasion, and says whether the window may be learned from.
//! Pure: what holds at a time depends on the settings and on that time alone. Reading files is the caller's.
//!
//! An occasion has a class: a number made of its name, the same each time it comes back, in every process.

mod entry;
mod holidays;
mod ics;
mod recurrence;
mod timeline;
mod wire;

pub use entry::{Entry, EntryKind, Origin, Scope, class_of};
pub use holidays::{Country, UnknownCountry, public_holidays, retail_days};
pub(crate) use ics::SPAN_SECONDS_MAX;
pub use ics::{IcsDefaults, IcsFile, IcsProblem, read_ics};
pub(crate) use recurrence::wall_seconds;
pub use recurrence::{Occurrences, Recurrence};
pub use timeline::{Clock, Span};
pub use wire::SpecialTimeWire;

use jiff::tz::TimeZone;
use tidewatch_detectors::Occasion;

use self::timeline::Timeline;
use crate::window::{SliceKey, WindowGrid};

/// Last day of everything that repeats: 2040-12-31, as seconds of the wall clock at its end.
pub const HORIZON_SECONDS: i64 = 2_240_611_200;

/// The special times of one monitor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calendar {
    entries: Vec<Entry>,
    spans: Vec<(Span, usize)>,
    wall: Timeline,
    instant: Timeline,
}

/// What the calendar says of one window of one slice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The occasion, if it is one.
    pub occasion: Option<Occasion>,
    /// An outage: what is seen must not be taken for normal.
    pub hold: bool,
}

/// One span of the calendar with what it means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listed<'c> {
    /// When.
    pub span: Span,
    /// What.
    pub entry: &'c Entry,
}

/// A window, in both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Start on the wall clock of the slice, seconds since 1970-01-01T00:00 there.
    pub civil_seconds: i64,
    /// Start, seconds since the Unix epoch.
    pub seconds: i64,
    /// Length of the window.
    pub width_seconds: i64,
}

impl Calendar {
    /// Adds an entry that holds over these spans.
    pub fn add(&mut self, entry: Entry, spans: &[Span]) {
        let number = self.entries.len();
        for span in spans {
            let timeline = match span.clock {
                Clock::Wall => &mut self.wall,
                Clock::Instant => &mut self.instant,
            };
            timeline.add(span.from, span.to, number);
            self.spans.push((*span, number));
        }
        self.entries.push(entry);
    }

    /// Adds several.
    pub fn extend(&mut self, entries: Vec<(Entry, Vec<Span>)>) {
        for (entry, spans) in entries {
            self.add(entry, &spans);
        }
    }

    /// What holds in a window of a slice.
    ///
    /// Of several occasions the one with the most specific scope counts; then configured before imported
    /// before public before retail; then the later in the list. An outage counts from its first second in
    /// the window, others when they fill half of it or lie in it by half.
    pub fn at(&self, slice: &SliceKey, moment: Moment) -> Verdict {
        let mut verdict = Verdict::default();
        let mut best: Option<(usize, Origin, usize)> = None;
        let clocks = [(&self.wall, moment.civil_seconds), (&self.instant, moment.seconds)];
        for (timeline, from) in clocks {
            timeline.touching(from, from + moment.width_seconds, |number, fills_half| {
                let entry = &self.entries[number];
                if !entry.scope.holds(slice) {
                    return;
                }
                if entry.kind == EntryKind::Outage {
                    verdict.hold = true;
                } else if !fills_half {
                    return;
                }
                let rank = (entry.scope.depth(), entry.origin, number);
                if best.is_none_or(|best| rank > best) {
                    best = Some(rank);
                }
            });
        }
        verdict.occasion = best.map(|(_, _, number)| self.entries[number].occasion());
        verdict
    }

    /// Everything that touches `from..to`, seconds since the Unix epoch, in order of time. Wall clocks are
    /// read as those of `zone`.
    pub fn between(&self, zone: &TimeZone, from: i64, to: i64) -> Vec<Listed<'_>> {
        let wall = |seconds: i64| WindowGrid::civil_seconds_in(zone, seconds.saturating_mul(1000));
        let (wall_from, wall_to) = (wall(from), wall(to));
        let touches = |span: &Span| match span.clock {
            Clock::Wall => span.from < wall_to && span.to > wall_from,
            Clock::Instant => span.from < to && span.to > from,
        };
        let on_wall = |span: &Span| match span.clock {
            Clock::Wall => span.from,
            Clock::Instant => wall(span.from),
        };
        let mut found: Vec<_> = self.spans.iter().filter(|(span, _)| touches(span)).collect();
        found.sort_by_key(|(span, number)| (on_wall(span), *number));
        found.iter().map(|(span, number)| Listed { span: *span, entry: &self.entries[*number] }).collect()
    }

    /// A number that changes with what the calendar says: models made under another one are made again.
    pub fn fingerprint(&self) -> u64 {
        class_of(&format!("{:?} {:?}", self.entries, self.spans))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn entry(name: &str, kind: EntryKind, origin: Origin, country: Option<&str>) -> Entry {
        let scope = Scope::new(country.map(|country| (0, vec![country.into()])).into_iter().collect());
        Entry { name: name.into(), class: class_of(name), kind, origin, scope, uplift: None }
    }

    fn slice(country: Option<&str>) -> SliceKey {
        SliceKey(vec![country.map(Into::into)])
    }

    fn at(calendar: &Calendar, country: Option<&str>, seconds: i64, width_seconds: i64) -> Verdict {
        calendar.at(&slice(country), Moment { civil_seconds: seconds, seconds, width_seconds })
    }

    #[test]
    fn the_most_specific_then_the_closest_origin_wins() {
        let mut calendar = Calendar::default();
        let day = [Span { clock: Clock::Wall, from: 10 * DAY, to: 11 * DAY }];
        calendar.add(entry("sale", EntryKind::Promotion, Origin::Configured, None), &day);
        calendar.add(entry("feast", EntryKind::Holiday, Origin::Public, Some("DE")), &day);
        calendar.add(entry("friday", EntryKind::Holiday, Origin::Retail, None), &day);
        let class = |country| at(&calendar, country, 10 * DAY, 300).occasion.map(|found| found.class);
        assert_eq!(class(None), Some(class_of("sale")));
        assert_eq!(class(Some("FR")), Some(class_of("sale")));
        assert_eq!(class(Some("DE")), Some(class_of("feast")));
        assert_eq!(at(&calendar, None, 11 * DAY, 300), Verdict::default());
        assert_eq!(at(&calendar, None, 10 * DAY - 300, 300), Verdict::default());
    }

    #[test]
    fn a_shifted_day_counts_by_half_and_an_outage_from_its_first_second() {
        let mut calendar = Calendar::default();
        let from = 10 * DAY;
        calendar.add(
            entry("feast", EntryKind::Holiday, Origin::Public, None),
            &[Span { clock: Clock::Wall, from, to: from + DAY }],
        );
        let noon = 20 * DAY + DAY / 2;
        calendar.add(
            entry("broken", EntryKind::Outage, Origin::Configured, None),
            &[Span { clock: Clock::Instant, from: noon + 290, to: noon + 400 }],
        );
        assert!(at(&calendar, None, from - DAY / 4, DAY).occasion.is_some());
        assert!(at(&calendar, None, from - DAY * 3 / 4, DAY).occasion.is_none());
        assert!(at(&calendar, None, noon, 300).hold && at(&calendar, None, noon + 300, 300).hold);
        assert!(!at(&calendar, None, noon + 600, 300).hold);
        assert_eq!(calendar.between(&TimeZone::UTC, 0, 15 * DAY).len(), 1);
    }
}
