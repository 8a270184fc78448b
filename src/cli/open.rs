//! What several commands need: a configuration from a file, one monitor of it, files of events.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use jiff::Timestamp;

use super::{Exit, output};
use crate::{
    backtest::{Backtest, Label, read_labels},
    config::{Config, ConfigFiles, Environment, SourceConfig, StoreConfig},
    pipeline::MonitorSpec,
    store::SqliteStore,
};

/// Reads and checks a configuration, a file or a folder of files, and the calendars it names.
pub(super) fn config(path: &Path) -> anyhow::Result<Config> {
    Ok(files(path)?.1)
}

/// The files of a configuration, and what they say.
pub(super) fn files(path: &Path) -> anyhow::Result<(ConfigFiles, Config)> {
    let files = ConfigFiles::read(path)?;
    let context = || format!("in `{}`", path.display());
    let (config, left_out) = files.parse(&Environment::of_process()).with_context(context)?;
    for unusable in left_out {
        output::warn(format!("calendar {unusable}; left out"));
    }
    Ok((files, config))
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

/// The store of a service, which may run.
pub(super) fn store(store: &StoreConfig) -> anyhow::Result<SqliteStore> {
    let path = store.path.display();
    if !store.path.exists() {
        return Err(Exit::Usage(format!("no store `{path}`; has the service run yet?")).into());
    }
    Ok(SqliteStore::open(&store.path, store.durability)?)
}

/// An RFC 3339 time.
pub(super) fn instant(name: &str, text: Option<&str>, default: i64) -> anyhow::Result<i64> {
    let Some(text) = text else { return Ok(default) };
    let instant: Timestamp = text
        .parse()
        .map_err(|_| Exit::Usage(format!("{name}: `{text}` is not RFC 3339, e.g. 2026-03-01T00:00:00Z")))?;
    Ok(instant.as_millisecond())
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
