//! The run loop of one source: next batch, ingest, commit, acknowledge; and the passing of time.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    BackfillError, BackfillProgress, Clock, Commit, DeadLetters, Engine, Inbox, Instructed, Instruction,
    Refused, RestoreError, Retry, Source, SourceError, SourceState, SourceStatus, StatusBoard, Store,
    StoreError, Telemetry, Totals,
    backfill::take_step,
    desk::Errand,
    letters, relearn,
    telemetry::{
        BackfillStepTaken, BatchRead, CommitPostponed, CommitStored, IncidentChanged, InstructionTaken,
        SourceLost,
    },
};
use crate::{
    anomaly::{Incident, IncidentState},
    record::{Conflict, Position, RecordBatch, SourceId},
};

/// When the run loop commits and looks at the clock.
#[derive(Clone, Copy, Debug)]
pub struct RunPolicy {
    /// Closed windows are committed at once when the source has nothing more, else at most this often.
    pub commit_every: Duration,
    /// Or after this many records, which bounds what a restart reads again.
    pub commit_records_max: usize,
    /// Or after so much was put into the journal, which a restart reads again as well.
    pub journal_bytes_max: usize,
    /// Or after this many closed windows, which bounds memory while catching up.
    pub commit_windows_max: usize,
    /// How often time passes.
    pub tick_every: Duration,
    /// Longest pause between attempts to reach a source or a store.
    pub pause_max: Duration,
}

impl Default for RunPolicy {
    fn default() -> Self {
        Self {
            commit_every: Duration::from_millis(500),
            commit_records_max: 1_000_000,
            journal_bytes_max: 64 << 20,
            commit_windows_max: 1_000,
            tick_every: Duration::from_secs(1),
            pause_max: Duration::from_secs(30),
        }
    }
}

/// Refused events held in memory before they are written to the dead letters.
const REJECTS_HELD_MAX: usize = 10_000;
/// And their bytes.
const REJECT_BYTES_HELD_MAX: usize = 32 << 20;

/// Why a run loop stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source cannot be read as configured.
    #[error("source `{source_id}`: {error}")]
    Source {
        /// The source.
        source_id: SourceId,
        /// What was wrong.
        error: SourceError,
    },
    /// The store will not take any commit.
    #[error("source `{source_id}`: {error}")]
    Store {
        /// The source.
        source_id: SourceId,
        /// What was wrong.
        error: StoreError,
    },
    /// The past could not be learned anew.
    #[error("source `{source_id}`: {error}")]
    Relearn {
        /// The source.
        source_id: SourceId,
        /// What was wrong.
        error: RestoreError,
    },
    /// A source handed over a batch that does not fit the one before.
    #[error("source `{source_id}` is out of step: {error}")]
    OutOfStep {
        /// The source.
        source_id: SourceId,
        /// Where.
        error: Conflict,
    },
}

/// Told of every incident that changed, after it was stored.
pub type IncidentWatcher = Box<dyn Fn(&Incident) + Send + Sync>;

/// Everything one run loop needs.
pub struct Runner {
    /// The source's kind, for people.
    pub kind: &'static str,
    /// Its name.
    pub source_id: SourceId,
    /// Where records come from.
    pub source: Box<dyn Source>,
    /// What is made of them.
    pub engine: Engine,
    /// Where it is stored.
    pub store: Arc<dyn Store>,
    /// Where refused events go besides the counters.
    pub dead_letters: Vec<Box<dyn DeadLetters>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Metrics.
    pub telemetry: Arc<Telemetry>,
    /// Where people look.
    pub board: StatusBoard,
    /// Woken when alerts were stored.
    pub alerts_stored: Arc<Notify>,
    /// Told of incidents.
    pub watcher: Option<IncidentWatcher>,
    /// Where people hand in instructions; with one, the loop goes on after a source has ended.
    pub inbox: Option<Inbox>,
    /// When to commit.
    pub policy: RunPolicy,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("source_id", &self.source_id).finish_non_exhaustive()
    }
}

