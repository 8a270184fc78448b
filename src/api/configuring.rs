//! The port to whoever holds the configuration's files: the API shows and changes them, and knows nothing of TOML.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;

use crate::pipeline::MonitorSpec;

/// What is to be changed of a monitor.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigChange {
    /// All its tables, as text.
    Text(String),
    /// Some keys, named from its table on; `null` takes one out.
    Keys(Vec<(String, serde_json::Value)>),
}

/// How a monitor is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "MonitorConfig")]
pub struct ConfigWire {
    /// The monitor's own tables as written, comments and all. Secrets are not in them; `${NAME}` stays as it is.
    pub toml: String,
    /// The file that holds them; `null` without one.
    pub file: Option<String>,
    /// Changes with the file: hand it back to save.
    pub revision: String,
    /// Whether it can be changed here.
    pub editable: bool,
    /// Why not.
    pub why_not: Option<String>,
}

/// Something wrong in a monitor's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "ConfigProblem")]
pub struct ConfigProblemWire {
    /// The key, where one is meant.
    #[schema(example = "monitors.shop.interval")]
    pub key: Option<String>,
    /// The line of the text, from 1 on, where one is meant.
    pub line: Option<usize>,
    /// What is wrong, and what is allowed.
    pub message: String,
}

/// A change that was tried, and nothing written.
#[derive(Clone, Debug)]
pub struct TriedChange {
    /// The monitor's tables as they are.
    pub before: String,
    /// And with the change.
    pub toml: String,
    /// The settings as they run and with the change, both with at least one rule; or what is wrong.
    pub settings: Result<BeforeAfter, Vec<ConfigProblemWire>>,
}

/// Settings of a monitor as they run, and with a change.
pub type BeforeAfter = (Arc<MonitorSpec>, Arc<MonitorSpec>);

/// A dimension that was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "ProposedDimension")]
pub struct ProposedDimensionWire {
    /// Its name.
    pub name: String,
    /// The path of its field.
    pub field: String,
    /// Its most frequent values.
    pub values: Vec<String>,
}

/// A measure that was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "ProposedMeasure")]
pub struct ProposedMeasureWire {
    /// Its name.
    pub name: String,
    /// Its settings, in TOML.
    pub settings: String,
}

/// What sample records were taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Proposal")]
pub struct ProposalWire {
    /// Tables of a monitor, and of a source where none fits.
    pub toml: String,
    /// `json`, `csv` or `tsv`.
    pub format: String,
    /// The field of the time.
    pub timestamp: String,
    /// The width of a window.
    pub interval: String,
    /// What to slice by.
    pub dimensions: Vec<ProposedDimensionWire>,
    /// What to watch.
    pub measures: Vec<ProposedMeasureWire>,
    /// What was assumed, and what could not be read.
    pub notes: Vec<String>,
}

/// What became of the last attempt to read the configuration again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Reloaded")]
pub struct ReloadedWire {
    /// How often the configuration was taken in while the service ran.
    pub reloads: u64,
    /// Why the last attempt was refused; the settings before it go on. `null` when it was taken in.
    pub error: Option<String>,
}

/// The configuration cannot be shown or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfiguringError {
    /// No file holds it.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be changed here, and why.
    #[error("{0}")]
    NotEditable(String),
    /// The file is not what it was.
    #[error("{0}")]
    Stale(String),
    /// It is wrong; nothing was written.
    #[error("{}", sentence(.0))]
    Invalid(Vec<ConfigProblemWire>),
    /// It could not be taken in; what ran before goes on.
    #[error("{0}")]
    Refused(String),
    /// It cannot be written, or the service is stopping.
    #[error("{0}")]
    Unavailable(String),
}

fn sentence(problems: &[ConfigProblemWire]) -> String {
    let part = |problem: &ConfigProblemWire| {
        let line = problem.line.map(|line| format!(" (line {line})")).unwrap_or_default();
        match &problem.key {
            Some(key) => format!("`{key}`: {}{line}", problem.message),
            None => format!("{}{line}", problem.message),
        }
    };
    problems.iter().map(part).collect::<Vec<_>>().join("; ")
}

/// Whoever holds the configuration's files.
#[async_trait]
pub trait Configuring: Send + Sync + fmt::Debug {
    /// How a monitor is written.
    fn written(&self, monitor: &str) -> Result<ConfigWire, ConfiguringError>;
    /// Tries a change; nothing is written.
    fn try_change(&self, monitor: &str, change: ConfigChange) -> Result<TriedChange, ConfiguringError>;
    /// Writes a change to the file that still has this revision, and takes it in.
    async fn save(
        &self,
        monitor: &str,
        change: ConfigChange,
        revision: &str,
    ) -> Result<ConfigWire, ConfiguringError>;
    /// Writes a new monitor, and takes it in.
    async fn create(&self, monitor: &str, toml: &str) -> Result<ConfigWire, ConfiguringError>;
    /// Reads the files again and takes them in.
    async fn reload(&self) -> Result<ReloadedWire, ConfiguringError>;
    /// What became of that the last time.
    fn reloaded(&self) -> ReloadedWire;
    /// What sample records look like; the error says what is missing.
    fn propose(&self, samples: &str, monitor: &str) -> Result<ProposalWire, String>;
}
