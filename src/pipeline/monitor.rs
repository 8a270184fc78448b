//! One monitor: what it watches, and all its state between two batches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    BackfillStep, FrameBlob, Instructed, Ledger, Models, MonitorCommit, RecordedInputKind, RestoredMonitor,
    RevisionBlob, SHARD_SLICES, SeriesAt, SlicesFrom,
    correction::{Correctable, Corrections},
    frames::{BlobError, pack, shard_revisions, unpack},
    models::shard_frames,
    realised::Realised,
    spec::MonitorSpec,
    trouble::{Finding, IntakeWatch},
};
use crate::{
    anomaly::{
        Alert, AnomalyTracker, HeldBack, Incident, IncidentBook, IncidentState, Lives, Milestone,
        RevisedWindow, Updates, WindowMarks, WindowView,
    },
    record::{PartitionId, RejectReason, RejectSample},
    window::{Closed, Frame, PartialFrame, SavedWindows, SliceKey, Windows},
};

/// Version of [`Saved`]; a change of its shape raises it and keeps the old one readable.
const STATE_VERSION: u32 = 4;

/// Reject samples kept per monitor.
const SAMPLES_KEPT: usize = 20;

/// Where every event went. Nothing is lost: `events` is the sum of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Events that came.
    pub events: u64,
    /// Aggregated.
    pub counted: u64,
    /// Late or after a close, and merged into their closed window.
    pub revised: u64,
    /// Late or after a close, and to be merged when the next window closes.
    pub waiting: u64,
    /// Refused, in the order of [`RejectReason::ALL`].
    pub rejected: [u64; RejectReason::ALL.len()],
    /// Too late for their window.
    pub late: u64,
    /// On time for their partition, but their window had been closed by idleness or the clock.
    pub after_close: u64,
    /// Over a partition's limit of slices in a window, or for a window that was given up for the limit of
    /// corrections.
    pub over_limit: u64,
    /// Windows closed.
    pub windows: u64,
    /// Revisions of closed windows.
    pub revisions: u64,
    /// Incidents that late events took back.
    pub retracted: u64,
    /// Observations scored.
    pub scored: u64,
    /// Slices counted under `(other)`, added up over windows.
    pub refused_slices: u64,
    /// Alerts that rules held back.
    pub held_back: HeldBack,
}

impl Totals {
    /// Refused for any reason.
    pub fn num_rejected(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Whether every event is accounted for.
    pub fn is_conserved(&self) -> bool {
        let used = self.counted + self.revised + self.waiting;
        self.events == used + self.num_rejected() + self.late + self.after_close + self.over_limit
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.counted += other.counted;
        self.waiting += other.waiting;
        self.late += other.late;
        self.after_close += other.after_close;
        self.over_limit += other.over_limit;
        for (total, more) in self.rejected.iter_mut().zip(other.rejected) {
            *total += more;
        }
    }
}

/// One monitor and its state.
#[derive(Debug)]
pub struct Monitor {
    pub(super) spec: Arc<MonitorSpec>,
    pub(super) windows: Windows,
    pub(super) models: Models,
    tracker: AnomalyTracker,
    pub(super) book: IncidentBook,
    lives: Lives,
    pub(super) ledger: Ledger,
    /// Series whose past has changed and that must be learned anew.
    pub(super) anew: BTreeSet<SeriesAt>,
    pub(super) totals: Totals,
    pub(super) samples: Vec<RejectSample>,
    pub(super) corrections: Corrections,
    watch: IntakeWatch,
    pub(super) pending: Pending,
    /// Series with a score in the last window.
    pub(super) num_judged: usize,
    pub(super) realised: Realised,
    /// Wall clock of the commit this monitor was restored from.
    pub(super) saved_at_millis: Option<i64>,
}

/// Results since the last full commit.
#[derive(Debug, Default)]
pub(super) struct Pending {
    frames: Vec<FrameBlob>,
    revisions: BTreeMap<(i64, usize), RevisionBlob>,
    num_windows: usize,
    pub(super) incidents: BTreeMap<String, Incident>,
    milestones: Vec<Milestone>,
    pub(super) instructed: Vec<Instructed>,
    pub(super) alerts: Vec<Alert>,
    slices_stored: usize,
}

/// Everything but slices, models, frames and the ledger, which have tables of their own.
#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    shape: String,
    windows: SavedWindows,
    tracker: AnomalyTracker,
    book: IncidentBook,
    lives: Lives,
    totals: Totals,
    samples: Vec<RejectSample>,
    /// Closed windows up to this start were given up for the limit of corrections.
    given_up: Option<i64>,
    at_millis: i64,
}

/// The beginning of [`Saved`], readable whatever follows.
#[derive(Deserialize)]
struct SavedHead {
    version: u32,
    shape: String,
}

