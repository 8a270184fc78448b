//! Civil time of one country: from UTC to the local minute, daylight saving included.
//!
//! Promises: zones come from the database inside the binary, never from the machine, so the same
//! instant has the same local time everywhere. The offset is looked up once per hour; every zone of
//! [`super::COUNTRIES`] changes its offset on a full UTC hour.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

pub(super) const MINUTE_MILLIS: i64 = 60_000;
const HOUR_MILLIS: i64 = 60 * MINUTE_MILLIS;
pub(super) const MINUTES_PER_DAY: i64 = 1440;
pub(super) const MINUTES_PER_WEEK: i64 = 7 * MINUTES_PER_DAY;

#[derive(Debug, Clone)]
pub(super) struct LocalClock {
    zone: TimeZone,
    hour: i64,
    offset_minutes: i64,
}

/// A civil minute: `day` counts local days since 1970-01-01, `minute_of_week` starts on Monday 00:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalMinute {
    pub(super) day: i64,
    pub(super) minute_of_week: usize,
}

impl LocalClock {
    pub(super) fn new(zone: &str) -> LocalClock {
        let zone = TimeZoneDatabase::bundled().get(zone).expect("every zone of COUNTRIES is in the bundle");
        LocalClock { zone, hour: i64::MIN, offset_minutes: 0 }
    }

    pub(super) fn at(&mut self, millis: i64) -> LocalMinute {
        let hour = millis.div_euclid(HOUR_MILLIS);
        if hour != self.hour {
            self.hour = hour;
            self.offset_minutes = self.offset_minutes_at(hour * HOUR_MILLIS);
        }
        let minute = millis.div_euclid(MINUTE_MILLIS) + self.offset_minutes;
        let day = minute.div_euclid(MINUTES_PER_DAY);
        // Day 0 was a Thursday, three days after a Monday.
        let of_week = (minute + 3 * MINUTES_PER_DAY).rem_euclid(MINUTES_PER_WEEK);
        LocalMinute { day, minute_of_week: of_week as usize }
    }

    /// The instant at which the local day starts; exact unless the offset changes at that midnight.
    pub(super) fn start_of_day(&self, day: i64) -> i64 {
        let as_if_utc = day * MINUTES_PER_DAY * MINUTE_MILLIS;
        let guess = as_if_utc - self.offset_minutes_at(as_if_utc) * MINUTE_MILLIS;
        as_if_utc - self.offset_minutes_at(guess) * MINUTE_MILLIS
    }

    /// Instants outside jiff's range (years -9999 to 9999) are read at offset 0.
    fn offset_minutes_at(&self, millis: i64) -> i64 {
        Timestamp::from_millisecond(millis)
            .map_or(0, |instant| i64::from(self.zone.to_offset(instant).seconds()) / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (day, weekday from Monday = 0, hour) in `zone`.
    fn local(zone: &str, utc: &str) -> (i64, usize, usize) {
        let millis = utc.parse::<Timestamp>().unwrap().as_millisecond();
        let minute = LocalClock::new(zone).at(millis);
        (minute.day, minute.minute_of_week / 1440, minute.minute_of_week % 1440 / 60)
    }

    #[test]
    fn daylight_saving_moves_the_local_hour() {
        let berlin = "Europe/Berlin";
        assert_eq!(local(berlin, "2026-03-29T00:59:00Z"), (20_541, 6, 1));
        assert_eq!(local(berlin, "2026-03-29T01:00:00Z"), (20_541, 6, 3));
        assert_eq!(local("America/New_York", "2026-03-02T04:30:00Z"), (20_513, 6, 23));
        assert_eq!(local("Asia/Tokyo", "2026-03-01T15:00:00Z"), (20_514, 0, 0));
        assert_eq!(local("America/New_York", "1969-12-31T23:00:00Z"), (-1, 2, 18));
    }

    #[test]
    fn start_of_day_is_local_midnight() {
        for (_, zone, _) in crate::shop::COUNTRIES {
            let mut clock = LocalClock::new(zone);
            for day in 20_500..20_900 {
                let start = clock.start_of_day(day);
                let minute = clock.at(start);
                assert_eq!((minute.day, minute.minute_of_week % 1440), (day, 0), "{zone} {day}");
            }
        }
    }
}
