//! Detectors and relations: from what is written to checked settings.

use std::collections::BTreeMap;

use tidewatch_detectors::{
    Against, ChangeConfig, ConfigError, DetectorConfig, Direction, FlatlineConfig, ForestConfig, JointConfig,
    JointKind, NoveltyConfig, SeasonalConfig, ThresholdConfig, ValueKind,
};
use toml::Value;

use super::{
    Problem,
    units::duration_millis,
    written::{WrittenDetector, WrittenRelation},
};
use crate::pipeline::RelationSpec;

/// Slices that a relation judges at most, unless written otherwise: some 50 KB each.
const RELATION_SLICES: usize = 1_000;

const KINDS: &str = "seasonal, novelty, forest, change, threshold or flatline";

/// What a detector must know about the measure it judges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) interval_seconds: u32,
    pub(super) kind: ValueKind,
    pub(super) direction: Direction,
}

/// The detector of one measure: its own, as a name or a table, or else the monitor's.
pub(super) fn detector(
    path: &str,
    own: Option<(&str, &Value)>,
    monitor: &WrittenDetector,
    judged: Judged,
) -> Result<DetectorConfig, Problem> {
    let Some((own_path, value)) = own else { return settings(path, monitor, judged) };
    let written = match value {
        Value::String(kind) => WrittenDetector { kind: Some(kind.clone()), ..WrittenDetector::default() },
        other => WrittenDetector::deserialize_from(other).map_err(|error| Problem::new(own_path, error))?,
    };
    if written.severity.is_some() || written.budget.is_some() {
        return Err(Problem::new(own_path, "severity and budget belong to the monitor's detector"));
    }
    settings(own_path, &written, judged)
}

fn settings(path: &str, written: &WrittenDetector, judged: Judged) -> Result<DetectorConfig, Problem> {
    let kind = written.kind.as_deref().unwrap_or("seasonal");
    let allowed: &[&str] = match kind {
        "seasonal" | "novelty" => &[],
        "forest" => &["seed"],
        "change" => &["windows", "season", "percent"],
        "threshold" => &["lower", "upper", "windows"],
        "flatline" => &["windows", "tolerance"],
        other => return Err(Problem::new(format!("{path}.kind"), format!("`{other}`; expected {KINDS}"))),
    };
    if let Some(key) = written.keys().find(|key| !allowed.contains(key)) {
        return Err(Problem::new(format!("{path}.{key}"), format!("is no key of the detector `{kind}`")));
    }
    let Judged { interval_seconds: seconds, kind: values, direction } = judged;
    let made = match kind {
        "novelty" => NoveltyConfig::new(seconds, values, direction, true).map(DetectorConfig::Novelty),
        "forest" => {
            ForestConfig::new(seconds, direction, written.seed.unwrap_or(0)).map(DetectorConfig::Forest)
        }
        "change" => {
            let against = against(path, written, seconds)?;
            ChangeConfig::new(seconds, against, written.percent, direction).map(DetectorConfig::Change)
        }
        "threshold" => {
            let windows = written.windows.unwrap_or(1);
            ThresholdConfig::new(seconds, written.lower, written.upper, windows)
                .map(DetectorConfig::Threshold)
        }
        "flatline" => {
            let windows = written.windows.unwrap_or((86_400 / seconds).max(3));
            FlatlineConfig::new(seconds, windows, written.tolerance.unwrap_or(0.0))
                .map(DetectorConfig::Flatline)
        }
        _ => SeasonalConfig::new(seconds, values, direction).map(DetectorConfig::Seasonal),
    };
    made.map_err(|error| problem(path, error))
}

fn problem(path: &str, error: ConfigError) -> Problem {
    match error {
        ConfigError::Setting { setting, expected } => {
            Problem::new(format!("{path}.{setting}"), format!("out of range; expected {expected}"))
        }
        other => Problem::new(path, other),
    }
}

