//! Measures and their `where` conditions.

use tidewatch_detectors::Direction;
use toml::Value;

use super::Problem;
use crate::{
    pipeline::Guard,
    record::{Condition, FieldPaths, InputKind, MeasureInput, Predicate, Scalar},
    window::{AggregateKind, MeasureKind},
};

/// A measure as checked.
#[derive(Debug)]
pub(super) struct CheckedMeasure {
    pub(super) name: String,
    pub(super) kind: MeasureKind,
    /// What it takes from events; `None` for ratios.
    pub(super) input: Option<MeasureInput>,
    pub(super) direction: Direction,
    pub(super) unit: Option<String>,
    /// What one unit is worth, and in which currency.
    pub(super) worth: Option<(f64, String)>,
    /// The detector as written, if it has one of its own.
    pub(super) detector: Option<Value>,
    pub(super) guard: Guard,
}

const KINDS: &str = "count, sum, avg, min, max, distinct, ratio, total, level or a quantile such as p95";

/// Checks one measure. `names` are all measures of the monitor in order, `is_ratio` tells which are ratios.
pub(super) fn measure(
    path: &str,
    name: &str,
    table: &toml::Table,
    names: &[(&str, bool)],
    fields: &mut FieldPaths,
) -> Result<CheckedMeasure, Problem> {
    let mut kind = None;
    let mut direction = Direction::Both;
    let mut unit = None;
    let mut worth = None;
    let mut guard = Guard::default();
    let mut bounds = None;
    let mut conditions = Vec::new();
    let mut detector = None;
    for (key, value) in table {
        let key_path = format!("{path}.{key}");
        match key.as_str() {
            "direction" => direction = parse_direction(&key_path, value)?,
            "unit" => unit = Some(text(&key_path, value, "a unit")?.to_owned()),
            "worth" => worth = Some(self::worth(&key_path, value)?),
            "detector" => detector = Some(value.clone()),
            "min_change" => guard.min_change = size(&key_path, value)?,
            "min_change_percent" => guard.min_change_share = size(&key_path, value)? / 100.0,
            "bounds" => bounds = Some(self::bounds(&key_path, value)?),
            "where" => conditions = where_conditions(&key_path, value, fields)?,
            _ => {
                if kind.is_some() {
                    return Err(Problem::new(key_path, "a second kind; a measure has one"));
                }
                kind = Some(measure_kind(&key_path, key, value, names, fields)?);
            }
        }
    }
    let Some((kind, input)) = kind else {
        return Err(Problem::new(path, format!("has no kind; expected {KINDS}")));
    };
    if input.is_none() && !conditions.is_empty() {
        return Err(Problem::new(
            format!("{path}.where"),
            "a ratio takes the conditions of its two measures",
        ));
    }
    let input = input.map(|kind| MeasureInput { kind, conditions });
    let worth = worth
        .or_else(|| unit.clone().filter(|unit| is_currency(unit) && is_sum(kind)).map(|unit| (1.0, unit)));
    guard.bounds = bounds.unwrap_or_else(|| natural_bounds(kind));
    Ok(CheckedMeasure { name: name.to_owned(), kind, input, direction, unit, worth, detector, guard })
}

/// Three capitals, as in ISO 4217.
fn is_currency(unit: &str) -> bool {
    unit.len() == 3 && unit.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn is_sum(kind: MeasureKind) -> bool {
    kind == MeasureKind::Aggregate(AggregateKind::Sum)
}

/// `"39.90 EUR"`.
fn worth(path: &str, value: &Value) -> Result<(f64, String), Problem> {
    let parts = value.as_str().and_then(|text| text.trim().split_once(' '));
    let amount = parts.and_then(|(amount, _)| amount.parse::<f64>().ok()).filter(|it| it.is_finite());
    match (amount, parts.map(|(_, currency)| currency.trim())) {
        (Some(amount), Some(currency)) if is_currency(currency) => Ok((amount, currency.to_owned())),
        _ => Err(Problem::new(
            path,
            format!("`{value}`; expected an amount and a currency, e.g. \"39.90 EUR\""),
        )),
    }
}

/// A count of events is never negative.
fn natural_bounds(kind: MeasureKind) -> (f64, f64) {
    match kind {
        MeasureKind::Aggregate(AggregateKind::Count | AggregateKind::Distinct) => (0.0, f64::INFINITY),
        _ => Guard::default().bounds,
    }
}

fn finite(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64)).filter(|it| it.is_finite())
}

