//! What series made of single events know: closing hours, their edges, and sums whose tail is heavy.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Chance, START};
use tidewatch_detectors::{
    DetectorConfig, Direction, LearnPolicy, Model, Observation, Score, SeasonalConfig, Side, ValueKind,
};

const WEEK: i64 = 168;

fn start(kind: ValueKind) -> Model {
    DetectorConfig::Seasonal(SeasonalConfig::new(3_600, kind, Direction::Both).unwrap()).start()
}

fn learn(model: &mut Model, hour: i64, value: f64) -> Option<Score> {
    model.observe(&Observation::new(START + hour * 3_600, value, 1).unwrap(), LearnPolicy::Learn)
}

/// Orders an hour of a shop that opens from 9 to 17 o'clock, but not on Saturdays. `START` is a Monday.
fn orders_due(hour: i64) -> f64 {
    let (weekday, hour) = (hour.div_euclid(24).rem_euclid(7), hour.rem_euclid(24));
    if weekday != 5 && (9..17).contains(&hour) { 6.0 } else { 0.0 }
}

/// What a number of orders is worth together: half of all orders are small, one in a thousand is a hundred times
/// as large.
fn worth(orders: f64, chance: &mut Chance) -> f64 {
    (0..orders as u32).map(|_| 20.0 * (1.0 - chance.uniform()).powf(-1.0 / 1.5)).sum()
}

fn is_page(score: Option<Score>, side: Side) -> bool {
    score.is_some_and(|score| score.severity() >= 70.0 && score.side == side)
}

/// Pages on one side between two weeks, those closer than four hours as one.
fn pages(
    kind: ValueKind,
    seed: u64,
    from: i64,
    to: i64,
    side: Side,
    value: impl Fn(f64, &mut Chance) -> f64,
) -> u32 {
    let (mut model, mut chance, mut pages, mut last) = (start(kind), Chance(seed), 0, i64::MIN / 2);
    for hour in 0..to * WEEK {
        let due = orders_due(hour);
        let orders = if due > 0.0 { chance.poisson(due) } else { 0.0 };
        let score = learn(&mut model, hour, value(orders, &mut chance));
        if hour >= from * WEEK && is_page(score, side) {
            pages += u32::from(hour - last > 4);
            last = hour;
        }
    }
    pages
}

#[test]
fn a_closed_day_raises_nothing_from_the_first_week_on() {
    for seed in 0..6 {
        let drops = pages(ValueKind::Events, seed, 0, 30, Side::Drop, |orders, _| orders);
        assert!(drops <= 1, "{drops} pages in 30 weeks, seed {seed}");
    }
}

#[test]
fn a_shop_that_should_be_open_and_is_not_is_found() {
    let (mut model, mut chance) = (start(ValueKind::Events), Chance(3));
    for hour in 0..8 * WEEK {
        let due = orders_due(hour);
        learn(&mut model, hour, if due > 0.0 { chance.poisson(due) } else { 0.0 });
    }
    let found = (8 * WEEK..8 * WEEK + 17).any(|hour| is_page(learn(&mut model, hour, 0.0), Side::Drop));
    assert!(found, "a closed Monday");
}

#[test]
fn a_few_orders_after_closing_time_raise_nothing() {
    let (mut model, mut chance) = (start(ValueKind::Events), Chance(4));
    for hour in 0..12 * WEEK + 17 {
        let due = orders_due(hour);
        learn(&mut model, hour, if due > 0.0 { chance.poisson(due) } else { 0.0 });
    }
    let mut plain = start(ValueKind::Count);
    let mut chance = Chance(4);
    for hour in 0..12 * WEEK + 17 {
        let due = orders_due(hour);
        learn(&mut plain, hour, if due > 0.0 { chance.poisson(due) } else { 0.0 });
    }
    let late = learn(&mut model, 12 * WEEK + 17, 6.0).unwrap();
    assert!(late.severity() < 70.0, "{late:?}");
    assert!(late.severity() < learn(&mut plain, 12 * WEEK + 17, 6.0).unwrap().severity());
    let many = learn(&mut model, 12 * WEEK + 18, 60.0).unwrap();
    assert!(many.severity() > 70.0, "{many:?}");
}

#[test]
fn sums_with_a_heavy_tail_keep_to_about_their_budget() {
    let (mut kept, mut plain) = (0, 0);
    for seed in 0..6 {
        kept += pages(ValueKind::Amounts, seed, 12, 52, Side::Rise, worth);
        plain += pages(ValueKind::Continuous, seed, 12, 52, Side::Rise, worth);
    }
    // 0.25 a week and side: 60 in 240 weeks.
    assert!((30..=90).contains(&kept), "{kept} pages");
    assert!(plain > 2 * kept, "{plain} and {kept}");
}

#[test]
fn a_giant_order_is_found_all_the_same() {
    let (mut model, mut chance) = (start(ValueKind::Amounts), Chance(5));
    let mut largest = 0.0_f64;
    for hour in 0..40 * WEEK + 10 {
        let due = orders_due(hour);
        let orders = if due > 0.0 { chance.poisson(due) } else { 0.0 };
        let value = worth(orders, &mut chance);
        largest = largest.max(value);
        learn(&mut model, hour, value);
    }
    let score = learn(&mut model, 40 * WEEK + 10, 3.0 * largest);
    assert!(is_page(score, Side::Rise), "{score:?}");
}

#[test]
fn a_series_that_never_closes_is_judged_as_a_plain_count() {
    for rate in [0.5, 5.0, 20.0] {
        let (mut events, mut count) = (start(ValueKind::Events), start(ValueKind::Count));
        let mut chance = Chance(6);
        for hour in 0..6 * WEEK {
            let value = chance.poisson(rate);
            assert_eq!(learn(&mut events, hour, value), learn(&mut count, hour, value), "{rate} an hour");
        }
    }
}
