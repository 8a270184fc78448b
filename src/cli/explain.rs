//! `tidewatch explain`: why a window was or was not flagged, asked of a running service.

use clap::Args;

use super::{Exit, client::ServiceArguments, incidents::pair, output};

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The series: MONITOR/MEASURE, or MONITOR/MEASURE/NAME=VALUE,NAME=VALUE
    #[arg(long)]
    series: String,
    /// An RFC 3339 time within the window
    #[arg(long)]
    time: String,
    #[command(flatten)]
    service: ServiceArguments,
}

pub(super) async fn explain(arguments: ExplainArguments) -> anyhow::Result<()> {
    let mut parts = arguments.series.splitn(3, '/');
    let (Some(monitor), Some(measure)) = (parts.next(), parts.next()) else {
        let why = format!(
            "--series `{}`; expected MONITOR/MEASURE or MONITOR/MEASURE/NAME=VALUE",
            arguments.series
        );
        return Err(Exit::Usage(why).into());
    };
    let slice: Result<Vec<(String, String)>, String> =
        parts.next().into_iter().flat_map(|slice| slice.split(',')).map(pair).collect();
    let slice = slice.map_err(|why| Exit::Usage(format!("--series: {why}")))?;
    let names: Vec<String> = slice.iter().map(|(name, _)| format!("slice.{name}")).collect();
    let mut query = vec![
        ("monitor", Some(monitor.to_owned())),
        ("measure", Some(measure.to_owned())),
        ("time", Some(arguments.time.clone())),
    ];
    query.extend(names.iter().zip(&slice).map(|(name, (_, value))| (name.as_str(), Some(value.clone()))));
    let why = arguments.service.client()?.get("/api/v1/explain", &query).await?;
    if arguments.service.json {
        output::line(format!("{why:#}"));
        return Ok(());
    }
    let text = |key: &str| why[key].as_str().unwrap_or_default().to_owned();
    output::line(format!("{} to {}: {}", text("from"), text("to"), text("text")));
    for (title, key) in [("held back", "held_back"), ("found", "comparisons")] {
        for line in why[key].as_array().into_iter().flatten() {
            output::line(format!("  {title}: {}", line.as_str().unwrap_or_default()));
        }
    }
    Ok(())
}
