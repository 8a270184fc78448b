//! The sentence that comes first: what is off, by how much, where, since when, and what it costs.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};

/// Writes a number with at most `digits` significant digits and thousands separators.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size >= 100.0 || size == size.trunc() => 0,
        _ if size >= 1.0 => 1,
        _ => 3,
    };
    let text = format!("{size:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

/// Says how far `actual` is from `expected`: `38 % below expected`, `3.2 times expected`.
pub(super) fn against_expected(actual: f64, expected: f64) -> String {
    if expected.abs() < 1e-9 {
        return format!("at {} where nothing was expected", number(actual));
    }
    let ratio = actual / expected;
    match ratio {
        _ if actual == 0.0 => "at zero".to_owned(),
        _ if ratio >= 2.0 => format!("{} times expected", number((ratio * 10.0).round() / 10.0)),
        _ if ratio >= 1.0 => format!("{:.0} % above expected", (ratio - 1.0) * 100.0),
        _ if ratio >= 0.0 => format!("{:.0} % below expected", (1.0 - ratio) * 100.0),
        _ => format!("at {}, expected {}", number(actual), number(expected)),
    }
}

/// `in country DE, device mobile and country FR `; nothing for the whole.
pub(super) fn place(slices: &[BTreeMap<String, String>]) -> String {
    let named = |slice: &BTreeMap<String, String>| {
        let values: Vec<String> = slice.iter().map(|(name, value)| format!("{name} {value}")).collect();
        values.join(", ")
    };
    let places: Vec<String> = slices.iter().map(named).filter(|place| !place.is_empty()).collect();
    if places.is_empty() { String::new() } else { format!("in {} ", places.join(" and ")) }
}

/// An amount with its unit, if it has one.
pub(super) fn amount(value: f64, unit: Option<&str>) -> String {
    unit.map_or_else(|| number(value), |unit| format!("{} {unit}", number(value)))
}

/// A time of day in the shop's zone, with the date.
pub(super) fn local_time(millis: i64, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(millis)
        .map(|instant| instant.to_zoned(zone.clone()).strftime("%a %d %b %H:%M").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_for_people() {
        for (value, text) in [
            (1239.87, "1,240"),
            (0.0, "0"),
            (12.34, "12.3"),
            (0.0123, "0.012"),
            (-1_234_567.0, "-1,234,567"),
            (7.0, "7"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn deviations_read_like_speech() {
        for (actual, expected, text) in [
            (62.0, 100.0, "38 % below expected"),
            (120.0, 100.0, "20 % above expected"),
            (320.0, 100.0, "3.2 times expected"),
            (0.0, 40.0, "at zero"),
            (5.0, 0.0, "at 5 where nothing was expected"),
            (-3.0, 10.0, "at -3, expected 10"),
        ] {
            assert_eq!(against_expected(actual, expected), text);
        }
    }
}
