//! Backtests that people ask for while the service runs: a queue, one worker that leaves half of its core to others, and
//! a folder beside the store with the results. The newest results are kept up to a limit.

mod files;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Backtest, Comparison, Goal, RateFigures, Review, backtest_stored, said_labels, tune, write_report,
};
use crate::{
    anomaly::{Incident, IncidentWire},
    pipeline::{
        BacktestOrder, BacktestRow, Backtests, BacktestsError, Clock, History, IncidentQuery, ReplayError,
        StoreError,
    },
};
use files::{Files, Kept};

/// Backtests that may wait.
const QUEUE_MAX: usize = 10;
/// Results that are kept.
const KEPT_MAX: usize = 50;
/// Longest pause between two pages of windows.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Queue, worker and results.
pub struct Workbench {
    files: Files,
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
    jobs: Mutex<Vec<Job>>,
    ordered: Notify,
}

impl fmt::Debug for Workbench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workbench").field("files", &self.files).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Job {
    row: BacktestRow,
    /// Taken by the worker.
    order: Option<BacktestOrder>,
    stop: CancellationToken,
}

impl Workbench {
    /// Finds the results that are kept in `folder`, which is made when there is something to keep.
    pub fn new(folder: PathBuf, history: Arc<dyn History>, clock: Arc<dyn Clock>) -> Self {
        let files = Files::new(folder);
        let job = |row| Job { row, order: None, stop: CancellationToken::new() };
        let jobs = Mutex::new(files.rows().into_iter().map(job).collect());
        Self { files, history, clock, jobs, ordered: Notify::new() }
    }

