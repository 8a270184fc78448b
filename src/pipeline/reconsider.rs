//! Judging the stored past again: why a window was or was not flagged, how large an alarm was, and what feedback
//! would have silenced. Changes nothing; runs beside the run loop.

use std::collections::{BTreeMap, BTreeSet};

use tidewatch_detectors::{Alarm, LearnedOccasion, Said, Side};

use super::{
    GivenFeedback, History, HistoryRange, Label, Ledger, MonitorSpec, RestoreError, SHARD_SLICES, SeriesAt,
    ShardFrame, StoredScore, Target, Why, restore::Folding,
};
use crate::{
    anomaly::{Incident, MINOR_RECORDED_FROM, PAGE_RECORDED_FROM},
    window::{Cell, SliceKey},
};

/// Series that a preview looks at; the most unusual come first.
const PREVIEW_SERIES_MAX: usize = 200;
/// Heights end here, as in the detector: a drop by 98 % is as good as one to nothing.
const HEIGHT_MAX: f64 = 4.0;
/// Windows longer than an hour follow the calendar: with the clocks, one is longer or shorter.
const CLOCK_CHANGE_MILLIS: i64 = 2 * 3_600_000;

/// The stored past of a monitor.
#[derive(Clone, Copy)]
pub struct Past<'p> {
    /// What was stored.
    pub history: &'p dyn History,
    /// The monitor.
    pub spec: &'p MonitorSpec,
    /// Its slices by number.
    pub slices: &'p [SliceKey],
    /// What people said.
    pub ledger: &'p Ledger,
}

impl std::fmt::Debug for Past<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Past").field("monitor", &self.spec.facts.monitor).finish_non_exhaustive()
    }
}

/// One window of one series with the reasons of its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Start of the window.
    pub start_millis: i64,
    /// End of the window.
    pub end_millis: i64,
    /// The value; `None` is a gap.
    pub cell: Option<Cell>,
    /// The score as it was stored.
    pub stored: Option<StoredScore>,
    /// Why; `None` for a gap.
    pub why: Option<Why>,
}

/// What feedback would have done to the stored past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// Incidents that it would have silenced or made smaller, newest first.
    pub incidents: Vec<PreviewedIncident>,
    /// Anomalous windows of the series looked at, without and with it.
    pub windows: (usize, usize),
    /// Series in reach, and how many of them were looked at.
    pub series: (usize, usize),
}

/// An incident in a preview.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewedIncident {
    /// The incident.
    pub incident: Incident,
    /// Nothing would be left of it; else something would.
    pub silenced: bool,
    /// What people said of it before.
    pub label: Option<Label>,
}

impl Preview {
    /// Incidents that people confirmed and that nobody would hear of any more.
    pub fn lost(&self) -> impl Iterator<Item = &PreviewedIncident> {
        self.incidents.iter().filter(|known| known.silenced && known.label == Some(Label::Confirmed))
    }
}

/// A window of a series in which something is anomalous.
type Loud = BTreeSet<(SeriesAt, i64)>;

