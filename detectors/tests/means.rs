//! Means and quantiles of numbers of which there are few or many: thin windows stay quiet, and what a busy one
//! shows is found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Chance, START};
use tidewatch_detectors::{
    DetectorConfig, Direction, LearnPolicy, Model, Observation, Score, SeasonalConfig, Side, ValueKind,
};

const DAY: i64 = 288;
/// Of the logarithm of one number: heavy to the right, as durations are.
const SPREAD: f64 = 0.8;

fn start(kind: ValueKind) -> Model {
    DetectorConfig::Seasonal(SeasonalConfig::new(300, kind, Direction::Both).unwrap()).start()
}

/// What a window shows of its numbers.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Mean,
    Quantile(f64),
}

struct Numbers {
    chance: Chance,
    /// In a window at noon; at night there are a twentieth.
    many: f64,
    of: Of,
    /// Added to every number.
    base: f64,
}

impl Numbers {
    fn new(seed: u64, many: f64, of: Of) -> Self {
        Self { chance: Chance(seed), many, of, base: 0.0 }
    }

    /// How many numbers window `index` has in the mean.
    fn rhythm(&self, index: i64) -> f64 {
        let day = (index % DAY) as f64 / DAY as f64;
        self.many * (0.05 + 3.8 * day * (1.0 - day))
    }

    /// A window whose numbers are all `factor` times the usual; `None` where there is none.
    fn window(&mut self, index: i64, factor: f64) -> Option<Observation> {
        let count = self.chance.poisson(self.rhythm(index).min(400.0)) as usize;
        let mut numbers: Vec<f64> =
            (0..count).map(|_| self.base + factor * 200.0 * (SPREAD * self.chance.normal()).exp()).collect();
        numbers.sort_by(f64::total_cmp);
        let value = match self.of {
            Of::Mean => numbers.iter().sum::<f64>() / count as f64,
            Of::Quantile(share) => *numbers.get((share * count as f64) as usize)?,
        };
        Observation::new(START + index * 300, value, count as u64)?.with_weight(count as f64)
    }
}

/// Pages and false events of either class, those an hour apart, by hours with few numbers and by others.
#[derive(Debug, Default)]
struct Events {
    thin: u32,
    busy: u32,
    pages: u32,
}

fn clean(kind: ValueKind, of: Of, base: f64) -> (Events, u32) {
    let (mut events, mut series_weeks) = (Events::default(), 0);
    for seed in 0..8_u64 {
        let mut numbers = Numbers { base, ..Numbers::new(seed, 20.0 * 20_f64.powf(seed as f64 / 7.0), of) };
        let (mut model, mut last, mut last_page) = (start(kind), -100, -100);
        for index in 0..5 * 7 * DAY {
            let Some(observation) = numbers.window(index, 1.0) else { continue };
            let Some(score) = model.observe(&observation, LearnPolicy::Learn) else { continue };
            if score.severity() >= 70.0 {
                events.pages += u32::from(index - last_page > 12);
                last_page = index;
            }
            if score.severity().max(score.minor()) < 70.0 {
                continue;
            }
            if index - last > 12 {
                let is_thin = numbers.rhythm(index) < 0.3 * numbers.many;
                *(if is_thin { &mut events.thin } else { &mut events.busy }) += 1;
            }
            last = index;
        }
        series_weeks += 5;
    }
    (events, series_weeks)
}

#[test]
fn clean_means_and_quantiles_keep_to_the_nominal_rate() {
    for (of, name) in [(Of::Mean, "mean"), (Of::Quantile(0.5), "median"), (Of::Quantile(0.95), "p95")] {
        let (events, weeks) = clean(ValueKind::Mean, of, 0.0);
        let (before, _) = clean(ValueKind::Continuous, of, 0.0);
        println!("{name} in {weeks} series-weeks: {events:?}; without their numbers {before:?}");
        assert!(events.pages < weeks / 4, "{name}: {events:?}");
        assert!(events.thin + events.busy < 2 * weeks, "{name}: {events:?}");
        assert!(events.thin + events.busy < before.thin + before.busy, "{name}: {events:?}, {before:?}");
    }
}

#[test]
fn means_below_zero_are_worked_on_alike() {
    let (events, weeks) = clean(ValueKind::Mean, Of::Mean, -400.0);
    assert!(events.pages < weeks / 4 && events.thin + events.busy < 2 * weeks, "{events:?}");
    let mut numbers = Numbers { base: -400.0, ..Numbers::new(77, 200.0, Of::Mean) };
    let mut model = start(ValueKind::Mean);
    let mut newest: Option<Score> = None;
    for index in 0..21 * DAY + 144 {
        let observation = numbers.window(index, 1.0).unwrap();
        newest = model.observe(&observation, LearnPolicy::Learn);
    }
    let score = newest.unwrap();
    let usual = -400.0 + 200.0 * (SPREAD * SPREAD / 2.0).exp();
    assert!((score.expected - usual).abs() < 20.0, "{score:?} for {usual}");
    assert!(score.lower < score.expected && score.expected < score.upper);
}

/// Hours at one and a half times the usual, from `start` of a day on; how many are found.
fn found(kind: ValueKind, of: Of, start_window: i64) -> u32 {
    let mut found = 0;
    for seed in 0..10 {
        let mut numbers = Numbers::new(1_000 + seed, 200.0, of);
        let mut model = start(kind);
        let first = 28 * DAY + start_window;
        let mut seen = false;
        for index in 0..first + 12 {
            let factor = if index >= first { 1.5 } else { 1.0 };
            let Some(observation) = numbers.window(index, factor) else { continue };
            let score = model.observe(&observation, LearnPolicy::Learn);
            let loud = |score: Score| score.severity() >= 70.0 && score.side == Side::Rise;
            seen |= index >= first && score.is_some_and(loud);
        }
        found += u32::from(seen);
    }
    found
}

#[test]
fn a_slow_hour_of_a_busy_checkout_is_found() {
    for of in [Of::Mean, Of::Quantile(0.5), Of::Quantile(0.95)] {
        let (now, before) = (found(ValueKind::Mean, of, 144), found(ValueKind::Continuous, of, 144));
        println!("at noon {now} of 10 pages, without their numbers {before}");
        // The highest numbers of a window say the least.
        let least = if of == Of::Quantile(0.95) { 5 } else { 9 };
        assert!(now >= least && now > before, "{now}, {before}");
    }
}

#[test]
fn saving_and_loading_in_the_first_days_leaves_no_trace() {
    let mut numbers = Numbers { base: -100.0, ..Numbers::new(5, 60.0, Of::Mean) };
    let mut model = start(ValueKind::Mean);
    let mut restored = model.clone();
    for index in 0..3 * DAY {
        let Some(observation) = numbers.window(index, 1.0) else { continue };
        if index % 97 == 50 {
            restored = postcard::from_bytes(&postcard::to_allocvec(&restored).unwrap()).unwrap();
            assert_eq!(restored, model);
        }
        let scores = [&mut model, &mut restored].map(|model| model.observe(&observation, LearnPolicy::Learn));
        assert_eq!(scores[0], scores[1]);
    }
}
