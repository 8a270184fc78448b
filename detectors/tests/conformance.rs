//! The promises that every detector keeps, checked for every kind of model at several intervals.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Chance, START};
use tidewatch_detectors::{
    Against, ChangeConfig, Detector, DetectorConfig, Direction, FlatlineConfig, ForestConfig, LearnPolicy,
    Model, NoveltyConfig, Observation, Score, SeasonalConfig, Side, ThresholdConfig, ValueKind,
};

const KINDS: [ValueKind; 5] =
    [ValueKind::Learned, ValueKind::Count, ValueKind::Continuous, ValueKind::Events, ValueKind::Amounts];
const INTERVALS: [u32; 5] = [10, 60, 300, 3_600, 86_400];

/// At least one configuration per kind of model; the match makes a new kind impossible to forget.
fn every_kind(interval_seconds: u32, kind: ValueKind, direction: Direction) -> Vec<DetectorConfig> {
    let change = |against, percent| ChangeConfig::new(interval_seconds, against, percent, direction).unwrap();
    let mut all = seasonal(interval_seconds, kind, direction);
    all.extend([
        DetectorConfig::Novelty(NoveltyConfig::new(interval_seconds, kind, direction, true).unwrap()),
        DetectorConfig::Novelty(NoveltyConfig::new(interval_seconds, kind, direction, false).unwrap()),
        DetectorConfig::Forest(ForestConfig::new(interval_seconds, direction, 5).unwrap()),
        DetectorConfig::Change(change(Against::Mean(24), None)),
        DetectorConfig::Change(change(Against::Season(24), Some(80.0))),
        DetectorConfig::Threshold(ThresholdConfig::new(interval_seconds, Some(-5.0), Some(1e7), 1).unwrap()),
        DetectorConfig::Flatline(FlatlineConfig::new(interval_seconds, 5_000, 0.0).unwrap()),
    ]);
    for config in &all {
        match config {
            DetectorConfig::Seasonal(_)
            | DetectorConfig::Novelty(_)
            | DetectorConfig::Forest(_)
            | DetectorConfig::Change(_)
            | DetectorConfig::Threshold(_)
            | DetectorConfig::Flatline(_) => {}
        }
    }
    all
}

/// For promises about levels and silences, which only the seasonal detector makes.
fn seasonal(interval_seconds: u32, kind: ValueKind, direction: Direction) -> Vec<DetectorConfig> {
    vec![DetectorConfig::Seasonal(SeasonalConfig::new(interval_seconds, kind, direction).unwrap())]
}

/// Detectors whose rates are promised on series without an anomaly: all but hard rules and the fixed percentage.
fn calibrated(interval_seconds: u32, kind: ValueKind, direction: Direction) -> Vec<DetectorConfig> {
    let is_rule = |config: &DetectorConfig| match config {
        DetectorConfig::Threshold(_) | DetectorConfig::Flatline(_) => true,
        DetectorConfig::Change(change) => change.percent.is_some(),
        _ => false,
    };
    let mut all = every_kind(interval_seconds, kind, direction);
    all.retain(|config| !is_rule(config));
    all
}

fn at(interval_seconds: u32, index: i64, value: f64) -> Observation {
    Observation::new(START + index * i64::from(interval_seconds), value, 1).unwrap()
}

fn learn(model: &mut Model, observation: &Observation) -> Option<Score> {
    model.observe(observation, LearnPolicy::Learn)
}

/// A noisy day of counts around `base`.
fn traffic(interval_seconds: u32, length: i64, base: f64, seed: u64) -> Vec<Observation> {
    let mut chance = Chance(seed);
    let noisy = |index: i64| {
        let day = (index * i64::from(interval_seconds)).rem_euclid(86_400) as f64 / 86_400.0;
        let mean = base * (0.5 + 3.0 * day * (1.0 - day));
        at(interval_seconds, index, (mean + mean.sqrt() * chance.normal()).round().max(0.0))
    };
    (0..length).map(noisy).collect()
}

