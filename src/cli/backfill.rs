//! `tidewatch backfill`: history for a monitor that is to start trained, or that runs already.

use std::{sync::Arc, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Exit,
    backtest::{RunArguments, show_progress},
    client::{Client, encoded},
    inputs, open, output,
};
use crate::{
    backtest::{Preparation, Prepared, prepare},
    config::StoreConfig,
    pipeline::{
        BackfillProgress, EngineLimits, MonitorSpec, Source, SourceError, StatusBoard, SystemClock,
        backfill as take_over,
    },
    record::Checkpoint,
    sources::{Damages, FileSource, FileSourceConfig},
    store::{LockError, SqliteStore, StoreLock},
};

/// A service that rebuilds models answers late.
const ASKED_AGAIN_MAX: usize = 120;
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Arguments of `backfill`.
#[derive(Debug, Args)]
pub(super) struct BackfillArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Take windows that end by this RFC 3339 time, and no later ones
    #[arg(long)]
    until: Option<String>,
    /// Where the service listens, if it runs; `[server] listen` of the configuration by default
    #[arg(long)]
    url: Option<String>,
    /// The token it asks for; `[server] token` of the configuration by default
    #[arg(long, env = "TIDEWATCH_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// What came of a hand-over.
#[derive(Clone, Copy, Debug, Default)]
struct Handed {
    windows: u64,
    refused_slices: u64,
}

impl Handed {
    fn add(&mut self, step: BackfillProgress) {
        self.windows += step.added;
        self.refused_slices = step.refused_slices;
    }
}

pub(super) async fn backfill(arguments: BackfillArguments) -> anyhow::Result<()> {
    let started = tokio::time::Instant::now();
    let until_millis = open::instant("--until", arguments.until.as_deref(), i64::MAX)?;
    if arguments.run.inputs.iter().any(|input| input == "-") {
        return Err(
            Exit::Usage("standard input cannot be gone on with after a break; give files".into()).into()
        );
    }
    let config = open::config(&arguments.run.config)?;
    let store = config.store.clone();
    let url = arguments.url.clone().unwrap_or_else(|| format!("http://{}", config.server.listen));
    let token = config.server.token.as_ref().map(|token| token.expose().to_owned());
    let client = Client::new(&url, arguments.token.clone().or(token));
    let (source, spec) = open::monitor(config, &arguments.run.monitor)?;
    let inputs = inputs::inputs(&arguments.run.inputs, &source, &spec).await?;
    let preparation = Preparation {
        inputs: arguments.run.inputs.join(" "),
        decoder: inputs.decoder,
        spec: Arc::clone(&spec),
        limits: EngineLimits { threads: arguments.run.threads.max(1), ..EngineLimits::default() },
        store: store.path.clone(),
    };
    let prepared = read(preparation, &inputs.config).await?;
    let handed = match StoreLock::acquire(&store.path) {
        Ok(_lock) => offline(&store, &spec, until_millis).await?,
        Err(LockError::Held { .. }) => online(&client, &spec.facts.monitor, until_millis).await?,
        Err(error) => return Err(error.into()),
    };
    report(&prepared, handed, started.elapsed());
    prepared.remove()?;
    Ok(())
}

/// Reads the inputs into the store beside the monitor's.
async fn read(preparation: Preparation, files: &FileSourceConfig) -> anyhow::Result<Prepared> {
    let board = StatusBoard::default();
    let (mut damages, mut progress) = (Damages::default(), None);
    let outcome = {
        let source = |checkpoint: &Checkpoint| -> Result<Box<dyn Source>, SourceError> {
            let source = FileSource::new(files.clone(), checkpoint)?;
            damages = source.damages();
            progress = Some(tokio::spawn(show_progress(board.clone(), source.reach())));
            Ok(Box::new(source))
        };
        prepare(preparation, source, Arc::new(SystemClock), board.clone()).await
    };
    if let Some(progress) = progress {
        progress.abort();
    }
    damages.list().iter().for_each(output::warn);
    Ok(outcome?)
}

/// No service holds the store.
async fn offline(store: &StoreConfig, spec: &Arc<MonitorSpec>, until_millis: i64) -> anyhow::Result<Handed> {
    let bar = hand_over_bar();
    let mut handed = Handed::default();
    let store = SqliteStore::open(&store.path, store.durability)?;
    take_over(&store, Arc::clone(spec), until_millis, |step| {
        handed.add(step);
        show_step(&bar, handed, step.left);
    })
    .await?;
    Ok(handed)
}

/// The running service takes it over between its batches.
async fn online(client: &Client, monitor: &str, until_millis: i64) -> anyhow::Result<Handed> {
    let (bar, mut handed, mut failures) = (hand_over_bar(), Handed::default(), 0);
    let until = Timestamp::from_millisecond(until_millis).ok().map(|until| until.to_string());
    let path = format!("/api/v1/monitors/{}/backfill", encoded(monitor));
    loop {
        let answer = match client.post(&path, &json!({ "until": until })).await {
            Ok(answer) => answer,
            Err(error) if error.is::<Exit>() || failures >= ASKED_AGAIN_MAX => return Err(error),
            Err(_) => {
                failures += 1;
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
                continue;
            }
        };
        let number = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or_default();
        let step = BackfillProgress {
            added: number("added"),
            left: number("left"),
            refused_slices: number("refused_slices"),
        };
        handed.add(step);
        show_step(&bar, handed, step.left);
        if step.left == 0 {
            return Ok(handed);
        }
    }
}

fn hand_over_bar() -> ProgressBar {
    let template =
        "{spinner} {elapsed} [{bar:30}] {pos} of {len} windows handed over ({per_sec}), {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    ProgressBar::new(0).with_style(style)
}

fn show_step(bar: &ProgressBar, handed: Handed, left: u64) {
    bar.set_length(handed.windows + left);
    bar.set_position(handed.windows);
}

fn report(prepared: &Prepared, handed: Handed, took: Duration) {
    let summary = &prepared.summary;
    let time = |millis| Timestamp::from_millisecond(millis).map(|time| time.to_string()).unwrap_or_default();
    let (first, last) = prepared.span_millis;
    output::line(format!(
        "{} events in = {} counted + {} rejected + {} late + {} after close + {} over limit",
        summary.records_in,
        summary.counted,
        summary.rejected,
        summary.late,
        summary.after_close,
        summary.over_limit,
    ));
    output::line(format!(
        "{} windows of the inputs, {} to {}; {} of them added before the monitor's first, in {:.1} s",
        summary.windows,
        time(first),
        time(last),
        handed.windows,
        took.as_secs_f64(),
    ));
    if handed.windows == 0 {
        output::line("nothing was added: the monitor has these windows, or began before them");
    }
    if handed.refused_slices > 0 {
        output::line(format!(
            "{} slices of the inputs are left out: the monitor keeps `max_series` already",
            handed.refused_slices
        ));
    }
}
