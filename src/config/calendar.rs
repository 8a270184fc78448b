//! Calendars: from what is written to a [`Calendar`] and the files that belong to it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
};
use toml::Value;

use super::{
    Config, ConfigError, Problem,
    written::{WrittenCalendar, WrittenEvent, WrittenHolidays, WrittenIcs},
};
use crate::calendar::{
    Calendar, Clock, Country, Entry, EntryKind, IcsDefaults, IcsFile, Origin, Recurrence, SPAN_SECONDS_MAX,
    Scope, Span, class_of, public_holidays, retail_days, wall_seconds,
};

const DAY_SECONDS: i64 = 86_400;
/// Days before or after a holiday that may be special with it.
const AROUND_MAX: u8 = 7;

/// Checks the calendar of a monitor. Its files are read later, by [`Config::read_calendars`].
pub(super) fn check(
    path: &str,
    written: &WrittenCalendar,
    dimensions: &[String],
) -> Result<(Calendar, Vec<IcsFile>), Problem> {
    let mut calendar = Calendar::default();
    if written.retail.unwrap_or(true) {
        calendar.extend(retail_days());
    }
    for (index, holidays) in written.holidays.iter().enumerate() {
        let (country, before, after) = match holidays {
            WrittenHolidays::Country(country) => (country, 0, 0),
            WrittenHolidays::Around(around) => (&around.country, around.before, around.after),
        };
        let path = format!("{path}.holidays[{index}]");
        if before.max(after) > AROUND_MAX {
            let found = before.max(after);
            return Err(Problem::new(path, format!("{found} days around a holiday; at most {AROUND_MAX}")));
        }
        let country = Country::parse(country).map_err(|error| Problem::new(path, error))?;
        let found = public_holidays(country, &Scope::default(), before, after);
        calendar.extend(found);
    }
    by_value(path, written, dimensions, &mut calendar)?;
    for (index, event) in written.events.iter().enumerate() {
        let (entry, spans) = self::event(&format!("{path}.events[{index}]"), event, dimensions)?;
        calendar.add(entry, &spans);
    }
    let files = written.ics.iter().enumerate();
    let files = files.map(|(index, file)| ics(&format!("{path}.ics[{index}]"), file, dimensions));
    Ok((calendar, files.collect::<Result<_, _>>()?))
}

/// Public holidays of the country that a value of a dimension names.
fn by_value(
    path: &str,
    written: &WrittenCalendar,
    dimensions: &[String],
    calendar: &mut Calendar,
) -> Result<(), Problem> {
    let Some(by) = &written.by else {
        return if written.map.is_empty() {
            Ok(())
        } else {
            Err(Problem::new(format!("{path}.map"), "needs `by`, the dimension of its values"))
        };
    };
    let dimension = dimension(&format!("{path}.by"), by, dimensions)?;
    let mut values: BTreeMap<Country, Vec<Box<str>>> = BTreeMap::new();
    for code in Country::ALL {
        let country = Country::parse(code).map_err(|error| Problem::new(path, error))?;
        let spellings = values.entry(country).or_default();
        spellings.extend([code.into(), code.to_lowercase().into()]);
        if code == "GB" {
            spellings.extend(["UK".into(), "uk".into()]);
        }
    }
    for (value, code) in &written.map {
        let country =
            Country::parse(code).map_err(|error| Problem::new(format!("{path}.map.{value}"), error))?;
        // A value that is mapped means what the map says, even if it looks like a code.
        for spellings in values.values_mut() {
            spellings.retain(|known| **known != **value);
        }
        values.entry(country).or_default().push(value.as_str().into());
    }
    for (country, values) in values {
        let scope = Scope::new(vec![(dimension, values)]);
        let found = public_holidays(country, &scope, 0, 0);
        calendar.extend(found);
    }
    Ok(())
}

fn dimension(path: &str, name: &str, dimensions: &[String]) -> Result<usize, Problem> {
    dimensions
        .iter()
        .position(|known| known == name)
        .ok_or_else(|| Problem::new(path, format!("`{name}` is no dimension of this monitor")))
}

/// `{ country = "DE", device = ["mobile", "tablet"] }`.
fn scope(path: &str, written: &BTreeMap<String, Value>, dimensions: &[String]) -> Result<Scope, Problem> {
    let part = |(name, value): (&String, &Value)| {
        let path = format!("{path}.scope.{name}");
        let dimension = dimension(&path, name, dimensions)?;
        let values: Option<Vec<Box<str>>> = match value {
            Value::Array(values) => values.iter().map(|value| value.as_str().map(Into::into)).collect(),
            other => other.as_str().map(|value| vec![value.into()]),
        };
        let values = values.filter(|values| !values.is_empty());
        Ok((dimension, values.ok_or_else(|| Problem::new(path, "expected a value or a list of values"))?))
    };
    written.iter().map(part).collect::<Result<_, _>>().map(Scope::new)
}

