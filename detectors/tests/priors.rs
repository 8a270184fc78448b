//! A new series that starts from the rhythm of another against one that starts from nothing, on the same values.
//! Run with `--nocapture` for the figures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Chance, START};
use tidewatch_detectors::{
    DetectorConfig, Direction, LearnPolicy, Model, Observation, SeasonalConfig, ValueKind,
};

const WIDTH: i64 = 300;
const PER_DAY: i64 = 86_400 / WIDTH;
const CHILDREN: u64 = 40;

fn start() -> Model {
    let config = SeasonalConfig::new(WIDTH as u32, ValueKind::Count, Direction::Both).unwrap();
    DetectorConfig::Seasonal(config).start()
}

/// Mean 1 over a week, more or less: a trough at 4, a peak at 16, weaker weekends. `turn` shifts it by hours.
fn shape(window: i64, turn: f64) -> f64 {
    let hour = (window % PER_DAY) as f64 * 24.0 / PER_DAY as f64;
    let weekend = if window / PER_DAY % 7 >= 5 { 0.7 } else { 1.0 };
    weekend * (1.0 - 0.75 * ((hour - 4.0 - turn) * std::f64::consts::TAU / 24.0).cos())
}

fn observe(model: &mut Model, window: i64, value: f64) -> Option<tidewatch_detectors::Score> {
    let observation = Observation::new(START + window * WIDTH, value, value as u64).unwrap();
    model.observe(&observation, LearnPolicy::Learn)
}

fn parent() -> Model {
    let (mut model, mut chance) = (start(), Chance(1));
    for window in 0..28 * PER_DAY {
        let mean = 400.0 * shape(window, 0.0);
        observe(&mut model, window, (mean + mean.sqrt() * chance.normal()).round());
    }
    model
}

/// What the first week of many new series shows.
#[derive(Debug, Default)]
struct Week {
    /// Mean absolute logarithm of expected over true, by day.
    errors: [f64; 7],
    /// Of halved hours at peak and trough of each day, how many reach severity 70 in either class.
    found: [usize; 7],
    /// Windows in which severity 70 of either class begins, without a fault.
    false_events: usize,
}

fn first_week(from: &Model, level: f64, turn: f64) -> Week {
    let mut week = Week::default();
    for child in 0..CHILDREN {
        let (mut model, mut chance) = (from.clone(), Chance(100 + child));
        let first = (28 + child as i64 % 7) * PER_DAY + (child as i64 * 37) % PER_DAY;
        let mut loud = false;
        for age in 0..7 * PER_DAY {
            let (window, day) = (first + age, (age / PER_DAY) as usize);
            let mean = level * shape(window, turn);
            let hour = (window % PER_DAY) as f64 * 24.0 / PER_DAY as f64;
            if [4.0, 16.0].contains(&(hour - turn)) {
                week.found[day] += usize::from(finds_half(&model, window, level, turn, child));
            }
            let score = observe(&mut model, window, chance.poisson(mean));
            let Some(score) = score else { continue };
            week.errors[day] += (score.expected / mean).ln().abs() / (CHILDREN as f64 * PER_DAY as f64);
            let is_loud = score.severity().max(score.minor()) >= 70.0;
            week.false_events += usize::from(is_loud && !loud);
            loud = is_loud;
        }
    }
    week
}

/// Whether an hour at half the mean is seen by a copy of the model.
fn finds_half(model: &Model, window: i64, level: f64, turn: f64, child: u64) -> bool {
    let (mut model, mut chance) = (model.clone(), Chance(9_000 + child + window as u64));
    (window..window + 12).any(|window| {
        let score = observe(&mut model, window, chance.poisson(0.5 * level * shape(window, turn)));
        score.is_some_and(|score| score.severity().max(score.minor()) >= 70.0)
    })
}

#[test]
fn a_lent_rhythm_judges_the_first_week_better_at_no_more_false_alarms() {
    let lent = parent().start_like().unwrap();
    for level in [1.0, 3.0, 20.0] {
        let (own, borrowed) = (first_week(&start(), level, 0.0), first_week(&lent, level, 0.0));
        println!("level {level}: own {own:.3?}\nlevel {level}: borrowed {borrowed:.3?}");
        let sum = |errors: &[f64; 7]| errors.iter().sum::<f64>();
        assert!(sum(&borrowed.errors) < sum(&own.errors), "expected values are nearer");
        let found = [&borrowed, &own].map(|week| week.found.iter().sum::<usize>());
        assert!(found[0] + 5 >= found[1], "no less is found");
        assert!(borrowed.false_events <= own.false_events + 2, "no more false alarms in {CHILDREN} weeks");
    }
}

#[test]
fn a_rhythm_that_does_not_fit_is_outgrown() {
    let lent = parent().start_like().unwrap();
    for level in [1.0, 20.0] {
        let (own, borrowed) = (first_week(&start(), level, 6.0), first_week(&lent, level, 6.0));
        println!(
            "six hours off, level {level}: own {own:.3?}\nsix hours off, level {level}: borrowed {borrowed:.3?}"
        );
        assert!(borrowed.errors[6] < 1.2 * own.errors[6], "own days take over");
        assert!(borrowed.false_events <= own.false_events + 2, "in {CHILDREN} weeks");
    }
}

#[test]
fn only_who_knows_the_week_lends() {
    assert!(start().start_like().is_none());
    let lent = parent().start_like().unwrap();
    assert!(lent.learning().is_some() && lent.start_like().is_none(), "nothing is passed on unlearned");
    let text = serde_json::to_string(&lent).unwrap();
    assert_eq!(serde_json::from_str::<Model>(&text).unwrap(), lent);
    let binary = postcard::to_allocvec(&lent).unwrap();
    assert_eq!(postcard::from_bytes::<Model>(&binary).unwrap(), lent);
}
