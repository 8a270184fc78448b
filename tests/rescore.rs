//! Stored windows judged again are judged as they were live, bit for bit; and what a change of settings would have
//! changed is told from them.

mod support;

use std::{path::Path, sync::Arc, time::Duration};

use support::{SHOP, batch, engine, source};
use tidewatch::{
    anomaly::Incident,
    pipeline::{
        Ask, Effect, EffectOf, GivenFeedback, History, IncidentQuery, Instructed, Instruction, Label, Ledger,
        MonitorSpec, Past, Reach, Rescore, RescoreLimits, Scores, Store, effect,
    },
    record::PartitionId,
    store::{Durability, SqliteStore},
    window::SliceKey,
};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, Shop, ShopConfig};

const START: i64 = 1_772_323_200_000; // 2026-03-01T00:00:00Z
const HOUR: i64 = 3_600_000;
const ALL: (i64, i64) = (i64::MIN, i64::MAX);
const AMPLE: RescoreLimits = RescoreLimits { values: u64::MAX, time: Duration::from_mins(2) };

/// Two days of the shop with a rush and an outage, in a store.
struct Lived {
    store: SqliteStore,
    slices: Vec<SliceKey>,
    incidents: Vec<Incident>,
}

async fn lived(folder: &Path) -> Lived {
    let fault = |hour: i64, kind, size| Fault {
        start_millis: START + hour * HOUR,
        end_millis: START + (hour + 1) * HOUR,
        measure: "views",
        slice: vec![],
        kind,
        size,
    };
    let faults = FaultPlan::Given(vec![fault(34, FaultKind::Rise, 9.0), fault(42, FaultKind::Drop, -0.9)]);
    let mut lines = Vec::new();
    for event in Shop::new(&ShopConfig { seed: 3, start_millis: START, days: 2, rate: 8.0, faults }) {
        let mut line = Vec::new();
        event.write_json(&mut line);
        lines.push(String::from_utf8(line).expect("JSON is text"));
    }
    let mut engine = engine(SHOP, 2);
    engine.await_partitions(&[PartitionId::new("p")], START);
    engine.ingest(vec![batch("p", 0, &lines, true)], START + 48 * HOUR).expect("the batch fits");
    let (commit, _) = engine.take_commit(true, START + 48 * HOUR).expect("windows were closed");
    let store = SqliteStore::open(&folder.join("tidewatch.db"), Durability::Normal).expect("a store");
    store.commit(&commit).await.expect("the store takes it");
    let slices = store.slices("shop").await.expect("slices");
    let query = IncidentQuery { limit: 1_000, ..IncidentQuery::default() };
    let mut incidents = store.incidents(&query).await.expect("incidents");
    incidents.sort_by_key(|incident| (incident.opened_millis, incident.id.len(), incident.id.clone()));
    Lived { store, slices, incidents }
}

fn spec(config: &str) -> Arc<MonitorSpec> {
    source(config).monitors.remove(0)
}

