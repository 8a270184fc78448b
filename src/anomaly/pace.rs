//! How often a rule speaks: cool-down, a cap per hour, digests. What is held back is counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{RoundMode, Timestamp, ToSpan, Unit, ZonedRound, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{AlertKind, Incident};

const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// A digest lists this many events; the rest are counted.
pub const DIGEST_ENTRIES_MAX: usize = 100;

/// Alerts that rules held back, each counted once, by the reason for which it first was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The cap per hour was reached.
    pub cap: u64,
    /// Another incident had just been told.
    pub cool_down: u64,
    /// Outside the schedule, or muted.
    pub schedule: u64,
}

impl std::ops::AddAssign for HeldBack {
    fn add_assign(&mut self, more: Self) {
        self.cap += more.cap;
        self.cool_down += more.cool_down;
        self.schedule += more.schedule;
    }
}

/// How often people want to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pacing {
    /// After an alert, no other incident is told for so long.
    pub cool_down_millis: i64,
    /// At most so many alerts in an hour, the ends of told incidents not counted.
    pub per_hour: Option<u32>,
    /// All alerts of an hour or a day in one message.
    pub digest: Option<DigestEvery>,
}

/// When a digest is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DigestEvery {
    /// At the full hour.
    Hour,
    /// At midnight of the monitor's zone.
    Day,
}

/// One event in a digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DigestEntry {
    /// The incident.
    pub incident: String,
    /// What happened to it.
    pub kind: AlertKind,
    /// Event time, milliseconds since the Unix epoch.
    pub at_millis: i64,
    /// Peak page severity at that time.
    pub severity: f64,
    /// Its sentence.
    pub summary: String,
}

/// What a rule remembers between incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    /// When it spoke in the last hour.
    recent: VecDeque<i64>,
    /// Incident and time it last spoke of.
    last: Option<(String, i64)>,
    /// Incidents held back by the cap since the last notice was sent.
    held_back: BTreeMap<String, i64>,
    /// When it last said that it holds back.
    noticed_millis: Option<i64>,
    /// Incidents that wait to be told.
    waiting: BTreeSet<String>,
    pub(super) digest: Option<Digest>,
}

/// A digest that is being collected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Digest {
    /// When it is due.
    pub(super) due_millis: i64,
    pub(super) entries: Vec<DigestEntry>,
    pub(super) more: u64,
    /// The last incident in it.
    pub(super) incident: Incident,
}

/// What pacing makes of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Tell it, and that so many others were held back.
    Tell { held_back: u64 },
    /// Say that alerts are held back from now on.
    Notice { held_back: u64 },
    /// Keep silent for now: the cap is reached, and that was said.
    Hold,
    /// Keep silent for now: another incident was told of only just.
    Cool,
}

impl Pace {
    /// Counts an alert that is held back, the first time it is.
    pub(super) fn hold(&mut self, incident: &str, count: &mut u64) {
        *count += u64::from(self.waiting.insert(incident.to_owned()));
    }

    /// It was told, or is over.
    pub(super) fn release(&mut self, incident: &str) {
        self.waiting.remove(incident);
    }

    /// What becomes of an alert about `incident` now. Counts it when it is told.
    pub(super) fn judge(&mut self, pacing: Pacing, incident: &str, at_millis: i64) -> Verdict {
        let cooling = self.last.as_ref().is_some_and(|(last, when)| {
            last != incident && at_millis < when.saturating_add(pacing.cool_down_millis)
        });
        if cooling {
            return Verdict::Cool;
        }
        while self.recent.front().is_some_and(|when| *when <= at_millis - HOUR_MILLIS) {
            self.recent.pop_front();
        }
        if pacing.per_hour.is_some_and(|cap| self.recent.len() >= cap as usize) {
            self.held_back.insert(incident.to_owned(), at_millis);
            let noticed = self.noticed_millis.is_some_and(|when| at_millis < when + HOUR_MILLIS);
            if noticed {
                return Verdict::Hold;
            }
            self.noticed_millis = Some(at_millis);
            return Verdict::Notice { held_back: self.held_back.len() as u64 };
        }
        if pacing.per_hour.is_some() {
            self.recent.push_back(at_millis);
        }
        self.last = Some((incident.to_owned(), at_millis));
        self.held_back.remove(incident);
        let held_back = std::mem::take(&mut self.held_back).len() as u64;
        Verdict::Tell { held_back }
    }

