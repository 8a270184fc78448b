//! `tidewatch alerts`: what became of alerts, sending one again, and what rules would have told. Works beside a
//! running service.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{Exit, open, output};
use crate::{
    anomaly::rfc3339,
    config::Config,
    pipeline::{MonitorSpec, RulesPreview, preview},
    store::SqliteStore,
};

/// Arguments of `alerts`.
#[derive(Debug, Args)]
pub(super) struct AlertsArguments {
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// List alerts with their state: waiting, sent or given_up
    List {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
        /// Only those in this state
        #[arg(long)]
        state: Option<String>,
    },
    /// Say what alert rules would have told over the stored history; nothing is sent
    Preview {
        /// The configuration; its rules may differ from those that run
        #[arg(long)]
        config: PathBuf,
        /// Only the rules of this monitor
        #[arg(long)]
        monitor: Option<String>,
        /// Only this rule: its name, or MONITOR/NUMBER
        #[arg(long)]
        rule: Option<String>,
        /// Windows that start at or after this, RFC 3339; all that are stored if left out
        #[arg(long)]
        since: Option<Timestamp>,
    },
    /// Put an alert that was sent or given up back into the outbox; it keeps its id
    Resend {
        /// The alert's id
        id: String,
        /// The configuration
        #[arg(long)]
        config: PathBuf,
    },
}

pub(super) async fn alerts(arguments: AlertsArguments) -> anyhow::Result<()> {
    match arguments.command {
        AlertsCommand::List { config, state } => {
            for (id, found) in store(&config)?.outbox_rows()? {
                if state.as_ref().is_none_or(|state| *state == found) {
                    output::line(format!("{found}\t{id}"));
                }
            }
            Ok(())
        }
        AlertsCommand::Preview { config, monitor, rule, since } => {
            let store = store(&config)?;
            let since_millis = since.map_or(i64::MIN, Timestamp::as_millisecond);
            for spec in asked(open::config(&config)?, monitor.as_deref(), rule.as_deref())? {
                let num_measures = spec.window.measures.len();
                let found = preview(&store, &spec.facts, num_measures, since_millis).await?;
                show(&spec.facts.monitor, &found);
            }
            Ok(())
        }
        AlertsCommand::Resend { id, config } => {
            if !store(&config)?.resend(&id, Timestamp::now().as_millisecond())? {
                return Err(Exit::Usage(format!("no alert `{id}` that was sent or given up")).into());
            }
            output::line(format!("`{id}` waits to be sent again"));
            Ok(())
        }
    }
}

fn store(config: &std::path::Path) -> anyhow::Result<SqliteStore> {
    let config = open::config(config)?.store;
    if !config.path.exists() {
        let why = format!("no store `{}`; has the service run yet?", config.path.display());
        return Err(Exit::Usage(why).into());
    }
    Ok(SqliteStore::open(&config.path, config.durability)?)
}

/// The monitors with the rules that were asked for.
fn asked(config: Config, monitor: Option<&str>, rule: Option<&str>) -> anyhow::Result<Vec<MonitorSpec>> {
    let specs = config.sources.into_iter().flat_map(|source| source.monitors);
    let mut specs: Vec<MonitorSpec> = specs.map(|spec| (*spec).clone()).collect();
    let names = |specs: &[MonitorSpec]| {
        specs.iter().map(|spec| spec.facts.monitor.clone()).collect::<Vec<_>>().join(", ")
    };
    if let Some(monitor) = monitor {
        let known = names(&specs);
        specs.retain(|spec| spec.facts.monitor == monitor);
        if specs.is_empty() {
            return Err(Exit::Usage(format!("no monitor `{monitor}`; there are: {known}")).into());
        }
    }
    if let Some(rule) = rule {
        let rules = specs.iter().flat_map(|spec| &spec.facts.rules);
        let known: Vec<String> = rules.map(|rule| rule.name.clone()).collect();
        for spec in &mut specs {
            spec.facts.rules.retain(|known| known.name == rule);
        }
        specs.retain(|spec| !spec.facts.rules.is_empty());
        if specs.is_empty() {
            return Err(Exit::Usage(format!("no rule `{rule}`; there are: {}", known.join(", "))).into());
        }
    }
    Ok(specs)
}

fn show(monitor: &str, preview: &RulesPreview) {
    for previewed in &preview.alerts {
        let alert = &previewed.alert;
        let incident = &alert.incident;
        let what = match alert.digest.len() {
            0 => incident.summary.clone(),
            events => format!("{events} events, {} more", alert.held_back),
        };
        output::line(format!(
            "{}\t{}\t{}\t{}\t{:.0}\t{}\t{what}",
            rfc3339(alert.at_millis),
            previewed.rule,
            alert.kind.as_str(),
            if incident.id.is_empty() { "-" } else { &incident.id },
            incident.severity.peak,
            previewed.to.join(","),
        ));
    }
    let time = |millis: Option<i64>| millis.map_or_else(|| "-".to_owned(), rfc3339);
    let held = preview.held_back;
    output::line(format!(
        "{monitor}: {} messages over {} windows from {} to {}; held back: {} by the cap, {} by the cool-down, {} by \
         the schedule",
        preview.alerts.len(),
        preview.num_windows,
        time(preview.from_millis),
        time(preview.to_millis),
        held.cap,
        held.cool_down,
        held.schedule,
    ));
}
