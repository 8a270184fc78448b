//! `tidewatch train`: the past of a monitor, so that it scores from its first live window.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use jiff::Timestamp;

use super::{
    backtest::{RunArguments, show_progress},
    inputs, open, output,
};
use crate::{
    backtest::{Trained, Training, train as run_training},
    pipeline::{Clock, EngineLimits, StatusBoard, SystemClock},
    store::StoreLock,
};

/// Arguments of `train`.
#[derive(Debug, Args)]
pub(super) struct TrainArguments {
    #[command(flatten)]
    run: RunArguments,
    /// The store to write; `[store] path` of the configuration by default
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(super) async fn train(arguments: TrainArguments) -> anyhow::Result<()> {
    let started_millis = SystemClock.now_millis();
    let config = open::config(&arguments.run.config)?;
    let path = arguments.out.unwrap_or_else(|| config.store.path.clone());
    let durability = config.store.durability;
    let (source, spec) = open::monitor(config, &arguments.run.monitor)?;
    let inputs = inputs::inputs(&arguments.run.inputs, &source, &spec).await?;
    let files = inputs.files()?;
    let damages = files.damages();
    let _lock = StoreLock::acquire(&path)?;
    let board = StatusBoard::default();
    let limits = EngineLimits { threads: arguments.run.threads.max(1), ..EngineLimits::default() };
    let training = Training {
        source_id: source.id,
        decoder: inputs.decoder,
        spec,
        limits,
        path: path.clone(),
        durability,
    };
    let progress = tokio::spawn(show_progress(board.clone(), files.reach()));
    let outcome = run_training(training, Box::new(files), Arc::new(SystemClock), board).await;
    progress.abort();
    damages.list().iter().for_each(output::warn);
    report(&outcome?);
    let seconds = (SystemClock.now_millis() - started_millis) as f64 / 1e3;
    output::line(format!("in {seconds:.1} s, written to `{}`", path.display()));
    Ok(())
}

fn report(trained: &Trained) {
    let summary = &trained.summary;
    let through = trained.through_millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    output::line(format!(
        "{} events in = {} counted + {} revised + {} rejected + {} late + {} after close + {} over limit",
        summary.records_in,
        summary.counted,
        summary.revised,
        summary.rejected,
        summary.late,
        summary.after_close,
        summary.over_limit,
    ));
    output::line(format!(
        "{} series trained on {} windows up to {}",
        summary.series,
        summary.windows,
        through.map(|through| through.to_string()).unwrap_or_default(),
    ));
    match trained.learning {
        Some((seen, needed)) => output::line(format!(
            "all of them still warm up: the furthest has seen {seen} of {needed} windows that it needs"
        )),
        None => output::line(format!("{} of them still warm up", trained.num_learning)),
    }
}
