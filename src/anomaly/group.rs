//! Which open incident an anomaly belongs to.
//!
//! An anomaly joins the incident whose slices share traffic with its own: roll-ups above, slices inside, other measures.
//! One that shares none may be the same trouble spreading, or another. It is the same when one slice now explains
//! both; it is another when, with all open incidents explained away, the search still finds it with clear evidence. In
//! doubt it joins. Anomalies that joined in doubt are asked again in every window, which is how an incident splits; two
//! incidents that one slice explains are merged into the older.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Anomaly, Incident, IncidentKind, WindowView,
    explain::Explained,
    space::{Finding, Space},
};
use crate::window::SliceKey;

/// Evidence from which on a second cause is believed, or that one slice explains two incidents.
const APART_SCORE: f64 = 30.0;

/// A minor anomaly of this severity is rare enough to keep a paging incident open.
const MINOR_CLEAR: f64 = 90.0;

/// At most so many anomalies of a window ask the search where they belong; further ones join in doubt.
const SEARCHES_MAX: usize = 8;

/// An open incident and what belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenIncident {
    pub(super) incident: Incident,
    /// Series whose anomalies are still open.
    pub(super) active: BTreeSet<usize>,
    /// Every series that took part.
    pub(super) seen: BTreeSet<usize>,
    /// Starts of its anomalous windows that can still be revised.
    pub(super) loud: BTreeSet<i64>,
    /// It has anomalous windows that can no longer be revised.
    pub(super) is_settled: bool,
    pub(super) explained: Explained,
}

/// Open incidents by number.
pub(super) type OpenIncidents = BTreeMap<u64, OpenIncident>;

impl OpenIncident {
    pub(super) fn new(incident: Incident) -> Self {
        let (active, seen) = (BTreeSet::new(), BTreeSet::new());
        let (loud, explained) = (BTreeSet::new(), Explained::default());
        Self { incident, active, seen, loud, is_settled: false, explained }
    }

    /// Takes the anomalies of a window; those `passing` do not keep it open.
    pub(super) fn take(
        &mut self,
        view: &WindowView<'_>,
        space: &Space<'_>,
        joining: &[&Anomaly],
        passing: &BTreeSet<usize>,
        others: &[SliceKey],
    ) {
        for anomaly in joining {
            if self.lasts_with(anomaly, view.slice(anomaly.series)) && !passing.contains(&anomaly.series) {
                self.active.insert(anomaly.series);
            } else {
                self.active.remove(&anomaly.series);
            }
        }
        self.seen.extend(joining.iter().map(|anomaly| anomaly.series));
        let is_new_peak = self.incident.take(view, joining);
        self.incident.num_members = self.seen.len();
        let rarest = self.incident.members.first().map_or(0, |member| member.anomaly.series);
        let measures = joining.iter().map(|anomaly| view.measure(anomaly.series));
        self.explained.take(view, space, measures, (rarest, is_new_peak), others);
        self.incident.restate(view.facts, &self.explained, view.measure(rarest));
    }
}

impl OpenIncident {
    /// Whether the incident goes on while this anomaly does. A clear minor one inside its slices keeps a paging one
    /// open, so that trouble which fades and comes back is one; others are too frequent for that.
    fn lasts_with(&self, anomaly: &Anomaly, slice: &SliceKey) -> bool {
        let is_clear = anomaly.minor_peak >= MINOR_CLEAR && self.explained.contains(slice);
        self.incident.kind != IncidentKind::Deviation || anomaly.is_page() || is_clear
    }
}

/// What becomes of an anomaly that shares no traffic with any open incident.
enum Place {
    Joins(u64),
    Opens(Option<Finding>),
}

/// Where the anomalies of a window belong.
#[derive(Debug, Default)]
pub(super) struct Homes<'a> {
    /// By the number of their incident.
    pub(super) joining: BTreeMap<u64, Vec<&'a Anomaly>>,
    /// Series above the slices of several incidents: they are told with one and keep none open.
    pub(super) passing: BTreeSet<usize>,
}

/// Finds a home for the anomalies of a window, opening incidents by `open` where needed.
pub(super) fn house<'a>(
    all: &mut OpenIncidents,
    space: &Space<'_>,
    view: &WindowView<'_>,
    anomalies: &[&'a Anomaly],
    mut open: impl FnMut(&Anomaly) -> (u64, OpenIncident),
) -> Homes<'a> {
    let mut ordered = anomalies.to_vec();
    ordered.sort_by(|a, b| a.page_log10_rate.total_cmp(&b.page_log10_rate).then(a.series.cmp(&b.series)));
    let mut searches = SEARCHES_MAX;
    let mut homes = Homes::default();
    for anomaly in ordered {
        let number = match place(all, space, view, anomaly, &mut searches) {
            Place::Joins(number) => number,
            Place::Opens(finding) => {
                let (number, mut opened) = open(anomaly);
                opened.explained.start(space, view, anomaly.series, finding);
                all.insert(number, opened);
                number
            }
        };
        for (other, open) in all.iter_mut() {
            if *other != number {
                open.active.remove(&anomaly.series);
            }
        }
        homes.joining.entry(number).or_default().push(anomaly);
    }
    if homes.joining.len() > 1 {
        let sharing =
            |slice: &SliceKey| deviations(all).filter(|(_, open)| open.explained.overlaps(slice)).count();
        let held = |slice: &SliceKey| deviations(all).any(|(_, open)| open.explained.contains(slice));
        let slices = anomalies.iter().map(|anomaly| (anomaly.series, view.slice(anomaly.series)));
        let passing = slices.filter(|(_, slice)| !held(slice) && sharing(slice) > 1);
        homes.passing = passing.map(|(series, _)| series).collect();
    }
    homes
}

