//! Relations of a monitor: joint models over several measures, one per slice.
//!
//! A slice has a model of its own, because what is usual between measures differs from slice to slice. The first
//! slices in the order of their numbers have one, up to a limit; numbers are stored, so a restart or a replay
//! gives the same slices their models. Like other models they are a fold over frames.

use tidewatch_detectors::{JointConfig, JointModel, JointObservation, LearnPolicy};

use super::SHARD_SLICES;
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
        civil_seconds: i64,
        is_thin: impl Fn(usize) -> bool,
    ) -> Vec<Option<Reading>> {
        let first = slice * self.specs.len();
        let models = self.models.get_mut(first..first + self.specs.len()).unwrap_or_default();
        let mut readings = Vec::with_capacity(models.len());
        for (spec, model) in self.specs.iter().zip(models) {
            let values: Vec<Option<f64>> =
                spec.measures.iter().map(|measure| Some((*cells.get(*measure)?)?.value)).collect();
            let observation =
                JointObservation::new(civil_seconds, &values).filter(|_| slice < spec.max_slices);
            readings.push(observation.map(|observation| {
                let model = model.get_or_insert_with(|| spec.config.start());
                let judged = model.observe(&observation, LearnPolicy::Learn);
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
