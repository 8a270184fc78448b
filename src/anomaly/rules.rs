//! When a rule speaks: what an incident must be like, and how often people want to hear of it.
//!
//! Everything follows from event time and from state that is stored with the monitor, so a replay or a restart
//! tells the same. An alert that the schedule, a mute or the cool-down holds back is not lost: it is told at
//! the first later window at which the incident still goes on and nothing holds it back. The end of an
//! incident that was told is always told, or receivers would keep it open for ever.

use std::collections::{BTreeMap, VecDeque};

use jiff::{RoundMode, Timestamp, ToSpan, Unit, ZonedRound, tz::TimeZone};
use serde::{Deserialize, Serialize};
use tidewatch_detectors::Side;

use super::{AlertKind, Incident, IncidentKind, Member, Threshold};

const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// A digest lists this many events; the rest are counted.
pub const DIGEST_ENTRIES_MAX: usize = 100;

/// Windows that a minimum duration can look back on.
pub const DURATION_WINDOWS_MAX: u32 = 64;

/// What an incident must be like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// One of its series is of one of these measures; empty is any.
    pub measures: Vec<String>,
    /// The same series has one of these values in each named dimension.
    pub slices: BTreeMap<String, Vec<String>>,
    /// The same series is off to this side.
    pub side: Option<Side>,
    /// What the incident amounts to is at least this, in the unit of its measure; 0 is anything.
    pub min_impact: f64,
    /// It was anomalous in so many of so many windows.
    pub duration: Option<MinDuration>,
    /// Told only at these times.
    pub schedule: Option<Schedule>,
    /// Not told between these instants, milliseconds since the Unix epoch.
    pub mutes: Vec<(i64, i64)>,
    /// What is told; `None` is everything.
    pub events: Option<Vec<RuleEvent>>,
}

/// `n` of the last `m` windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinDuration {
    /// Anomalous windows.
    pub n: u32,
    /// Out of the last so many.
    pub m: u32,
}

/// What a rule can be asked to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleEvent {
    /// An incident passed the threshold.
    Opened,
    /// It became clearly more severe.
    Escalated,
    /// It is over.
    Closed,
    /// The source cannot be read.
    NoData,
    /// Somebody takes care of it.
    Acknowledged,
}

/// Times of the week in the monitor's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Monday first.
    pub days: [bool; 7],
    /// First minute of the day.
    pub from_minute: u32,
    /// Minute of the day at which it ends. Not after the first one: on the following day.
    pub to_minute: u32,
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
    /// Keep silent for now.
    Hold,
}

impl Conditions {
    /// The rarity under which `incident` concerns this rule; `None` when it does not.
    pub(super) fn rate(&self, incident: &Incident) -> Option<f64> {
        if incident.kind == IncidentKind::NoData {
            return self.wants(RuleEvent::NoData).then_some(incident.page_log10_rate);
        }
        let impact = incident.impact.as_ref().map_or(0.0, |impact| impact.value.abs());
        if impact < self.min_impact {
            return None;
        }
        if self.measures.is_empty() && self.slices.is_empty() && self.side.is_none() {
            return Some(incident.page_log10_rate);
        }
        let rates = incident.members.iter().filter(|member| self.concerns(member));
        rates.map(|member| member.anomaly.page_log10_rate).min_by(f64::total_cmp)
    }

    fn concerns(&self, member: &Member) -> bool {
        let measure = self.measures.is_empty() || self.measures.contains(&member.measure);
        let side = self.side.is_none_or(|side| side == member.anomaly.side);
        let slice = self
            .slices
            .iter()
            .all(|(name, values)| member.slice.get(name).is_some_and(|value| values.contains(value)));
        measure && side && slice
    }

    /// Whether this kind of event is told.
    pub(super) fn wants(&self, event: RuleEvent) -> bool {
        self.events.as_ref().is_none_or(|events| events.contains(&event))
    }

