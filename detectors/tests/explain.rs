//! Explanations: the same numbers as the score, and every cause that holds an alarm back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Chance, START};
use tidewatch_detectors::{
    Contrast, Detector, DetectorConfig, Direction, Explanation, Feedback, FlatlineConfig, HeldBack,
    LearnPolicy, Model, Observation, Reason, SeasonalConfig, Side, ThresholdConfig, ValueKind,
};

const DAY: i64 = 288;

fn at(index: i64, value: f64) -> Observation {
    Observation::new(START + index * 300, value, 1).unwrap()
}

fn start(direction: Direction) -> Model {
    DetectorConfig::Seasonal(SeasonalConfig::new(300, ValueKind::Count, direction).unwrap()).start()
}

/// A model that has seen `length` values around `mean(index)`.
fn taught(direction: Direction, length: i64, mean: impl Fn(i64) -> f64) -> Model {
    let (mut model, mut chance) = (start(direction), Chance(21));
    for index in 0..length {
        let mean = mean(index);
        let value = (mean + mean.sqrt() * chance.normal()).round().max(0.0);
        model.observe(&at(index, value), LearnPolicy::Learn);
    }
    model
}

fn steady(_: i64) -> f64 {
    400.0
}

/// Busy and ragged by day, quiet and even by night.
fn day_and_night(index: i64) -> f64 {
    if index.rem_euclid(DAY) < DAY / 3 { 60.0 } else { 3_000.0 }
}

fn explain(model: &Model, index: i64, value: f64) -> Explanation {
    model.explain(&at(index, value)).unwrap()
}

fn has(explanation: &Explanation, cause: impl Fn(&HeldBack) -> bool) -> bool {
    explanation.held_back.iter().any(cause)
}

#[test]
fn a_page_is_explained_by_its_comparison_and_nothing_held_it_back() {
    let model = taught(Direction::Both, 21 * DAY, steady);
    let explanation = explain(&model, 21 * DAY, 100.0);
    assert_eq!(explanation.score, model.score(&at(21 * DAY, 100.0)).score);
    assert!(explanation.score.unwrap().severity() > 70.0 && explanation.held_back.is_empty());
    let loudest = explanation.loudest().unwrap();
    assert_eq!(loudest.statistic, Contrast::One);
    assert!(loudest.change < -0.7 && loudest.change > -0.8 && loudest.strength < 0.0, "{loudest:?}");
    assert!(loudest.relative > 1.0 && loudest.absolute.unwrap() > 1.0 && loudest.log10_rate.unwrap() < 0.0);
    assert_eq!(explanation.comparisons.len(), 7);
    let text = explanation.to_string();
    assert!(text.starts_with("100 came where ") && text.contains("The last window is 75 % below"), "{text}");
    assert!(text.contains("practically never") && !text.contains("did not page"), "{text}");
}

#[test]
fn an_ordinary_value_is_explained_as_such() {
    let model = taught(Direction::Both, 21 * DAY, steady);
    let explanation = explain(&model, 21 * DAY, 400.0);
    assert!(explanation.held_back.is_empty(), "{explanation:?}");
    assert!(!explanation.to_string().contains("did not page"), "{explanation}");
}

#[test]
fn warm_up_holds_back() {
    let young = taught(Direction::Both, 20, steady);
    let explanation = explain(&young, 20, 0.0);
    assert_eq!(explanation.held_back, [HeldBack::WarmingUp { seen: 20, needed: 72 }]);
    assert!(explanation.score.is_none() && (explanation.expected - 400.0).abs() < 50.0);
    assert!(explanation.to_string().contains("still warms up (20 of 72 values seen)"), "{explanation}");

    let day = taught(Direction::Both, DAY, steady);
    let explanation = explain(&day, DAY, 400.0);
    assert!(has(&explanation, |cause| matches!(cause, HeldBack::LongWarmingUp { .. })), "{explanation}");
}

#[test]
fn the_first_week_holds_back_what_would_page_later() {
    let model = taught(Direction::Both, 5 * DAY, steady);
    let held = (100..400).rev().map(|value| explain(&model, 5 * DAY, f64::from(value))).find(|explanation| {
        has(explanation, |cause| matches!(cause, HeldBack::FirstWeek { factor } if *factor < 0.8))
    });
    assert!(held.unwrap().to_string().contains("in the first week"));
}

#[test]
fn a_dip_by_night_is_small_for_the_week() {
    let model = taught(Direction::Both, 28 * DAY, day_and_night);
    let explanation = explain(&model, 28 * DAY + 40, 3.0);
    assert!(
        has(&explanation, |cause| matches!(cause, HeldBack::SmallForTheWeek { absolute } if *absolute < 1.0)),
        "{explanation:?}"
    );
    let score = explanation.score.unwrap();
    assert!(score.minor() > 70.0 && score.severity() < 70.0);
    assert!(explanation.to_string().contains("small for the whole week"), "{explanation}");
}

