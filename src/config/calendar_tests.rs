use super::*;

fn checked(text: &str) -> Result<(Calendar, Vec<IcsFile>), Problem> {
    let written: WrittenCalendar = toml::from_str(text).unwrap();
    check("c", &written, &["country".to_owned(), "device".to_owned()])
}

fn names(calendar: &Calendar, from: &str, to: &str) -> Vec<String> {
    let second = |text: &str| wall_seconds(text.parse::<Date>().unwrap().at(0, 0, 0, 0));
    let listed = calendar.between(&jiff::tz::TimeZone::UTC, second(from), second(to));
    listed.iter().map(|listed| listed.entry.name.to_string()).collect()
}

#[test]
fn retail_is_on_and_can_be_off() {
    let (on, _) = checked("").unwrap();
    assert_eq!(
        names(&on, "2026-11-26", "2026-12-01"),
        ["Black Friday", "Black Friday Saturday", "Black Friday Sunday", "Cyber Monday"]
    );
    assert_eq!(checked("retail = false").unwrap().0, Calendar::default());
}

#[test]
fn countries_events_and_files_are_read() {
    let (calendar, files) = checked(
        r#"
        retail = false
        holidays = ["US", { country = "DE", before = 1 }]
        by = "country"
        map = { Deutschland = "DE" }
        ics = ["a.ics", { path = "b.ics", kind = "outage", scope = { device = "mobile" } }]
        [[events]]
        name = "Sale"
        kind = "promotion"
        from = 2026-07-01
        to = "2026-07-02"
        repeat = "yearly"
        uplift = 2
        scope = { country = ["DE", "FR"] }
        "#,
    )
    .unwrap();
    assert_eq!(names(&calendar, "2027-07-01", "2027-07-03"), ["Sale"]);
    assert_eq!(files.len(), 2);
    assert_eq!(files[1].defaults.kind, EntryKind::Outage);
    let christmas = names(&calendar, "2026-12-25", "2026-12-26");
    assert!(christmas.contains(&"Second Day of Christmas (1 before)".to_owned()), "{christmas:?}");
}

#[test]
fn mistakes_are_named() {
    let event = |lines: &str| format!("[[events]]\nname = \"x\"\nkind = \"deploy\"\n{lines}");
    for (text, path, detail) in [
        ("holidays = [\"AT\"]".to_owned(), "c.holidays[0]", "`AT` is no country"),
        ("by = \"land\"".to_owned(), "c.by", "`land` is no dimension"),
        ("map = { x = \"DE\" }".to_owned(), "c.map", "needs `by`"),
        ("holidays = [{ country = \"DE\", before = 9 }]".to_owned(), "c.holidays[0]", "9 days around"),
        (event("from = \"soon\"\nto = \"2026-01-01\""), "c.events[0].from", "`soon` is no time"),
        (event("from = \"2026-01-02\"\nto = \"2026-01-01\""), "c.events[0].to", "2026-01-01 is 0 s"),
        (event("from = \"2026-01-01\"\nto = \"2026-01-01T09:00:00Z\""), "c.events[0].to", "one of"),
        (event("from = 2026-01-01\nto = 2026-01-01\nuplift = 0"), "c.events[0].uplift", "0; expected"),
        (event("from = 2026-01-01\nto = 2026-01-01\nrepeat = \"often\""), "c.events[0].repeat", "`often`"),
        (
            event("from = 2026-01-01\nto = 2026-01-01\nscope = { device = 1 }"),
            "c.events[0].scope.device",
            "expected a value",
        ),
    ] {
        let problem = checked(&text).unwrap_err();
        assert_eq!(problem.path, path, "{text}");
        assert!(problem.detail.starts_with(detail), "{text}: {}", problem.detail);
    }
}