async fn changed(lived: &Lived, config: &str, ledger: &Ledger, limits: RescoreLimits) -> Effect {
    let settings = (spec(SHOP), spec(config));
    let settings = (settings.0.as_ref(), settings.1.as_ref());
    let of = EffectOf { history: &lived.store, slices: &lived.slices, ledger, settings };
    effect(of, ALL, limits).await.expect("an effect")
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_judged_again_give_the_incidents_that_were_stored() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lived = lived(folder.path()).await;
    assert!(lived.incidents.len() >= 3, "{} incidents", lived.incidents.len());
    let (spec, ledger) = (spec(SHOP), Ledger::default());
    let past = Past { history: &lived.store, spec: &spec, slices: &lived.slices, ledger: &ledger };
    let asked = Rescore { scores: Scores::Anew, told_millis: ALL, learned_from_millis: None, limits: AMPLE };
    let mut ends = Vec::new();
    let found = past.rescore(asked, &mut |end| ends.push(end)).await.expect("it can be read");
    assert_eq!(found.incidents, lived.incidents, "with relations, sentences and all");
    assert_eq!((found.num_windows, found.is_shortened, found.is_cut), (ends.len(), false, false));
    assert!(ends.is_sorted() && ends.last() == found.told_millis.map(|(_, to)| to).as_ref());

    let short = RescoreLimits { values: 100 * (lived.slices.len() * 10) as u64, ..AMPLE };
    let until = START + 47 * HOUR;
    let asked = Rescore { told_millis: (i64::MIN, until), limits: short, ..asked };
    let found = past.rescore(asked, &mut |_| {}).await.expect("it can be read");
    assert!(found.is_shortened && found.num_windows == 100, "{}", found.num_windows);
    let none = RescoreLimits { time: Duration::ZERO, ..AMPLE };
    let found = past.rescore(Rescore { limits: none, ..asked }, &mut |_| {}).await.expect("it can be read");
    assert!(found.is_cut && found.num_windows == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_tells_what_it_gains_and_loses() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lived = lived(folder.path()).await;
    let silent = Ledger::default();
    let same = changed(&lived, SHOP, &silent, AMPLE).await;
    assert!(!same.now.is_empty() && same.now == same.then && same.gained.is_empty() && same.lost.is_empty());
    assert!(same.now.iter().any(|incident| !incident.id.is_empty()), "known by their stored ids");

    let deaf = SHOP.replace("severity = 70\n", "severity = 100\n");
    let deaf = changed(&lived, &deaf, &silent, AMPLE).await;
    assert!(deaf.lost.len() > deaf.then.len() && deaf.gained.is_empty(), "{deaf:?}");
    assert!(deaf.note.starts_with("Stored scores were used"), "{}", deaf.note);
    let eager = SHOP.replace("severity = 70\n", "severity = 60\n");
    let eager = changed(&lived, &eager, &silent, AMPLE).await;
    assert!(eager.lost.is_empty() && eager.then.len() >= eager.now.len());

    // No change of page views is large enough any more.
    let condition = "where = { type = \"page_view\" } }";
    let guarded = SHOP.replace(condition, "where = { type = \"page_view\" }, min_change = 1000000 }");
    let guarded = changed(&lived, &guarded, &silent, AMPLE).await;
    assert!(guarded.note.starts_with("History was learned again"), "{}", guarded.note);
    let ids = |effect: &Effect| effect.now.iter().map(|told| told.id.clone()).collect::<Vec<_>>();
    let learned = ids(&guarded);
    assert!(
        ids(&same).iter().all(|id| learned.contains(id)),
        "stored scores and learned ones agree: {learned:?}"
    );
    let is_of_views = |incident: &Incident| incident.measure == "views";
    assert!(guarded.now.iter().any(is_of_views) && !guarded.then.iter().any(is_of_views), "{guarded:?}");

    let known = |id: &str| lived.incidents.iter().find(|incident| incident.id == id);
    let lost = deaf.lost.iter().find_map(|incident| known(&incident.id)).expect("one of them was stored");
    let ledger = Ledger::of(&[confirmed(lost)]);
    let deaf = changed(&lived, &SHOP.replace("severity = 70\n", "severity = 100\n"), &ledger, AMPLE).await;
    let ids: Vec<&str> = deaf.confirmed_lost.iter().map(|incident| incident.id.as_str()).collect();
    assert_eq!(ids, [lost.id.as_str()]);
}

fn confirmed(incident: &Incident) -> Instructed {
    let feedback = GivenFeedback {
        label: Label::Confirmed,
        incident: Some(incident.id.clone()),
        from_millis: incident.opened_millis,
        to_millis: incident.until_millis,
        targets: Vec::new(),
        latest: false,
        reach: Reach::Incident,
        cause: None,
        comment: None,
        expires_millis: None,
    };
    let instruction = Instruction { at_millis: START, by: "ana".to_owned(), ask: Ask::Feedback(feedback) };
    Instructed { number: 1, after_millis: START + 48 * HOUR, instruction, said: vec![], held: vec![] }
}