/// Whether a saved state can be gone on with; the inner error says why not.
pub(super) fn check_state(spec: &MonitorSpec, state: &[u8]) -> Result<Result<(), String>, BlobError> {
    let SavedHead { version, shape } = unpack("monitor state", state)?;
    if version != STATE_VERSION {
        let why = format!("stored as version {version}, this build reads {STATE_VERSION}");
        return Ok(Err(why));
    }
    let configured = spec.shape();
    Ok(if shape == configured {
        Ok(())
    } else {
        Err(format!("stored as `{shape}`, configured as `{configured}`"))
    })
}

impl Monitor {
    /// A monitor that has seen nothing.
    pub fn new(spec: Arc<MonitorSpec>) -> Self {
        Self {
            windows: Windows::new(spec.window.clone()),
            models: spec.models(),
            tracker: AnomalyTracker::default(),
            book: IncidentBook::default(),
            lives: Lives::default(),
            ledger: Ledger::default(),
            anew: BTreeSet::new(),
            totals: Totals::default(),
            samples: Vec::new(),
            corrections: Corrections::default(),
            watch: IntakeWatch::default(),
            pending: Pending::default(),
            num_judged: 0,
            realised: Realised::default(),
            saved_at_millis: None,
            spec,
        }
    }

    /// The monitor as it was saved, in a state that [`check_state`] lets pass; models and ledger are given ready.
    /// Without a state it has slices and models of a backfill, and has seen nothing.
    pub(super) fn restore(
        spec: Arc<MonitorSpec>,
        stored: RestoredMonitor,
        models: Models,
        ledger: Ledger,
    ) -> Result<Self, BlobError> {
        let pending = Pending { slices_stored: stored.slices.len(), ..Pending::default() };
        let mut monitor = Self { models, ledger, pending, ..Self::new(spec) };
        let spec = monitor.spec.window.clone();
        let Some(state) = stored.state else {
            monitor.windows = Windows::restore(spec, SavedWindows::default(), stored.slices);
            return Ok(monitor);
        };
        let saved: Saved = unpack("monitor state", &state)?;
        monitor.corrections = Corrections::restore(stored.correctable, saved.given_up)?;
        monitor.windows = Windows::restore(spec, saved.windows, stored.slices);
        monitor.tracker = saved.tracker;
        monitor.book = saved.book;
        monitor.lives = saved.lives;
        monitor.totals = saved.totals;
        monitor.samples = saved.samples;
        monitor.saved_at_millis = Some(saved.at_millis);
        Ok(monitor)
    }

    /// A monitor that knows its slices, has heard nothing yet of what the ledger holds, and has seen nothing.
    pub(super) fn restore_replay(
        spec: Arc<MonitorSpec>,
        slices: Vec<SliceKey>,
        ledger: Ledger,
    ) -> Result<Self, BlobError> {
        let models = spec.models().with_snapshots(slices.len(), &[], &ledger)?;
        let mut monitor = Self { models, ledger, ..Self::new(spec) };
        let window = monitor.spec.window.clone();
        monitor.windows = Windows::restore(window, SavedWindows::default(), slices);
        Ok(monitor)
    }

    /// Judges a window of the past that has a row for every slice, after what was said before it.
    pub(super) fn judge_again(&mut self, frame: &Frame) {
        for shard in 0..frame.slices.len().div_ceil(SHARD_SLICES) {
            self.models.hear_before(shard, frame.end_millis, &self.ledger);
        }
        self.judge(frame, 1);
    }

    /// What is configured.
    pub fn spec(&self) -> &Arc<MonitorSpec> {
        &self.spec
    }

    /// Closes and judges every window that ends at or before `through_millis`; says how many.
    pub(super) fn close_through(&mut self, through_millis: i64, threads: usize) -> usize {
        let mut closed = 0;
        while let Some(window) = self.windows.close_next(through_millis) {
            let marks = self.judge(&window.frame, threads);
            self.correct(window, marks);
            closed += 1;
        }
        closed
    }

    /// Closes every window that the watermark has passed.
    pub(super) fn close_ready(&mut self, threads: usize) {
        if let Some(through) = self.windows.ready_through() {
            self.close_through(through, threads);
        }
    }

    /// Leaves partitions out that were last heard too long ago, then closes what the others allow, or, when
    /// nobody is left to speak, what the clock allows. Says what the clock did.
    pub(super) fn pass_time(
        &mut self,
        now_millis: i64,
        heard_millis: &mut BTreeMap<PartitionId, i64>,
        threads: usize,
    ) -> Vec<RecordedInputKind> {
        let mut kinds = Vec::new();
        let clocks = self.windows.watermarks().iter();
        let awaited: Vec<PartitionId> =
            clocks.filter(|(_, clock)| clock.is_awaited()).map(|(partition, _)| partition.clone()).collect();
        for partition in awaited {
            let heard = *heard_millis.entry(partition.clone()).or_insert(now_millis);
            if now_millis - heard >= self.spec.idle_timeout_millis {
                self.windows.set_idle(&partition);
                kinds.push(RecordedInputKind::Idle { partition: partition.to_string() });
            }
        }
        self.close_ready(threads);
        let through_millis = now_millis - self.spec.window.allowed_lateness_millis;
        if self.windows.watermarks().all_silent() && self.close_through(through_millis, threads) > 0 {
            kinds.push(RecordedInputKind::Clock { through_millis });
        }
        kinds
    }

