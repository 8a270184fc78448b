//! From one backtest: which severity and minimum duration meet a goal, and what every other one would cost.
//!
//! Incidents are recorded from severity 60 on, so every threshold from there can be judged without another run.
//! A minimum duration is judged by how many windows an incident lasted; its alert comes that much later.

use serde::Serialize;
use tidewatch_datasets::scoring::{Span, SpanRules, SpanTable, judge_spans};

use super::{Backtest, Label, review::rules_of};
use crate::anomaly::IncidentKind;

/// Thresholds looked at.
const SEVERITIES: std::ops::RangeInclusive<u32> = 60..=99;
/// Minimum durations looked at, in windows.
const WINDOWS: [u32; 4] = [1, 2, 3, 5];

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most so many incidents a week, at the lowest severity that keeps to it.
    PerWeek(f64),
    /// The best F1 on the labels.
    BestF1,
}

/// What one setting would have said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Threshold.
    pub severity: f64,
    /// Windows that an incident must last.
    pub min_windows: u32,
    /// Incidents a week.
    pub per_week: f64,
    /// Labels found, of all; `None` without labels.
    pub found: Option<(usize, usize)>,
    /// False incidents a week; `None` without labels.
    pub false_per_week: Option<f64>,
    /// `None` without labels.
    pub f1: Option<f64>,
    /// Median minutes from a label's start to the alert; `None` without a found label.
    pub delay_minutes: Option<f64>,
}

/// Every setting, and the one that meets the goal best.
#[derive(Clone, Debug, Serialize)]
pub struct Tuning {
    /// By minimum duration, then severity.
    pub settings: Vec<Setting>,
    /// Index of the best; `None` when no setting meets the goal.
    pub best: Option<usize>,
}

/// Judges every setting on the part of a backtest after `split`.
pub fn tune(found: &Backtest, labels: Option<&[Label]>, split: f64, goal: Goal) -> Tuning {
    let settings: Vec<Setting> = WINDOWS
        .iter()
        .flat_map(|windows| SEVERITIES.map(|severity| (*windows, f64::from(severity))))
        .map(|(windows, severity)| setting(found, labels, split, windows, severity))
        .collect();
    let indexed = settings.iter().enumerate();
    let best = match goal {
        // The quickest alert first, then the lowest threshold.
        Goal::PerWeek(most) => indexed
            .filter(|(_, one)| one.per_week <= most)
            .min_by(|(_, a), (_, b)| {
                (a.min_windows.cmp(&b.min_windows)).then(a.severity.total_cmp(&b.severity))
            })
            .map(|(index, _)| index),
        Goal::BestF1 => indexed
            .filter(|(_, one)| one.f1.is_some_and(|f1| f1 > 0.0))
            .max_by(|(_, a), (_, b)| {
                let (a_f1, b_f1) = (a.f1.unwrap_or(0.0), b.f1.unwrap_or(0.0));
                a_f1.total_cmp(&b_f1)
                    .then(b.min_windows.cmp(&a.min_windows))
                    .then(a.severity.total_cmp(&b.severity))
            })
            .map(|(index, _)| index),
    };
    Tuning { settings, best }
}

fn setting(found: &Backtest, labels: Option<&[Label]>, split: f64, windows: u32, severity: f64) -> Setting {
    let rules = SpanRules { at: severity, ..rules_of(found, split) };
    let spans: Vec<Span> = labels.unwrap_or_default().iter().map(Label::span).collect();
    let table = judge_spans(&alerts(found, windows), &spans, &rules);
    let judged = |value: fn(&SpanTable) -> f64| labels.map(|_| value(&table));
    Setting {
        severity,
        min_windows: windows,
        per_week: table.alerts as f64 / table.weeks.max(f64::MIN_POSITIVE),
        found: labels.map(|_| (table.found(), table.labels.len())),
        false_per_week: judged(|table| table.false_per_week().0),
        f1: judged(SpanTable::f1),
        delay_minutes: Some(table.delay_millis / 60_000.0).filter(|minutes| minutes.is_finite()),
    }
}

/// Deviations that lasted long enough, known when they had.
fn alerts(found: &Backtest, windows: u32) -> Vec<Span> {
    let needed = i64::from(windows) * found.interval_millis;
    let long = found.incidents.iter().filter(|incident| {
        incident.kind == IncidentKind::Deviation && incident.until_millis - incident.opened_millis >= needed
    });
    long.map(|incident| Span {
        start_millis: incident.opened_millis,
        end_millis: incident.until_millis,
        known_millis: incident.opened_millis + needed,
        severity: incident.severity.peak,
    })
    .collect()
}
