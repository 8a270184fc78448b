//! Consecutive anomalous windows of one series are one anomaly.
//!
//! A window is anomalous from page severity 60 or minor severity 70 on. An anomaly stays open through a few
//! calm windows, so that a value wavering at the threshold is one anomaly and not ten. Severities are kept,
//! never rewritten: first, peak and final.
//!
//! The long comparisons of a detector stay loud for hours after a trouble is over, and a level that has learned some of it
//! makes them loud on the other side. So a window goes on with an anomaly only where its own value is still off, and what is
//! loud at the end of an anomaly opens no new one unless it would page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidewatch_detectors::{Score, Side};

use super::{WindowView, revise::Loud};

/// Anomalies are recorded from this page severity on.
pub const PAGE_RECORDED_FROM: f64 = 60.0;
/// Anomalies are recorded from this minor severity on.
pub const MINOR_RECORDED_FROM: f64 = 70.0;

/// A window goes on with an anomaly when it is off by at least this part of what the anomaly was so far.
const STILL_OFF: f64 = 1.0 / 3.0;

/// How a severity went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeverityTrack {
    /// In the first anomalous window.
    pub first: f64,
    /// The highest.
    pub peak: f64,
    /// In the last anomalous window.
    #[serde(rename = "final")]
    pub last: f64,
}

impl SeverityTrack {
    /// Starts at a severity.
    pub fn starting(severity: f64) -> Self {
        Self { first: severity, peak: severity, last: severity }
    }

    /// Goes on with the severity of a later window.
    pub fn update(&mut self, severity: f64) {
        self.peak = self.peak.max(severity);
        self.last = severity;
    }
}

/// A span of anomalous windows of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// The series: slice number x measures + measure.
    pub series: usize,
    /// Above or below what was expected, in the most unusual window.
    pub side: Side,
    /// Start of the first anomalous window.
    pub opened_millis: i64,
    /// End of the last anomalous window.
    pub until_millis: i64,
    /// Page severity.
    pub severity: SeverityTrack,
    /// Highest severity in the minor class.
    pub minor_peak: f64,
    /// log10 of false events per series-week in the most unusual window, unclipped.
    pub page_log10_rate: f64,
    /// Sum of the expected values from the first to the last anomalous window.
    pub expected: f64,
    /// Sum of the values.
    pub actual: f64,
    /// Sum of the lower band ends.
    pub lower: f64,
    /// Sum of the upper band ends.
    pub upper: f64,
    /// How many windows those are.
    pub num_windows: u32,
    /// Calm windows since.
    calm: u32,
    /// Their sums, for when it goes on.
    #[serde(default)]
    pause: Pause,
}

/// What came in the calm windows of an anomaly that may go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Pause {
    expected: f64,
    actual: f64,
    lower: f64,
    upper: f64,
    windows: u32,
}

impl Anomaly {
    /// Whether its page class was ever worth recording; else it is minor only.
    pub fn is_page(&self) -> bool {
        self.severity.peak >= PAGE_RECORDED_FROM
    }

    /// Actual less expected over the anomalous windows.
    pub fn deviation(&self) -> f64 {
        self.actual - self.expected
    }

    /// Whether a window that starts then is one of its span.
    pub(super) fn spans(&self, start_millis: i64) -> bool {
        self.opened_millis <= start_millis && start_millis < self.until_millis
    }

    /// One of its windows has another value now.
    pub(super) fn revise(&mut self, by: f64) {
        self.actual += by;
    }

    /// One of its windows is not anomalous any more; false when none is left.
    pub(super) fn lose(&mut self, loud: &Loud) -> bool {
        self.actual -= loud.actual;
        self.expected -= loud.expected;
        self.lower -= loud.lower;
        self.upper -= loud.upper;
        self.num_windows = self.num_windows.saturating_sub(1);
        self.num_windows > 0
    }

    fn open(series: usize, view: &WindowView<'_>, actual: f64, score: &Score) -> Self {
        let mut anomaly = Self {
            series,
            side: score.side,
            opened_millis: view.start_millis,
            until_millis: view.end_millis,
            severity: SeverityTrack::starting(score.severity()),
            minor_peak: 0.0,
            page_log10_rate: f64::MAX,
            expected: 0.0,
            actual: 0.0,
            lower: 0.0,
            upper: 0.0,
            num_windows: 0,
            calm: 0,
            pause: Pause::default(),
        };
        anomaly.extend(view, actual, score);
        anomaly
    }