    fn judge(&mut self, frame: &Frame, threads: usize) -> WindowMarks {
        let slices = self.windows.registry().keys();
        let seen = |slice: usize| self.ledger.seen(&self.spec, &slices[slice], frame.start_millis);
        let readings = self.models.judge(frame, slices, &seen, &self.ledger, threads);
        let view = WindowView {
            facts: &self.spec.facts,
            slices,
            readings: &readings,
            start_millis: frame.start_millis,
            end_millis: frame.end_millis,
        };
        self.totals.windows += 1;
        self.totals.scored += view.num_judged() as u64;
        self.totals.refused_slices += frame.refused_slices as u64;
        self.num_judged = view.num_judged();
        let (changed, closed) = self.tracker.update(&view);
        let mut updates = self.book.update(&view, &changed, &closed);
        let marks = std::mem::take(&mut updates.marks);
        let width = self.spec.window.measures.len();
        let stride = self.spec.facts.measures.len();
        self.pending.frames.extend(shard_frames(frame, &readings, width, stride));
        self.pending.num_windows += 1;
        for incident in &updates.incidents {
            self.realised.note(incident);
        }
        self.realised.forget_before(frame.end_millis);
        let milestones = self.lives.follow(&updates.incidents, self.book.open(), frame.end_millis);
        self.take(updates, milestones);
        marks
    }

    /// Keeps a judged window for as long as it can be revised, and revises earlier ones by what came late.
    fn correct(&mut self, window: Closed, marks: WindowMarks) {
        let Closed { frame, whole, late } = window;
        let spec = Arc::clone(&self.spec);
        if let Some(whole) = whole {
            let window = Correctable { end_millis: frame.end_millis, whole, marks };
            self.corrections.keep(&window, spec.correction_bytes_max);
        }
        let oldest = frame.start_millis.saturating_sub(spec.facts.revisable_millis);
        self.corrections.forget_before(spec.window.grid.start_of(oldest));
        let mut by_window: BTreeMap<i64, Vec<PartialFrame>> = BTreeMap::new();
        for partial in late {
            by_window.entry(partial.start_millis).or_default().push(partial);
        }
        for (start_millis, late) in by_window {
            self.revise(start_millis, late, frame.end_millis);
        }
    }

    /// Merges late events into a closed window and judges its incidents again.
    fn revise(&mut self, start_millis: i64, late: Vec<PartialFrame>, at_millis: i64) {
        let num_events: u64 = late.iter().map(PartialFrame::num_events).sum();
        self.totals.waiting -= num_events;
        let Some(mut window) = self.corrections.get(start_millis) else {
            // Or there never was such a window: before the first, or skipped in a long silence.
            let given_up = self.corrections.has_given_up(start_millis);
            *(if given_up { &mut self.totals.over_limit } else { &mut self.totals.late }) += num_events;
            return;
        };
        self.totals.revised += num_events;
        self.totals.revisions += 1;
        let before = window.whole.clone();
        window.whole = Windows::merged(window.whole, late);
        let after = self.windows.frame_of(&window.whole);
        let before = self.windows.frame_of(&before);
        for (shard, revision) in shard_revisions(&before, &after) {
            let blob = RevisionBlob { start_millis, shard, bytes: revision.encode() };
            self.pending.revisions.insert((start_millis, shard), blob);
        }
        let span = (start_millis, window.end_millis);
        let revised = RevisedWindow { span_millis: span, before: &before, after: &after, at_millis };
        let slices = self.windows.registry().keys();
        let facts = &self.spec.facts;
        let updates =
            self.book.revise(facts, slices, &mut self.tracker, &revised, &mut window.marks, self.num_judged);
        let milestones = self.lives.revise(&updates, at_millis);
        let taken_back = updates.incidents.iter().filter(|one| one.state == IncidentState::Retracted);
        self.totals.retracted += taken_back.count() as u64;
        self.take(updates, milestones);
        self.corrections.keep(&window, self.spec.correction_bytes_max);
    }

    fn take(&mut self, updates: Updates, milestones: Vec<Milestone>) {
        self.totals.held_back += updates.held_back;
        self.pending.milestones.extend(milestones);
        for incident in updates.incidents {
            self.pending.incidents.insert(incident.id.clone(), incident);
        }
        self.pending.alerts.extend(updates.alerts);
    }

