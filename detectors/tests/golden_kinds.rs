//! Pins the detectors beside the seasonal one: a saved state of each must keep loading and score on as it did.
//!
//! `make bless` writes the files anew; that is right only for a kind that no release has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, path::PathBuf};

use support::{Case, golden_series};
use tidewatch_detectors::{
    Against, ChangeConfig, DetectorConfig, Direction, FlatlineConfig, ForestConfig, JointConfig, JointKind,
    JointModel, JointObservation, LearnPolicy, Model, NoveltyConfig, Observation, Score, ThresholdConfig,
    ValueKind,
};

const SAVED_AFTER: usize = 800;
const TOLERANCE: f64 = 1e-6;

fn kinds() -> Vec<(&'static str, DetectorConfig)> {
    let both = Direction::Both;
    vec![
        (
            "novelty",
            DetectorConfig::Novelty(NoveltyConfig::new(3_600, ValueKind::Count, both, true).unwrap()),
        ),
        ("forest", DetectorConfig::Forest(ForestConfig::new(3_600, both, 9).unwrap())),
        (
            "change",
            DetectorConfig::Change(ChangeConfig::new(3_600, Against::Season(24), None, both).unwrap()),
        ),
        (
            "threshold",
            DetectorConfig::Threshold(ThresholdConfig::new(3_600, Some(80.0), Some(900.0), 1).unwrap()),
        ),
        ("flatline", DetectorConfig::Flatline(FlatlineConfig::new(3_600, 3, 0.0).unwrap())),
    ]
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v4").join(name)
}

/// Page and minor severity and the expected value of what follows the saved state.
fn agree(name: &str, state: &[u8], scores: Vec<Option<Score>>) {
    let rows: Vec<Option<[f64; 3]>> = scores
        .into_iter()
        .map(|score| score.map(|score| [score.severity(), score.minor(), score.expected]))
        .collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path(&format!("{name}.postcard")), state).unwrap();
        fs::write(path(&format!("{name}.json")), serde_json::to_string(&rows).unwrap()).unwrap();
    }
    let text = fs::read_to_string(path(&format!("{name}.json"))).unwrap();
    let golden: Vec<Option<[f64; 3]>> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), golden.len());
    for (index, (row, golden)) in rows.iter().zip(&golden).enumerate() {
        let (Some(row), Some(golden)) = (row, golden) else {
            assert_eq!(row, golden, "{name} at {index}");
            continue;
        };
        for (number, pinned) in row.iter().zip(golden) {
            let near = (number - pinned).abs() < TOLERANCE * (1.0 + pinned.abs());
            assert!(near, "{name} at {index}: {number} for {pinned}");
        }
    }
}

#[test]
fn every_kind_loads_and_scores_on() {
    let series = golden_series(&Case::HOUR_COUNT);
    for (name, config) in kinds() {
        let mut fresh = config.start();
        for observation in &series[..SAVED_AFTER] {
            fresh.observe(observation, LearnPolicy::Learn);
        }
        let state = postcard::to_allocvec(&fresh).unwrap();
        let run = |mut model: Model| -> Vec<Option<Score>> {
            let later = series[SAVED_AFTER..].iter();
            later.map(|observation: &Observation| model.observe(observation, LearnPolicy::Learn)).collect()
        };
        agree(name, &state, run(fresh));
        let saved = fs::read(path(&format!("{name}.postcard"))).unwrap();
        agree(name, &state, run(postcard::from_bytes(&saved).unwrap()));
    }
}

#[test]
fn every_joint_kind_loads_and_scores_on() {
    let series = golden_series(&Case::HOUR_COUNT);
    let other = golden_series(&Case::HOUR_CONTINUOUS);
    let rows: Vec<(i64, [Option<f64>; 2])> = series
        .iter()
        .zip(&other)
        .map(|(one, two)| (one.civil_seconds(), [Some(one.value()), Some(two.value())]))
        .collect();
    for (name, kind) in [("mixture", JointKind::Mixture), ("components", JointKind::Components)] {
        let kinds = vec![ValueKind::Count, ValueKind::Continuous];
        let mut fresh = JointConfig::new(kind, 3_600, kinds, 3).unwrap().start();
        let observe = |model: &mut JointModel, (time, values): &(i64, [Option<f64>; 2])| {
            let observation = JointObservation::new(*time, values).unwrap();
            model.observe(&observation, LearnPolicy::Learn).map(|judged| judged.score)
        };
        for row in &rows[..SAVED_AFTER] {
            observe(&mut fresh, row);
        }
        let state = postcard::to_allocvec(&fresh).unwrap();
        let run = |mut model: JointModel| -> Vec<Option<Score>> {
            rows[SAVED_AFTER..].iter().map(|row| observe(&mut model, row)).collect()
        };
        agree(name, &state, run(fresh));
        let saved = fs::read(path(&format!("{name}.postcard"))).unwrap();
        agree(name, &state, run(postcard::from_bytes(&saved).unwrap()));
    }
}