    fn extend(&mut self, view: &WindowView<'_>, actual: f64, score: &Score) {
        if score.page_log10_rate < self.page_log10_rate {
            self.page_log10_rate = score.page_log10_rate;
            self.side = score.side;
        }
        self.severity.update(score.severity());
        self.minor_peak = self.minor_peak.max(score.minor());
        self.until_millis = view.end_millis;
        let pause = std::mem::take(&mut self.pause);
        self.expected += pause.expected + score.expected;
        self.actual += pause.actual + actual;
        self.lower += pause.lower + score.lower;
        self.upper += pause.upper + score.upper;
        self.num_windows += pause.windows + 1;
        self.calm = 0;
    }

    /// Whether a window that is anomalous goes on with it: its own value is off by enough on this side, or it pages and is
    /// off on either.
    fn goes_on(&self, actual: f64, score: &Score) -> bool {
        let sign = if self.side == Side::Drop { -1.0 } else { 1.0 };
        let (now, so_far) = (sign * (actual - score.expected), sign * self.deviation());
        let is_off = now > 0.0 && now * self.expected.abs() >= STILL_OFF * so_far * score.expected.abs();
        let is_outside = actual < score.lower || actual > score.upper;
        is_off || (is_page(score) && is_outside)
    }

    fn rest(&mut self, actual: f64, score: &Score) {
        self.pause.expected += score.expected;
        self.pause.actual += actual;
        self.pause.lower += score.lower;
        self.pause.upper += score.upper;
        self.pause.windows += 1;
    }
}

fn is_page(score: &Score) -> bool {
    score.severity() >= PAGE_RECORDED_FROM
}

fn is_anomalous(score: &Score) -> bool {
    is_page(score) || score.minor() >= MINOR_RECORDED_FROM
}

/// The open anomalies of a monitor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnomalyTracker {
    open: BTreeMap<usize, Anomaly>,
    /// Series that have been loud ever since an anomaly of theirs ended, and until when that is its echo: for as long as it
    /// lasted.
    echoes: BTreeMap<usize, i64>,
}

impl AnomalyTracker {
    /// Takes one judged window. Returns the anomalies that it opened or went on, and those that it closed,
    /// each in series order.
    pub fn update(&mut self, view: &WindowView<'_>) -> (Vec<Anomaly>, Vec<Anomaly>) {
        let mut changed = Vec::new();
        for (series, reading) in view.readings.iter().enumerate() {
            let Some((reading, score)) = reading.and_then(|reading| Some((reading, reading.score?))) else {
                continue;
            };
            if self.take(series, view, reading.actual, &score) {
                changed.push(series);
            }
        }
        let changed: Vec<Anomaly> =
            changed.iter().filter_map(|series| self.open.get(series)).cloned().collect();
        (changed, self.close(view))
    }

    /// Whether the window is part of an anomaly of the series.
    fn take(&mut self, series: usize, view: &WindowView<'_>, actual: f64, score: &Score) -> bool {
        let is_anomalous = is_anomalous(score);
        if let Some(anomaly) = self.open.get_mut(&series) {
            let goes_on = is_anomalous && anomaly.goes_on(actual, score);
            if goes_on {
                anomaly.extend(view, actual, score);
            } else {
                anomaly.rest(actual, score);
            }
            return goes_on;
        }
        if let Some(until_millis) = self.echoes.get(&series) {
            if is_anomalous && !is_page(score) && view.start_millis < *until_millis {
                return false;
            }
            self.echoes.remove(&series);
        }
        if is_anomalous {
            self.open.insert(series, Anomaly::open(series, view, actual, score));
        }
        is_anomalous
    }

    fn close(&mut self, view: &WindowView<'_>) -> Vec<Anomaly> {
        let mut closed = Vec::new();
        self.open.retain(|_, anomaly| {
            if anomaly.until_millis < view.end_millis {
                anomaly.calm += 1;
            }
            let over = anomaly.calm > view.facts.calm_windows;
            if over {
                closed.push(anomaly.clone());
            }
            !over
        });
        for over in &closed {
            self.echoes.insert(over.series, 2 * over.until_millis - over.opened_millis);
        }
        closed
    }

