//! Monitors: from what is written to a [`MonitorSpec`].

use std::{collections::BTreeMap, sync::Arc};

use jiff::tz::TimeZone;
use tidewatch_detectors::{DetectorConfig, ValueKind};

use super::{
    Problem, calendar,
    detector::{self, Judged},
    measure,
    measure::CheckedMeasure,
    rules::rules,
    units::{budget_per_week, duration_millis, size_bytes},
    written::{WrittenDetector, WrittenMonitor, WrittenZones},
};
use crate::{
    anomaly::{MeasureFacts, MeasureShape, MonitorFacts, Threshold},
    pipeline::{Judging, MonitorSpec, RelationSpec, SliceZones},
    record::{FieldPaths, Mapping, TimestampFormat},
    window::{AggregateKind, Measure, MeasureKind, WindowGrid, WindowSpec, WindowWidth},
};

/// A mean or quantile of fewer numbers than this says nothing about the shop.
const MIN_NUMBERS: f64 = 10.0;
/// Nor does a ratio over a smaller denominator, or with less above the line than `MIN_NUMBERS`.
const MIN_DENOMINATOR: f64 = 30.0;
/// A ratio of counts needs only so many expected above the line.
const MIN_EXPECTED: f64 = 1.0;
/// A count with fewer events per day in the mean is too thin to be judged by itself.
const MIN_EVENTS_PER_DAY: f64 = 20.0;
/// With this many per window it is not, however long the window.
const ENOUGH_EVENTS_PER_WINDOW: f64 = 5.0;
/// So is a sum of fewer numbers: what one order is worth varies too much.
const MIN_MEAN_SUMMANDS: f64 = 5.0;
/// Every window of that time is kept in memory.
const CORRECTION_MAX_MILLIS: i64 = 7 * 24 * 3_600_000;
/// An anomaly ends after this much calm, and at least 3 windows.
const CALM_SECONDS: i64 = 15 * 60;

