//! Event times: from a field to milliseconds since the Unix epoch.

use jiff::{Timestamp, civil, fmt::strtime, tz::TimeZone};

use super::Field;

/// How a monitor's timestamps are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TimestampFormat {
    /// Recognised by itself: RFC 3339, `2026-03-01 08:26[:00[.5]]` without a zone, or a number of seconds,
    /// milliseconds or microseconds since the epoch, told apart by size (1e11 and 1e14).
    #[default]
    Auto,
    /// A number of seconds, decimals allowed.
    EpochSeconds,
    /// A number of milliseconds.
    EpochMillis,
    /// A number of microseconds.
    EpochMicros,
    /// A strptime pattern. Without a zone in it the monitor's zone holds.
    Pattern(String),
}

/// The pattern cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a usable timestamp format: {detail}")]
pub struct TimestampFormatError {
    pattern: String,
    detail: String,
}

impl TimestampFormat {
    /// `auto`, `s`, `ms`, `us`, or a strptime pattern that holds at least a date.
    pub fn parse(text: &str) -> Result<Self, TimestampFormatError> {
        match text {
            "auto" => Ok(Self::Auto),
            "s" => Ok(Self::EpochSeconds),
            "ms" => Ok(Self::EpochMillis),
            "us" => Ok(Self::EpochMicros),
            pattern => {
                let refuse = |detail: String| TimestampFormatError { pattern: pattern.to_owned(), detail };
                if !pattern.contains('%') {
                    return Err(refuse(
                        "expected auto, s, ms, us or a strptime pattern such as %d/%m/%Y".into(),
                    ));
                }
                // A pattern proves itself by reading back what it writes.
                let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
                let written = strtime::format(pattern, &sample).map_err(|error| refuse(error.to_string()))?;
                let format = Self::Pattern(pattern.to_owned());
                format
                    .millis(&Field::Text(written.into()), &TimeZone::UTC)
                    .map_err(refuse)
                    .map(|_| format.clone())
            }
        }
    }

    /// Whether a time as text names its zone; `None` for a number, which needs none.
    pub fn names_zone(text: &str) -> Option<bool> {
        let text = text.trim();
        if text.parse::<f64>().is_ok() {
            return None;
        }
        let time = text.rsplit(['T', ' ']).next().unwrap_or(text);
        Some(text.ends_with(['Z', 'z', ']']) || time.len() > 5 && time[1..].contains(['+', '-']))
    }

    /// The instant in milliseconds since the Unix epoch. `zone` is used for times that name none; in a
    /// repeated hour the first is meant, in a skipped one the time after it.
    ///
    /// The error says what was wrong with the value.
    pub fn millis(&self, field: &Field<'_>, zone: &TimeZone) -> Result<i64, String> {
        let refuse = |field: &Field<'_>| {
            let value = field.text().unwrap_or_default();
            format!("`{}` is not a timestamp", value.chars().take(64).collect::<String>())
        };
        match self {
            Self::Auto => match field {
                Field::Text(text) => text_millis(text.trim(), zone).ok_or_else(|| refuse(field)),
                _ => field.number().and_then(epoch_millis).ok_or_else(|| refuse(field)),
            },
            Self::EpochSeconds => scaled(field, 1e3).ok_or_else(|| refuse(field)),
            Self::EpochMillis => scaled(field, 1.0).ok_or_else(|| refuse(field)),
            Self::EpochMicros => scaled(field, 1e-3).ok_or_else(|| refuse(field)),
            Self::Pattern(pattern) => {
                let text = field.text().ok_or_else(|| refuse(field))?;
                pattern_millis(pattern, &text, zone).map_err(|error| format!("{}: {error}", refuse(field)))
            }
        }
    }
}

/// The range in which jiff's civil arithmetic is at home, with room to spare: years 1 to 9000.
const MILLIS_RANGE: std::ops::Range<f64> = -62_135_596_800_000.0..221_845_392_000_000.0;

fn scaled(field: &Field<'_>, to_millis: f64) -> Option<i64> {
    let millis = (field.number()? * to_millis).floor();
    MILLIS_RANGE.contains(&millis).then_some(millis as i64)
}

fn epoch_millis(number: f64) -> Option<i64> {
    let millis = match number.abs() {
        size if size < 1e11 => number * 1e3,
        size if size < 1e14 => number,
        _ => number / 1e3,
    };
    let millis = millis.floor();
    MILLIS_RANGE.contains(&millis).then_some(millis as i64)
}

