//! Paths with times in them: `orders/{{yyyyMMdd}}/{{HHmm}}/`.

use std::fmt::Write;

use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// The longest day of a zone, and the longest month.
const DAY: i64 = 25 * HOUR;
const MONTH: i64 = 31 * 24 * HOUR + HOUR;

/// A path with `yyyy`, `MM`, `dd`, `HH` and `mm` in double braces.
#[derive(Clone, Debug)]
pub struct PathTemplate {
    parts: Vec<Part>,
    zone: TimeZone,
    /// From one folder to the next, where minutes are named; else an hour.
    step_millis: i64,
    width_millis: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Year,
    Month,
    Day,
    Hour,
    Minute,
}

/// One rendered path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The time that its name says.
    pub start_millis: i64,
    /// What the keys of its objects begin with.
    pub prefix: String,
}

impl PathTemplate {
    /// Reads a template; `None` when the path has no double braces. `step_millis` is the time from one folder to the
    /// next where minutes are named.
    pub fn parse(path: &str, zone: TimeZone, step_millis: i64) -> Result<Option<Self>, String> {
        let mut parts = Vec::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once("{{") {
            let (names, behind) = after.split_once("}}").ok_or("`{{` without `}}`")?;
            parts.push(Part::Text(before.to_owned()));
            read_names(names, &mut parts)?;
            rest = behind;
        }
        if parts.is_empty() {
            return Ok(None);
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        if !parts.contains(&Part::Year) || !parts.contains(&Part::Month) {
            return Err("a path with times needs at least yyyy and MM".to_owned());
        }
        let width_millis = match (parts.contains(&Part::Minute), parts.contains(&Part::Hour)) {
            (true, _) => step_millis,
            (_, true) => HOUR,
            _ if parts.contains(&Part::Day) => DAY,
            _ => MONTH,
        };
        let step_millis = if parts.contains(&Part::Minute) { step_millis } else { HOUR };
        Ok(Some(Self { parts, zone, step_millis, width_millis }))
    }

    /// How much time one folder covers, at most.
    pub fn width_millis(&self) -> i64 {
        self.width_millis
    }

    /// Whether an object of this key may lie in one of the folders.
    pub fn may_hold(&self, key: &str) -> bool {
        match self.parts.first() {
            Some(Part::Text(text)) => key.starts_with(text.as_str()),
            _ => true,
        }
    }

    /// The folders that begin up to `to_millis` and may hold times after `from_millis`, in their order.
    pub fn folders(&self, from_millis: i64, to_millis: i64) -> impl Iterator<Item = Folder> {
        let mut at = self.begin(from_millis - self.width_millis);
        let first = self.render(at);
        while self.render(at - self.step_millis) == first {
            at -= self.step_millis;
        }
        let mut last = String::new();
        std::iter::from_fn(move || {
            while at <= to_millis {
                let folder = Folder { start_millis: at, prefix: self.render(at) };
                // Civil time begins anew with the offset.
                at = self.begin(at + self.step_millis).max(at + MINUTE);
                if folder.prefix == last {
                    continue;
                }
                last.clone_from(&folder.prefix);
                if folder.start_millis + self.width_millis > from_millis {
                    return Some(folder);
                }
            }
            None
        })
    }

    /// Where the step that holds this time begins, on the clocks of the zone.
    fn begin(&self, millis: i64) -> i64 {
        let offset = i64::from(self.offset(millis).seconds()) * 1_000;
        (millis + offset).div_euclid(self.step_millis) * self.step_millis - offset
    }

    fn offset(&self, millis: i64) -> Offset {
        self.zone.to_offset(timestamp(millis))
    }

    fn render(&self, millis: i64) -> String {
        let time = timestamp(millis).to_zoned(self.zone.clone());
        let mut path = String::new();
        for part in &self.parts {
            let written = match part {
                Part::Text(text) => path.write_str(text),
                Part::Year => write!(path, "{:04}", time.year()),
                Part::Month => write!(path, "{:02}", time.month()),
                Part::Day => write!(path, "{:02}", time.day()),
                Part::Hour => write!(path, "{:02}", time.hour()),
                Part::Minute => write!(path, "{:02}", time.minute()),
            };
            written.expect("writing to memory cannot fail");
        }
        path
    }
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn read_names(names: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    let known = [
        ("yyyy", Part::Year),
        ("MM", Part::Month),
        ("dd", Part::Day),
        ("HH", Part::Hour),
        ("mm", Part::Minute),
    ];
    let mut rest = names;
    while let Some(first) = rest.chars().next() {
        if let Some((name, part)) = known.iter().find(|(name, _)| rest.starts_with(name)) {
            parts.push(part.clone());
            rest = &rest[name.len()..];
        } else if first.is_ascii_alphanumeric() {
            return Err(format!("`{{{{{names}}}}}`; expected yyyy, MM, dd, HH, mm and signs between them"));
        } else {
            parts.push(Part::Text(first.to_string()));
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(path: &str, zone: &str, step: i64) -> PathTemplate {
        PathTemplate::parse(path, TimeZone::get(zone).unwrap(), step).unwrap().unwrap()
    }

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn prefixes(template: &PathTemplate, from: &str, to: &str) -> Vec<String> {
        template.folders(millis(from), millis(to)).map(|folder| folder.prefix).collect()
    }

    #[test]
    fn folders_follow_each_other() {
        let hourly = template("shop/{{yyyyMMdd}}/{{HHmm}}/", "UTC", HOUR);
        assert_eq!(
            prefixes(&hourly, "2026-02-28T22:30:00Z", "2026-03-01T00:10:00Z"),
            ["shop/20260228/2200/", "shop/20260228/2300/", "shop/20260301/0000/"]
        );
        let fine = template("{{yyyy-MM-dd}}/{{HH}}-{{mm}}", "Asia/Kolkata", 10 * MINUTE);
        assert_eq!(
            prefixes(&fine, "2026-03-01T00:00:00Z", "2026-03-01T00:10:00Z"),
            ["2026-03-01/05-30", "2026-03-01/05-40"]
        );
        let daily = template("dt={{yyyy-MM-dd}}/", "Europe/Berlin", HOUR);
        assert_eq!(
            prefixes(&daily, "2026-03-28T12:00:00Z", "2026-03-30T01:00:00Z"),
            ["dt=2026-03-28/", "dt=2026-03-29/", "dt=2026-03-30/"],
            "over the change of clocks"
        );
        assert_eq!(daily.width_millis(), DAY);
    }

    #[test]
    fn what_is_no_template_is_told_from_a_wrong_one() {
        let parse = |path: &str| PathTemplate::parse(path, TimeZone::UTC, HOUR);
        assert!(parse("plain/path").unwrap().is_none());
        for (path, complaint) in
            [("{{yyyy}", "without"), ("{{HHmm}}", "at least yyyy and MM"), ("{{yyyyMMDD}}", "expected yyyy")]
        {
            let error = parse(path).unwrap_err();
            assert!(error.contains(complaint), "{path}: {error}");
        }
    }
}
