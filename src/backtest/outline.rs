//! The whole of each measure in a few values, for a terminal; and incidents as a table, for spreadsheets.

use serde_json::Value;

use super::{
    Backtest,
    report::{Point, read_slice},
};
use crate::pipeline::StoreError;

/// One measure of the whole, over the time of a backtest.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// The measure.
    pub measure: String,
    /// Mean of each stretch of time; `None` where there is no value.
    pub values: Vec<Option<f64>>,
    /// Whether the severity reached the threshold in that stretch.
    pub marks: Vec<bool>,
}

/// Each measure of the first slice in `stretches` stretches; marked from `severity` on.
pub async fn outlines(found: &Backtest, stretches: usize, severity: f64) -> Result<Vec<Outline>, StoreError> {
    let measures = read_slice(&found.store, &found.facts.monitor, 0, i64::MIN, i64::MAX).await?;
    let outline = |(facts, points): (&crate::anomaly::MeasureFacts, &Vec<Point>)| {
        let stretch = points.len().div_ceil(stretches.max(1)).max(1);
        let parts = points.chunks(stretch);
        Outline {
            measure: facts.name.clone(),
            values: parts.clone().map(mean).collect(),
            marks: parts.map(|part| part.iter().any(|point| f64::from(point.severity) >= severity)).collect(),
        }
    };
    Ok(found.facts.measures.iter().zip(&measures).map(outline).collect())
}

fn mean(points: &[Point]) -> Option<f64> {
    let values: Vec<f64> = points.iter().filter_map(|point| point.actual).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Columns of the table of incidents, and where each lies in the JSON of an incident.
const COLUMNS: [(&str, &str); 18] = [
    ("id", "/id"),
    ("kind", "/kind"),
    ("state", "/state"),
    ("opened_at", "/opened_at"),
    ("closed_at", "/closed_at"),
    ("severity_first", "/severity/first"),
    ("severity_peak", "/severity/peak"),
    ("severity_final", "/severity/final"),
    ("measure", "/measure"),
    ("direction", "/direction"),
    ("slices", "/slices"),
    ("share", "/share"),
    ("expected", "/expected"),
    ("actual", "/actual"),
    ("impact", "/impact/value"),
    ("impact_lower", "/impact/lower"),
    ("impact_upper", "/impact/upper"),
    ("summary", "/summary"),
];

impl Backtest {
    /// The incidents as CSV, one row each; lists and objects are JSON in their cells.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut put = |cells: Vec<String>| writer.write_record(cells).expect("writing to memory cannot fail");
        put(COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect());
        let document = self.to_json();
        for incident in document["incidents"].as_array().into_iter().flatten() {
            put(COLUMNS.iter().map(|(_, pointer)| cell(incident.pointer(pointer))).collect());
        }
        let bytes = writer.into_inner().expect("writing to memory cannot fail");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_without_values_stay_empty() {
        let point = |value: Option<f64>| Point { start_millis: 0, actual: value, band: None, severity: 0.0 };
        assert_eq!(mean(&[point(Some(1.0)), point(None), point(Some(3.0))]), Some(2.0));
        assert_eq!(mean(&[point(None)]), None);
        assert_eq!(cell(Some(&serde_json::json!([{"country": "DE"}]))), "[{\"country\":\"DE\"}]");
        assert_eq!(cell(Some(&Value::Null)), "");
    }
}
