//! The models of one monitor: one per series, scored and taught window by window.
//!
//! Models are a cache of history. Each shard is saved from time to time; a restart loads the snapshot and
//! folds the frames after it, which gives the same models bit for bit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tidewatch_detectors::{JointModel, LearnedOccasion, Model, Said};

use super::{
    FrameBlob, Guard, Judging, Ledger, ModelBlob, SHARD_SLICES, Seen, SeriesAt, ShardFrame, StoredScore, Why,
    frames::{BlobError, pack, unpack},
    lineage::Lineage,
    relations::{RelationSpec, Relations},
    series::{MeasureProgress, SeriesState},
};
use crate::{
    anomaly::Reading,
    window::{Cell, Frame, SliceKey},
};

/// A shard is saved again after this many windows; a restart folds at most about that many.
const SNAPSHOT_EVERY_WINDOWS: u32 = 96;

/// Instead of a number of windows: the shard is saved with the next commit.
const SNAPSHOT_NOW: u32 = u32::MAX;

/// Below this many series one thread is faster than several.
const PARALLEL_FROM_SERIES: usize = 4_096;

/// All models of a monitor.
#[derive(Debug)]
pub struct Models {
    measures: Vec<Judging>,
    /// Of the calendar they learn under.
    calendar: u64,
    series: Vec<SeriesState>,
    lineage: Lineage,
    relations: Relations,
    /// Per shard: windows learned since its last snapshot.
    unsaved: Vec<u32>,
    /// Per shard: end of the last window learned.
    learned_through: Vec<i64>,
    /// Per shard: number of the last instruction heard.
    heard: Vec<u64>,
    /// The cells of a slice in a window without any of its events.
    quiet: Vec<Option<Cell>>,
    /// Only these series are kept; all if `None`.
    only: Option<BTreeSet<SeriesAt>>,
}

/// A shard's models with the settings they were made under: other settings rebuild them from history.
#[derive(Serialize, Deserialize)]
struct SavedShard {
    settings: String,
    /// The last instruction heard, and what was heard by then: another past rebuilds them too.
    heard: (u64, u64),
    series: Vec<SeriesState>,
    relations: Vec<Option<JointModel>>,
}

/// The beginning of [`SavedShard`], readable whatever follows.
#[derive(Deserialize)]
struct SavedHead {
    settings: String,
}

impl Models {
    /// No models yet; one judging per measure, what is judged together, and the fingerprint of the calendar.
    pub fn new(measures: Vec<Judging>, relations: Vec<RelationSpec>, calendar: u64) -> Self {
        Self {
            measures,
            calendar,
            series: Vec::new(),
            lineage: Lineage::default(),
            relations: Relations::new(relations),
            unsaved: Vec::new(),
            learned_through: Vec::new(),
            heard: Vec::new(),
            quiet: Vec::new(),
            only: None,
        }
    }

    /// The same, told what a quiet window of a slice looks like.
    #[must_use]
    pub(super) fn with_quiet(self, quiet: Vec<Option<Cell>>) -> Self {
        Self { quiet, ..self }
    }

    /// The same for these series alone, without relations. The roll-ups that they may borrow from are learned too.
    #[must_use]
    pub(super) fn only(mut self, series: &BTreeSet<SeriesAt>, slices: &[SliceKey]) -> Self {
        self.lineage.know(slices);
        self.only = Some(self.lineage.with_roll_ups(series, slices));
        self
    }