/// Numbers of every size and sign, with times that stand still, go back and jump.
fn hostile(length: usize, seed: u64) -> Vec<Observation> {
    const VALUES: [f64; 14] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        1e300,
        -1e300,
        1e-300,
        -1e-300,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        1e15,
        7.0,
    ];
    const JUMPS: [i64; 6] = [0, 60, -60, 3_600, -1_000_000, 100_000_000];
    let (mut chance, mut time) = (Chance(seed), 0_i64);
    let mut pick = |limit: usize| (chance.uniform() * limit as f64) as usize;
    let mut series = Vec::new();
    while series.len() < length {
        let (value, jump) = (VALUES[pick(VALUES.len())], JUMPS[pick(JUMPS.len())]);
        for _ in 0..=pick(40) {
            time = time.saturating_add(jump);
            series.push(Observation::new(time, value, 0).unwrap());
        }
    }
    series.push(Observation::new(i64::MIN, 1.0, 0).unwrap());
    series.push(Observation::new(i64::MAX, 1.0, u64::MAX).unwrap());
    series
}

fn is_sound(score: &Score) -> bool {
    let numbers = [score.expected, score.lower, score.upper, score.page_log10_rate, score.minor_log10_rate];
    numbers.iter().all(|number| number.is_finite())
        && score.lower <= score.expected
        && score.expected <= score.upper
        && (0.0..=100.0).contains(&score.severity())
        && (0.0..=100.0).contains(&score.minor())
}

#[test]
fn same_input_gives_the_same_scores() {
    for config in every_kind(300, ValueKind::Learned, Direction::Both) {
        let series = traffic(300, 3_000, 20.0, 1);
        let run = |mut model: Model| -> Vec<_> { series.iter().map(|o| learn(&mut model, o)).collect() };
        assert_eq!(run(config.start()), run(config.start()));
    }
}

#[test]
fn scoring_changes_nothing() {
    for kind in KINDS {
        for config in every_kind(3_600, kind, Direction::Both) {
            let mut model = config.start();
            for observation in traffic(3_600, 300, 8.0, 2) {
                let before = model.clone();
                let odd = Observation::new(observation.civil_seconds(), -3.5, 0).unwrap();
                assert_eq!(model.score(&odd).score.is_some(), model.learning().is_none());
                let scored = model.score(&observation);
                assert_eq!(scored.score, model.score(&observation).score);
                assert_eq!(model, before);
                model.learn(&observation, scored, LearnPolicy::Learn);
            }
        }
    }
}

#[test]
fn saving_and_loading_leaves_no_trace() {
    for kind in KINDS {
        for config in every_kind(3_600, kind, Direction::Both) {
            let mut model = config.start();
            let mut restored = config.start();
            for (index, observation) in traffic(3_600, 900, 30.0, 3).iter().enumerate() {
                if index % 90 == 20 {
                    let json = serde_json::to_string(&restored).unwrap();
                    restored = serde_json::from_str(&json).unwrap();
                    let binary = postcard::to_allocvec(&restored).unwrap();
                    restored = postcard::from_bytes(&binary).unwrap();
                    assert_eq!(model, restored);
                }
                assert_eq!(learn(&mut model, observation), learn(&mut restored, observation));
            }
        }
    }
}

#[test]
fn a_constant_never_alarms() {
    for interval in [60, 3_600, 86_400] {
        for value in [0.0, 1.0, 7.0, 1e6, 0.3, -2.0] {
            for config in every_kind(interval, ValueKind::Learned, Direction::Both) {
                let mut model = config.start();
                for index in 0..3_200 {
                    let score = learn(&mut model, &at(interval, index, value));
                    let worst = score.map_or(0.0, |score| score.severity().max(score.minor()));
                    assert!(worst < 70.0, "{value} every {interval} s: {worst} at {index}: {config:?}");
                }
            }
        }
    }
}

#[test]
fn gaps_are_tolerated() {
    for config in seasonal(300, ValueKind::Count, Direction::Both) {
        let series = traffic(300, 28 * 288, 50.0, 4);
        let mut model = config.start();
        let mut worst = 0.0_f64;
        for (index, observation) in series.iter().enumerate() {
            let day = index / 288;
            let missing = day == 16 || (20..24).contains(&day) || index % 97 == 5;
            if !missing {
                let score = learn(&mut model, observation);
                worst = worst.max(score.map_or(0.0, |score| score.severity()));
            }
        }
        assert!(worst < 75.0, "{worst}");
    }
}

