//! The special times a monitor knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    monitors::Name,
    params::Params,
    past::{HeldPast, entered},
    state::{App, MonitorInfo},
    wire::ErrorWire,
};
use crate::{
    calendar::SpecialTimeWire,
    pipeline::{SHARD_SLICES, SeriesAt},
    window::SliceKey,
};

/// How far is listed when `to` is left out.
const DEFAULT_SPAN_MILLIS: i64 = 90 * 86_400_000;
/// The longest span of one answer.
const SPAN_MILLIS_MAX: i64 = 800 * 86_400_000;

/// Slices whose series say what they have learned of an occasion: the most general ones that it holds for.
const SLICES_SHOWN: usize = 3;
/// And so many for all occasions together.
const SLICES_SHOWN_MAX: usize = 24;

/// Special times, in order of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Calendar")]
pub(super) struct CalendarWire {
    /// The special times that touch the span.
    times: Vec<CalendarTimeWire>,
}

/// A special time and what was learned of its like.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "CalendarTime")]
pub(super) struct CalendarTimeWire {
    /// The special time.
    #[serde(flatten)]
    time: SpecialTimeWire,
    /// What earlier times of the same occasion did; empty while it has not been seen to its end.
    learned: Vec<LearnedWire>,
}

/// What an occasion did to a series.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "LearnedEffect")]
pub(super) struct LearnedWire {
    /// The measure.
    measure: String,
    /// The slice; `{}` is the whole.
    slice: BTreeMap<String, String>,
    /// What the usual value was multiplied by, the mean over all times.
    #[schema(example = 1.8)]
    uplift: f64,
    /// How often it was seen.
    times: u32,
}

/// Holidays, promotions, deploys and outages that a monitor knows.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}/calendar",
    tag = "monitors",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("from" = Option<String>, Query, description = "From this RFC 3339 time on; now if left out"),
        ("to" = Option<String>, Query,
            description = "Until this RFC 3339 time, at most 800 days later; 90 days if left out"),
    ),
    responses(
        (status = 200, body = CalendarWire, description = "Special times"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Name(name): Name,
    mut params: Params,
) -> Result<Json<CalendarWire>, ApiError> {
    let monitor = app.monitor(&name)?;
    let from = params.millis("from")?.unwrap_or_else(|| app.parts.clock.now_millis());
    let to = params.millis("to")?.unwrap_or(from + DEFAULT_SPAN_MILLIS);
    params.finish(&["from", "to"])?;
    if !(from..=from.saturating_add(SPAN_MILLIS_MAX)).contains(&to) {
        return Err(ApiError::bad_request("parameter `to` must be 0 to 800 days after `from`"));
    }
    let listed = monitor.calendar.between(&monitor.default_zone, from / 1000, to / 1000);
    let mut times: Vec<SpecialTimeWire> =
        listed.iter().map(|listed| SpecialTimeWire::of(listed, &monitor.dimensions)).collect();
    let past = app.past(&name).await?;
    let span = (from.div_euclid(1000), to.div_euclid(1000));
    times.extend(entered(&past.ledger, &monitor.dimensions, span, None));
    times.sort_by(|one, other| one.from.cmp(&other.from));
    let learned = learned(past, monitor, &times).await?;
    let times = times.into_iter().map(|time| {
        let learned = learned.get(&(time.class.clone(), time.scope.clone())).cloned();
        CalendarTimeWire { learned: learned.unwrap_or_default(), time }
    });
    Ok(Json(CalendarWire { times: times.collect() }))
}

/// An occasion: its class and whom it concerns.
type Known = (String, BTreeMap<String, Vec<String>>);

/// What the most general series that each occasion holds for have learned of it.
async fn learned(
    past: HeldPast,
    monitor: &MonitorInfo,
    times: &[SpecialTimeWire],
) -> Result<BTreeMap<Known, Vec<LearnedWire>>, ApiError> {
    let width = monitor.measures.len();
    // The slices of the first shard were there first: the roll-ups are among them.
    let keys = &past.slices.keys()[..past.slices.keys().len().min(SHARD_SLICES)];
    let mut general: Vec<(usize, &SliceKey)> = keys.iter().enumerate().collect();
    general.sort_by_key(|(number, key)| (key.0.iter().flatten().count(), *number));
    let mut shown: BTreeMap<Known, Vec<usize>> = BTreeMap::new();
    let mut chosen = BTreeSet::new();
    for time in times {
        let holds = |key: &SliceKey| {
            let values = key.to_map(&monitor.dimensions);
            let within = |(name, wanted): (&String, &Vec<String>)| {
                values.get(name).is_some_and(|value| wanted.contains(value))
            };
            time.scope.iter().all(within)
        };
        let known = (time.class.clone(), time.scope.clone());
        shown.entry(known).or_insert_with(|| {
            let slices = general.iter().filter(|(_, key)| holds(key)).map(|(number, _)| *number);
            let room = |slice: &usize| chosen.contains(slice) || chosen.len() < SLICES_SHOWN_MAX;
            let slices: Vec<usize> = slices.take(SLICES_SHOWN).filter(room).collect();
            chosen.extend(slices.iter().copied());
            slices
        });
    }
    if chosen.is_empty() {
        return Ok(BTreeMap::new());
    }
    let series: BTreeSet<SeriesAt> = chosen
        .iter()
        .flat_map(|slice| (0..width).map(|measure| SeriesAt { slice: *slice, measure }))
        .collect();
    let (runtime, held) = (tokio::runtime::Handle::current(), past.clone());
    let work = move || runtime.block_on(held.look().occasions(0, &series));
    let found = tokio::task::spawn_blocking(work).await??;
    let of_series = |at: SeriesAt, class: &str| -> Option<LearnedWire> {
        let occasions = found.get(&at)?;
        let known = occasions.iter().find(|known| format!("{:016x}", known.class) == class)?;
        Some(LearnedWire {
            measure: monitor.measures[at.measure].name.clone(),
            slice: past.slices.keys()[at.slice].to_map(&monitor.dimensions),
            uplift: known.uplift,
            times: known.times,
        })
    };
    let effects = shown.into_iter().map(|(known, slices)| {
        let all = slices
            .iter()
            .flat_map(|slice| (0..width).map(|measure| SeriesAt { slice: *slice, measure }))
            .filter_map(|at| of_series(at, &known.0))
            .collect();
        (known, all)
    });
    Ok(effects.collect())
}