impl Past<'_> {
    /// Why the window of a series at a time was judged as it was; `None` when no window was stored then.
    pub async fn explain(&self, at: SeriesAt, time_millis: i64) -> Result<Option<Explained>, RestoreError> {
        let (shard, name) = (at.slice / SHARD_SLICES, &self.spec.facts.monitor);
        let from_millis = time_millis - self.spec.window.grid.width().millis() - CLOCK_CHANGE_MILLIS;
        let range =
            HistoryRange { from_millis, to_millis: time_millis + 1, shard: Some(shard), limit: 10_000 };
        let found = self
            .history
            .frames(name, range)
            .await?
            .into_iter()
            .rev()
            .find(|blob| (blob.start_millis..blob.end_millis).contains(&time_millis));
        let Some(blob) = found else { return Ok(None) };
        let damaged = |error| RestoreError::Damaged { monitor: name.clone(), error };
        let snapshot = self.history.snapshot(name, shard).await?;
        let usable = snapshot.filter(|snapshot| snapshot.through_millis <= blob.start_millis);
        let models = self.spec.models().only(&BTreeSet::from([at]), self.slices);
        let mut models =
            models.with_snapshots(self.slices.len(), usable.as_slice(), self.ledger).map_err(damaged)?;
        let from_millis =
            models.learned_through(shard).saturating_sub(self.spec.window.grid.width().millis() * 2);
        let folding = self.folding();
        let range = (from_millis, blob.start_millis);
        folding.fold(self.history, &mut models, range, &mut |_, _, _| {}).await?;
        models.hear_before(shard, blob.end_millis, self.ledger);
        let frame = ShardFrame::decode(&blob.bytes).map_err(damaged)?;
        let index = self.index_in_frame(at);
        let cell = frame.cells.get(index).copied().flatten();
        let why = cell.map(|cell| {
            let span = (blob.start_millis, blob.end_millis);
            let seen = folding.seen(at.slice, blob.start_millis).held_by(self.ledger, at, span);
            models.explain(at, cell, frame.events[at.slice % SHARD_SLICES], seen)
        });
        let stored = frame.scores.get(index).copied().flatten();
        Ok(Some(Explained {
            start_millis: blob.start_millis,
            end_millis: blob.end_millis,
            cell,
            stored,
            why,
        }))
    }

    /// What these series of one shard have learned of occasions, from its newest snapshot on; nothing where there is
    /// none that fits the settings.
    pub async fn occasions(
        &self,
        shard: usize,
        series: &BTreeSet<SeriesAt>,
    ) -> Result<BTreeMap<SeriesAt, Vec<LearnedOccasion>>, RestoreError> {
        let name = &self.spec.facts.monitor;
        let snapshot = self.history.snapshot(name, shard).await?;
        let models = self.spec.models().only(series, self.slices);
        let mut models = models
            .with_snapshots(self.slices.len(), snapshot.as_slice(), self.ledger)
            .map_err(|error| RestoreError::Damaged { monitor: name.clone(), error })?;
        let through_millis = models.learned_through(shard);
        if through_millis == i64::MIN {
            return Ok(BTreeMap::new());
        }
        let from_millis = through_millis.saturating_sub(self.spec.window.grid.width().millis() * 2);
        self.folding().fold(self.history, &mut models, (from_millis, i64::MAX), &mut |_, _, _| {}).await?;
        models.catch_up(self.ledger);
        Ok(series.iter().map(|at| (*at, models.occasions(*at))).collect())
    }

    /// The alarms of these series within a range, as the stored windows show them: as high as the highest anomalous
    /// window and as long as they reach. Where no window was anomalous, the largest deviation and the whole range.
    pub async fn targets(
        &self,
        wanted: &[(SeriesAt, Option<Side>)],
        (from_millis, to_millis): (i64, i64),
    ) -> Result<Vec<Target>, RestoreError> {
        let name = &self.spec.facts.monitor;
        let mut seen: BTreeMap<SeriesAt, Vec<(Cell, StoredScore)>> = BTreeMap::new();
        let shards: BTreeSet<usize> = wanted.iter().map(|(at, _)| at.slice / SHARD_SLICES).collect();
        for shard in shards {
            let range = HistoryRange { from_millis, to_millis, shard: Some(shard), limit: 10_000 };
            for blob in self.history.frames(name, range).await? {
                let frame = ShardFrame::decode(&blob.bytes)
                    .map_err(|error| RestoreError::Damaged { monitor: name.clone(), error })?;
                for (at, _) in wanted.iter().filter(|(at, _)| at.slice / SHARD_SLICES == shard) {
                    let index = self.index_in_frame(*at);
                    let cell = frame.cells.get(index).copied().flatten();
                    let score = frame.scores.get(index).copied().flatten();
                    seen.entry(*at).or_default().extend(cell.zip(score));
                }
            }
        }
        let target = |(at, side): &(SeriesAt, Option<Side>)| {
            let alarm = alarm_of(seen.get(at).map(Vec::as_slice).unwrap_or_default(), *side)?;
            Some(Target { series: *at, alarm })
        };
        Ok(wanted.iter().filter_map(target).collect())
    }

    /// What feedback would have done, had it been said before the first stored window.
    pub async fn preview(
        &self,
        feedback: &GivenFeedback,
        incidents: &[Incident],
    ) -> Result<Preview, RestoreError> {
        let reached = feedback.reach(self.slices.len(), self.spec.window.measures.len());
        let first: Vec<SeriesAt> = feedback.targets.iter().map(|target| target.series).collect();
        let rest = reached.keys().filter(|at| !first.contains(at));
        let looked_at: BTreeSet<SeriesAt> = first
            .iter()
            .chain(rest)
            .filter(|at| reached.contains_key(*at))
            .take(PREVIEW_SERIES_MAX)
            .copied()
            .collect();
        let mut words = Vec::new();
        if matches!(feedback.label, Label::Expected | Label::FalseAlarm) {
            for at in &looked_at {
                // The alarm in numbers is the last of the words; the other one is about the present.
                words.extend(feedback.words(reached[at], None).pop().map(|said| (*at, said)));
            }
        }
        let without = self.loud(&looked_at, &[]).await?;
        let with = if words.is_empty() { without.clone() } else { self.loud(&looked_at, &words).await? };
        let previewed = incidents.iter().filter_map(|incident| {
            let silenced = self.silenced(incident, &looked_at, (&without, &with))?;
            let label = self.ledger.label(&incident.id);
            Some(PreviewedIncident { incident: incident.clone(), silenced, label })
        });
        Ok(Preview {
            incidents: previewed.collect(),
            windows: (without.len(), with.len()),
            series: (reached.len(), looked_at.len()),
        })
    }

    /// The anomalous windows of these series, with more said before the first.
    async fn loud(
        &self,
        series: &BTreeSet<SeriesAt>,
        words: &[(SeriesAt, Said)],
    ) -> Result<Loud, RestoreError> {
        let name = &self.spec.facts.monitor;
        let models = self.spec.models().only(series, self.slices);
        let mut models = models
            .with_snapshots(self.slices.len(), &[], self.ledger)
            .map_err(|error| RestoreError::Damaged { monitor: name.clone(), error })?;
        for (at, said) in words {
            models.start(*at);
            models.hear(*at, said);
        }
        let mut loud = Loud::new();
        let mut read = |start, at, reading: Option<crate::anomaly::Reading>| {
            let score = reading.and_then(|reading| reading.score);
            if series.contains(&at) && score.is_some_and(|score| is_loud(score.severity(), score.minor())) {
                loud.insert((at, start));
            }
        };
        self.folding().fold(self.history, &mut models, (i64::MIN, i64::MAX), &mut read).await?;
        Ok(loud)
    }

    /// Whether nothing would be left of an incident; `None` where nothing changes.
    fn silenced(
        &self,
        incident: &Incident,
        looked_at: &BTreeSet<SeriesAt>,
        (without, with): (&Loud, &Loud),
    ) -> Option<bool> {
        let mut all = incident.num_members <= incident.members.len();
        let mut any = false;
        for member in &incident.members {
            let Some(at) = self.series_of(member.anomaly.series).filter(|at| looked_at.contains(at)) else {
                all = false;
                continue;
            };
            let span = (at, member.anomaly.opened_millis)..(at, member.anomaly.until_millis);
            let (before, after) = (without.range(span.clone()).count(), with.range(span).count());
            any |= after < before;
            all &= after == 0 && before > 0;
        }
        any.then_some(all)
    }

    /// The series of an anomaly, by its number among the readings of a window; `None` for a relation.
    pub fn series_of(&self, number: usize) -> Option<SeriesAt> {
        let stride = self.spec.facts.measures.len();
        let at = SeriesAt { slice: number / stride, measure: number % stride };
        (at.measure < self.spec.window.measures.len()).then_some(at)
    }

    fn index_in_frame(&self, at: SeriesAt) -> usize {
        (at.slice % SHARD_SLICES) * self.spec.window.measures.len() + at.measure
    }

    fn folding(&self) -> Folding<'_> {
        Folding { spec: self.spec, slices: self.slices, ledger: self.ledger }
    }
}

