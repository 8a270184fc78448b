//! The cost of an observation, beside two published crates on the same data in the same run, on one core.
//!
//! `cargo bench -p tidewatch-detectors --bench peers`. Items are observations. `krcflib` is AWS's random cut
//! forest at its own defaults for one series (30 trees of 256 points here, shingle 4); `mstl` is augurs'
//! decomposition, which is fitted to a stretch at once: its cost is spread over the observations of the stretch.

use augurs::{Fit, mstl::MSTLModel};
use divan::{Bencher, counter::ItemsCount};
use rcflib::rcf::{RCFBuilder, RCFOptionsBuilder};
use tidewatch_detectors::{
    DetectorConfig, Direction, ForestConfig, LearnPolicy, Model, NoveltyConfig, Observation, SeasonalConfig,
    ValueKind,
};

fn main() {
    divan::main();
}

const MINUTES_PER_DAY: i64 = 1_440;

/// A day's rhythm with noise from a fixed generator.
fn value(series: usize, minute: i64) -> f64 {
    let phase = (minute % MINUTES_PER_DAY) as f64 / MINUTES_PER_DAY as f64;
    let seed = (minute as u64).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(series as u64);
    let noise = (seed >> 33) as f64 / f64::from(1_u32 << 31) - 0.5;
    (50.0 * (1.0 + 0.6 * (phase * std::f64::consts::TAU).sin()) + noise * 24.0).max(0.0).round()
}

/// Models that have learned `days`, so that nothing is still warming up.
fn warm(config: DetectorConfig, count: usize, days: i64) -> Vec<Model> {
    let mut model = config.start();
    for minute in 0..days * MINUTES_PER_DAY {
        let observation = Observation::new(minute * 60, value(0, minute), 50).expect("finite");
        model.observe(&observation, LearnPolicy::Learn);
    }
    vec![model; count]
}

fn run(bencher: Bencher<'_, '_>, config: DetectorConfig, series: usize) {
    let mut models = warm(config, series, 3);
    let mut minute = 3 * MINUTES_PER_DAY;
    bencher.counter(ItemsCount::new(series)).bench_local(|| {
        minute += 1;
        let mut highest = 0.0_f64;
        for (index, model) in models.iter_mut().enumerate() {
            let observation = Observation::new(minute * 60, value(index, minute), 50).expect("finite");
            let score = model.observe(&observation, LearnPolicy::Learn);
            highest = highest.max(score.map_or(0.0, |score| score.severity()));
        }
        highest
    });
}

#[divan::bench(args = [10_000, 1_000_000], sample_count = 5, sample_size = 1)]
fn seasonal(bencher: Bencher<'_, '_>, series: usize) {
    let config = SeasonalConfig::new(60, ValueKind::Count, Direction::Both).expect("valid");
    run(bencher, DetectorConfig::Seasonal(config), series);
}

#[divan::bench(args = [10_000], sample_count = 5, sample_size = 1)]
fn novelty(bencher: Bencher<'_, '_>, series: usize) {
    let config = NoveltyConfig::new(60, ValueKind::Count, Direction::Both, true).expect("valid");
    run(bencher, DetectorConfig::Novelty(config), series);
}

#[divan::bench(args = [1_000, 10_000], sample_count = 10, sample_size = 1)]
fn forest(bencher: Bencher<'_, '_>, series: usize) {
    let config = ForestConfig::new(60, Direction::Both, 1).expect("valid");
    run(bencher, DetectorConfig::Forest(config), series);
}

#[divan::bench(args = [100], sample_count = 10, sample_size = 1)]
fn krcflib(bencher: Bencher<'_, '_>, series: usize) {
    let mut forests: Vec<_> = (0..series)
        .map(|index| {
            let mut forest = RCFBuilder::new(1, 4)
                .tree_capacity(256)
                .number_of_trees(30)
                .random_seed(1)
                .parallel_enabled(false)
                .internal_shingling(true)
                .build_default()
                .expect("valid");
            for minute in 0..1_000 {
                forest.update(&[value(index, minute) as f32], 0).expect("one value");
            }
            forest
        })
        .collect();
    let mut minute = 1_000;
    bencher.counter(ItemsCount::new(series)).bench_local(|| {
        minute += 1;
        let mut highest = 0.0_f64;
        for (index, forest) in forests.iter_mut().enumerate() {
            let point = [value(index, minute) as f32];
            let score = forest.score(&point).expect("one value");
            forest.update(&point, 0).expect("one value");
            highest = highest.max(score);
        }
        highest
    });
}

/// One fit to a week of five-minute windows, with a season of a day.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn mstl(bencher: Bencher<'_, '_>) {
    let week: Vec<f64> = (0..2_016).map(|window| value(0, window * 5)).collect();
    bencher
        .counter(ItemsCount::new(week.len()))
        .bench_local(|| MSTLModel::naive(vec![288]).fit(&week[..]).is_ok());
}