#[test]
fn finite_in_finite_out() {
    for interval in INTERVALS {
        for kind in KINDS {
            for config in every_kind(interval, kind, Direction::Both) {
                for seed in 0..4 {
                    let mut model = config.start();
                    for observation in hostile(700, seed) {
                        if let Some(score) = learn(&mut model, &observation) {
                            assert!(is_sound(&score), "{interval} s {kind:?} {observation:?}: {score:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_interval_is_sound() {
    for interval in INTERVALS {
        for config in every_kind(interval, ValueKind::Learned, Direction::Both) {
            let mut model = config.start();
            for observation in traffic(interval, 4_000, 200.0, 5) {
                assert!(learn(&mut model, &observation).is_none_or(|score| is_sound(&score)));
            }
            // An undeclared gauge is silent for 14 days, however many windows that is.
            let silent = matches!(config, DetectorConfig::Novelty(novelty) if !novelty.declared);
            assert!(silent || model.learning().is_none(), "{config:?}");
        }
    }
}

/// Rules say what is configured; all others come to rest after a shift, whatever they said first.
#[test]
fn no_alarm_lasts_for_ever() {
    for config in calibrated(300, ValueKind::Count, Direction::Both) {
        let mut model = config.start();
        let mut loud = 0;
        for (index, observation) in traffic(300, 30 * 288, 100.0, 12).iter().enumerate() {
            let factor = if index >= 18 * 288 { 3.0 } else { 1.0 };
            let value = (observation.value() * factor).round();
            let observation = Observation::new(observation.civil_seconds(), value, 1).unwrap();
            let score = learn(&mut model, &observation);
            loud += usize::from(index >= 20 * 288 && score.is_some_and(|score| score.severity() >= 70.0));
        }
        assert!(loud < 40, "{loud} of 2880 windows loud: {config:?}");
    }
}

#[test]
fn only_the_sides_asked_for_alarm() {
    for (direction, unwanted) in [(Direction::Rise, Side::Drop), (Direction::Drop, Side::Rise)] {
        for config in calibrated(300, ValueKind::Count, direction) {
            let mut model = config.start();
            for (index, observation) in traffic(300, 24 * 288, 100.0, 13).iter().enumerate() {
                let factor = [1.0, 0.1, 1.0, 6.0][index / 400 % 4];
                let value = (observation.value() * factor).round();
                let observation = Observation::new(observation.civil_seconds(), value, 1).unwrap();
                let score = learn(&mut model, &observation);
                let wrong = score.is_some_and(|score| score.severity() >= 70.0 && score.side == unwanted);
                assert!(!wrong, "{config:?} at {index}: {score:?}");
            }
        }
    }
}

#[test]
fn memory_is_bounded() {
    assert!(size_of::<tidewatch_detectors::Seasonal>() <= 4 * 1_024);
    for interval in INTERVALS {
        for config in seasonal(interval, ValueKind::Learned, Direction::Both) {
            let (mut model, mut most) = (config.start(), 0);
            for (index, observation) in traffic(interval, 3_000, 9.0, 6).iter().enumerate() {
                learn(&mut model, observation);
                if index % 200 == 0 {
                    most = most.max(postcard::to_allocvec(&model).unwrap().len());
                }
            }
            assert!(most < 6 * 1_024 + 24 * 2_880, "{most} bytes in the opening");
            let settled = postcard::to_allocvec(&model).unwrap().len();
            assert!(settled < 6 * 1_024, "{settled} bytes at {interval} s");
        }
    }
}

/// Nominally one page a week at 70; pages may be rarer on clean noise, the higher of the two somewhat commoner.
#[test]
fn severity_on_pure_noise_is_within_bounds() {
    const WEEKS: i64 = 6;
    for config in calibrated(300, ValueKind::Count, Direction::Both) {
        let (mut pages, mut events, mut series_weeks) = (0, 0, 0);
        for seed in 0..12 {
            let (mut model, mut chance) = (config.start(), Chance(seed));
            let (mut last_page, mut last_event) = (-100, -100);
            for index in 0..WEEKS * 2_016 {
                let score = learn(&mut model, &at(300, index, chance.poisson(8.0)));
                let Some(score) = score.filter(|_| index > 2 * 2_016) else { continue };
                if score.severity() >= 70.0 {
                    pages += i32::from(index - last_page > 12);
                    last_page = index;
                }
                if score.severity().max(score.minor()) >= 70.0 {
                    events += i32::from(index - last_event > 12);
                    last_event = index;
                }
            }
            series_weeks += WEEKS - 2;
        }
        let per_week = |count: i32| f64::from(count) / series_weeks as f64;
        // Where one class is all there is, it keeps the rate of both. Novelty's is nominal: an upper bound.
        let most_pages = if matches!(config, DetectorConfig::Seasonal(_)) { 1.0 } else { 3.0 };
        assert!(per_week(pages) < most_pages, "{} pages a week: {config:?}", per_week(pages));
        let least = if matches!(config, DetectorConfig::Novelty(_)) { 0.0 } else { 0.1 };
        println!("{:.2} pages, {:.2} events a week: {config:?}", per_week(pages), per_week(events));
        assert!((least..3.0).contains(&per_week(events)), "{} events a week: {config:?}", per_week(events));
    }
}

#[test]
fn an_old_anomaly_is_not_normal_after_one_visit() {
    for config in seasonal(300, ValueKind::Count, Direction::Both) {
        let mut model = config.start();
        let mut severities = Vec::new();
        for (index, observation) in traffic(300, 30 * 288, 100.0, 7).iter().enumerate() {
            let visit = index % 288 == 150 && [22, 23, 29].contains(&(index / 288));
            let value = observation.value() * if visit { 3.0 } else { 1.0 };
            let observation = Observation::new(observation.civil_seconds(), value.round(), 1).unwrap();
            let score = learn(&mut model, &observation);
            severities.extend(score.filter(|_| visit).map(|score| score.severity()));
        }
        assert_eq!(severities.len(), 3);
        assert!(severities.iter().all(|severity| *severity >= 70.0), "{severities:?}");
    }
}

#[test]
fn a_permanent_shift_is_accepted_and_the_alarm_ends() {
    for factor in [0.5, 2.0] {
        for config in seasonal(300, ValueKind::Count, Direction::Both) {
            let mut model = config.start();
            let mut pages_by_day = vec![0; 38];
            let mut last = None;
            for (index, observation) in traffic(300, 38 * 288, 100.0, 8).iter().enumerate() {
                let shifted = index >= 28 * 288 + 144;
                let value = observation.value() * if shifted { factor } else { 1.0 };
                let observation = Observation::new(observation.civil_seconds(), value.round(), 1).unwrap();
                last = learn(&mut model, &observation);
                pages_by_day[index / 288] += i32::from(last.is_some_and(|score| score.severity() >= 70.0));
            }
            assert!(pages_by_day[28] > 0, "the shift by {factor} is found");
            assert!(pages_by_day[30..].iter().sum::<i32>() < 6, "{factor}: {pages_by_day:?}");
            let expected = last.unwrap().expected;
            assert!((expected / (50.0 * factor) - 1.0).abs() < 0.3, "{expected} at {factor}");
        }
    }
}

#[test]
fn an_outage_is_found() {
    for (interval, base, limit) in [(60, 30.0, 3), (300, 10.0, 12), (3_600, 200.0, 3)] {
        for config in seasonal(interval, ValueKind::Learned, Direction::Both) {
            let length = 28 * 86_400 / i64::from(interval);
            let mut model = config.start();
            for observation in traffic(interval, length, base, 9) {
                learn(&mut model, &observation);
            }
            let alarm = (0..limit).find_map(|window| {
                let score = learn(&mut model, &at(interval, length + window, 0.0)).unwrap();
                (score.severity() >= 70.0).then_some(score)
            });
            assert_eq!(alarm.map(|score| score.side), Some(Side::Drop), "{base} every {interval} s");
        }
    }
}