/// What the loop remembers from turn to turn.
struct Progress {
    committed_at: i64,
    failures: u32,
    /// While set, the source is not asked again before this.
    paused_until: Option<tokio::time::Instant>,
    unreachable: Option<String>,
    lag_millis: Option<i64>,
    num_records: u64,
    /// Payload bytes since the last full commit.
    bytes_since_full: usize,
    told: Vec<Totals>,
    /// A partition's first position was found and must not be decided again after a crash.
    positioned: bool,
}

impl Runner {
    /// Runs until the source ends or `stop` is cancelled; both end with a full commit.
    pub async fn run(mut self, stop: CancellationToken) -> Result<Engine, RunError> {
        let now = self.clock.now_millis();
        let mut progress = Progress {
            committed_at: now,
            failures: 0,
            paused_until: None,
            unreachable: None,
            lag_millis: None,
            num_records: 0,
            bytes_since_full: 0,
            positioned: false,
            told: self.engine.monitors().iter().map(|monitor| monitor.totals.clone()).collect(),
        };
        self.engine.await_partitions(&self.source.partitions(), now);
        self.publish(&mut progress);
        let mut ticks = tokio::time::interval(self.policy.tick_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let paused = progress.paused_until;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    let state = self.state(&progress);
                    self.engine.tick(self.clock.now_millis(), &state);
                    self.publish(&mut progress);
                }
                errand = Inbox::next(self.inbox.as_mut()) => self.run_errand(errand, &mut progress, &stop).await?,
                batches = next_batches(self.source.as_mut(), paused) => match batches {
                    Ok(Some(batches)) => self.take(batches, &mut progress)?,
                    Ok(None) => break,
                    Err(error) => self.pause(error, &mut progress)?,
                },
            }
            if self.commit_due(&progress) && !self.commit(progress.positioned, &mut progress, &stop).await? {
                return Ok(self.engine);
            }
        }
        if !self.commit(true, &mut progress, &stop).await? {
            return Ok(self.engine);
        }
        while self.inbox.is_some() {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                errand = Inbox::next(self.inbox.as_mut()) => self.run_errand(errand, &mut progress, &stop).await?,
            }
        }
        Ok(self.engine)
    }

    async fn run_errand(
        &mut self,
        errand: Errand,
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        match errand {
            Errand::Instruct { monitor, instruction, answer } => {
                self.instruct((monitor, instruction, answer), progress, stop).await
            }
            Errand::Backfill { monitor, until_millis, answer } => {
                self.backfill((monitor, until_millis, answer), progress, stop).await
            }
        }
    }

    /// Takes a step of a backfill; answers when it is stored. The last one rebuilds the monitor's models.
    async fn backfill(
        &mut self,
        (name, until_millis, answer): (String, i64, oneshot::Sender<Result<BackfillProgress, BackfillError>>),
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        self.engine.demand_full_commit();
        let Some(history) = self.inbox.as_ref().map(|inbox| Arc::clone(&inbox.history)) else {
            return Ok(());
        };
        if !self.commit(true, progress, stop).await? {
            return Ok(());
        }
        let found = self.engine.monitors_mut().iter_mut().find(|known| known.spec.facts.monitor == name);
        let outcome = match found {
            Some(monitor) => take_step(monitor, self.store.as_ref(), history.as_ref(), until_millis).await,
            None => Err(BackfillError::NoMonitor(name.clone())),
        };
        self.engine.await_partitions(&self.source.partitions(), self.clock.now_millis());
        BackfillStepTaken { monitor: &name, outcome: &outcome }.emit();
        if let Err(BackfillError::Rebuild(error)) = outcome {
            return Err(RunError::Relearn { source_id: self.source_id.clone(), error });
        }
        // Who asked may have gone; what was asked is done.
        drop(answer.send(outcome));
        Ok(())
    }

    /// Carries out an instruction; answers when what it changed is stored.
    async fn instruct(
        &mut self,
        (monitor, instruction, answer): (String, Instruction, oneshot::Sender<Result<Instructed, Refused>>),
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        // What must be learned anew is read from the store. Whoever asks while the process ends gets no answer.
        if self.engine.num_pending_windows() > 0 && !self.commit(true, progress, stop).await? {
            return Ok(());
        }
        let outcome = self.engine.instruct(&monitor, &instruction);
        let (ask, by) = (instruction.ask.as_str(), instruction.by.as_str());
        InstructionTaken { monitor: &monitor, ask, by, refused: outcome.as_ref().err() }
            .emit(&self.telemetry);
        if outcome.is_ok() {
            if let Some(inbox) = &self.inbox {
                relearn(inbox.history.as_ref(), &mut self.engine)
                    .await
                    .map_err(|error| RunError::Relearn { source_id: self.source_id.clone(), error })?;
            }
            if !self.commit(true, progress, stop).await? {
                return Ok(());
            }
        }
        // Who asked may have gone; what was asked is done.
        drop(answer.send(outcome));
        Ok(())
    }

    fn take(&mut self, batches: Vec<RecordBatch>, progress: &mut Progress) -> Result<(), RunError> {
        progress.failures = 0;
        progress.paused_until = None;
        progress.unreachable = None;
        let num_records: usize = batches.iter().map(|batch| batch.records.len()).sum();
        let num_bytes: usize = batches.iter().map(RecordBatch::payload_bytes).sum();
        if !batches.is_empty() {
            progress.lag_millis = batches.iter().filter_map(|batch| batch.lag_millis).max();
        }
        progress.num_records += num_records as u64;
        progress.bytes_since_full += num_bytes;
        progress.positioned |= self.source.can_replay() && batches.iter().any(is_first_position);
        BatchRead { source: self.source_id.as_str(), num_records, num_bytes }.emit(&self.telemetry);
        let now = self.clock.now_millis();
        tokio::task::block_in_place(|| self.engine.ingest(batches, now))
            .map_err(|error| RunError::OutOfStep { source_id: self.source_id.clone(), error })?;
        self.source.set_event_times(&|partition| self.engine.newest_event_millis(partition));
        Ok(())
    }

    fn pause(&self, error: SourceError, progress: &mut Progress) -> Result<(), RunError> {
        let pause = match error.retry() {
            Retry::Never => return Err(RunError::Source { source_id: self.source_id.clone(), error }),
            Retry::Backoff => backoff(progress.failures, self.policy.pause_max),
            Retry::After(pause) => pause,
        };
        if progress.unreachable.is_none() {
            SourceLost { source: self.source_id.as_str(), error: &error }.emit(&self.telemetry);
        }
        progress.failures += 1;
        progress.unreachable = Some(error.to_string());
        progress.paused_until = Some(tokio::time::Instant::now() + pause);
        Ok(())
    }

    fn state(&self, progress: &Progress) -> SourceState {
        match &progress.unreachable {
            Some(why) => SourceState::Unreachable { why: why.clone() },
            None => self.source.state(),
        }
    }

    fn commit_due(&self, progress: &Progress) -> bool {
        let engine = &self.engine;
        if progress.positioned {
            return true;
        }
        if !self.source.can_replay() && engine.num_pending_records() > 0 {
            return true;
        }
        if engine.num_pending_records() >= self.policy.commit_records_max
            || engine.num_pending_windows() >= self.policy.commit_windows_max
        {
            return true;
        }
        let full = engine.num_pending_rejects() >= REJECTS_HELD_MAX
            || engine.num_pending_reject_bytes() >= REJECT_BYTES_HELD_MAX;
        if full && !self.dead_letters.is_empty() {
            return true;
        }
        let waited = self.clock.now_millis() - progress.committed_at;
        let caught_up = !matches!(self.source.state(), SourceState::Reading | SourceState::Starting);
        engine.has_results() && (caught_up || waited >= self.policy.commit_every.as_millis() as i64)
    }

    /// `false` when it was asked to stop before everything could be kept: nothing may be committed any more.
    async fn commit(
        &mut self,
        full: bool,
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        let fail = |source_id: &SourceId, error| RunError::Store { source_id: source_id.clone(), error };
        let rejects = self.engine.take_rejects();
        let (pause_max, source) = (self.policy.pause_max, self.source_id.as_str());
        let kept =
            letters::keep(&mut self.dead_letters, &rejects, (source, &self.telemetry, pause_max), stop).await;
        let kept = kept.map_err(|error| fail(&self.source_id, error))?;
        if !kept {
            return Ok(false);
        }
        let full = full
            || self.engine.num_pending_records() >= self.policy.commit_records_max
            || !self.source.can_replay() && progress.bytes_since_full >= self.policy.journal_bytes_max;
        if let Some((commit, receipts)) = self.engine.take_commit(full, self.clock.now_millis()) {
            let started = tokio::time::Instant::now();
            let (store, telemetry) = (Arc::clone(&self.store), Arc::clone(&self.telemetry));
            store_with_patience(store.as_ref(), &telemetry, self.policy.pause_max, &commit)
                .await
                .map_err(|error| fail(&self.source_id, error))?;
            let full = commit.monitors.is_some();
            if full {
                progress.bytes_since_full = 0;
            }
            CommitStored { source: self.source_id.as_str(), full, took: started.elapsed() }
                .emit(&self.telemetry);
            let acknowledged = self.source.acknowledge(self.engine.checkpoint(), receipts).await;
            acknowledged.map_err(|error| RunError::Source { source_id: self.source_id.clone(), error })?;
            self.tell(&commit);
        }
        progress.positioned = false;
        progress.committed_at = self.clock.now_millis();
        self.publish(progress);
        Ok(true)
    }

    fn tell(&self, commit: &Commit) {
        for monitor in commit.monitors.iter().flatten() {
            for incident in &monitor.incidents {
                let opened = incident.state == IncidentState::Open && incident.is_new();
                IncidentChanged { incident, opened }.emit(&self.telemetry);
                if let Some(watcher) = &self.watcher {
                    watcher(incident);
                }
            }
            if !monitor.alerts.is_empty() {
                self.alerts_stored.notify_waiters();
            }
        }
    }

    fn publish(&mut self, progress: &mut Progress) {
        let source = SourceStatus {
            source: self.source_id.clone(),
            kind: self.kind,
            state: self.state(progress),
            lag_millis: progress.lag_millis,
            num_records: progress.num_records,
        };
        let monitors = self.engine.status();
        self.telemetry.observe(&source, &monitors, &progress.told, self.clock.now_millis());
        progress.told = monitors.iter().map(|monitor| monitor.totals.clone()).collect();
        self.telemetry.observe_figures(self.source_id.as_str(), &self.source.figures());
        self.board.update(source, monitors);
    }
}

