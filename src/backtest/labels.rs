//! Labels: spans of time in which something was known to be wrong, from the files in which people keep them.
//!
//! | Form | Comes from |
//! |---|---|
//! | JSON `[{"start", "end", ...}]` | `truth.json` of `tidewatch simulate`, or written by hand |
//! | JSON `{"incidents": [{"opened_at", "until" or "closed_at", ...}]}` | a backtest, or the API: incidents to be found again |
//! | JSON `{"file name": [["start", "end"], ...]}` | the Numenta Anomaly Benchmark |
//! | CSV with `start` and `end` | written by hand |
//! | CSV with `timestamp` and `label` (0 or 1) | labelled series: runs of 1 |

use jiff::tz::TimeZone;
use serde_json::Value;
use tidewatch_datasets::scoring::Span;

use crate::record::{Field, TimestampFormat};

/// One span in which something was wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// First instant, milliseconds since the Unix epoch.
    pub start_millis: i64,
    /// First instant after it.
    pub end_millis: i64,
    /// What people call it: an id, or what the file says of measure, slice and kind.
    pub name: String,
}

impl Label {
    /// For the scorers; known as soon as it begins.
    pub(super) fn span(&self) -> Span {
        let Self { start_millis, end_millis, .. } = *self;
        Span { start_millis, end_millis, known_millis: start_millis, severity: 0.0 }
    }
}

/// A label cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct LabelError {
    place: String,
    detail: String,
}

impl LabelError {
    fn new(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { place: place.into(), detail: detail.into() }
    }
}

/// Reads labels. Times without a zone are in `zone`; a point's label lasts for `interval_millis`.
pub fn read_labels(text: &str, zone: &TimeZone, interval_millis: i64) -> Result<Vec<Label>, LabelError> {
    let mut labels = match text.trim_start().as_bytes().first() {
        Some(b'[' | b'{') => from_json(text, zone)?,
        _ => from_csv(text, zone, interval_millis)?,
    };
    labels.sort_by_key(|label| (label.start_millis, label.end_millis));
    Ok(labels)
}

fn from_json(text: &str, zone: &TimeZone) -> Result<Vec<Label>, LabelError> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| LabelError::new("labels", format!("no valid JSON: {error}")))?;
    match value {
        Value::Array(items) => objects(&items, "label", zone),
        Value::Object(mut object) => match object.remove("incidents") {
            Some(Value::Array(items)) => objects(&items, "incident", zone),
            Some(_) => Err(LabelError::new("incidents", "expected an array")),
            None => windows(&object, zone),
        },
        _ => Err(LabelError::new("labels", "expected an array or an object")),
    }
}

fn objects(items: &[Value], what: &str, zone: &TimeZone) -> Result<Vec<Label>, LabelError> {
    let read = |(index, item): (usize, &Value)| {
        let place = format!("{what} {}", index + 1);
        let time = |names: &[&str]| {
            let found = names.iter().find_map(|name| item.get(name).filter(|value| !value.is_null()));
            let value =
                found.ok_or_else(|| LabelError::new(&place, format!("has no `{}`", names.join("` or `"))))?;
            instant(value, zone).map_err(|detail| LabelError::new(&place, detail))
        };
        let (start, end) = (time(&["start", "opened_at"])?, time(&["end", "until", "closed_at"])?);
        label(&place, start, end, name_of(item))
    };
    items.iter().enumerate().map(read).collect()
}

/// NAB's windows, of all files together.
fn windows(object: &serde_json::Map<String, Value>, zone: &TimeZone) -> Result<Vec<Label>, LabelError> {
    let mut labels = Vec::new();
    for (file, spans) in object {
        let pairs = spans.as_array().ok_or_else(|| LabelError::new(file, "expected an array of windows"))?;
        for (index, pair) in pairs.iter().enumerate() {
            let place = format!("{file}, window {}", index + 1);
            let [start, end] = pair.as_array().map_or(&[][..], Vec::as_slice) else {
                return Err(LabelError::new(place, "expected [start, end]"));
            };
            let time = |value| instant(value, zone).map_err(|detail| LabelError::new(&place, detail));
            labels.push(label(&place, time(start)?, time(end)?, file.clone())?);
        }
    }
    Ok(labels)
}

fn from_csv(text: &str, zone: &TimeZone, interval_millis: i64) -> Result<Vec<Label>, LabelError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let broken = |error: csv::Error| LabelError::new("labels", format!("no valid CSV: {error}"));
    let columns: Vec<String> = reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
    let column = |name: &str| columns.iter().position(|column| column == name);
    let spans = column("start").zip(column("end"));
    let points = column("timestamp").zip(column("label"));
    let (mut labels, mut positive): (Vec<Label>, Vec<(i64, bool)>) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let place = format!("line {}", record.position().map_or(0, csv::Position::line));
        let time = |index: usize| {
            let text = record.get(index).unwrap_or_default();
            TimestampFormat::Auto
                .millis(&Field::Text(text.into()), zone)
                .map_err(|detail| LabelError::new(&place, detail))
        };
        if let Some((start, end)) = spans {
            let name = column("name").and_then(|index| record.get(index)).unwrap_or_default();
            labels.push(label(&place, time(start)?, time(end)?, name.to_owned())?);
        } else if let Some((timestamp, flag)) = points {
            let flag = match record.get(flag).unwrap_or_default().trim() {
                "0" | "0.0" | "" | "false" => false,
                "1" | "1.0" | "true" => true,
                other => return Err(LabelError::new(place, format!("label `{other}` is neither 0 nor 1"))),
            };
            positive.push((time(timestamp)?, flag));
        } else {
            let have = columns.join(", ");
            let detail = format!("expected columns `start,end` or `timestamp,label`; there are: {have}");
            return Err(LabelError::new("labels", detail));
        }
    }
    labels.extend(runs(positive, interval_millis));
    Ok(labels)
}

