//! Floor 7: from a checked configuration to running parts. The only room that names two adapters.

mod notifiers;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use notifiers::notifier;

use crate::{
    api::{self, ApiLimits, ApiState, Feed, MonitorInfo, NotifierInfo},
    config::{Config, SourceConfig, SourceKind},
    notifiers::Charts,
    pipeline::{
        Clock, Courier, DeadLetters, DeliveryPolicy, Desk, Engine, EngineLimits, History, IncidentWatcher,
        Notifier, Outbox, RestoreError, RunError, RunPolicy, Runner, Source, SourceError, StatusBoard, Store,
        StoreError, Telemetry, restore,
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
#[derive(Debug)]
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

/// A running service.
#[derive(Debug)]
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// What people may see of it.
    pub board: StatusBoard,
    stop: CancellationToken,
    runners: JoinSet<Result<Engine, RunError>>,
    others: JoinSet<Result<(), ServiceError>>,
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

impl Service {
    /// Starts everything a configuration names. `watcher` makes a watcher of incidents for each source.
    pub async fn start(
        config: Config,
        surroundings: Surroundings,
        watcher: &dyn Fn() -> Option<IncidentWatcher>,
    ) -> Result<Self, ServiceError> {
        let Surroundings { clock, store, policy, delivery, threads } = surroundings;
        let shared = Shared {
            clock,
            store,
            telemetry: Arc::new(Telemetry::new()),
            board: StatusBoard::default(),
            alerts_stored: Arc::new(Notify::new()),
            stop: CancellationToken::new(),
        };
        let monitors = monitor_infos(&config.sources);
        let judged = |monitor: &MonitorInfo| (monitor.name.clone(), monitor.facts.measures.len());
        let history = Arc::clone(&shared.store) as Arc<dyn History>;
        let charts = Charts { history, judged: monitors.iter().map(judged).collect() };
        let specs = config.sources.iter().flat_map(|source| &source.monitors);
        let specs = specs.map(|spec| (spec.facts.monitor.clone(), Arc::clone(spec))).collect();
        let address = config.server.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|error| ServiceError::Listen { address, error })?;
        let address = listener.local_addr().map_err(ServiceError::Serve)?;
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
            token: config.server.token.map(|token| token.expose().to_owned()),
        };
        let limits = ApiLimits { body_bytes_max: BODY_BYTES_MAX, timeout: REQUEST_TIMEOUT };
        let (router, stop) = (api::router(state, limits), shared.stop.clone());
        others.spawn(async move { api::serve(listener, router, stop).await.map_err(ServiceError::Serve) });
        Ok(Self { address, board: shared.board, stop: shared.stop, runners, others })
    }

    /// Cancelled when the service should stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs until stopped or until a part fails; sources that end are done, the rest goes on. Every source
    /// ends with a full commit.
    pub async fn run(mut self) -> Result<(), ServiceError> {
        let outcome = loop {
            tokio::select! {
                () = self.stop.cancelled() => break Ok(()),
                Some(ended) = self.runners.join_next() => if let Err(error) = flat(ended) {
                    break Err(error);
                },
                Some(ended) = self.others.join_next() => if let Err(error) = flat(ended) {
                    break Err(error);
                },
            }
        };
        self.stop.cancel();
        let mut outcome = outcome;
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
