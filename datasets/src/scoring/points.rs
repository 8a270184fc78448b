//! Point by point: what papers report of a labelled series. Read events first; wide labels decide most of these.

/// A labelled series with one score for each point, in order.
#[derive(Clone, Debug)]
pub struct PointSeries {
    labels: Vec<bool>,
    /// Missing scores lie below all others.
    scores: Vec<f64>,
    missing: Vec<bool>,
    /// First and last point of each labelled run.
    segments: Vec<(usize, usize)>,
}

/// Of runs of alarms and labelled runs, how many touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touching {
    /// Labelled runs.
    pub segments: usize,
    /// Those with an alarm soon enough.
    pub found: usize,
    /// Runs of alarms.
    pub alarms: usize,
    /// Those that touch a label.
    pub right: usize,
}

/// Thresholds at which a volume looks at precision and recall.
const VOLUME_THRESHOLDS: usize = 250;

impl PointSeries {
    /// Takes in labels and scores; a score that is `NaN` never alarms.
    pub fn new(labels: &[bool], scores: &[f64]) -> Self {
        let count = labels.len().min(scores.len());
        let (labels, scores) = (labels[..count].to_vec(), &scores[..count]);
        let least = scores.iter().copied().filter(|score| score.is_finite()).fold(f64::INFINITY, f64::min);
        let below = if least.is_finite() { least - 1.0 } else { 0.0 };
        Self {
            missing: scores.iter().map(|score| !score.is_finite()).collect(),
            scores: scores.iter().map(|score| if score.is_finite() { *score } else { below }).collect(),
            segments: runs(labels.iter().copied()),
            labels,
        }
    }

    /// Area under precision against recall, stepwise; `NaN` without a labelled and an unlabelled point.
    pub fn auc_pr(&self) -> f64 {
        let positives = self.labels.iter().filter(|label| **label).count();
        if positives == 0 || positives == self.labels.len() {
            return f64::NAN;
        }
        let (mut area, mut recall, mut hits) = (0.0, 0.0, 0.0);
        let order = self.descending();
        for (rank, index) in order.iter().enumerate() {
            hits += f64::from(u8::from(self.labels[*index]));
            let tied = order.get(rank + 1).is_some_and(|next| self.scores[*next] == self.scores[*index]);
            if !tied {
                let now = hits / positives as f64;
                area += (now - recall) * hits / (rank + 1) as f64;
                recall = now;
            }
        }
        area
    }