    /// Scores every observation of a closed window, then learns it. `slices` has the key of each of its rows,
    /// `seen` tells the rest of a slice. The
    /// result has one entry per series, and behind the series of a slice one per relation; `None` is a gap.
    pub fn judge(
        &mut self,
        frame: &Frame,
        slices: &[SliceKey],
        seen: &(dyn Fn(usize) -> Seen + Sync),
        ledger: &Ledger,
        threads: usize,
    ) -> Vec<Option<Reading>> {
        let width = self.measures.len();
        self.series.resize(frame.slices.len() * width, SeriesState::default());
        self.unsaved.resize(frame.slices.len().div_ceil(SHARD_SLICES), SNAPSHOT_EVERY_WINDOWS);
        self.unsaved.iter_mut().for_each(|windows| *windows = windows.saturating_add(1));
        self.learned_through.clear();
        self.learned_through.resize(self.unsaved.len(), frame.end_millis);
        self.heard.resize(self.unsaved.len(), ledger.next_number() - 1);
        self.lineage.know(slices);
        for (slice, row) in frame.slices.iter().enumerate() {
            self.borrow_for(slice, &row.cells, slices, i64::MAX);
        }
        let mut readings = vec![None; self.series.len()];
        let threads = if self.series.len() < PARALLEL_FROM_SERIES { 1 } else { threads.max(1) };
        let slices_each = frame.slices.len().div_ceil(threads).max(1);
        let measures = &self.measures;
        let judge_part = |first: usize, series: &mut [SeriesState], readings: &mut [Option<Reading>]| {
            for (index, states) in series.chunks_mut(width).enumerate() {
                let (row, seen) = (&frame.slices[first + index], seen(first + index));
                for (measure, state) in states.iter_mut().enumerate() {
                    let at = SeriesAt { slice: first + index, measure };
                    let seen = seen.held_by(ledger, at, (frame.start_millis, frame.end_millis));
                    let reading = state.observe(&measures[measure], row.cells[measure], row.events, seen);
                    readings[index * width + measure] = reading;
                }
            }
        };
        let parts = self.series.chunks_mut(slices_each * width).zip(readings.chunks_mut(slices_each * width));
        if threads == 1 {
            parts.for_each(|(series, readings)| judge_part(0, series, readings));
        } else {
            std::thread::scope(|scope| {
                for (part, (series, readings)) in parts.enumerate() {
                    let judge_part = &judge_part;
                    scope.spawn(move || judge_part(part * slices_each, series, readings));
                }
            });
        }
        self.judge_relations(frame, readings, seen)
    }

    /// Adds the readings of relations behind those of each slice. They are few; one thread does.
    fn judge_relations(
        &mut self,
        frame: &Frame,
        readings: Vec<Option<Reading>>,
        seen: &(dyn Fn(usize) -> Seen + Sync),
    ) -> Vec<Option<Reading>> {
        if self.relations.specs().is_empty() {
            return readings;
        }
        self.relations.resize(frame.slices.len());
        let width = self.measures.len();
        let mut all = Vec::with_capacity(readings.len() + frame.slices.len() * self.relations.specs().len());
        for (slice, (row, readings)) in frame.slices.iter().zip(readings.chunks(width)).enumerate() {
            all.extend_from_slice(readings);
            all.extend(self.observe_relations(slice, &row.cells, seen(slice)));
        }
        all
    }

    fn observe_relations(
        &mut self,
        slice: usize,
        cells: &[Option<Cell>],
        seen: Seen,
    ) -> Vec<Option<Reading>> {
        let width = self.measures.len();
        let (measures, series) = (&self.measures, &self.series);
        let is_thin =
            |measure: usize| series[slice * width + measure].is_thin(&measures[measure], cells[measure]);
        self.relations.observe(slice, cells, seen, is_thin)
    }

    /// How far the series of each measure are.
    pub fn progress(&self) -> Vec<MeasureProgress> {
        let mut all = vec![MeasureProgress::default(); self.measures.len()];
        for states in self.series.chunks(self.measures.len().max(1)) {
            for ((state, judging), progress) in states.iter().zip(&self.measures).zip(&mut all) {
                progress.add(state, judging);
            }
        }
        all
    }

    /// The shards whose snapshot is due. Their counters start again, as if the snapshots were stored: they
    /// are, or the process stops.
    pub fn due_snapshots(&mut self, ledger: &Ledger) -> Vec<ModelBlob> {
        let settings = self.settings();
        let mut blobs = Vec::new();
        for (shard, unsaved) in self.unsaved.iter_mut().enumerate() {
            // Shards take turns, so that no single commit writes them all.
            if *unsaved < SNAPSHOT_EVERY_WINDOWS + (shard as u32 * 7) % 32 {
                continue;
            }
            *unsaved = 0;
            let width = SHARD_SLICES * self.measures.len();
            let end = ((shard + 1) * width).min(self.series.len());
            let series = self.series[shard * width..end].to_vec();
            let relations = self.relations.shard(shard);
            let heard = (self.heard[shard], ledger.fingerprint(shard, self.heard[shard]));
            let bytes = pack(&SavedShard { settings: settings.clone(), heard, series, relations });
            blobs.push(ModelBlob { shard, through_millis: self.learned_through[shard], bytes });
        }
        blobs
    }