    /// Whether people want to be told at this time.
    pub(super) fn speaks_at(&self, at_millis: i64, zone: &TimeZone) -> bool {
        let muted = self.mutes.iter().any(|(from, to)| (*from..*to).contains(&at_millis));
        !muted && self.schedule.is_none_or(|schedule| schedule.holds(at_millis, zone))
    }

    /// Whether an incident with these anomalous windows (lowest bit newest) has lasted long enough.
    pub(super) fn lasted(&self, windows: u64) -> bool {
        self.duration.is_none_or(|MinDuration { n, m }| {
            let mask = u64::MAX >> (DURATION_WINDOWS_MAX - m.clamp(1, DURATION_WINDOWS_MAX));
            (windows & mask).count_ones() >= n
        })
    }
}

impl Schedule {
    fn holds(&self, at_millis: i64, zone: &TimeZone) -> bool {
        let Ok(instant) = Timestamp::from_millisecond(at_millis) else { return true };
        let local = instant.to_zoned(zone.clone());
        let minute = u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs());
        let today = local.weekday().to_monday_zero_offset().unsigned_abs() as usize % 7;
        if self.from_minute < self.to_minute {
            return self.days[today] && (self.from_minute..self.to_minute).contains(&minute);
        }
        let yesterday = (today + 6) % 7;
        (self.days[today] && minute >= self.from_minute) || (self.days[yesterday] && minute < self.to_minute)
    }
}

impl Pace {
    /// What becomes of an alert about `incident` now. Counts it when it is told.
    pub(super) fn judge(&mut self, pacing: Pacing, incident: &str, at_millis: i64) -> Verdict {
        let cooling = self.last.as_ref().is_some_and(|(last, when)| {
            last != incident && at_millis < when.saturating_add(pacing.cool_down_millis)
        });
        if cooling {
            return Verdict::Hold;
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

impl Threshold {
    /// Whether a rule with this threshold concerns an incident of this rarity.
    pub(super) fn concerns(self, rate: Option<f64>, num_series: usize) -> bool {
        rate.is_some_and(|rate| self.passes(rate, num_series))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: i64 = 1_772_409_600_000; // 2026-03-02T00:00:00Z

    #[test]
    fn a_schedule_follows_the_clocks_of_its_zone_and_crosses_midnight() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let mut days = [false; 7];
        days[0] = true; // Monday
        let office = Schedule { days, from_minute: 9 * 60, to_minute: 17 * 60 };
        assert!(!office.holds(MONDAY + 13 * HOUR_MILLIS, &zone), "08:00 in New York");
        assert!(office.holds(MONDAY + 14 * HOUR_MILLIS, &zone), "09:00");
        assert!(!office.holds(MONDAY + 22 * HOUR_MILLIS, &zone), "17:00");
        let night = Schedule { days, from_minute: 22 * 60, to_minute: 6 * 60 };
        assert!(night.holds(MONDAY + 23 * HOUR_MILLIS, &TimeZone::UTC));
        assert!(night.holds(MONDAY + DAY_MILLIS + 5 * HOUR_MILLIS, &TimeZone::UTC), "Monday's night");
        assert!(!night.holds(MONDAY + DAY_MILLIS + 23 * HOUR_MILLIS, &TimeZone::UTC), "Tuesday");
    }

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
        assert_eq!(pace.judge(pacing, "shop-2", 600_000), Verdict::Hold);
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
    fn n_of_m_looks_at_the_newest_windows() {
        let conditions = Conditions { duration: Some(MinDuration { n: 3, m: 5 }), ..Conditions::default() };
        assert!(conditions.lasted(0b10_101));
        assert!(!conditions.lasted(0b110_001), "only two of the last five");
        let longest = Conditions { duration: Some(MinDuration { n: 64, m: 64 }), ..Conditions::default() };
        assert!(longest.lasted(u64::MAX) && !longest.lasted(u64::MAX >> 1));
    }
}
