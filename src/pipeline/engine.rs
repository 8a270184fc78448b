//! The heart: records and the passing of time in, commits out. Pure.
//!
//! The same records give the same commits whatever the size of batches, the interleaving of partitions, the
//! number of threads, or restarts in between. What the wall clock contributes (a partition left out for its
//! silence, windows closed while all is silent) is recorded as an input, so that a replay can repeat it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{
    Commit, Instructed, Instruction, Monitor, MonitorStatus, RecordedInput, RecordedInputKind, Refused,
    SourceState, Totals,
    intake::{IntakeJob, MonitorIntake},
    status,
};
use crate::record::{
    Checkpoint, CheckpointDelta, Conflict, Decoder, Header, PartitionId, Receipt, RecordBatch, RejectSample,
    SourceId,
};

/// Limits of an engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineLimits {
    /// Threads for intake and scoring.
    pub threads: usize,
    /// Refused events kept per batch for dead letters; all are counted.
    pub rejects_kept: usize,
    /// Keep refused records whole, so that they can be passed on.
    pub records_kept: bool,
    /// How long the store keeps the ids of records and what became of them.
    pub receipts_kept_millis: i64,
}

/// A sender that repeats a record later than this is counted again.
const RECEIPTS_KEPT_MILLIS: i64 = 24 * 3_600_000;

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            threads: 1,
            rejects_kept: 100,
            records_kept: false,
            receipts_kept_millis: RECEIPTS_KEPT_MILLIS,
        }
    }
}

/// The engine of one source and all its monitors.
#[derive(Debug)]
pub struct Engine {
    source: SourceId,
    limits: EngineLimits,
    decoder: Decoder,
    /// Decoders of partitions with a header of their own, with the header they last had.
    decoders: BTreeMap<PartitionId, (Bytes, Decoder)>,
    monitors: Vec<Monitor>,
    /// Everything ingested, stored or not.
    checkpoint: Checkpoint,
    /// Records are kept in the journal because the source cannot repeat them.
    journaled: bool,
    pending: Pending,
    /// Wall clock of each partition's last batch.
    heard_millis: BTreeMap<PartitionId, i64>,
    lost_since_millis: Option<i64>,
}

/// Since the last commit.
#[derive(Debug, Default)]
struct Pending {
    delta: CheckpointDelta,
    journal: Vec<RecordBatch>,
    receipts: Vec<Receipt>,
    receipt_ids: Vec<(Arc<str>, Receipt)>,
    inputs: Vec<RecordedInput>,
    rejects: Vec<RejectSample>,
    reject_bytes: usize,
    num_records: usize,
    /// Somebody needs the whole state stored.
    is_demanded: bool,
}

impl Engine {
    /// An engine whose monitors stand at `checkpoint`. `journaled` for sources that cannot repeat records.
    pub fn new(
        source: SourceId,
        decoder: Decoder,
        monitors: Vec<Monitor>,
        checkpoint: Checkpoint,
        journaled: bool,
        limits: EngineLimits,
    ) -> Self {
        Self {
            source,
            limits,
            decoder,
            decoders: BTreeMap::new(),
            monitors,
            checkpoint,
            journaled,
            pending: Pending::default(),
            heard_millis: BTreeMap::new(),
            lost_since_millis: None,
        }
    }

    /// Makes the watermark wait for partitions that are known but have not spoken.
    pub fn await_partitions(&mut self, partitions: &[PartitionId], now_millis: i64) {
        for partition in partitions {
            self.heard_millis.entry(partition.clone()).or_insert(now_millis);
            for monitor in &mut self.monitors {
                if !monitor.windows.has_begun() {
                    monitor.windows.await_partition(partition);
                }
            }
        }
    }

    /// Takes batches of different partitions; closes and judges the windows they complete. Refuses a batch
    /// that does not start where its partition stands.
    pub fn ingest(&mut self, batches: Vec<RecordBatch>, now_millis: i64) -> Result<(), Conflict> {
        for batch in &batches {
            let mut delta = CheckpointDelta::default();
            delta.extend(&batch.partition, &batch.from_exclusive, &batch.to_inclusive)?;
            self.note_speaking(batch);
            self.checkpoint.apply(&delta)?;
            self.pending.delta.extend(&batch.partition, &batch.from_exclusive, &batch.to_inclusive)?;
            self.heard_millis.insert(batch.partition.clone(), now_millis);
        }
        let mut jobs: Vec<IntakeJob> = batches.into_iter().map(|batch| self.job(batch)).collect();
        run_jobs(&mut jobs, self.limits.threads);
        for job in jobs {
            self.settle(job);
        }
        self.close_ready();
        Ok(())
    }