fn kind(path: &str, word: &str) -> Result<EntryKind, Problem> {
    let known = EntryKind::WORDS.iter().find(|(known, _)| *known == word);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        Problem::new(
            format!("{path}.kind"),
            format!("`{word}`; expected holiday, promotion, deploy or outage"),
        )
    })
}

fn ics(path: &str, written: &WrittenIcs, dimensions: &[String]) -> Result<IcsFile, Problem> {
    let promotion = EntryKind::Promotion;
    match written {
        WrittenIcs::Path(file) => Ok(IcsFile {
            path: PathBuf::from(file),
            defaults: IcsDefaults { kind: promotion, scope: Scope::default() },
        }),
        WrittenIcs::File(file) => Ok(IcsFile {
            path: PathBuf::from(&file.path),
            defaults: IcsDefaults {
                kind: file.kind.as_deref().map_or(Ok(promotion), |word| kind(path, word))?,
                scope: scope(path, &file.scope, dimensions)?,
            },
        }),
    }
}

fn event(path: &str, written: &WrittenEvent, dimensions: &[String]) -> Result<(Entry, Vec<Span>), Problem> {
    if written.name.trim().is_empty() {
        return Err(Problem::new(format!("{path}.name"), "empty; the name tells which occasion it is"));
    }
    if let Some(uplift) = written.uplift.filter(|uplift| !(*uplift > 0.0 && uplift.is_finite())) {
        return Err(Problem::new(
            format!("{path}.uplift"),
            format!("{uplift}; expected a number above 0, such as 1.8 for 80 % more"),
        ));
    }
    let (clock, from, _) = time(&format!("{path}.from"), &written.from)?;
    let (end_clock, to, whole_day) = time(&format!("{path}.to"), &written.to)?;
    let to = if whole_day { to + DAY_SECONDS } else { to };
    if clock != end_clock {
        return Err(Problem::new(
            format!("{path}.to"),
            "one of `from` and `to` has an offset, the other not",
        ));
    }
    let length = to - from;
    if !(1..=SPAN_SECONDS_MAX).contains(&length) {
        return Err(Problem::new(
            format!("{path}.to"),
            format!("{} is {length} s after `from`; expected 1 s to 366 days", shown(&written.to)),
        ));
    }
    let rule = written.repeat.as_ref().map(|repeat| match repeat.as_str() {
        "daily" | "weekly" | "monthly" | "yearly" => format!("FREQ={}", repeat.to_uppercase()),
        rule => rule.trim_start_matches("RRULE:").to_owned(),
    });
    let recurrence = Recurrence { start: from, rule, ..Recurrence::default() };
    let found = recurrence
        .expand(&jiff::tz::TimeZone::UTC)
        .map_err(|error| Problem::new(format!("{path}.repeat"), error))?;
    let spans = found.starts.iter().map(|from| Span { clock, from: *from, to: from + length });
    let entry = Entry {
        name: written.name.as_str().into(),
        class: class_of(&format!("event/{}", written.name)),
        kind: kind(path, &written.kind)?,
        origin: Origin::Configured,
        scope: scope(path, &written.scope, dimensions)?,
        uplift: written.uplift,
    };
    Ok((entry, spans.collect()))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The clock, the second, and whether it is a whole day.
fn time(path: &str, value: &Value) -> Result<(Clock, i64, bool), Problem> {
    let text = shown(value);
    if let Some(day) = (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten() {
        return Ok((Clock::Wall, wall_seconds(day.at(0, 0, 0, 0)), true));
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok((Clock::Instant, instant.as_second(), false));
    }
    text.parse::<DateTime>().map(|at| (Clock::Wall, wall_seconds(at), false)).map_err(|_| {
        Problem::new(
            path,
            format!(
                "`{text}` is no time; expected 2026-11-27, 2026-11-27T08:00 (the clock of each slice) or \
                 2026-11-27T08:00:00Z"
            ),
        )
    })
}

impl Config {
    /// Reads the calendar files of all monitors. Events that cannot be used are left out and named.
    pub fn read_calendars(&mut self) -> Result<Vec<String>, ConfigError> {
        let mut named = Vec::new();
        for spec in self.sources.iter_mut().flat_map(|source| &mut source.monitors) {
            let Some(spec) = Arc::get_mut(spec) else { continue };
            for (index, file) in spec.calendar_files.clone().into_iter().enumerate() {
                let shown = file.path.display();
                let text = std::fs::read_to_string(&file.path).map_err(|error| {
                    let path = format!("monitors.{}.calendar.ics[{index}]", spec.facts.monitor);
                    ConfigError::Values(vec![Problem::new(
                        path,
                        format!("could not read `{shown}`: {error}"),
                    )])
                })?;
                let problems = spec.import(&file, &text);
                named.extend(problems.iter().map(|problem| format!("`{shown}`, {problem}")));
            }
        }
        Ok(named)
    }
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
