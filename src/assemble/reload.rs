//! Which configuration may take the place of one that runs.

use crate::config::{Config, SourceKind, TextProblem};

/// Whether a configuration can be taken in while the other runs; else the first reason why not.
pub(super) fn may_follow(running: &Config, next: &Config) -> Result<(), TextProblem> {
    let restart = |key: &str| {
        let message = "cannot be taken in while the service runs: restart it".to_owned();
        Err(TextProblem { key: Some(key.to_owned()), line: None, message })
    };
    if running.server.listen != next.server.listen {
        return restart("server.listen");
    }
    if running.store != next.store {
        return restart("store");
    }
    for source in running.sources.iter().chain(&next.sources) {
        // What was read ahead of the last batch cannot be read again.
        if matches!(&source.kind, SourceKind::File(files) if files.paths.iter().any(|path| path == "-")) {
            return restart(&format!("sources.{}.path", source.id));
        }
    }
    let monitors = |config: &Config| {
        let specs = config.sources.iter().flat_map(|source| source.monitors.iter().cloned());
        specs.collect::<Vec<_>>()
    };
    let known = monitors(running);
    for spec in monitors(next) {
        let name = &spec.facts.monitor;
        let Some(before) = known.iter().find(|known| known.facts.monitor == *name) else { continue };
        if before.shape() != spec.shape() {
            let message = format!(
                "what is stored has another shape (`{}`, now `{}`); give the monitor a new name",
                before.shape(),
                spec.shape()
            );
            return Err(TextProblem { key: Some(format!("monitors.{name}")), line: None, message });
        }
    }
    Ok(())
}
