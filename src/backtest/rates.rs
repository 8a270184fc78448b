//! How often a backtest would have spoken, against how often it may; and the score of the Numenta benchmark.

use serde::Serialize;
use tidewatch_datasets::scoring::{NAB_PROFILES, NabFile, nab_at, nab_best, rate_interval};
use tidewatch_detectors::log10_rate_of_severity;

use super::{Backtest, Label, review::rules_of};
use crate::anomaly::{Incident, NominalRate};

const WEEK_MILLIS: f64 = 604_800_000.0;

/// Incidents a week that people would have heard of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RateFigures {
    /// Incidents heard of after the split.
    pub told: usize,
    /// Of these, near no label; `null` without labels.
    pub false_told: Option<usize>,
    /// Weeks after the split.
    pub weeks: f64,
    /// False incidents a week; without labels, all of them.
    pub per_week: f64,
    /// Its 95 % interval.
    pub per_week_interval: (f64, f64),
    /// False alarms a week that rules or severity may cost, before what alarms together is grouped.
    pub nominal_per_week: Option<f64>,
    /// Whether calibration was measured at such rates.
    pub nominal_is_measured: bool,
    /// Series judged.
    pub series: usize,
}

/// The score of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015) by profile, the onset of an incident being a
/// detection. Its probation, the first 15 % and at most 750 windows, counts from the first window of the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NabFigures {
    /// At the severity asked for: standard, low false positives, low false negatives.
    pub at: [f64; 3],
    /// At the best severity for each.
    pub best: [f64; 3],
}

impl RateFigures {
    /// Of the part after `split`; where the monitor has no rules, incidents from `severity` on are heard of.
    pub fn new(found: &Backtest, labels: Option<&[Label]>, split: f64, severity: f64) -> Self {
        let rules = rules_of(found, split);
        let is_near = |incident: &Incident, label: &Label| {
            incident.opened_millis < label.end_millis + rules.grace_millis
                && incident.until_millis > label.start_millis - rules.grace_millis
        };
        let told: Vec<&Incident> = (found.incidents.iter())
            .filter(|incident| {
                incident.opened_millis >= rules.from_millis && found.is_heard(incident, severity)
            })
            .collect();
        let is_false = |incident: &&&Incident| {
            labels.is_some_and(|labels| !labels.iter().any(|label| is_near(incident, label)))
        };
        let false_told = labels.map(|_| told.iter().filter(is_false).count());
        let weeks = (rules.to_millis - rules.from_millis) as f64 / WEEK_MILLIS;
        let counted = false_told.unwrap_or(told.len());
        let nominal = if found.facts.rules.is_empty() {
            let rate = 10_f64.powf(log10_rate_of_severity(severity));
            NominalRate { per_week: Some(found.num_judged as f64 * rate), is_measured: true }
        } else {
            NominalRate::of(&found.facts.rules, found.num_judged)
        };
        Self {
            told: told.len(),
            false_told,
            weeks,
            per_week: counted as f64 / weeks.max(f64::MIN_POSITIVE),
            per_week_interval: rate_interval(counted, weeks),
            nominal_per_week: nominal.per_week,
            nominal_is_measured: nominal.is_measured,
            series: found.num_judged,
        }
    }

    /// For a terminal.
    pub fn line(&self) -> String {
        let (few, many) = self.per_week_interval;
        let what = if self.false_told.is_some() { "false incidents told" } else { "incidents told" };
        let nominal = match self.nominal_per_week {
            Some(rate) => format!(
                "nominal {rate:.2} false alarms a week over {} series, before grouping{}",
                self.series,
                if self.nominal_is_measured { "" } else { " (rarer than calibration was measured at)" }
            ),
            None => "no nominal rate".to_owned(),
        };
        format!(
            "{:.2} {what} a week ({few:.2} to {many:.2}) in {:.1} weeks; {nominal}",
            self.per_week, self.weeks
        )
    }
}

impl NabFigures {
    /// Over all windows of a backtest; `None` without a label among them.
    pub fn new(found: &Backtest, labels: &[Label], severity: f64) -> Option<Self> {
        let (from, to) = found.span_millis;
        let rows = ((to - from) / found.interval_millis).max(0);
        let row_of =
            |millis: i64| ((millis - from) / found.interval_millis).clamp(0, (rows - 1).max(0)) as usize;
        let mut windows: Vec<(usize, usize)> = Vec::new();
        let inside = labels.iter().filter(|label| label.start_millis < to && label.end_millis > from);
        for label in inside {
            let (first, last) = (row_of(label.start_millis), row_of(label.end_millis - 1));
            match windows.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => windows.push((first, last)),
            }
        }
        if windows.is_empty() || rows == 0 {
            return None;
        }
        let mut scores = vec![0.0_f64; rows as usize];
        for incident in found.incidents.iter().filter(|incident| found.is_deviation(incident)) {
            let score = &mut scores[row_of(incident.opened_millis)];
            *score = score.max(incident.severity.peak / 100.0);
        }
        let files = [NabFile::new(&scores, &windows)];
        Some(Self {
            at: NAB_PROFILES.map(|profile| nab_at(&files, &profile, severity / 100.0).normalised),
            best: NAB_PROFILES.map(|profile| nab_best(&files, &profile).normalised),
        })
    }

    /// For a terminal.
    pub fn line(&self) -> String {
        let ([standard, low_fp, low_fn], [best, _, _]) = (self.at, self.best);
        format!(
            "NAB score {standard:.1}, low FP {low_fp:.1}, low FN {low_fn:.1}; at the best severity {best:.1}"
        )
    }
}