/// Checks a monitor and adds the fields it needs to those of its source.
pub(super) fn check(
    name: &str,
    written: &WrittenMonitor,
    notifiers: &[&str],
    fields: &mut FieldPaths,
) -> Result<Arc<MonitorSpec>, Problem> {
    let at = |key: &str| format!("monitors.{name}.{key}");
    let millis = |key: &str, value: &Option<String>, default: &str| {
        duration_millis(&at(key), value.as_deref().unwrap_or(default))
    };
    let zone = zone(&at("timezone"), written.timezone.as_deref().unwrap_or("UTC"))?;
    let seconds = duration_millis(&at("interval"), &written.interval)? / 1000;
    let width = WindowWidth::from_seconds(seconds).map_err(|error| Problem::new(at("interval"), error))?;
    let format = TimestampFormat::parse(written.timestamp_format.as_deref().unwrap_or("auto"))
        .map_err(|error| Problem::new(at("timestamp_format"), error))?;
    let dimensions: Vec<String> = written.dimensions.keys().cloned().collect();
    let measures = measures(name, written, fields)?;
    let judging = measures
        .iter()
        .map(|measure| judging(name, measure, value_kind(measure, &measures), &written.detector, width))
        .collect::<Result<Vec<_>, _>>()?;
    let kinds: Vec<(&str, ValueKind)> =
        measures.iter().map(|measure| (measure.name.as_str(), value_kind(measure, &measures))).collect();
    let relations =
        detector::relations(&at("relations"), &written.relations, &kinds, width.seconds() as u32)?;
    let inputs: Vec<_> = measures.iter().filter_map(|measure| measure.input.clone()).collect();
    let dimension_paths: Vec<String> = written.dimensions.values().cloned().collect();
    let mapping = Mapping::new(fields, &written.timestamp, format, zone.clone(), &dimension_paths, &inputs)
        .map_err(|error| Problem::new(at("measures"), error))?;
    let threshold = threshold(&at("detector"), &written.detector)?;
    let allowed_lateness_millis = millis("allowed_lateness", &written.allowed_lateness, "30s")?;
    let correction_millis = millis("correction_period", &written.correction_period, "0s")?;
    if correction_millis > CORRECTION_MAX_MILLIS {
        return Err(Problem::new(at("correction_period"), "expected at most 7d"));
    }
    let facts = MonitorFacts {
        monitor: name.to_owned(),
        dimensions: dimensions.clone(),
        measures: measures
            .iter()
            .map(|one| facts(one, &measures))
            .chain(relations.iter().map(relation_facts))
            .collect(),
        funnel: funnel(&at("funnel"), &written.funnel, &measures)?,
        zone: zone.clone(),
        calm_windows: 3.max((CALM_SECONDS / width.seconds()) as u32),
        revisable_millis: if correction_millis > 0 { correction_millis + allowed_lateness_millis } else { 0 },
        rules: rules(name, written, threshold, notifiers)?,
    };
    let max_series = written.max_series.unwrap_or(100_000);
    if max_series == 0 {
        return Err(Problem::new(at("max_series"), "0; expected at least 1"));
    }
    let window = WindowSpec {
        grid: WindowGrid::new(width, zone.clone()),
        allowed_lateness_millis,
        correction_millis,
        rollups: rollups(&at("rollups"), written.rollups.as_deref(), &dimensions)?,
        measures: measures
            .into_iter()
            .map(|measure| Measure { name: measure.name, kind: measure.kind })
            .collect(),
        max_series,
        max_groups: written.max_slices_per_partition.unwrap_or(max_series.saturating_mul(2)),
        dimensions,
    };
    let (calendar, calendar_files) = calendar::check(&at("calendar"), &written.calendar, &window.dimensions)?;
    Ok(Arc::new(MonitorSpec {
        calendar: Arc::new(calendar),
        calendar_files,
        zones: zones(&at("timezones"), written.timezones.as_ref(), zone, &window.dimensions)?,
        idle_timeout_millis: millis("idle_timeout", &written.idle_timeout, "30s")?,
        max_lead_millis: millis("max_lead", &written.max_lead, "1h")?,
        no_data_after_millis: match &written.no_data_after {
            Some(text) => duration_millis(&at("no_data_after"), text)?,
            None => width.millis(),
        },
        correction_bytes_max: size_bytes(
            &at("correction_bytes"),
            written.correction_bytes.as_deref().unwrap_or("256MiB"),
        )?,
        retention_millis: written
            .retention
            .as_ref()
            .map(|text| duration_millis(&at("retention"), text))
            .transpose()?,
        facts,
        window: Arc::new(window),
        mapping,
        judging,
        relations,
    }))
}

fn measures(
    name: &str,
    written: &WrittenMonitor,
    fields: &mut FieldPaths,
) -> Result<Vec<CheckedMeasure>, Problem> {
    let path = format!("monitors.{name}.measures");
    if written.measures.is_empty() {
        return Err(Problem::new(path, "empty; a monitor needs at least one measure"));
    }
    let names: Vec<(&str, bool)> =
        written.measures.iter().map(|(name, table)| (name.as_str(), table.contains_key("ratio"))).collect();
    written
        .measures
        .iter()
        .map(|(name, table)| measure::measure(&format!("{path}.{name}"), name, table, &names, fields))
        .collect()
}

/// What the values of `measure` are, one of all `measures` of its monitor.
fn value_kind(measure: &CheckedMeasure, measures: &[CheckedMeasure]) -> ValueKind {
    let is_count = |index: usize| {
        matches!(measures[index].kind, MeasureKind::Aggregate(AggregateKind::Count | AggregateKind::Distinct))
    };
    match measure.kind {
        MeasureKind::Aggregate(AggregateKind::Count | AggregateKind::Distinct) => ValueKind::Events,
        MeasureKind::Aggregate(AggregateKind::Sum) => ValueKind::Amounts,
        MeasureKind::Ratio { numerator, denominator } if is_count(numerator) && is_count(denominator) => {
            ValueKind::Ratio
        }
        MeasureKind::Aggregate(AggregateKind::Total | AggregateKind::Level) => ValueKind::Learned,
        // What one of many brings is a mean over the denominator.
        MeasureKind::Ratio { denominator, .. } if is_count(denominator) => ValueKind::Mean,
        MeasureKind::Aggregate(AggregateKind::Average | AggregateKind::Quantile(_)) => ValueKind::Mean,
        _ => ValueKind::Continuous,
    }
}

