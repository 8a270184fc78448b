//! Event scoring of labelled series, the same rules for every detector.
//!
//! The last part of a series is scored, the rest is history to learn from. A *segment* is a run of labelled
//! points that begins in the scored part. It is found when the score reaches the threshold inside it or in its
//! grace after it (10 minutes, or 2 points of a coarse series). Alarms elsewhere are false events; those less
//! than an hour (3 points) apart count as one, and none counts in the hour after a segment.

use super::{FINE_SECONDS, WEEK_SECONDS, count_events, gap_points, median, step_seconds};

/// A labelled and scored series, ready to be judged at any threshold.
#[derive(Clone, Debug)]
pub struct EventSeries {
    pub(super) segments: Vec<Segment>,
    /// Scores of the normal points of the scored part, -1 elsewhere.
    pub(super) outside: Vec<f64>,
    quiet: usize,
    gap: usize,
    weeks: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) peak: f64,
    scores: Vec<f64>,
}

/// What was found and what was not, at one threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EventTable {
    /// The threshold.
    pub at: f64,
    /// How many series were judged.
    pub series: usize,
    /// Series-weeks of the scored parts.
    pub weeks: f64,
    /// Labelled segments that begin in the scored parts.
    pub segments: usize,
    /// Segments that were found.
    pub found: usize,
    /// Alarms outside of segments.
    pub false_events: usize,
    /// Most false events per week on one series.
    pub worst_per_week: f64,
    /// Series with at least two scored weeks and more than four false events a week.
    pub noisy_series: usize,
    /// Share of the normal points that are in alarm.
    pub in_alarm: f64,
    /// Median points from a segment's start to its first alarm; `NaN` if none was found.
    pub delay: f64,
    /// False events per week on the series without a segment; `NaN` if every series has one.
    pub clean_per_week: f64,
}

impl EventSeries {
    /// Takes in a series in order of time: `times` in seconds, one label and one score (0 to 100) each. The
    /// first `history` of it (0 to 1) is not judged. The three slices are of one length.
    pub fn new(times: &[f64], labels: &[bool], scores: &[f64], history: f64) -> Self {
        let rows = times.len().min(labels.len()).min(scores.len());
        let step = step_seconds(times);
        let grace = if step <= FINE_SECONDS { ((600.0 / step) as usize).max(2) } else { 2 };
        let gap = gap_points(step);
        let start = (history * rows as f64) as usize;
        let score = |row: usize| if scores[row].is_nan() { -1.0 } else { scores[row] };
        let mut normal = vec![true; rows];
        normal[..start].fill(false);
        let mut segments = Vec::new();
        for (first, end) in runs(&labels[..rows]) {
            normal[first.saturating_sub(grace)..rows.min(end + gap)].fill(false);
            if first >= start {
                let scores: Vec<f64> = (first..rows.min(end + grace)).map(score).collect();
                segments.push(Segment { peak: scores.iter().copied().fold(-1.0, f64::max), scores });
            }
        }
        Self {
            segments,
            outside: (0..rows).map(|row| if normal[row] { score(row) } else { -1.0 }).collect(),
            quiet: normal.iter().filter(|normal| **normal).count(),
            gap,
            weeks: (rows - start) as f64 * step / WEEK_SECONDS,
        }
    }
}

impl EventTable {
    /// Share of the segments that were found; `NaN` without a segment.
    pub fn recall(&self) -> f64 {
        self.found as f64 / self.segments as f64
    }

    /// Share of the alarms that were right.
    pub fn precision(&self) -> f64 {
        let alarms = self.found + self.false_events;
        if alarms == 0 { 0.0 } else { self.found as f64 / alarms as f64 }
    }

    /// Harmonic mean of recall and precision.
    pub fn f1(&self) -> f64 {
        let (recall, precision) = (self.recall(), self.precision());
        if recall + precision > 0.0 { 2.0 * recall * precision / (recall + precision) } else { 0.0 }
    }

    /// False events per series and week.
    pub fn false_per_week(&self) -> f64 {
        self.false_events as f64 / self.weeks
    }
}