/// Runs of labelled points, in order of time.
fn runs(mut points: Vec<(i64, bool)>, interval_millis: i64) -> Vec<Label> {
    points.sort_by_key(|(millis, _)| *millis);
    let mut labels: Vec<Label> = Vec::new();
    let mut is_running = false;
    for (millis, flag) in points {
        match labels.last_mut() {
            Some(last) if flag && is_running => last.end_millis = millis + interval_millis,
            _ if flag => labels.push(Label {
                start_millis: millis,
                end_millis: millis + interval_millis,
                name: String::new(),
            }),
            _ => {}
        }
        is_running = flag;
    }
    labels
}

fn label(place: &str, start_millis: i64, end_millis: i64, name: String) -> Result<Label, LabelError> {
    if end_millis < start_millis {
        return Err(LabelError::new(place, "ends before it starts"));
    }
    Ok(Label { start_millis, end_millis: end_millis.max(start_millis + 1), name })
}

fn instant(value: &Value, zone: &TimeZone) -> Result<i64, String> {
    let field = match value {
        Value::String(text) => Field::Text(text.as_str().into()),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Field::Int(whole),
            None => Field::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        other => return Err(format!("`{other}` is not a timestamp")),
    };
    TimestampFormat::Auto.millis(&field, zone)
}

/// The id, or measure, slice and kind.
fn name_of(item: &Value) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    if let Some(name) = text("name").or_else(|| text("id")) {
        return name;
    }
    let slice = item.get("slice").and_then(Value::as_object);
    let values = slice.into_iter().flatten().filter_map(|(_, value)| value.as_str().map(str::to_owned));
    text("kind").into_iter().chain(text("measure")).chain(values).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(i64, i64, String)>, String> {
        let labels = read_labels(text, &TimeZone::UTC, 60_000).map_err(|error| error.to_string())?;
        let seconds = |label: Label| (label.start_millis / 1000, label.end_millis / 1000, label.name);
        Ok(labels.into_iter().map(seconds).collect())
    }

    #[test]
    fn every_form_is_read() {
        let truth = r#"[{"start": "1970-01-01T00:02:00Z", "end": "1970-01-01T00:03:00Z", "kind": "drop",
            "measure": "orders", "slice": {"country": "DE"}, "size": -0.5}]"#;
        assert_eq!(read(truth).unwrap(), [(120, 180, "drop orders DE".to_owned())]);
        let incidents = r#"{"incidents": [{"id": "shop-1", "opened_at": "1970-01-01T00:01:00Z",
            "closed_at": null, "until": "1970-01-01T00:02:00Z"}], "summary": {}}"#;
        assert_eq!(read(incidents).unwrap(), [(60, 120, "shop-1".to_owned())]);
        let nab = r#"{"a.csv": [["1970-01-01 00:00:01.000000", "1970-01-01 00:00:09.000000"]], "b.csv": []}"#;
        assert_eq!(read(nab).unwrap(), [(1, 9, "a.csv".to_owned())]);
        let spans = "start,end,name\n1970-01-01 00:01,1970-01-01 00:02,sale\n";
        assert_eq!(read(spans).unwrap(), [(60, 120, "sale".to_owned())]);
        let points = "timestamp,value,label\n0,5,0\n60,5,1\n120,5,1\n180,5,0\n240,9,1\n";
        let unnamed = |start, end| (start, end, String::new());
        assert_eq!(read(points).unwrap(), [unnamed(60, 180), unnamed(240, 300)]);
    }

    #[test]
    fn mistakes_name_their_place() {
        for (text, message) in [
            ("[1", "labels: no valid JSON: EOF while parsing a list at line 1 column 2"),
            (r#"[{"start": 1}]"#, "label 1: has no `end` or `until` or `closed_at`"),
            (r#"[{"start": 5, "end": 1}]"#, "label 1: ends before it starts"),
            (r#"{"a": [[1]]}"#, "a, window 1: expected [start, end]"),
            ("timestamp,label\n0,2\n", "line 2: label `2` is neither 0 nor 1"),
            ("time\n0\n", "labels: expected columns `start,end` or `timestamp,label`; there are: time"),
            ("start,end\nx,1\n", "line 2: `x` is not a timestamp"),
        ] {
            assert_eq!(read(text).unwrap_err(), message);
        }
    }
}
