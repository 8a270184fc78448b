//! What is built in: public holidays of ten countries, and the days of retail.
//!
//! Public holidays are data (`holidays.txt`, see `scripts/public_holidays.py`), because moving feasts such as Diwali
//! or the equinoxes follow no rule that fits here. They cover 2015 to 2040. The days of retail are rules.

use jiff::{
    ToSpan,
    civil::{Date, Weekday, date},
};

use super::{Clock, Entry, EntryKind, Origin, Scope, Span, class_of, recurrence::wall_seconds};

const DATA: &str = include_str!("holidays.txt");
const YEARS: std::ops::RangeInclusive<i16> = 2015..=2040;
const DAY_SECONDS: i64 = 86_400;

/// A country whose public holidays are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Country(&'static str);

/// The holidays of a country are not built in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no country with built-in holidays; there are: {known}", known = Country::ALL.join(", "))]
pub struct UnknownCountry(String);

impl Country {
    /// ISO 3166 codes of the countries that are built in.
    pub const ALL: [&str; 10] = ["US", "GB", "DE", "FR", "IT", "ES", "BR", "IN", "CN", "JP"];

    /// The country of a code, in capitals or not; `UK` is read as GB.
    pub fn parse(code: &str) -> Result<Self, UnknownCountry> {
        let wanted = if code.eq_ignore_ascii_case("UK") { "GB" } else { code };
        Self::ALL
            .iter()
            .find(|known| known.eq_ignore_ascii_case(wanted))
            .map(|known| Self(known))
            .ok_or_else(|| UnknownCountry(code.to_owned()))
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        self.0
    }
}

/// The public holidays of a country, each with the days before and after that are special too.
pub fn public_holidays(country: Country, scope: &Scope, before: u8, after: u8) -> Vec<(Entry, Vec<Span>)> {
    let mut found = Vec::new();
    for line in DATA.lines().filter(|line| !line.starts_with('#')) {
        let mut cells = line.split('\t');
        let (Some(code), Some(name), Some(days)) = (cells.next(), cells.next(), cells.next()) else {
            continue;
        };
        if code != country.0 {
            continue;
        }
        let days: Vec<Date> = days.split(' ').filter_map(day).collect();
        for offset in -i64::from(before)..=i64::from(after) {
            let spans: Vec<Span> = days.iter().filter_map(|day| whole_day(*day, offset)).collect();
            let name = with_offset(name, offset);
            let class = class_of(&format!("holiday/{code}/{name}"));
            found.push((offset, entry(&name, class, Origin::Public, scope), spans));
        }
    }
    // Days around a holiday give way to holidays: the later entry counts where scopes and origins agree.
    found.sort_by_key(|(offset, ..)| *offset == 0);
    found.into_iter().map(|(_, entry, spans)| (entry, spans)).collect()
}

/// Black Friday to Cyber Monday, Singles' Day, Christmas and Easter with the days around them.
pub fn retail_days() -> Vec<(Entry, Vec<Span>)> {
    type Rule = fn(i16) -> Option<Date>;
    let rules: [(&str, Rule, i64); 13] = [
        ("Black Friday", black_friday, 0),
        ("Black Friday Saturday", black_friday, 1),
        ("Black Friday Sunday", black_friday, 2),
        ("Cyber Monday", black_friday, 3),
        ("Singles' Day", |year| Date::new(year, 11, 11).ok(), 0),
        ("Christmas Eve", christmas, -1),
        ("Christmas Day", christmas, 0),
        ("Boxing Day", christmas, 1),
        ("Good Friday", easter, -2),
        ("Easter Saturday", easter, -1),
        ("Easter Sunday", easter, 0),
        ("Easter Monday", easter, 1),
        ("New Year's Eve", christmas, 6),
    ];
    let spans =
        |rule: Rule, offset| YEARS.filter_map(rule).filter_map(|day| whole_day(day, offset)).collect();
    rules
        .into_iter()
        .map(|(name, rule, offset)| {
            let class = class_of(&format!("retail/{name}"));
            (entry(name, class, Origin::Retail, &Scope::default()), spans(rule, offset))
        })
        .collect()
}

fn entry(name: &str, class: u64, origin: Origin, scope: &Scope) -> Entry {
    let kind = EntryKind::Holiday;
    Entry { name: name.into(), class, kind, origin, scope: scope.clone(), uplift: None }
}

