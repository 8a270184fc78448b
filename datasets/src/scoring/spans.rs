//! Alerts judged against labelled spans of time: what a person means by "did it find the outage".
//!
//! A label is found when an alert overlaps it or comes in its grace after it. An alert is false when it overlaps
//! no label, neither in the grace around it nor in the hour after it, in which a shop still recovers.
//! Labels and alerts that begin before the judged part belong to the history and are not judged.

use super::{WEEK_SECONDS, median, rate_interval};

/// A span of time with a severity. The severity of a label has no meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// First instant, milliseconds since the Unix epoch.
    pub start_millis: i64,
    /// First instant after it.
    pub end_millis: i64,
    /// When it could first be known: the end of its first window.
    pub known_millis: i64,
    /// 0 to 100.
    pub severity: f64,
}

/// What is judged, and how generously.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpanRules {
    /// Start of the judged part, milliseconds since the Unix epoch.
    pub from_millis: i64,
    /// Its end, exclusive.
    pub to_millis: i64,
    /// Grace around a label.
    pub grace_millis: i64,
    /// Alerts from this severity on.
    pub at: f64,
}

/// An hour after a label nothing counts as false.
const RECOVERY_MILLIS: i64 = 3_600_000;

/// How alerts and labels met.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanTable {
    /// The threshold.
    pub at: f64,
    /// Weeks judged.
    pub weeks: f64,
    /// Per judged label: its number in the input, and the first alert that found it.
    pub labels: Vec<(usize, Option<usize>)>,
    /// Alerts judged.
    pub alerts: usize,
    /// Numbers of the false ones.
    pub false_alerts: Vec<usize>,
    /// Median of milliseconds from the start of a found label to the first alert; `NaN` if none was found.
    pub delay_millis: f64,
    /// Mean over labels of half for being found and half for the share of its time in alert: the recall of
    /// Tatbul et al. (2018), flat bias.
    pub range_recall: f64,
    /// Mean over alerts of the share of their time inside labels and their grace; `NaN` without an alert.
    pub range_precision: f64,
}

impl SpanTable {
    /// How many labels were found.
    pub fn found(&self) -> usize {
        self.labels.iter().filter(|(_, alert)| alert.is_some()).count()
    }

    /// Share of the labels that were found; `NaN` without a label.
    pub fn recall(&self) -> f64 {
        self.found() as f64 / self.labels.len() as f64
    }

    /// Found labels against found labels and false alerts; `NaN` without either.
    pub fn precision(&self) -> f64 {
        self.found() as f64 / (self.found() + self.false_alerts.len()) as f64
    }

    /// Harmonic mean of recall and precision; 0 when nothing was found.
    pub fn f1(&self) -> f64 {
        let (recall, precision) = (self.recall(), self.precision());
        if recall + precision > 0.0 { 2.0 * recall * precision / (recall + precision) } else { 0.0 }
    }

    /// False alerts a week, with the 95 % interval of that rate.
    pub fn false_per_week(&self) -> (f64, (f64, f64)) {
        let count = self.false_alerts.len();
        (count as f64 / self.weeks, rate_interval(count, self.weeks))
    }

    /// 95 % interval of the recall (Wilson's score interval).
    pub fn recall_interval(&self) -> (f64, f64) {
        share_interval(self.found(), self.labels.len())
    }
}

