//! A running service, and how it takes in a new configuration: the parts of the old one stop after a last commit, those
//! of the new one start from what is stored, as after a restart; the listener, the store and the metrics stay.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Lasting, Parts, ServiceError, Surroundings,
    desk::{Errand, FileDesk},
    reload::may_follow,
    workbench,
};
use crate::{
    api::{Configuring, Front},
    config::{Config, ConfigFiles},
    pipeline::{IncidentWatcher, Reload, StatusBoard, Telemetry},
};

/// How long posts under way may hold a reload up; later ones are told to come again.
const POSTS_PATIENCE: Duration = Duration::from_secs(10);
/// Reloads that may wait.
const ERRANDS_MAX: usize = 16;

/// Makes what is configured into what runs, as the demo does with its shop.
type Prepare = Box<dyn Fn(&mut Config) + Send + Sync>;
/// Makes a watcher of incidents for each source.
type Watchers = Box<dyn Fn() -> Option<IncidentWatcher> + Send + Sync>;

/// A configuration that comes from files, which can be read again.
pub struct Written {
    /// The files.
    pub files: ConfigFiles,
    /// What is made of every configuration that is read from them.
    pub prepare: Prepare,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Written").field("files", &self.files.root()).finish_non_exhaustive()
    }
}

/// A running service.
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// What people may see of it.
    pub board: StatusBoard,
    parts: Parts,
    lasting: Lasting,
    front: Front,
    stop: CancellationToken,
    watchers: Watchers,
    files: Option<(Arc<FileDesk>, Prepare)>,
    asked: mpsc::Sender<Errand>,
    errands: mpsc::Receiver<Errand>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Asks a service to read its configuration again.
#[derive(Clone, Debug)]
pub struct Reloader(mpsc::Sender<Errand>);

impl Reloader {
    /// Returns when it was taken in or refused; the service has said so by then.
    pub async fn reload(&self) {
        let (answer, answered) = tokio::sync::oneshot::channel();
        // A service that is stopping takes nothing in any more.
        if self.0.send(answer).await.is_ok() {
            drop(answered.await);
        }
    }
}

impl Service {
    /// Starts everything a configuration names. With `written` it can be configured anew while it runs.
    /// `watchers` makes a watcher of incidents for each source.
    pub async fn start(
        config: Config,
        written: Option<Written>,
        surroundings: Surroundings,
        watchers: impl Fn() -> Option<IncidentWatcher> + Send + Sync + 'static,
    ) -> Result<Self, ServiceError> {
        let address = config.server.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|error| ServiceError::Listen { address, error })?;
        let (asked, errands) = mpsc::channel(ERRANDS_MAX);
        let files = written
            .map(|Written { files, prepare }| (Arc::new(FileDesk::new(files, asked.clone())), prepare));
        let lasting = Lasting {
            bench: workbench(&surroundings),
            surroundings,
            telemetry: Arc::new(Telemetry::new()),
            board: StatusBoard::default(),
            configuring: files.as_ref().map(|(desk, _)| Arc::clone(desk) as Arc<dyn Configuring>),
        };
        let (stop, watchers) = (CancellationToken::new(), Box::new(watchers) as Watchers);
        let parts = Parts::start(config, &lasting, stop.child_token(), &watchers).await?;
        let front =
            Front::serve(listener, parts.router.clone(), stop.clone()).map_err(ServiceError::Serve)?;
        let (address, board) = (front.address(), lasting.board.clone());
        Ok(Self { address, board, parts, lasting, front, stop, watchers, files, asked, errands })
    }

    /// Cancelled when the service should stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Asks it to read its configuration again.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.asked.clone())
    }

    /// Runs until stopped or until a part fails; sources that end are done, the rest goes on. Every source
    /// ends with a full commit.
    pub async fn run(mut self) -> Result<(), ServiceError> {
        let outcome = loop {
            tokio::select! {
                outcome = self.parts.ended() => break outcome,
                outcome = self.front.ended() => break outcome.map_err(ServiceError::Serve),
                Some(errand) = self.errands.recv() => match self.reload().await {
                    Ok(outcome) => drop(errand.send(outcome)),
                    Err(error) => break Err(error),
                },
            }
        };
        let has_served = self.front.is_over();
        self.stop.cancel();
        let outcome = outcome.and(self.parts.wind_down().await);
        if has_served {
            return outcome;
        }
        outcome.and(self.front.ended().await.map_err(ServiceError::Serve))
    }

    /// Takes the configuration's files in. The inner error says why they were refused; then all goes on as it was.
    async fn reload(&mut self) -> Result<Result<(), String>, ServiceError> {
        let Some((desk, _)) = &self.files else {
            return Ok(Err("the service was started without a configuration file".to_owned()));
        };
        let desk = Arc::clone(desk);
        let outcome = match self.next_config(&desk) {
            Ok((files, config)) => self.exchange(&desk, config).await?.map(|()| files),
            Err(why) => Err(why),
        };
        Reload { refused: outcome.as_ref().err().map(String::as_str) }.emit(&self.lasting.telemetry);
        let answer = outcome.as_ref().map(drop).map_err(Clone::clone);
        desk.note(outcome);
        Ok(answer)
    }

    /// The files as they are now, if they may follow what runs.
    fn next_config(&self, desk: &FileDesk) -> Result<(ConfigFiles, Config), String> {
        let running = desk.running();
        let (before, _) = running.parse(desk.environment()).map_err(|error| error.to_string())?;
        let files = ConfigFiles::read(running.root()).map_err(|error| error.to_string())?;
        let (config, left_out) = files.parse(desk.environment()).map_err(|error| error.to_string())?;
        may_follow(&before, &config)
            .map_err(|problem| format!("`{}` {}", problem.key.unwrap_or_default(), problem.message))?;
        for unusable in left_out {
            tracing::warn!("calendar {unusable}; left out");
        }
        Ok((files, config))
    }

    /// Stops what runs and starts what is configured; when that cannot start, what ran before starts again.
    async fn exchange(&mut self, desk: &FileDesk, next: Config) -> Result<Result<(), String>, ServiceError> {
        let closed = self.front.close(POSTS_PATIENCE).await;
        let stopped = Parts::none(self.parts.router.clone(), &self.stop);
        std::mem::replace(&mut self.parts, stopped).wind_down().await?;
        self.lasting.board.clear();
        self.lasting.telemetry.forget_gauges();
        let outcome = match self.parts_of(next).await {
            Ok(parts) => {
                self.parts = parts;
                Ok(())
            }
            Err(refused) => {
                let (before, _) = desk
                    .running()
                    .parse(desk.environment())
                    .map_err(|error| ServiceError::Configuration(error.to_string()))?;
                self.parts = self.parts_of(before).await?;
                Err(refused.to_string())
            }
        };
        self.front.change(self.parts.router.clone());
        drop(closed);
        Ok(outcome)
    }

    async fn parts_of(&self, mut config: Config) -> Result<Parts, ServiceError> {
        if let Some((_, prepare)) = &self.files {
            prepare(&mut config);
        }
        Parts::start(config, &self.lasting, self.stop.child_token(), &self.watchers).await
    }
}
