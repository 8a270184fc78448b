//! The models of one monitor: one per series, scored and taught window by window.
//!
//! Models are a cache of history. Each shard is saved from time to time; a restart loads the snapshot and
//! folds the frames after it, which gives the same models bit for bit.

use serde::{Deserialize, Serialize};
use tidewatch_detectors::{DetectorConfig, JointModel, LearnPolicy, Model, Observation, Occasion};

use super::{
    FrameBlob, Guard, ModelBlob, SHARD_SLICES, ShardFrame, StoredScore,
    frames::{BlobError, pack, unpack},
    lineage::Lineage,
    relations::{RelationSpec, Relations},
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

/// How the series of one measure are judged.
#[derive(Clone, Debug)]
pub struct Judging {
    /// The detector.
    pub detector: DetectorConfig,
    /// An observation resting on less than this is kept but not judged: too thin to mean anything.
    pub min_weight: f64,
    /// A series whose windows rest on less than this in the mean is learned but not judged: one event more
    /// or less is its ordinary life, and the slices above it see what matters.
    pub min_mean_weight: f64,
    /// A ratio is judged where, at its mean so far, at least this would stand above the line: of thirty views
    /// that make one order, two orders are no news.
    pub min_numerator: f64,
    /// Which deviations are too small, which values cannot be.
    pub guard: Guard,
}

impl Judging {
    /// Every observation is judged.
    pub fn plain(detector: DetectorConfig) -> Self {
        Self { detector, min_weight: 0.0, min_mean_weight: 0.0, min_numerator: 0.0, guard: Guard::default() }
    }
}

/// What the models are told of a window of a slice besides its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Seconds on the wall clock of the slice.
    pub civil_seconds: i64,
    /// The occasion of the calendar, if it is one.
    pub occasion: Option<Occasion>,
    /// Nothing may be learned: the shop is known to be broken.
    pub hold: bool,
}

/// Half-life of the mean weight, in windows, and how many windows it takes before it is trusted.
const WEIGHT_HALF_LIFE_WINDOWS: f64 = 500.0;

/// What is kept of one series: its model, and how much its windows rest on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SeriesState {
    model: Option<Model>,
    mean_weight: f64,
    /// Mean of value x weight: a ratio's numerator.
    mean_numerator: f64,
    num_windows: u32,
}

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
}