fn judging(
    monitor: &str,
    measure: &CheckedMeasure,
    kind: ValueKind,
    written: &WrittenDetector,
    width: WindowWidth,
) -> Result<Judging, Problem> {
    let (min_weight, min_mean_weight) = match measure.kind {
        MeasureKind::Aggregate(AggregateKind::Count | AggregateKind::Distinct) => {
            (0.0, min_mean_events(width))
        }
        MeasureKind::Aggregate(AggregateKind::Sum) => (0.0, MIN_MEAN_SUMMANDS),
        MeasureKind::Aggregate(
            AggregateKind::Min | AggregateKind::Max | AggregateKind::Total | AggregateKind::Level,
        ) => (1.0, 0.0),
        MeasureKind::Aggregate(AggregateKind::Average | AggregateKind::Quantile(_)) => (MIN_NUMBERS, 0.0),
        // Chance is reckoned with: a binomial share of few is no news by itself.
        MeasureKind::Ratio { .. } if kind == ValueKind::Ratio => (1.0, 0.0),
        MeasureKind::Ratio { .. } => (MIN_DENOMINATOR, 0.0),
    };
    let judged = Judged { interval_seconds: width.seconds() as u32, kind, direction: measure.direction };
    let path = format!("monitors.{monitor}.measures.{}.detector", measure.name);
    let own = measure.detector.as_ref().map(|value| (path.as_str(), value));
    let detector = detector::detector(&format!("monitors.{monitor}.detector"), own, written, judged)?;
    // Whoever writes a hard rule means it for thin series too.
    let is_rule = matches!(detector, DetectorConfig::Threshold(_) | DetectorConfig::Flatline(_));
    let is_ratio = matches!(measure.kind, MeasureKind::Ratio { .. });
    Ok(Judging {
        detector,
        min_weight,
        min_mean_weight: if is_rule { 0.0 } else { min_mean_weight },
        min_numerator: match kind {
            _ if is_rule || !is_ratio => 0.0,
            ValueKind::Ratio => MIN_EXPECTED,
            _ => MIN_NUMBERS,
        },
        guard: measure.guard,
    })
}

fn relation_facts(relation: &RelationSpec) -> MeasureFacts {
    MeasureFacts { name: relation.name.clone(), unit: None, shape: MeasureShape::Other, worth: None }
}

fn min_mean_events(width: WindowWidth) -> f64 {
    (MIN_EVENTS_PER_DAY * width.seconds() as f64 / 86_400.0).min(ENOUGH_EVENTS_PER_WINDOW)
}

fn facts(measure: &CheckedMeasure, measures: &[CheckedMeasure]) -> MeasureFacts {
    let is_count = |index: usize| measures[index].kind == MeasureKind::Aggregate(AggregateKind::Count);
    let shape = match measure.kind {
        MeasureKind::Aggregate(AggregateKind::Count) => MeasureShape::Count,
        MeasureKind::Aggregate(AggregateKind::Sum) => MeasureShape::Sum,
        MeasureKind::Ratio { numerator, denominator } if is_count(numerator) => {
            MeasureShape::Ratio { numerator, denominator }
        }
        MeasureKind::Aggregate(_) | MeasureKind::Ratio { .. } => MeasureShape::Other,
    };
    let (unit, worth) = (measure.unit.clone(), measure.worth.clone());
    MeasureFacts { name: measure.name.clone(), unit, shape, worth }
}

