//! Ratios with known denominators: thin segments stay quiet, and a halved share in a busy one is found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Chance, START};
use tidewatch_detectors::{
    DetectorConfig, Direction, LearnPolicy, Model, Observation, Score, SeasonalConfig, Side, ValueKind,
};

const DAY: i64 = 288;
const SHARE: f64 = 0.03;

fn start() -> Model {
    DetectorConfig::Seasonal(SeasonalConfig::new(300, ValueKind::Ratio, Direction::Both).unwrap()).start()
}

/// One window of `views` in the mean, with a daily rhythm; at small shares orders are nearly a Poisson number.
fn window(model: &mut Model, index: i64, views: f64, share: f64, chance: &mut Chance) -> Option<Score> {
    let day = (index % DAY) as f64 / DAY as f64;
    let views = (views * (0.4 + 4.8 * day * (1.0 - day)) + chance.normal()).round().max(1.0);
    let orders = chance.poisson(views * share).min(views);
    let observation = Observation::new(START + index * 300, orders / views, orders as u64).unwrap();
    model.observe(&observation.with_weight(views).unwrap(), LearnPolicy::Learn)
}

#[test]
fn clean_thin_ratios_stay_under_the_nominal_rate() {
    let (mut pages, mut series_weeks) = (0, 0);
    for seed in 0..200_u64 {
        let views = 20.0 * 100_f64.powf(seed as f64 / 199.0);
        let (mut model, mut chance, mut last) = (start(), Chance(seed), -100);
        for index in 0..8 * 7 * DAY {
            let score = window(&mut model, index, views, SHARE, &mut chance);
            if score.is_some_and(|score| score.severity() >= 70.0) {
                pages += i32::from(index - last > 12);
                last = index;
            }
        }
        series_weeks += 8;
    }
    assert!(pages < series_weeks, "{pages} pages in {series_weeks} series-weeks");
}

#[test]
fn a_halved_share_of_a_busy_slice_is_found() {
    for seed in 0..10 {
        let (mut model, mut chance) = (start(), Chance(1_000 + seed));
        let mut found = false;
        for index in 0..28 * DAY + 144 + 12 {
            let share = if index >= 28 * DAY + 144 { 0.5 * SHARE } else { SHARE };
            let score = window(&mut model, index, 2_000.0, share, &mut chance);
            found |= index >= 28 * DAY + 144
                && score.is_some_and(|score| {
                    assert!((score.expected / SHARE - 1.0).abs() < 0.5 && score.lower <= score.expected);
                    score.severity() >= 70.0 && score.side == Side::Drop
                });
        }
        assert!(found, "seed {seed}");
    }
}