fn against(path: &str, written: &WrittenDetector, seconds: u32) -> Result<Against, Problem> {
    match (&written.season, written.windows) {
        (Some(_), Some(_)) => Err(Problem::new(path, "has both season and windows; choose one")),
        (None, windows) => Ok(Against::Mean(windows.unwrap_or(12))),
        (Some(text), None) => {
            let path = format!("{path}.season");
            let millis = duration_millis(&path, text)?;
            let width = i64::from(seconds) * 1_000;
            if millis % width != 0 {
                return Err(Problem::new(path, format!("`{text}` is no multiple of the interval")));
            }
            Ok(Against::Season(u32::try_from(millis / width).unwrap_or(u32::MAX)))
        }
    }
}

/// The relations of a monitor whose measures are `names`, with the kinds of their values.
pub(super) fn relations(
    path: &str,
    written: &BTreeMap<String, WrittenRelation>,
    names: &[(&str, ValueKind)],
    interval_seconds: u32,
) -> Result<Vec<RelationSpec>, Problem> {
    written
        .iter()
        .map(|(name, relation)| {
            let path = format!("{path}.{name}");
            if names.iter().any(|(measure, _)| measure == name) {
                return Err(Problem::new(path, "has the name of a measure"));
            }
            let kind = match relation.kind.as_str() {
                "mixture" => JointKind::Mixture,
                "components" => JointKind::Components,
                other => {
                    let detail = format!("`{other}`; expected mixture or components");
                    return Err(Problem::new(format!("{path}.kind"), detail));
                }
            };
            let mut measures = Vec::new();
            for measure in &relation.measures {
                let index = names.iter().position(|(known, _)| known == measure);
                let Some(index) = index.filter(|index| !measures.contains(index)) else {
                    let detail = format!("`{measure}` is no measure of this monitor, or is there twice");
                    return Err(Problem::new(format!("{path}.measures"), detail));
                };
                measures.push(index);
            }
            let kinds = measures.iter().map(|index| names[*index].1).collect();
            let config = JointConfig::new(kind, interval_seconds, kinds, relation.seed.unwrap_or(0))
                .map_err(|error| problem(&path, error))?;
            let max_slices = relation.max_slices.unwrap_or(RELATION_SLICES);
            Ok(RelationSpec { name: name.clone(), measures, config, max_slices })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(own: &str) -> Result<DetectorConfig, Problem> {
        let table: toml::Table = toml::from_str(own).unwrap();
        let judged =
            Judged { interval_seconds: 300, kind: ValueKind::Continuous, direction: Direction::Both };
        let own = table.get("detector").map(|value| ("m.detector", value));
        detector("detector", own, &WrittenDetector::default(), judged)
    }

    #[test]
    fn every_kind_is_read() {
        assert!(matches!(check("").unwrap(), DetectorConfig::Seasonal(_)));
        assert!(matches!(check("detector = \"novelty\"").unwrap(), DetectorConfig::Novelty(_)));
        assert!(matches!(
            check("detector = { kind = \"forest\", seed = 3 }").unwrap(),
            DetectorConfig::Forest(_)
        ));
        let change = check("detector = { kind = \"change\", season = \"7d\", percent = 30 }").unwrap();
        assert!(matches!(change, DetectorConfig::Change(config) if config.against == Against::Season(2_016)));
        let bounds = check("detector = { kind = \"threshold\", upper = 5 }").unwrap();
        assert!(matches!(bounds, DetectorConfig::Threshold(config) if config.upper == Some(5.0)));
        assert!(matches!(check("detector = \"flatline\"").unwrap(), DetectorConfig::Flatline(_)));
    }

    #[test]
    fn mistakes_are_named() {
        for (own, path, detail) in [
            ("detector = \"magic\"", "m.detector.kind", "`magic`; expected seasonal"),
            ("detector = \"threshold\"", "m.detector.lower", "out of range; expected lower, upper"),
            (
                "detector = { kind = \"flatline\", upper = 5 }",
                "m.detector.upper",
                "is no key of the detector",
            ),
            ("detector = { kind = \"forest\", severity = 5 }", "m.detector", "severity and budget belong"),
            ("detector = { kind = \"change\", season = \"7m\" }", "m.detector.season", "`7m` is no multiple"),
        ] {
            let problem = check(own).unwrap_err();
            assert_eq!(problem.path, path, "{own}");
            assert!(problem.detail.starts_with(detail), "{own}: {}", problem.detail);
        }
    }
}
