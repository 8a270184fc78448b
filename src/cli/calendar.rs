//! `tidewatch calendar`: the special times a monitor knows, one per line.

use std::path::PathBuf;

use clap::Args;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{Exit, open, output};
use crate::calendar::SpecialTimeWire;

/// Arguments of `calendar`.
#[derive(Debug, Args)]
pub(super) struct CalendarArguments {
    /// The configuration that holds the monitor
    #[arg(long)]
    config: PathBuf,
    /// The monitor
    #[arg(long)]
    monitor: String,
    /// From this date or RFC 3339 time on
    #[arg(long)]
    from: String,
    /// Until this date or RFC 3339 time, exclusive
    #[arg(long)]
    to: String,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn calendar(arguments: &CalendarArguments) -> anyhow::Result<()> {
    let (_, spec) = open::monitor(open::config(&arguments.config)?, &arguments.monitor)?;
    let zone = &spec.zones.default;
    let from = second("--from", &arguments.from, zone)?;
    let to = second("--to", &arguments.to, zone)?;
    let dimensions = &spec.facts.dimensions;
    let listed = spec.calendar.between(zone, from, to);
    let times: Vec<SpecialTimeWire> =
        listed.iter().map(|listed| SpecialTimeWire::of(listed, dimensions)).collect();
    if arguments.json {
        output::line(serde_json::to_string_pretty(&times)?);
        return Ok(());
    }
    for time in &times {
        output::line(row(time));
    }
    Ok(())
}

fn row(time: &SpecialTimeWire) -> String {
    let scope: Vec<String> =
        time.scope.iter().map(|(name, values)| format!("{name}={}", values.join("|"))).collect();
    let scope = if scope.is_empty() { "everything".to_owned() } else { scope.join(" ") };
    let uplift = time.uplift.map(|uplift| format!("  x{uplift}")).unwrap_or_default();
    let SpecialTimeWire { name, kind, origin, from, to, .. } = time;
    format!("{from:<20}  {to:<20}  {kind:<9}  {origin:<10}  {name} ({scope}){uplift}")
}

/// A date begins in the monitor's zone.
fn second(name: &str, text: &str, zone: &TimeZone) -> anyhow::Result<i64> {
    let day = text.parse::<Timestamp>().ok().or_else(|| {
        let day = text.parse::<Date>().ok()?;
        zone.to_timestamp(day.at(0, 0, 0, 0)).ok()
    });
    day.map(Timestamp::as_second).ok_or_else(|| {
        Exit::Usage(format!("{name} `{text}`; expected a date or RFC 3339, e.g. 2026-11-01")).into()
    })
}
