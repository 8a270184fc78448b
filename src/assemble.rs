//! Floor 7: from a checked configuration to running parts. The only room that names two adapters.
//!
//! [`Parts`] are what one configuration makes. [`Service`] is what stays while a reload exchanges them.

mod desk;
mod notifiers;
mod proposal;
mod reload;
mod service;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use notifiers::notifier;
pub use service::{Reloader, Service, Written};

use crate::{
    api::{self, ApiLimits, ApiState, Configuring, Feed, MonitorInfo, NotifierInfo},
    backtest::Workbench,
    config::{Config, SourceConfig, SourceKind},
    notifiers::Charts,
    pipeline::{
        Backtests, Clock, Courier, DeadLetters, DeliveryPolicy, Desk, Engine, EngineLimits, History,
        IncidentWatcher, Notifier, Outbox, RestoreError, RunError, RunPolicy, Runner, Source, SourceError,
        StatusBoard, Store, StoreError, Telemetry, restore,
    },
    record::Checkpoint,
    sources::{FileSource, HttpIntake, HttpSource, SimulatedSource, SimulatedSourceConfig},
    store::{DeadLetterFile, SqliteStore},
};

/// Largest body of a post.
const BODY_BYTES_MAX: usize = 16 << 20;
/// How long a reading request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What a service runs with besides its configuration.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where results live.
    pub store: Arc<SqliteStore>,
    /// When run loops commit.
    pub policy: RunPolicy,
    /// How patient delivery is.
    pub delivery: DeliveryPolicy,
    /// Threads per source.
    pub threads: usize,
}

/// What runs of one configuration.
#[derive(Debug)]
struct Parts {
    router: Router,
    stop: CancellationToken,
    runners: JoinSet<Result<Engine, RunError>>,
    others: JoinSet<Result<(), ServiceError>>,
}

/// What stays while parts come and go.
#[derive(Debug)]
struct Lasting {
    surroundings: Surroundings,
    telemetry: Arc<Telemetry>,
    board: StatusBoard,
    /// Backtests; `None` without a folder for their results.
    bench: Option<Arc<Workbench>>,
    /// Whoever changes the configuration.
    configuring: Option<Arc<dyn Configuring>>,
}

