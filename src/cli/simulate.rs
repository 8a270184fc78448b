//! `tidewatch simulate`: the seeded shop's events, the truth about its faults, and a configuration that fits.

#[cfg(feature = "kafka")]
mod kafka;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, ValueEnum};
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
    /// Where the events go
    #[arg(long, value_enum, default_value_t = Target::Files)]
    to: Target,
    /// Folder for events.ndjson.gz, truth.json and config.toml; with `--to kafka` for truth.json, if at all
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    topic: TopicArguments,
}

/// Where a shop's events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A compressed file.
    Files,
    /// A topic: what is past at once, what is to come when its time comes.
    Kafka,
}

/// Arguments of `simulate --to kafka`.
#[derive(Debug, Args)]
struct TopicArguments {
    /// With `--to kafka`: `host:port`, comma-separated
    #[arg(long)]
    brokers: Option<String>,
    /// With `--to kafka`: the topic, made when it is missing
    #[arg(long)]
    topic: Option<String>,
    /// With `--to kafka`: how many partitions a topic that is made gets
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    partitions: i32,
    /// With `--to kafka`: a file of librdkafka settings, `name=value` on each line, for logins and certificates
    #[arg(long)]
    client_config: Option<PathBuf>,
}

pub(super) async fn simulate(arguments: &SimulateArguments) -> anyhow::Result<()> {
    let (shop, start_millis) = shop(arguments)?;
    if let Some(out) = &arguments.out {
        std::fs::create_dir_all(out).with_context(|| format!("could not make folder `{}`", out.display()))?;
        write(&out.join("truth.json"), truth_json(shop.truth()).as_bytes())?;
    }
    match (arguments.to, &arguments.out) {
        (Target::Files, None) => Err(Exit::Usage("--out: a folder is needed for the files".into()).into()),
        (Target::Files, Some(out)) => {
            write(&out.join("config.toml"), SHOP_CONFIG.as_bytes())?;
            let count = write_events(&out.join("events.ndjson.gz"), shop, arguments.days, start_millis)?;
            output::line(format!("{count} events in `{}`", out.display()));
            Ok(())
        }
        #[cfg(feature = "kafka")]
        (Target::Kafka, _) => kafka::produce(&arguments.topic, shop).await,
        #[cfg(not(feature = "kafka"))]
        (Target::Kafka, _) => {
            Err(Exit::Usage("--to: this build has no `kafka`; build it with `--features kafka`".into())
                .into())
        }
    }
}

/// The shop and its first instant in milliseconds.
fn shop(arguments: &SimulateArguments) -> anyhow::Result<(Shop, i64)> {
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
    let start_millis = start.as_millisecond();
    let config =
        ShopConfig { seed: arguments.seed, start_millis, days: arguments.days, rate: arguments.rate, faults };
    Ok((Shop::new(&config), start_millis))
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
