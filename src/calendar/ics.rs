//! Imported calendars: the `VEVENT`s of an iCalendar file (RFC 5545).
//!
//! Reads start, end or duration, zone, `RRULE`, `RDATE`, `EXDATE`, moved instances and cancellations. An event
//! that cannot be used is named with its line and summary, and the others are kept. Times without a zone are
//! those of each slice's wall clock. Zones are looked up by their IANA names; `VTIMEZONE` blocks are not read.

use std::{fmt, path::PathBuf};

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use super::{Clock, Entry, EntryKind, Origin, Recurrence, Scope, Span, class_of, recurrence::wall_seconds};

/// A longer span is a new normal and no occasion.
pub(crate) const SPAN_SECONDS_MAX: i64 = 366 * 86_400;

/// What an event is where the file does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcsDefaults {
    /// Its kind; a category `holiday`, `promotion`, `deploy` or `outage` says otherwise.
    pub kind: EntryKind,
    /// Whom it concerns.
    pub scope: Scope,
}

/// A calendar file that a monitor imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcsFile {
    /// The file.
    pub path: PathBuf,
    /// What its events are where it does not say.
    pub defaults: IcsDefaults,
}

/// Something in a file that could not be used as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcsProblem {
    /// Line at which the event begins.
    pub line: usize,
    /// Its summary; empty if it has none.
    pub summary: String,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for IcsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, event `{}`: {}", self.line, self.summary, self.detail)
    }
}

/// One content line, unfolded.
struct Line {
    number: usize,
    name: String,
    parameters: Vec<(String, String)>,
    value: String,
}

/// A time as written.
#[derive(Clone, Debug, PartialEq)]
struct Time {
    wall: i64,
    whole_day: bool,
    /// `None`: the wall clock of whoever looks.
    zone: Option<TimeZone>,
}

/// One `VEVENT` while it is read.
#[derive(Default)]
struct Draft {
    line: usize,
    uid: String,
    summary: String,
    kind: Option<EntryKind>,
    uplift: Option<f64>,
    start: Option<Time>,
    end: Option<Time>,
    length: Option<i64>,
    rule: Option<String>,
    also: Vec<i64>,
    except: Vec<i64>,
    replaces: Option<i64>,
    cancelled: bool,
    problem: Option<String>,
}

/// The entries of a calendar file, with what could not be used.
pub fn read_ics(text: &str, defaults: &IcsDefaults) -> (Vec<(Entry, Vec<Span>)>, Vec<IcsProblem>) {
    let mut drafts = drafts(text);
    let moved: Vec<(String, i64)> =
        drafts.iter().filter_map(|draft| Some((draft.uid.clone(), draft.replaces?))).collect();
    for draft in drafts.iter_mut().filter(|draft| draft.replaces.is_none()) {
        draft.except.extend(moved.iter().filter(|(uid, _)| *uid == draft.uid).map(|(_, at)| *at));
    }
    let mut entries = Vec::new();
    let mut problems = Vec::new();
    for draft in drafts.into_iter().filter(|draft| !draft.cancelled || draft.problem.is_some()) {
        let problem = |detail| IcsProblem { line: draft.line, summary: draft.summary.clone(), detail };
        match spans(&draft) {
            Ok((found, cut)) => {
                if cut {
                    problems
                        .push(problem("repeats too often; only its first 10,000 times are kept".to_owned()));
                }
                entries.push((entry(&draft, defaults), found));
            }
            Err(detail) => problems.push(problem(detail)),
        }
    }
    (entries, problems)
}

fn entry(draft: &Draft, defaults: &IcsDefaults) -> Entry {
    Entry {
        name: draft.summary.as_str().into(),
        class: class_of(&format!("event/{}", draft.summary)),
        kind: draft.kind.unwrap_or(defaults.kind),
        origin: Origin::Imported,
        scope: defaults.scope.clone(),
        uplift: draft.uplift,
    }
}

