//! Which open incident an anomaly belongs to.
//!
//! An anomaly joins the incident whose slices share traffic with its own: roll-ups above, slices inside, other measures.
//! One that shares none may be the same trouble spreading, or another. It is the same when one slice now explains
//! both; it is another when, with all open incidents explained away, the search still finds it with clear evidence. In
//! doubt it joins. Anomalies that joined in doubt are asked again in every window, which is how an incident splits; two
//! incidents that one slice explains are merged into the older. Minor anomalies find each other in the same way, and are
//! taken over by a paging incident that shares traffic with them.
//!
//! An incident is over when its anomalies are and its slices are no longer off: the short comparisons that page get used to
//! a trouble within hours, and the way back would be a second page.

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

/// The same for minor anomalies: a list may hold one more, a pager may not.
const MINOR_APART_SCORE: f64 = 12.0;

/// A minor anomaly of this severity is rare enough to keep a paging incident open.
const MINOR_CLEAR: f64 = 90.0;

/// Nothing keeps an incident open for longer after its last anomaly: by then a detector has accepted the level.
const LINGERS_MILLIS: i64 = 12 * 3_600_000;

/// A minor anomaly that went along with a paging incident makes none of its own for so many windows.
const ALONG_WINDOWS: i64 = 12;

/// At most so many anomalies of a window ask the search where they belong; further ones join in doubt.
const SEARCHES_MAX: usize = 8;

/// The same for minor anomalies, which are many where series are many.
const MINOR_SEARCHES_MAX: usize = 2;

/// With so many minor incidents open, further minor anomalies join in doubt.
const MINOR_OPEN_MAX: usize = 20;

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
    /// Windows since anything spoke for it.
    quiet: u32,
    /// End of the last window with an anomaly.
    heard_millis: i64,
}

/// Open incidents by number.
pub(super) type OpenIncidents = BTreeMap<u64, OpenIncident>;

impl OpenIncident {
    pub(super) fn new(incident: Incident) -> Self {
        let (active, seen) = (BTreeSet::new(), BTreeSet::new());
        let (loud, explained) = (BTreeSet::new(), Explained::default());
        let heard_millis = incident.opened_millis;
        Self { incident, active, seen, loud, is_settled: false, explained, quiet: 0, heard_millis }
    }

    /// Takes a window without any anomaly of its own; says whether its slices are still off.
    pub(super) fn wait(&mut self, view: &WindowView<'_>) -> bool {
        self.quiet += 1;
        let is_off = view.end_millis - self.heard_millis <= LINGERS_MILLIS && self.explained.set_aside(view);
        if is_off {
            self.incident.until_millis = view.end_millis;
        }
        is_off
    }

    /// Whether an incident whose anomalies are over goes on.
    pub(super) fn lingers(&mut self, view: &WindowView<'_>) -> bool {
        if self.incident.merged_into.is_some() || view.end_millis - self.heard_millis > LINGERS_MILLIS {
            return false;
        }
        if self.quiet <= view.facts.calm_windows {
            return true;
        }
        let goes_on = self.explained.goes_on();
        if goes_on {
            self.quiet = 0;
            self.restate(view);
        }
        goes_on
    }