/// Judges all series together, at the threshold `at`.
pub fn judge_events<'a>(series: impl IntoIterator<Item = &'a EventSeries>, at: f64) -> EventTable {
    let mut table = EventTable { at, ..EventTable::default() };
    let (mut delays, mut busy, mut quiet) = (Vec::new(), 0, 0);
    let (mut clean_events, mut clean_weeks) = (0, 0.0);
    for one in series {
        let (events, points) = count_events(&one.outside, at, one.gap);
        let per_week = events as f64 / one.weeks;
        for segment in one.segments.iter().filter(|segment| segment.peak >= at) {
            table.found += 1;
            delays.extend(segment.scores.iter().position(|score| *score >= at).map(|points| points as f64));
        }
        busy += points;
        quiet += one.quiet;
        table.series += 1;
        table.weeks += one.weeks;
        table.segments += one.segments.len();
        table.false_events += events;
        table.worst_per_week = table.worst_per_week.max(per_week);
        table.noisy_series += usize::from(one.weeks >= 2.0 && per_week > 4.0);
        if one.segments.is_empty() {
            clean_events += events;
            clean_weeks += one.weeks;
        }
    }
    table.in_alarm = busy as f64 / quiet.max(1) as f64;
    table.delay = median(delays);
    table.clean_per_week =
        if clean_weeks > 0.0 { f64::from(clean_events as u32) / clean_weeks } else { f64::NAN };
    table
}

/// Runs of `true`: first index and the index after the last.
fn runs(labels: &[bool]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut first = None;
    for (index, label) in labels.iter().copied().chain([false]).enumerate() {
        match (label, first) {
            (true, None) => first = Some(index),
            (false, Some(start)) => {
                found.push((start, index));
                first = None;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2,000 minutes, the second half judged; a segment at 1,200..1,210.
    fn series(alarms: &[usize]) -> EventSeries {
        let times: Vec<f64> = (0..2_000).map(|minute| f64::from(minute) * 60.0).collect();
        let labels: Vec<bool> = (0..2_000).map(|minute| (1_200..1_210).contains(&minute)).collect();
        let mut scores = vec![10.0; 2_000];
        for minute in alarms {
            scores[*minute] = 75.0;
        }
        EventSeries::new(&times, &labels, &scores, 0.5)
    }

    #[test]
    fn a_segment_is_found_inside_and_in_its_grace() {
        assert_eq!(judge_events([&series(&[1_203])], 70.0).found, 1);
        assert_eq!(judge_events([&series(&[1_203])], 70.0).delay, 3.0);
        assert_eq!(judge_events([&series(&[1_219])], 70.0).found, 1);
        let after = judge_events([&series(&[1_221])], 70.0);
        assert_eq!((after.found, after.false_events), (0, 0));
    }

    #[test]
    fn false_events_are_joined_within_an_hour_and_history_is_free() {
        let table = judge_events([&series(&[500, 1_100, 1_150, 1_300, 1_500, 1_205])], 70.0);
        assert_eq!((table.found, table.segments, table.false_events), (1, 1, 3));
        assert_eq!((table.recall(), table.precision()), (1.0, 0.25));
        assert_eq!(table.f1(), 0.4);
        assert!((table.weeks - 1_000.0 / 10_080.0).abs() < 1e-12);
        // 1,000 normal points less 10 of grace before, the segment and 60 after it; 4 of them in alarm.
        assert_eq!(table.in_alarm, 4.0 / 920.0);
    }

    #[test]
    fn series_without_segments_are_shown_apart() {
        let times: Vec<f64> = (0..400).map(|hour| f64::from(hour) * 3_600.0).collect();
        let mut scores = vec![f64::NAN; 400];
        scores[350] = 90.0;
        let quiet = EventSeries::new(&times, &[false; 400], &scores, 0.5);
        let table = judge_events([&quiet, &series(&[])], 70.0);
        assert_eq!(table.false_events, 1);
        assert!((table.clean_per_week - 168.0 / 200.0).abs() < 1e-12);
        assert!(table.delay.is_nan() && table.noisy_series == 0);
    }
}