fn spans(draft: &Draft) -> Result<(Vec<Span>, bool), String> {
    if let Some(problem) = &draft.problem {
        return Err(problem.clone());
    }
    if draft.summary.is_empty() {
        return Err("has no SUMMARY; its name tells which occasion it is".to_owned());
    }
    let start = draft.start.as_ref().ok_or("has no DTSTART")?;
    let zone = start.zone.clone().unwrap_or(TimeZone::UTC);
    let length = match (&draft.end, draft.length) {
        (Some(end), _) => in_zone(end, start) - start.wall,
        (None, Some(length)) => length,
        (None, None) if start.whole_day => 86_400,
        (None, None) => return Err("has neither DTEND nor DURATION".to_owned()),
    };
    if !(1..=SPAN_SECONDS_MAX).contains(&length) {
        return Err(format!("lasts {length} s; expected 1 s to 366 days"));
    }
    let recurrence = Recurrence {
        start: start.wall,
        rule: draft.rule.clone(),
        also: draft.also.clone(),
        except: draft.except.clone(),
    };
    let found = recurrence.expand(&zone)?;
    let spans = found.starts.iter().map(|from| span(*from, length, start.zone.as_ref())).collect();
    Ok((spans, found.cut))
}

/// A span that starts at a wall-clock time, of a zone or of each slice.
pub(crate) fn span(from: i64, length: i64, zone: Option<&TimeZone>) -> Span {
    let Some(zone) = zone else { return Span { clock: Clock::Wall, from, to: from + length } };
    let from = instant(from, zone);
    Span { clock: Clock::Instant, from, to: from + length }
}

impl Span {
    /// The same as instants, where a wall clock is that of `zone`.
    #[must_use]
    pub fn in_zone(self, zone: &TimeZone) -> Self {
        match self.clock {
            Clock::Instant => self,
            Clock::Wall => {
                Self { clock: Clock::Instant, from: instant(self.from, zone), to: instant(self.to, zone) }
            }
        }
    }
}

fn instant(wall: i64, zone: &TimeZone) -> i64 {
    let civil = Timestamp::from_second(wall).map(|at| TimeZone::UTC.to_datetime(at));
    civil.ok().and_then(|civil| zone.to_timestamp(civil).ok()).map_or(wall, Timestamp::as_second)
}

/// The time on the wall clock that `like` is written in.
fn in_zone(time: &Time, like: &Time) -> i64 {
    match (&time.zone, &like.zone) {
        (Some(own), Some(zone)) if own != zone => Timestamp::from_second(instant(time.wall, own))
            .map_or(time.wall, |at| wall_seconds(zone.to_datetime(at))),
        _ => time.wall,
    }
}

fn drafts(text: &str) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut open: Option<Draft> = None;
    let mut inner = 0;
    for line in lines(text) {
        let block = line.value.trim().to_ascii_uppercase();
        match (line.name.as_str(), block.as_str()) {
            ("BEGIN", "VEVENT") => {
                if let Some(mut cut) = open.replace(Draft { line: line.number, ..Draft::default() }) {
                    cut.problem.get_or_insert_with(|| "has no END:VEVENT".to_owned());
                    drafts.push(cut);
                }
                inner = 0;
            }
            ("END", "VEVENT") => drafts.extend(open.take()),
            ("BEGIN", _) if open.is_some() => inner += 1,
            ("END", _) if open.is_some() => inner -= 1,
            _ => {
                if let Some(draft) = open.as_mut().filter(|_| inner == 0)
                    && let Err(detail) = draft.take(&line)
                {
                    draft.problem.get_or_insert_with(|| format!("line {}: {detail}", line.number));
                }
            }
        }
    }
    if let Some(mut cut) = open {
        cut.problem.get_or_insert_with(|| "has no END:VEVENT".to_owned());
        drafts.push(cut);
    }
    drafts
}

