//! What other settings would have said of the stored past: history is the log, models are a fold over it.
//!
//! Windows go through the code that judges live, with their scores as stored or with models that learn them anew under
//! the settings of [`Past::spec`]. Nothing is changed; runs beside the run loop, within a limit of work.
//!
//! Not seen: what the wall clock tells (no data, engine trouble), and windows that retention has deleted. With stored
//! scores relations are not judged, and severities end at 100.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    FrameBlob, HistoryRange, Models, Past, RestoreError,
    restore::Folding,
    stage::Stage,
    stored::{StoredWindows, windows},
};
use crate::anomaly::{Alert, HeldBack, Incident, IncidentKind, Reading};

/// Windows after which others get their turn.
const TURN_WINDOWS: usize = 8;

/// Where the scores of a rescoring come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// As they were stored: for changes of rules, thresholds and names.
    Stored,
    /// From models that learn the stored windows under these settings: for changes of detectors, guards, calendars.
    Anew,
}

/// How much a rescoring may do.
#[derive(Clone, Copy, Debug)]
pub struct RescoreLimits {
    /// Values (windows x series) that may be learned; where there are more, learning begins with a later window.
    pub values: u64,
    /// After so long it ends where it is.
    pub time: Duration,
}

/// What to rescore.
#[derive(Clone, Copy, Debug)]
pub struct Rescore {
    /// Where scores come from.
    pub scores: Scores,
    /// Windows that start within are told; those before are only learned.
    pub told_millis: (i64, i64),
    /// The first window that is learned; as early as the limits allow if `None`.
    pub learned_from_millis: Option<i64>,
    /// How much may be done.
    pub limits: RescoreLimits,
}

/// What the stored past would have come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rescored {
    /// Incidents of every kind that windows make, by number. Their ids are not those of stored incidents.
    pub incidents: Vec<Incident>,
    /// What rules would have told, in order.
    pub alerts: Vec<Alert>,
    /// What they would have held back.
    pub held_back: HeldBack,
    /// Windows that were told.
    pub num_windows: usize,
    /// Start of the first window told and end of the last.
    pub told_millis: Option<(i64, i64)>,
    /// Start of the first window that was learned; `None` with stored scores.
    pub learned_from_millis: Option<i64>,
    /// Learning began later than history does, for there is too much of it.
    pub is_shortened: bool,
    /// Time ran out before the last window.
    pub is_cut: bool,
}

impl Rescored {
    /// The incidents that an alert rule told.
    pub fn told(&self) -> Vec<&Incident> {
        let is_told = |incident: &&Incident| incident.kind == IncidentKind::Deviation && incident.is_told();
        self.incidents.iter().filter(is_told).collect()
    }
}

impl Past<'_> {
    /// Judges the stored windows again. `progress` is told the end of each window.
    pub async fn rescore(
        &self,
        asked: Rescore,
        progress: &mut (dyn FnMut(i64) + Send),
    ) -> Result<Rescored, RestoreError> {
        let (first, last) = asked.told_millis;
        let (from_millis, is_shortened) = match asked.scores {
            Scores::Stored => (first, false),
            Scores::Anew => self.learn_from(asked).await?,
        };
        let deadline = Instant::now() + asked.limits.time;
        let monitor = &self.spec.facts.monitor;
        let mut models = self.fresh_models()?;
        let mut stage = Stage::new(&self.spec.facts, self.slices);
        let mut stored = StoredWindows::new(self.history, monitor, self.slices.len(), (from_millis, last));
        let (mut learned_from_millis, mut num_windows, mut is_cut) = (None, 0, false);
        'pages: while let Some(page) = stored.next_page().await? {
            for window in windows(&page) {
                if Instant::now() >= deadline {
                    is_cut = true;
                    break 'pages;
                }
                let span = (window[0].start_millis, window[0].end_millis);
                let readings = match asked.scores {
                    Scores::Stored => stage.stored_readings(window, self.spec.window.measures.len()),
                    Scores::Anew => {
                        learned_from_millis.get_or_insert(span.0);
                        self.learn(&mut models, window, stage.no_readings())
                    }
                };
                let readings = readings.map_err(|error| self.damaged(error))?;
                if span.0 >= first {
                    stage.window(span, &readings);
                }
                progress(span.1);
                num_windows += 1;
                if num_windows % TURN_WINDOWS == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
        let mut incidents: Vec<Incident> = stage.incidents.into_values().collect();
        incidents.sort_by_key(|incident| (incident.opened_millis, incident.id.len(), incident.id.clone()));
        Ok(Rescored {
            incidents,
            alerts: stage.alerts,
            held_back: stage.held_back,
            num_windows: stage.num_windows,
            told_millis: stage.span_millis,
            learned_from_millis,
            is_shortened,
            is_cut,
        })
    }

    /// With which window learning begins so that it stays within its limit, and whether that is later than history.
    async fn learn_from(&self, asked: Rescore) -> Result<(i64, bool), RestoreError> {
        let all = HistoryRange { from_millis: i64::MIN, to_millis: i64::MAX, shard: None, limit: 1 };
        let first =
            self.history.frames(&self.spec.facts.monitor, all).await?.first().map(|blob| blob.start_millis);
        let Some(first) = first else { return Ok((i64::MIN, false)) };
        if let Some(from) = asked.learned_from_millis {
            return Ok((from, from > first));
        }
        let num_series = (self.slices.len() * self.spec.facts.measures.len()).max(1) as u64;
        let windows = i64::try_from(asked.limits.values / num_series).unwrap_or(i64::MAX);
        let reach = windows.saturating_mul(self.spec.window.grid.width().millis());
        let from = asked.told_millis.1.saturating_sub(reach);
        Ok((from.max(first), from > first))
    }

    fn fresh_models(&self) -> Result<Models, RestoreError> {
        let models = self.spec.models().with_snapshots(self.slices.len(), &[], self.ledger);
        models.map_err(|error| self.damaged(error))
    }

    /// Learns a window; what each series and relation scored.
    fn learn(
        &self,
        models: &mut Models,
        window: &[FrameBlob],
        mut readings: Vec<Option<Reading>>,
    ) -> Result<Vec<Option<Reading>>, super::BlobError> {
        let folding = Folding { spec: self.spec, slices: self.slices, ledger: self.ledger };
        let seen = |slice: usize, millis: i64| folding.seen(slice, millis);
        let stride = self.spec.facts.measures.len();
        let mut read = |at: super::SeriesAt, reading| {
            if let Some(place) = readings.get_mut(at.slice * stride + at.measure) {
                *place = reading;
            }
        };
        models.fold(window, self.slices, &seen, self.ledger, &mut read)?;
        Ok(readings)
    }

    fn damaged(&self, error: super::BlobError) -> RestoreError {
        RestoreError::Damaged { monitor: self.spec.facts.monitor.clone(), error }
    }
}