    /// Reads records of the journal again after a restart: they are stored already. A source that others push
    /// to could not be reached between the last of them and now, so that silence says nothing.
    pub fn replay_journal(&mut self, journal: Vec<RecordBatch>, now_millis: i64) {
        let received_millis = journal.last().and_then(|batch| batch.received_millis);
        for batch in journal {
            let mut job = self.job(batch);
            job.run();
            job.receipts.clear();
            self.heard_millis.insert(job.batch.partition.clone(), now_millis);
            self.settle(job);
        }
        self.pending = Pending::default();
        self.close_ready();
        if self.journaled {
            self.note_absence(received_millis, now_millis);
        }
    }

    fn note_absence(&mut self, received_millis: Option<i64>, to_millis: i64) {
        for monitor in &mut self.monitors {
            let Some(from_millis) = monitor.saved_at_millis.max(received_millis) else { continue };
            monitor.windows.set_away(from_millis, to_millis);
            self.pending.inputs.push(RecordedInput {
                monitor: monitor.spec.facts.monitor.clone(),
                at: self.checkpoint.clone(),
                kind: RecordedInputKind::Away { from_millis, to_millis },
            });
        }
    }

    /// Lets time pass: leaves silent partitions out, closes windows by the clock when all is silent and the
    /// source has shown everything, and tells when the source is lost.
    pub fn tick(&mut self, now_millis: i64, state: &SourceState) {
        match state {
            SourceState::CaughtUp => {
                self.source_back(now_millis);
                self.close_by_clock(now_millis);
                self.monitors.iter_mut().for_each(|monitor| monitor.watch_intake(now_millis));
            }
            SourceState::Unreachable { why } => {
                let since = *self.lost_since_millis.get_or_insert(now_millis);
                for monitor in &mut self.monitors {
                    if now_millis - since >= monitor.spec.no_data_after_millis {
                        monitor.source_lost(since, now_millis, why);
                    }
                }
            }
            SourceState::Reading | SourceState::Ended => self.source_back(now_millis),
            SourceState::Starting => {}
        }
    }

    /// Repeats a recorded input: every partition must have been read exactly as far as it says.
    pub fn apply(&mut self, input: &RecordedInput) {
        let threads = self.limits.threads;
        let Some(monitor) =
            self.monitors.iter_mut().find(|monitor| monitor.spec.facts.monitor == input.monitor)
        else {
            return;
        };
        match &input.kind {
            RecordedInputKind::Idle { partition } => {
                monitor.windows.set_idle(&PartitionId::new(partition.as_str()));
            }
            RecordedInputKind::Spoke { .. } => {}
            RecordedInputKind::Away { from_millis, to_millis } => {
                monitor.windows.set_away(*from_millis, *to_millis);
            }
            RecordedInputKind::Instructed { instruction } => {
                // What was recorded had been carried out.
                drop(monitor.instruct(instruction));
            }
            RecordedInputKind::Clock { through_millis } => {
                monitor.close_through(*through_millis, threads);
            }
        }
        self.close_ready();
    }

    /// Carries out what somebody asks of a monitor, between two windows. Where it changes the past of series, they
    /// wait for [`super::relearn`].
    pub fn instruct(&mut self, monitor: &str, instruction: &Instruction) -> Result<Instructed, Refused> {
        let found = self.monitors.iter_mut().find(|known| known.spec.facts.monitor == monitor);
        let row = found.ok_or_else(|| Refused::NoMonitor(monitor.to_owned()))?.instruct(instruction)?;
        self.pending.inputs.push(RecordedInput {
            monitor: monitor.to_owned(),
            at: self.checkpoint.clone(),
            kind: RecordedInputKind::Instructed { instruction: instruction.clone() },
        });
        Ok(row)
    }

    /// The next commit is a full one, even where nothing has changed since the last.
    pub(super) fn demand_full_commit(&mut self) {
        self.pending.is_demanded = true;
    }

