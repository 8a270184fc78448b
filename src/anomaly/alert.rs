//! Who is told what: alert rules, and the rows they make of an incident's life.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use tidewatch_detectors::{Side, log10_rate_of_severity};

use super::{
    Conditions, DigestEntry, Impact, Incident, IncidentKind, IncidentState, MonitorFacts, Pacing, RuleEvent,
    SeverityTrack, Updates,
    pace::{Pace, Verdict},
};

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
    /// What people call it; `MONITOR/NUMBER` if nobody said.
    pub name: String,
    /// From where on it speaks.
    pub threshold: Threshold,
    /// Names of the notifiers it speaks to.
    pub to: Vec<String>,
    /// What an incident must be like.
    pub conditions: Conditions,
    /// How often people want to hear.
    pub pacing: Pacing,
}

impl AlertRule {
    /// A rule that tells everything from `threshold` on, at once.
    pub fn new(threshold: Threshold, to: Vec<String>) -> Self {
        let (conditions, pacing) = (Conditions::default(), Pacing::default());
        Self { name: String::new(), threshold, to, conditions, pacing }
    }
}

/// What an alert tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// An incident passed the rule's threshold.
    Opened,
    /// It became clearly more severe than last told.
    Escalated,
    /// Nothing of it is off any more; if that lasts, it will be over.
    Recovered,
    /// It is off again after that.
    Resumed,
    /// What was told is not so: something else explains it, or late events changed its numbers.
    Revised,
    /// It is over.
    Closed,
    /// Late events left nothing of it.
    Retracted,
    /// The rule's cap is reached: further alerts are held back.
    Suppressed,
    /// Everything of an hour or a day in one message.
    Digest,
    /// Somebody takes care of it.
    Acknowledged,
}

impl AlertKind {
    /// The word in ids and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Recovered => "recovered",
            Self::Resumed => "resumed",
            Self::Revised => "revised",
            Self::Closed => "closed",
            Self::Retracted => "retracted",
            Self::Suppressed => "suppressed",
            Self::Digest => "digest",
            Self::Acknowledged => "acknowledged",
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
    /// The incident as it stood; of a digest the last one.
    pub incident: Incident,
    /// How many incidents the rule's cap held back since it last spoke.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held_back: u64,
    /// What a digest holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digest: Vec<DigestEntry>,
}