    /// Best F1 of all thresholds by the rule of the AIOps contest: a labelled run counts all its points when one of its
    /// first `k + 1` alarms, else none. `NaN` without a label.
    pub fn contest_f1(&self, k: usize) -> f64 {
        let run = |&(first, last): &(usize, usize)| {
            (self.most(first, last.min(first.saturating_add(k))), last - first + 1, 0)
        };
        let outside = self.labels.iter().zip(&self.scores).filter(|(label, _)| !**label);
        let mut items: Vec<(f64, usize, usize)> = self.segments.iter().map(run).collect();
        let all: usize = items.iter().map(|(_, points, _)| points).sum();
        if all == 0 {
            return f64::NAN;
        }
        items.extend(outside.map(|(_, score)| (*score, 0, 1)));
        items.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut best, mut hits, mut wrong) = (0.0_f64, 0, 0);
        for (index, (score, right, false_points)) in items.iter().enumerate() {
            hits += right;
            wrong += false_points;
            if items.get(index + 1).is_none_or(|next| next.0 != *score) {
                best = best.max(2.0 * hits as f64 / (hits + wrong + all) as f64);
            }
        }
        best
    }

    /// Runs of alarms at `at`, those at most `merge` points apart joined, against labelled runs, which are found within
    /// `k` points of their start.
    pub fn touching(&self, at: f64, k: usize, merge: usize) -> Touching {
        let mut alarms: Vec<(usize, usize)> = Vec::new();
        for (first, last) in self.alarms(at) {
            match alarms.last_mut() {
                Some(known) if first - known.1 - 1 <= merge => known.1 = last,
                _ => alarms.push((first, last)),
            }
        }
        let found = |&&(first, last): &&(usize, usize)| {
            (first..=last.min(first + k)).any(|index| self.is_alarm(index, at))
        };
        let right = |&&(first, last): &&(usize, usize)| self.labels[first..=last].contains(&true);
        Touching {
            segments: self.segments.len(),
            found: self.segments.iter().filter(found).count(),
            alarms: alarms.len(),
            right: alarms.iter().filter(right).count(),
        }
    }

    /// Precision and recall over ranges at `at` (Tatbul et al. 2018; flat bias, no reward for existence alone).
    pub fn ranges(&self, at: f64) -> (f64, f64) {
        let alarms = self.alarms(at);
        let precision = if alarms.is_empty() { 0.0 } else { mean_overlap(&alarms, &self.segments) };
        (precision, mean_overlap(&self.segments, &alarms))
    }

    /// Volume under the surface of precision, recall and the width of labels, up to `width` points (Paparrizos et al.
    /// 2022). `NaN` without a label.
    pub fn vus_pr(&self, width: usize) -> f64 {
        if self.segments.is_empty() {
            return f64::NAN;
        }
        let order = self.descending();
        let count = order.len();
        let thresholds: Vec<f64> = (0..VOLUME_THRESHOLDS)
            .map(|step| {
                let place = step as f64 * (count - 1) as f64 / (VOLUME_THRESHOLDS - 1) as f64;
                self.scores[order[place as usize]]
            })
            .collect();
        let predicted: Vec<usize> = thresholds
            .iter()
            .map(|threshold| order.partition_point(|index| self.scores[*index] >= *threshold))
            .collect();
        let areas = (0..=width).map(|buffer| self.area(buffer, &order, &thresholds, &predicted));
        areas.sum::<f64>() / (width + 1) as f64
    }

    /// The area at one width of labels.
    fn area(&self, buffer: usize, order: &[usize], thresholds: &[f64], predicted: &[usize]) -> f64 {
        let soft = self.soft_labels(buffer);
        let positives = self.labels.iter().filter(|label| **label).count() as f64;
        let peaks: Vec<f64> =
            self.widened(buffer / 2).iter().map(|(first, last)| self.most(*first, *last)).collect();
        // Sums over the highest scores, the first none.
        let (mut hits, mut around) = (vec![0.0], vec![0.0]);
        for index in order {
            hits.push(hits[hits.len() - 1] + soft[*index]);
            let outside = if self.labels[*index] { 0.0 } else { soft[*index] };
            around.push(around[around.len() - 1] + outside);
        }
        let (mut area, mut before) = (0.0, 0.0);
        for (threshold, count) in thresholds.iter().zip(predicted) {
            let existing =
                peaks.iter().filter(|peak| **peak >= *threshold).count() as f64 / peaks.len() as f64;
            let recall = (hits[*count] / (positives + around[*count] / 2.0)).min(1.0) * existing;
            area += (recall - before) * hits[*count] / *count as f64;
            before = recall;
        }
        area
    }

    /// 1 inside labelled runs, falling to both sides.
    fn soft_labels(&self, buffer: usize) -> Vec<f64> {
        let mut soft: Vec<f64> = self.labels.iter().map(|label| f64::from(u8::from(*label))).collect();
        let fall = |distance: usize| (1.0 - distance as f64 / buffer as f64).sqrt();
        for &(first, last) in &self.segments {
            let half = buffer / 2;
            for (index, soft) in soft.iter_mut().enumerate().skip(last + 1).take(half) {
                *soft += fall(index - last);
            }
            for (index, soft) in soft.iter_mut().enumerate().take(first).skip(first.saturating_sub(half)) {
                *soft += fall(first - index);
            }
        }
        soft.into_iter().map(|label| label.min(1.0)).collect()
    }

    /// Labelled runs, wider on both sides; those that touch are one.
    fn widened(&self, half: usize) -> Vec<(usize, usize)> {
        let mut wide: Vec<(usize, usize)> = Vec::new();
        for &(first, last) in &self.segments {
            let (first, last) = (first.saturating_sub(half), (last + half).min(self.labels.len() - 1));
            match wide.last_mut() {
                Some(known) if first <= known.1 + 1 => known.1 = known.1.max(last),
                _ => wide.push((first, last)),
            }
        }
        wide
    }

    fn descending(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|a, b| self.scores[*b].total_cmp(&self.scores[*a]));
        order
    }

    fn most(&self, first: usize, last: usize) -> f64 {
        self.scores[first..=last].iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn is_alarm(&self, index: usize, at: f64) -> bool {
        !self.missing[index] && self.scores[index] >= at
    }

    fn alarms(&self, at: f64) -> Vec<(usize, usize)> {
        runs((0..self.scores.len()).map(|index| self.is_alarm(index, at)))
    }
}

