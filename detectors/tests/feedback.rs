//! What people say about alarms: what it silences and what not, that it can be undone and previewed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Chance, START};
use tidewatch_detectors::{
    Detector, DetectorConfig, Direction, Entry, Feedback, LearnPolicy, Model, Observation, Reason, Said,
    SeasonalConfig, Side, ValueKind, preview, rebuild,
};

const DAY: i64 = 288;
/// When an event begins: Monday 14:00 of its week or later.
const AT: i64 = 14 * 12;
const HOUR: i64 = 12;
const SHOPS: usize = 6;

/// Five-minute counts with a rhythm of the day, and events put into them.
struct Shop {
    model: Model,
    chance: Chance,
    index: i64,
}

/// The highest severities of an event and the half hour after it.
struct Heard {
    page: f64,
    minor: f64,
    reason: Reason,
}

impl Shop {
    fn new(seed: u64) -> Self {
        let config = SeasonalConfig::new(300, ValueKind::Count, Direction::Both).unwrap();
        let model = DetectorConfig::Seasonal(config).start();
        let mut shop = Self { model, chance: Chance(seed), index: 0 };
        shop.run(21 * DAY, 1.0);
        shop
    }

    /// The next observation, at `factor` times the usual.
    fn next(&mut self, factor: f64) -> Observation {
        let day = (self.index.rem_euclid(DAY)) as f64 / DAY as f64;
        let mean = 250.0 * (0.4 + 4.8 * day * (1.0 - day)) * factor;
        let value = (mean + mean.sqrt() * self.chance.normal() + 0.5).floor().max(0.0);
        let observation = Observation::new(START + self.index * 300, value, value as u64).unwrap();
        self.index += 1;
        observation
    }

    fn take(&mut self, length: i64, factor: f64) -> Vec<Observation> {
        (0..length).map(|_| self.next(factor)).collect()
    }

    fn run(&mut self, length: i64, factor: f64) -> Heard {
        let mut heard = Heard { page: 0.0, minor: 0.0, reason: Reason::Quiet };
        for _ in 0..length {
            let observation = self.next(factor);
            let Some(score) = self.model.observe(&observation, LearnPolicy::Learn) else { continue };
            if score.severity() > heard.page {
                (heard.page, heard.reason) = (score.severity(), score.reason);
            }
            heard.minor = heard.minor.max(score.minor());
        }
        heard
    }

    /// An event of `length` at two in the afternoon of a later day.
    fn event(&mut self, length: i64, factor: f64) -> Heard {
        let until = (DAY + AT - self.index.rem_euclid(DAY)).rem_euclid(DAY) + 2 * DAY;
        self.run(until, 1.0);
        self.run(length, factor)
    }
}

fn is_loud(heard: &Heard) -> bool {
    heard.page >= 70.0 || heard.minor >= 70.0
}

const EXPECTED: Feedback = Feedback::Expected { side: Side::Rise };

#[test]
fn three_marks_silence_a_class_of_bumps_and_nothing_else() {
    let (mut later, mut still, mut loud) = (0_u32, 0_u32, [0; 3]);
    for seed in 0..SHOPS as u64 {
        let mut shop = Shop::new(100 + seed);
        for mark in 0..3 {
            assert!(is_loud(&shop.event(HOUR, 1.6)) || mark > 0, "unmarked bumps are found");
            assert!(shop.model.apply(&EXPECTED));
        }
        for _ in 0..4 {
            let heard = shop.event(HOUR, 1.6);
            later += 1;
            still += u32::from(is_loud(&heard));
            assert!(heard.page < 60.0 || is_loud(&heard), "kept just below");
        }
        for (found, (length, factor)) in loud.iter_mut().zip([(HOUR, 4.0), (HOUR, 0.5), (5 * HOUR, 1.6)]) {
            let heard = shop.event(length, factor);
            *found += usize::from(if length == HOUR { heard.page >= 70.0 } else { is_loud(&heard) });
        }
    }
    assert!(f64::from(still) <= 0.1 * f64::from(later), "{still} of {later} bumps still speak");
    assert_eq!(loud, [SHOPS; 3], "giants, dips and longer ones speak");
}