fn is_loud(severity: f64, minor: f64) -> bool {
    severity >= PAGE_RECORDED_FROM || minor >= MINOR_RECORDED_FROM
}

/// The alarm that these windows show on a side, or on the side of the largest deviation.
fn alarm_of(windows: &[(Cell, StoredScore)], side: Option<Side>) -> Option<Alarm> {
    let height = |(cell, score): &(Cell, StoredScore)| {
        if score.expected > 0.0 && cell.value >= 0.0 {
            (cell.value.max(1e-12) / score.expected).ln().clamp(-HEIGHT_MAX, HEIGHT_MAX)
        } else {
            // Where a ratio says nothing, whatever deviates is high.
            (cell.value - score.expected).signum() * HEIGHT_MAX
        }
    };
    let heights: Vec<f64> = windows.iter().map(height).collect();
    let largest = heights.iter().copied().max_by(|one, other| one.abs().total_cmp(&other.abs()))?;
    let side = side.unwrap_or(if largest < 0.0 { Side::Drop } else { Side::Rise });
    let sign = if side == Side::Drop { -1.0 } else { 1.0 };
    let loud: Vec<usize> = (0..windows.len())
        .filter(|index| {
            let score = &windows[*index].1;
            is_loud(f64::from(score.severity), f64::from(score.minor)) && sign * heights[*index] > 0.0
        })
        .collect();
    let over = |indices: &mut dyn Iterator<Item = usize>| {
        indices.map(|index| sign * heights[index]).fold(0.0, f64::max)
    };
    let (height, length) = match (loud.first(), loud.last()) {
        (Some(first), Some(last)) => (over(&mut loud.iter().copied()), last - first + 1),
        _ => (over(&mut (0..windows.len())), windows.len()),
    };
    (height > 0.0).then_some(Alarm { side, height, length: u32::try_from(length).unwrap_or(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(value: f64, severity: f32) -> (Cell, StoredScore) {
        let score = StoredScore {
            expected: 100.0,
            lower: 80.0,
            upper: 120.0,
            severity,
            minor: severity,
            expected_alarm: false,
        };
        (Cell { value, weight: value }, score)
    }

    #[test]
    fn an_alarm_is_as_high_as_its_highest_window_and_as_long_as_it_reaches() {
        let windows = [window(160.0, 75.0), window(110.0, 20.0), window(200.0, 80.0), window(300.0, 10.0)];
        let alarm = alarm_of(&windows, Some(Side::Rise)).unwrap();
        assert_eq!((alarm.height, alarm.length), (2.0_f64.ln(), 3));
        let quiet = [window(70.0, 0.0), window(120.0, 0.0)];
        let alarm = alarm_of(&quiet, None).unwrap();
        assert_eq!((alarm.side, alarm.height, alarm.length), (Side::Drop, -(0.7_f64.ln()), 2));
        assert_eq!(alarm_of(&[window(0.0, 90.0)], Some(Side::Drop)).unwrap().height, HEIGHT_MAX);
        assert_eq!(alarm_of(&[], None), None);
        assert_eq!(alarm_of(&quiet[..1], Some(Side::Rise)), None, "nothing on this side");
    }
}