/// A service could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The address cannot be listened on.
    #[error("could not listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Serving HTTP failed.
    #[error("serving HTTP failed: {0}")]
    Serve(io::Error),
    /// A source cannot be set up.
    #[error("source `{name}`: {error}")]
    Source {
        /// The source.
        name: String,
        /// Why.
        error: SourceError,
    },
    /// A notifier cannot be set up.
    #[cfg(feature = "webhook")]
    #[error(transparent)]
    Notifier(#[from] crate::notifiers::WebhookError),
    /// A mail notifier cannot be set up.
    #[cfg(feature = "email")]
    #[error(transparent)]
    Email(#[from] crate::notifiers::EmailError),
    /// A template is wrong.
    #[error("`notifiers.{name}.{what}`: {why}")]
    Template {
        /// The notifier.
        name: String,
        /// The key.
        what: String,
        /// Where.
        why: String,
    },
    /// What ran before a reload cannot be started again.
    #[error("the configuration cannot be gone back to: {0}")]
    Configuration(String),
    /// The configuration names a part that this build leaves out.
    #[error("this build has no `{0}`; build it with `--features {0}`")]
    NotBuilt(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds cannot be gone on with.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A run loop stopped.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// The parts that sources, delivery and API share.
struct Shared {
    clock: Arc<dyn Clock>,
    store: Arc<SqliteStore>,
    telemetry: Arc<Telemetry>,
    board: StatusBoard,
    alerts_stored: Arc<Notify>,
    stop: CancellationToken,
}

impl Parts {
    /// Starts everything a configuration names, until `stop` is cancelled.
    async fn start(
        config: Config,
        lasting: &Lasting,
        stop: CancellationToken,
        watcher: &(dyn Fn() -> Option<IncidentWatcher> + Send + Sync),
    ) -> Result<Self, ServiceError> {
        let Surroundings { clock, store, policy, delivery, threads } = lasting.surroundings.clone();
        let shared = Shared {
            clock,
            store,
            telemetry: Arc::clone(&lasting.telemetry),
            board: lasting.board.clone(),
            alerts_stored: Arc::new(Notify::new()),
            stop,
        };
        let monitors = monitor_infos(&config.sources);
        let judged = |monitor: &MonitorInfo| (monitor.name.clone(), monitor.facts.measures.len());
        let history = Arc::clone(&shared.store) as Arc<dyn History>;
        let charts = Charts { history, judged: monitors.iter().map(judged).collect() };
        let specs = config.sources.iter().flat_map(|source| &source.monitors);
        let specs = specs.map(|spec| (spec.facts.monitor.clone(), Arc::clone(spec))).collect();
        let feed = Feed::new(shared.stop.clone());
        let mut runners = JoinSet::new();
        let (mut intakes, mut desks) = (BTreeMap::new(), BTreeMap::new());
        for source in config.sources {
            let name = source.id.as_str().to_owned();
            let watcher = feeding(feed.clone(), watcher());
            let (mut runner, intake) = runner(source, &shared, policy, threads, Some(watcher)).await?;
            let (desk, inbox) = Desk::new(Arc::clone(&shared.store) as Arc<dyn History>);
            runner.inbox = Some(inbox);
            desks.insert(name.clone(), desk);
            intakes.extend(intake.map(|intake| (name, intake)));
            runners.spawn(runner.run(shared.stop.clone()));
        }
        let mut others = JoinSet::new();
        let mut notifiers = BTreeMap::new();
        for (name, notifier) in config.notifiers {
            let (per_minute, kind) = (notifier.max_per_minute(), notifier.as_str());
            let notifier = self::notifier(&name, notifier, Some(charts.clone())).await?;
            notifiers.insert(name.clone(), NotifierInfo { kind, notifier: Arc::clone(&notifier) });
            let courier = courier(&name, notifier, &shared, delivery, per_minute);
            let stop = shared.stop.clone();
            others.spawn(async move { courier.run(stop).await.map_err(Into::into) });
        }
        if let Some(bench) = lasting.bench.clone() {
            let work = bench.work(shared.stop.clone());
            others.spawn(async move {
                work.await;
                Ok(())
            });
        }
        let state = ApiState {
            history: Arc::clone(&shared.store) as Arc<dyn History>,
            board: shared.board.clone(),
            telemetry: shared.telemetry,
            clock: shared.clock,
            monitors,
            specs,
            desks,
            notifiers,
            feed,
            intakes,
            backtests: lasting.bench.clone().map(|bench| bench as Arc<dyn Backtests>),
            configuring: lasting.configuring.clone(),
            token: config.server.token.map(|token| token.expose().to_owned()),
        };
        let limits = ApiLimits { body_bytes_max: BODY_BYTES_MAX, timeout: REQUEST_TIMEOUT };
        Ok(Self { router: api::router(state, limits), stop: shared.stop, runners, others })
    }

    /// Nothing that runs, behind these routes.
    fn none(router: Router, stop: &CancellationToken) -> Self {
        Self { router, stop: stop.child_token(), runners: JoinSet::new(), others: JoinSet::new() }
    }

    /// Waits until it is to stop or a part fails; sources that end are done, the rest goes on. Cancel-safe.
    async fn ended(&mut self) -> Result<(), ServiceError> {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                Some(ended) = self.runners.join_next() => drop(flat(ended)?),
                Some(ended) = self.others.join_next() => flat(ended)?,
            }
        }
    }

    /// Stops everything; every source ends with a full commit.
    async fn wind_down(mut self) -> Result<(), ServiceError> {
        self.stop.cancel();
        let mut outcome = Ok(());
        while let Some(ended) = self.runners.join_next().await {
            outcome = outcome.and(flat(ended).map(drop));
        }
        while let Some(ended) = self.others.join_next().await {
            outcome = outcome.and(flat(ended));
        }
        outcome
    }
}

/// A part that panicked takes the service down with its message.
fn flat<T, E: Into<ServiceError>>(
    ended: Result<Result<T, E>, tokio::task::JoinError>,
) -> Result<T, ServiceError> {
    match ended {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(error) => Err(ServiceError::Serve(io::Error::other(error))),
    }
}

/// Results of backtests lie beside the store.
fn workbench(surroundings: &Surroundings) -> Option<Arc<Workbench>> {
    let mut folder = surroundings.store.path()?.into_os_string();
    folder.push(".backtests");
    let history = Arc::clone(&surroundings.store) as Arc<dyn History>;
    Some(Arc::new(Workbench::new(folder.into(), history, Arc::clone(&surroundings.clock))))
}

/// A watcher that tells the clients of the API, and another one if there is one.
fn feeding(feed: Feed, other: Option<IncidentWatcher>) -> IncidentWatcher {
    Box::new(move |incident| {
        feed.tell(incident);
        if let Some(other) = &other {
            other(incident);
        }
    })
}

fn monitor_infos(sources: &[SourceConfig]) -> Vec<MonitorInfo> {
    let infos = |source: &SourceConfig| {
        let id = source.id.clone();
        source.monitors.iter().map(move |spec| MonitorInfo::of(&id, spec)).collect::<Vec<_>>()
    };
    sources.iter().flat_map(infos).collect()
}

async fn runner(
    config: SourceConfig,
    shared: &Shared,
    policy: RunPolicy,
    threads: usize,
    watcher: Option<IncidentWatcher>,
) -> Result<(Runner, Option<HttpIntake>), ServiceError> {
    let name = config.id.as_str().to_owned();
    let failed = |error| ServiceError::Source { name: name.clone(), error };
    let mut dead_letters: Vec<Box<dyn DeadLetters>> = Vec::new();
    if let Some(path) = &config.dead_letter {
        dead_letters.push(Box::new(DeadLetterFile::open(path)?));
    }
    let topic = topic_letters(&config.kind, &shared.clock).map_err(failed)?;
    let mut limits = EngineLimits { threads, records_kept: topic.is_some(), ..EngineLimits::default() };
    dead_letters.extend(topic);
    if !dead_letters.is_empty() {
        limits.rejects_kept = usize::MAX;
    }
    let mut kept = Vec::new();
    if let SourceKind::S3(bucket) = &config.kind {
        limits.receipts_kept_millis = bucket.memory_millis();
        kept = shared.store.receipt_ids(&config.id).map_err(ServiceError::from)?;
    }
    let engine = restore(
        shared.store.as_ref(),
        config.id.clone(),
        config.decoder,
        config.monitors,
        is_journaled(&config.kind),
        limits,
        shared.clock.now_millis(),
    )
    .await?;
    let kind = config.kind.as_str();
    let (source, intake) = source(config.kind, engine.checkpoint(), &kept, &shared.clock).map_err(failed)?;
    let runner = Runner {
        kind,
        source_id: config.id,
        source,
        engine,
        store: Arc::clone(&shared.store) as Arc<dyn Store>,
        dead_letters,
        clock: Arc::clone(&shared.clock),
        telemetry: Arc::clone(&shared.telemetry),
        board: shared.board.clone(),
        alerts_stored: Arc::clone(&shared.alerts_stored),
        watcher,
        inbox: None,
        policy,
    };
    Ok((runner, intake))
}

/// A topic for refused records, where a source has one.
#[cfg_attr(
    not(feature = "kafka"),
    allow(unused_variables, clippy::unnecessary_wraps, reason = "only Kafka has topics")
)]
fn topic_letters(
    kind: &SourceKind,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Box<dyn DeadLetters>>, SourceError> {
    #[cfg(feature = "kafka")]
    if let SourceKind::Kafka(config) = kind {
        let letters = crate::sources::KafkaSource::letters(config, Arc::clone(clock))?;
        return Ok(letters.map(|letters| Box::new(letters) as Box<dyn DeadLetters>));
    }
    Ok(None)
}

/// Whether the records of a source must be kept because it cannot repeat them.
fn is_journaled(kind: &SourceKind) -> bool {
    match kind {
        SourceKind::File(config) => config.paths.iter().any(|path| path == "-"),
        SourceKind::Http(_) => true,
        SourceKind::Kafka(_) | SourceKind::Kinesis(_) | SourceKind::S3(_) | SourceKind::Simulated(_) => false,
    }
}

/// THE list of sources.
fn source(
    kind: SourceKind,
    checkpoint: &Checkpoint,
    kept: &[(String, i64)],
    clock: &Arc<dyn Clock>,
) -> Result<(Box<dyn Source>, Option<HttpIntake>), SourceError> {
    match kind {
        SourceKind::File(config) => Ok((Box::new(FileSource::new(config, checkpoint)?), None)),
        SourceKind::Http(config) => {
            let (source, intake) = HttpSource::new(checkpoint, config, Arc::clone(clock));
            Ok((Box::new(source), Some(intake)))
        }
        #[cfg(not(feature = "kafka"))]
        SourceKind::Kafka(_) => Err(SourceError::Unusable(ServiceError::NotBuilt("kafka").to_string())),
        #[cfg(feature = "kafka")]
        SourceKind::Kafka(config) => {
            let source = crate::sources::KafkaSource::new(*config, checkpoint, Arc::clone(clock))?;
            Ok((Box::new(source), None))
        }
        #[cfg(not(feature = "kinesis"))]
        SourceKind::Kinesis(_) => Err(SourceError::Unusable(ServiceError::NotBuilt("kinesis").to_string())),
        #[cfg(feature = "kinesis")]
        SourceKind::Kinesis(config) => {
            let source = crate::sources::KinesisSource::new(*config, checkpoint, Arc::clone(clock));
            Ok((Box::new(source), None))
        }
        #[cfg(not(feature = "s3"))]
        SourceKind::S3(_) => {
            let _ = kept;
            Err(SourceError::Unusable(ServiceError::NotBuilt("s3").to_string()))
        }
        #[cfg(feature = "s3")]
        SourceKind::S3(config) => {
            let source = crate::sources::S3Source::new(*config, checkpoint, kept, Arc::clone(clock));
            Ok((Box::new(source), None))
        }
        SourceKind::Simulated(shop) => {
            let config = SimulatedSourceConfig { shop };
            Ok((Box::new(SimulatedSource::new(&config, checkpoint, Arc::clone(clock))), None))
        }
    }
}

fn courier(
    name: &str,
    notifier: Arc<dyn Notifier>,
    shared: &Shared,
    policy: DeliveryPolicy,
    per_minute: Option<u32>,
) -> Courier {
    Courier {
        name: name.to_owned(),
        notifier,
        outbox: Arc::clone(&shared.store) as Arc<dyn Outbox>,
        clock: Arc::clone(&shared.clock),
        telemetry: Arc::clone(&shared.telemetry),
        policy,
        per_minute,
        alerts_stored: Arc::clone(&shared.alerts_stored),
    }
}
