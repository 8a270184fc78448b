//! Raw events through the whole road.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    anomaly::{Incident, IncidentKind, IncidentWire, MonitorFacts},
    pipeline::{
        Clock, DeadLetters, Engine, EngineLimits, History, HistoryRange, IncidentQuery, LettersKept,
        MonitorSpec, MonitorStatus, RestoreError, RunError, RunPolicy, Runner, Source, StatusBoard, Store,
        StoreError, Telemetry, Totals, restore,
    },
    record::{Decoder, RejectSample, SourceId},
    store::SqliteStore,
};

/// What a backtest found.
#[derive(Debug)]
pub struct Backtest {
    /// Every incident, in the order they opened.
    pub incidents: Vec<Incident>,
    /// Where every event went, and how much there was.
    pub summary: BacktestSummary,
    /// The first events that were refused, and why.
    pub refused: Vec<RejectSample>,
    /// The windows, for charts and exports.
    pub store: Arc<SqliteStore>,
    /// Names, units and rules of the monitor.
    pub facts: MonitorFacts,
    /// Width of a window.
    pub interval_millis: i64,
    /// Start of the first and end of the last closed window; equal when none closed.
    pub span_millis: (i64, i64),
    /// Series with a score in the last window.
    pub num_judged: usize,
}

/// The numbers of a backtest. `records_in` is the sum of the five after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BacktestSummary {
    /// Events read.
    pub records_in: u64,
    /// Aggregated.
    pub counted: u64,
    /// Late, and merged into closed windows within `correction_period`.
    pub revised: u64,
    /// Refused.
    pub rejected: u64,
    /// Too late for their window.
    pub late: u64,
    /// On time, but their window was closed by idleness or the clock.
    pub after_close: u64,
    /// Over a limit.
    pub over_limit: u64,
    /// Windows closed.
    pub windows: u64,
    /// Series kept.
    pub series: u64,
    /// Observations scored.
    pub scored: u64,
}

/// A backtest could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The run loop stopped.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine could not be built.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

/// Runs `source` to its end through one monitor. `board` shows progress.
pub async fn backtest(
    source: Box<dyn Source>,
    decoder: Decoder,
    spec: Arc<MonitorSpec>,
    limits: EngineLimits,
    clock: Arc<dyn Clock>,
    board: StatusBoard,
) -> Result<Backtest, BacktestError> {
    let store = Arc::new(SqliteStore::temporary()?);
    let (facts, interval_millis) = (spec.facts.clone(), spec.window.grid.width().millis());
    let refused = Refused::default();
    let history = HistoryRun {
        source_id: SourceId::new("backtest"),
        source,
        decoder,
        spec,
        limits,
        clock,
        board,
        refused: Some(refused.clone()),
    };
    let engine = history.run(&store).await?;
    let found = Backtest::of(store, facts, interval_millis, &engine.status().remove(0)).await?;
    Ok(Backtest { refused: refused.list(), ..found })
}

/// One monitor over a source that ends.
pub(super) struct HistoryRun {
    pub(super) source_id: SourceId,
    pub(super) source: Box<dyn Source>,
    pub(super) decoder: Decoder,
    pub(super) spec: Arc<MonitorSpec>,
    pub(super) limits: EngineLimits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) board: StatusBoard,
    /// Where the first refused events are kept, for people.
    pub(super) refused: Option<Refused>,
}

/// Refused events kept for people; all are counted.
const REFUSED_KEPT: usize = 20;

/// The first refused events of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused(Arc<Mutex<Vec<RejectSample>>>);

impl Refused {
    fn list(&self) -> Vec<RejectSample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl DeadLetters for Refused {
    async fn keep(&mut self, rejects: &[RejectSample]) -> Result<LettersKept, StoreError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REFUSED_KEPT.saturating_sub(kept.len());
        kept.extend(rejects.iter().take(room).cloned());
        Ok(LettersKept::default())
    }
}

