//! When a rule speaks: what an incident must be like. `pace` says how often people want to hear of it.
//!
//! Everything follows from event time and from state that is stored with the monitor, so a replay or a restart
//! tells the same. An alert that the schedule, a mute or the cool-down holds back is not lost: it is told at
//! the first later window at which the incident still goes on and nothing holds it back. The end of an
//! incident that was told is always told, or receivers would keep it open for ever.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use tidewatch_detectors::Side;

use super::{Incident, IncidentKind, Member, Threshold};

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
    /// What is told; `None` is everything but what repeats itself: recoveries and revisions.
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
    /// Nothing of it is off any more, and it is not over yet; and when it is off again after that.
    Recovered,
    /// What was told is not so: another measure, direction or slice explains it, or late events changed its numbers.
    Revised,
    /// It is over.
    Closed,
    /// The source cannot be read.
    NoData,
    /// Somebody takes care of it.
    Acknowledged,
    /// Most of what is sent cannot be used.
    EngineTrouble,
    /// Late events left nothing of it.
    Retracted,
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

impl Conditions {
    /// The rarity under which `incident` concerns this rule; `None` when it does not.
    pub(super) fn rate(&self, incident: &Incident) -> Option<f64> {
        // These are certain, and no matter of measures and slices.
        let certain = match incident.kind {
            IncidentKind::NoData => Some(RuleEvent::NoData),
            IncidentKind::EngineTrouble => Some(RuleEvent::EngineTrouble),
            IncidentKind::Deviation | IncidentKind::Minor => None,
        };
        if let Some(event) = certain {
            return self.wants(event).then_some(incident.page_log10_rate);
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
        let repeats = matches!(event, RuleEvent::Recovered | RuleEvent::Revised);
        self.events.as_ref().map_or(!repeats, |events| events.contains(&event))
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

impl Threshold {
    /// Whether a rule with this threshold concerns an incident of this rarity.
    pub(super) fn concerns(self, rate: Option<f64>, num_series: usize) -> bool {
        rate.is_some_and(|rate| self.passes(rate, num_series))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MILLIS: i64 = 3_600_000;
    const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;
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
    fn n_of_m_looks_at_the_newest_windows() {
        let conditions = Conditions { duration: Some(MinDuration { n: 3, m: 5 }), ..Conditions::default() };
        assert!(conditions.lasted(0b10_101));
        assert!(!conditions.lasted(0b110_001), "only two of the last five");
        let longest = Conditions { duration: Some(MinDuration { n: 64, m: 64 }), ..Conditions::default() };
        assert!(longest.lasted(u64::MAX) && !longest.lasted(u64::MAX >> 1));
    }
}
