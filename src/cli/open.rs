//! What several commands need: a configuration from a file, one monitor of it, files of events.

use std::{path::Path, sync::Arc};

use anyhow::Context;

use super::{Exit, output};
use crate::{
    backtest::{Backtest, Label, read_labels},
    config::{Config, ConfigError, Environment, SourceConfig},
    pipeline::MonitorSpec,
};

/// Reads and checks a configuration file and the calendars it names.
pub(super) fn config(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
    let context = || format!("in `{}`", path.display());
    let mut config = Config::parse(&text, &Environment::of_process()).with_context(context)?;
    for unusable in config.read_calendars().with_context(context)? {
        output::warn(format!("calendar {unusable}; left out"));
    }
    Ok(config)
}

/// The source that a monitor reads, and the monitor.
pub(super) fn monitor(config: Config, name: &str) -> anyhow::Result<(SourceConfig, Arc<MonitorSpec>)> {
    let known: Vec<String> = config
        .sources
        .iter()
        .flat_map(|source| &source.monitors)
        .map(|monitor| monitor.facts.monitor.clone())
        .collect();
    for source in config.sources {
        let found = source.monitors.iter().find(|monitor| monitor.facts.monitor == name).cloned();
        if let Some(monitor) = found {
            return Ok((source, monitor));
        }
    }
    Err(Exit::Usage(format!("no monitor `{name}`; there are: {}", known.join(", "))).into())
}

/// Labels for a backtest, from any of the forms that [`read_labels`] knows.
pub(super) fn labels(path: &Path, found: &Backtest) -> anyhow::Result<Vec<Label>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()))?;
    let labels = read_labels(&text, &found.facts.zone, found.interval_millis)
        .map_err(|error| Exit::Usage(format!("`{}`: {error}", path.display())))?;
    Ok(labels)
}

/// Refuses a share outside of 0 up to 1.
pub(super) fn share(name: &str, share: f64) -> anyhow::Result<()> {
    if (0.0..1.0).contains(&share) {
        return Ok(());
    }
    Err(Exit::Usage(format!("{name}: {share}; expected 0 up to 1")).into())
}
