//! `tidewatch run`: the service.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;

use super::{open, output};
use crate::{
    assemble::{Reloader, Service, Surroundings, Written},
    config::StoreConfig,
    pipeline::{DeliveryPolicy, RunPolicy, SystemClock},
    store::{LockError, SqliteStore, StoreLock},
};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// The configuration: a file, or a folder whose *.toml are one
    #[arg(long)]
    config: PathBuf,
    /// Wait for another process on the same store to end, then take over
    #[arg(long)]
    standby: bool,
    /// Threads per source; as many as there are cores by default
    #[arg(long)]
    threads: Option<usize>,
}

pub(super) async fn run(arguments: RunArguments) -> anyhow::Result<()> {
    let (files, config) = open::files(&arguments.config)?;
    start_logging();
    let _lock = lock(&config.store, arguments.standby).await?;
    let store = Arc::new(SqliteStore::open(&config.store.path, config.store.durability)?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let surroundings = Surroundings {
        clock: Arc::new(SystemClock),
        store,
        policy: RunPolicy::default(),
        delivery: DeliveryPolicy::default(),
        threads: arguments.threads.unwrap_or(cores).max(1),
    };
    let written = Written { files, prepare: Box::new(|_| {}) };
    let service = Service::start(config, Some(written), surroundings, || None).await?;
    output::line(format!("tidewatch listens on http://{}", service.address));
    let stop = service.stopping();
    tokio::spawn(reload_on_signal(service.reloader()));
    tokio::spawn(async move {
        wait_for_signal().await;
        stop.cancel();
    });
    service.run().await?;
    Ok(())
}

/// Log lines go to standard error; `RUST_LOG` chooses how many.
pub(super) fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Set once per process; a second call finds it set, which is as good.
    drop(subscriber.try_init());
}

async fn lock(store: &StoreConfig, standby: bool) -> Result<StoreLock, LockError> {
    let mut told = false;
    loop {
        match StoreLock::acquire(&store.path) {
            Err(LockError::Held { .. }) if standby => {
                if !told {
                    tracing::info!(store = %store.path.display(), "standing by until the store is free");
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            outcome => return outcome,
        }
    }
}

/// SIGHUP asks for the configuration to be read again.
pub(super) async fn reload_on_signal(reloader: Reloader) {
    #[cfg(unix)]
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                reloader.reload().await;
            }
        }
        Err(error) => tracing::warn!(%error, "could not listen for SIGHUP"),
    }
    #[cfg(not(unix))]
    drop(reloader);
}

/// Ctrl-C, or a polite request to end.
pub(super) async fn wait_for_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => {
                tracing::warn!(%error, "could not listen for SIGTERM");
                drop(interrupt.await);
                return;
            }
        };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
}
