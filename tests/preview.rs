//! A preview of the rules that ran tells what was told: the same messages about the same incidents, from the stored
//! windows alone.

mod support;

use std::path::Path;

use support::{
    SHOP, batch, engine,
    process::{Said, finish, tidewatch},
};
use tidewatch::{
    anomaly::Alert,
    pipeline::Store,
    record::PartitionId,
    store::{Durability, SqliteStore},
};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, Shop, ShopConfig};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const HOUR: i64 = 3_600_000;

/// The shop of the tests in a store of its own, with a second rule, and without the relation: its scores are not stored.
fn config(folder: &Path) -> String {
    let (before, relation) = SHOP.split_once("[monitors.shop.relations.funnel]").expect("it has one");
    let (_, after) = relation.split_once("[monitors.shop.calendar]").expect("it goes on");
    let (rules, notifiers) = after.split_once("[notifiers.hook]").expect("it goes on");
    format!(
        "[store]\npath = \"{}/tidewatch.db\"\n{before}[monitors.shop.calendar]{rules}
        [[monitors.shop.alerts]]
        name = \"rises\"
        severity = 80
        direction = \"rise\"
        measures = [\"views\"]
        events = [\"opened\"]
        max_per_hour = 1
        to = [\"hook\"]
        [notifiers.hook]{notifiers}",
        folder.display()
    )
}

/// Two days with two rushes through the engine into the store of `folder`; what was told.
async fn told(folder: &Path, config: &str) -> Vec<Alert> {
    let rush = |hour: i64| Fault {
        start_millis: START + hour * HOUR,
        end_millis: START + (hour + 1) * HOUR,
        measure: "views",
        slice: vec![],
        kind: FaultKind::Rise,
        size: 9.0,
    };
    let faults = FaultPlan::Given(vec![rush(34), rush(42)]);
    let mut lines = Vec::new();
    for event in Shop::new(&ShopConfig { seed: 3, start_millis: START, days: 2, rate: 8.0, faults }) {
        let mut line = Vec::new();
        event.write_json(&mut line);
        lines.push(String::from_utf8(line).expect("JSON is text"));
    }
    let mut engine = engine(config, 2);
    engine.await_partitions(&[PartitionId::new("p")], START);
    engine.ingest(vec![batch("p", 0, &lines, true)], START + 48 * HOUR).expect("the batch fits");
    let (commit, _) = engine.take_commit(true, START + 48 * HOUR).expect("windows were closed");
    let store = SqliteStore::open(&folder.join("tidewatch.db"), Durability::Normal).expect("a store");
    store.commit(&commit).await.expect("the store takes it");
    commit.monitors.into_iter().flatten().flat_map(|monitor| monitor.alerts).collect()
}

fn preview(config: &Path, more: &[&str]) -> Said {
    finish(tidewatch(["alerts", "preview", "--config"]).arg(config).args(more))
}

/// Time, rule, kind and incident of each message.
fn messages(said: &Said) -> Vec<Vec<&str>> {
    let columns = |line: &'_ str| line.split('\t').count() > 1;
    said.stdout.lines().filter(|line| columns(line)).map(|line| line.split('\t').take(4).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_the_rules_that_ran_is_what_was_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = config(folder.path());
    let path = folder.path().join("tidewatch.toml");
    std::fs::write(&path, &text).expect("a temporary file");
    let told = told(folder.path(), &text).await;
    assert!(told.len() >= 5, "{} alerts", told.len());

    let said = preview(&path, &[]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let expected: Vec<Vec<String>> = told
        .iter()
        .map(|alert| {
            let rule = if alert.id.split(':').nth(1) == Some("0") { "shop/0" } else { "rises" };
            let at = jiff::Timestamp::from_millisecond(alert.at_millis).expect("a time").to_string();
            vec![at, rule.to_owned(), alert.kind.as_str().to_owned(), alert.incident.id.clone()]
        })
        .collect();
    assert_eq!(messages(&said), expected);
    assert!(said.stdout.lines().last().is_some_and(|line| line.starts_with("shop: ")), "{}", said.stdout);

    let rises = preview(&path, &["--rule", "rises"]);
    assert!(messages(&rises).iter().all(|message| message[1] == "rises" && message[2] == "opened"));
    assert_eq!(messages(&rises).len(), expected.iter().filter(|message| message[1] == "rises").count());
    let later = preview(&path, &["--since", "2026-03-02T14:00:00Z"]);
    assert!(messages(&later).len() < expected.len() && !messages(&later).is_empty(), "{}", later.stdout);
    let unknown = preview(&path, &["--rule", "nobody"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("no rule `nobody`; there are: shop/0, rises"), "{}", unknown.stderr);
}
