//! Troubles of a small shop, and of a very large one: which incidents they become.

use std::collections::BTreeMap;

use tidewatch_detectors::{Reason, Score, Side, log10_rate_of_severity};

use super::{
    AnomalyTracker, Incident, IncidentBook, MonitorFacts, Reading, Updates, WindowView, merge::tests::facts,
    space::BAND_DEVIATIONS,
};
use crate::window::SliceKey;

const MEASURES: [&str; 3] = ["views", "carts", "orders"];
/// Expected per country and device.
const EXPECTED: [f64; 3] = [4_000.0, 800.0, 200.0];

/// Countries x two devices, with all roll-ups.
struct Shop {
    facts: MonitorFacts,
    slices: Vec<SliceKey>,
    countries: usize,
    tracker: AnomalyTracker,
    book: IncidentBook,
    window: i64,
}

impl Shop {
    fn new(countries: usize) -> Self {
        let mut facts = facts(&MEASURES);
        facts.dimensions = vec!["country".to_owned(), "device".to_owned()];
        let country = |number: usize| Some(format!("c{number}").into_boxed_str());
        let mut slices = vec![SliceKey(vec![None, None])];
        slices.extend((0..countries).map(|number| SliceKey(vec![country(number), None])));
        slices.extend(["d0", "d1"].map(|device| SliceKey(vec![None, Some(device.into())])));
        for number in 0..countries {
            slices.extend(["d0", "d1"].map(|device| SliceKey(vec![country(number), Some(device.into())])));
        }
        let (tracker, book) = (AnomalyTracker::default(), IncidentBook::default());
        Self { facts, slices, countries, tracker, book, window: 0 }
    }

    /// One window in which `factor` times the expected value comes in each country, device and measure.
    fn window(&mut self, factor: impl Fn(usize, usize, &str) -> f64) -> Updates {
        let mut sums = vec![[(0.0, 0.0); MEASURES.len()]; self.slices.len()];
        for country in 0..self.countries {
            for device in 0..2 {
                let leaf = 1 + self.countries + 2 + 2 * country + device;
                for (measure, name) in MEASURES.iter().enumerate() {
                    let expected = EXPECTED[measure];
                    let actual = (expected * factor(country, device, name)).round();
                    for slice in [0, 1 + country, 1 + self.countries + device, leaf] {
                        let sum = &mut sums[slice][measure];
                        *sum = (sum.0 + actual, sum.1 + expected);
                    }
                }
            }
        }
        let readings: Vec<Option<Reading>> =
            sums.iter().flatten().map(|(actual, expected)| Some(reading(*actual, *expected))).collect();
        let start_millis = self.window * 60_000;
        self.window += 1;
        let view = WindowView {
            facts: &self.facts,
            slices: &self.slices,
            readings: &readings,
            start_millis,
            end_millis: start_millis + 60_000,
        };
        let (changed, closed) = self.tracker.update(&view);
        self.book.update(&view, &changed, &closed)
    }

    fn open(&self) -> Vec<&Incident> {
        self.book.open().collect()
    }
}

/// A model that is right but for 3 %.
fn reading(actual: f64, expected: f64) -> Reading {
    let deviation = (expected + (0.03 * expected).powi(2)).sqrt();
    let sizes = (actual - expected).abs() / deviation;
    let severity = if sizes > BAND_DEVIATIONS + 1.0 { 70.0 + sizes.min(20.0) } else { 10.0 };
    let (lower, upper) = (expected - BAND_DEVIATIONS * deviation, expected + BAND_DEVIATIONS * deviation);
    let side = if actual < expected { Side::Drop } else { Side::Rise };
    let (page_log10_rate, minor_log10_rate) = (log10_rate_of_severity(severity), log10_rate_of_severity(1.0));
    let score =
        Score { expected, lower, upper, page_log10_rate, minor_log10_rate, side, reason: Reason::Quiet };
    Reading { actual, score: Some(score), expected: Some(expected) }
}