/// The measures of a funnel by number; they must be counts.
fn funnel(path: &str, names: &[String], measures: &[CheckedMeasure]) -> Result<Vec<usize>, Problem> {
    let is_count = |measure: &CheckedMeasure| measure.kind == MeasureKind::Aggregate(AggregateKind::Count);
    let number = |name: &String| {
        let found = measures.iter().position(|measure| measure.name == *name && is_count(measure));
        found.ok_or_else(|| Problem::new(path, format!("`{name}` is no count of this monitor")))
    };
    names.iter().map(number).collect()
}

fn zone(path: &str, name: &str) -> Result<TimeZone, Problem> {
    TimeZone::get(name).map_err(|_| {
        Problem::new(
            path,
            format!("`{name}` is no known time zone; expected an IANA name such as Europe/Berlin"),
        )
    })
}

fn zones(
    path: &str,
    written: Option<&WrittenZones>,
    default: TimeZone,
    dimensions: &[String],
) -> Result<SliceZones, Problem> {
    let Some(written) = written else { return Ok(SliceZones { default, by: None }) };
    let dimension = dimensions.iter().position(|name| *name == written.by).ok_or_else(|| {
        Problem::new(format!("{path}.by"), format!("`{}` is no dimension of this monitor", written.by))
    })?;
    let map: Result<BTreeMap<_, _>, Problem> = written
        .map
        .iter()
        .map(|(value, name)| Ok((value.clone(), zone(&format!("{path}.map.{value}"), name)?)))
        .collect();
    Ok(SliceZones { default, by: Some((dimension, map?)) })
}

/// As written; else the whole, each dimension by itself, and all of them together.
fn rollups(
    path: &str,
    written: Option<&[Vec<String>]>,
    dimensions: &[String],
) -> Result<Vec<Vec<bool>>, Problem> {
    let level = |names: &[String]| dimensions.iter().map(|dimension| names.contains(dimension)).collect();
    let mut levels: Vec<Vec<bool>> = Vec::new();
    if let Some(written) = written {
        for names in written {
            if let Some(unknown) = names.iter().find(|name| !dimensions.contains(name)) {
                return Err(Problem::new(path, format!("`{unknown}` is no dimension of this monitor")));
            }
            levels.push(level(names));
        }
    } else {
        levels.push(level(&[]));
        levels.extend(dimensions.iter().map(|dimension| level(std::slice::from_ref(dimension))));
        levels.push(level(dimensions));
    }
    let mut distinct = Vec::new();
    for level in levels {
        if !distinct.contains(&level) {
            distinct.push(level);
        }
    }
    if distinct.is_empty() {
        Err(Problem::new(path, "empty; `[[]]` is the whole alone"))
    } else {
        Ok(distinct)
    }
}

/// The default page threshold of a monitor.
pub(super) fn threshold(path: &str, written: &WrittenDetector) -> Result<Threshold, Problem> {
    either(path, written.severity, written.budget.as_deref())
        .map(|threshold| threshold.unwrap_or(Threshold::Severity(70.0)))
}

/// A threshold from whichever of the two keys is there.
pub(super) fn either(
    path: &str,
    severity: Option<f64>,
    budget: Option<&str>,
) -> Result<Option<Threshold>, Problem> {
    match (severity, budget) {
        (Some(_), Some(_)) => Err(Problem::new(path, "has both severity and budget; choose one")),
        (Some(severity), None) if (0.0..=100.0).contains(&severity) => {
            Ok(Some(Threshold::Severity(severity)))
        }
        (Some(severity), None) => {
            Err(Problem::new(format!("{path}.severity"), format!("{severity}; expected 0 to 100")))
        }
        (None, Some(budget)) => {
            let per_week = budget_per_week(&format!("{path}.budget"), budget)?;
            Ok(Some(Threshold::Budget { per_week }))
        }
        (None, None) => Ok(None),
    }
}