/// `Christmas Day`, `Christmas Day (1 before)`, `Christmas Day (2 after)`.
fn with_offset(name: &str, offset: i64) -> String {
    match offset {
        0 => name.to_owned(),
        _ if offset < 0 => format!("{name} ({} before)", -offset),
        _ => format!("{name} ({offset} after)"),
    }
}

fn whole_day(day: Date, offset: i64) -> Option<Span> {
    let from = wall_seconds(day.checked_add(offset.days()).ok()?.at(0, 0, 0, 0));
    Some(Span { clock: Clock::Wall, from, to: from + DAY_SECONDS })
}

/// `yymmdd` in this century.
fn day(text: &str) -> Option<Date> {
    let number: i32 = text.parse().ok()?;
    let part = |value: i32| i8::try_from(value % 100).ok();
    Date::new(2000 + i16::from(part(number / 10_000)?), part(number / 100)?, part(number)?).ok()
}

fn christmas(year: i16) -> Option<Date> {
    Date::new(year, 12, 25).ok()
}

/// The day after the fourth Thursday of November.
fn black_friday(year: i16) -> Option<Date> {
    let thursday = date(year, 11, 1).nth_weekday_of_month(4, Weekday::Thursday).ok()?;
    thursday.checked_add(1.day()).ok()
}

/// Easter Sunday of the Gregorian calendar (Meeus, Jones and Butcher).
fn easter(year: i16) -> Option<Date> {
    let year_number = i32::from(year);
    let (a, b, c) = (year_number % 19, year_number / 100, year_number % 100);
    let (d, e, g) = (b / 4, b % 4, (b - (b + 8) / 25 + 1) / 3);
    let h = (19 * a + b - d - g + 15) % 30;
    let l = (32 + 2 * e + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let sum = h + l - 7 * m + 114;
    Date::new(year, i8::try_from(sum / 31).ok()?, i8::try_from(sum % 31 + 1).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_days_are_where_they_were() {
        assert_eq!(easter(2024), Some(date(2024, 3, 31)));
        assert_eq!(easter(2026), Some(date(2026, 4, 5)));
        assert_eq!(easter(2038), Some(date(2038, 4, 25)));
        assert_eq!(black_friday(2019), Some(date(2019, 11, 29)));
        assert_eq!(black_friday(2024), Some(date(2024, 11, 29)));
        assert_eq!(black_friday(2026), Some(date(2026, 11, 27)));
    }

    #[test]
    fn every_country_has_its_holidays_in_every_year() {
        let starts = |code: &str, name: &str| -> Vec<i64> {
            let country = Country::parse(code).unwrap();
            let all = public_holidays(country, &Scope::default(), 0, 0);
            assert!(all.len() >= 8, "{code}: {}", all.len());
            let found = all.iter().find(|(entry, _)| &*entry.name == name);
            found.unwrap_or_else(|| panic!("{code} has {name}")).1.iter().map(|span| span.from).collect()
        };
        let on = |year, month, day| wall_seconds(date(year, month, day).at(0, 0, 0, 0));
        assert!(starts("us", "Thanksgiving Day").contains(&on(2026, 11, 26)));
        assert!(starts("UK", "Late Summer Bank Holiday").contains(&on(2026, 8, 31)));
        assert!(starts("IN", "Diwali").contains(&on(2024, 10, 31)));
        assert!(starts("CN", "Chinese New Year (Spring Festival)").contains(&on(2025, 1, 29)));
        assert!(starts("JP", "Vernal Equinox Day").contains(&on(2026, 3, 20)));
        for code in ["DE", "FR", "IT", "BR"] {
            let first = public_holidays(Country::parse(code).unwrap(), &Scope::default(), 0, 0);
            assert!(first.iter().any(|(_, spans)| spans.len() == 26), "{code}");
        }
        assert!(Country::parse("ES").is_ok());
        let unknown = Country::parse("AT").unwrap_err().to_string();
        assert!(
            unknown.starts_with("`AT` is no country with built-in holidays; there are: US, GB"),
            "{unknown}"
        );
    }

    #[test]
    fn days_around_a_holiday_are_occasions_of_their_own_and_come_first_in_the_list() {
        let all = public_holidays(Country::parse("DE").unwrap(), &Scope::default(), 1, 0);
        let position = |name: &str| all.iter().position(|(entry, _)| &*entry.name == name).unwrap();
        assert!(position("Second Day of Christmas (1 before)") < position("Christmas Day"));
        assert_ne!(all[0].0.class, all[1].0.class);
    }
}