    /// The source cannot be read since `since_millis`.
    pub(super) fn source_lost(&mut self, since_millis: i64, now_millis: i64, why: &str) {
        let updates = self.book.source_lost(&self.spec.facts, since_millis, now_millis, why);
        self.take_silent(updates, now_millis);
    }

    /// The source can be read again.
    pub(super) fn source_back(&mut self, now_millis: i64) {
        let updates = self.book.source_back(&self.spec.facts, now_millis);
        self.take_silent(updates, now_millis);
    }

    /// Takes in what the clock did to incidents while no window closed.
    fn take_silent(&mut self, updates: Updates, now_millis: i64) {
        let milestones = self.lives.follow(&updates.incidents, std::iter::empty(), now_millis);
        self.take(updates, milestones);
    }

    /// Looks at what became of the last events, and tells when most of them cannot be used.
    pub(super) fn watch_intake(&mut self, now_millis: i64) {
        let updates = match self.watch.look(now_millis, &self.totals) {
            Some(Finding::Trouble { since_millis, what }) => {
                self.book.trouble_began(&self.spec.facts, since_millis, now_millis, &what)
            }
            Some(Finding::Fine) => self.book.trouble_over(&self.spec.facts, now_millis),
            None => return,
        };
        self.take_silent(updates, now_millis);
    }

    /// A step of a backfill was stored: its slices are kept from now on, and nothing older is counted.
    pub(super) fn note_backfill(&mut self, step: &BackfillStep) {
        self.windows.admit(&step.slices.keys);
        self.pending.slices_stored += step.slices.keys.len();
        if let Some(newest) = step.frames.last() {
            self.windows.join_after(newest.end_millis);
        }
    }

    /// See [`super::Engine::end_history`].
    pub(super) fn end_history(&mut self) {
        self.windows.detach();
        // What still waited for a close never comes to one.
        self.totals.late += std::mem::take(&mut self.totals.waiting);
        self.corrections = Corrections::default();
        self.tracker = AnomalyTracker::default();
        let incidents = self.book.close_all();
        let at_millis = self.windows.next_start().unwrap_or_default();
        let milestones = self.lives.follow(&incidents, std::iter::empty(), at_millis);
        self.take(Updates { incidents, ..Updates::default() }, milestones);
    }

    /// Whether a full commit has anything to tell.
    pub(super) fn has_results(&self) -> bool {
        let pending = &self.pending;
        pending.num_windows > 0 || !pending.incidents.is_empty() || !pending.instructed.is_empty()
    }

    /// Windows closed since the last full commit.
    pub(super) fn num_pending_windows(&self) -> usize {
        self.pending.num_windows
    }

    /// Incidents that are open now.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.book.open()
    }

    /// Keeps the last few refused events for people.
    pub(super) fn keep_samples(&mut self, samples: &[RejectSample]) {
        let skipped = samples.len().saturating_sub(SAMPLES_KEPT);
        let sample = |sample: &RejectSample| RejectSample { whole: None, ..sample.clone() };
        self.samples.extend(samples[skipped..].iter().map(sample));
        let surplus = self.samples.len().saturating_sub(SAMPLES_KEPT);
        self.samples.drain(..surplus);
    }

    /// Takes everything since the last full commit.
    pub(super) fn take_commit(&mut self, at_millis: i64) -> MonitorCommit {
        let pending = std::mem::take(&mut self.pending);
        let slices = self.windows.registry().keys();
        let new_slices =
            SlicesFrom { first: pending.slices_stored, keys: slices[pending.slices_stored..].to_vec() };
        self.pending.slices_stored = slices.len();
        let saved = Saved {
            version: STATE_VERSION,
            shape: self.spec.shape(),
            windows: self.windows.save(),
            tracker: self.tracker.clone(),
            book: self.book.clone(),
            lives: self.lives.clone(),
            totals: self.totals.clone(),
            samples: self.samples.clone(),
            given_up: self.corrections.given_up(),
            at_millis,
        };
        MonitorCommit {
            monitor: self.spec.facts.monitor.clone(),
            state: pack(&saved),
            slices: new_slices,
            frames: pending.frames,
            revisions: pending.revisions.into_values().collect(),
            correctable: self.corrections.take_unstored(),
            correctable_from_millis: self.corrections.oldest_millis().unwrap_or(i64::MAX),
            models: self.models.due_snapshots(&self.ledger),
            incidents: pending.incidents.into_values().collect(),
            milestones: pending.milestones,
            instructed: pending.instructed,
            alerts: pending.alerts,
            retain_from_millis: self
                .spec
                .retention_millis
                .and_then(|retention| Some(self.windows.next_start()? - retention)),
        }
    }
}