/// A shard's models with the settings they were made under: other settings rebuild them from history.
#[derive(Serialize, Deserialize)]
struct SavedShard {
    settings: String,
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
        }
    }

    /// Scores every observation of a closed window, then learns it. `slices` has the key of each of its rows,
    /// `seen` tells the rest of a slice. The
    /// result has one entry per series, and behind the series of a slice one per relation; `None` is a gap.
    pub fn judge(
        &mut self,
        frame: &Frame,
        slices: &[SliceKey],
        seen: &(dyn Fn(usize) -> Seen + Sync),
        threads: usize,
    ) -> Vec<Option<Reading>> {
        let width = self.measures.len();
        self.series.resize(frame.slices.len() * width, SeriesState::default());
        self.unsaved.resize(frame.slices.len().div_ceil(SHARD_SLICES), SNAPSHOT_EVERY_WINDOWS);
        self.unsaved.iter_mut().for_each(|windows| *windows = windows.saturating_add(1));
        self.learned_through.clear();
        self.learned_through.resize(self.unsaved.len(), frame.end_millis);
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

    /// How many series there are and how many have not scored yet.
    pub fn counts(&self) -> (usize, usize) {
        let learning = self.models().filter(|model| model.learning().is_some()).count();
        (self.series.len(), learning)
    }

    /// The series that is furthest in its warm-up, while none has finished: windows seen and needed.
    pub fn learning(&self) -> Option<(u64, u64)> {
        if self.models().any(|model| model.learning().is_none()) {
            return None;
        }
        let best = self.models().filter_map(Model::learning).max_by_key(|learning| learning.seen)?;
        Some((best.seen, best.needed))
    }

    fn models(&self) -> impl Iterator<Item = &Model> {
        self.series.iter().filter_map(|state| state.model.as_ref())
    }

    /// The shards whose snapshot is due. Their counters start again, as if the snapshots were stored: they
    /// are, or the process stops.
    pub fn due_snapshots(&mut self) -> Vec<ModelBlob> {
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
            let bytes = pack(&SavedShard { settings: settings.clone(), series, relations });
            blobs.push(ModelBlob { shard, through_millis: self.learned_through[shard], bytes });
        }
        blobs
    }

    /// The models of `num_slices` slices as far as snapshots hold them. Snapshots made under other settings
    /// are passed over. The frames from [`Models::needed_from`] on must be folded in, in order of time.
    pub fn with_snapshots(self, num_slices: usize, snapshots: &[ModelBlob]) -> Result<Self, BlobError> {
        let mut models = self;
        models.relations.resize(num_slices);
        let width = models.measures.len();
        models.series.resize(num_slices * width, SeriesState::default());
        models.unsaved.resize(num_slices.div_ceil(SHARD_SLICES), SNAPSHOT_EVERY_WINDOWS);
        models.learned_through.resize(models.unsaved.len(), i64::MIN);
        for blob in snapshots {
            let Some(saved) = models.usable(blob)? else { continue };
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

    fn usable(&self, blob: &ModelBlob) -> Result<Option<SavedShard>, BlobError> {
        let head: SavedHead = unpack("model snapshot", &blob.bytes)?;
        if head.settings != self.settings() {
            return Ok(None);
        }
        unpack("model snapshot", &blob.bytes).map(Some)
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
            if !is_first || cell.is_none_or(|cell| cell.weight < self.measures[measure].min_weight) {
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

    /// Learns a stored window, given by the blobs of all its shards, unless a shard's snapshot already has.
    pub fn fold(
        &mut self,
        window: &[FrameBlob],
        slices: &[SliceKey],
        seen: &dyn Fn(usize, i64) -> Seen,
    ) -> Result<(), BlobError> {
        let width = self.measures.len();
        self.lineage.know(slices);
        let mut frames = Vec::new();
        for blob in window {
            let through = self.learned_through.get(blob.shard);
            if through.is_some_and(|through| blob.end_millis > *through) {
                frames.push((blob, ShardFrame::decode(&blob.bytes)?));
            }
        }
        for (blob, frame) in &frames {
            for (row, cells) in frame.cells.chunks(width).enumerate() {
                self.borrow_for(blob.shard * SHARD_SLICES + row, cells, slices, blob.end_millis);
            }
        }
        for (blob, frame) in &frames {
            self.fold_shard(blob, frame, seen);
        }
        Ok(())
    }

    fn fold_shard(&mut self, blob: &FrameBlob, frame: &ShardFrame, seen: &dyn Fn(usize, i64) -> Seen) {
        self.learned_through[blob.shard] = blob.end_millis;
        self.unsaved[blob.shard] = self.unsaved[blob.shard].saturating_add(1);
        let width = self.measures.len();
        let first = blob.shard * SHARD_SLICES;
        for (index, cell) in frame.cells.iter().enumerate() {
            let (slice, measure) = (first + index / width, index % width);
            let Some(state) = self.series.get_mut(slice * width + measure) else { continue };
            let events = frame.events[index / width];
            state.observe(&self.measures[measure], *cell, events, seen(slice, blob.start_millis));
        }
        if !self.relations.specs().is_empty() {
            for (index, cells) in frame.cells.chunks(width).enumerate() {
                let slice = first + index;
                if slice * width < self.series.len() {
                    self.observe_relations(slice, cells, seen(slice, blob.start_millis));
                }
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

impl SeriesState {
    /// Score first, learn second; the same for live windows and for frames folded after a restart.
    fn observe(&mut self, judging: &Judging, cell: Option<Cell>, events: u64, seen: Seen) -> Option<Reading> {
        let thin = self.is_thin(judging, cell);
        self.weigh(cell);
        let cell = cell?;
        let mut score = None;
        if cell.weight >= judging.min_weight
            && let Some(observation) = Observation::new(seen.civil_seconds, cell.value, events)
        {
            let model = self.model.get_or_insert_with(|| judging.detector.start());
            let observation = observation.with_weight(cell.weight).unwrap_or(observation);
            let observation =
                seen.occasion.map_or(observation, |occasion| observation.with_occasion(occasion));
            let policy = if seen.hold { LearnPolicy::Hold } else { LearnPolicy::Learn };
            let raw = model.observe(&observation, policy).filter(|_| !thin);
            score = raw.map(|raw| judging.guard.apply(cell.value, raw));
        }
        Some(Reading { actual: cell.value, score })
    }

    /// Whether what the series rests on, or this window, is too little to judge by.
    fn is_thin(&self, judging: &Judging, cell: Option<Cell>) -> bool {
        let Some(cell) = cell else { return true };
        let mean_ratio = if self.mean_weight > 0.0 { self.mean_numerator / self.mean_weight } else { 0.0 };
        self.mean_weight < judging.min_mean_weight
            || judging.min_numerator > 0.0 && cell.weight * mean_ratio < judging.min_numerator
    }

    fn weigh(&mut self, cell: Option<Cell>) {
        let (weight, numerator) = cell.map_or((0.0, 0.0), |cell| (cell.weight, cell.value * cell.weight));
        self.num_windows = self.num_windows.saturating_add(1);
        let rate = (1.0 / f64::from(self.num_windows)).max(1.0 - (-1.0 / WEIGHT_HALF_LIFE_WINDOWS).exp2());
        self.mean_weight += rate * (weight - self.mean_weight);
        self.mean_numerator += rate * (numerator - self.mean_numerator);
    }
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
        };
        blobs.push(FrameBlob {
            start_millis: frame.start_millis,
            end_millis: frame.end_millis,
            shard,
            bytes: shard_frame.encode(),
        });
    }
    blobs
}
