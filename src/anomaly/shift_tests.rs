//! A level that changes for good, and outages, from counts to alerts: detectors, anomalies, incidents and rules together.

use std::collections::BTreeMap;

use tidewatch_detectors::{
    DetectorConfig, Direction, LearnPolicy, Model, Observation, SeasonalConfig, ValueKind,
};

use super::{
    Alert, AlertKind, AlertRule, AnomalyTracker, Incident, IncidentBook, MonitorFacts, Reading, Threshold,
    WindowView, merge::tests::facts,
};
use crate::window::SliceKey;

const WIDTH: i64 = 300;
const HOUR: i64 = 3_600 / WIDTH;
const DAY: i64 = 24 * HOUR;
/// A Monday, midnight.
const START: i64 = 1_699_228_800;
/// Of the whole shop that are in each country.
const SHARES: [f64; 2] = [0.6, 0.4];

/// Views and a tenth as many orders of two countries, with a daily rhythm.
struct Shop {
    facts: MonitorFacts,
    slices: [SliceKey; 3],
    models: Vec<Model>,
    tracker: AnomalyTracker,
    book: IncidentBook,
    views_per_minute: f64,
    window: i64,
    chance: u64,
    incidents: BTreeMap<String, Incident>,
    alerts: Vec<Alert>,
}

impl Shop {
    /// A shop that has been watched for four weeks, on a Wednesday at ten.
    fn settled(views_per_minute: f64) -> Self {
        let mut facts = facts(&["views", "orders"]);
        facts.funnel = vec![0, 1];
        facts.calm_windows = 3;
        facts.rules = vec![AlertRule::new(Threshold::Severity(70.0), vec!["mail".to_owned()])];
        let config = SeasonalConfig::new(WIDTH as u32, ValueKind::Count, Direction::Both)
            .expect("five minutes are an interval");
        let country = |name: &str| SliceKey(vec![Some(name.into())]);
        let mut shop = Self {
            facts,
            slices: [SliceKey(vec![None]), country("DE"), country("FR")],
            models: vec![DetectorConfig::Seasonal(config).start(); 6],
            tracker: AnomalyTracker::default(),
            book: IncidentBook::default(),
            views_per_minute,
            window: 0,
            chance: 7,
            incidents: BTreeMap::new(),
            alerts: Vec::new(),
        };
        shop.run(30 * DAY + 10 * HOUR, 1.0);
        shop.incidents.clear();
        shop.alerts.clear();
        shop
    }

    /// Runs windows at a multiple of the usual; says what the models expected of what was to be expected.
    fn run(&mut self, windows: i64, factor: f64) -> f64 {
        let (mut expected, mut true_mean) = (0.0, 0.0);
        for _ in 0..windows {
            let day = (self.window % DAY) as f64 / DAY as f64;
            let whole = self.views_per_minute * 5.0 * (0.3 + 4.2 * day * (1.0 - day)) * factor;
            let mut counts = [0.0; 6];
            for (country, share) in SHARES.into_iter().enumerate() {
                for (measure, part) in [0.9, 0.1].into_iter().enumerate() {
                    let count = self.count(whole * share * part);
                    counts[measure] += count;
                    counts[2 * (country + 1) + measure] = count;
                }
            }
            let readings = self.judge(counts);
            expected += readings[0].and_then(|reading| reading.expected).unwrap_or_default();
            true_mean += whole * 0.9;
            self.close(&readings);
        }
        expected / true_mean
    }

    fn judge(&mut self, counts: [f64; 6]) -> Vec<Option<Reading>> {
        let at = START + self.window * WIDTH;
        let judged = self.models.iter_mut().zip(counts).map(|(model, actual)| {
            let observation = Observation::new(at, actual, actual as u64)?;
            let score = model.observe(&observation, LearnPolicy::Learn);
            Some(Reading { actual, score, expected: score.map(|score| score.expected) })
        });
        judged.collect()
    }

