//! Who is told what: alert rules, and the rows they make of an incident's life.

use serde::{Deserialize, Serialize};

use tidewatch_detectors::log10_rate_of_severity;

use super::Incident;

/// From which rarity on a rule speaks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Threshold {
    /// A severity, 0..=100.
    Severity(f64),
    /// False alarms per week that all series of the monitor together may cost.
    Budget {
        /// False alarms per week.
        per_week: f64,
    },
}

impl Threshold {
    /// Whether something this rare passes, in a monitor of `num_series` judged series.
    pub fn passes(self, page_log10_rate: f64, num_series: usize) -> bool {
        page_log10_rate <= self.log10_rate(num_series)
    }

    /// Up to how many judged series its rate is one that calibration was measured at; `None`: any number.
    pub fn measured_up_to(self) -> Option<u64> {
        match self {
            Self::Severity(_) => None,
            // The smallest correction keeps 1 / .01 from being 99.
            Self::Budget { per_week } => Some((per_week / 10_f64.powf(MEASURED_LOG10_RATE) + 1e-9) as u64),
        }
    }

    /// The threshold as log10 of false events per series-week.
    pub fn log10_rate(self, num_series: usize) -> f64 {
        match self {
            Self::Severity(severity) => log10_rate_of_severity(severity),
            Self::Budget { per_week } => (per_week / num_series.max(1) as f64).log10(),
        }
    }
}

/// Rates rarer than this are extrapolated: calibration was measured down to one false event in a hundred
/// series-weeks (severity 90).
pub const MEASURED_LOG10_RATE: f64 = -2.0;

/// What rules may cost in false alarms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NominalRate {
    /// False alarms a week, before series that alarm together are grouped, that the most talkative rule
    /// may cost; `None` without rules.
    pub per_week: Option<f64>,
    /// Whether every rule asks for rates that calibration was measured at.
    pub is_measured: bool,
}

impl NominalRate {
    /// Of `rules` over `num_series` judged series.
    pub fn of(rules: &[AlertRule], num_series: usize) -> Self {
        let rates = || rules.iter().map(|rule| rule.threshold.log10_rate(num_series));
        let loosest = rates().max_by(f64::total_cmp);
        Self {
            per_week: loosest.map(|rate| num_series as f64 * 10_f64.powf(rate)),
            is_measured: rates().all(|rate| rate >= MEASURED_LOG10_RATE),
        }
    }
}

/// A configured rule.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// From where on it speaks.
    pub threshold: Threshold,
    /// Names of the notifiers it speaks to.
    pub to: Vec<String>,
}

/// What an alert tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// An incident passed the rule's threshold.
    Opened,
    /// It became clearly more severe than last told.
    Escalated,
    /// It is over.
    Closed,
}

impl AlertKind {
    /// The word in ids and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Closed => "closed",
        }
    }
}

/// One message about an incident to one notifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Made from the incident, the kind and the notifier: the same message has the same id in every run, so
    /// receivers can drop repetitions.
    pub id: String,
    /// The notifier to send it.
    pub notifier: String,
    /// What it tells.
    pub kind: AlertKind,
    /// Event time of the window that caused it, milliseconds since the Unix epoch.
    pub at_millis: i64,
    /// The incident as it stood.
    pub incident: Incident,
}

/// How far a rule has told of an incident: the peak severity it last spoke of and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    severity: f64,
    times: u32,
}

/// A rise of the peak by more than this since the last alert is told again.
const ESCALATION_STEP: f64 = 5.0;

/// Adds the alerts that `incident` causes under `rules` at this moment, and remembers them in it.
pub(super) fn tell(
    incident: &mut Incident,
    rules: &[AlertRule],
    num_series: usize,
    at_millis: i64,
    alerts: &mut Vec<Alert>,
) {
    for (index, rule) in rules.iter().enumerate() {
        let told = incident.told.get(&index).copied();
        let kind = match told {
            _ if incident.is_closed() => told.map(|_| AlertKind::Closed),
            None => rule.threshold.passes(incident.page_log10_rate, num_series).then_some(AlertKind::Opened),
            Some(told) if incident.severity.peak > told.severity + ESCALATION_STEP => {
                Some(AlertKind::Escalated)
            }
            Some(_) => None,
        };
        let Some(kind) = kind else { continue };
        let times = told.map_or(0, |told| told.times) + 1;
        incident.told.insert(index, Told { severity: incident.severity.peak, times });
        for notifier in &rule.to {
            let id = format!("{}:{index}:{times}:{}:{notifier}", incident.id, kind.as_str());
            alerts.push(Alert {
                id,
                notifier: notifier.clone(),
                kind,
                at_millis,
                incident: incident.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_shared_by_series_and_says_where_evidence_ends() {
        let rule = |threshold| AlertRule { threshold, to: Vec::new() };
        let budget = Threshold::Budget { per_week: 1.0 };
        assert_eq!(budget.measured_up_to(), Some(100));
        assert!(budget.passes(-2.0, 100) && !budget.passes(-1.9, 100) && budget.passes(-1.9, 50));
        let within = NominalRate::of(&[rule(budget)], 100);
        assert!(within.is_measured && (within.per_week.unwrap() - 1.0).abs() < 1e-9);
        assert!(!NominalRate::of(&[rule(budget)], 101).is_measured);
        // A severity costs more the more series there are.
        let both = NominalRate::of(&[rule(budget), rule(Threshold::Severity(80.0))], 100);
        assert!((both.per_week.unwrap() - 10.0).abs() < 1e-9);
        assert_eq!(NominalRate::of(&[], 5), NominalRate { per_week: None, is_measured: true });
    }
}