impl Alert {
    /// An alert that tells nothing real, for trying a notifier.
    pub fn example(notifier: &str, at_millis: i64) -> Self {
        let opened_millis = at_millis - 600_000;
        let mut incident =
            Incident::open("test-1".to_owned(), IncidentKind::Deviation, "test", opened_millis);
        incident.until_millis = at_millis;
        incident.severity = SeverityTrack::starting(75.0);
        "orders".clone_into(&mut incident.measure);
        incident.side = Some(Side::Drop);
        incident.slice = BTreeMap::from([("country".to_owned(), "DE".to_owned())]);
        incident.slices = vec![incident.slice.clone()];
        (incident.expected, incident.actual) = (100.0, 62.0);
        let unit = "orders".to_owned();
        incident.impact = Some(Impact { value: -38.0, lower: -50.0, upper: -26.0, unit, money: None });
        "This is a test: orders 38 % below expected in country DE".clone_into(&mut incident.summary);
        Self {
            id: format!("test-1:0:1:opened:{notifier}:{at_millis}"),
            notifier: notifier.to_owned(),
            kind: AlertKind::Opened,
            at_millis,
            incident,
            held_back: 0,
            digest: Vec::new(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How far a rule has told of an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    /// The peak severity it last spoke of.
    severity: f64,
    /// How often it spoke.
    times: u32,
    /// What it last said explains the incident.
    #[serde(default)]
    about: String,
    /// It last said that nothing is off any more.
    #[serde(default)]
    recovered: bool,
}

/// In which of its last windows an incident concerned a rule; the lowest bit is the newest window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lasting {
    windows: u64,
    end_millis: i64,
}

impl Lasting {
    fn note(&mut self, end_millis: i64, interval_millis: i64) {
        let passed = (end_millis - self.end_millis) / interval_millis.max(1);
        let older =
            u32::try_from(passed).ok().and_then(|passed| self.windows.checked_shl(passed)).unwrap_or(0);
        *self = Self { windows: older | 1, end_millis };
    }
}

/// A rise of the peak by more than this since the last alert is told again: it is ten times as rare. Less would tell the
/// first minutes of one trouble three times over.
pub(super) const ESCALATION_STEP: f64 = 10.0;

/// The moment at which rules are asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'m> {
    /// The monitor and its rules.
    pub(super) facts: &'m MonitorFacts,
    /// Series that a false alarm may come from.
    pub(super) num_series: usize,
    /// Event time.
    pub(super) at_millis: i64,
    /// The window's length.
    pub(super) interval_millis: i64,
}

/// Adds the alerts that `incident` causes at this moment, and remembers them in it and in `paces`.
pub(super) fn tell(
    incident: &mut Incident,
    paces: &mut BTreeMap<usize, Pace>,
    moment: Moment<'_>,
    updates: &mut Updates,
) {
    if incident.is_muted(moment.at_millis) && !incident.is_closed() {
        return;
    }
    for (index, rule) in moment.facts.rules.iter().enumerate() {
        let Some(kind) = wanted(incident, index, rule, moment) else { continue };
        let pace = paces.entry(index).or_default();
        if incident.is_closed() || rule.conditions.speaks_at(moment.at_millis, &moment.facts.zone) {
            speak(incident, (index, rule), kind, pace, moment, updates);
        } else {
            pace.hold(&incident.id, &mut updates.held_back.schedule);
        }
    }
    if incident.is_closed() {
        for pace in paces.values_mut() {
            pace.release(&incident.id);
        }
    }
}

/// Tells those who asked for it that nothing of `incident` is off at this moment, once. False when nobody was told.
pub(super) fn tell_recovery(
    incident: &mut Incident,
    paces: &mut BTreeMap<usize, Pace>,
    moment: Moment<'_>,
    updates: &mut Updates,
) -> bool {
    let mut any = false;
    for (index, rule) in moment.facts.rules.iter().enumerate() {
        let conditions = &rule.conditions;
        let news = incident.told.get(&index).is_some_and(|told| !told.recovered);
        let asked = conditions.wants(RuleEvent::Recovered);
        if news && asked && conditions.speaks_at(moment.at_millis, &moment.facts.zone) {
            let pace = paces.entry(index).or_default();
            speak(incident, (index, rule), AlertKind::Recovered, pace, moment, updates);
            any = true;
        }
    }
    any
}

/// What the rule would tell now, were it not for its pacing.
fn wanted(incident: &mut Incident, index: usize, rule: &AlertRule, moment: Moment<'_>) -> Option<AlertKind> {
    let conditions = &rule.conditions;
    if incident.is_closed() {
        return incident.told.get(&index).map(|_| AlertKind::Closed);
    }
    if !rule.threshold.concerns(conditions.rate(incident), moment.num_series) {
        return None;
    }
    let is_certain = matches!(incident.kind, IncidentKind::NoData | IncidentKind::EngineTrouble);
    if conditions.duration.is_some() && !is_certain {
        let lasting = incident.lasting.entry(index).or_default();
        lasting.note(moment.at_millis, moment.interval_millis);
        if !conditions.lasted(lasting.windows) {
            return None;
        }
    }
    match incident.told.get(&index) {
        None => Some(AlertKind::Opened),
        Some(told) if incident.severity.peak > told.severity + ESCALATION_STEP => Some(AlertKind::Escalated),
        Some(told) if told.recovered => Some(AlertKind::Resumed),
        Some(told) if conditions.wants(RuleEvent::Revised) && told.about != about(incident) => {
            Some(AlertKind::Revised)
        }
        Some(_) => None,
    }
}

/// What explains an incident, to be compared.
fn about(incident: &Incident) -> String {
    format!("{} {:?} {:?}", incident.measure, incident.side, incident.slice)
}

fn speak(
    incident: &mut Incident,
    (index, rule): (usize, &AlertRule),
    kind: AlertKind,
    pace: &mut Pace,
    moment: Moment<'_>,
    updates: &mut Updates,
) {
    // Whether a revision is told was decided by what it did.
    let is_decided = matches!(kind, AlertKind::Retracted | AlertKind::Revised);
    let silent = !is_decided && !rule.conditions.wants(event_of(incident, kind));
    let verdict = match kind {
        AlertKind::Closed | AlertKind::Retracted | AlertKind::Recovered | AlertKind::Resumed => {
            Verdict::Tell { held_back: 0 }
        }
        _ if incident.is_closed() => Verdict::Tell { held_back: 0 },
        // Remembered as told, so that later events of the incident are.
        _ if silent || rule.pacing.digest.is_some() => Verdict::Tell { held_back: 0 },
        _ => pace.judge(rule.pacing, &incident.id, moment.at_millis),
    };
    let (kind, held_back) = match verdict {
        Verdict::Cool => return pace.hold(&incident.id, &mut updates.held_back.cool_down),
        Verdict::Hold => return pace.hold(&incident.id, &mut updates.held_back.cap),
        Verdict::Notice { held_back } => {
            pace.hold(&incident.id, &mut updates.held_back.cap);
            (AlertKind::Suppressed, held_back)
        }
        Verdict::Tell { held_back } => {
            pace.release(&incident.id);
            let times = incident.told.get(&index).map_or(0, |told| told.times) + 1;
            let (severity, recovered) = (incident.severity.peak, kind == AlertKind::Recovered);
            incident.told.insert(index, Told { severity, times, about: about(incident), recovered });
            (kind, held_back)
        }
    };
    if silent {
        return;
    }
    if let Some(every) = rule.pacing.digest {
        let due_millis = every.next_after(moment.at_millis, &moment.facts.zone);
        pace.collect(due_millis, incident, kind, moment.at_millis);
        return;
    }
    let about = match kind {
        AlertKind::Suppressed => format!("{}:{index}:{}", incident.id, moment.at_millis),
        _ => format!("{}:{index}:{}", incident.id, incident.told.get(&index).map_or(0, |told| told.times)),
    };
    for notifier in &rule.to {
        updates.alerts.push(Alert {
            id: format!("{about}:{}:{notifier}", kind.as_str()),
            notifier: notifier.clone(),
            kind,
            at_millis: moment.at_millis,
            incident: incident.clone(),
            held_back,
            digest: Vec::new(),
        });
    }
}

/// Tells those who were told of `incident` that late events changed its numbers, or left nothing of it. Whoever hears
/// of ends hears that too, or would keep an incident open that was taken back.
pub(super) fn tell_revision(
    incident: &mut Incident,
    was_open: bool,
    paces: &mut BTreeMap<usize, Pace>,
    moment: Moment<'_>,
    updates: &mut Updates,
) {
    let is_gone = incident.state == IncidentState::Retracted;
    let kind = if is_gone { AlertKind::Retracted } else { AlertKind::Revised };
    for (index, rule) in moment.facts.rules.iter().enumerate() {
        let conditions = &rule.conditions;
        let asked = if is_gone {
            conditions.wants(RuleEvent::Retracted) || was_open && conditions.wants(RuleEvent::Closed)
        } else {
            let quiet = incident.is_muted(moment.at_millis)
                || !conditions.speaks_at(moment.at_millis, &moment.facts.zone);
            conditions.wants(RuleEvent::Revised) && !quiet
        };
        if asked && incident.told.contains_key(&index) {
            speak(incident, (index, rule), kind, paces.entry(index).or_default(), moment, updates);
        }
    }
    if is_gone {
        for pace in paces.values_mut() {
            pace.release(&incident.id);
        }
    }
}

/// Tells every notifier that was told of `incident` that somebody takes care of it, once.
pub(super) fn acknowledged(incident: &Incident, facts: &MonitorFacts, at_millis: i64) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for (index, rule) in facts.rules.iter().enumerate().filter(|(index, _)| incident.told.contains_key(index))
    {
        let wants = |events: &Vec<RuleEvent>| events.contains(&RuleEvent::Acknowledged);
        if rule.pacing.digest.is_some() || !rule.conditions.events.as_ref().is_none_or(wants) {
            continue;
        }
        alerts.extend(rule.to.iter().map(|notifier| Alert {
            id: format!("{}:{index}:acknowledged:{notifier}", incident.id),
            notifier: notifier.clone(),
            kind: AlertKind::Acknowledged,
            at_millis,
            incident: incident.clone(),
            held_back: 0,
            digest: Vec::new(),
        }));
    }
    alerts
}

