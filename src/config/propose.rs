//! From a sample of somebody's data to a configuration that is worth starting with.
//!
//! Everything is a guess by names and values, and the text says so beside each line. Nothing here decides
//! anything for a running monitor.

use std::{collections::BTreeMap, fmt::Write};

use jiff::tz::TimeZone;

use crate::record::{Field, Sample, SampleForm, TimestampFormat};

/// Values of a column that may be a dimension.
const DIMENSION_VALUES: std::ops::RangeInclusive<usize> = 2..=60;
/// Dimensions proposed.
const DIMENSIONS: usize = 3;
/// Number columns of a ready-made series from which on they are taken for one measure of many series.
const WIDE_FROM: usize = 9;
/// Kinds of events that get a count of their own.
const KINDS: usize = 6;
/// Events wanted in a window of the whole: fewer say little.
const EVENTS_PER_WINDOW: f64 = 50.0;
/// Share of the distances between times that must be multiples of one step in a ready-made series.
const REGULAR: f64 = 0.95;

/// Names by which people call things, best first.
const TIMES: [&str; 9] =
    ["event_time", "timestamp", "time", "ts", "date", "datetime", "created_at", "created", "at"];
const TYPES: [&str; 5] = ["type", "event", "event_type", "event_name", "action"];
const PLACES: [&str; 9] =
    ["country", "device", "platform", "channel", "region", "page", "store", "site", "category"];
const PEOPLE: [&str; 6] = ["visitor", "user", "session", "customer", "client", "order"];
/// Those of which a sum over slices makes sense, whatever their values.
const ADDED: [&str; 5] = ["revenue", "total", "amount", "sales", "turnover"];
const MONEY: [&str; 7] = ["revenue", "total", "amount", "price", "value", "sales", "turnover"];

/// What was recognised in a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The column of the time.
    pub timestamp: String,
    /// Whether its times name their zone.
    pub has_zone: bool,
    /// One row per time and slice at regular steps, instead of events.
    pub is_series: bool,
    /// Of a ready-made series: each column is a series, all of one measure.
    pub is_wide: bool,
    /// Width of a window.
    pub interval_seconds: i64,
    /// Columns to slice by.
    pub dimensions: Vec<String>,
    /// Name and settings of each measure, in TOML.
    pub measures: Vec<(String, String)>,
    /// Rows a minute, over the sample.
    pub rows_per_minute: f64,
    /// First and last time, milliseconds since the Unix epoch.
    pub span_millis: (i64, i64),
    form: SampleForm,
}

/// Recognises what it can; the error says what is missing.
pub fn propose(sample: &Sample) -> Result<Proposal, String> {
    let columns: Vec<Column> = (0..sample.columns.len()).map(|index| Column::of(sample, index)).collect();
    let time = time_column(&columns).ok_or_else(|| {
        let names = sample.columns.join(", ");
        format!("no column holds times that can be read; there are: {names}")
    })?;
    let mut times: Vec<i64> = sample.values(time.index).filter_map(instant_millis).collect();
    times.sort_unstable();
    let span_millis = (times[0], times[times.len() - 1]);
    let minutes = ((span_millis.1 - span_millis.0) as f64 / 60_000.0).max(1.0 / 60.0);
    let rows_per_minute = sample.rows.len() as f64 / minutes;
    let kind = kind_column(&columns);
    let mut dimensions = dimensions(&columns, &time, kind.as_ref());
    let step = regular_step(&times).filter(|_| kind.is_none());
    let numbers = series_columns(&columns, &time, &dimensions);
    let is_wide = step.is_some() && numbers.len() >= WIDE_FROM && sample.form != SampleForm::Json;
    let measures = match step {
        Some(_) if is_wide => {
            dimensions.push("series".to_owned());
            let kind = ready_made(&numbers, sample);
            vec![("value".to_owned(), format!("{{ {kind} = \"value\" }}"))]
        }
        Some(_) => numbers.iter().map(|column| series_measure(column, sample)).collect(),
        None => event_measures(&columns, &time, kind.as_ref()),
    };
    if measures.is_empty() {
        return Err("no column holds numbers to watch".to_owned());
    }
    Ok(Proposal {
        timestamp: time.name,
        has_zone: time.zoned,
        is_series: step.is_some(),
        is_wide,
        interval_seconds: step.unwrap_or_else(|| interval_for(rows_per_minute)),
        dimensions,
        measures,
        rows_per_minute,
        span_millis,
        form: sample.form,
    })
}

