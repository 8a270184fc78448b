//! `tidewatch plan`: series, memory, disk and load of a monitor, from its own data.

use std::path::PathBuf;

use clap::Args;

use super::{backtest::RunArguments, open, output};
use crate::backtest::plan as estimate;

/// Growth of the slices over the last quarter of the data that is worth a warning.
const STILL_GROWING: f64 = 1.05;

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Where to write the figures
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(super) async fn plan(arguments: PlanArguments) -> anyhow::Result<()> {
    let run = arguments.run.run();
    let found = run.backtest(arguments.run.threads, None).await?;
    let (_, spec) = open::monitor(open::config(&arguments.run.config)?, &arguments.run.monitor)?;
    let plan = estimate(&found, spec.retention_millis).await?;
    if let Some(path) = &arguments.json {
        output::write(path, &(serde_json::to_string_pretty(&plan)? + "\n"))?;
    }
    output::line(format!("from {:.1} days of data:", plan.days));
    for (level, slices) in &plan.slices_by_level {
        output::line(format!("  {slices:>9} slices of {level}"));
    }
    let measures = found.facts.measures.len();
    output::line(format!("  {:>9} series in all, of {measures} measures", plan.series));
    output::line(format!(
        "  {:>9.1} events a second, {:.0} windows a day",
        plan.events_per_second, plan.windows_per_day
    ));
    output::line(format!("memory   {}", amount(plan.memory_bytes)));
    output::line(format!("disk     {} a day", amount(plan.disk_bytes_per_day)));
    if let Some(bytes) = plan.disk_bytes {
        output::line(format!("         {} at the configured retention", amount(bytes)));
    }
    output::line(format!("load     {:.1} % of a core", 100.0 * plan.load));
    if let [.., third, last] = plan.growth[..]
        && last as f64 > STILL_GROWING * third as f64
    {
        output::warn(format!(
            "slices still grow: {third} after three quarters of the data, {last} at its end; max_series is the limit"
        ));
    }
    Ok(())
}

fn amount(bytes: f64) -> String {
    let (size, unit) = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        .into_iter()
        .find(|(size, _)| bytes >= *size)
        .unwrap_or((1.0, "B"));
    format!("{:.1} {unit}", bytes / size)
}
