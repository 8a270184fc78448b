//! Two backtests of the same data side by side: what a change of settings would gain, lose and move.

use serde::Serialize;

use super::{Backtest, Label};
use crate::anomaly::{Incident, IncidentWire, pair};

/// A change of the peak severity by more than this is told.
const MOVED_SEVERITY: f64 = 5.0;

/// What changes from one backtest to another.
#[derive(Clone, Debug)]
pub struct Comparison<'b> {
    /// Heard before and after: before, after.
    pub kept: Vec<(&'b Incident, &'b Incident)>,
    /// Heard before only.
    pub lost: Vec<&'b Incident>,
    /// Heard after only.
    pub gained: Vec<&'b Incident>,
    /// Confirmed spans that were heard of before: with whether they still are.
    pub confirmed: Vec<(&'b Label, bool)>,
}

/// What may fail a comparison in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// An incident that is no longer heard.
    Lost,
    /// An incident that was not heard before.
    Gained,
    /// A confirmed incident that is no longer heard.
    ConfirmedLost,
}

/// The figures of a comparison as its JSON document has them.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonWire {
    lost: Vec<IncidentWire>,
    gained: Vec<IncidentWire>,
    moved: Vec<MovedWire>,
    kept: usize,
    confirmed: usize,
    confirmed_lost: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct MovedWire {
    before: IncidentWire,
    after: IncidentWire,
    minutes_later: f64,
}

impl<'b> Comparison<'b> {
    /// Of what people would have heard of. See [`Comparison::of`].
    pub fn new(before: &'b Backtest, after: &'b Backtest, severity: f64, confirmed: &'b [Label]) -> Self {
        let heard = |found: &'b Backtest| -> Vec<&'b Incident> {
            found.incidents.iter().filter(|incident| found.is_heard(incident, severity)).collect()
        };
        Self::of(heard(before), heard(after), confirmed)
    }

    /// Incidents are the same when they overlap; each has at most one partner, those that share most time first.
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub fn of(old: Vec<&'b Incident>, new: Vec<&'b Incident>, confirmed: &'b [Label]) -> Self {
        let pairs = pair(&old, &new);
        let (mut partner_of_old, mut partner_of_new) = (vec![None; old.len()], vec![None; new.len()]);
        for (a, b) in pairs {
            (partner_of_old[a], partner_of_new[b]) = (Some(b), Some(a));
        }
        let alone = |incidents: &[&'b Incident], partners: &[Option<usize>]| {
            let of = incidents.iter().zip(partners).filter(|(_, partner)| partner.is_none());
            of.map(|(incident, _)| *incident).collect::<Vec<_>>()
        };
        let is_met = |incidents: &[&Incident], label: &Label| {
            incidents.iter().any(|incident| {
                let (start, end) = span(incident);
                overlap((start, end), (label.start_millis, label.end_millis)) > 0
            })
        };
        let heard_of = confirmed.iter().filter(|label| is_met(&old, label));
        Self {
            kept: partner_of_old.iter().enumerate().filter_map(|(a, b)| Some((old[a], new[(*b)?]))).collect(),
            lost: alone(&old, &partner_of_old),
            gained: alone(&new, &partner_of_new),
            confirmed: heard_of.map(|label| (label, is_met(&new, label))).collect(),
        }
    }

    /// Those that open at another time, or whose peak clearly changes.
    pub fn moved(&self) -> impl Iterator<Item = (&'b Incident, &'b Incident)> {
        self.kept.iter().copied().filter(|(before, after)| {
            before.opened_millis != after.opened_millis
                || (before.severity.peak - after.severity.peak).abs() > MOVED_SEVERITY
        })
    }

    /// Confirmed spans that nobody would hear of any more.
    pub fn confirmed_lost(&self) -> impl Iterator<Item = &'b Label> {
        self.confirmed.iter().filter(|(_, still)| !still).map(|(label, _)| *label)
    }

    /// Whether a script that asked for `fail_on` is to fail.
    pub fn fails(&self, fail_on: &[FailOn]) -> bool {
        fail_on.iter().any(|reason| match reason {
            FailOn::Lost => !self.lost.is_empty(),
            FailOn::Gained => !self.gained.is_empty(),
            FailOn::ConfirmedLost => self.confirmed_lost().next().is_some(),
        })
    }

    /// The JSON document.
    pub fn to_wire(&self) -> ComparisonWire {
        let wires = |incidents: &[&Incident]| incidents.iter().map(|incident| (*incident).into()).collect();
        ComparisonWire {
            lost: wires(&self.lost),
            gained: wires(&self.gained),
            moved: self
                .moved()
                .map(|(before, after)| MovedWire {
                    before: before.into(),
                    after: after.into(),
                    minutes_later: (after.opened_millis - before.opened_millis) as f64 / 60_000.0,
                })
                .collect(),
            kept: self.kept.len(),
            confirmed: self.confirmed.len(),
            confirmed_lost: self.confirmed_lost().map(|label| label.name.clone()).collect(),
        }
    }
}

fn span(incident: &Incident) -> (i64, i64) {
    (incident.opened_millis, incident.until_millis)
}

fn overlap((a, b): (i64, i64), (c, d): (i64, i64)) -> i64 {
    (b.min(d) - a.max(c)).max(0)
}