fn slice(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn one_fault_is_one_incident_over_levels_and_measures_with_its_funnel_step() {
    let mut shop = Shop::new(6);
    let broken = |country, device, measure: &str| {
        if (country, device) == (2, 1) && measure != "views" { 0.4 } else { 1.0 }
    };
    let opened = shop.window(broken);
    assert_eq!(opened.incidents.len(), 1);
    let incident = &opened.incidents[0];
    assert_eq!(incident.slices, [slice(&[("country", "c2"), ("device", "d1")])]);
    assert_eq!((incident.measure.as_str(), incident.broken_step.as_deref()), ("carts", Some("carts")));
    assert_eq!(incident.contributions["country"], BTreeMap::from([("c2".to_owned(), 100)]));
    assert!(incident.summary.ends_with("(320 instead of 800), views as expected"), "{}", incident.summary);
    assert!(incident.num_members > 2, "roll-ups and orders belong to it");
    for _ in 0..5 {
        shop.window(broken);
    }
    assert_eq!(shop.open()[0].impact.as_ref().unwrap().value, -6.0 * 480.0);
    for _ in 0..4 {
        shop.window(|_, _, _| 1.0);
    }
    assert!(shop.open().is_empty());
}

#[test]
fn two_unrelated_troubles_are_two_incidents_that_close_apart() {
    let mut shop = Shop::new(6);
    let first = |country| country == 1;
    shop.window(|country, _, _| if first(country) { 0.4 } else { 1.0 });
    let both = |country, _, _: &str| {
        if first(country) {
            0.4
        } else if country == 4 {
            2.5
        } else {
            1.0
        }
    };
    shop.window(both);
    shop.window(both);
    let told: Vec<_> = shop.open().iter().map(|one| (one.id.clone(), one.slices.clone())).collect();
    assert_eq!(
        told,
        [
            ("shop-1".to_owned(), vec![slice(&[("country", "c1")])]),
            ("shop-2".to_owned(), vec![slice(&[("country", "c4")])])
        ]
    );
    for _ in 0..5 {
        shop.window(|country, _, _| if country == 4 { 2.5 } else { 1.0 });
    }
    let left: Vec<&str> = shop.open().iter().map(|one| one.id.as_str()).collect();
    assert_eq!(left, ["shop-2"]);
}

#[test]
fn trouble_that_spreads_stays_one_incident() {
    let mut shop = Shop::new(6);
    shop.window(|country, _, _| if country == 3 { 0.5 } else { 1.0 });
    assert_eq!(shop.open()[0].slices, [slice(&[("country", "c3")])]);
    for _ in 0..3 {
        let updates = shop.window(|_, _, _| 0.5);
        assert_eq!(updates.incidents.len(), 1);
    }
    let open = shop.open();
    assert_eq!((open.len(), open[0].id.as_str(), &open[0].slices), (1, "shop-1", &vec![slice(&[])]));
}

#[test]
fn incidents_that_turn_out_to_be_one_are_merged_into_the_older() {
    let mut shop = Shop::new(6);
    shop.window(|country, _, _| if country == 1 { 0.4 } else { 1.0 });
    shop.window(|country, _, _| match country {
        1 => 0.4,
        4 => 2.5,
        _ => 1.0,
    });
    assert_eq!(shop.open().len(), 2);
    let updates = shop.window(|_, _, _| 0.3);
    let given_up: Vec<_> = updates
        .incidents
        .iter()
        .filter_map(|one| Some((one.id.as_str(), one.merged_into.as_deref()?)))
        .collect();
    assert_eq!(given_up, [("shop-2", "shop-1")]);
    assert_eq!(shop.open().len(), 1);
}

/// 33,000 slices x 3 measures; a restart in between changes nothing.
#[test]
fn an_outage_of_a_hundred_thousand_series_is_one_incident_within_one_window() {
    let mut shop = Shop::new(11_111);
    let updates = shop.window(|_, _, _| 0.0);
    assert_eq!(updates.incidents.len(), 1);
    let incident = &updates.incidents[0];
    assert_eq!((incident.slices.clone(), incident.num_members), (vec![slice(&[])], 3 * shop.slices.len()));
    assert_eq!(incident.broken_step.as_deref(), Some("views"));
    let saved = serde_json::to_string(&shop.book).unwrap();
    assert!(saved.len() < 8_000_000, "{} bytes", saved.len());
    let restored: IncidentBook = serde_json::from_str(&saved).unwrap();
    assert_eq!(restored, shop.book);
}