    /// Works until `stop` is cancelled.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let Some((id, order, own_stop)) = self.take() else {
                let is_over = tokio::select! {
                    () = stop.cancelled() => true,
                    () = self.ordered.notified() => false,
                };
                if is_over {
                    return;
                }
                continue;
            };
            let (bench, runtime, stop) = (Arc::clone(&self), tokio::runtime::Handle::current(), stop.clone());
            let (asked, again, own) = (id.clone(), order.clone(), own_stop.clone());
            let work = tokio::task::spawn_blocking(move || {
                let stopped = || stop.is_cancelled() || own.is_cancelled();
                runtime.block_on(bench.run(&asked, order, &stopped))
            });
            let outcome = work.await.unwrap_or_else(|error| Err(format!("it broke off: {error}")));
            match outcome {
                // A new configuration is taken in: it begins again afterwards.
                Err(why) if why.is_empty() && !own_stop.is_cancelled() => self.put_back(&id, again),
                outcome => self.finish(&id, outcome),
            }
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<Job>> {
        // Each change of the list is a single assignment.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest that waits.
    fn take(&self) -> Option<(String, BacktestOrder, CancellationToken)> {
        let mut jobs = self.jobs();
        let job = jobs.iter_mut().find(|job| job.order.is_some())?;
        "running".clone_into(&mut job.row.state);
        Some((job.row.id.clone(), job.order.take()?, job.stop.clone()))
    }

    fn put_back(&self, id: &str, order: BacktestOrder) {
        if let Some(job) = self.jobs().iter_mut().find(|job| job.row.id == id) {
            (job.row.state, job.row.progress) = ("queued".to_owned(), 0.0);
            job.order = Some(order);
        }
    }

    /// What one found, and the sentence about it; an error says why not.
    async fn run(
        &self,
        id: &str,
        order: BacktestOrder,
        stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Kept, String> {
        let monitor = order.spec.facts.monitor.clone();
        let span = self.history.span(&monitor).await.map_err(|error| error.to_string())?;
        let (first, last) = span.ok_or("nothing is stored of it yet")?;
        let (first, length) = (first, (last.min(order.to_millis) - first).max(1) as f64);
        let mut page_began = tokio::time::Instant::now();
        let told = |_: u64, through: i64| {
            self.set_progress(id, (through - first) as f64 / length);
            let pause = page_began.elapsed().min(PAUSE_MAX);
            let goes_on = !stopped();
            page_began = tokio::time::Instant::now() + pause;
            async move {
                tokio::time::sleep(pause).await;
                goes_on
            }
        };
        let range = (i64::MIN, order.to_millis);
        let found = backtest_stored(self.history.as_ref(), order.spec, range, told).await;
        match found {
            Ok(mut found) => {
                let (begin, end) = found.span_millis;
                let history = ((end - begin) as f64 * order.split) as i64;
                found.tell_from(order.from_millis.unwrap_or(begin + history));
                self.keep(&found, order.severity).await.map_err(|error| error.to_string())
            }
            Err(ReplayError::Stopped) => Err(String::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn keep(&self, found: &Backtest, severity: f64) -> Result<Kept, StoreError> {
        let labels = said_labels(self.history.as_ref(), &found.facts.monitor).await?;
        let rates = RateFigures::new(found, None, 0.0, severity);
        let tuning = tune(found, None, 0.0, Goal::BestF1);
        let report = write_report(found, &tuning, &labels, None, severity).await;
        let report = report.map_err(|error| StoreError::Unusable(error.to_string()))?;
        let mut result = found.to_json();
        result["rate"] = serde_json::to_value(rates).unwrap_or_default();
        let is_heard = |incident: &&Incident| found.is_heard(incident, severity);
        let heard: Vec<Incident> = found.incidents.iter().filter(is_heard).cloned().collect();
        let mut summary = rates.line();
        if !labels.is_empty() {
            // People confirm some incidents, not all: the others are not false for that.
            let review = Review::new(found, &labels, 0.0, severity).figures();
            let more = format!("; {} of {} confirmed incidents found", review.found, review.labels);
            summary.push_str(&more);
            result["confirmed"] = json!({ "labels": review.labels, "found": review.found });
        }
        let has_rules = !found.facts.rules.is_empty();
        Ok(Kept { heard, has_rules, severity, span_millis: found.span_millis, summary, result, report })
    }

    fn set_progress(&self, id: &str, progress: f64) {
        if let Some(job) = self.jobs().iter_mut().find(|job| job.row.id == id) {
            job.row.progress = progress.clamp(0.0, 1.0);
        }
    }

    /// Keeps what came of one, unless it was removed meanwhile, and forgets the oldest beyond the limit.
    fn finish(&self, id: &str, outcome: Result<Kept, String>) {
        let mut jobs = self.jobs();
        let Some(job) = jobs.iter_mut().find(|job| job.row.id == id) else { return };
        let row = &mut job.row;
        match outcome {
            Ok(kept) => {
                "done".clone_into(&mut row.state);
                row.progress = 1.0;
                row.incidents = Some(kept.heard.len());
                row.summary = Some(kept.summary.clone());
                if let Err(error) = self.files.write(row, &kept) {
                    "failed".clone_into(&mut row.state);
                    row.error = Some(error.to_string());
                }
            }
            Err(why) if why.is_empty() => "stopped".clone_into(&mut row.state),
            Err(why) => {
                "failed".clone_into(&mut row.state);
                row.error = Some(why);
            }
        }
        let is_over = |job: &Job| job.order.is_none() && job.row.state != "running";
        let surplus = jobs.iter().filter(|job| is_over(job)).count().saturating_sub(KEPT_MAX);
        let old: Vec<String> =
            jobs.iter().filter(|job| is_over(job)).take(surplus).map(|job| job.row.id.clone()).collect();
        jobs.retain(|job| !old.contains(&job.row.id));
        for id in old {
            if let Err(error) = self.files.remove(&id) {
                tracing::warn!(%error, "an old backtest stays behind");
            }
        }
    }

    fn kept(&self, id: &str) -> Result<Kept, BacktestsError> {
        let state = self.jobs().iter().find(|job| job.row.id == id).map(|job| job.row.state.clone());
        match state.ok_or_else(|| BacktestsError::Unknown(id.to_owned()))? {
            state if state == "done" => self.files.read(id),
            state => Err(BacktestsError::Unfinished { id: id.to_owned(), state }),
        }
    }

    /// What really was told while `like` ran.
    async fn live(&self, monitor: &str, like: &Kept) -> Result<Vec<Incident>, StoreError> {
        let (from, to) = like.span_millis;
        let query = IncidentQuery {
            monitor: Some(monitor.to_owned()),
            kind: Some(crate::anomaly::IncidentKind::Deviation),
            opened_from_millis: Some(from),
            opened_before_millis: Some(to),
            limit: usize::MAX >> 1,
            ..IncidentQuery::default()
        };
        let mut incidents = self.history.incidents(&query).await?;
        incidents.retain(|incident| {
            if like.has_rules { incident.is_told() } else { incident.severity.peak >= like.severity }
        });
        incidents.reverse();
        Ok(incidents)
    }

    fn monitor_of(&self, id: &str) -> Option<String> {
        self.jobs().iter().find(|job| job.row.id == id).map(|job| job.row.monitor.clone())
    }
}

#[async_trait]
impl Backtests for Workbench {
    fn order(&self, order: BacktestOrder) -> Result<String, BacktestsError> {
        let mut jobs = self.jobs();
        let waiting = jobs.iter().filter(|job| job.order.is_some()).count();
        if waiting >= QUEUE_MAX {
            return Err(BacktestsError::Full(waiting));
        }
        let number = |id: &str| id.strip_prefix('b').and_then(|number| number.parse::<u64>().ok());
        let newest = jobs.iter().filter_map(|job| number(&job.row.id)).max().unwrap_or(0);
        let id = format!("b{}", newest + 1);
        let row = BacktestRow {
            id: id.clone(),
            name: order.name.clone(),
            monitor: order.spec.facts.monitor.clone(),
            state: "queued".to_owned(),
            progress: 0.0,
            created_millis: self.clock.now_millis(),
            incidents: None,
            summary: None,
            error: None,
        };
        jobs.push(Job { row, order: Some(order), stop: CancellationToken::new() });
        self.ordered.notify_one();
        Ok(id)
    }

    fn list(&self) -> Vec<BacktestRow> {
        self.jobs().iter().rev().map(|job| job.row.clone()).collect()
    }

    fn result(&self, id: &str) -> Result<Value, BacktestsError> {
        Ok(self.kept(id)?.result)
    }

    fn report(&self, id: &str) -> Result<String, BacktestsError> {
        Ok(self.kept(id)?.report)
    }

    async fn compare(&self, a: &str, b: &str) -> Result<Value, BacktestsError> {
        let before = self.kept(a)?;
        let monitor = self.monitor_of(a).ok_or_else(|| BacktestsError::Unknown(a.to_owned()))?;
        let after = if b == "live" { self.live(&monitor, &before).await? } else { self.kept(b)?.heard };
        let mut confirmed = said_labels(self.history.as_ref(), &monitor).await?;
        let (from, to) = before.span_millis;
        confirmed.retain(|label| label.start_millis < to && label.end_millis > from);
        let comparison = Comparison::of(before.heard.iter().collect(), after.iter().collect(), &confirmed);
        let mut lost = Vec::new();
        for label in comparison.confirmed_lost() {
            let incident = self.history.incident(&label.name).await?;
            let wire = incident.map(|incident| serde_json::to_value(IncidentWire::from(&incident)));
            lost.push(wire.and_then(Result::ok).unwrap_or_else(|| Value::String(label.name.clone())));
        }
        let mut wire = serde_json::to_value(comparison.to_wire()).unwrap_or_default();
        wire["confirmed_lost"] = Value::Array(lost);
        Ok(wire)
    }

    fn remove(&self, id: &str) -> Result<(), BacktestsError> {
        let mut jobs = self.jobs();
        let at = jobs.iter().position(|job| job.row.id == id);
        let job = jobs.remove(at.ok_or_else(|| BacktestsError::Unknown(id.to_owned()))?);
        job.stop.cancel();
        self.files.remove(id)
    }
}