    /// The monitors, to learn series anew.
    pub(super) fn monitors_mut(&mut self) -> &mut [Monitor] {
        &mut self.monitors
    }

    /// Windows closed since the last full commit, the most of any monitor.
    pub fn num_pending_windows(&self) -> usize {
        self.monitors.iter().map(Monitor::num_pending_windows).max().unwrap_or(0)
    }

    /// Records since the last commit.
    pub fn num_pending_records(&self) -> usize {
        self.pending.num_records
    }

    /// Whether something waits that only a full commit stores.
    pub fn has_results(&self) -> bool {
        self.pending.is_demanded
            || !self.pending.inputs.is_empty()
            || self.monitors.iter().any(Monitor::has_results)
    }

    /// Refused events that wait for [`Engine::take_rejects`].
    pub fn num_pending_rejects(&self) -> usize {
        self.pending.rejects.len()
    }

    /// Bytes in them.
    pub fn num_pending_reject_bytes(&self) -> usize {
        self.pending.reject_bytes
    }

    /// Refused events since the last call, for dead letters.
    pub fn take_rejects(&mut self) -> Vec<RejectSample> {
        self.pending.reject_bytes = 0;
        std::mem::take(&mut self.pending.rejects)
    }

    /// What is to be stored now, with the receipts to hand out afterwards; `None` when nothing is. `full`
    /// asks for a full commit even where a light one would do.
    pub fn take_commit(&mut self, full: bool, now_millis: i64) -> Option<(Commit, Vec<Receipt>)> {
        let full = full || self.has_results();
        if self.pending.delta.is_empty() && !self.has_results() || !full && !self.journaled {
            return None;
        }
        let pending = std::mem::take(&mut self.pending);
        let monitors = full.then(|| {
            self.monitors.iter_mut().map(|monitor| monitor.take_commit(now_millis)).collect::<Vec<_>>()
        });
        let (inputs, kept_inputs) =
            if full { (pending.inputs, Vec::new()) } else { (Vec::new(), pending.inputs) };
        self.pending.inputs = kept_inputs;
        self.pending.rejects = pending.rejects;
        let commit = Commit {
            source: self.source.clone(),
            delta: pending.delta,
            journal: if full { Vec::new() } else { pending.journal },
            receipts: pending.receipt_ids,
            receipts_kept_millis: self.limits.receipts_kept_millis,
            inputs,
            monitors,
            at_millis: now_millis,
        };
        Some((commit, pending.receipts))
    }

    /// Ends a history that was read to its end: nothing of it stays open, and its partitions are forgotten. The
    /// monitors go on with whatever source comes next.
    pub fn end_history(mut self, now_millis: i64) -> Commit {
        for monitor in &mut self.monitors {
            monitor.end_history();
        }
        Commit {
            source: self.source,
            delta: self.pending.delta,
            journal: Vec::new(),
            receipts: Vec::new(),
            receipts_kept_millis: self.limits.receipts_kept_millis,
            inputs: self.pending.inputs,
            monitors: Some(self.monitors.iter_mut().map(|monitor| monitor.take_commit(now_millis)).collect()),
            at_millis: now_millis,
        }
    }

    /// How far every partition has been ingested.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The newest event time of a partition, as the slowest monitor sees it.
    pub fn newest_event_millis(&self, partition: &PartitionId) -> Option<i64> {
        let newest = |monitor: &Monitor| {
            let mut clocks = monitor.windows.watermarks().iter();
            clocks.find(|(known, _)| *known == partition).and_then(|(_, clock)| clock.newest_millis())
        };
        self.monitors.iter().filter_map(newest).min()
    }

    /// The monitors.
    pub fn monitors(&self) -> &[Monitor] {
        &self.monitors
    }

    /// What people may see of each monitor.
    pub fn status(&self) -> Vec<MonitorStatus> {
        self.monitors.iter().map(|monitor| status::of_monitor(&self.source, monitor)).collect()
    }

    /// A partition that was left out or unknown while windows were closing: where it joins matters.
    fn note_speaking(&mut self, batch: &RecordBatch) {
        for monitor in &self.monitors {
            let mut clocks = monitor.windows.watermarks().iter();
            let awaited = clocks.any(|(known, clock)| *known == batch.partition && clock.is_awaited());
            if !awaited && monitor.windows.has_begun() {
                self.pending.inputs.push(RecordedInput {
                    monitor: monitor.spec.facts.monitor.clone(),
                    at: self.checkpoint.clone(),
                    kind: RecordedInputKind::Spoke { partition: batch.partition.to_string() },
                });
            }
        }
    }