    /// The models of `num_slices` slices as far as snapshots hold them. Snapshots made under other settings, or
    /// that heard what was taken back since, are passed over. The frames from [`Models::needed_from`] on must be folded in, in order of time.
    pub fn with_snapshots(
        self,
        num_slices: usize,
        snapshots: &[ModelBlob],
        ledger: &Ledger,
    ) -> Result<Self, BlobError> {
        let mut models = self;
        models.relations.resize(num_slices);
        let width = models.measures.len();
        models.series.resize(num_slices * width, SeriesState::default());
        models.unsaved.resize(num_slices.div_ceil(SHARD_SLICES), SNAPSHOT_EVERY_WINDOWS);
        models.learned_through.resize(models.unsaved.len(), i64::MIN);
        models.heard.resize(models.unsaved.len(), 0);
        for blob in snapshots {
            let Some(saved) = models.usable(blob, ledger)? else { continue };
            models.heard[blob.shard] = saved.heard.0;
            let first = blob.shard * SHARD_SLICES * width;
            for (slot, state) in models.series[first..].iter_mut().zip(saved.series) {
                *slot = state;
            }
            models.relations.load(blob.shard, saved.relations);
            models.learned_through[blob.shard] = blob.through_millis;
            models.unsaved[blob.shard] = 0;
        }
        Ok(models)
    }

    /// From which window end on frames must be folded in.
    pub fn needed_from(&self) -> i64 {
        self.learned_through.iter().copied().min().unwrap_or(i64::MIN)
    }

    /// Windows of a shard that end at or before this are learned.
    pub(super) fn learned_through(&self, shard: usize) -> i64 {
        self.learned_through.get(shard).copied().unwrap_or(i64::MIN)
    }

    fn usable(&self, blob: &ModelBlob, ledger: &Ledger) -> Result<Option<SavedShard>, BlobError> {
        let head: SavedHead = unpack("model snapshot", &blob.bytes)?;
        if head.settings != self.settings() {
            return Ok(None);
        }
        let saved: SavedShard = unpack("model snapshot", &blob.bytes)?;
        let (number, heard) = saved.heard;
        Ok((heard == ledger.fingerprint(blob.shard, number)).then_some(saved))
    }

    /// Series that show their first value start from the rhythm of a roll-up, as it was before this window. Their
    /// shard is saved with the window they begin in: a restart does not have the roll-up of that time.
    ///
    /// A roll-up whose shard has learned `end_millis` already is passed over. When windows are folded again, it has
    /// lent nothing then, or the series would be in a snapshot.
    fn borrow_for(&mut self, slice: usize, cells: &[Option<Cell>], slices: &[SliceKey], end_millis: i64) {
        let width = self.measures.len();
        for (measure, cell) in cells.iter().enumerate() {
            let index = slice * width + measure;
            let is_first = self.series.get(index).is_some_and(|state| state.model.is_none());
            let is_meant = self.only.as_ref().is_none_or(|only| only.contains(&SeriesAt { slice, measure }));
            if !is_first
                || !is_meant
                || cell.is_none_or(|cell| cell.weight < self.measures[measure].min_weight)
            {
                continue;
            }
            let (series, learned) = (&self.series, &self.learned_through);
            let model_of = |parent: usize| {
                let in_step = learned[parent / SHARD_SLICES] < end_millis;
                series.get(parent * width + measure)?.model.as_ref().filter(|_| in_step)
            };
            let Some(prior) = self.lineage.prior(&slices[slice], model_of) else { continue };
            self.series[index].model = Some(prior);
            self.unsaved[slice / SHARD_SLICES] = SNAPSHOT_NOW;
        }
    }

    /// Learns a stored window, given by the blobs of all its shards, unless a shard's snapshot already has, after
    /// what was heard before it. `read` is given what each series scored; relations are numbered behind the measures.
    pub fn fold(
        &mut self,
        window: &[FrameBlob],
        slices: &[SliceKey],
        seen: &dyn Fn(usize, i64) -> Seen,
        ledger: &Ledger,
        read: &mut dyn FnMut(SeriesAt, Option<Reading>),
    ) -> Result<(), BlobError> {
        let width = self.measures.len();
        self.lineage.know(slices);
        let mut frames = Vec::new();
        for blob in window.iter().filter(|blob| self.learns(blob.shard)) {
            let through = self.learned_through.get(blob.shard);
            if through.is_some_and(|through| blob.end_millis > *through) {
                frames.push((blob, ShardFrame::decode(&blob.bytes)?));
            }
        }
        for (blob, _) in &frames {
            self.hear_before(blob.shard, blob.end_millis, ledger);
        }
        for (blob, frame) in &frames {
            for (row, cells) in frame.cells.chunks(width).enumerate() {
                self.borrow_for(blob.shard * SHARD_SLICES + row, cells, slices, blob.end_millis);
            }
        }
        for (blob, frame) in &frames {
            self.fold_shard(blob, frame, seen, ledger, read);
        }
        self.fold_absent(window, &frames, seen, ledger)
    }