fn size(path: &str, value: &Value) -> Result<f64, Problem> {
    finite(value)
        .filter(|size| *size >= 0.0)
        .ok_or_else(|| Problem::new(path, format!("`{value}`; expected a number from 0 on")))
}

fn bounds(path: &str, value: &Value) -> Result<(f64, f64), Problem> {
    let numbers: Option<Vec<f64>> = value.as_array().and_then(|both| both.iter().map(finite).collect());
    match numbers.as_deref() {
        Some([low, high]) if low < high => Ok((*low, *high)),
        _ => Err(Problem::new(
            path,
            format!("`{value}`; expected the least and the greatest value, e.g. [0, 1]"),
        )),
    }
}

fn measure_kind(
    path: &str,
    key: &str,
    value: &Value,
    names: &[(&str, bool)],
    fields: &mut FieldPaths,
) -> Result<(MeasureKind, Option<InputKind>), Problem> {
    if key == "count" {
        return match value {
            Value::Boolean(true) => {
                Ok((MeasureKind::Aggregate(AggregateKind::Count), Some(InputKind::Event)))
            }
            other => Err(Problem::new(path, format!("`{other}`; expected true"))),
        };
    }
    if key == "ratio" {
        return ratio(path, value, names).map(|kind| (kind, None));
    }
    let aggregate = match key {
        "sum" => AggregateKind::Sum,
        "avg" => AggregateKind::Average,
        "min" => AggregateKind::Min,
        "max" => AggregateKind::Max,
        "distinct" => AggregateKind::Distinct,
        "total" => AggregateKind::Total,
        "level" => AggregateKind::Level,
        _ => AggregateKind::Quantile(quantile(key).ok_or_else(|| {
            let detail = format!(
                "is no key of a measure; expected {KINDS}, where, direction, unit, worth, detector, bounds, min_change or \
                 min_change_percent"
            );
            Problem::new(path, detail)
        })?),
    };
    let field = fields.index(text(path, value, "the path of a field")?);
    let input = match aggregate {
        AggregateKind::Distinct => InputKind::Identity(field),
        _ => InputKind::Number(field),
    };
    Ok((MeasureKind::Aggregate(aggregate), Some(input)))
}

/// `p5`, `p50`, `p95`, `p999`: digits after a decimal point, except that one digit means percent.
fn quantile(key: &str) -> Option<f64> {
    let digits = key.strip_prefix('p').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    match digits.len() {
        1 => digits.parse::<f64>().ok().map(|percent| percent / 100.0),
        2..=4 => format!("0.{digits}").parse().ok(),
        _ => None,
    }
}

fn ratio(path: &str, value: &Value, names: &[(&str, bool)]) -> Result<MeasureKind, Problem> {
    let parts: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let [above, below] = parts[..] else {
        return Err(Problem::new(path, "expected the names of two measures, e.g. [\"orders\", \"views\"]"));
    };
    let index = |name: &str| {
        names
            .iter()
            .position(|(known, is_ratio)| *known == name && !is_ratio)
            .ok_or_else(|| Problem::new(path, format!("`{name}` is no aggregated measure of this monitor")))
    };
    Ok(MeasureKind::Ratio { numerator: index(above)?, denominator: index(below)? })
}

fn parse_direction(path: &str, value: &Value) -> Result<Direction, Problem> {
    match value.as_str() {
        Some("both") => Ok(Direction::Both),
        Some("rise") => Ok(Direction::Rise),
        Some("drop") => Ok(Direction::Drop),
        _ => Err(Problem::new(path, format!("{value}; expected rise, drop or both"))),
    }
}

fn text<'v>(path: &str, value: &'v Value, what: &str) -> Result<&'v str, Problem> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Problem::new(path, format!("expected {what}")))
}

fn where_conditions(path: &str, value: &Value, fields: &mut FieldPaths) -> Result<Vec<Condition>, Problem> {
    let table = value.as_table().ok_or_else(|| Problem::new(path, "expected { field = value, ... }"))?;
    table
        .iter()
        .map(|(field, value)| {
            let predicate = predicate(&format!("{path}.{field}"), value)?;
            Ok(Condition { field: fields.index(field), predicate })
        })
        .collect()
}

