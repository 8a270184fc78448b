//! What becomes of lasting and of returning trouble, through the whole engine: a level that stays is one incident until it
//! is accepted, and an outage is not learned as normal.

mod support;

use std::collections::BTreeMap;

use support::{assert_conserved, batch, engine};
use tidewatch::{
    anomaly::{Incident, IncidentKind},
    pipeline::Engine,
};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, Shop, ShopConfig};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

const CONFIG: &str = r#"
    [sources.events]
    kind = "file"
    path = "unused.ndjson"
    [monitors.shop]
    source = "events"
    timestamp = "event_time"
    timezone = "Europe/Berlin"
    interval = "5m"
    dimensions = { device = "device" }
    funnel = ["views", "orders"]
    [monitors.shop.measures]
    views = { count = true, where = { type = "page_view" } }
    orders = { count = true, where = { type = "purchase" } }
    revenue = { sum = "order.total", where = { type = "purchase" }, unit = "EUR" }
"#;

/// Every incident of a shop with these faults, as it stood last.
fn incidents(days: u32, faults: Vec<Fault>) -> Vec<Incident> {
    let faults = FaultPlan::Given(faults);
    let shop = Shop::new(&ShopConfig { seed: 11, start_millis: START, days, rate: 40.0, faults });
    let mut engine = engine(CONFIG, 2);
    let mut last: BTreeMap<String, Incident> = BTreeMap::new();
    let (mut lines, mut read) = (Vec::new(), 0);
    let mut take = |engine: &mut Engine, lines: &mut Vec<String>, is_end: bool| {
        engine.ingest(vec![batch("p", read, lines, is_end)], START).expect("batches fit");
        read += lines.len();
        lines.clear();
        let commit = engine.take_commit(true, START).map(|(commit, _)| commit);
        for monitor in commit.into_iter().flat_map(|commit| commit.monitors.into_iter().flatten()) {
            last.extend(monitor.incidents.into_iter().map(|incident| (incident.id.clone(), incident)));
        }
    };
    for event in shop {
        let mut line = Vec::new();
        event.write_json(&mut line);
        lines.push(String::from_utf8(line).expect("JSON is text"));
        if lines.len() == 20_000 {
            take(&mut engine, &mut lines, false);
        }
    }
    take(&mut engine, &mut lines, true);
    assert_conserved(&engine);
    last.into_values().collect()
}

/// Those that page at 70 and opened in these hours.
fn paging(all: &[Incident], hours: std::ops::Range<i64>) -> Vec<&Incident> {
    let opened = |incident: &Incident| (incident.opened_millis - START).div_euclid(HOUR);
    let pages = |one: &&Incident| one.kind == IncidentKind::Deviation && one.severity.peak >= 70.0;
    all.iter().filter(pages).filter(|incident| hours.contains(&opened(incident))).collect()
}

fn fault(from_hour: i64, hours: i64, kind: FaultKind, measure: &'static str, size: f64) -> Fault {
    let start_millis = START + from_hour * HOUR;
    Fault { start_millis, end_millis: start_millis + hours * HOUR, measure, slice: vec![], kind, size }
}

#[test]
fn a_level_that_stays_is_one_incident_and_none_after_it_is_accepted() {
    let from = 15 * 24 + 9;
    let all = incidents(26, vec![fault(from, 20 * 24, FaultKind::Shift, "views", -0.4)]);
    let told = paging(&all, from - 1..27 * 24);
    assert_eq!(told.len(), 1, "{:?}", told.iter().map(|one| &one.summary).collect::<Vec<_>>());
    let incident = told[0];
    assert!(incident.opened_millis < START + (from + 2) * HOUR, "{}", incident.summary);
    assert_eq!((incident.broken_step.as_deref(), incident.slices.len()), (Some("views"), 1));
    assert!(incident.slices[0].is_empty(), "{}", incident.summary);
    let closed = incident.closed_millis.expect("accepted");
    assert!(
        closed < START + from * HOUR + 3 * DAY,
        "accepted after {} hours",
        (closed - START) / HOUR - from
    );
    let money = incident.impact.as_ref().and_then(|impact| impact.money.as_ref()).expect("revenue is money");
    assert!(money.value < 0.0 && money.lower < money.value && money.value < money.upper, "{money:?}");
}

#[test]
fn an_outage_is_not_learned_so_the_next_ones_are_found_too() {
    let hours = [15 * 24 + 10, 16 * 24 + 10, 17 * 24 + 10];
    let outages = hours.map(|hour| fault(hour, 3, FaultKind::Outage, "*", -1.0)).to_vec();
    let all = incidents(18, outages);
    for hour in hours {
        let told = paging(&all, hour..hour + 6);
        assert_eq!(told.len(), 1, "{:?}", told.iter().map(|one| &one.summary).collect::<Vec<_>>());
        assert_eq!(told[0].broken_step.as_deref(), Some("views"));
        let end = told[0].closed_millis.expect("over");
        assert!((end - START - (hour + 3) * HOUR).abs() <= HOUR / 2, "{}", told[0].summary);
    }
}
