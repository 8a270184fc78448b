//! The life of an incident beside its numbers: milestones, and the quiet that people asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Incident, IncidentKind, IncidentState, Updates, alert::ESCALATION_STEP};

/// Nobody is told of an incident while all of this holds; its end is told all the same, if it was told before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mute {
    /// Until then, in event time; `None` is for ever.
    pub until_millis: Option<i64>,
    /// While its peak severity is not above this; `None` is any.
    pub until_above: Option<f64>,
}

impl Mute {
    /// Whether it still holds at this time and peak severity.
    pub fn holds(&self, at_millis: i64, peak: f64) -> bool {
        self.until_millis.is_none_or(|until| at_millis < until)
            && self.until_above.is_none_or(|severity| peak <= severity)
    }
}

/// What an incident came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MilestoneKind {
    /// It began.
    Opened,
    /// Its peak severity rose clearly.
    Escalated,
    /// A window without any anomaly.
    Recovered,
    /// Anomalous again before it was closed.
    Resumed,
    /// It is over.
    Closed,
    /// Late events changed its numbers.
    Revised,
    /// Late events left nothing of it.
    Retracted,
}

impl MilestoneKind {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Recovered => "recovered",
            Self::Resumed => "resumed",
            Self::Closed => "closed",
            Self::Revised => "revised",
            Self::Retracted => "retracted",
        }
    }
}

/// One step in the life of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Milestone {
    /// The incident.
    pub incident: String,
    /// Event time: the end of the window that showed it.
    pub at_millis: i64,
    /// What happened.
    pub kind: MilestoneKind,
    /// Peak page severity by then.
    pub severity: f64,
}

/// Where each open incident is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lives(BTreeMap<String, Life>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Life {
    /// Peak severity at the last milestone that named one.
    peak: f64,
    calm: bool,
}

impl Lives {
    /// The milestones of a moment: of incidents that `changed`, and of those that are `open` after it.
    pub fn follow<'i>(
        &mut self,
        changed: &[Incident],
        open: impl Iterator<Item = &'i Incident>,
        at_millis: i64,
    ) -> Vec<Milestone> {
        let mut milestones = Vec::new();
        for incident in changed {
            let mut pass = |kind| milestones.push(Milestone::of(incident, kind, at_millis));
            let peak = incident.severity.peak;
            let life = self.0.entry(incident.id.clone()).or_insert_with(|| {
                pass(MilestoneKind::Opened);
                Life { peak, calm: false }
            });
            if peak > life.peak + ESCALATION_STEP {
                life.peak = peak;
                pass(MilestoneKind::Escalated);
            }
            if incident.is_closed() {
                pass(MilestoneKind::Closed);
                self.0.remove(&incident.id);
            }
        }
        for incident in open.filter(|incident| incident.kind != IncidentKind::NoData) {
            let Some(life) = self.0.get_mut(&incident.id) else { continue };
            let calm = incident.until_millis < at_millis;
            if calm != life.calm {
                life.calm = calm;
                let kind = if calm { MilestoneKind::Recovered } else { MilestoneKind::Resumed };
                milestones.push(Milestone::of(incident, kind, at_millis));
            }
        }
        milestones
    }

    /// The milestones of incidents that late events changed.
    pub fn revise(&mut self, updates: &Updates, at_millis: i64) -> Vec<Milestone> {
        let mut milestones = Vec::new();
        for incident in updates.incidents.iter().filter(|incident| updates.news.contains(&incident.id)) {
            let is_gone = incident.state == IncidentState::Retracted;
            let kind = if is_gone { MilestoneKind::Retracted } else { MilestoneKind::Revised };
            milestones.push(Milestone::of(incident, kind, at_millis));
            if is_gone {
                self.0.remove(&incident.id);
            }
        }
        milestones
    }
}

impl Milestone {
    fn of(incident: &Incident, kind: MilestoneKind, at_millis: i64) -> Self {
        Self { incident: incident.id.clone(), at_millis, kind, severity: incident.severity.peak }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::SeverityTrack;

    #[test]
    fn a_life_has_its_milestones_in_order() {
        let mut lives = Lives::default();
        let mut incident = Incident::open("shop-1".to_owned(), IncidentKind::Deviation, "shop", 0);
        let mut kinds = Vec::new();
        for (window, severity) in
            [Some(72.0), Some(75.0), Some(84.0), None, Some(84.0), None].iter().enumerate()
        {
            let end = (window as i64 + 1) * 60_000;
            let mut changed = Vec::new();
            if let Some(severity) = severity {
                if window == 0 {
                    incident.severity = SeverityTrack::starting(*severity);
                }
                incident.severity.update(*severity);
                incident.until_millis = end;
                changed.push(incident.clone());
            }
            let milestones = lives.follow(&changed, std::iter::once(&incident), end);
            kinds.extend(milestones.iter().map(|milestone| milestone.kind.as_str()));
        }
        incident.close();
        let end = lives.follow(&[incident], std::iter::empty(), 420_000);
        kinds.extend(end.iter().map(|milestone| milestone.kind.as_str()));
        assert_eq!(kinds, ["opened", "escalated", "recovered", "resumed", "recovered", "closed"]);
        assert_eq!(lives, Lives::default(), "what is over is forgotten");
    }

    #[test]
    fn a_mute_ends_with_its_time_or_when_it_gets_worse() {
        let for_a_time = Mute { until_millis: Some(10), until_above: None };
        assert!(for_a_time.holds(9, 99.0) && !for_a_time.holds(10, 0.0));
        let until_worse = Mute { until_millis: None, until_above: Some(80.0) };
        assert!(until_worse.holds(i64::MAX, 80.0) && !until_worse.holds(0, 80.1));
    }
}