fn predicate(path: &str, value: &Value) -> Result<Predicate, Problem> {
    let Value::Table(table) = value else { return Ok(Predicate::OneOf(vec![scalar(path, value)?])) };
    let mut entries = table.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return Err(Problem::new(path, "expected one of in, not, prefix, lt, le, gt, ge, exists"));
    };
    let path = format!("{path}.{key}");
    let number = || match value {
        Value::Integer(number) => Ok(*number as f64),
        Value::Float(number) if number.is_finite() => Ok(*number),
        other => Err(Problem::new(&path, format!("`{other}`; expected a number"))),
    };
    match key.as_str() {
        "in" => {
            let values = value.as_array().ok_or_else(|| Problem::new(&path, "expected a list"))?;
            values.iter().map(|value| scalar(&path, value)).collect::<Result<_, _>>().map(Predicate::OneOf)
        }
        "not" => Ok(Predicate::Not(Box::new(predicate(&path, value)?))),
        "prefix" => Ok(Predicate::Prefix(text(&path, value, "text")?.to_owned())),
        "lt" => number().map(Predicate::Less),
        "le" => number().map(Predicate::LessOrEqual),
        "gt" => number().map(Predicate::Greater),
        "ge" => number().map(Predicate::GreaterOrEqual),
        "exists" => value
            .as_bool()
            .map(Predicate::Exists)
            .ok_or_else(|| Problem::new(&path, "expected true or false")),
        _ => Err(Problem::new(path, "expected one of in, not, prefix, lt, le, gt, ge, exists")),
    }
}

fn scalar(path: &str, value: &Value) -> Result<Scalar, Problem> {
    match value {
        Value::String(text) => Ok(Scalar::Text(text.clone())),
        Value::Integer(number) => Ok(Scalar::Number(*number as f64)),
        Value::Float(number) => Ok(Scalar::Number(*number)),
        Value::Boolean(value) => Ok(Scalar::Bool(*value)),
        other => Err(Problem::new(path, format!("`{other}`; expected text, a number, true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<CheckedMeasure, Problem> {
        let table: toml::Table = toml::from_str(text).unwrap();
        let names = [("conversion", true), ("orders", false), ("views", false)];
        measure("m", "it", &table, &names, &mut FieldPaths::default())
    }

    #[test]
    fn every_kind_and_condition_is_read() {
        assert_eq!(check("sum = \"a\"\nunit = \"EUR\"").unwrap().unit.as_deref(), Some("EUR"));
        let p95 = check("p95 = \"ms\"\ndirection = \"rise\"").unwrap();
        assert_eq!(p95.kind, MeasureKind::Aggregate(AggregateKind::Quantile(0.95)));
        assert_eq!(p95.direction, Direction::Rise);
        let guarded = check("count = true\nmin_change = 10\nmin_change_percent = 5").unwrap().guard;
        assert_eq!(guarded, Guard { min_change: 10.0, min_change_share: 0.05, bounds: (0.0, f64::INFINITY) });
        let ratio = check("ratio = [\"orders\", \"views\"]\nbounds = [0, 1.0]").unwrap();
        assert_eq!(ratio.guard.bounds, (0.0, 1.0));
        assert_eq!(ratio.kind, MeasureKind::Ratio { numerator: 1, denominator: 2 });
        let filtered = check(
            "count = true\nwhere = { a = { in = [\"x\", 1] }, b = { not = { prefix = \"C\" } }, c = { lt = 0 }, \
             d = { exists = true }, e = { not = \"y\" } }",
        )
        .unwrap();
        assert_eq!(filtered.input.unwrap().conditions.len(), 5);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, path, detail) in [
            ("unit = \"x\"", "m", "has no kind"),
            ("count = false", "m.count", "`false`; expected true"),
            ("sums = \"a\"", "m.sums", "is no key of a measure"),
            ("sum = \"a\"\navg = \"a\"", "m.sum", "a second kind"),
            ("ratio = [\"conversion\", \"views\"]", "m.ratio", "`conversion` is no aggregated measure"),
            ("ratio = [\"orders\", \"views\"]\nwhere = { a = 1 }", "m.where", "a ratio takes"),
            ("count = true\nwhere = { a = { like = 1 } }", "m.where.a.like", "expected one of in"),
            ("count = true\nwhere = { a = { lt = \"x\" } }", "m.where.a.lt", "`\"x\"`; expected a number"),
            ("count = true\nmin_change = -1", "m.min_change", "`-1`; expected a number from 0 on"),
            ("count = true\nbounds = [1, 0]", "m.bounds", "`[1, 0]`; expected the least"),
            ("count = true\ndirection = \"up\"", "m.direction", "\"up\"; expected rise"),
        ] {
            let problem = check(text).unwrap_err();
            assert_eq!(problem.path, path, "{text}");
            assert!(problem.detail.starts_with(detail), "{text}: {}", problem.detail);
        }
    }
}
