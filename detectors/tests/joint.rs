//! Joint detectors on a shop's funnel: how often they speak without a cause, and what they find that no single
//! series shows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::Chance;
use tidewatch_detectors::{
    DetectorConfig, Direction, JointConfig, JointKind, JointObservation, LearnPolicy, Observation,
    SeasonalConfig, ValueKind,
};

const DAY: i64 = 288;
const WEEK: i64 = 7 * DAY;
/// An hour of windows: events closer than that are one.
const APART: i64 = 12;

/// Views, carts and orders of one slice: a rhythm, a swing that all three share, and chance of their own.
struct Funnel {
    chance: Chance,
    /// Views of a window at noon.
    views: f64,
    swing: f64,
}

impl Funnel {
    fn new(seed: u64, views: f64) -> Self {
        Self { chance: Chance(seed), views, swing: 0.0 }
    }

    fn count(&mut self, mean: f64) -> f64 {
        if mean < 50.0 {
            return self.chance.poisson(mean);
        }
        (mean + mean.sqrt() * self.chance.normal()).round().max(0.0)
    }

    /// The window at `index`; its orders are `conversion` times the usual.
    fn window(&mut self, index: i64, conversion: f64) -> Vec<Option<f64>> {
        self.swing = 0.95 * self.swing + 0.05 * self.chance.normal();
        let day = (index % DAY) as f64 / DAY as f64;
        let weekend = if index % WEEK >= 5 * DAY { 1.3 } else { 1.0 };
        let mean = self.views * weekend * (0.1 + 3.6 * day * (1.0 - day)) * self.swing.exp();
        let views = self.count(mean);
        let carts = self.count(0.2 * views);
        let orders = self.count(0.4 * carts * conversion);
        vec![Some(views), Some(carts), Some(orders)]
    }
}

fn seasonal() -> tidewatch_detectors::Model {
    DetectorConfig::Seasonal(SeasonalConfig::new(300, ValueKind::Count, Direction::Both).unwrap()).start()
}

/// False events at severity 70 in `weeks` weeks after the first two, those an hour apart.
fn false_events(kind: JointKind, seed: u64, views: f64, weeks: i64) -> u32 {
    let mut funnel = Funnel::new(seed, views);
    let mut model = JointConfig::new(kind, 300, vec![ValueKind::Count; 3], seed).unwrap().start();
    let (mut events, mut last) = (0, -APART);
    for index in 0..(2 + weeks) * WEEK {
        let values = funnel.window(index, 1.0);
        let observation = JointObservation::new(index * 300, &values).unwrap();
        let score = model.observe(&observation, LearnPolicy::Learn);
        if index >= 2 * WEEK && score.is_some_and(|score| score.score.severity() >= 70.0) {
            events += u32::from(index - last >= APART);
            last = index;
        }
    }
    events
}

/// Nominal is one a week at 70.
#[test]
fn a_clean_funnel_is_quiet() {
    for kind in [JointKind::Mixture, JointKind::Components] {
        let (mut total, mut worst, mut weeks) = (0, 0, 0);
        for seed in 0..12 {
            let views = 50.0 * 100_f64.powf(seed as f64 / 11.0);
            let events = false_events(kind, seed, views, 4);
            (total, worst, weeks) = (total + events, worst.max(events), weeks + 4);
        }
        let rate = f64::from(total) / f64::from(weeks);
        println!(
            "{kind:?}: {rate:.2} false events a series-week at 70, worst series {:.2}",
            f64::from(worst) / 4.0
        );
        assert!(rate <= 2.0, "{kind:?}: {rate} a week");
        assert!(worst <= 12, "{kind:?}: {worst} in four weeks");
    }
}

/// Of 12 hours in which orders fall by 30 % while traffic goes on: those with a joint alarm, and those in which the
/// orders by themselves alarm as loudly.
fn found(kind: JointKind, views: f64) -> (u32, u32) {
    let (mut joint, mut single) = (0, 0);
    for seed in 0..12 {
        let mut funnel = Funnel::new(100 + seed, views);
        let mut model = JointConfig::new(kind, 300, vec![ValueKind::Count; 3], seed).unwrap().start();
        let mut orders = seasonal();
        let broken = 4 * WEEK + 2 * DAY + 150;
        let (mut heard_joint, mut heard_single) = (false, false);
        for index in 0..broken + APART {
            let is_broken = index >= broken;
            let values = funnel.window(index, if is_broken { 0.7 } else { 1.0 });
            let observation = JointObservation::new(index * 300, &values).unwrap();
            let score = model.observe(&observation, LearnPolicy::Learn);
            let alone = Observation::new(index * 300, values[2].unwrap(), 1).unwrap();
            let alone = orders.observe(&alone, LearnPolicy::Learn);
            heard_joint |= is_broken && score.is_some_and(|score| score.score.severity() >= 70.0);
            heard_single |= is_broken && alone.is_some_and(|score| score.severity() >= 70.0);
        }
        (joint, single) = (joint + u32::from(heard_joint), single + u32::from(heard_single));
    }
    (joint, single)
}

#[test]
fn a_broken_relation_is_found_where_the_series_alone_is_within_its_swing() {
    for kind in [JointKind::Mixture, JointKind::Components] {
        let (joint, single) = found(kind, 3_000.0);
        println!("{kind:?}: {joint} of 12 found, {single} by the orders alone");
        assert!(joint >= 9, "{kind:?}: {joint} of 12, {single} by the orders alone");
    }
}