impl Proposal {
    /// A commented configuration that reads `path`.
    pub fn to_toml(&self, path: &str) -> String {
        let mut text = String::from(
            "# Proposed by `tidewatch inspect`: guesses by names and values. Read it before you rely on it.\n",
        );
        text += &self.file_source("data", path);
        text += "\n";
        text + &self.monitor("shop", "data")
    }

    /// How its rows are written: the value of `format`.
    pub fn format(&self) -> &'static str {
        match self.form {
            SampleForm::Json => "json",
            SampleForm::Csv => "csv",
            SampleForm::Tsv => "tsv",
        }
    }

    /// A file as a source.
    pub fn file_source(&self, name: &str, path: &str) -> String {
        let format = match self.form {
            SampleForm::Json => String::new(),
            SampleForm::Csv | SampleForm::Tsv => format!("format = \"{}\"\n", self.format()),
        };
        let wide = if self.is_wide {
            "wide = true                       # each column is a series of its own\n"
        } else {
            ""
        };
        format!("[sources.{name}]\nkind = \"file\"\npath = {}\n{format}{wide}", quoted(path))
    }

    /// The tables of a monitor over a source.
    pub fn monitor(&self, name: &str, source: &str) -> String {
        let mut text = String::new();
        let mut put = |line: String| writeln!(text, "{line}").expect("writing to a String cannot fail");
        put(format!("[monitors.{name}]\nsource = {}", quoted(source)));
        put(format!("timestamp = {}", quoted(&self.timestamp)));
        let zone = if self.has_zone {
            "seasons follow its clocks"
        } else {
            "the times name none: this one is assumed"
        };
        put(format!("timezone = \"UTC\"                  # the shop's zone: {zone}"));
        put(format!("interval = \"{}\"", self.interval()));
        put("allowed_lateness = \"30s\"".to_owned());
        let named: Vec<String> =
            self.dimensions.iter().map(|path| format!("{} = {}", key(path), quoted(path))).collect();
        if !named.is_empty() {
            put(format!("dimensions = {{ {} }}", named.join(", ")));
        }
        put(format!("\n[monitors.{name}.measures]"));
        for (name, settings) in &self.measures {
            put(format!("{name} = {settings}"));
        }
        put(format!("\n[monitors.{name}.detector]\nkind = \"seasonal\"\nseverity = 70"));
        text
    }

    /// The width of a window as it is written.
    pub fn interval(&self) -> String {
        duration(self.interval_seconds)
    }

    /// The name of a dimension by its column.
    pub fn dimension(path: &str) -> String {
        key(path)
    }
}

/// What the values of a column are like.
#[derive(Clone, Debug)]
struct Column {
    index: usize,
    name: String,
    filled: usize,
    times: usize,
    numbers: usize,
    zoned: bool,
    /// Values and how often; `None` when there are too many.
    values: Option<BTreeMap<String, usize>>,
    distinct_share: f64,
}

impl Column {
    fn of(sample: &Sample, index: usize) -> Self {
        let mut all: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut filled, mut times, mut numbers, mut zoned) = (0, 0, 0, true);
        for value in sample.values(index) {
            filled += 1;
            let number = value.parse::<f64>().is_ok_and(f64::is_finite);
            numbers += usize::from(number);
            times += usize::from(instant_millis(value).is_some());
            zoned &= TimestampFormat::names_zone(value).unwrap_or(true);
            *all.entry(value).or_default() += 1;
        }
        let distinct_share = all.len() as f64 / f64::from(filled.max(1) as u32);
        let few = all.len() <= *DIMENSION_VALUES.end();
        let values = few.then(|| all.into_iter().map(|(value, count)| (value.to_owned(), count)).collect());
        let name = sample.columns[index].clone();
        Self { index, name, filled, times, numbers, zoned, values, distinct_share }
    }

    fn is_number(&self) -> bool {
        self.filled > 0 && self.numbers * 20 >= self.filled * 19
    }

    /// The last part of its path, in lower case.
    fn word(&self) -> String {
        self.name.rsplit('.').next().unwrap_or(&self.name).to_lowercase()
    }

    /// Rank among `names`, equal ones before those that only hold it.
    fn rank(&self, names: &[&str]) -> Option<usize> {
        let word = self.word();
        let equal = names.iter().position(|name| word == *name);
        equal.or_else(|| names.iter().position(|name| word.contains(name)).map(|rank| rank + names.len()))
    }
}

/// An instant between 1990 and 2100, in a form that needs no pattern.
pub fn instant_millis(value: &str) -> Option<i64> {
    let millis = TimestampFormat::Auto.millis(&Field::Text(value.into()), &TimeZone::UTC).ok()?;
    (631_152_000_000..4_102_444_800_000).contains(&millis).then_some(millis)
}

