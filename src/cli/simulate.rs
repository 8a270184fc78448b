//! `tidewatch simulate`: the seeded shop's events, the truth about its faults, and a configuration that fits.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use jiff::Timestamp;
use tidewatch_datasets::shop::{FaultPlan, Shop, ShopConfig, truth_json};

use super::{Exit, output};

/// The configuration that fits the shop's events.
pub(super) const SHOP_CONFIG: &str = include_str!("shop.toml");

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub(super) struct SimulateArguments {
    /// Same seed, same bytes
    #[arg(long)]
    seed: u64,
    /// How many days
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Mean events per minute
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Faults per week
    #[arg(long, default_value_t = 3.0)]
    faults: f64,
    /// First instant, RFC 3339
    #[arg(long, default_value = "2026-01-05T00:00:00Z")]
    start: String,
    /// Folder for events.ndjson.gz, truth.json and config.toml
    #[arg(long)]
    out: PathBuf,
}

pub(super) fn simulate(arguments: &SimulateArguments) -> anyhow::Result<()> {
    let start: Timestamp = arguments
        .start
        .parse()
        .map_err(|_| Exit::Usage(format!("--start: `{}` is not RFC 3339", arguments.start)))?;
    if !(arguments.rate > 0.0 && arguments.rate.is_finite()) {
        return Err(Exit::Usage(format!("--rate: {}; expected a number above 0", arguments.rate)).into());
    }
    let faults = if arguments.faults > 0.0 {
        FaultPlan::Seeded { per_week: arguments.faults }
    } else {
        FaultPlan::None
    };
    let shop = Shop::new(&ShopConfig {
        seed: arguments.seed,
        start_millis: start.as_millisecond(),
        days: arguments.days,
        rate: arguments.rate,
        faults,
    });
    let out = &arguments.out;
    std::fs::create_dir_all(out).with_context(|| format!("could not make folder `{}`", out.display()))?;
    write(&out.join("truth.json"), truth_json(shop.truth()).as_bytes())?;
    write(&out.join("config.toml"), SHOP_CONFIG.as_bytes())?;
    let count = write_events(&out.join("events.ndjson.gz"), shop, arguments.days, start.as_millisecond())?;
    output::line(format!("{count} events in `{}`", out.display()));
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("could not write `{}`", path.display()))
}

fn write_events(path: &Path, shop: Shop, days: u32, start_millis: i64) -> anyhow::Result<u64> {
    let context = || format!("could not write `{}`", path.display());
    let file = BufWriter::new(File::create(path).with_context(context)?);
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let bar = ProgressBar::new(u64::from(days));
    let (mut line, mut count) = (Vec::new(), 0);
    for event in shop {
        line.clear();
        event.write_json(&mut line);
        line.push(b'\n');
        encoder.write_all(&line).with_context(context)?;
        count += 1;
        if count % 10_000 == 0 {
            bar.set_position(((event.time_millis - start_millis) / 86_400_000) as u64);
        }
    }
    bar.finish_and_clear();
    encoder.finish().and_then(|mut file| file.flush()).with_context(context)?;
    Ok(count)
}