fn text_millis(text: &str, zone: &TimeZone) -> Option<i64> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.as_millisecond());
    }
    if let Ok(local) = text.parse::<civil::DateTime>() {
        return local_millis(local, zone);
    }
    epoch_millis(text.parse().ok().filter(|number: &f64| number.is_finite())?)
}

fn local_millis(local: civil::DateTime, zone: &TimeZone) -> Option<i64> {
    zone.to_timestamp(local).ok().map(Timestamp::as_millisecond)
}

fn pattern_millis(pattern: &str, text: &str, zone: &TimeZone) -> Result<i64, jiff::Error> {
    let parsed = strtime::parse(pattern, text.trim())?;
    if parsed.offset().is_some() || parsed.iana_time_zone().is_some() || parsed.timestamp().is_some() {
        return Ok(parsed
            .to_zoned()
            .map(|zoned| zoned.timestamp())
            .or_else(|_| parsed.to_timestamp())?
            .as_millisecond());
    }
    let local = parsed.to_datetime().or_else(|_| parsed.to_date().map(civil::Date::to_datetime_midnight))?;
    Ok(zone.to_timestamp(local)?.as_millisecond())
}

trait Midnight {
    fn to_datetime_midnight(self) -> civil::DateTime;
}

impl Midnight for civil::Date {
    fn to_datetime_midnight(self) -> civil::DateTime {
        self.to_datetime(civil::Time::midnight())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &TimestampFormat, field: &Field<'_>) -> Option<i64> {
        format.millis(field, &TimeZone::get("America/New_York").unwrap()).ok()
    }

    fn text(value: &str) -> Field<'_> {
        Field::Text(value.into())
    }

    #[test]
    fn known_forms_are_recognised() {
        let auto = TimestampFormat::Auto;
        let expected = Some(1_772_353_560_000);
        for value in [
            "2026-03-01T08:26:00Z",
            "2026-03-01T09:26:00+01:00",
            "2026-03-01 03:26",
            "2026-03-01T03:26:00",
            "2026-03-01 03:26:00",
            "1772353560",
            "1772353560.0",
        ] {
            assert_eq!(read(&auto, &text(value)), expected, "{value}");
        }
        assert_eq!(read(&auto, &Field::Int(1_772_353_560)), expected);
        assert_eq!(read(&auto, &Field::Int(1_772_353_560_000)), expected);
        assert_eq!(read(&auto, &Field::Int(1_772_353_560_000_000)), expected);
        for value in ["yesterday", "", "2026-13-01 00:00", "inf", "1e300"] {
            assert_eq!(read(&auto, &text(value)), None, "{value}");
        }
    }

    #[test]
    fn patterns_use_their_own_zone_or_the_monitors() {
        let local = TimestampFormat::parse("%d/%m/%Y %H:%M").unwrap();
        assert_eq!(read(&local, &text("01/03/2026 03:26")), Some(1_772_353_560_000));
        let zoned = TimestampFormat::parse("%Y%m%d %H%M%S %z").unwrap();
        assert_eq!(read(&zoned, &text("20260301 092600 +0100")), Some(1_772_353_560_000));
        let day = TimestampFormat::parse("%Y-%m-%d").unwrap();
        assert_eq!(read(&day, &text("2026-03-01")), Some(1_772_341_200_000));
        assert!(TimestampFormat::parse("%H:%M").is_err());
        assert!(TimestampFormat::parse("iso").is_err());
    }

    #[test]
    fn clock_changes_are_settled_not_refused() {
        let auto = TimestampFormat::Auto;
        // 02:30 did not exist on 2026-03-08 in New York; 01:30 came twice on 2026-11-01.
        assert_eq!(read(&auto, &text("2026-03-08 02:30")), read(&auto, &text("2026-03-08T07:30:00Z")));
        assert_eq!(read(&auto, &text("2026-11-01 01:30")), read(&auto, &text("2026-11-01T05:30:00Z")));
    }

    #[test]
    fn fixed_units_mean_what_they_say() {
        assert_eq!(read(&TimestampFormat::EpochSeconds, &Field::Float(1.5)), Some(1500));
        assert_eq!(read(&TimestampFormat::EpochMillis, &Field::Int(-1)), Some(-1));
        assert_eq!(read(&TimestampFormat::EpochMicros, &text("1500000")), Some(1500));
    }
}
