//! `tidewatch compare`: what a change of the configuration would gain, lose and move, on the same data.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, backtest::Run, open, output};
use crate::{
    anomaly::Incident,
    backtest::{Comparison, FailOn},
};

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArguments {
    /// The configuration as it is
    #[arg(long)]
    config: PathBuf,
    /// The configuration as it would be
    #[arg(long)]
    with: PathBuf,
    /// The monitor, of the same name in both
    #[arg(long)]
    monitor: String,
    /// Files, patterns, or - for standard input; .gz and .zst are read as they are
    #[arg(required = true)]
    inputs: Vec<String>,
    /// Where nobody is alerted by the configuration: compare incidents from this peak severity on
    #[arg(long, default_value_t = 70.0)]
    severity: f64,
    /// Confirmed incidents or labels, in any form that `backtest --labels` reads
    #[arg(long)]
    confirmed: Option<PathBuf>,
    /// Exit with 3 if there is such an incident; may be repeated
    #[arg(long)]
    fail_on: Vec<FailOn>,
    /// Where to write the comparison
    #[arg(long)]
    json: Option<PathBuf>,
    /// Threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

pub(super) async fn compare(arguments: CompareArguments) -> anyhow::Result<()> {
    if arguments.inputs.iter().any(|input| input == "-") {
        return Err(Exit::Usage("standard input can be read once only; give files".into()).into());
    }
    if arguments.fail_on.contains(&FailOn::ConfirmedLost) && arguments.confirmed.is_none() {
        return Err(Exit::Usage("--fail-on confirmed-lost needs --confirmed FILE".into()).into());
    }
    let run = |config| Run { config, monitor: &arguments.monitor, inputs: &arguments.inputs };
    let before = run(&arguments.config).backtest(arguments.threads, None).await?;
    let after = run(&arguments.with).backtest(arguments.threads, None).await?;
    let confirmed = match &arguments.confirmed {
        Some(path) => open::labels(path, &before)?,
        None => Vec::new(),
    };
    let comparison = Comparison::new(&before, &after, arguments.severity, &confirmed);
    if let Some(path) = &arguments.json {
        output::write(path, &(serde_json::to_string_pretty(&comparison.to_wire())? + "\n"))?;
    }
    print(&comparison);
    if comparison.fails(&arguments.fail_on) {
        let reasons: Vec<String> = arguments.fail_on.iter().map(|reason| format!("{reason:?}")).collect();
        return Err(Exit::Found(format!(
            "the comparison found what --fail-on names: {}",
            reasons.join(", ")
        ))
        .into());
    }
    Ok(())
}

fn print(comparison: &Comparison<'_>) {
    list("lost", &comparison.lost);
    list("gained", &comparison.gained);
    for (before, after) in comparison.moved() {
        let later = (after.opened_millis - before.opened_millis) / 60_000;
        output::line(format!(
            "moved   {:>5.1} -> {:>5.1}  {later:+} min  {}",
            before.severity.peak, after.severity.peak, after.summary
        ));
    }
    for label in comparison.confirmed_lost() {
        output::line(format!("CONFIRMED INCIDENT LOST  {}", label.name));
    }
    output::line(format!(
        "{} kept ({} of them moved), {} lost, {} gained; {} of {} confirmed incidents still heard of",
        comparison.kept.len(),
        comparison.moved().count(),
        comparison.lost.len(),
        comparison.gained.len(),
        comparison.confirmed.len() - comparison.confirmed_lost().count(),
        comparison.confirmed.len(),
    ));
}

fn list(what: &str, incidents: &[&Incident]) {
    for incident in incidents {
        output::line(format!("{what:7} {:>5.1}  {}", incident.severity.peak, incident.summary));
    }
}