#[test]
fn a_silenced_alarm_stays_in_sight_and_says_why() {
    let mut shop = Shop::new(7);
    shop.event(HOUR, 1.6);
    shop.model.apply(&EXPECTED);
    let heard = shop.event(HOUR, 1.6);
    assert_eq!(heard.reason, Reason::Expected);
    assert!(heard.page > 59.0 && heard.page < 60.0 && heard.minor < 60.0, "{} {}", heard.page, heard.minor);
}

#[test]
fn a_running_alarm_falls_silent_at_once_for_its_whole_length() {
    let mut shop = Shop::new(8);
    shop.event(3, 1.6);
    shop.model.apply(&EXPECTED);
    let heard = shop.run(4 * HOUR, 1.6);
    assert!(!is_loud(&heard), "{} {}", heard.page, heard.minor);
}

#[test]
fn an_alarm_in_numbers_silences_its_like_elsewhere_until_it_expires() {
    let mut shop = Shop::new(20);
    assert_eq!(shop.model.last_alarm(Side::Rise), None);
    shop.event(HOUR, 1.6);
    let alarm = shop.model.last_alarm(Side::Rise).unwrap();
    assert!(alarm.height > 0.3 && alarm.height < 0.8 && alarm.length >= 6, "{alarm:?}");
    let mut other = Shop::new(21);
    let expires = Some(START + (other.index + 10 * DAY) * 300);
    assert!(other.model.hear(&Said { feedback: EXPECTED, about: Some(alarm), expires }));
    let heard = other.event(HOUR, 1.6);
    assert!(!is_loud(&heard) && heard.reason == Reason::Expected, "{} {}", heard.page, heard.minor);
    other.run(10 * DAY, 1.0);
    assert!(is_loud(&other.event(HOUR, 1.6)), "found again after it expired");
}

#[test]
fn a_missed_incident_lowers_the_thresholds_of_its_side() {
    let mut shop = Shop::new(22);
    let before = upper_edge(&shop);
    assert!(shop.model.apply(&Feedback::Missed { side: Side::Rise }));
    assert!(upper_edge(&shop) < before);
}

#[test]
fn without_an_event_there_is_nothing_to_mark() {
    let mut shop = Shop::new(9);
    shop.run(DAY, 1.0);
    let before = shop.model.clone();
    let side = Side::Rise;
    for feedback in [Feedback::Expected { side }, Feedback::FalseAlarm { side }, Feedback::Confirmed { side }]
    {
        assert!(!shop.model.apply(&feedback), "{feedback:?}");
    }
    assert!(before == shop.model);
}

/// The upper edge of the band at the next observation, as a measure of the thresholds.
fn upper_edge(shop: &Shop) -> f64 {
    let observation = Observation::new(START + shop.index * 300, 400.0, 1).unwrap();
    shop.model.score(&observation).score.unwrap().upper
}

#[test]
fn confirmed_alarms_do_not_raise_thresholds_and_false_ones_do_twice() {
    let mut upper = Vec::new();
    for feedback in [
        Some(Feedback::Confirmed { side: Side::Rise }),
        None,
        Some(Feedback::FalseAlarm { side: Side::Rise }),
    ] {
        let mut shop = Shop::new(10);
        for _ in 0..6 {
            shop.event(HOUR, 3.0);
            shop.run(HOUR, 1.0);
            if let Some(feedback) = feedback {
                assert!(shop.model.apply(&feedback));
                assert_eq!(shop.model.apply(&feedback), feedback != Feedback::Confirmed { side: Side::Rise });
            }
        }
        upper.push(upper_edge(&shop));
    }
    assert!(upper[0] <= upper[1] && upper[1] <= upper[2] && upper[0] < upper[2], "{upper:?}");
}

