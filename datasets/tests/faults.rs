//! What the shop promises about its faults: they touch their slice, their measure and what follows from
//! it, by their size, and a seeded plan keeps its distances.

use std::sync::OnceLock;

use tidewatch_datasets::shop::{
    EventKind, Fault, FaultKind, FaultPlan, Shop, ShopConfig, ShopEvent, truth_json,
};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn fault(measure: &'static str, slice: &[(&'static str, &'static str)], size: f64) -> Fault {
    Fault {
        start_millis: START + 15 * HOUR,
        end_millis: START + 19 * HOUR,
        measure,
        slice: slice.to_vec(),
        kind: FaultKind::Drop,
        size,
    }
}

fn config(faults: FaultPlan) -> ShopConfig {
    ShopConfig { seed: 11, start_millis: START, days: 1, rate: 200.0, faults }
}

fn events(faults: Vec<Fault>) -> Vec<ShopEvent> {
    Shop::new(&config(FaultPlan::Given(faults))).collect()
}

fn healthy() -> &'static [ShopEvent] {
    static EVENTS: OnceLock<Vec<ShopEvent>> = OnceLock::new();
    EVENTS.get_or_init(|| events(vec![]))
}

fn is_inside(event: &ShopEvent, fault: &Fault) -> bool {
    (fault.start_millis..fault.end_millis).contains(&event.time_millis)
        && fault.covers(event.country, event.device)
}

/// Events inside the fault by kind, and the sum of their order totals and checkout times.
fn inside(events: &[ShopEvent], fault: &Fault) -> [f64; 5] {
    let mut sums = [0.0; 5];
    for event in events.iter().filter(|event| is_inside(event, fault)) {
        sums[event.kind as usize] += 1.0;
        sums[3] += event.order.map_or(0.0, |order| order.total_cents as f64);
        sums[4] += event.checkout_millis.map_or(0.0, f64::from);
    }
    sums
}

/// In the fault's slice without the visitor, who may be one that the fault let through or kept away.
fn outside(events: &[ShopEvent], fault: &Fault) -> Vec<ShopEvent> {
    let kept = events.iter().filter(|event| !is_inside(event, fault));
    kept.map(|event| {
        if fault.covers(event.country, event.device) {
            ShopEvent { visitor_id: 0, page: "", ..*event }
        } else {
            *event
        }
    })
    .collect()
}

/// Checks that a fault scales views, carts, orders, order value and checkout time as given.
fn check(measure: &'static str, slice: &[(&'static str, &'static str)], size: f64, expected: [f64; 5]) {
    let fault = fault(measure, slice, size);
    let healthy = healthy();
    let broken = events(vec![fault.clone()]);
    assert_eq!(outside(healthy, &fault), outside(&broken, &fault), "{measure} {slice:?}: outside");
    let (before, after) = (inside(healthy, &fault), inside(&broken, &fault));
    let mean = |sums: &[f64; 5], index: usize| if index < 3 { sums[index] } else { sums[index] / sums[2] };
    for (index, &factor) in expected.iter().enumerate() {
        if after[2] == 0.0 && index > 2 {
            continue;
        }
        let seen = mean(&after, index) / mean(&before, index);
        let noise = if factor == 1.0 && measure != "*" && index < 3 {
            0.0
        } else {
            4.0 / before[index.min(2)].sqrt()
        };
        assert!((seen - factor).abs() <= factor * noise.min(0.5), "{measure} {slice:?} [{index}]: {seen}");
    }
}

#[test]
fn a_fault_flows_down_the_funnel_and_nowhere_else() {
    let germany = [("country", "DE")];
    let british_mobile = [("country", "GB"), ("device", "mobile")];
    check("views", &germany, -0.5, [0.5, 0.5, 0.5, 1.0, 1.0]);
    check("carts", &[("device", "desktop")], -0.6, [1.0, 0.4, 0.4, 1.0, 1.0]);
    check("orders", &british_mobile, -0.9, [1.0, 1.0, 0.1, 1.0, 1.0]);
    check("revenue", &germany, -0.4, [1.0, 1.0, 1.0, 0.6, 1.0]);
    check("checkout", &[], 1.5, [1.0, 1.0, 1.0, 1.0, 2.5]);
    check("*", &british_mobile, 1.0, [2.0, 2.0, 2.0, 1.0, 1.0]);
}

