//! Relations of a monitor: joint models over several measures, one per slice.
//!
//! A slice has a model of its own, because what is usual between measures differs from slice to slice. The first
//! slices in the order of their numbers have one, up to a limit; numbers are stored, so a restart or a replay
//! gives the same slices their models. Like other models they are a fold over frames.

use tidewatch_detectors::{JointConfig, JointModel, JointObservation, LearnPolicy};

use super::{SHARD_SLICES, Seen};
use crate::{anomaly::Reading, window::Cell};

/// A relation as configured.
#[derive(Clone, Debug)]
pub struct RelationSpec {
    /// Its name: the measure of its anomalies.
    pub name: String,
    /// The measures, as numbers of the monitor's.
    pub measures: Vec<usize>,
    /// The detector.
    pub config: JointConfig,
    /// Slices with a number below this are judged.
    pub max_slices: usize,
}

/// The joint models of a monitor.
#[derive(Debug)]
pub(super) struct Relations {
    specs: Vec<RelationSpec>,
    /// Slices x relations.
    models: Vec<Option<JointModel>>,
}

impl Relations {
    pub(super) fn new(specs: Vec<RelationSpec>) -> Self {
        Self { specs, models: Vec::new() }
    }

    pub(super) fn specs(&self) -> &[RelationSpec] {
        &self.specs
    }

    pub(super) fn resize(&mut self, num_slices: usize) {
        self.models.resize(num_slices * self.specs.len(), None);
    }

    /// Scores, then learns, a slice's measures; one reading per relation. Measures for which `is_thin` holds
    /// are learned, but their relation is not judged.
    pub(super) fn observe(
        &mut self,
        slice: usize,
        cells: &[Option<Cell>],
        seen: Seen,
        is_thin: impl Fn(usize) -> bool,
    ) -> Vec<Option<Reading>> {
        let first = slice * self.specs.len();
        let models = self.models.get_mut(first..first + self.specs.len()).unwrap_or_default();
        let mut readings = Vec::with_capacity(models.len());
        for (spec, model) in self.specs.iter().zip(models) {
            let values: Vec<Option<f64>> =
                spec.measures.iter().map(|measure| Some((*cells.get(*measure)?)?.value)).collect();
            let observation =
                JointObservation::new(seen.civil_seconds, &values).filter(|_| slice < spec.max_slices);
            readings.push(observation.map(|observation| {
                let observation =
                    seen.occasion.map_or(observation, |occasion| observation.with_occasion(occasion));
                let model = model.get_or_insert_with(|| spec.config.start());
                let policy = if seen.hold { LearnPolicy::Hold } else { LearnPolicy::Learn };
                let judged = model.observe(&observation, policy);
                let thin = spec.measures.iter().any(|measure| is_thin(*measure));
                Reading {
                    actual: judged.map_or(0.0, |judged| judged.distance),
                    score: judged.map(|judged| judged.score).filter(|_| !thin),
                }
            }));
        }
        readings
    }

    /// The models of a shard, to be saved.
    pub(super) fn shard(&self, shard: usize) -> Vec<Option<JointModel>> {
        let each = SHARD_SLICES * self.specs.len();
        let end = ((shard + 1) * each).min(self.models.len());
        self.models.get(shard * each..end).unwrap_or_default().to_vec()
    }

    /// Takes saved models back.
    pub(super) fn load(&mut self, shard: usize, saved: Vec<Option<JointModel>>) {
        let first = shard * SHARD_SLICES * self.specs.len();
        for (slot, model) in self.models.iter_mut().skip(first).zip(saved) {
            *slot = model;
        }
    }
}

#[cfg(test)]
mod tests {
    use tidewatch_detectors::{
        DetectorConfig, Direction, JointKind, SeasonalConfig, ThresholdConfig, ValueKind,
    };

    use super::*;
    use crate::{
        pipeline::{FrameBlob, Judging, Models, models::shard_frames},
        window::{Frame, SliceKey, SliceRow},
    };

    const WIDTH: i64 = 300;
    const WINDOWS: i64 = 1_700;

