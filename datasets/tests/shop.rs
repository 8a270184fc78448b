//! What the shop promises about its events: bytes, order, rate, rhythm, journeys, JSON.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date, tz::TimeZoneDatabase};
use tidewatch_datasets::shop::{COUNTRIES, DEVICES, EventKind, FaultPlan, Shop, ShopConfig, ShopEvent};

fn millis(utc: &str) -> i64 {
    utc.parse::<Timestamp>().unwrap().as_millisecond()
}

fn config(seed: u64, start: &str, days: u32, rate: f64) -> ShopConfig {
    ShopConfig { seed, start_millis: millis(start), days, rate, faults: FaultPlan::None }
}

fn bytes(config: &ShopConfig, num_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for event in Shop::new(config) {
        event.write_json(&mut out);
        out.push(b'\n');
        if out.len() >= num_bytes {
            break;
        }
    }
    out.truncate(num_bytes);
    out
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// A change of this digest changes every recorded run: say so in the changelog.
#[test]
fn same_seed_same_bytes_as_ever() {
    let faults = FaultPlan::Seeded { per_week: 5.0 };
    let config = ShopConfig { faults, ..config(42, "2026-03-01T00:00:00Z", 7, 60.0) };
    let first = bytes(&config, 2_000_000);
    assert_eq!(first.len(), 2_000_000);
    assert_eq!(first, bytes(&config, 2_000_000));
    assert_eq!(fnv1a(&first), 0x9E9B_31A2_E18E_EE04, "digest {:#018X}", fnv1a(&first));
    assert_ne!(first, bytes(&ShopConfig { seed: 43, ..config }, 2_000_000));
}

#[test]
fn a_run_can_be_taken_up_anywhere() {
    let config = config(5, "2026-03-01T00:00:00Z", 1, 20.0);
    let all: Vec<ShopEvent> = Shop::new(&config).collect();
    for k in [0, 1, 999, 12_345, all.len() - 1] {
        let mut resumed = Shop::new(&config);
        assert_eq!(resumed.nth(k), Some(all[k]));
        assert!(resumed.eq(all[k + 1..].iter().copied()), "after {k}");
    }
    assert_eq!(Shop::new(&config).nth(all.len()), None);
}

#[test]
fn times_are_in_order_and_inside_the_run() {
    // A start in the middle of a minute, before 1970.
    let config = ShopConfig { start_millis: -12_345_678, ..config(1, "2026-03-01T00:00:00Z", 2, 50.0) };
    let mut last = config.start_millis;
    for event in Shop::new(&config) {
        assert!(last <= event.time_millis);
        last = event.time_millis;
    }
    let end = config.start_millis + 2 * 86_400_000;
    assert!(end - 60_000 < last && last < end);
}

#[test]
fn the_rate_is_honoured_over_a_week() {
    for (seed, start, rate) in [
        (1, "2026-03-01T00:00:00Z", 100.0),
        (2, "2026-06-17T11:30:00Z", 60.0),
        (3, "2025-10-20T00:00:00Z", 30.0),
    ] {
        let count = Shop::new(&config(seed, start, 7, rate)).count() as f64;
        let relative = count / (rate * 7.0 * 1440.0);
        assert!((relative - 1.0).abs() < 0.03, "seed {seed}: {relative}");
    }
    assert_eq!(Shop::new(&config(1, "2026-03-01T00:00:00Z", 7, 0.0)).count(), 0);
    assert_eq!(Shop::new(&config(1, "2026-03-01T00:00:00Z", 7, f64::NAN)).count(), 0);
    assert_eq!(Shop::new(&config(1, "2026-03-01T00:00:00Z", 0, 9.0)).count(), 0);
}

#[test]
fn shares_and_conversions_are_as_published() {
    let mut views: BTreeMap<&str, f64> = BTreeMap::new();
    let mut kinds = [0.0; 3];
    for event in Shop::new(&config(8, "2026-03-02T00:00:00Z", 7, 80.0)) {
        kinds[event.kind as usize] += 1.0;
        if event.kind == EventKind::PageView {
            *views.entry(event.country).or_default() += 1.0;
        }
    }
    for &(country, _, share) in COUNTRIES {
        let seen = views[country] / kinds[0];
        assert!((seen / share - 1.0).abs() < 0.06, "{country}: {seen}");
    }
    let (carts, orders) = (kinds[1] / kinds[0], kinds[2] / kinds[0]);
    assert!((0.07..0.12).contains(&carts) && (0.02..0.04).contains(&orders), "{carts} {orders}");
}

/// Each country peaks in its own evening and sleeps in its own night, also across a change of the clocks.
#[test]
fn each_country_lives_in_its_own_time() {
    let database = TimeZoneDatabase::bundled();
    let zones: BTreeMap<&str, _> =
        COUNTRIES.iter().map(|&(code, zone, _)| (code, database.get(zone).unwrap())).collect();
    let mut hours: BTreeMap<&str, [u32; 24]> = BTreeMap::new();
    let mut evening_mobile = [[0.0; 2]; 2];
    for event in Shop::new(&config(4, "2026-03-23T00:00:00Z", 14, 60.0)) {
        let instant = Timestamp::from_millisecond(event.time_millis).unwrap();
        let hour = zones[event.country].to_datetime(instant).hour() as usize;
        hours.entry(event.country).or_default()[hour] += 1;
        let part = usize::from((20..23).contains(&hour));
        if part == 1 || (10..16).contains(&hour) {
            evening_mobile[part][usize::from(event.device == "mobile")] += 1.0;
        }
    }
    let peaks = [("US", 20), ("DE", 20), ("GB", 20), ("FR", 20), ("JP", 21), ("BR", 20)];
    for (country, peak) in peaks {
        let of_hour = |hour: usize| hours[country][hour % 24];
        let highest = (0..24).max_by_key(|&hour| of_hour(hour)).unwrap();
        let lowest = (0..24).min_by_key(|&hour| of_hour(hour)).unwrap();
        assert!((peak - 1..=peak + 1).contains(&highest), "{country} peaks at {highest}");
        assert!((2..=5).contains(&lowest), "{country} sleeps at {lowest}");
        assert!(of_hour(highest) > 4 * of_hour(lowest), "{country}");
    }
    let share = |part: [f64; 2]| part[1] / (part[0] + part[1]);
    assert!(share(evening_mobile[1]) > share(evening_mobile[0]) + 0.05, "{evening_mobile:?}");
}

/// The newsletter is a sharp edge at 10:00 local time: 09:00 UTC in Berlin's winter, 08:00 in summer.
#[test]
fn daylight_saving_keeps_the_local_hour() {
    for (start, edge) in
        [("2026-03-24T06:00:00Z", "2026-03-24T09:00:00Z"), ("2026-03-31T06:00:00Z", "2026-03-31T08:00:00Z")]
    {
        let edge = millis(edge);
        let config = config(6, start, 1, 1000.0);
        let germans = Shop::new(&config).take_while(|event| event.time_millis < edge + 600_000);
        let (mut before, mut after) = (0.0, 0.0);
        for event in germans.filter(|event| event.country == "DE" && event.time_millis >= edge - 600_000) {
            *if event.time_millis < edge { &mut before } else { &mut after } += 1.0;
        }
        assert!((1.2..1.55).contains(&(after / before)), "{start}: {before} {after}");
    }
}

#[test]
fn a_long_run_has_one_announced_promotion_weekend() {
    assert!(Shop::new(&config(1, "2026-03-01T00:00:00Z", 27, 1.0)).promotions().is_empty());
    for seed in 0..20 {
        let shop = Shop::new(&config(seed, "2026-03-01T00:00:00Z", 35, 1.0));
        let [promotion] = shop.promotions() else { panic!("seed {seed}: {:?}", shop.promotions()) };
        assert!(promotion.start_millis >= millis("2026-03-15T00:00:00Z"));
        assert!(promotion.end_millis <= millis("2026-04-05T00:00:00Z"));
        // Saturday begins in Japan; Sunday ends in Brazil or the US.
        let first = Timestamp::from_millisecond(promotion.start_millis + 9 * 3_600_000).unwrap();
        let local: Date = jiff::tz::TimeZone::UTC.to_datetime(first).date();
        assert_eq!(local.weekday(), jiff::civil::Weekday::Saturday);
    }
}

#[test]
fn carts_and_orders_follow_earlier_steps_of_the_same_visitor() {
    let mut seen: BTreeSet<(u8, u64)> = BTreeSet::new();
    let (mut followed, mut all) = (0, 0);
    for event in Shop::new(&config(3, "2026-03-01T12:00:00Z", 1, 60.0)) {
        let step = event.kind as u8;
        if step > 0 {
            all += 1;
            followed += usize::from(seen.contains(&(step - 1, event.visitor_id)));
        }
        seen.insert((step, event.visitor_id));
    }
    assert!(followed * 100 > all * 97, "{followed} of {all}");
}

#[test]
fn json_reads_back() {
    let config = config(9, "2026-03-01T00:00:00Z", 1, 40.0);
    let (mut line, mut num_bytes, mut num_events, mut ids) = (Vec::new(), 0, 0, BTreeSet::new());
    for event in Shop::new(&config).take(20_000) {
        line.clear();
        event.write_json(&mut line);
        num_bytes += line.len();
        num_events += 1;
        let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
        check_json(&json, &event);
        if let Some(order) = event.order {
            assert!(ids.insert(order.id) && order.items >= 1 && order.total_cents > 0);
        }
    }
    assert!(ids.len() > 200);
    assert!((165..215).contains(&(num_bytes / num_events)), "{} bytes", num_bytes / num_events);
}

fn check_json(json: &serde_json::Value, event: &ShopEvent) {
    let time = json["event_time"].as_str().unwrap();
    assert_eq!((time.len(), millis(time)), (24, event.time_millis));
    assert_eq!(json["type"], event.kind.as_str());
    assert_eq!(json["visitor_id"], format!("v{:07}", event.visitor_id));
    assert_eq!(json["geo"], serde_json::json!({ "country": event.country }));
    assert_eq!(json["device"], event.device);
    assert!(DEVICES.contains(&event.device));
    assert_eq!(json["page"], event.page);
    assert_eq!(json["session_id"].as_str().unwrap().len(), 17);
    let num_fields = json.as_object().unwrap().len();
    match (event.kind, event.order, event.checkout_millis) {
        (EventKind::Purchase, Some(order), Some(checkout_millis)) => {
            assert_eq!(num_fields, 9);
            assert_eq!(json["order"]["id"], format!("o{}", order.id));
            assert_eq!((json["order"]["total"].as_f64().unwrap() * 100.0).round() as u64, order.total_cents);
            assert_eq!(json["order"]["items"], order.items);
            assert_eq!(json["checkout_ms"], checkout_millis);
        }
        (EventKind::PageView | EventKind::AddToCart, None, None) => assert_eq!(num_fields, 7),
        other => panic!("{other:?}"),
    }
}
