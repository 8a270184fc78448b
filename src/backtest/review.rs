//! What a backtest's incidents are worth against labels.

use serde::Serialize;
use tidewatch_datasets::scoring::{Span, SpanRules, SpanTable, average_precision, judge_spans, sweep_spans};

use super::{Backtest, Label};
use crate::anomaly::{Incident, IncidentKind};

/// Grace around a label: this, or two windows if they are longer.
const GRACE_MILLIS: i64 = 600_000;

/// Incidents of a backtest judged against labels.
#[derive(Clone, Debug)]
pub struct Review {
    /// Share of the time that is history and not judged.
    pub split: f64,
    /// At the severity asked for.
    pub table: SpanTable,
    /// At every severity, ascending.
    pub sweep: Vec<SpanTable>,
    /// Severity of each label's first alert, and its incident's number, in the order of `table.labels`.
    pub labels: Vec<(Label, Option<usize>)>,
}

/// The figures of a review as the JSON document of a backtest has them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReviewFigures {
    /// Threshold.
    pub severity: f64,
    /// Share of the time that was history.
    pub split: f64,
    /// Weeks judged.
    pub weeks: f64,
    /// Labels judged.
    pub labels: usize,
    /// Labels found.
    pub found: usize,
    /// Incidents judged.
    pub incidents: usize,
    /// Incidents near no label.
    pub false_incidents: usize,
    /// Share of the labels found; `null` without labels.
    pub recall: f64,
    /// Its 95 % interval.
    pub recall_interval: (f64, f64),
    /// Found labels against found labels and false incidents; `null` without either.
    pub precision: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// False incidents a week.
    pub false_per_week: f64,
    /// Its 95 % interval.
    pub false_per_week_interval: (f64, f64),
    /// Median minutes from a label's start until it could be known; `null` when none was found.
    pub delay_minutes: f64,
    /// Recall over ranges (Tatbul et al. 2018, flat bias, existence one half).
    pub range_recall: f64,
    /// Precision over ranges.
    pub range_precision: f64,
    /// Area under precision against recall over all severities.
    pub average_precision: f64,
}

impl Review {
    /// Judges the deviations of `found` at `severity`; the first `split` of the time is history. Every window
    /// is scored before it is learned, so a split of 0 is a walk forward over everything.
    pub fn new(found: &Backtest, labels: &[Label], split: f64, severity: f64) -> Self {
        let rules = SpanRules { at: severity, ..rules_of(found, split) };
        let alerts: Vec<Span> =
            found.incidents.iter().map(|incident| alert_span(incident, found.interval_millis)).collect();
        let spans: Vec<Span> = labels.iter().map(Label::span).collect();
        let table = judge_spans(&alerts, &spans, &rules);
        let named = table.labels.iter().map(|(number, alert)| (labels[*number].clone(), *alert)).collect();
        Self { split, sweep: sweep_spans(&alerts, &spans, &rules), labels: named, table }
    }

    /// Everything as plain numbers.
    pub fn figures(&self) -> ReviewFigures {
        let table = &self.table;
        let (false_per_week, false_per_week_interval) = table.false_per_week();
        ReviewFigures {
            severity: table.at,
            split: self.split,
            weeks: table.weeks,
            labels: table.labels.len(),
            found: table.found(),
            incidents: table.alerts,
            false_incidents: table.false_alerts.len(),
            recall: table.recall(),
            recall_interval: table.recall_interval(),
            precision: table.precision(),
            f1: table.f1(),
            false_per_week,
            false_per_week_interval,
            delay_minutes: table.delay_millis / 60_000.0,
            range_recall: table.range_recall,
            range_precision: table.range_precision,
            average_precision: average_precision(&self.sweep),
        }
    }

    /// The severity with the highest F1; `None` when nothing is ever found.
    pub fn best(&self) -> Option<&SpanTable> {
        let found = self.sweep.iter().filter(|table| table.found() > 0);
        found.max_by(|a, b| a.f1().total_cmp(&b.f1()))
    }
}

impl ReviewFigures {
    /// For a terminal.
    pub fn lines(&self) -> Vec<String> {
        let percent =
            |share: f64| if share.is_nan() { "-".to_owned() } else { format!("{:.0} %", 100.0 * share) };
        let (low, high) = self.recall_interval;
        let (few, many) = self.false_per_week_interval;
        vec![
            format!(
                "judged: the last {:.1} days, {} labels, {} incidents at severity {} or more",
                self.weeks * 7.0,
                self.labels,
                self.incidents,
                self.severity
            ),
            format!(
                "found {} of {} labels: recall {} ({} to {}), precision {}, F1 {:.3}",
                self.found,
                self.labels,
                percent(self.recall),
                percent(low),
                percent(high),
                percent(self.precision),
                self.f1
            ),
            format!(
                "{:.2} false incidents a week ({few:.2} to {many:.2}); known after {} in the median",
                self.false_per_week,
                minutes(self.delay_minutes)
            ),
            format!(
                "over ranges: recall {}, precision {}; average precision over all severities {:.3}",
                percent(self.range_recall),
                percent(self.range_precision),
                self.average_precision
            ),
        ]
    }
}

fn minutes(minutes: f64) -> String {
    if minutes.is_nan() { "never".to_owned() } else { format!("{minutes:.0} min") }
}

/// Only deviations count: minor ones never page, and missing data is no matter of severity.
fn alert_span(incident: &Incident, interval_millis: i64) -> Span {
    let severity =
        if incident.kind == IncidentKind::Deviation { incident.severity.peak } else { f64::NEG_INFINITY };
    Span {
        start_millis: incident.opened_millis,
        end_millis: incident.until_millis,
        known_millis: incident.opened_millis + interval_millis,
        severity,
    }
}

/// The part of a backtest after its history, at no threshold.
pub(super) fn rules_of(found: &Backtest, split: f64) -> SpanRules {
    let (from_millis, to_millis) = found.span_millis;
    let history = ((to_millis - from_millis) as f64 * split) as i64;
    SpanRules {
        from_millis: from_millis + history,
        to_millis,
        grace_millis: GRACE_MILLIS.max(2 * found.interval_millis),
        at: 0.0,
    }
}
