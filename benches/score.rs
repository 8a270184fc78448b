//! Scoring: nanoseconds per observation, score and learn together, at several numbers of series on one core.
//!
//! `cargo bench --bench score`. The items/s column is observations per second.

use divan::{Bencher, counter::ItemsCount};
use tidewatch_detectors::{
    DetectorConfig, Direction, LearnPolicy, Model, Observation, SeasonalConfig, ValueKind,
};

fn main() {
    divan::main();
}

const MINUTES_PER_DAY: i64 = 1_440;

/// A day's rhythm with noise from a fixed generator; counts around `level`.
fn value(series: usize, minute: i64, level: f64) -> f64 {
    let phase = (minute % MINUTES_PER_DAY) as f64 / MINUTES_PER_DAY as f64;
    let seed = (minute as u64).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(series as u64);
    let noise = (seed >> 33) as f64 / f64::from(1_u32 << 31) - 0.5;
    (level * (1.0 + 0.6 * (phase * std::f64::consts::TAU).sin()) + noise * level.sqrt() * 3.4)
        .max(0.0)
        .round()
}

/// Models that have learned two days, so that nothing is still warming up.
fn warm_models(count: usize) -> Vec<Model> {
    let config = SeasonalConfig::new(60, ValueKind::Count, Direction::Both).expect("valid");
    let mut model = DetectorConfig::Seasonal(config).start();
    for minute in 0..2 * MINUTES_PER_DAY {
        let observation = Observation::new(minute * 60, value(0, minute, 50.0), 50).expect("finite");
        model.observe(&observation, LearnPolicy::Learn);
    }
    vec![model; count]
}

#[divan::bench(args = [100, 1_000, 10_000, 100_000], sample_count = 10, sample_size = 1)]
fn score_and_learn(bencher: Bencher<'_, '_>, series: usize) {
    let mut models = warm_models(series);
    let mut minute = 2 * MINUTES_PER_DAY;
    bencher.counter(ItemsCount::new(series)).bench_local(|| {
        minute += 1;
        let mut highest = 0.0_f64;
        for (index, model) in models.iter_mut().enumerate() {
            let observation = Observation::new(minute * 60, value(index, minute, 50.0), 50).expect("finite");
            let score = model.observe(&observation, LearnPolicy::Learn);
            highest = highest.max(score.map_or(0.0, |score| score.severity()));
        }
        highest
    });
}
