use jiff::civil::date;

use super::*;

fn read(events: &str) -> (Vec<(Entry, Vec<Span>)>, Vec<String>) {
    let defaults = IcsDefaults { kind: EntryKind::Promotion, scope: Scope::default() };
    let (entries, problems) = read_ics(&format!("BEGIN:VCALENDAR\r\n{events}END:VCALENDAR\r\n"), &defaults);
    (entries, problems.iter().map(ToString::to_string).collect())
}

fn wall(year: i16, month: i8, day: i8, hour: i8) -> i64 {
    wall_seconds(date(year, month, day).at(hour, 0, 0, 0))
}

#[test]
fn days_times_zones_and_repetitions_are_read() {
    let (entries, problems) = read(
        "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Summer\\, sale\r\nDTSTART;VALUE=DATE:20260701\r\nDTEND;VALUE=DATE:20260703\r\n\
         RRULE:FREQ=YEARLY;COUNT=3\r\nEXDATE;VALUE=DATE:20270701\r\nRDATE;VALUE=DATE:20260901\r\nEND:VEVENT\r\n\
         BEGIN:VEVENT\r\nUID:2\r\nSUMMARY:Newsle\r\n tter\r\nDTSTART;TZID=\"Europe/Berlin\":20260326T090000\r\n\
         DURATION:PT2H\r\nRRULE:FREQ=WEEKLY;COUNT=2\r\nX-TIDEWATCH-UPLIFT:1.5\r\n\
         BEGIN:VALARM\r\nDURATION:P9D\r\nEND:VALARM\r\nEND:VEVENT\r\n\
         BEGIN:VEVENT\r\nUID:3\r\nSUMMARY:Database moves\r\nCATEGORIES:IT,Outage\r\n\
         DTSTART:20260301T220000Z\r\nDTEND:20260301T233000Z\r\nEND:VEVENT\r\n",
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!(&*entries[0].0.name, "Summer, sale");
    let starts: Vec<i64> = entries[0].1.iter().map(|span| span.from).collect();
    assert_eq!(starts, [wall(2026, 7, 1, 0), wall(2026, 9, 1, 0), wall(2028, 7, 1, 0)]);
    assert_eq!(entries[0].1[0].to, wall(2026, 7, 3, 0));
    // Nine o'clock in Berlin, before and after the change to summer time.
    assert_eq!((&*entries[1].0.name, entries[1].0.uplift), ("Newsletter", Some(1.5)));
    let instants: Vec<i64> = entries[1].1.iter().map(|span| span.from).collect();
    assert_eq!(instants, [wall(2026, 3, 26, 8), wall(2026, 4, 2, 7)]);
    assert_eq!(entries[1].1[0].clock, Clock::Instant);
    assert_eq!(entries[2].0.kind, EntryKind::Outage);
    assert_eq!(entries[2].1[0].to - entries[2].1[0].from, 5_400);
}

#[test]
fn bad_events_are_named_and_others_kept() {
    let event = |lines: &str| format!("BEGIN:VEVENT\r\n{lines}END:VEVENT\r\n");
    let (entries, problems) = read(
        &[
            event("SUMMARY:a\r\nDTSTART:soon\r\n"),
            event("SUMMARY:b\r\nDTSTART;TZID=Europe/Bern:20260101T000000\r\nDURATION:PT1H\r\n"),
            event("SUMMARY:c\r\nDTSTART:20260101T000000\r\n"),
            event("SUMMARY:d\r\nDTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=NEVER\r\n"),
            event("DTSTART;VALUE=DATE:20260101\r\n"),
            event("SUMMARY:e\r\nDTSTART;VALUE=DATE:20260101\r\nDTEND;VALUE=DATE:20250101\r\n"),
            event("SUMMARY:gone\r\nSTATUS:CANCELLED\r\nDTSTART;VALUE=DATE:20260101\r\n"),
            event("SUMMARY:good\r\nDTSTART;VALUE=DATE:20260101\r\n"),
        ]
        .concat(),
    );
    assert_eq!(entries.len(), 1);
    assert_eq!(&*entries[0].0.name, "good");
    assert_eq!(problems[0], "line 2, event `a`: line 4: DTSTART `soon` is no date or time");
    assert!(problems[1].contains("`b`: line 8: TZID `Europe/Bern` is no known time zone"), "{}", problems[1]);
    assert!(problems[2].contains("`c`: has neither DTEND nor DURATION"), "{}", problems[2]);
    assert!(problems[3].starts_with("line 15, event `d`: "), "{}", problems[3]);
    assert!(problems[4].contains("has no SUMMARY"), "{}", problems[4]);
    assert!(problems[5].contains("expected 1 s to 366 days"), "{}", problems[5]);
    assert_eq!(problems.len(), 6);
}

#[test]
fn a_moved_instance_takes_the_place_of_the_regular_one() {
    let (entries, problems) = read(
        "BEGIN:VEVENT\nUID:1\nSUMMARY:Sale\nDTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;COUNT=2\nEND:VEVENT\n\
         BEGIN:VEVENT\nUID:1\nSUMMARY:Sale\nRECURRENCE-ID;VALUE=DATE:20260112\nDTSTART;VALUE=DATE:20260114\nEND:VEVENT\n",
    );
    assert_eq!(problems, [""; 0]);
    let starts: Vec<i64> = entries.iter().flat_map(|(_, spans)| spans).map(|span| span.from).collect();
    assert_eq!(starts, [wall(2026, 1, 5, 0), wall(2026, 1, 14, 0)]);
    assert_eq!(entries[0].0.class, entries[1].0.class);
}