    /// Adds an event to the digest.
    pub(super) fn collect(&mut self, due_millis: i64, incident: &Incident, kind: AlertKind, at_millis: i64) {
        let digest = self.digest.get_or_insert_with(|| Digest {
            due_millis,
            entries: Vec::new(),
            more: 0,
            incident: incident.clone(),
        });
        digest.incident = incident.clone();
        if digest.entries.len() >= DIGEST_ENTRIES_MAX {
            digest.more += 1;
            return;
        }
        digest.entries.push(DigestEntry {
            incident: incident.id.clone(),
            kind,
            at_millis,
            severity: incident.severity.peak,
            summary: incident.summary.clone(),
        });
    }

    /// The digest, once it is due.
    pub(super) fn due(&mut self, at_millis: i64) -> Option<Digest> {
        self.digest.take_if(|digest| digest.due_millis <= at_millis)
    }
}

impl DigestEvery {
    /// The next full hour or midnight after `at_millis`.
    pub(super) fn next_after(self, at_millis: i64, zone: &TimeZone) -> i64 {
        let (unit, span, rough) = match self {
            Self::Hour => (Unit::Hour, 1.hour(), HOUR_MILLIS),
            Self::Day => (Unit::Day, 1.day(), DAY_MILLIS),
        };
        let next = || -> Result<i64, jiff::Error> {
            let local = Timestamp::from_millisecond(at_millis)?.to_zoned(zone.clone());
            let start = local.round(ZonedRound::new().smallest(unit).mode(RoundMode::Trunc))?;
            Ok(start.checked_add(span)?.timestamp().as_millisecond())
        };
        // Only at the ends of time.
        next().unwrap_or(at_millis.saturating_add(rough))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: i64 = 1_772_409_600_000; // 2026-03-02T00:00:00Z

    #[test]
    fn a_cap_tells_once_an_hour_that_it_holds_back_and_then_how_many() {
        let pacing = Pacing { per_hour: Some(2), ..Pacing::default() };
        let mut pace = Pace::default();
        let judged: Vec<_> =
            (0..5).map(|at| pace.judge(pacing, &format!("shop-{at}"), at * 60_000)).collect();
        let tell = Verdict::Tell { held_back: 0 };
        assert_eq!(judged, [tell, tell, Verdict::Notice { held_back: 1 }, Verdict::Hold, Verdict::Hold]);
        let later = pace.judge(pacing, "shop-4", HOUR_MILLIS + 60_000);
        assert_eq!(later, Verdict::Tell { held_back: 2 }, "shop-2 and shop-3; shop-4 is told now");
    }

    #[test]
    fn a_cool_down_keeps_other_incidents_silent_and_not_its_own() {
        let pacing = Pacing { cool_down_millis: 600_000, ..Pacing::default() };
        let mut pace = Pace::default();
        let tell = Verdict::Tell { held_back: 0 };
        assert_eq!(pace.judge(pacing, "shop-1", 0), tell);
        assert_eq!(pace.judge(pacing, "shop-1", 60_000), tell);
        assert_eq!(pace.judge(pacing, "shop-2", 600_000), Verdict::Cool);
        assert_eq!(pace.judge(pacing, "shop-2", 660_000), tell);
    }

    #[test]
    fn digests_end_at_hours_and_midnights_of_the_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(DigestEvery::Hour.next_after(MONDAY + 1, &berlin), MONDAY + HOUR_MILLIS);
        assert_eq!(DigestEvery::Day.next_after(MONDAY, &berlin), MONDAY + 23 * HOUR_MILLIS);
        // 2026-03-29 has 23 hours there.
        let spring = MONDAY + 26 * DAY_MILLIS + 23 * HOUR_MILLIS;
        assert_eq!(DigestEvery::Day.next_after(spring, &berlin), spring + 23 * HOUR_MILLIS);
    }

    #[test]
    fn what_waits_is_counted_once_until_it_is_told() {
        let (mut pace, mut count) = (Pace::default(), 0);
        for incident in ["shop-1", "shop-1", "shop-2"] {
            pace.hold(incident, &mut count);
        }
        assert_eq!(count, 2);
        pace.release("shop-1");
        pace.hold("shop-1", &mut count);
        assert_eq!(count, 3);
    }
}