fn deviations(all: &OpenIncidents) -> impl Iterator<Item = (&u64, &OpenIncident)> {
    all.iter().filter(|(_, open)| open.incident.kind == IncidentKind::Deviation)
}

fn place(
    all: &mut OpenIncidents,
    space: &Space<'_>,
    view: &WindowView<'_>,
    anomaly: &Anomaly,
    searches: &mut usize,
) -> Place {
    let slice = view.slice(anomaly.series);
    let measure = view.measure(anomaly.series);
    let deviations = || deviations(all);
    let sharing = || deviations().filter(|(_, open)| open.explained.overlaps(slice));
    let own = deviations().find(|(_, open)| open.active.contains(&anomaly.series)).map(|(number, _)| *number);
    let stays = own.filter(|own| all[own].explained.overlaps(slice));
    let holding = || sharing().find(|(_, open)| open.explained.contains(slice)).map(|(number, _)| *number);
    if let Some(number) = stays.or_else(holding).or_else(|| sharing().next().map(|(number, _)| *number)) {
        return Place::Joins(number);
    }
    let Some(oldest) = deviations().next().map(|(number, _)| *number) else {
        return Place::Opens(space.explain(measure));
    };
    let in_doubt = Place::Joins(own.unwrap_or(oldest));
    if *searches == 0 {
        return in_doubt;
    }
    *searches -= 1;
    if let Some(one) = space.explain(measure).filter(|one| one.score >= APART_SCORE) {
        let spreads = one.slices.iter().any(|wide| wide.overlaps(slice));
        let hosts = deviations().find(|(_, open)| spreads && open.explained.is_within(&one.slices));
        if let Some(number) = hosts.map(|(number, _)| *number) {
            if let Some(open) = all.get_mut(&number) {
                open.explained.begin(space, one, measure);
            }
            return Place::Joins(number);
        }
    }
    let known: Vec<SliceKey> = deviations().flat_map(|(_, open)| open.explained.slices.clone()).collect();
    match space.explain_beside(measure, &known) {
        Some(two) if two.score >= APART_SCORE && two.slices.iter().any(|found| found.overlaps(slice)) => {
            Place::Opens(Some(two))
        }
        _ => in_doubt,
    }
}

/// Lets minor anomalies accompany the paging incident that shares traffic with them; most are told with it and do not
/// keep it open. Gives back those that are alone.
pub(super) fn accompany<'a>(
    all: &mut OpenIncidents,
    view: &WindowView<'_>,
    minor: Vec<&'a Anomaly>,
    homes: &mut Homes<'a>,
) -> Vec<&'a Anomaly> {
    let mut alone = Vec::new();
    for anomaly in minor {
        let slice = view.slice(anomaly.series);
        let host = all.iter().find(|(_, open)| {
            open.incident.kind == IncidentKind::Deviation && open.explained.overlaps(slice)
        });
        let told = |(number, open): (&u64, &OpenIncident)| {
            (*number, open.incident.id.clone(), open.lasts_with(anomaly, slice))
        };
        let Some((number, id, lasts)) = host.map(told) else {
            alone.push(anomaly);
            continue;
        };
        for open in all.values_mut().filter(|open| open.incident.kind == IncidentKind::Minor) {
            if open.active.remove(&anomaly.series) && open.active.is_empty() {
                open.incident.merged_into = Some(id.clone());
            }
        }
        if lasts {
            homes.joining.entry(number).or_default().push(anomaly);
        } else if let Some(joining) = homes.joining.get_mut(&number) {
            joining.push(anomaly);
        }
    }
    alone
}

/// Two incidents that one slice explains become one, the older; gives the number of the younger and the older.
pub(super) fn merge(all: &mut OpenIncidents, space: &Space<'_>, joined: &[u64]) -> Option<(u64, u64)> {
    let [older, younger, ..] = joined else { return None };
    let measure = all.get(older)?.explained.measure;
    let one = space.explain(measure).filter(|one| one.score >= APART_SCORE)?;
    let both = [older, younger].iter().all(|number| all[*number].explained.is_within(&one.slices));
    if !both {
        return None;
    }
    let absorbed = all.get(younger)?.clone();
    let kept = all.get_mut(older)?;
    kept.active.extend(&absorbed.active);
    kept.seen.extend(&absorbed.seen);
    kept.loud.extend(&absorbed.loud);
    kept.is_settled |= absorbed.is_settled;
    kept.incident.absorb(&absorbed.incident);
    kept.incident.num_members = kept.seen.len();
    kept.explained.begin(space, one, measure);
    let older_id = kept.incident.id.clone();
    let given_up = all.get_mut(younger)?;
    given_up.active.clear();
    given_up.incident.merged_into = Some(older_id);
    Some((*younger, *older))
}