    fn close(&mut self, readings: &[Option<Reading>]) {
        let start_millis = (START + self.window * WIDTH) * 1_000;
        self.window += 1;
        let view = WindowView {
            facts: &self.facts,
            slices: &self.slices,
            readings,
            start_millis,
            end_millis: start_millis + WIDTH * 1_000,
        };
        let (changed, closed) = self.tracker.update(&view);
        let updates = self.book.update(&view, &changed, &closed);
        self.alerts.extend(updates.alerts);
        self.incidents.extend(updates.incidents.into_iter().map(|one| (one.id.clone(), one)));
    }

    /// Nearly Poisson.
    fn count(&mut self, mean: f64) -> f64 {
        let mut sum = -6.0;
        for _ in 0..12 {
            self.chance =
                self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.chance >> 11) as f64 / 9_007_199_254_740_992.0;
        }
        (mean + mean.sqrt() * sum).round().max(0.0)
    }

    /// Incidents that page, and alerts that something is off, since the last call.
    fn told(&mut self) -> (Vec<Incident>, usize) {
        let rising = |alert: &Alert| matches!(alert.kind, AlertKind::Opened | AlertKind::Escalated);
        let alerts = std::mem::take(&mut self.alerts).iter().filter(|alert| rising(alert)).count();
        let incidents = std::mem::take(&mut self.incidents).into_values();
        (incidents.filter(|one| one.severity.peak >= 70.0).collect(), alerts)
    }
}

#[test]
fn a_shift_for_good_is_one_incident_of_two_alerts_and_is_normal_from_then_on() {
    for views_per_minute in [50.0, 500.0, 5_000.0] {
        let mut shop = Shop::settled(views_per_minute);
        shop.run(2 * DAY, 0.6);
        let (incidents, alerts) = shop.told();
        let what: Vec<&str> = incidents.iter().map(|one| one.summary.as_str()).collect();
        assert!(incidents.len() == 1 && alerts <= 2, "{views_per_minute}: {alerts} of {what:?}");
        assert!(incidents[0].is_closed(), "{views_per_minute}: it is accepted: {what:?}");
        let loss = 1.0 - incidents[0].actual / incidents[0].expected;
        // Less than it is: what is expected moves on while the level is being accepted.
        assert!((0.25..0.5).contains(&loss), "{views_per_minute}: the numbers are of the shift: {what:?}");
        shop.run(5 * DAY, 0.6);
        let learned = shop.run(7 * DAY, 0.6);
        assert_eq!(shop.told(), (Vec::new(), 0), "{views_per_minute}: nothing after it was accepted");
        assert!((0.97..1.03).contains(&learned), "{views_per_minute}: {learned}");
        shop.run(2 * HOUR, 0.2);
        assert!(shop.told().1 > 0, "{views_per_minute}: what breaks at the new level is found");
    }
}

#[test]
fn an_outage_is_not_learned_and_the_next_one_is_found() {
    for views_per_minute in [50.0, 500.0, 5_000.0] {
        let mut shop = Shop::settled(views_per_minute);
        for outage in 0..3 {
            shop.run(3 * HOUR, 0.0);
            shop.run(2 * HOUR, 1.0);
            let (incidents, alerts) = shop.told();
            let what: Vec<&str> = incidents.iter().map(|one| one.summary.as_str()).collect();
            let place = format!("{views_per_minute}, outage {outage}: {alerts} of {what:?}");
            assert!(incidents.len() == 1 && (1..=2).contains(&alerts), "{place}");
            assert!(incidents[0].is_closed(), "{place}");
            let began = (START + (shop.window - 5 * HOUR) * WIDTH) * 1_000;
            assert_eq!(incidents[0].opened_millis, began, "{place}");
            assert!(incidents[0].until_millis <= began + 4 * HOUR * WIDTH * 1_000, "{place}");
            assert!(incidents[0].summary.contains("views at zero"), "{place}");
            let after = shop.run(19 * HOUR, 1.0);
            assert!((0.95..1.05).contains(&after), "{place}: expected {after} of the usual on the day after");
            shop.told();
        }
    }
}
