//! The configuration's files in the hands of the API: tried, written, and handed to the service to take in.

use std::{
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::proposal;
use crate::{
    anomaly::{AlertRule, Threshold},
    api::{
        BeforeAfter, ConfigChange, ConfigProblemWire, ConfigWire, Configuring, ConfiguringError,
        ProposalWire, ReloadedWire, TriedChange,
    },
    config::{
        Change, Config, ConfigFile, ConfigFiles, Environment, MonitorText, TextProblem, Tried, line_of,
    },
    pipeline::MonitorSpec,
};

/// The name of the rule that a monitor without rules is given to be previewed.
const PREVIEW_RULE: &str = "(none)";

/// Asks the service to take the files in; answers why it did not.
pub(super) type Errand = oneshot::Sender<Result<(), String>>;

/// The files that run, and the way to the service that runs them.
#[derive(Debug)]
pub(super) struct FileDesk {
    environment: Environment,
    /// As they were when they were taken in.
    running: RwLock<ConfigFiles>,
    errands: mpsc::Sender<Errand>,
    reloaded: Mutex<ReloadedWire>,
    /// Held while files are written and taken in: one after the other.
    writing: tokio::sync::Mutex<()>,
}

impl FileDesk {
    pub(super) fn new(running: ConfigFiles, errands: mpsc::Sender<Errand>) -> Self {
        Self {
            environment: Environment::of_process(),
            running: RwLock::new(running),
            errands,
            reloaded: Mutex::default(),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// The files that run.
    pub(super) fn running(&self) -> ConfigFiles {
        self.running.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What secrets come from.
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Remembers what became of taking files in.
    pub(super) fn note(&self, outcome: Result<ConfigFiles, String>) {
        let mut reloaded = self.reloaded.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(files) => {
                *self.running.write().unwrap_or_else(PoisonError::into_inner) = files;
                *reloaded = ReloadedWire { reloads: reloaded.reloads + 1, error: None };
            }
            Err(why) => reloaded.error = Some(why),
        }
    }

    /// The files as they are now, which may be others than run.
    fn read(&self) -> Result<ConfigFiles, ConfiguringError> {
        ConfigFiles::read(self.running().root())
            .map_err(|error| ConfiguringError::Unavailable(error.to_string()))
    }

    /// The configuration that runs.
    fn running_config(&self) -> Result<Config, ConfiguringError> {
        let parsed = self.running().parse(&self.environment);
        parsed.map(|(config, _)| config).map_err(|error| ConfiguringError::Unavailable(error.to_string()))
    }

    /// The settings as they run and as they were tried, if the change can be taken in.
    fn settings(
        &self,
        monitor: &str,
        text: &str,
        tried: Result<Config, Vec<TextProblem>>,
    ) -> Result<Result<BeforeAfter, Vec<ConfigProblemWire>>, ConfiguringError> {
        let tried = match tried {
            Ok(tried) => tried,
            Err(problems) => return Ok(Err(problems.into_iter().map(problem).collect())),
        };
        let running = self.running_config()?;
        if let Err(why) = super::reload::may_follow(&running, &tried) {
            let line = why.key.as_deref().and_then(|key| line_of(text, key));
            return Ok(Err(vec![problem(TextProblem { line, ..why })]));
        }
        let (before, after) = (with_a_rule(&running, monitor), with_a_rule(&tried, monitor));
        let after = after.ok_or_else(|| not_found(monitor))?;
        // A monitor that does not run yet is compared with itself: nothing of it is stored.
        Ok(Ok((before.unwrap_or_else(|| Arc::clone(&after)), after)))
    }

    async fn ask_reload(&self) -> Result<(), ConfiguringError> {
        let stopping = || ConfiguringError::Unavailable("the service is stopping".to_owned());
        let (answer, answered) = oneshot::channel();
        self.errands.send(answer).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?.map_err(ConfiguringError::Refused)
    }

    /// Writes a file and takes it in; what cannot be taken in is taken back.
    async fn write(&self, file: &ConfigFile, before: Option<&str>) -> Result<(), ConfiguringError> {
        let failed = |error: std::io::Error| {
            let path = file.path.display();
            ConfiguringError::Unavailable(format!("could not write `{path}`: {error}"))
        };
        replace(&file.path, &file.text).map_err(failed)?;
        let Err(refused) = self.ask_reload().await else { return Ok(()) };
        match before {
            Some(before) => replace(&file.path, before),
            None => std::fs::remove_file(&file.path),
        }
        .map_err(failed)?;
        Err(refused)
    }
}

#[async_trait]
impl Configuring for FileDesk {
    fn written(&self, monitor: &str) -> Result<ConfigWire, ConfiguringError> {
        let home = self.read()?.monitor(monitor).ok_or_else(|| not_found(monitor))?;
        let why_not = why_not(&home);
        Ok(ConfigWire {
            file: Some(home.path.display().to_string()),
            revision: home.revision,
            editable: why_not.is_none(),
            why_not,
            toml: home.text,
        })
    }

    fn try_change(&self, monitor: &str, change: ConfigChange) -> Result<TriedChange, ConfiguringError> {
        let files = self.read()?;
        let home = editable(&files, monitor)?;
        let Tried { text, outcome, .. } = files.change(monitor, &home, &into(change), &self.environment);
        Ok(TriedChange { before: home.text, settings: self.settings(monitor, &text, outcome)?, toml: text })
    }

    async fn save(
        &self,
        monitor: &str,
        change: ConfigChange,
        revision: &str,
    ) -> Result<ConfigWire, ConfiguringError> {
        let _turn = self.writing.lock().await;
        let files = self.read()?;
        let home = editable(&files, monitor)?;
        if home.revision != revision {
            let path = home.path.display();
            let why = format!("`{path}` was changed since revision `{revision}`; read it again");
            return Err(ConfiguringError::Stale(why));
        }
        let tried = files.change(monitor, &home, &into(change), &self.environment);
        self.settings(monitor, &tried.text, tried.outcome)?.map_err(ConfiguringError::Invalid)?;
        let before = files.files().iter().find(|file| file.path == tried.file.path);
        self.write(&tried.file, before.map(|file| file.text.as_str())).await?;
        self.written(monitor)
    }

    async fn create(&self, monitor: &str, toml: &str) -> Result<ConfigWire, ConfiguringError> {
        let _turn = self.writing.lock().await;
        let files = self.read()?;
        let tried = files.add(monitor, toml, &self.environment);
        self.settings(monitor, &tried.text, tried.outcome)?.map_err(ConfiguringError::Invalid)?;
        let before = files.files().iter().find(|file| file.path == tried.file.path);
        self.write(&tried.file, before.map(|file| file.text.as_str())).await?;
        self.written(monitor)
    }

    async fn reload(&self) -> Result<ReloadedWire, ConfiguringError> {
        let _turn = self.writing.lock().await;
        self.ask_reload().await?;
        Ok(self.reloaded())
    }

    fn reloaded(&self) -> ReloadedWire {
        self.reloaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn propose(&self, samples: &str, monitor: &str) -> Result<ProposalWire, String> {
        let config = self.running_config().map_err(|error| error.to_string())?;
        let sources: Vec<&str> = config.sources.iter().map(|source| source.id.as_str()).collect();
        proposal::propose(samples, monitor, &sources)
    }
}

fn into(change: ConfigChange) -> Change {
    match change {
        ConfigChange::Text(text) => Change::Text(text),
        ConfigChange::Keys(keys) => Change::Keys(keys),
    }
}

fn problem(problem: TextProblem) -> ConfigProblemWire {
    ConfigProblemWire { key: problem.key, line: problem.line, message: problem.message }
}

fn not_found(monitor: &str) -> ConfiguringError {
    ConfiguringError::NotFound(format!("no file of the configuration holds the monitor `{monitor}`"))
}

fn editable(files: &ConfigFiles, monitor: &str) -> Result<MonitorText, ConfiguringError> {
    let home = files.monitor(monitor).ok_or_else(|| not_found(monitor))?;
    match why_not(&home) {
        Some(why) => Err(ConfiguringError::NotEditable(why)),
        None => Ok(home),
    }
}

/// Why a monitor cannot be changed here.
fn why_not(home: &MonitorText) -> Option<String> {
    if let Some(also) = home.also.first() {
        let (path, also) = (home.path.display(), also.display());
        return Some(format!("it is written in several files: `{path}` and `{also}`"));
    }
    let path = home.path.display();
    let file = std::fs::OpenOptions::new().append(true).open(&home.path);
    let folder =
        home.path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let room = folder.map_or_else(|| Ok(()), |folder| tempfile_in(folder).map(drop));
    match file.map(drop).and(room) {
        Ok(()) => None,
        Err(error) => Some(format!("`{path}` cannot be written: {error}")),
    }
}

/// The settings of a monitor, with a rule at its threshold if it has none: without one nobody is told of anything.
fn with_a_rule(config: &Config, monitor: &str) -> Option<Arc<MonitorSpec>> {
    let mut specs = config.sources.iter().flat_map(|source| &source.monitors);
    let spec = specs.find(|spec| spec.facts.monitor == monitor)?;
    if !spec.facts.rules.is_empty() {
        return Some(Arc::clone(spec));
    }
    let threshold = config.thresholds.get(monitor).copied().unwrap_or(Threshold::Severity(70.0));
    let mut spec = (**spec).clone();
    let rule = AlertRule::new(threshold, vec![PREVIEW_RULE.to_owned()]);
    spec.facts.rules = vec![AlertRule { name: PREVIEW_RULE.to_owned(), ..rule }];
    Some(Arc::new(spec))
}

fn tempfile_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(".tidewatch-").suffix(".new").tempfile_in(folder)
}

/// Writes a file as a whole or not at all, with the permissions that it had.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link stays one: what it points to is replaced.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    let permissions = std::fs::metadata(&path).map(|known| known.permissions());
    #[cfg(unix)]
    let permissions = permissions.or_else(|_| {
        use std::os::unix::fs::PermissionsExt;
        Ok::<_, std::io::Error>(std::fs::Permissions::from_mode(0o640))
    });
    if let Ok(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