    fn job(&mut self, batch: RecordBatch) -> IntakeJob {
        if let Some(Header::Schemas(schemas)) = &batch.header {
            let mut decoder = self.decoder.clone();
            decoder.set_schemas(Arc::clone(schemas));
            return self.job_with(batch, decoder);
        }
        if let Some(Header::Row(header)) = &batch.header {
            let known = self.decoders.get(&batch.partition).filter(|(known, _)| known == header);
            let decoder = known.map_or_else(
                || {
                    let mut decoder = self.decoder.clone();
                    // A column that the file lacks reads as missing in every row; `check --online` names it.
                    drop(decoder.set_header(header));
                    decoder
                },
                |(_, decoder)| decoder.clone(),
            );
            self.decoders.insert(batch.partition.clone(), (header.clone(), decoder.clone()));
            return self.job_with(batch, decoder);
        }
        let decoder = self.decoder.clone();
        self.job_with(batch, decoder)
    }

    fn job_with(&mut self, batch: RecordBatch, decoder: Decoder) -> IntakeJob {
        let monitors = self
            .monitors
            .iter_mut()
            .map(|monitor| MonitorIntake {
                spec: monitor.spec.clone(),
                intake: monitor.windows.take_intake(&batch.partition),
                totals: Totals::default(),
                rejects: Vec::new(),
            })
            .collect();
        IntakeJob {
            wants_receipts: self.journaled || batch.records.iter().any(|record| record.id.is_some()),
            rejects_kept: self.limits.rejects_kept,
            records_kept: self.limits.records_kept,
            receipts: Vec::new(),
            batch,
            decoder,
            monitors,
        }
    }

    fn settle(&mut self, job: IntakeJob) {
        let IntakeJob { batch, monitors, receipts, .. } = job;
        for (monitor, part) in self.monitors.iter_mut().zip(monitors) {
            monitor.windows.put_intake(batch.partition.clone(), part.intake);
            monitor.windows.set_ended(&batch.partition, batch.ends_partition);
            monitor.totals.add(&part.totals);
            monitor.keep_samples(&part.rejects);
            self.pending.reject_bytes += part.rejects.iter().map(RejectSample::num_bytes).sum::<usize>();
            self.pending.rejects.extend(part.rejects);
        }
        self.pending.num_records += batch.records.len();
        let ids = batch.records.iter().zip(&receipts);
        self.pending
            .receipt_ids
            .extend(ids.filter_map(|(record, receipt)| Some((record.id.clone()?, receipt.clone()))));
        if self.journaled {
            self.pending.receipts.extend(receipts);
            self.pending.journal.push(batch);
        }
    }

    fn close_ready(&mut self) {
        for monitor in &mut self.monitors {
            monitor.close_ready(self.limits.threads);
        }
    }

    fn source_back(&mut self, now_millis: i64) {
        if self.lost_since_millis.take().is_some() {
            // Silence before now was ours, not the shop's.
            self.heard_millis.values_mut().for_each(|heard| *heard = now_millis);
            self.monitors.iter_mut().for_each(|monitor| monitor.source_back(now_millis));
        }
    }

    fn close_by_clock(&mut self, now_millis: i64) {
        for monitor in &mut self.monitors {
            let kinds = monitor.pass_time(now_millis, &mut self.heard_millis, self.limits.threads);
            self.pending.inputs.extend(kinds.into_iter().map(|kind| RecordedInput {
                monitor: monitor.spec.facts.monitor.clone(),
                at: self.checkpoint.clone(),
                kind,
            }));
        }
    }
}

/// Runs each job once, on as many threads as there are jobs and threads.
fn run_jobs(jobs: &mut [IntakeJob], threads: usize) {
    let num_jobs = jobs.len();
    if num_jobs <= 1 || threads <= 1 {
        jobs.iter_mut().for_each(IntakeJob::run);
        return;
    }
    let next = Mutex::new(jobs.iter_mut());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(num_jobs) {
            scope.spawn(|| {
                // The lock is let go before the job runs.
                let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(job) = take() {
                    job.run();
                }
            });
        }
    });
}
