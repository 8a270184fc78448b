//! `tidewatch compare`: what a change of the configuration would gain, lose and move, on the same data.

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;

use super::{Exit, backtest::Run, open, output};
use crate::{
    anomaly::Incident,
    backtest::{Backtest, Comparison, FailOn, Label, backtest_stored, said_labels},
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
    /// Files or patterns; .gz and .zst are read as they are. Without any, the windows in the store of `--config` are
    /// judged again, and confirmed incidents are those that people confirmed
    inputs: Vec<String>,
    /// Without inputs: only incidents from this RFC 3339 time on; what was before is learned
    #[arg(long, conflicts_with = "inputs")]
    from: Option<String>,
    /// Without inputs: only windows before this RFC 3339 time
    #[arg(long, conflicts_with = "inputs")]
    to: Option<String>,
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
    let is_live = arguments.inputs.is_empty();
    if arguments.fail_on.contains(&FailOn::ConfirmedLost) && arguments.confirmed.is_none() && !is_live {
        return Err(Exit::Usage("--fail-on confirmed-lost needs --confirmed FILE".into()).into());
    }
    let (before, after, mut confirmed) = if is_live {
        stored(&arguments).await?
    } else {
        let run = |config| Run { config, monitor: &arguments.monitor, inputs: &arguments.inputs };
        let before = run(&arguments.config).backtest(arguments.threads, None).await?;
        (before, run(&arguments.with).backtest(arguments.threads, None).await?, Vec::new())
    };
    if let Some(path) = &arguments.confirmed {
        confirmed.extend(open::labels(path, &before)?);
    }
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

/// Both configurations over what the store of the first holds, and what people confirmed.
async fn stored(arguments: &CompareArguments) -> anyhow::Result<(Backtest, Backtest, Vec<Label>)> {
    let config = open::config(&arguments.config)?;
    let store = open::store(&config.store)?;
    let (_, is) = open::monitor(config, &arguments.monitor)?;
    let (_, would_be) = open::monitor(open::config(&arguments.with)?, &arguments.monitor)?;
    if is.shape() != would_be.shape() {
        return Err(Exit::Usage(format!(
            "stored windows have another shape than `{}` asks for (`{}`, not `{}`); give the events as files",
            arguments.with.display(),
            is.shape(),
            would_be.shape()
        ))
        .into());
    }
    let from = open::instant("--from", arguments.from.as_deref(), i64::MIN)?;
    let range = (i64::MIN, open::instant("--to", arguments.to.as_deref(), i64::MAX)?);
    let bar = ProgressBar::new_spinner();
    let told = |windows: u64, _: i64| {
        bar.set_message(format!("{windows} windows"));
        bar.tick();
        std::future::ready(true)
    };
    let mut before = backtest_stored(&store, is, range, told).await?;
    let mut after = backtest_stored(&store, would_be, range, told).await?;
    bar.finish_and_clear();
    before.tell_from(from);
    after.tell_from(from);
    if before.summary.windows == 0 {
        return Err(Exit::Usage(format!(
            "the store holds no window of `{}` in that time",
            arguments.monitor
        ))
        .into());
    }
    output::line(format!("{} stored windows judged under both", before.summary.windows));
    let (first, last) = before.span_millis;
    let mut confirmed = said_labels(&store, &arguments.monitor).await?;
    confirmed.retain(|label| label.start_millis < last && label.end_millis > first);
    Ok((before, after, confirmed))
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
