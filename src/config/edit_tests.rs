//! What changing a configuration as text keeps and what it changes.

use serde_json::json;

use super::*;

const TEXT: &str = r#"# All of it.
[server]
listen = "127.0.0.1:1"

# The shop,
# as it is.
[monitors.shop]
source = "clicks"   # posted
interval = "5m"

[monitors.shop.measures]
views = { count = true, direction = "drop" } # a page
# and what is bought
orders = { count = true }

[monitors.shop.detector]
severity = 70  # the default

[[monitors.shop.alerts]]
# By day.
severity = 80
to = ["hook"]

# Others.
[monitors.other]
source = "clicks"
"#;

fn changed(text: &str, changes: &[(&str, Json)]) -> Result<String, String> {
    let file = document(text).unwrap();
    let mut own = document(&cut(&file, "shop").unwrap()).unwrap();
    let changes: Vec<_> = changes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    set(&mut own, "shop", &changes).map_err(|problem| problem.to_string())?;
    Ok(with(&file, "shop", &own).unwrap())
}

#[test]
fn what_is_not_changed_stays_byte_for_byte() {
    let file = document(TEXT).unwrap();
    let own = cut(&file, "shop").unwrap();
    assert!(own.starts_with("# The shop,\n") && own.ends_with("to = [\"hook\"]\n"), "{own}");
    assert_eq!(with(&file, "shop", &document(&own).unwrap()).unwrap(), TEXT);
    assert_eq!(without(&file, "shop").matches("shop").count(), 0);
    assert!(without(&file, "shop").contains("# All of it.") && !holds(&file, "nobody"));
    let keys = [
        ("severity", json!(75)),
        ("alerts.0.severity", json!(85.5)),
        ("measures.views.direction", json!("rise")),
    ];
    let expected = TEXT
        .replace("severity = 70  #", "severity = 75  #")
        .replace("severity = 80", "severity = 85.5")
        .replace("\"drop\"", "\"rise\"");
    assert_eq!(changed(TEXT, &keys).unwrap(), expected);
}

#[test]
fn keys_and_tables_come_and_go() {
    let one_more = changed(TEXT, &[("measures.orders.direction", json!("drop"))]).unwrap();
    assert_eq!(
        one_more,
        TEXT.replace("orders = { count = true }", "orders = { count = true, direction = \"drop\" }")
    );
    let budget = changed(TEXT, &[("budget", json!("1 per week"))]).unwrap();
    assert!(
        budget.contains("[monitors.shop.detector]\nbudget = \"1 per week\"\n") && !budget.contains("= 70"),
        "{budget}"
    );
    let rule = [("alerts.1.to", json!(["mail"])), ("alerts.1.max_per_hour", json!(5))];
    let two = changed(TEXT, &rule).unwrap();
    assert!(two.contains("[[monitors.shop.alerts]]\nto = [\"mail\"]\nmax_per_hour = 5\n"), "{two}");
    assert!(two.find("[\"mail\"]").unwrap() < two.find("# Others.").unwrap(), "{two}");
    let none = changed(TEXT, &[("alerts.0", Json::Null), ("detector.severity", Json::Null)]).unwrap();
    assert!(!none.contains("alerts") && none.contains("# Others.\n[monitors.other]"), "{none}");
    let calendar = changed(TEXT, &[("calendar.retail", json!(false))]).unwrap();
    assert!(calendar.contains("[monitors.shop.calendar]\nretail = false\n"), "{calendar}");
    for (key, value) in
        [("alerts.7.to", json!([])), ("alerts.x", json!(1)), ("interval.x", json!(1)), ("a..b", json!(1))]
    {
        let error = changed(TEXT, &[(key, value)]).unwrap_err();
        assert!(error.starts_with("`monitors.shop."), "{error}");
    }
}

#[test]
fn a_new_text_takes_the_place_of_the_old_one() {
    let file = document(TEXT).unwrap();
    let own = document("# New.\n[monitors.shop]\nsource = \"x\"\n[monitors.shop.measures]\na = 1\n# below\n")
        .unwrap();
    let text = with(&file, "shop", &own).unwrap();
    let parts = [
        "[server]",
        "\n\n# New.\n[monitors.shop]",
        "[monitors.shop.measures]",
        "# Others.",
        "[monitors.other]",
        "# below",
    ];
    let places: Vec<_> =
        parts.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"))).collect();
    assert!(places.is_sorted(), "{text}");
    assert_eq!(strangers(&own, "shop", &[]), [""; 0]);
    assert_eq!(strangers(&file, "shop", &[]), ["server", "monitors.other"]);
    let added = with(&document("[server]\n").unwrap(), "shop", &own).unwrap();
    assert!(added.starts_with("[server]\n\n# New.\n[monitors.shop]\n"), "{added}");
}