    fn restate(&mut self, view: &WindowView<'_>) {
        let rarest = self.incident.members.first().map_or(0, |member| member.anomaly.series);
        self.incident.restate(view.facts, &self.explained, view.measure(rarest));
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
        self.heard_millis = view.end_millis;
        let is_own = |anomaly: &&&Anomaly| self.explained.is_own(view.measure(anomaly.series), anomaly.side);
        let own: Vec<&Anomaly> = joining.iter().filter(is_own).copied().collect();
        let is_new_peak = self.incident.take(view, joining, &own);
        self.incident.num_members = self.seen.len();
        if own.is_empty() {
            self.quiet += 1;
            self.explained.set_aside(view);
            return;
        }
        self.quiet = 0;
        let rarest = self.incident.members.first().map_or(0, |member| member.anomaly.series);
        let measures = own.iter().map(|anomaly| view.measure(anomaly.series));
        self.explained.take(view, space, measures, (rarest, is_new_peak), others);
        self.restate(view);
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

/// Finds a home for the anomalies of a window among the incidents of a kind, opening new ones by `open` where needed.
pub(super) fn house<'a>(
    all: &mut OpenIncidents,
    (space, view): (&Space<'_>, &WindowView<'_>),
    kind: IncidentKind,
    anomalies: &[&'a Anomaly],
    homes: &mut Homes<'a>,
    mut open: impl FnMut(&Anomaly) -> (u64, OpenIncident),
) {
    let mut ordered = anomalies.to_vec();
    ordered.sort_by(|a, b| a.page_log10_rate.total_cmp(&b.page_log10_rate).then(a.series.cmp(&b.series)));
    let mut searches = match kind {
        IncidentKind::Minor if of_kind(all, kind).count() >= MINOR_OPEN_MAX => 0,
        IncidentKind::Minor => MINOR_SEARCHES_MAX,
        _ => SEARCHES_MAX,
    };
    for anomaly in ordered {
        let number = match place(all, (space, view), kind, anomaly, &mut searches) {
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
    if of_kind(all, kind).count() > 1 {
        let sharing =
            |slice: &SliceKey| of_kind(all, kind).filter(|(_, open)| open.explained.overlaps(slice)).count();
        let held = |slice: &SliceKey| of_kind(all, kind).any(|(_, open)| open.explained.contains(slice));
        let slices = anomalies.iter().map(|anomaly| (anomaly.series, view.slice(anomaly.series)));
        let passing = slices.filter(|(_, slice)| !held(slice) && sharing(slice) > 1);
        homes.passing.extend(passing.map(|(series, _)| series));
    }
}

fn of_kind(all: &OpenIncidents, kind: IncidentKind) -> impl Iterator<Item = (&u64, &OpenIncident)> {
    all.iter().filter(move |(_, open)| open.incident.kind == kind)
}

fn place(
    all: &mut OpenIncidents,
    (space, view): (&Space<'_>, &WindowView<'_>),
    kind: IncidentKind,
    anomaly: &Anomaly,
    searches: &mut usize,
) -> Place {
    let slice = view.slice(anomaly.series);
    let measure = view.measure(anomaly.series);
    let deviations = || of_kind(all, kind);
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
    let apart = if kind == IncidentKind::Minor { MINOR_APART_SCORE } else { APART_SCORE };
    if let Some(one) = space.explain(measure).filter(|one| one.score >= apart) {
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
        Some(two) if two.score >= apart && two.slices.iter().any(|found| found.overlaps(slice)) => {
            Place::Opens(Some(two))
        }
        _ => in_doubt,
    }
}

/// Minor anomalies that go along with paging incidents, and until when they open none of their own.
pub(super) type Along = BTreeMap<usize, i64>;

/// Lets minor anomalies accompany the paging incident that shares traffic with them; most are told with it and do not
/// keep it open. Gives back those that are alone.
pub(super) fn accompany<'a>(
    all: &mut OpenIncidents,
    view: &WindowView<'_>,
    minor: Vec<&'a Anomaly>,
    homes: &mut Homes<'a>,
    along: &mut Along,
) -> Vec<&'a Anomaly> {
    let mut alone = Vec::new();
    let until_millis = view.end_millis + ALONG_WINDOWS * (view.end_millis - view.start_millis);
    for anomaly in minor {
        let slice = view.slice(anomaly.series);
        let host = of_kind(all, IncidentKind::Deviation).find(|(_, open)| open.explained.overlaps(slice));
        let Some((number, lasts)) = host.map(|(number, open)| (*number, open.lasts_with(anomaly, slice)))
        else {
            if along.get(&anomaly.series).is_none_or(|until| *until <= view.end_millis) {
                alone.push(anomaly);
            }
            continue;
        };
        along.insert(anomaly.series, until_millis);
        if lasts {
            homes.joining.entry(number).or_default().push(anomaly);
        } else if let Some(joining) = homes.joining.get_mut(&number) {
            joining.push(anomaly);
        }
    }
    take_over(all, view, homes);
    alone
}

/// Paging incidents take over the minor ones of their slices, but not when what pages is the way back of the minor one. What
/// explained the minor one stays with it: it may have drifted for a day.
fn take_over(all: &mut OpenIncidents, view: &WindowView<'_>, homes: &Homes<'_>) {
    let pages: Vec<u64> = of_kind(all, IncidentKind::Deviation).map(|(number, _)| *number).collect();
    let minors: Vec<u64> = of_kind(all, IncidentKind::Minor).map(|(number, _)| *number).collect();
    for (page, minor) in pages.iter().flat_map(|page| minors.iter().map(move |minor| (page, minor))) {
        let (Some(host), Some(guest)) = (all.get(page), all.get(minor)) else { continue };
        let own = |anomaly: &&Anomaly| guest.explained.is_own(view.measure(anomaly.series), anomaly.side);
        let speaks = homes.joining.get(page).is_some_and(|joining| joining.iter().any(own));
        let shares = host.explained.slices.iter().any(|slice| guest.explained.overlaps(slice));
        let is_left = guest.active.iter().all(|series| host.explained.overlaps(view.slice(*series)));
        if !speaks || !shares || !is_left || guest.incident.merged_into.is_some() {
            continue;
        }
        let host = host.incident.id.clone();
        if let Some(guest) = all.get_mut(minor) {
            guest.incident.merged_into = Some(host);
            guest.active.clear();
        }
    }
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