    fn measures() -> Vec<Judging> {
        let seasonal = SeasonalConfig::new(300, ValueKind::Events, Direction::Both).unwrap();
        let bounds = ThresholdConfig::new(300, None, Some(1e6), 1).unwrap();
        vec![
            Judging::plain(DetectorConfig::Seasonal(seasonal)),
            Judging::plain(DetectorConfig::Threshold(bounds)),
        ]
    }

    fn relations() -> Vec<RelationSpec> {
        [("mixture", JointKind::Mixture), ("components", JointKind::Components)]
            .into_iter()
            .map(|(name, kind)| RelationSpec {
                name: name.to_owned(),
                measures: vec![0, 1],
                config: JointConfig::new(kind, 300, vec![ValueKind::Events; 2], 7).unwrap(),
                max_slices: 2,
            })
            .collect()
    }

    /// Two measures of three slices that swing together; at the end the second of slice 1 halves.
    fn frame(window: i64) -> Frame {
        let noise = |salt: i64| ((window * 7_919 + salt * 104_729) % 61) as f64 - 30.0;
        let swing = 400.0 + 100.0 * (window as f64 / 40.0).sin();
        let slices = (0..3)
            .map(|slice| {
                let broken = slice == 1 && window >= WINDOWS - 3;
                let second = (swing / 2.0 + noise(slice + 9) / 3.0) * if broken { 0.4 } else { 1.0 };
                let cell = |value: f64| Some(Cell { value: value.round(), weight: value.round() });
                SliceRow { events: 1, cells: vec![cell(swing + noise(slice)), cell(second)] }
            })
            .collect();
        let start_millis = window * WIDTH * 1_000;
        Frame { start_millis, end_millis: start_millis + WIDTH * 1_000, slices, refused_slices: 0 }
    }

    fn slices() -> Vec<SliceKey> {
        [None, Some("DE"), Some("FR")].map(|value| SliceKey(vec![value.map(Into::into)])).to_vec()
    }

    fn at(civil_seconds: i64) -> Seen {
        Seen { civil_seconds, occasion: None, hold: false }
    }

    fn judge(models: &mut Models, window: i64) -> Vec<Option<Reading>> {
        models.judge(&frame(window), &slices(), &|_| at(window * WIDTH), 1)
    }

    #[test]
    fn a_broken_relation_is_seen_and_a_restart_changes_nothing() {
        let mut live = Models::new(measures(), relations(), 0);
        let (mut blobs, mut snapshots): (Vec<FrameBlob>, Vec<_>) = (Vec::new(), Vec::new());
        let (mut readings, restart) = (Vec::new(), WINDOWS - 5);
        for window in 0..WINDOWS {
            readings = judge(&mut live, window);
            if window < restart {
                blobs.extend(shard_frames(&frame(window), &readings, 2, 4));
                snapshots.extend(live.due_snapshots());
            }
        }
        assert_eq!(readings.len(), 3 * 4);
        let severity =
            |index: usize| readings[index].and_then(|reading| reading.score).map(|score| score.severity());
        assert!(severity(4 + 2).unwrap() >= 70.0, "{:?}", readings[4 + 2]);
        assert!(severity(2).unwrap() < 60.0 && readings[8 + 2].is_none(), "slice 2 is over the limit");

        let latest = [snapshots.pop().unwrap()];
        for snapshots in [&latest[..], &[]] {
            let mut restored = Models::new(measures(), relations(), 0).with_snapshots(3, snapshots).unwrap();
            for window in blobs.chunks(1) {
                let seen = |_: usize, millis: i64| at(millis / 1_000);
                restored.fold(window, &slices(), &seen).unwrap();
            }
            let mut again = Vec::new();
            for window in restart..WINDOWS {
                again = judge(&mut restored, window);
            }
            assert_eq!(again, readings);
        }
        let other = vec![relations().remove(0)];
        let passed_over = Models::new(measures(), other, 0).with_snapshots(3, &latest).unwrap();
        assert_eq!(passed_over.needed_from(), i64::MIN, "another setting rebuilds");
    }
}
