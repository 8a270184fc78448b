//! A level that changes for good, and outages: what they cost in alarms, and what is learned after them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Chance, START};
use tidewatch_detectors::{
    DetectorConfig, Direction, LearnPolicy, Model, Observation, SeasonalConfig, ValueKind,
};

const DAY: f64 = 24.0;
const RATES: [f64; 3] = [5.0, 50.0, 500.0];
/// Alarms less than so many minutes apart are one.
const GAP: i64 = 60;

/// Counts a minute with a rhythm of the day and the week.
struct Series {
    model: Model,
    chance: Chance,
    per_minute: f64,
    minute: i64,
    alarmed: i64,
}

/// What some hours of a series brought.
struct Run {
    alarms: usize,
    /// Minutes to the first severity of 70, the first counted as 1.
    delay: Option<i64>,
    /// The sum of what was expected to that of the true means.
    expected: f64,
    /// When it was loudest, in days, and how loud.
    loudest: (f64, f64),
}

impl Series {
    /// Four weeks old, on a Wednesday at ten.
    fn settled(per_minute: f64, seed: u64) -> Self {
        let config = SeasonalConfig::new(60, ValueKind::Count, Direction::Both).unwrap();
        let model = DetectorConfig::Seasonal(config).start();
        let mut series = Self { model, chance: Chance(seed), per_minute, minute: 0, alarmed: -GAP };
        series.run(30.0 * DAY + 10.0, 1.0);
        series
    }

    fn run(&mut self, hours: f64, factor: f64) -> Run {
        let mut run = Run { alarms: 0, delay: None, expected: 0.0, loudest: (0.0, 0.0) };
        let mut means = 0.0;
        for since in 1..=(60.0 * hours) as i64 {
            let day = (self.minute % 1_440) as f64 / 1_440.0;
            let weekend = (self.minute / 1_440) % 7 >= 5;
            let usual = (0.3 + 4.2 * day * (1.0 - day)) * if weekend { 0.8 } else { 1.0 };
            let mean = self.per_minute * usual * factor;
            let count = if mean > 30.0 {
                (mean + mean.sqrt() * self.chance.normal()).round()
            } else {
                self.chance.poisson(mean)
            };
            let observation = Observation::new(START + self.minute * 60, count, count as u64).unwrap();
            self.minute += 1;
            let Some(score) = self.model.observe(&observation, LearnPolicy::Learn) else { continue };
            run.expected += score.expected;
            means += mean;
            if score.severity() > run.loudest.1 {
                run.loudest = (since as f64 / 1_440.0, score.severity());
            }
            if score.severity() >= 70.0 {
                run.alarms += usize::from(self.minute - self.alarmed > GAP);
                run.delay = run.delay.or(Some(since));
                self.alarmed = self.minute;
            }
        }
        run.expected /= means;
        run
    }
}

#[test]
fn a_shift_for_good_alarms_at_most_twice_and_is_learned_within_two_days() {
    let mut later = Vec::new();
    for (per_minute, seed) in RATES.into_iter().flat_map(|rate| [1, 2, 3].map(|seed| (rate, seed))) {
        let mut series = Series::settled(per_minute, seed);
        let place = format!("{per_minute} a minute, seed {seed}");
        let first = series.run(2.0 * DAY, 0.6);
        assert!(first.alarms <= 2, "{place}: {} alarms", first.alarms);
        for days in [5.0, 7.0] {
            let run = series.run(days * DAY, 0.6);
            assert!((0.97..1.03).contains(&run.expected), "{place}: {}", run.expected);
            later.extend((run.alarms > 0).then(|| format!("{place}: {:?}", run.loudest)));
        }
        let outage = series.run(1.0, 0.0);
        assert!(outage.delay.is_some_and(|minutes| minutes <= 10), "{place}: {:?}", outage.delay);
    }
    // Chance alone: severity 70 promises no more than one a week on each of the nine.
    assert!(later.len() <= 1, "{later:?}");
}

#[test]
fn an_outage_is_not_learned_and_the_next_one_is_found() {
    for (per_minute, slowest) in RATES.into_iter().zip([8, 2, 2]) {
        let mut series = Series::settled(per_minute, 7);
        for outage in 0..3 {
            let place = format!("{per_minute} a minute, outage {outage}");
            let found = series.run(2.0, 0.0);
            assert_eq!(found.alarms, 1, "{place}");
            assert!(found.delay.is_some_and(|minutes| minutes <= slowest), "{place}: {:?}", found.delay);
            let after = series.run(22.0, 1.0);
            assert_eq!(after.alarms, 0, "{place}: what comes back is no alarm");
            assert!((0.94..1.06).contains(&after.expected), "{place}: {} of the usual", after.expected);
        }
    }
}
