//! A monitor's calendar: what it says changes with its settings, and the settings are part of what models are.

mod support;

use std::sync::Arc;

use support::SHOP;
use tidewatch::{
    config::{Config, ConfigError, Environment},
    window::SliceKey,
};

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
