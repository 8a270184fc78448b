//! Which roll-ups a slice belongs to: from them its new series borrow their rhythm.

use std::collections::BTreeMap;

use tidewatch_detectors::Model;

use crate::window::SliceKey;

/// The slices of a monitor and the roll-ups of each.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    numbers: BTreeMap<SliceKey, usize>,
}

impl Lineage {
    /// Takes in slices by number; those known stay.
    pub(super) fn know(&mut self, slices: &[SliceKey]) {
        for (number, key) in slices.iter().enumerate().skip(self.numbers.len()) {
            self.numbers.insert(key.clone(), number);
        }
    }

    /// The roll-ups to ask, in this order: one dimension rolled up, from the last to the first, then the whole.
    fn parents(&self, slice: &SliceKey) -> impl Iterator<Item = usize> {
        let without = |dimension: usize| {
            let mut key = slice.clone();
            key.0[dimension].take().map(|_| key)
        };
        let whole = SliceKey(vec![None; slice.0.len()]);
        let keys = (0..slice.0.len()).rev().filter_map(without).chain((slice.depth() > 1).then_some(whole));
        keys.filter_map(|key| self.numbers.get(&key).copied())
    }

    /// The model that a new series of a slice starts from: that of the first roll-up that can lend.
    pub(super) fn prior<'a>(
        &self,
        slice: &SliceKey,
        model_of: impl Fn(usize) -> Option<&'a Model>,
    ) -> Option<Model> {
        self.parents(slice).find_map(|parent| model_of(parent)?.start_like())
    }
}

#[cfg(test)]
mod tests {
    use tidewatch_detectors::{DetectorConfig, Direction, SeasonalConfig, ValueKind};

    use super::*;
    use crate::{
        anomaly::Reading,
        pipeline::{FrameBlob, Judging, ModelBlob, Models, SHARD_SLICES, Seen, models::shard_frames},
        window::{Cell, Frame, SliceRow},
    };

    const WIDTH_MILLIS: i64 = 3_600_000;
    const TWO_WEEKS: i64 = 14 * 24;
    /// One slice begins when the whole has not learned two weeks yet, one when it has.
    const BEGINS: [i64; 2] = [TWO_WEEKS - 4, TWO_WEEKS + 20];
    const EARLY: usize = SHARD_SLICES + 4;

    fn slice(number: usize) -> SliceKey {
        SliceKey(vec![(number > 0).then(|| number.to_string().into())])
    }

    fn frame(window: i64) -> Frame {
        let begun = EARLY + BEGINS.iter().filter(|begins| window >= **begins).count();
        let swing = 40.0 + 30.0 * (window as f64 * std::f64::consts::TAU / 24.0).sin();
        let slices = (0..begun)
            .map(|number| {
                let noise = ((window * 7_919 + number as i64 * 104_729) % 13) as f64 - 6.0;
                let value = (swing + noise).round();
                SliceRow { events: 1, cells: vec![Some(Cell { value, weight: value })] }
            })
            .collect();
        let start_millis = window * WIDTH_MILLIS;
        Frame { start_millis, end_millis: start_millis + WIDTH_MILLIS, slices, refused_slices: 0 }
    }

    fn models() -> Models {
        let seasonal = SeasonalConfig::new(3_600, ValueKind::Count, Direction::Both).unwrap();
        Models::new(vec![Judging::plain(DetectorConfig::Seasonal(seasonal))], Vec::new(), 0)
    }

    fn seen(millis: i64) -> Seen {
        Seen { civil_seconds: millis / 1_000, occasion: None, hold: false }
    }

    fn judge(models: &mut Models, window: i64, threads: usize) -> Vec<Option<Reading>> {
        let frame = frame(window);
        let slices: Vec<SliceKey> = (0..frame.slices.len()).map(slice).collect();
        models.judge(&frame, &slices, &|_| seen(frame.start_millis), threads)
    }

    #[test]
    fn a_late_slice_borrows_and_no_restart_changes_a_bit() {
        let last = BEGINS[1] + 60;
        for restart in [BEGINS[0] + 1, TWO_WEEKS + 10, BEGINS[1] + 1, last - 2] {
            let (mut live, mut blobs) = (models(), Vec::<FrameBlob>::new());
            let (mut snapshots, mut readings) = ([None::<ModelBlob>, None], Vec::new());
            for window in 0..=last {
                readings = judge(&mut live, window, 1);
                if window < restart {
                    blobs.extend(shard_frames(&frame(window), &readings, 1, 1));
                    for snapshot in live.due_snapshots() {
                        let shard = snapshot.shard;
                        snapshots[shard] = Some(snapshot);
                    }
                }
            }
            let slices: Vec<SliceKey> = (0..frame(restart - 1).slices.len()).map(slice).collect();
            let kept: Vec<ModelBlob> = snapshots.into_iter().flatten().collect();
            let other_settings = Vec::new();
            for snapshots in [&kept, &kept[..1].to_vec(), &other_settings] {
                let is_whole = snapshots.len() != 1;
                if !is_whole && restart > BEGINS[1] {
                    continue; // The shard of what borrowed is always there.
                }
                let mut restored = models().with_snapshots(slices.len(), snapshots).unwrap();
                for window in blobs.chunk_by(|blob, next| blob.start_millis == next.start_millis) {
                    restored.fold(window, &slices, &|_, millis| seen(millis)).unwrap();
                }
                let mut again = Vec::new();
                for window in restart..=last {
                    again = judge(&mut restored, window, 2);
                }
                assert!(again == readings, "restart at {restart} with {} snapshots", snapshots.len());
            }
        }
    }

    #[test]
    fn what_is_borrowed_shows_in_the_first_days() {
        let mut models = models();
        let last = BEGINS[1] + 40;
        let mut errors = [0.0; 2];
        for window in 0..=last {
            let readings = judge(&mut models, window, 1);
            for (error, slice) in errors.iter_mut().zip([EARLY, EARLY + 1]) {
                // Hours 30 to 39 of each slice.
                let age = window - BEGINS[slice - EARLY];
                if (30..40).contains(&age) {
                    let score = readings[slice].and_then(|reading| reading.score).expect("warm-up is over");
                    let truth = 40.0 + 30.0 * (window as f64 * std::f64::consts::TAU / 24.0).sin();
                    *error += (score.expected / truth).ln().abs() / 10.0;
                }
            }
        }
        assert!(errors[1] < errors[0], "{errors:?}");
    }

    #[test]
    fn the_nearest_roll_ups_come_first() {
        let key = |values: [Option<&str>; 2]| SliceKey(values.map(|value| value.map(Into::into)).to_vec());
        let mut lineage = Lineage::default();
        let slices =
            [[None, Some("app")], [None, None], [Some("DE"), None], [Some("DE"), Some("app")]].map(key);
        lineage.know(&slices[..2]);
        lineage.know(&slices);
        let parents = |slice: &SliceKey| lineage.parents(slice).collect::<Vec<_>>();
        assert_eq!(parents(&slices[3]), [2, 0, 1]);
        assert_eq!(parents(&slices[2]), [1]);
        assert_eq!(parents(&slices[1]), Vec::<usize>::new());
        assert_eq!(parents(&key([Some("FR"), Some("web")])), [1]);
    }
}
