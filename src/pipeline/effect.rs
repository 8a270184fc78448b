//! What a change of a monitor's settings would have changed over its stored history: incidents that people would have
//! heard of besides, or no more.
//!
//! Both settings go the same way over the same windows (`rescore.rs`), so that only the change makes a difference.

use super::{
    History, IncidentQuery, Label, Ledger, MonitorSpec, Past, Rescore, RescoreLimits, Rescored, RestoreError,
    Scores,
};
use crate::{
    anomaly::{Incident, IncidentKind, pair, rfc3339},
    window::SliceKey,
};

/// Stored incidents that are looked at for their ids and labels.
const INCIDENTS_MAX: usize = 10_000;

/// What a change would have changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effect {
    /// Start of the first window looked at and end of the last; `None` when nothing is stored.
    pub span_millis: Option<(i64, i64)>,
    /// Windows looked at.
    pub num_windows: usize,
    /// Told with the settings as they are.
    pub now: Vec<Incident>,
    /// Told with the change.
    pub then: Vec<Incident>,
    /// Told with the change only.
    pub gained: Vec<Incident>,
    /// Told as it is only.
    pub lost: Vec<Incident>,
    /// Stored incidents that people confirmed, that they hear of now and would hear of no more.
    pub confirmed_lost: Vec<Incident>,
    /// What was and was not looked at, in words.
    pub note: String,
}

/// The stored past of a monitor.
#[derive(Clone, Copy)]
pub struct EffectOf<'e> {
    /// What was stored.
    pub history: &'e dyn History,
    /// Its slices by number.
    pub slices: &'e [SliceKey],
    /// What people said.
    pub ledger: &'e Ledger,
    /// The settings as they are, and with the change. A monitor without rules is given one, or nothing is told.
    pub settings: (&'e MonitorSpec, &'e MonitorSpec),
}

impl std::fmt::Debug for EffectOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EffectOf").field("monitor", &self.settings.0.facts.monitor).finish_non_exhaustive()
    }
}

/// The effect of a change over windows that start within a range. Both settings must have the same shape.
pub async fn effect(
    of: EffectOf<'_>,
    told_millis: (i64, i64),
    limits: RescoreLimits,
) -> Result<Effect, RestoreError> {
    let (before, after) = of.settings;
    let scores = if before.judges_like(after) { Scores::Stored } else { Scores::Anew };
    let past = |spec| Past { history: of.history, spec, slices: of.slices, ledger: of.ledger };
    let limits = RescoreLimits { time: limits.time / 2, ..limits };
    let asked = Rescore { scores, told_millis, learned_from_millis: None, limits };
    let then = past(after).rescore(asked, &mut |_| {}).await?;
    let reached = then.told_millis.map_or(told_millis.0, |(_, to)| to);
    let now = if scores == Scores::Stored && before.facts == after.facts {
        then.clone()
    } else {
        let learned_from_millis = then.learned_from_millis;
        let asked = Rescore { told_millis: (told_millis.0, reached), learned_from_millis, ..asked };
        past(before).rescore(asked, &mut |_| {}).await?
    };
    let query = IncidentQuery {
        monitor: Some(before.facts.monitor.clone()),
        kind: Some(IncidentKind::Deviation),
        opened_before_millis: Some(reached),
        limit: INCIDENTS_MAX,
        ..IncidentQuery::default()
    };
    let mut stored = of.history.incidents(&query).await?;
    stored.retain(|incident| incident.until_millis > told_millis.0);
    let note = note(of, scores, (&now, &then));
    Ok(Effect { note, ..compared(&now, &then, &stored, of.ledger) })
}

/// Which incidents are told before or after only.
fn compared(now: &Rescored, then: &Rescored, stored: &[Incident], ledger: &Ledger) -> Effect {
    let known: Vec<&Incident> = stored.iter().collect();
    // Time may have run out for the settings as they are.
    let until = now.told_millis.map_or(i64::MIN, |(_, to)| to);
    let told = |rescored: &Rescored| {
        let told: Vec<&Incident> =
            rescored.told().into_iter().filter(|incident| incident.opened_millis < until).collect();
        named(&told, &known)
    };
    let (before, after) = (told(now), told(then));
    let (old, new): (Vec<&Incident>, Vec<&Incident>) = (before.iter().collect(), after.iter().collect());
    let pairs = pair(&old, &new);
    let lost: Vec<Incident> = alone(&before, pairs.iter().map(|(a, _)| *a));
    let gained = alone(&after, pairs.iter().map(|(_, b)| *b));
    let is_met = |incidents: &[&Incident], label: &Incident| !pair(incidents, &[label]).is_empty();
    let confirmed_lost = stored
        .iter()
        .filter(|incident| ledger.label(&incident.id) == Some(Label::Confirmed))
        .filter(|incident| is_met(&old, incident) && !is_met(&new, incident))
        .cloned()
        .collect();
    Effect {
        span_millis: now.told_millis,
        num_windows: now.num_windows,
        gained,
        lost,
        confirmed_lost,
        now: before,
        then: after,
        note: String::new(),
    }
}

/// The incidents without those at `partners`.
fn alone(incidents: &[Incident], partners: impl Iterator<Item = usize>) -> Vec<Incident> {
    let partners: std::collections::BTreeSet<usize> = partners.collect();
    let alone = incidents.iter().enumerate().filter(|(index, _)| !partners.contains(index));
    alone.map(|(_, incident)| incident.clone()).collect()
}

/// The incidents with the ids of the stored ones that they are, or none.
fn named(incidents: &[&Incident], stored: &[&Incident]) -> Vec<Incident> {
    let mut named: Vec<Incident> = incidents.iter().map(|incident| (*incident).clone()).collect();
    named.iter_mut().for_each(|incident| incident.id.clear());
    for (index, known) in pair(incidents, stored) {
        named[index].id.clone_from(&stored[known].id);
    }
    named
}

/// What was looked at and what not.
fn note(of: EffectOf<'_>, scores: Scores, (now, then): (&Rescored, &Rescored)) -> String {
    let (before, after) = of.settings;
    let mut parts = Vec::new();
    match scores {
        Scores::Stored => {
            parts.push("Stored scores were used, since the change leaves scores as they are.".to_owned());
            if !after.relations.is_empty() {
                parts.push("Relations were not looked at: their scores are not stored.".to_owned());
            }
        }
        Scores::Anew => {
            let from = then.learned_from_millis.map_or_else(|| "nothing".to_owned(), rfc3339);
            parts.push(format!("History was learned again under both settings, from {from} on."));
            if then.is_shortened {
                parts.push(
                    "Earlier windows were left out, since there are too many; what they taught is missing in both."
                        .to_owned(),
                );
            }
        }
    }
    if now.is_cut || then.is_cut {
        parts.push("Time ran out, so the newest windows were not looked at.".to_owned());
    }
    if !before.counts_like(after) {
        parts.push(
            "Stored windows keep what they counted: the change of fields or conditions is not in it."
                .to_owned(),
        );
    }
    parts.push("Missing data and engine trouble, which the clock tells, are not in it.".to_owned());
    parts.join(" ")
}
