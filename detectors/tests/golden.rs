//! Pins the numbers: severities of an independent reference, and a saved state that must keep loading.
//!
//! `golden/README.md` says how the files were made. Series come from [`golden_series`], integer arithmetic and
//! exactly rounded floating-point operations only, so that any language can repeat them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use serde::{Deserialize, Serialize};
use support::{Case, golden_series};
use tidewatch_detectors::{
    DetectorConfig, Direction, LearnPolicy, Model, Observation, Score, SeasonalConfig, ValueKind,
};

/// Agreement asked for, in severity.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize, Serialize)]
struct Golden {
    interval_seconds: u32,
    points: Vec<Point>,
}

/// Index of the observation, page severity, minor severity, expected value.
#[derive(Deserialize, Serialize)]
struct Point(usize, f64, f64, f64);

fn start(case: &Case) -> Model {
    let config = SeasonalConfig::new(case.interval_seconds, ValueKind::Learned, Direction::Both).unwrap();
    DetectorConfig::Seasonal(config).start()
}

fn run(model: &mut Model, series: &[Observation]) -> Vec<Option<Score>> {
    series.iter().map(|observation| model.observe(observation, LearnPolicy::Learn)).collect()
}

fn agree(point: &Point, score: &Score) {
    let Point(index, page, minor, expected) = point;
    assert!((score.severity() - page).abs() < TOLERANCE, "point {index}: {} for {page}", score.severity());
    assert!((score.minor() - minor).abs() < TOLERANCE, "point {index}: minor {} for {minor}", score.minor());
    let tolerance = 1e-9 * (1.0 + expected.abs());
    assert!(
        (score.expected - expected).abs() < tolerance,
        "point {index}: {} for {expected}",
        score.expected
    );
}

/// Whether the files are to be rewritten instead (`make bless`).
fn blessing() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

fn write<T: Serialize>(name: &str, value: &T) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    std::fs::write(path, serde_json::to_string(value).unwrap() + "\n").unwrap();
}

fn pinned(case: &Case, name: &str, golden: &str) {
    let mut golden: Golden = serde_json::from_str(golden).unwrap();
    assert_eq!(golden.interval_seconds, case.interval_seconds);
    let scores = run(&mut start(case), &golden_series(case));
    if blessing() {
        for point in &mut golden.points {
            let score = scores[point.0].unwrap();
            *point = Point(point.0, score.severity(), score.minor(), score.expected);
        }
        write(name, &golden);
    }
    assert!(golden.points.iter().any(|point| point.1 > 70.0), "an anomaly is among the pinned points");
    for point in &golden.points {
        agree(point, &scores[point.0].unwrap());
    }
}

#[test]
fn minute_count() {
    pinned(&Case::MINUTE_COUNT, "minute_count.json", include_str!("golden/minute_count.json"));
}

#[test]
fn five_minutes_scarce() {
    pinned(
        &Case::FIVE_MINUTES_SCARCE,
        "five_minutes_scarce.json",
        include_str!("golden/five_minutes_scarce.json"),
    );
}

#[test]
fn five_minutes_continuous() {
    pinned(
        &Case::FIVE_MINUTES_CONTINUOUS,
        "five_minutes_continuous.json",
        include_str!("golden/five_minutes_continuous.json"),
    );
}

#[test]
fn hour_count() {
    pinned(&Case::HOUR_COUNT, "hour_count.json", include_str!("golden/hour_count.json"));
}

#[test]
fn hour_continuous() {
    pinned(&Case::HOUR_CONTINUOUS, "hour_continuous.json", include_str!("golden/hour_continuous.json"));
}

/// Every kind of model has a state here for every version of the saved form.
#[test]
fn a_state_of_version_4_loads_and_scores_on() {
    if blessing() {
        return;
    }
    let mut model: Model = serde_json::from_str(include_str!("golden/v4/seasonal.json")).unwrap();
    let golden: Golden = serde_json::from_str(include_str!("golden/hour_count.json")).unwrap();
    let Model::Seasonal(seasonal) = &model else { panic!("another kind") };
    assert_eq!(seasonal.value_kind(), ValueKind::Count);
    let series = golden_series(&Case::HOUR_COUNT);
    let scores = run(&mut model, &series[support::SAVED_AFTER..]);
    let later: Vec<&Point> = golden.points.iter().filter(|point| point.0 >= support::SAVED_AFTER).collect();
    assert!(later.len() > 20);
    for point in later {
        agree(point, &scores[point.0 - support::SAVED_AFTER].unwrap());
    }
}

#[test]
fn what_is_saved_now_is_what_was_saved_then() {
    let mut model = start(&Case::HOUR_COUNT);
    run(&mut model, &golden_series(&Case::HOUR_COUNT)[..support::SAVED_AFTER]);
    if blessing() {
        write("v4/seasonal.json", &model);
        return;
    }
    let saved: Model = serde_json::from_str(include_str!("golden/v4/seasonal.json")).unwrap();
    let keys = |model: &Model| shape(&serde_json::to_value(model).unwrap());
    assert_eq!(keys(&model), keys(&saved));
}

/// The names of a saved state without its numbers.
fn shape(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), shape(field))).collect()
        }
        serde_json::Value::Array(items) => serde_json::Value::from(items.len()),
        serde_json::Value::Number(_) => serde_json::Value::from("number"),
        other => other.clone(),
    }
}