/// First and last of each run of true.
fn runs(flags: impl Iterator<Item = bool>) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, _) in flags.enumerate().filter(|(_, flag)| *flag) {
        match runs.last_mut() {
            Some(known) if known.1 + 1 == index => known.1 = index,
            _ => runs.push((index, index)),
        }
    }
    runs
}

/// The mean share of each range that lies in others, divided by how many others there are; `NaN` for no range.
fn mean_overlap(ranges: &[(usize, usize)], others: &[(usize, usize)]) -> f64 {
    let overlap = |&(first, last): &(usize, usize)| {
        let from = others.partition_point(|other| other.1 < first);
        let to = others.partition_point(|other| other.0 <= last);
        let shared = others[from..to].iter().map(|other| other.1.min(last) - other.0.max(first) + 1);
        shared.sum::<usize>() as f64 / (last - first + 1) as f64 / (to - from).max(1) as f64
    };
    ranges.iter().map(overlap).sum::<f64>() / ranges.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels at 3..=5 and 9; scores that find the first late and the second not, with one false alarm.
    fn series() -> PointSeries {
        let labels: Vec<bool> = (0..12).map(|index| (3..=5).contains(&index) || index == 9).collect();
        let mut scores = vec![0.0; 12];
        (scores[0], scores[5], scores[6], scores[8]) = (f64::NAN, 9.0, 8.0, 7.0);
        PointSeries::new(&labels, &scores)
    }

    #[test]
    fn runs_touch_or_do_not() {
        let touching = |k, merge| series().touching(7.0, k, merge);
        assert_eq!(touching(1, 0), Touching { segments: 2, found: 0, alarms: 2, right: 1 });
        assert_eq!(touching(2, 1), Touching { segments: 2, found: 1, alarms: 1, right: 1 });
        // A missing score is below everything, and no alarm even there.
        assert_eq!(series().touching(-5.0, 0, 0).alarms, 1);
    }

    #[test]
    fn ranges_share_what_overlaps() {
        // 5 and 6 are half right, 8 is wrong; of three labelled points one is found, of one none.
        assert_eq!(series().ranges(7.0), (0.25, 1.0 / 6.0));
        assert_eq!(series().ranges(10.0), (0.0, 0.0));
    }

    #[test]
    fn areas_go_from_none_to_all() {
        let labels: Vec<bool> = (0..100).map(|index| (40..50).contains(&index)).collect();
        let perfect: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label))).collect();
        let series = PointSeries::new(&labels, &perfect);
        assert_eq!((series.auc_pr(), series.contest_f1(7)), (1.0, 1.0));
        assert!((series.vus_pr(0) - 1.0).abs() < 1e-12);
        let flat = PointSeries::new(&labels, &[0.0; 100]);
        assert!((flat.auc_pr() - 0.1).abs() < 1e-12);
        // By hand: the whole is predicted, ten of a hundred points right.
        assert!((flat.vus_pr(0) - 0.1).abs() < 1e-12);
        assert!(PointSeries::new(&[false; 5], &[0.0; 5]).vus_pr(3).is_nan());
    }
}