    /// Slices that a backfill has brought have no row in the windows that were closed before it: a series of theirs
    /// that has seen anything by then has seen nothing there. Without a backfill there is no such series.
    fn fold_absent(
        &mut self,
        window: &[FrameBlob],
        frames: &[(&FrameBlob, ShardFrame)],
        seen: &dyn Fn(usize, i64) -> Seen,
        ledger: &Ledger,
    ) -> Result<(), BlobError> {
        let (width, Some(first)) = (self.measures.len(), window.first()) else { return Ok(()) };
        let mut absent = Vec::new();
        for shard in (0..self.learned_through.len()).filter(|shard| self.learns(*shard)) {
            let frame = frames.iter().find(|(blob, _)| blob.shard == shard).map(|(_, frame)| frame);
            if frame.is_none() && self.learned_through[shard] >= first.end_millis {
                continue;
            }
            let from = shard * SHARD_SLICES + frame.map_or(0, |frame| frame.events.len());
            let to = ((shard + 1) * SHARD_SLICES).min(self.series.len() / width);
            let has_seen = |slice: &usize| {
                self.series[slice * width..(slice + 1) * width].iter().any(SeriesState::has_seen)
            };
            absent.extend((from..to).filter(has_seen));
        }
        if absent.is_empty() || self.quiet.is_empty() || is_gap(window)? {
            return Ok(());
        }
        let quiet = self.quiet.clone();
        for slice in absent {
            let shard = slice / SHARD_SLICES;
            self.hear_before(shard, first.end_millis, ledger);
            self.learned_through[shard] = first.end_millis;
            let told = seen(slice, first.start_millis);
            for (measure, cell) in quiet.iter().enumerate() {
                let at = SeriesAt { slice, measure };
                if self.only.as_ref().is_none_or(|only| only.contains(&at)) {
                    let told = told.held_by(ledger, at, (first.start_millis, first.end_millis));
                    self.series[slice * width + measure].observe(&self.measures[measure], *cell, 0, told);
                }
            }
        }
        Ok(())
    }

    /// The shards of the series that alone are learned; `None` when all are.
    pub(super) fn shards(&self) -> Option<BTreeSet<usize>> {
        self.only.as_ref().map(|only| only.iter().map(|at| at.slice / SHARD_SLICES).collect())
    }

