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
        let (old, new) = (before.shape(), spec.shape());
        let mut parts = old.split("; ").zip(new.split("; ").chain(std::iter::repeat("nothing")));
        if let Some((was, is)) = parts.find(|(was, is)| was != is) {
            let message = format!("`{is}`, but what is stored has `{was}`; give the monitor a new name");
            let part = was.split(' ').next().unwrap_or_default();
            let room = if part == "relation" { "relations" } else { part };
            return Err(TextProblem { key: Some(format!("monitors.{name}.{room}")), line: None, message });
        }
        if old != new {
            let message = "what is stored has no such relation; give the monitor a new name".to_owned();
            return Err(TextProblem { key: Some(format!("monitors.{name}.relations")), line: None, message });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    const SHOP: &str = "[sources.clicks]\nkind = \"http\"\n[monitors.shop]\nsource = \"clicks\"\ntimestamp = \"at\"\n\
                        interval = \"5m\"\n[monitors.shop.measures]\na = { count = true }\nb = { count = true }\n";

    #[test]
    fn what_needs_a_restart_or_another_name_is_named() {
        let parse = |text: &str| Config::parse(text, &Environment::default()).unwrap();
        let refused = |text: &str| {
            let problem = may_follow(&parse(SHOP), &parse(text)).unwrap_err();
            (problem.key.unwrap_or_default(), problem.message)
        };
        assert!(may_follow(&parse(SHOP), &parse(SHOP)).is_ok());
        let other_detector = format!("{SHOP}[monitors.shop.detector]\nkind = \"novelty\"\n");
        assert!(may_follow(&parse(SHOP), &parse(&other_detector)).is_ok());
        assert!(may_follow(&parse(SHOP), &parse(&SHOP.replace(".shop", ".new"))).is_ok());
        let (key, why) = refused(&SHOP.replace("5m", "10m"));
        assert_eq!(key, "monitors.shop.interval");
        assert!(
            why.starts_with("`interval 600 s in UTC`, but what is stored has `interval 300 s in UTC`"),
            "{why}"
        );
        assert_eq!(refused(&SHOP.replace("b = { count", "c = { count")).0, "monitors.shop.measures");
        let relation = "[monitors.shop.relations.x]\nkind = \"mixture\"\nmeasures = [\"a\", \"b\"]\n";
        assert_eq!(refused(&format!("{SHOP}{relation}")).0, "monitors.shop.relations");
        let with = format!("{SHOP}{relation}");
        assert_eq!(
            may_follow(&parse(&with), &parse(SHOP)).unwrap_err().key.as_deref(),
            Some("monitors.shop.relations")
        );
        assert_eq!(refused(&format!("[store]\npath = \"other.db\"\n{SHOP}")).0, "store");
        let input = SHOP.replace("kind = \"http\"", "kind = \"file\"\npath = \"-\"");
        assert_eq!(refused(&input).0, "sources.clicks.path");
    }
}