#[test]
fn undo_is_exact() {
    let mut shop = Shop::new(11);
    let before = shop.model.clone();
    let mut log: Vec<Entry> = Vec::new();
    let observed = |observation| Entry::Observed(observation, LearnPolicy::Learn);
    let feedback = [
        Feedback::Confirmed { side: Side::Rise },
        Feedback::FalseAlarm { side: Side::Rise },
        Feedback::Expected { side: Side::Rise },
        Feedback::NewNormal,
    ];
    for said in feedback {
        log.extend(shop.take(DAY, 1.0).into_iter().map(observed));
        log.extend(shop.take(HOUR, 2.0).into_iter().map(observed));
        log.push(Entry::Said(said));
    }
    log.extend(shop.take(DAY, 1.0).into_iter().map(observed));
    let with_all = rebuild(before.clone(), &log);
    for (place, said) in log.iter().enumerate().filter(|(_, entry)| matches!(entry, Entry::Said(_))) {
        let mut never: Vec<Entry> = log.clone();
        never.remove(place);
        let fold = |entries: &[Entry]| serde_json::to_string(&rebuild(before.clone(), entries)).unwrap();
        let others = log.iter().enumerate().filter(|(index, _)| *index != place).map(|(_, entry)| entry);
        let undone = rebuild(before.clone(), others);
        assert_eq!(serde_json::to_string(&undone).unwrap(), fold(&never));
        // A pardoned step would have faded by itself within a day.
        let fades = matches!(said, Entry::Said(Feedback::Confirmed { .. }));
        assert!(fades || undone != with_all, "{said:?} had an effect");
    }
}

#[test]
fn a_preview_changes_nothing_and_tells_what_happens() {
    let mut shop = Shop::new(12);
    shop.event(HOUR, 1.6);
    let before = shop.model.clone();
    let mut later = shop.take(2 * DAY, 1.0);
    later.extend(shop.take(HOUR, 1.6));
    later.extend(shop.take(DAY, 1.0));
    let crossings = preview(&shop.model, &later, &EXPECTED);
    assert!(before == shop.model);
    assert!(!crossings.is_empty());

    let (mut plain, mut told) = (before.clone(), before);
    told.apply(&EXPECTED);
    let loud = |model: &mut Model, observation| {
        let score = model.observe(observation, LearnPolicy::Learn).unwrap();
        (score.severity() >= 70.0, score.minor() >= 70.0)
    };
    let seen: Vec<usize> = later
        .iter()
        .enumerate()
        .filter(|(_, observation)| loud(&mut plain, observation) != loud(&mut told, observation))
        .map(|(index, _)| index)
        .collect();
    assert_eq!(crossings.iter().map(|crossing| crossing.index).collect::<Vec<_>>(), seen);
}

#[test]
fn a_new_normal_ends_an_alarm_at_once() {
    for (seed, factor) in [(13, 0.6), (14, 1.7), (15, 0.05), (16, 0.0)] {
        let mut shop = Shop::new(seed);
        assert!(is_loud(&shop.event(HOUR, factor)));
        assert!(shop.model.apply(&Feedback::NewNormal));
        let heard = shop.run(DAY, factor);
        assert!(!is_loud(&heard), "times {factor}: {} {} {:?}", heard.page, heard.minor, heard.reason);
    }
}

#[test]
fn feedback_is_saved_with_the_model() {
    let mut shop = Shop::new(17);
    shop.event(HOUR, 1.6);
    shop.model.apply(&EXPECTED);
    let saved = postcard::to_allocvec(&shop.model).unwrap();
    let loaded: Model = postcard::from_bytes(&saved).unwrap();
    assert!(loaded == shop.model);
    assert!(saved.len() < 4_096, "{}", saved.len());
}