    fn learns(&self, shard: usize) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|at| at.slice / SHARD_SLICES == shard))
    }

    fn fold_shard(
        &mut self,
        blob: &FrameBlob,
        frame: &ShardFrame,
        seen: &dyn Fn(usize, i64) -> Seen,
        ledger: &Ledger,
        read: &mut dyn FnMut(SeriesAt, Option<Reading>),
    ) {
        let shard = blob.shard;
        self.learned_through[shard] = blob.end_millis;
        self.unsaved[shard] = self.unsaved[shard].saturating_add(1);
        let width = self.measures.len();
        let first = shard * SHARD_SLICES;
        let in_frame = |index: usize| SeriesAt { slice: first + index / width, measure: index % width };
        let chosen: Vec<usize> = match &self.only {
            Some(only) => (0..frame.cells.len()).filter(|index| only.contains(&in_frame(*index))).collect(),
            None => (0..frame.cells.len()).collect(),
        };
        for index in chosen {
            let at = in_frame(index);
            let Some(state) = self.series.get_mut(at.slice * width + at.measure) else { continue };
            let events = frame.events[index / width];
            let seen = seen(at.slice, blob.start_millis);
            let seen = seen.held_by(ledger, at, (blob.start_millis, blob.end_millis));
            read(at, state.observe(&self.measures[at.measure], frame.cells[index], events, seen));
        }
        if self.only.is_none() && !self.relations.specs().is_empty() {
            for (index, cells) in frame.cells.chunks(width).enumerate() {
                let slice = first + index;
                if slice * width < self.series.len() {
                    let readings = self.observe_relations(slice, cells, seen(slice, blob.start_millis));
                    for (relation, reading) in readings.into_iter().enumerate() {
                        read(SeriesAt { slice, measure: width + relation }, reading);
                    }
                }
            }
        }
    }

    /// Lets the models of a shard hear what was said before the window that ends at `end_millis`.
    pub(super) fn hear_before(&mut self, shard: usize, end_millis: i64, ledger: &Ledger) {
        let Some(through) = self.heard.get(shard).copied() else { return };
        for heard in ledger.heard_after(through) {
            if heard.after_millis >= end_millis {
                break;
            }
            for (series, said) in heard.of_shard(shard) {
                self.hear(series, said);
            }
            self.heard[shard] = heard.number;
        }
    }

    /// Lets all models hear the rest of what was said.
    pub fn catch_up(&mut self, ledger: &Ledger) {
        for shard in 0..self.heard.len() {
            self.hear_before(shard, i64::MAX, ledger);
            self.heard[shard] = ledger.next_number() - 1;
        }
    }

    /// Tells one model; whether it changed anything.
    pub(super) fn hear(&mut self, at: SeriesAt, said: &Said) -> bool {
        if self.only.as_ref().is_some_and(|only| !only.contains(&at)) {
            return false;
        }
        let width = self.measures.len();
        self.series.get_mut(at.slice * width + at.measure).is_some_and(|state| state.hear(said))
    }

    /// Starts the model of a series that has seen nothing yet.
    pub(super) fn start(&mut self, at: SeriesAt) {
        let judging = &self.measures[at.measure];
        if let Some(state) = self.series.get_mut(at.slice * self.measures.len() + at.measure) {
            state.model.get_or_insert_with(|| judging.detector.start());
        }
    }

    /// All models have heard everything up to this instruction.
    pub(super) fn note_heard(&mut self, number: u64) {
        self.heard.fill(number);
    }

    /// How many series there are.
    pub(super) fn num_series(&self) -> usize {
        self.series.len()
    }

    /// Why a window of a series is judged as it is, from the state before it.
    pub(super) fn explain(&self, at: SeriesAt, cell: Cell, events: u64, seen: Seen) -> Why {
        let fresh = SeriesState::default();
        let state = self.series.get(at.slice * self.measures.len() + at.measure).unwrap_or(&fresh);
        state.explain(&self.measures[at.measure], cell, events, seen)
    }

    /// What a series has learned of occasions.
    pub(super) fn occasions(&self, at: SeriesAt) -> Vec<LearnedOccasion> {
        let state = self.series.get(at.slice * self.measures.len() + at.measure);
        state.and_then(|state| state.model.as_ref()).map(Model::occasions).unwrap_or_default()
    }

    /// Takes what `anew` has learned of these series in place of its own; their shards are saved next.
    pub(super) fn take_over(&mut self, mut anew: Self, series: &BTreeSet<SeriesAt>) {
        let width = self.measures.len();
        for at in series {
            let index = at.slice * width + at.measure;
            let (Some(mine), Some(other)) = (self.series.get_mut(index), anew.series.get_mut(index)) else {
                continue;
            };
            *mine = std::mem::take(other);
            if let Some(unsaved) = self.unsaved.get_mut(at.slice / SHARD_SLICES) {
                *unsaved = SNAPSHOT_NOW;
            }
        }
    }

    fn settings(&self) -> String {
        let learned_by =
            |judging: &Judging| format!("{:?}", Judging { guard: Guard::default(), ..judging.clone() });
        let measures: Vec<String> = self.measures.iter().map(learned_by).collect();
        let (single, joint) = (Model::STATE_VERSION, JointModel::STATE_VERSION);
        let relations = self.relations.specs();
        format!("{single} {joint} {} {relations:?} {:x}", measures.join(" "), self.calendar)
    }
}

/// Whether nothing is known of a window: nobody could be heard.
fn is_gap(window: &[FrameBlob]) -> Result<bool, BlobError> {
    for blob in window {
        let frame = ShardFrame::decode(&blob.bytes)?;
        if frame.events.iter().any(|events| *events > 0) || frame.cells.iter().any(Option::is_some) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Cuts a judged window into the frames of its shards. Scores of relations are not stored: `width` measures of
/// the `stride` readings of a slice are.
pub(super) fn shard_frames(
    frame: &Frame,
    readings: &[Option<Reading>],
    width: usize,
    stride: usize,
) -> Vec<FrameBlob> {
    let mut blobs = Vec::new();
    for (shard, rows) in frame.slices.chunks(SHARD_SLICES).enumerate() {
        let first = shard * SHARD_SLICES * stride;
        let scores = readings[first..first + rows.len() * stride]
            .chunks(stride)
            .flat_map(|readings| &readings[..width])
            .map(|reading| reading.and_then(|reading| reading.score.as_ref().map(StoredScore::from)))
            .collect();
        let shard_frame = ShardFrame {
            events: rows.iter().map(|row| row.events).collect(),
            cells: rows.iter().flat_map(|row| row.cells.iter().copied()).collect(),
            scores,
            revision: None,
        };
        blobs.push(FrameBlob {
            start_millis: frame.start_millis,
            end_millis: frame.end_millis,
            shard,
            bytes: shard_frame.encode(),
            revision: None,
        });
    }
    blobs
}
