//! Sample records that somebody handed in, made into tables of a monitor.

use std::collections::BTreeMap;

use crate::{
    api::{ProposalWire, ProposedDimensionWire, ProposedMeasureWire},
    config::{Proposal, propose as recognise},
    record::Sample,
};

/// Rows looked at.
const ROWS_MAX: usize = 50_000;
/// Values named of a dimension.
const VALUES_MAX: usize = 12;
/// Unreadable rows named.
const NAMED_MAX: usize = 5;

/// Proposes tables for a monitor; `sources` are those that are configured.
pub(super) fn propose(samples: &str, monitor: &str, sources: &[&str]) -> Result<ProposalWire, String> {
    let lines = lines(samples)?;
    let sample = Sample::read(&lines, ROWS_MAX).ok_or("the samples hold no rows")?;
    let found = recognise(&sample)?;
    let mut notes: Vec<String> = vec!["Everything here is a guess by names and values.".to_owned()];
    if !found.has_zone {
        notes.push("The times name no zone: UTC is assumed.".to_owned());
    }
    if found.is_series {
        notes.push(
            "The rows look like a ready-made series: one row per time and slice at regular steps.".to_owned(),
        );
    }
    let unreadable = sample.unreadable.iter().take(NAMED_MAX);
    notes.extend(unreadable.map(|(line, why)| format!("Line {line} could not be read: {why}.")));
    let mut toml = String::new();
    let source = if sources.contains(&monitor) || found.format() != "json" && sources.len() == 1 {
        let source = if sources.contains(&monitor) { monitor } else { sources[0] };
        notes.push(format!("It reads the source `{source}`, which is configured already."));
        source
    } else if found.format() == "json" {
        toml += &format!(
            "# Events are posted to /v1/events?source={monitor}; or read them from Kafka, Kinesis, S3 or a file.\n[sources.{monitor}]\nkind = \"http\"\n\n"
        );
        notes.push(format!("Events are taken from posts to /v1/events?source={monitor}."));
        monitor
    } else {
        let path = format!("{monitor}.{}", found.format());
        toml += &found.file_source(monitor, &path);
        toml.push('\n');
        notes.push(format!("Rows are read from the file `{path}`: change the path."));
        monitor
    };
    toml += &found.monitor(monitor, source);
    let measures = found
        .measures
        .iter()
        .map(|(name, settings)| ProposedMeasureWire { name: name.clone(), settings: settings.clone() });
    Ok(ProposalWire {
        format: found.format().to_owned(),
        timestamp: found.timestamp.clone(),
        interval: found.interval(),
        dimensions: found.dimensions.iter().map(|field| dimension(&sample, field)).collect(),
        measures: measures.collect(),
        toml,
        notes,
    })
}

/// A JSON list as one object per line; anything else as it is, with an end to its last line.
fn lines(samples: &str) -> Result<String, String> {
    let trimmed = samples.trim();
    if !trimmed.starts_with('[') {
        return Ok(format!("{trimmed}\n"));
    }
    let values: Vec<serde_json::Value> =
        serde_json::from_str(trimmed).map_err(|error| format!("the list cannot be read: {error}"))?;
    Ok(values.iter().map(|value| format!("{value}\n")).collect())
}

/// A dimension with its most frequent values.
fn dimension(sample: &Sample, field: &str) -> ProposedDimensionWire {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    if let Some(column) = sample.columns.iter().position(|name| name == field) {
        for value in sample.values(column) {
            *counts.entry(value).or_default() += 1;
        }
    }
    let mut values: Vec<(&str, usize)> = counts.into_iter().collect();
    values.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
    ProposedDimensionWire {
        name: Proposal::dimension(field),
        field: field.to_owned(),
        values: values.into_iter().take(VALUES_MAX).map(|(value, _)| value.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    #[test]
    fn samples_become_tables_that_are_valid_as_they_are() {
        let event = |second: usize| {
            let (kind, country) = (["page_view", "purchase"][second % 2], ["DE", "US", "DE"][second % 3]);
            format!(
                "{{\"event_time\":\"2026-03-01T08:00:{:02}Z\",\"type\":\"{kind}\",\"country\":\"{country}\"}}",
                second % 60
            )
        };
        let events: Vec<String> = (0..40).map(event).collect();
        let one_per_line = propose(&events.join("\n"), "cart", &[]).unwrap();
        assert_eq!(one_per_line, propose(&format!("[{}]", events.join(",")), "cart", &[]).unwrap());
        assert_eq!(one_per_line.dimensions[0].values, ["DE", "US"]);
        let config = Config::parse(&one_per_line.toml, &Environment::default()).unwrap();
        assert_eq!(config.sources[0].monitors[0].facts.monitor, "cart");
        let known = propose(&events.join("\n"), "cart", &["cart"]).unwrap();
        assert!(!known.toml.contains("[sources") && known.notes.iter().any(|note| note.contains("already")));
        let rows = "at,country,total\n2026-03-01 08:00:00,DE,3\n2026-03-01 08:00:07,US,5\n2026-03-01 08:01:00,US,5\n";
        let csv = propose(rows, "cart", &[]).unwrap();
        assert_eq!((csv.format.as_str(), csv.timestamp.as_str()), ("csv", "at"));
        assert!(csv.notes.iter().any(|note| note.contains("no zone")), "{:?}", csv.notes);
        Config::parse(&csv.toml, &Environment::default()).unwrap();
        assert!(propose("[1,", "cart", &[]).unwrap_err().starts_with("the list cannot be read"));
    }
}