/// A 95 % interval of a share of which `hits` of `trials` were counted: Wilson's score interval.
pub fn share_interval(hits: usize, trials: usize) -> (f64, f64) {
    const Z2: f64 = 1.96 * 1.96;
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (trials as f64, hits as f64 / trials as f64);
    let middle = (share + Z2 / (2.0 * n)) / (1.0 + Z2 / n);
    let half = (Z2 * (share * (1.0 - share) / n + Z2 / (4.0 * n * n))).sqrt() / (1.0 + Z2 / n);
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// Judges `alerts` against `labels`.
pub fn judge_spans(alerts: &[Span], labels: &[Span], rules: &SpanRules) -> SpanTable {
    let is_judged =
        |span: &Span| span.start_millis >= rules.from_millis && span.start_millis < rules.to_millis;
    let loud: Vec<(usize, &Span)> =
        alerts.iter().enumerate().filter(|(_, alert)| alert.severity >= rules.at).collect();
    let mut met = Vec::new();
    let (mut delays, mut recalls) = (Vec::new(), Vec::new());
    for (number, label) in labels.iter().enumerate().filter(|(_, label)| is_judged(label)) {
        let meets = |(_, alert): &&(usize, &Span)| overlap(alert, &widened(label, 0, rules.grace_millis)) > 0;
        let first = loud.iter().filter(meets).min_by_key(|(_, alert)| alert.known_millis);
        if let Some((_, alert)) = first {
            delays.push((alert.known_millis - label.start_millis).max(0) as f64);
        }
        let covered: i64 = loud.iter().map(|(_, alert)| overlap(alert, label)).sum();
        let share = covered as f64 / (label.end_millis - label.start_millis).max(1) as f64;
        recalls.push(first.map_or(0.0, |_| 0.5 + 0.5 * share.min(1.0)));
        met.push((number, first.map(|(alert, _)| *alert)));
    }
    let (mut false_alerts, mut precisions) = (Vec::new(), Vec::new());
    for (number, alert) in loud.iter().filter(|(_, alert)| is_judged(alert)) {
        let near = |label: &Span| widened(label, rules.grace_millis, rules.grace_millis.max(RECOVERY_MILLIS));
        if !labels.iter().any(|label| overlap(alert, &near(label)) > 0) {
            false_alerts.push(*number);
        }
        let graced = |label: &Span| widened(label, rules.grace_millis, rules.grace_millis);
        let inside: i64 = labels.iter().map(|label| overlap(alert, &graced(label))).sum();
        let length = (alert.end_millis - alert.start_millis).max(1) as f64;
        precisions.push((inside as f64 / length).min(1.0));
    }
    SpanTable {
        at: rules.at,
        weeks: (rules.to_millis - rules.from_millis) as f64 / (WEEK_SECONDS * 1e3),
        labels: met,
        alerts: precisions.len(),
        false_alerts,
        delay_millis: median(delays),
        range_recall: mean(&recalls),
        range_precision: mean(&precisions),
    }
}

/// Judges at every threshold at which something changes, from the lowest severity to the highest.
pub fn sweep_spans(alerts: &[Span], labels: &[Span], rules: &SpanRules) -> Vec<SpanTable> {
    let mut at: Vec<f64> = alerts.iter().map(|alert| alert.severity).collect();
    at.sort_by(f64::total_cmp);
    at.dedup();
    at.into_iter().map(|at| judge_spans(alerts, labels, &SpanRules { at, ..*rules })).collect()
}

/// Area under precision against recall over the tables of [`sweep_spans`], in steps (average precision):
/// what is not reached at any threshold counts as precision 0.
pub fn average_precision(sweep: &[SpanTable]) -> f64 {
    let (mut area, mut reached) = (0.0, 0.0);
    for table in sweep.iter().rev().filter(|table| table.found() > 0) {
        area += (table.recall() - reached).max(0.0) * table.precision();
        reached = table.recall().max(reached);
    }
    area
}

fn widened(span: &Span, before: i64, after: i64) -> Span {
    Span {
        start_millis: span.start_millis.saturating_sub(before),
        end_millis: span.end_millis.saturating_add(after),
        ..*span
    }
}

fn overlap(a: &Span, b: &Span) -> i64 {
    (a.end_millis.min(b.end_millis) - a.start_millis.max(b.start_millis)).max(0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn span(start: i64, end: i64, severity: f64) -> Span {
        Span {
            start_millis: start * MINUTE,
            end_millis: end * MINUTE,
            known_millis: (start + 5) * MINUTE,
            severity,
        }
    }

    fn rules(at: f64) -> SpanRules {
        SpanRules { from_millis: 0, to_millis: 7 * 1_440 * MINUTE, grace_millis: 10 * MINUTE, at }
    }

    #[test]
    fn labels_are_found_inside_and_in_their_grace_and_recovery_is_free() {
        let labels = [span(100, 200, 0.0), span(1_000, 1_100, 0.0), span(5_000, 5_100, 0.0)];
        let alerts = [
            span(110, 160, 80.0),     // in the first label
            span(230, 240, 75.0),     // while it recovers
            span(1_105, 1_120, 72.0), // in the grace of the second
            span(3_000, 3_050, 71.0), // false
            span(5_010, 5_020, 60.0), // too quiet
        ];
        let table = judge_spans(&alerts, &labels, &rules(70.0));
        assert_eq!(table.labels, [(0, Some(0)), (1, Some(2)), (2, None)]);
        assert_eq!((table.found(), table.false_alerts.as_slice(), table.alerts), (2, &[3][..], 4));
        assert_eq!((table.recall(), table.precision()), (2.0 / 3.0, 2.0 / 3.0));
        assert!((table.f1() - 2.0 / 3.0).abs() < 1e-12);
        // 15 minutes in the first label, 110 in the second.
        assert_eq!(table.delay_millis, 62.5 * MINUTE as f64);
        // (0.5 + 0.5 * 50/100, 0.5 + 0, 0) / 3.
        assert!((table.range_recall - 1.25 / 3.0).abs() < 1e-12);
        // 50 of 50, none of 10, 5 of 15, none of 50.
        assert!((table.range_precision - (1.0 + 1.0 / 3.0) / 4.0).abs() < 1e-12);
        assert_eq!(table.false_per_week().0, 1.0);
    }

    #[test]
    fn history_is_not_judged() {
        let labels = [span(100, 200, 0.0)];
        let table = judge_spans(
            &[span(50, 60, 90.0)],
            &labels,
            &SpanRules { from_millis: 300 * MINUTE, ..rules(70.0) },
        );
        assert_eq!((table.labels.len(), table.alerts), (0, 0));
        assert!(table.recall().is_nan() && table.f1() == 0.0);
    }

    #[test]
    fn average_precision_counts_what_is_never_found() {
        let labels = [span(100, 200, 0.0), span(1_000, 1_100, 0.0)];
        let right = [span(110, 160, 90.0), span(1_010, 1_020, 80.0)];
        let area = |alerts: &[Span]| average_precision(&sweep_spans(alerts, &labels, &rules(0.0)));
        assert_eq!(area(&right), 1.0);
        assert_eq!(area(&right[..1]), 0.5);
        // A false alert between the two: half of the recall at precision 1, half at 2/3.
        let with_false = [right[0], span(3_000, 3_010, 85.0), right[1]];
        assert!((area(&with_false) - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn shares_have_honest_intervals() {
        let (low, high) = share_interval(9, 10);
        assert!((low - 0.5958).abs() < 1e-3 && (high - 0.9821).abs() < 1e-3, "{low} {high}");
        assert_eq!(share_interval(0, 0), (0.0, 1.0));
    }
}
