//! One closed window: the partials of all partitions into one frame, roll-ups added, the cap applied.

use std::collections::BTreeMap;

use super::{Aggregate, Cell, MeasureKind, PartialFrame, PartialGroup, SliceKey, SliceRegistry, WindowSpec};

/// All observations of one closed window.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Start of the window, milliseconds since the Unix epoch.
    pub start_millis: i64,
    /// End of the window, exclusive.
    pub end_millis: i64,
    /// One row per slice the monitor keeps, by slice number; quiet slices hold zeros and gaps.
    pub slices: Vec<SliceRow>,
    /// Slices that went to `(other)` because of the cap.
    pub refused_slices: usize,
}

/// One slice of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceRow {
    /// Events in the slice.
    pub events: u64,
    /// One cell per measure; `None` is a gap.
    pub cells: Vec<Option<Cell>>,
}

impl Frame {
    /// A window of which nothing is known.
    pub(super) fn gap(spec: &WindowSpec, registry: &SliceRegistry, start_millis: i64) -> Self {
        let row = SliceRow { events: 0, cells: vec![None; spec.measures.len()] };
        Self {
            start_millis,
            end_millis: spec.grid.end_of(start_millis),
            slices: vec![row; registry.len()],
            refused_slices: 0,
        }
    }
}

/// Events and aggregates of one slice while a window is combined.
type Total = (u64, Vec<Aggregate>);

/// Makes the frame of one window of all that came to it, and admits new slices to the registry.
///
/// Slices admitted before stay. New ones come in by events, then by key, until the cap; the rest are added
/// up in the `(other)` slice of their level. The whole and the `(other)` slices are outside the cap.
pub(super) fn combine(spec: &WindowSpec, registry: &mut SliceRegistry, whole: &PartialFrame) -> Frame {
    let mut totals = roll_up(spec, whole);
    let refused_slices = apply_cap(spec, registry, &mut totals);
    let mut slices: Vec<SliceRow> = Vec::with_capacity(registry.len());
    for key in registry.keys() {
        let row = match totals.remove(key) {
            Some((events, aggregates)) => SliceRow { events, cells: cells(spec, &aggregates) },
            None => quiet(spec),
        };
        slices.push(row);
    }
    let start_millis = whole.start_millis;
    let end_millis = spec.grid.end_of(start_millis);
    Frame { start_millis, end_millis, slices, refused_slices }
}

/// The partials of one window, given in partition order, as one.
pub(super) fn merge(start_millis: i64, partials: Vec<PartialFrame>) -> PartialFrame {
    let mut leaves: BTreeMap<Vec<Box<str>>, Total> = BTreeMap::new();
    for partial in partials {
        for group in partial.groups {
            match leaves.entry(group.values) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert((group.events, group.aggregates));
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    add(entry.get_mut(), group.events, &group.aggregates);
                }
            }
        }
    }
    let group = |(values, (events, aggregates))| PartialGroup { values, events, aggregates };
    PartialFrame { start_millis, groups: leaves.into_iter().map(group).collect() }
}

fn add(total: &mut Total, events: u64, aggregates: &[Aggregate]) {
    total.0 += events;
    for (aggregate, other) in total.1.iter_mut().zip(aggregates) {
        aggregate.merge(other);
    }
}

fn roll_up(spec: &WindowSpec, whole: &PartialFrame) -> BTreeMap<SliceKey, Total> {
    let mut totals: BTreeMap<SliceKey, Total> = BTreeMap::new();
    for PartialGroup { values, events, aggregates } in &whole.groups {
        for kept in &spec.rollups {
            add_to(&mut totals, SliceKey::project(values, kept), *events, aggregates);
        }
    }
    totals
}

fn add_to(totals: &mut BTreeMap<SliceKey, Total>, key: SliceKey, events: u64, aggregates: &[Aggregate]) {
    match totals.entry(key) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert((events, aggregates.to_vec()));
        }
        std::collections::btree_map::Entry::Occupied(mut entry) => {
            add(entry.get_mut(), events, aggregates);
        }
    }
}

fn apply_cap(
    spec: &WindowSpec,
    registry: &mut SliceRegistry,
    totals: &mut BTreeMap<SliceKey, Total>,
) -> usize {
    let mut new: Vec<(u64, SliceKey)> = totals
        .iter()
        .filter(|(key, _)| registry.number(key).is_none())
        .map(|(key, (events, _))| (*events, key.clone()))
        .collect();
    new.sort_by(|(a_events, a), (b_events, b)| {
        b.is_whole().cmp(&a.is_whole()).then(b_events.cmp(a_events)).then(a.cmp(b))
    });
    let mut refused = 0;
    for (_, key) in new {
        if registry.len() < spec.max_slices() || key.is_whole() {
            registry.admit(key);
            continue;
        }
        refused += 1;
        let other = key.other();
        if registry.number(&other).is_none() {
            registry.admit(other.clone());
        }
        if let Some((events, aggregates)) = totals.remove(&key) {
            add_to(totals, other, events, &aggregates);
        }
    }
    refused
}

fn cells(spec: &WindowSpec, aggregates: &[Aggregate]) -> Vec<Option<Cell>> {
    let mut aggregates = aggregates.iter();
    let mut cells: Vec<Option<Cell>> = spec
        .measures
        .iter()
        .map(|measure| match measure.kind {
            MeasureKind::Aggregate(kind) => aggregates.next()?.cell(kind),
            MeasureKind::Ratio { .. } => None,
        })
        .collect();
    for (index, measure) in spec.measures.iter().enumerate() {
        if let MeasureKind::Ratio { numerator, denominator } = measure.kind {
            cells[index] = ratio(cells[numerator], cells[denominator]);
        }
    }
    cells
}

fn ratio(numerator: Option<Cell>, denominator: Option<Cell>) -> Option<Cell> {
    let (above, below) = (numerator?.value, denominator?.value);
    let value = above / below;
    value.is_finite().then_some(Cell { value, weight: below })
}

pub(super) fn quiet(spec: &WindowSpec) -> SliceRow {
    let empty: Vec<Aggregate> = spec.aggregates().map(Aggregate::empty).collect();
    SliceRow { events: 0, cells: cells(spec, &empty) }
}
