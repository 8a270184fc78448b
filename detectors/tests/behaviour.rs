//! What settings and policies do: direction, holding, the kind of values, training, the band.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Case, Chance, START, golden_series};
use tidewatch_detectors::{
    Detector, DetectorConfig, Direction, LearnPolicy, Model, Observation, Reason, SeasonalConfig, Side,
    Train, ValueKind,
};

fn config(interval_seconds: u32, kind: ValueKind, direction: Direction) -> DetectorConfig {
    DetectorConfig::Seasonal(SeasonalConfig::new(interval_seconds, kind, direction).unwrap())
}

fn trained(case: &Case, kind: ValueKind, direction: Direction, length: usize) -> Model {
    config(case.interval_seconds, kind, direction).train(&golden_series(case)[..length]).unwrap()
}

fn with_value(observation: &Observation, value: f64) -> Observation {
    Observation::new(observation.civil_seconds(), value, 1).unwrap()
}

#[test]
fn only_permitted_sides_alarm() {
    let next = golden_series(&Case::HOUR_COUNT)[900];
    for (direction, rises, drops) in
        [(Direction::Both, true, true), (Direction::Rise, true, false), (Direction::Drop, false, true)]
    {
        let model = trained(&Case::HOUR_COUNT, ValueKind::Count, direction, 900);
        let severity = |value| model.score(&with_value(&next, value)).score.unwrap().severity();
        assert_eq!(severity(20_000.0) >= 70.0, rises, "{direction:?}");
        assert_eq!(severity(0.0) >= 70.0, drops, "{direction:?}");
        let score = model.score(&with_value(&next, if rises { 20_000.0 } else { 0.0 })).score.unwrap();
        assert_eq!(score.side, if rises { Side::Rise } else { Side::Drop });
        assert_ne!(score.reason, Reason::Quiet);
    }
}

#[test]
fn direction_does_not_change_what_is_learned() {
    let both = trained(&Case::HOUR_COUNT, ValueKind::Count, Direction::Both, 1_200);
    let drop = trained(&Case::HOUR_COUNT, ValueKind::Count, Direction::Drop, 1_200);
    let next = golden_series(&Case::HOUR_COUNT)[1_200];
    let expected = |model: &Model| model.score(&next).score.unwrap().expected;
    assert_eq!(expected(&both), expected(&drop));
}

#[test]
fn held_observations_teach_nothing() {
    let series = golden_series(&Case::HOUR_COUNT);
    let before = trained(&Case::HOUR_COUNT, ValueKind::Count, Direction::Both, 900);
    let mut held = before.clone();
    for observation in &series[900..948] {
        held.observe(&with_value(observation, 4.0 * observation.value()), LearnPolicy::Hold);
    }
    let later = &series[948];
    let (was, is) = (before.score(later).score.unwrap(), held.score(later).score.unwrap());
    assert_eq!(is.expected, was.expected);
    let mut page = 0.0_f64;
    for observation in &series[948..980] {
        page = page.max(held.observe(observation, LearnPolicy::Learn).unwrap().severity());
    }
    let expected = held.score(&series[980]).score.unwrap().expected;
    assert!((expected / before.score(&series[980]).score.unwrap().expected - 1.0).abs() < 0.1);
    assert!(page < 100.0, "the end of a held event is not the alarm of the year");
}

#[test]
fn the_kind_is_learned_as_if_it_had_been_declared() {
    let kind = |model: &Model| match model {
        Model::Seasonal(seasonal) => seasonal.value_kind(),
        other => panic!("another kind: {other:?}"),
    };
    for (case, declared) in
        [(Case::HOUR_COUNT, ValueKind::Count), (Case::HOUR_CONTINUOUS, ValueKind::Continuous)]
    {
        let mut learned = trained(&case, ValueKind::Learned, Direction::Both, 60);
        let mut known = trained(&case, declared, Direction::Both, 60);
        assert_eq!((kind(&learned), kind(&known)), (declared, declared));
        for observation in &golden_series(&case)[60..400] {
            let scores =
                [&mut learned, &mut known].map(|model| model.observe(observation, LearnPolicy::Learn));
            assert_eq!(scores[0], scores[1]);
        }
    }
}

#[test]
fn negative_values_shift_the_whole_opening() {
    let case = Case::FIVE_MINUTES_CONTINUOUS;
    let model = trained(&case, ValueKind::Learned, Direction::Both, 300);
    let observation = golden_series(&case)[300];
    let score = model.score(&observation).score.unwrap();
    assert!(score.lower < observation.value() && observation.value() < score.upper, "{score:?}");
}

#[test]
fn training_is_a_fold() {
    let series = golden_series(&Case::HOUR_CONTINUOUS);
    let config = config(3_600, ValueKind::Learned, Direction::Both);
    let mut folded = config.start();
    for observation in &series[..200] {
        folded.observe(observation, LearnPolicy::Learn);
    }
    assert_eq!(config.train(&series[..200]).unwrap(), folded);
}

#[test]
fn values_at_the_edge_of_the_band_are_near_severity_70() {
    let mut chance = Chance(11);
    let mut model = config(300, ValueKind::Count, Direction::Both).start();
    let mut index = 0;
    let mut next = |value: f64| {
        index += 1;
        Observation::new(START + index * 300, value, 1).unwrap()
    };
    for _ in 0..30 * 288 {
        model.observe(&next((400.0 + 20.0 * chance.normal()).round()), LearnPolicy::Learn);
    }
    let here = next(400.0);
    let score = model.score(&here).score.unwrap();
    assert!(score.lower > 200.0 && score.upper < 600.0, "{score:?}");
    for edge in [score.lower, score.upper] {
        let outwards = (edge - score.expected) * 0.15;
        let severity = |value| model.score(&with_value(&here, value)).score.unwrap().severity();
        assert!(severity(edge - outwards) < 70.0, "inside {edge}: {}", severity(edge - outwards));
        assert!(severity(edge + outwards) > 70.0, "outside {edge}: {}", severity(edge + outwards));
    }
}

#[test]
fn a_weekly_rhythm_of_daily_values_is_learned() {
    let mut chance = Chance(12);
    let mut model = config(86_400, ValueKind::Count, Direction::Both).start();
    let mut worst = 0.0_f64;
    for day in 0..300 {
        let mean = if day % 7 >= 5 { 200.0 } else { 400.0 };
        let value = (mean + 15.0 * chance.normal()).round();
        let observation = Observation::new(START + day * 86_400, value, 1).unwrap();
        let score = model.observe(&observation, LearnPolicy::Learn);
        if let Some(score) = score.filter(|_| day >= 70) {
            assert!((score.expected / mean - 1.0).abs() < 0.25, "day {day}: {} for {mean}", score.expected);
            worst = worst.max(score.severity());
        }
    }
    assert!(worst < 70.0, "{worst}");
    let monday = Observation::new(START + 301 * 86_400, 40.0, 1).unwrap();
    assert!(model.score(&monday).score.unwrap().severity() > 70.0);
}