#[test]
fn an_outage_is_silence() {
    check("*", &[], -1.0, [0.0, 0.0, 0.0, 1.0, 1.0]);
    check("views", &[("country", "JP")], -3.0, [0.0, 0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn a_payment_fault_leaves_carts_byte_for_byte() {
    let fault = fault("orders", &[], -0.8);
    let broken = events(vec![fault]);
    let carts = |events: &[ShopEvent]| -> Vec<ShopEvent> {
        events.iter().filter(|event| event.kind != EventKind::Purchase).copied().collect()
    };
    assert_eq!(carts(healthy()), carts(&broken));
}

#[test]
fn unknown_names_change_nothing() {
    let odd = vec![
        fault("clicks", &[], -1.0),
        fault("*", &[("browser", "x")], -1.0),
        fault("*", &[("country", "XX")], -1.0),
    ];
    assert!(events(odd.clone()) == healthy());
    let shop = Shop::new(&config(FaultPlan::Given(odd.clone())));
    assert_eq!(shop.truth(), odd);
}

#[test]
fn overlapping_faults_multiply() {
    let [us, mobile] =
        [fault("views", &[("country", "US")], -0.5), fault("views", &[("device", "mobile")], -0.5)];
    let both = fault("views", &[("country", "US"), ("device", "mobile")], -0.75);
    let seen = inside(&events(vec![us, mobile]), &both)[0] / inside(healthy(), &both)[0];
    assert!((seen - 0.25).abs() < 0.02, "{seen}");
}

fn planned(seed: u64, days: u32, rate: f64, per_week: f64) -> Shop {
    let faults = FaultPlan::Seeded { per_week };
    Shop::new(&ShopConfig { seed, start_millis: START, days, rate, faults })
}

#[test]
fn a_seeded_plan_keeps_its_promises() {
    let mut kinds = std::collections::BTreeMap::new();
    let mut sliced = 0;
    for seed in 0..5 {
        for (days, per_week, expected) in [(56, 7.0, 42), (21, 4.0, 6), (10, 30.0, 12)] {
            let shop = planned(seed, days, 2000.0, per_week);
            let faults = shop.truth();
            assert!((expected - 4..=expected).contains(&faults.len()), "{days} days: {}", faults.len());
            let healthy_days = if days > 21 { 14 } else { i64::from(days) / 2 };
            let mut free_from = START + healthy_days * DAY;
            for (position, fault) in faults.iter().enumerate() {
                assert!(fault.start_millis >= free_from && fault.end_millis - fault.start_millis >= HOUR);
                assert!(fault.end_millis <= START + i64::from(days) * DAY);
                assert!(fault.size.abs() >= 0.4 && fault.size >= -1.0, "{fault:?}");
                assert!(fault.kind != FaultKind::Shift || position + 1 == faults.len());
                let promotions = shop.promotions().iter();
                assert!(
                    fault.kind == FaultKind::Shift
                        || !promotions
                            .clone()
                            .any(|p| fault.start_millis < p.end_millis && p.start_millis < fault.end_millis)
                );
                free_from = fault.end_millis + 6 * HOUR;
                *kinds.entry(fault.kind.as_str()).or_insert(0) += 1;
                sliced += usize::from(!fault.slice.is_empty());
            }
            assert_eq!(faults, planned(seed, days, 2000.0, per_week).truth());
        }
    }
    let all: usize = kinds.values().sum();
    assert!(kinds.len() == 6 && kinds.values().all(|&count| count >= 3), "{kinds:?}");
    assert!(sliced * 3 > all, "{sliced} of {all} in a slice");
    assert!(planned(1, 30, 100.0, 0.0).truth().is_empty());
}

#[test]
fn same_seed_same_plan_as_ever() {
    let truth = truth_json(planned(42, 42, 1000.0, 4.0).truth());
    let fnv1a = truth.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    assert_eq!(fnv1a, 0x6105_F9A2_6B64_B280, "digest {fnv1a:#018X} of {truth}");
}

/// Every slice has 50 events of the measure in five minutes, counted in the healthy run.
#[test]
fn planned_slices_are_big_enough() {
    let shop = planned(3, 8, 900.0, 16.0);
    let faults = shop.truth().to_vec();
    let windows = 5 * 60_000;
    let mut counts = vec![0_u32; faults.len()];
    let from = faults[0].start_millis;
    let healthy = Shop::new(&ShopConfig {
        seed: 3,
        start_millis: START + 4 * DAY,
        days: 4,
        rate: 900.0,
        faults: FaultPlan::None,
    });
    for event in healthy.filter(|event| event.time_millis >= from) {
        for (fault, count) in faults.iter().zip(&mut counts).filter(|(fault, _)| is_inside(&event, fault)) {
            let counts_here = match fault.measure {
                "*" | "views" => event.kind == EventKind::PageView,
                "carts" => event.kind == EventKind::AddToCart,
                _ => event.kind == EventKind::Purchase,
            };
            *count += u32::from(counts_here);
        }
    }
    for (fault, count) in faults.iter().zip(counts) {
        let per_window = f64::from(count) / ((fault.end_millis - fault.start_millis) / windows) as f64;
        assert!(per_window > 47.0, "{per_window}: {fault:?}");
    }
}

/// At three events a minute no slice is big enough, so every fault is one of the whole shop.
#[test]
fn a_small_shop_has_whole_faults() {
    let shop = planned(5, 60, 3.0, 7.0);
    assert!(shop.truth().len() > 30);
    for fault in shop.truth() {
        assert!(fault.slice.is_empty() && matches!(fault.measure, "*" | "views"), "{fault:?}");
    }
    let truth: serde_json::Value = serde_json::from_str(&truth_json(shop.truth())).unwrap();
    assert_eq!(truth.as_array().unwrap().len(), shop.truth().len());
    let mut keys: Vec<_> = truth[0].as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["end", "kind", "measure", "size", "slice", "start"]);
}