    /// Revises the open anomaly of a series, if a window that starts then is one of its span; `revise` says whether
    /// anything is left of it.
    pub(super) fn revise(
        &mut self,
        series: usize,
        start_millis: i64,
        revise: impl FnOnce(&mut Anomaly) -> bool,
    ) {
        let Some(anomaly) = self.open.get_mut(&series).filter(|anomaly| anomaly.spans(start_millis)) else {
            return;
        };
        if !revise(anomaly) {
            self.open.remove(&series);
        }
    }

    /// How many anomalies are open.
    pub fn num_open(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::tz::TimeZone;
    use tidewatch_detectors::{Reason, log10_rate_of_severity};

    use super::*;
    use crate::{
        anomaly::{MeasureFacts, MeasureShape, MonitorFacts, Reading},
        window::SliceKey,
    };

    pub(in crate::anomaly) fn score(expected: f64, actual: f64, severity: f64) -> Score {
        Score {
            expected,
            lower: expected * 0.8,
            upper: expected * 1.2,
            page_log10_rate: log10_rate_of_severity(severity),
            minor_log10_rate: log10_rate_of_severity(severity.max(1.0)),
            side: if actual < expected { Side::Drop } else { Side::Rise },
            reason: Reason::Quiet,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "windows hold readings that may be missing")]
    pub(in crate::anomaly) fn reading(expected: f64, actual: f64, severity: f64) -> Option<Reading> {
        Some(Reading { actual, score: Some(score(expected, actual, severity)), expected: Some(expected) })
    }

    pub(in crate::anomaly) fn facts(measures: &[&str]) -> MonitorFacts {
        let fact = |name: &&str| MeasureFacts {
            name: (*name).to_owned(),
            unit: None,
            shape: MeasureShape::Count,
            worth: None,
        };
        MonitorFacts {
            monitor: "shop".to_owned(),
            dimensions: vec!["country".to_owned()],
            measures: measures.iter().map(fact).collect(),
            funnel: Vec::new(),
            zone: TimeZone::UTC,
            calm_windows: 2,
            revisable_millis: 0,
            rules: Vec::new(),
        }
    }

    fn run(severities: &[f64]) -> Vec<(usize, usize)> {
        let facts = facts(&["orders"]);
        let slices = [SliceKey(vec![None])];
        let mut tracker = AnomalyTracker::default();
        let mut counts = Vec::new();
        for (window, severity) in severities.iter().enumerate() {
            let readings = [reading(100.0, 50.0, *severity)];
            let start_millis = window as i64 * 60_000;
            let view = WindowView {
                facts: &facts,
                slices: &slices,
                readings: &readings,
                start_millis,
                end_millis: start_millis + 60_000,
            };
            let (changed, closed) = tracker.update(&view);
            counts.push((changed.len(), closed.len()));
        }
        counts
    }

    #[test]
    fn wavering_windows_are_one_anomaly_and_calm_ends_it() {
        let counts = run(&[10.0, 75.0, 50.0, 80.0, 20.0, 20.0, 20.0, 20.0]);
        assert_eq!(counts, [(0, 0), (1, 0), (0, 0), (1, 0), (0, 0), (0, 0), (0, 1), (0, 0)]);
    }

    #[test]
    fn severities_and_sums_are_kept() {
        let facts = facts(&["orders"]);
        let slices = [SliceKey(vec![None])];
        let mut tracker = AnomalyTracker::default();
        let mut last = Vec::new();
        for (window, severity) in [72.0, 90.0, 61.0].into_iter().enumerate() {
            let readings = [reading(100.0, 40.0, severity)];
            let start_millis = window as i64 * 60_000;
            let view = WindowView {
                facts: &facts,
                slices: &slices,
                readings: &readings,
                start_millis,
                end_millis: start_millis + 60_000,
            };
            last = tracker.update(&view).0;
        }
        let anomaly = &last[0];
        let rounded = [anomaly.severity.first, anomaly.severity.peak, anomaly.severity.last].map(f64::round);
        assert_eq!(rounded, [72.0, 90.0, 61.0]);
        assert_eq!((anomaly.deviation(), anomaly.num_windows, anomaly.side), (-180.0, 3, Side::Drop));
        assert_eq!((anomaly.opened_millis, anomaly.until_millis), (0, 180_000));
    }
}