fn time_column(columns: &[Column]) -> Option<Column> {
    let readable =
        columns.iter().filter(|column| column.filled > 0 && column.times * 20 >= column.filled * 19);
    // A plain number is a time only if its name says so.
    let named = readable.filter(|column| !column.is_number() || column.rank(&TIMES).is_some());
    named.min_by_key(|column| (column.rank(&TIMES).unwrap_or(usize::MAX), column.index)).cloned()
}

/// The column that tells page views from purchases.
fn kind_column(columns: &[Column]) -> Option<Column> {
    let exact = |column: &&Column| TYPES.contains(&column.word().as_str()) && column.values.is_some();
    columns.iter().filter(exact).min_by_key(|column| column.rank(&TYPES)).cloned()
}

fn dimensions(columns: &[Column], time: &Column, kind: Option<&Column>) -> Vec<String> {
    let mut found: Vec<&Column> = columns
        .iter()
        .filter(|column| column.index != time.index && kind.is_none_or(|kind| kind.index != column.index))
        .filter(|column| {
            column.values.as_ref().is_some_and(|values| DIMENSION_VALUES.contains(&values.len()))
        })
        .filter(|column| column.rank(&PLACES).is_some() || !column.is_number())
        .collect();
    found.sort_by_key(|column| (column.rank(&PLACES).unwrap_or(usize::MAX), column.index));
    found.into_iter().take(DIMENSIONS).map(|column| column.name.clone()).collect()
}

/// The step of a ready-made series: nearly all distances between its distinct times are multiples of it.
fn regular_step(times: &[i64]) -> Option<i64> {
    let mut distances: Vec<i64> =
        times.windows(2).map(|pair| pair[1] - pair[0]).filter(|distance| *distance > 0).collect();
    if distances.len() < 10 {
        return None;
    }
    let regular = |step: i64, distances: &[i64]| {
        let fits = distances.iter().filter(|distance| *distance % step == 0).count();
        fits as f64 >= REGULAR * distances.len() as f64
    };
    let unsorted = distances.clone();
    distances.sort_unstable();
    let step = distances[distances.len() / 2];
    let seconds = step / 1000;
    let is_width = crate::window::WindowWidth::from_seconds(seconds).is_ok();
    (step % 1000 == 0 && is_width && regular(step, &unsorted)).then_some(seconds)
}

/// The columns of a ready-made series that hold its values.
fn series_columns<'c>(columns: &'c [Column], time: &Column, dimensions: &[String]) -> Vec<&'c Column> {
    let is_value = |column: &&Column| {
        column.is_number() && column.index != time.index && !dimensions.contains(&column.name)
    };
    columns.iter().filter(is_value).filter(|column| column.word() != "label").collect()
}

fn series_measure(column: &Column, sample: &Sample) -> (String, String) {
    let kind = ready_made(&[column], sample);
    (key(&column.name), format!("{{ {kind} = {} }}", quoted(&column.name)))
}

/// Whole numbers without a sign are taken for counts, which add up over slices; others for levels, which do not.
fn ready_made(columns: &[&Column], sample: &Sample) -> &'static str {
    let is_count =
        |value: &str| value.parse::<f64>().map_or(true, |value| value >= 0.0 && value.fract() == 0.0);
    let adds_up = |column: &&Column| {
        ADDED.contains(&column.word().as_str()) || sample.values(column.index).all(is_count)
    };
    if columns.iter().all(adds_up) { "total" } else { "level" }
}

fn event_measures(columns: &[Column], time: &Column, kind: Option<&Column>) -> Vec<(String, String)> {
    let mut measures = Vec::new();
    match kind.and_then(|kind| Some((kind, kind.values.as_ref()?))) {
        Some((kind, values)) => {
            let mut often: Vec<(&String, &usize)> = values.iter().collect();
            often.sort_by_key(|(value, count)| (std::cmp::Reverse(**count), (*value).clone()));
            for (value, _) in often.into_iter().take(KINDS) {
                let only = format!("{} = {}", key(&kind.name), quoted(value));
                measures.push((key(value), format!("{{ count = true, where = {{ {only} }} }}")));
            }
        }
        None => measures.push(("events".to_owned(), "{ count = true }".to_owned())),
    }
    for column in columns.iter().filter(|column| column.index != time.index) {
        let name = key(&column.name);
        if column.is_number() && column.rank(&MONEY).is_some() {
            measures.push((format!("{name}_sum"), format!("{{ sum = {} }}", quoted(&column.name))));
        } else if column.rank(&PEOPLE).is_some() && column.values.is_none() && column.distinct_share > 0.01 {
            measures.push((format!("{name}_distinct"), format!("{{ distinct = {} }}", quoted(&column.name))));
        }
    }
    measures
}

