//! Things that come back: RFC 5545 rules, expanded on the wall clock up to a fixed horizon.
//!
//! The rule is worked out as if the wall clock were UTC, so that nine o'clock stays nine o'clock through
//! changes to summer time. Expansion does not depend on today: the same rule gives the same days for ever.

use jiff::{civil::DateTime, tz::TimeZone};
use rrule::RRuleSet;

use super::HORIZON_SECONDS;

/// At most so many times of one entry are kept.
pub(super) const OCCURRENCES_MAX: u16 = 10_000;

/// When something starts, on the wall clock, and how it comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recurrence {
    /// First start.
    pub start: i64,
    /// The value of an `RRULE`, if it repeats by rule.
    pub rule: Option<String>,
    /// Further starts.
    pub also: Vec<i64>,
    /// Starts that are left out.
    pub except: Vec<i64>,
}

/// The starts of a recurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrences {
    /// In order of time, none twice.
    pub starts: Vec<i64>,
    /// More came than are kept.
    pub cut: bool,
}

impl Recurrence {
    /// All starts up to the horizon. `zone` is the one whose wall clock is meant, for an `UNTIL` in UTC.
    pub fn expand(&self, zone: &TimeZone) -> Result<Occurrences, String> {
        let mut starts = vec![self.start];
        let mut cut = false;
        if let Some(rule) = &self.rule {
            let rule = bounded(rule, zone)?;
            let text = format!("DTSTART:{}Z\nRRULE:{rule}", compact(self.start)?);
            let set: RRuleSet = text.parse().map_err(|error: rrule::RRuleError| error.to_string())?;
            let result = set.all(OCCURRENCES_MAX);
            cut = result.limited;
            for date in &result.dates {
                starts.push(date.timestamp());
            }
        }
        starts.extend(&self.also);
        starts.retain(|start| *start < HORIZON_SECONDS && !self.except.contains(start));
        starts.sort_unstable();
        starts.dedup();
        Ok(Occurrences { starts, cut })
    }
}

/// Seconds of a wall-clock time since 1970-01-01T00:00.
pub(crate) fn wall_seconds(at: DateTime) -> i64 {
    at.to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_second())
}

fn compact(wall: i64) -> Result<String, String> {
    let at = jiff::Timestamp::from_second(wall).map_err(|error| error.to_string())?;
    Ok(at.strftime("%Y%m%dT%H%M%S").to_string())
}

/// The rule with its end on the wall clock written as UTC, and an end if it has none.
fn bounded(rule: &str, zone: &TimeZone) -> Result<String, String> {
    let mut parts = Vec::new();
    let mut ends = false;
    for part in rule.trim().trim_end_matches(';').split(';') {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is no part of a rule"))?;
        let key = key.trim().to_ascii_uppercase();
        ends |= key == "COUNT" || key == "UNTIL";
        if key == "FREQ" && matches!(value, "SECONDLY" | "MINUTELY" | "HOURLY") {
            return Err(format!("repeats {value}; the shortest is DAILY"));
        }
        parts.push(if key == "UNTIL" { format!("UNTIL={}", until(value, zone)?) } else { part.to_owned() });
    }
    if !ends {
        parts.push(format!("UNTIL={}Z", compact(HORIZON_SECONDS - 1)?));
    }
    Ok(parts.join(";"))
}

fn until(value: &str, zone: &TimeZone) -> Result<String, String> {
    let wrong = || format!("UNTIL `{value}` is no date or time");
    if let Some(utc) = value.strip_suffix('Z') {
        let at = DateTime::strptime("%Y%m%dT%H%M%S", utc).map_err(|_| wrong())?;
        let instant = at.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
        let wall = instant.with_time_zone(zone.clone()).datetime();
        return Ok(format!("{}Z", wall.strftime("%Y%m%dT%H%M%S")));
    }
    if value.len() == 8 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(format!("{value}T235959Z"));
    }
    DateTime::strptime("%Y%m%dT%H%M%S", value).map(|_| format!("{value}Z")).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn days(rule: &str) -> Result<Vec<String>, String> {
        let start = wall_seconds(date(2026, 3, 6).at(9, 0, 0, 0));
        let recurrence = Recurrence { start, rule: Some(rule.to_owned()), ..Recurrence::default() };
        let zone = TimeZone::get("America/New_York").unwrap();
        let starts = recurrence.expand(&zone)?.starts;
        Ok(starts.iter().map(|start| compact(*start).unwrap()).collect())
    }

    #[test]
    fn rules_run_on_the_wall_clock() {
        assert_eq!(
            days("FREQ=DAILY;COUNT=3").unwrap(),
            ["20260306T090000", "20260307T090000", "20260308T090000"]
        );
        assert_eq!(days("FREQ=WEEKLY;UNTIL=20260320").unwrap().len(), 3);
        // 13:00 UTC is nine o'clock in New York by summer time.
        assert_eq!(days("FREQ=WEEKLY;UNTIL=20260313T130000Z").unwrap().len(), 2);
        assert_eq!(days("FREQ=WEEKLY;UNTIL=20260313T125959Z").unwrap().len(), 1);
        assert_eq!(days("FREQ=YEARLY").unwrap().last().unwrap(), "20400306T090000");
        assert!(days("FREQ=DAILY").unwrap().len() < 10_000);
    }

    #[test]
    fn bad_rules_are_refused() {
        assert!(days("FREQ=HOURLY").unwrap_err().contains("the shortest is DAILY"));
        assert!(days("weekly").unwrap_err().contains("no part of a rule"));
        assert!(days("FREQ=SOMETIMES").is_err());
        assert!(days("FREQ=DAILY;UNTIL=soon").unwrap_err().contains("`soon`"));
    }
}