/// Commits, trying again for as long as that can help.
async fn store_with_patience(
    store: &dyn Store,
    telemetry: &Telemetry,
    pause_max: Duration,
    commit: &Commit,
) -> Result<(), StoreError> {
    let mut failures = 0;
    loop {
        match store.commit(commit).await {
            Err(error) if error.retry() != Retry::Never => {
                CommitPostponed { source: commit.source.as_str(), error: &error }.emit(telemetry);
                tokio::time::sleep(backoff(failures, pause_max)).await;
                failures += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Waits out a pause, then asks the source. Cancel-safe, since both parts are.
async fn next_batches(
    source: &mut dyn Source,
    paused_until: Option<tokio::time::Instant>,
) -> Result<Option<Vec<RecordBatch>>, SourceError> {
    if let Some(until) = paused_until {
        tokio::time::sleep_until(until).await;
    }
    source.next_batches().await
}

/// Says where a partition begins, and holds no record.
fn is_first_position(batch: &RecordBatch) -> bool {
    batch.records.is_empty() && batch.from_exclusive == Position::Beginning && !batch.ends_partition
}

/// 0.25 s, doubling.
pub(super) fn backoff(failures: u32, most: Duration) -> Duration {
    Duration::from_millis(250).saturating_mul(1 << failures.min(10)).min(most)
}