fn event_of(incident: &Incident, kind: AlertKind) -> RuleEvent {
    match (incident.kind, kind) {
        (IncidentKind::NoData, AlertKind::Opened) => RuleEvent::NoData,
        (IncidentKind::EngineTrouble, AlertKind::Opened) => RuleEvent::EngineTrouble,
        (_, AlertKind::Closed) => RuleEvent::Closed,
        (_, AlertKind::Escalated) => RuleEvent::Escalated,
        (_, AlertKind::Recovered | AlertKind::Resumed) => RuleEvent::Recovered,
        (_, AlertKind::Revised) => RuleEvent::Revised,
        (_, AlertKind::Retracted) => RuleEvent::Retracted,
        _ => RuleEvent::Opened,
    }
}

/// Sends the digests whose hour or day is over.
pub(super) fn flush_digests(
    facts: &MonitorFacts,
    paces: &mut BTreeMap<usize, Pace>,
    at_millis: i64,
    alerts: &mut Vec<Alert>,
) {
    for (index, rule) in facts.rules.iter().enumerate() {
        let Some(digest) = paces.get_mut(&index).and_then(|pace| pace.due(at_millis)) else { continue };
        for notifier in &rule.to {
            alerts.push(Alert {
                id: format!("{}:{index}:{}:digest:{notifier}", facts.monitor, digest.due_millis),
                notifier: notifier.clone(),
                kind: AlertKind::Digest,
                at_millis: digest.due_millis,
                incident: digest.incident.clone(),
                held_back: digest.more,
                digest: digest.entries.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_shared_by_series_and_says_where_evidence_ends() {
        let rule = |threshold| AlertRule::new(threshold, Vec::new());
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