impl HistoryRun {
    /// Reads the source to its end into `store`, as live.
    pub(super) async fn run(self, store: &Arc<SqliteStore>) -> Result<Engine, BacktestError> {
        let Self { source_id, source, decoder, spec, limits, clock, board, refused } = self;
        let now_millis = clock.now_millis();
        let engine =
            restore(store.as_ref(), source_id.clone(), decoder, vec![spec], false, limits, now_millis)
                .await?;
        let runner = Runner {
            kind: "file",
            source_id,
            source,
            engine,
            store: Arc::clone(store) as Arc<dyn Store>,
            dead_letters: refused
                .into_iter()
                .map(|refused| Box::new(refused) as Box<dyn DeadLetters>)
                .collect(),
            clock,
            telemetry: Arc::new(Telemetry::new()),
            board,
            alerts_stored: Arc::new(Notify::new()),
            watcher: None,
            inbox: None,
            policy: RunPolicy::default(),
        };
        Ok(runner.run(CancellationToken::new()).await?)
    }
}

impl BacktestSummary {
    pub(super) fn new(totals: &Totals, series: u64) -> Self {
        Self {
            records_in: totals.events,
            counted: totals.counted,
            revised: totals.revised + totals.waiting,
            rejected: totals.num_rejected(),
            late: totals.late,
            after_close: totals.after_close,
            over_limit: totals.over_limit,
            windows: totals.windows,
            series,
            scored: totals.scored,
        }
    }
}

/// A refused event with its file and place.
fn named(refused: &RejectSample) -> String {
    format!("`{}` {}", refused.partition, refused.detail)
}

impl Backtest {
    /// What a monitor left in a store.
    pub(super) async fn of(
        store: Arc<SqliteStore>,
        facts: MonitorFacts,
        interval_millis: i64,
        status: &MonitorStatus,
    ) -> Result<Self, StoreError> {
        let monitor = Some(facts.monitor.clone());
        let query = IncidentQuery { monitor, limit: usize::MAX >> 1, ..IncidentQuery::default() };
        let mut incidents = store.incidents(&query).await?;
        incidents.sort_by_key(|incident| (incident.opened_millis, incident.id.len(), incident.id.clone()));
        let summary = BacktestSummary::new(&status.totals, status.num_series as u64);
        let span_millis = match store.span(&facts.monitor).await? {
            Some((first, last)) => {
                let range = HistoryRange { from_millis: last, to_millis: i64::MAX, shard: None, limit: 1 };
                let end = store.frames(&facts.monitor, range).await?.first().map(|blob| blob.end_millis);
                (first, end.unwrap_or(last))
            }
            None => (0, 0),
        };
        let num_judged = status.num_judged;
        let refused = Vec::new();
        Ok(Self { incidents, summary, refused, store, facts, interval_millis, span_millis, num_judged })
    }

    /// The first refused events, each with its file, its place and why.
    pub fn refused_lines(&self) -> impl Iterator<Item = String> {
        self.refused.iter().map(named)
    }

    /// Whether people would have heard of an incident: from its alert rules if the monitor has any, else from
    /// this peak severity on. Minor deviations and missing data are not meant.
    pub fn is_heard(&self, incident: &Incident, severity: f64) -> bool {
        let told =
            if self.facts.rules.is_empty() { incident.severity.peak >= severity } else { incident.is_told() };
        self.is_deviation(incident) && told
    }

    /// What came before was learned, and is not told.
    pub fn tell_from(&mut self, millis: i64) {
        let (begin, end) = self.span_millis;
        self.span_millis = (millis.clamp(begin, end), end);
        self.incidents.retain(|incident| incident.opened_millis >= millis);
    }

    /// Whether an incident is a deviation that may page.
    pub(super) fn is_deviation(&self, incident: &Incident) -> bool {
        incident.monitor == self.facts.monitor && incident.kind == IncidentKind::Deviation
    }

    /// The published JSON document.
    pub fn to_json(&self) -> serde_json::Value {
        let incidents: Vec<IncidentWire> = self.incidents.iter().map(Into::into).collect();
        let refused: Vec<String> = self.refused.iter().map(named).collect();
        serde_json::json!({ "incidents": incidents, "summary": self.summary, "refused": refused })
    }
}