#[test]
fn a_ragged_hour_makes_a_large_deviation_usual() {
    // One hour of the day is wild, the rest is nearly even.
    let (mut model, mut chance) = (start(Direction::Both), Chance(22));
    let wild = |index: i64| (120..132).contains(&index.rem_euclid(DAY));
    for index in 0..42 * DAY {
        let noise = chance.normal();
        let value = if wild(index) { 3_000.0 * (0.6 * noise).exp() } else { 300.0 + 5.0 * noise };
        model.observe(&at(index, value.round()), LearnPolicy::Learn);
    }
    let found =
        (1..40).map(|step| explain(&model, 42 * DAY + 120, 500.0 * f64::from(step))).find(|explanation| {
            has(
                explanation,
                |cause| matches!(cause, HeldBack::UsualForTheHour { relative } if *relative < 1.2),
            )
        });
    assert!(found.unwrap().to_string().contains("not unusual for this hour"));
}

#[test]
fn alarms_too_often_hold_back() {
    let mut model = taught(Direction::Both, 21 * DAY, steady);
    let mut chance = Chance(23);
    // A giant every two hours for two weeks.
    for index in 21 * DAY..35 * DAY {
        let mean = if index % 24 == 0 { 4_000.0 } else { 400.0 };
        model.observe(&at(index, (mean + 20.0 * chance.normal()).round()), LearnPolicy::Learn);
    }
    let held =
        (4..80).map(|step| explain(&model, 35 * DAY + 13, 100.0 * f64::from(step))).find(|explanation| {
            has(explanation, |cause| matches!(cause, HeldBack::AlarmsTooOften { factor } if *factor > 1.2))
        });
    assert!(held.unwrap().to_string().contains("alarmed so often"));
}

#[test]
fn usual_sizes_hold_back_on_a_series_of_zeros() {
    let mut model = start(Direction::Both);
    for index in 0..42 * DAY {
        let value = if index % 61 == 0 { [20.0, 40.0, 80.0][(index / 61 % 3) as usize] } else { 0.0 };
        model.observe(&at(index, value), LearnPolicy::Learn);
    }
    let held = (1..400).map(|value| explain(&model, 42 * DAY + 30, f64::from(value)));
    let held: Vec<Explanation> =
        held.filter(|each| has(each, |cause| *cause == HeldBack::UsualSize)).collect();
    assert!(!held.is_empty() && held[0].to_string().contains("common on this series of zeros"));
}

#[test]
fn the_direction_setting_holds_back() {
    let model = taught(Direction::Rise, 21 * DAY, steady);
    let explanation = explain(&model, 21 * DAY, 0.0);
    assert!(has(&explanation, |cause| *cause == HeldBack::Direction), "{explanation:?}");
    assert!(explanation.to_string().contains("switched off"));
}

#[test]
fn an_expected_alarm_says_so() {
    let mut model = taught(Direction::Both, 21 * DAY, steady);
    for index in 0..6 {
        model.observe(&at(21 * DAY + index, 800.0), LearnPolicy::Learn);
    }
    model.apply(&Feedback::Expected { side: Side::Rise });
    let explanation = explain(&model, 21 * DAY + 6, 800.0);
    assert_eq!(explanation.held_back, [HeldBack::Expected]);
    assert_eq!(explanation.score.unwrap().reason, Reason::Expected);
    assert!(explanation.to_string().contains("marked as expected"), "{explanation}");
}

#[test]
fn a_short_silence_is_not_long_enough() {
    let mut model = taught(Direction::Both, 21 * DAY, |_| 2.0);
    let mut seen = false;
    for index in 0..40 {
        let explanation = explain(&model, 21 * DAY + index, 0.0);
        let too_short = has(&explanation, |cause| *cause == HeldBack::SilenceTooShort);
        seen |= too_short;
        let pages = model.observe(&at(21 * DAY + index, 0.0), LearnPolicy::Learn).unwrap().severity() >= 70.0;
        assert!(!(too_short && pages));
        assert!(explanation.silence_log10_rate.is_some());
    }
    assert!(seen, "at first");
    assert!(explain(&model, 21 * DAY + 40, 0.0).score.unwrap().reason == Reason::Silence);
}

#[test]
fn every_detector_explains_what_its_score_says() {
    let threshold = ThresholdConfig::new(300, Some(10.0), None, 1).unwrap();
    let flatline = FlatlineConfig::new(300, 3, 0.0).unwrap();
    for config in [DetectorConfig::Threshold(threshold), DetectorConfig::Flatline(flatline)] {
        let mut model = config.start();
        for index in 0..10 {
            model.observe(&at(index, 20.0), LearnPolicy::Learn);
        }
        let explanation = explain(&model, 10, 5.0);
        assert_eq!(explanation.score, model.score(&at(10, 5.0)).score);
        assert!(explanation.to_string().starts_with("5 came where "), "{explanation}");
    }
}
