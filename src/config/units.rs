//! Durations such as `5m`, sizes such as `1MiB`, budgets such as `1 per week`.

use super::Problem;

/// Milliseconds of `90s`, `5m`, `1h`, `14d`, `2w` or `250ms`.
pub(super) fn duration_millis(path: &str, text: &str) -> Result<i64, Problem> {
    let units =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    scaled(text, &units).ok_or_else(|| {
        Problem::new(
            path,
            format!("`{text}` is no duration; expected a whole number with ms, s, m, h, d or w"),
        )
    })
}

/// Bytes of `65536B`, `64KiB` or `1MiB`.
pub(super) fn size_bytes(path: &str, text: &str) -> Result<usize, Problem> {
    scaled(text, &[("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)])
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| {
            Problem::new(path, format!("`{text}` is no size; expected a whole number with B, KiB or MiB"))
        })
}

/// False alarms per week of `1 per week`, `2 per day` or `1 per month`.
pub(super) fn budget_per_week(path: &str, text: &str) -> Result<f64, Problem> {
    let parse = || {
        let (count, period) = text.split_once(" per ")?;
        let weeks = match period.trim() {
            "day" => 1.0 / 7.0,
            "week" => 1.0,
            "month" => 365.25 / 12.0 / 7.0,
            _ => return None,
        };
        let count: f64 = count.trim().parse().ok()?;
        (count > 0.0 && count.is_finite()).then_some(count / weeks)
    };
    parse().ok_or_else(|| {
        Problem::new(
            path,
            format!("`{text}` is no budget; expected for example `1 per week` (or day, or month)"),
        )
    })
}

fn scaled(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let (unit, scale) =
        units.iter().filter(|(unit, _)| text.ends_with(unit)).max_by_key(|(unit, _)| unit.len())?;
    let number: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
    number.checked_mul(*scale).filter(|scaled| *scaled >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_others_refused() {
        assert_eq!(duration_millis("x", "250ms"), Ok(250));
        assert_eq!(duration_millis("x", "5m"), Ok(300_000));
        assert_eq!(duration_millis("x", "2w"), Ok(1_209_600_000));
        assert_eq!(size_bytes("x", "64KiB"), Ok(65_536));
        assert_eq!(size_bytes("x", "10B"), Ok(10));
        assert_eq!(budget_per_week("x", "2 per day"), Ok(14.0));
        for bad in ["5", "m", "-5m", "5 minutes", "1.5h", "99999999999999999w"] {
            assert!(duration_millis("x", bad).is_err(), "{bad}");
        }
        assert!(budget_per_week("x", "0 per week").is_err());
        assert!(size_bytes("x", "5MB").is_err());
    }
}
