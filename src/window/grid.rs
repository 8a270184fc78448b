//! Where windows begin and end: tumbling windows aligned to the civil time of a zone.
//!
//! Windows up to an hour run through clock changes at their own pace, so that the repeated hour of autumn
//! is two windows. Longer ones follow the calendar: a day is a day, be it 23, 24 or 25 hours long.

use jiff::{
    Timestamp,
    civil::{DateTime, Time},
    tz::TimeZone,
};

const HOUR_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;

/// The length of a window: at least 10 seconds, at most a day, and so that windows fill an hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowWidth(i64);

/// The width cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{seconds} s is no window width: from 10 s to 1 day, dividing an hour, or whole hours dividing a day"
)]
pub struct WindowWidthError {
    seconds: i64,
}

impl WindowWidth {
    /// Checks a width in seconds.
    pub fn from_seconds(seconds: i64) -> Result<Self, WindowWidthError> {
        let fits = (10..=HOUR_SECONDS).contains(&seconds) && HOUR_SECONDS % seconds == 0
            || (HOUR_SECONDS..=DAY_SECONDS).contains(&seconds)
                && seconds % HOUR_SECONDS == 0
                && DAY_SECONDS % seconds == 0;
        if fits { Ok(Self(seconds)) } else { Err(WindowWidthError { seconds }) }
    }

    /// The width in seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// The width in milliseconds.
    pub fn millis(self) -> i64 {
        self.0 * 1000
    }
}

/// Maps instants to windows. Windows touch each other and never overlap.
#[derive(Clone, Debug)]
pub struct WindowGrid {
    width: WindowWidth,
    zone: TimeZone,
}

impl WindowGrid {
    /// Windows of this width in this zone.
    pub fn new(width: WindowWidth, zone: TimeZone) -> Self {
        Self { width, zone }
    }

    /// The width of an ordinary window.
    pub fn width(&self) -> WindowWidth {
        self.width
    }

    /// The zone whose civil time the windows follow.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The start of the window that holds `millis`.
    pub fn start_of(&self, millis: i64) -> i64 {
        if self.width.0 > HOUR_SECONDS {
            return self.civil_millis(self.civil_start(millis));
        }
        let offset = offset_millis(&self.zone, millis);
        let start = (millis + offset).div_euclid(self.width.millis()) * self.width.millis() - offset;
        if offset_millis(&self.zone, start) == offset { start } else { self.change_before(millis, start) }
    }

    /// The end of the window that starts at `start`, which is the start of the next one.
    pub fn end_of(&self, start: i64) -> i64 {
        if self.width.0 > HOUR_SECONDS {
            let next = self.civil_start(start).checked_add(jiff::SignedDuration::from_secs(self.width.0));
            return next.map_or(start + self.width.millis(), |next| self.civil_millis(next));
        }
        let offset = offset_millis(&self.zone, start);
        let width = self.width.millis();
        let end = ((start + offset).div_euclid(width) + 1) * width - offset;
        if offset_millis(&self.zone, end - 1) == offset { end } else { self.change_before(end - 1, start) }
    }

    /// Seconds on the wall clock of the grid's zone at `millis`, counted from 1970-01-01T00:00 there.
    pub fn civil_seconds(&self, millis: i64) -> i64 {
        Self::civil_seconds_in(&self.zone, millis)
    }

    /// The same in another zone than the grid's.
    pub fn civil_seconds_in(zone: &TimeZone, millis: i64) -> i64 {
        (millis + offset_millis(zone, millis)).div_euclid(1000)
    }

    fn civil_start(&self, millis: i64) -> DateTime {
        let local = self.zone.to_datetime(timestamp(millis));
        let hour = i64::from(local.hour()) * HOUR_SECONDS / self.width.0 * self.width.0 / HOUR_SECONDS;
        local.date().to_datetime(Time::constant(hour as i8, 0, 0, 0))
    }

    fn civil_millis(&self, local: DateTime) -> i64 {
        self.zone.to_timestamp(local).map_or(0, Timestamp::as_millisecond)
    }

    /// The last clock change at or before `millis`; `fallback` when the zone knows none.
    fn change_before(&self, millis: i64, fallback: i64) -> i64 {
        let next = timestamp(millis + 1);
        self.zone.preceding(next).next().map_or(fallback, |change| change.timestamp().as_millisecond())
    }
}

fn offset_millis(zone: &TimeZone, millis: i64) -> i64 {
    i64::from(zone.to_offset(timestamp(millis)).seconds()) * 1000
}

/// Times beyond jiff's range, which decoding refuses, are held at its ends.
fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(seconds: i64, zone: &str) -> WindowGrid {
        WindowGrid::new(WindowWidth::from_seconds(seconds).unwrap(), TimeZone::get(zone).unwrap())
    }

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn widths_fill_an_hour_or_a_day() {
        for good in [10, 15, 60, 300, 900, 1800, 3600, 7200, 21600, 86400] {
            assert!(WindowWidth::from_seconds(good).is_ok(), "{good}");
        }
        for bad in [0, -60, 5, 7, 420, 2700, 5400, 18000, 172_800] {
            assert!(WindowWidth::from_seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_touch_and_hold_their_instants_through_clock_changes() {
        let zones = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"];
        for zone in zones {
            for width in [10, 300, 3600, 7200, 10800, 86400] {
                let grid = grid(width, zone);
                for around in [
                    "2026-03-08T05:00:00Z",
                    "2026-03-28T22:00:00Z",
                    "2026-04-04T12:00:00Z",
                    "2026-10-24T22:00:00Z",
                    "2026-11-01T03:00:00Z",
                ] {
                    let first = millis(around);
                    let mut start = grid.start_of(first);
                    let step = (grid.width.millis() / 3).max(60_000);
                    let mut instant = first;
                    while instant < first + 8 * 3_600_000 {
                        while grid.end_of(start) <= instant {
                            start = grid.end_of(start);
                        }
                        assert_eq!(grid.start_of(instant), start, "{zone} {width} s at {instant}");
                        assert!(grid.end_of(start) > start);
                        instant += step;
                    }
                }
            }
        }
    }

    #[test]
    fn days_follow_the_calendar_and_hours_their_own_pace() {
        let day = grid(86400, "America/New_York");
        let start = day.start_of(millis("2026-03-08T18:00:00Z"));
        assert_eq!(start, millis("2026-03-08T05:00:00Z"));
        assert_eq!(day.end_of(start) - start, 23 * 3_600_000);
        let hour = grid(3600, "America/New_York");
        assert_eq!(hour.start_of(millis("2026-11-01T05:30:00Z")), millis("2026-11-01T05:00:00Z"));
        assert_eq!(hour.start_of(millis("2026-11-01T06:30:00Z")), millis("2026-11-01T06:00:00Z"));
        assert_eq!(
            hour.civil_seconds(millis("2026-11-01T06:00:00Z")),
            hour.civil_seconds(millis("2026-11-01T05:00:00Z"))
        );
    }

    #[test]
    fn times_before_1970_floor_downwards() {
        assert_eq!(grid(60, "UTC").start_of(-1), -60_000);
    }
}
