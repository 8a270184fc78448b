//! A monitor's calendar: what it says changes with its settings, the settings are part of what models are, and a
//! holiday that comes back is no incident.

mod support;

use std::sync::Arc;

use support::{SHOP, batch, engine};
use tidewatch::{
    anomaly::Incident,
    config::{Config, ConfigError, Environment},
    record::PartitionId,
    window::SliceKey,
};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, Shop, ShopConfig};

fn slice(country: Option<&str>) -> SliceKey {
    SliceKey(vec![country.map(Into::into), None])
}

fn millis(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().expect("a time").as_millisecond()
}

#[test]
fn slices_have_their_own_holidays_and_outages_hold() {
    let spec = Arc::clone(&support::source(SHOP).monitors[0]);
    let unity = millis("2026-10-03T08:00:00Z");
    assert!(spec.seen(&slice(Some("DE")), unity).occasion.is_some());
    assert!(spec.seen(&slice(Some("FR")), unity).occasion.is_none());
    assert!(spec.seen(&slice(None), unity).occasion.is_none());
    let again = spec.seen(&slice(Some("DE")), millis("2027-10-03T08:00:00Z"));
    assert_eq!(again.occasion, spec.seen(&slice(Some("DE")), unity).occasion);
    let black_friday = millis("2026-11-27T08:00:00Z");
    assert!(spec.seen(&slice(None), black_friday).occasion.is_some());
    let moving = millis("2026-03-02T09:30:00Z");
    assert!(spec.seen(&slice(Some("DE")), moving).hold && !spec.seen(&slice(Some("FR")), moving).hold);
    assert!(!spec.seen(&slice(Some("DE")), millis("2026-03-02T10:00:00Z")).hold, "eleven in Berlin");
}

#[test]
fn files_are_read_and_what_is_wrong_in_them_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("promos.ics");
    let text = SHOP.replace("by = \"country\"", &format!("ics = ['{}']", path.display()));
    let parse = || Config::parse(&text, &Environment::default()).unwrap();
    let missing = parse().read_calendars().unwrap_err();
    assert!(matches!(missing, ConfigError::Values(_)));
    let said = missing.to_string();
    assert!(said.starts_with("`monitors.shop.calendar.ics[0]`: could not read `"), "{said}");
    let events = "BEGIN:VEVENT\nSUMMARY:Sale\nDTSTART;VALUE=DATE:20260310\nEND:VEVENT\n\
                  BEGIN:VEVENT\nSUMMARY:Odd\nDTSTART:never\nEND:VEVENT\n";
    std::fs::write(&path, events).unwrap();
    let mut config = parse();
    let before = config.sources[0].monitors[0].calendar.fingerprint();
    let named = config.read_calendars().unwrap();
    assert_eq!(named.len(), 1);
    assert!(named[0].contains("promos.ics`, line 5, event `Odd`"), "{}", named[0]);
    let spec = &config.sources[0].monitors[0];
    assert_ne!(spec.calendar.fingerprint(), before, "models under another calendar are other models");
    assert!(spec.seen(&slice(None), millis("2026-03-10T08:00:00Z")).occasion.is_some());
}

const DAY: i64 = 86_400_000;

const HOURLY: &str = r#"
    [sources.events]
    kind = "file"
    path = "unused.ndjson"
    [monitors.shop]
    source = "events"
    timestamp = "event_time"
    timezone = "UTC"
    interval = "1h"
    [monitors.shop.measures]
    views = { count = true, where = { type = "page_view" } }
    carts = { count = true, where = { type = "add_to_cart" } }
    [monitors.shop.calendar]
    retail = false
"#;
const HOLIDAY: &str = r#"
    [[monitors.shop.calendar.events]]
    name = "Founders' Day"
    kind = "holiday"
    from = "2026-03-24"
    to = "2026-03-24"
    repeat = "weekly"
"#;

/// The incidents of a shop in which day 22 brings four times the usual and day 29 `again` times, by severity.
fn incidents(text: &str, again: f64) -> Vec<Incident> {
    let start_millis = millis("2026-03-02T00:00:00Z");
    let day = |day: i64, factor: f64| Fault {
        start_millis: start_millis + day * DAY,
        end_millis: start_millis + (day + 1) * DAY,
        measure: "*",
        slice: Vec::new(),
        kind: FaultKind::Rise,
        size: factor - 1.0,
    };
    let faults = FaultPlan::Given(vec![day(22, 4.0), day(29, again)]);
    let config = ShopConfig { seed: 3, start_millis, days: 32, rate: 5.0, faults };
    let lines: Vec<String> = Shop::new(&config)
        .map(|event| {
            let mut line = Vec::new();
            event.write_json(&mut line);
            String::from_utf8(line).expect("JSON is text")
        })
        .collect();
    let mut engine = engine(text, 1);
    engine.await_partitions(&[PartitionId::new("p")], start_millis);
    let end_millis = start_millis + 33 * DAY;
    engine.ingest(vec![batch("p", 0, &lines, true)], end_millis).expect("the batch fits");
    let commit = engine.take_commit(true, end_millis).expect("windows closed").0;
    support::assert_conserved(&engine);
    commit.monitors.into_iter().flatten().flat_map(|monitor| monitor.incidents).collect()
}

fn opened_on(incidents: &[Incident], day: i64) -> Vec<&Incident> {
    let from = millis("2026-03-02T00:00:00Z") + day * DAY;
    incidents.iter().filter(|incident| (from..from + DAY).contains(&incident.opened_millis)).collect()
}

#[test]
fn a_holiday_that_comes_back_is_no_incident_and_half_of_it_is() {
    let named = format!("{HOURLY}{HOLIDAY}");
    let plain = incidents(HOURLY, 4.0);
    let pages = |found: &[&Incident]| found.iter().filter(|incident| incident.severity.peak >= 70.0).count();
    assert!(pages(&opened_on(&plain, 22)) > 0 && pages(&opened_on(&plain, 29)) > 0, "without a calendar");
    let known = incidents(&named, 4.0);
    assert_eq!(pages(&opened_on(&known, 22)), 0, "the first time: {known:?}");
    for day in [29, 30] {
        assert!(opened_on(&known, day).is_empty(), "it comes back: {known:?}");
    }
    let half = incidents(&named, 2.0);
    assert!(pages(&opened_on(&half, 29)) > 0, "half of its usual effect: {half:?}");
}