/// The narrowest usual window that holds enough events.
fn interval_for(rows_per_minute: f64) -> i64 {
    let widths = [60, 300, 900, 3600];
    let enough = |width: &i64| rows_per_minute * *width as f64 / 60.0 >= EVENTS_PER_WINDOW;
    widths.into_iter().find(enough).unwrap_or(3600)
}

fn duration(seconds: i64) -> String {
    match seconds {
        _ if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        _ if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// A name that TOML takes without quotes: letters, digits and underscores.
fn key(path: &str) -> String {
    let word = path.rsplit('.').next().unwrap_or(path);
    let plain: String = word
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '_' })
        .collect();
    if plain.trim_matches('_').is_empty() { "value".to_owned() } else { plain }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    fn proposed(text: &str) -> (Proposal, Config) {
        let proposal = propose(&Sample::read(text, 20_000).unwrap()).unwrap();
        let toml = proposal.to_toml("data.csv");
        let config =
            Config::parse(&toml, &Environment::default()).unwrap_or_else(|error| panic!("{error}\n{toml}"));
        (proposal, config)
    }

    #[test]
    fn events_of_a_shop_are_recognised() {
        let line = |second: usize| {
            let kind = ["page_view", "page_view", "add_to_cart", "purchase"][second % 4];
            let country = ["DE", "US", "FR"][second % 3];
            format!(
                "{{\"event_time\":\"2026-03-01T08:{:02}:{:02}.{:03}Z\",\"type\":\"{kind}\",\"geo\":{{\"country\":\"{country}\"}},\
                 \"visitor_id\":\"v{}\",\"order\":{{\"total\":{}}}}}",
                second / 60,
                second % 60,
                second * 37 % 1000,
                second * 7919 % 1009,
                second as f64 * 0.5
            )
        };
        let text: String = (0..600).map(|second| line(second) + "\n").collect();
        let (proposal, _) = proposed(&text);
        assert_eq!(
            (proposal.timestamp.as_str(), proposal.has_zone, proposal.is_series),
            ("event_time", true, false)
        );
        assert_eq!(proposal.dimensions, ["geo.country"]);
        let names: Vec<&str> = proposal.measures.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["page_view", "add_to_cart", "purchase", "total_sum", "visitor_id_distinct"]);
        assert_eq!(proposal.interval_seconds, 60);
    }

    #[test]
    fn a_ready_made_series_keeps_its_step() {
        let row = |hour: usize| {
            format!("2026-03-{:02} {:02}:00,{},{}\n", 1 + hour / 24, hour % 24, hour % 7, hour * 3)
        };
        let text: String =
            std::iter::once("date,visits,sales\n".to_owned()).chain((0..200).map(row)).collect();
        let (proposal, _) = proposed(&text);
        assert_eq!((proposal.is_series, proposal.interval_seconds, proposal.has_zone), (true, 3600, false));
        assert_eq!(proposal.measures.len(), 2);
        assert_eq!(proposal.measures[0], ("visits".to_owned(), "{ total = \"visits\" }".to_owned()));
    }

    #[test]
    fn many_columns_of_numbers_are_one_measure_of_many_series() {
        let names: Vec<String> = (0..12).map(|column| format!("shop {column}")).collect();
        let row = |hour: usize| {
            let cells: Vec<String> = (0..12).map(|column| format!("{}.5", hour * column % 9)).collect();
            format!("2026-03-{:02}T{:02}:00:00Z,{}\n", 1 + hour / 24, hour % 24, cells.join(","))
        };
        let text = format!("at,{}\n{}", names.join(","), (0..50).map(row).collect::<String>());
        let (proposal, config) = proposed(&text);
        assert!(proposal.is_wide && proposal.is_series);
        assert_eq!(proposal.dimensions, ["series"]);
        assert_eq!(proposal.measures, [("value".to_owned(), "{ level = \"value\" }".to_owned())]);
        assert_eq!(config.sources[0].format, crate::record::Format::Wide { delimiter: b',' });
    }

    #[test]
    fn what_is_missing_is_said() {
        let refused = |text: &str| propose(&Sample::read(text, 100).unwrap()).unwrap_err();
        assert_eq!(refused("a,b\n1,2\n"), "no column holds times that can be read; there are: a, b");
    }
}