impl Draft {
    fn take(&mut self, line: &Line) -> Result<(), String> {
        let value = line.value.trim();
        match line.name.as_str() {
            "UID" => value.clone_into(&mut self.uid),
            "SUMMARY" => self.summary = unescaped(value),
            "CATEGORIES" => {
                let words = value.split(',').map(|word| word.trim().to_ascii_lowercase());
                let known = |word: String| EntryKind::WORDS.iter().find(|(known, _)| *known == word);
                self.kind = words.filter_map(known).map(|(_, kind)| *kind).next().or(self.kind);
            }
            "STATUS" => self.cancelled = value.eq_ignore_ascii_case("CANCELLED"),
            "X-TIDEWATCH-UPLIFT" => {
                let uplift = value.parse().ok().filter(|uplift: &f64| *uplift > 0.0 && uplift.is_finite());
                self.uplift = Some(uplift.ok_or_else(|| format!("`{value}` is no number above 0"))?);
            }
            "DTSTART" => self.start = Some(time(line, value)?),
            "DTEND" => self.end = Some(time(line, value)?),
            "DURATION" => {
                let length = value.parse::<SignedDuration>();
                self.length =
                    Some(length.map_err(|_| format!("DURATION `{value}` cannot be read"))?.as_secs());
            }
            "RRULE" if self.rule.is_some() => return Err("a second RRULE".to_owned()),
            "RRULE" => self.rule = Some(value.to_owned()),
            "RDATE" => self.also.extend(self.times(line)?),
            "EXDATE" => self.except.extend(self.times(line)?),
            "RECURRENCE-ID" => self.replaces = self.times(line)?.first().copied(),
            _ => {}
        }
        Ok(())
    }

    /// A list of times, on the wall clock of the start.
    fn times(&self, line: &Line) -> Result<Vec<i64>, String> {
        line.value
            .split(',')
            .map(|value| {
                let found = time(line, value.split('/').next().unwrap_or(value).trim())?;
                Ok(self.start.as_ref().map_or(found.wall, |start| in_zone(&found, start)))
            })
            .collect()
    }
}

fn time(line: &Line, value: &str) -> Result<Time, String> {
    let wrong = || format!("{} `{value}` is no date or time", line.name);
    if value.len() == 8 {
        let day = Date::strptime("%Y%m%d", value).map_err(|_| wrong())?;
        return Ok(Time { wall: wall_seconds(day.at(0, 0, 0, 0)), whole_day: true, zone: None });
    }
    let (text, is_utc) = value.strip_suffix('Z').map_or((value, false), |text| (text, true));
    let at = DateTime::strptime("%Y%m%dT%H%M%S", text).map_err(|_| wrong())?;
    let named = line.parameters.iter().find(|(name, _)| name == "TZID").map(|(_, zone)| zone.as_str());
    let zone = match named {
        _ if is_utc => Some(TimeZone::UTC),
        Some(name) => Some(TimeZone::get(name).map_err(|_| format!("TZID `{name}` is no known time zone"))?),
        None => None,
    };
    Ok(Time { wall: wall_seconds(at), whole_day: false, zone })
}

/// Content lines with folded ones joined; each has the number of its first.
fn lines(text: &str) -> Vec<Line> {
    let mut joined: Vec<(usize, std::borrow::Cow<'_, str>)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix([' ', '\t']), joined.last_mut()) {
            (Some(rest), Some((_, last))) => last.to_mut().push_str(rest),
            _ => joined.push((index + 1, line.into())),
        }
    }
    joined.into_iter().filter_map(|(number, line)| content(number, &line)).collect()
}

fn content(number: usize, line: &str) -> Option<Line> {
    let mut quoted = false;
    let colon = line.char_indices().find_map(|(at, letter)| {
        quoted ^= letter == '"';
        (letter == ':' && !quoted).then_some(at)
    })?;
    let mut head = line[..colon].split(';');
    let name = head.next()?.trim().to_ascii_uppercase();
    let parameters = head
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.to_ascii_uppercase(), value.trim_matches('"').to_owned()))
        .collect();
    let value = line[colon + 1..].to_owned();
    Some(Line { number, name, parameters, value })
}

fn unescaped(value: &str) -> String {
    value
        .replace("\\n", " ")
        .replace("\\N", " ")
        .replace("\\,", ",")
        .replace("\\;", ";")
        .replace("\\\\", "\\")
}

#[cfg(test)]
#[path = "ics_tests.rs"]
mod tests;
