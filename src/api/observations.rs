//! The observations of one series, with what was expected: the data of a chart.
//!
//! Values are as late events left them, with the one first closed beside. The open windows are not here, nor what
//! retention has deleted.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use jiff::Timestamp;

use super::{
    column::{Column, Enough, Thinned, Window, windows_per_point},
    error::ApiError,
    monitors::Name,
    params::Params,
    past::entered,
    state::{App, MonitorInfo, names},
    wire::{ErrorWire, ObservationWire, ObservationsWire},
};
use crate::{calendar::SpecialTimeWire, pipeline::Ledger, window::SliceKey};

const LIMIT: usize = 500;
const LIMIT_MAX: usize = 10_000;
/// Fewer points than this show nothing.
const POINTS_MIN: usize = 10;
/// Windows longer than an hour follow the calendar: with the clocks, one is longer or shorter.
const CLOCK_CHANGE_MILLIS: i64 = 2 * 3_600_000;

/// The observations of one series, oldest first: those from `from` on, or else the newest.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}/observations",
    tag = "monitors",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("measure" = String, Query, description = "The measure"),
        ("slice" = Option<std::collections::BTreeMap<String, String>>, Query,
            description = "One parameter per dimension, such as `slice.country=DE`; those left out are \
                rolled up"),
        ("from" = Option<String>, Query, description = "Windows that start at or after this RFC 3339 time"),
        ("to" = Option<String>, Query, description = "Windows that start before this RFC 3339 time"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 10000,
            description = "At most this many; 500 if left out"),
        ("points" = Option<usize>, Query, minimum = 10, maximum = 10000,
            description = "Instead of `limit`: the whole range, all that is stored if left out, in at most this \
                many windows. Where there are more, the lowest, the highest and the most severe of every few"),
    ),
    responses(
        (status = 200, body = ObservationsWire, description = "The observations"),
        (status = 400, body = ErrorWire,
            description = "A parameter cannot be read, or no such measure or dimension"),
        (status = 404, body = ErrorWire, description = "No such monitor, or it keeps no such slice"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Name(name): Name,
    params: Params,
) -> Result<Json<ObservationsWire>, ApiError> {
    let monitor = app.monitor(&name)?;
    let wanted = Wanted::read(monitor, params)?;
    let (windows, windows_per_point) = wanted.windows(&app, monitor).await?;
    let observations: Vec<ObservationWire> = windows.into_iter().map(Into::into).collect();
    let events = wanted.events(&app, monitor, &observations).await?;
    Ok(Json(ObservationsWire {
        monitor: name,
        measure: monitor.measures[wanted.measure].name.clone(),
        slice: wanted.slice.to_map(&monitor.dimensions),
        interval_seconds: monitor.interval_seconds,
        zone: monitor.zone.clone(),
        observations,
        sampled: windows_per_point > 1,
        windows_per_point,
        events,
    }))
}

/// Which observations.
#[derive(Debug)]
struct Wanted {
    measure: usize,
    slice: SliceKey,
    from_millis: Option<i64>,
    to_millis: Option<i64>,
    limit: usize,
    points: Option<usize>,
}

impl Wanted {
    fn read(monitor: &MonitorInfo, mut params: Params) -> Result<Self, ApiError> {
        let wanted = Self {
            measure: measure(monitor, params.text("measure")?)?,
            slice: slice(monitor, &mut params)?,
            from_millis: params.millis("from")?,
            to_millis: params.millis("to")?,
            points: params.within("points", POINTS_MIN..=LIMIT_MAX)?,
            limit: params.limit(LIMIT, LIMIT_MAX)?,
        };
        params.finish(&["measure", "slice.<dimension>", "from", "to", "limit", "points"])?;
        Ok(wanted)
    }

    /// The windows, and out of how many each was chosen.
    async fn windows(&self, app: &App, monitor: &MonitorInfo) -> Result<(Vec<Window>, u64), ApiError> {
        let history = app.parts.history.as_ref();
        let number = app.slices.number(history, &monitor.name, &self.slice).await?;
        let slice = number.ok_or_else(|| not_kept(monitor, &self.slice))?;
        let column = Column::new(history, &monitor.name, (slice, self.measure, monitor.measures.len()));
        if let Some(points) = self.points {
            return self.thinned(app, monitor, &column, points).await;
        }
        let Some(range) = self.range(app, monitor) else { return Ok((Vec::new(), 1)) };
        let mut found = Vec::new();
        let take = |page: Vec<Window>| {
            found.extend(page);
            if self.from_millis.is_some() && found.len() >= self.limit { Enough::Yes } else { Enough::No }
        };
        column.read(range, take).await?;
        Ok((self.cut(found), 1))
    }

    /// The windows of the whole range in at most so many points.
    async fn thinned(
        &self,
        app: &App,
        monitor: &MonitorInfo,
        column: &Column<'_>,
        points: usize,
    ) -> Result<(Vec<Window>, u64), ApiError> {
        let asked = (self.from_millis.unwrap_or(i64::MIN), self.to_millis.unwrap_or(i64::MAX));
        let Some(first_millis) = column.first(asked).await? else { return Ok((Vec::new(), 1)) };
        let status = app.parts.board.monitor(&monitor.name);
        let closed = status.and_then(|status| status.closed_through_millis);
        let end_millis = asked.1.min(closed.unwrap_or_else(|| app.parts.clock.now_millis()));
        let interval_millis = monitor.interval_seconds * 1000;
        let num_windows = (end_millis - first_millis).max(0).div_euclid(interval_millis) as u64 + 1;
        let each = windows_per_point(num_windows, points);
        let mut thinned = Thinned::new(interval_millis.saturating_mul(each as i64));
        let take = |page: Vec<Window>| {
            thinned.extend(&page);
            Enough::No
        };
        column.read((first_millis, asked.1), take).await?;
        Ok((thinned.finish(), each))
    }

    /// The special times of the slice within what was found.
    async fn events(
        &self,
        app: &App,
        monitor: &MonitorInfo,
        found: &[ObservationWire],
    ) -> Result<Vec<SpecialTimeWire>, ApiError> {
        let second = |observation: &ObservationWire| {
            observation.time.parse::<Timestamp>().map_or(0, Timestamp::as_second)
        };
        let (Some(first), Some(last)) = (found.first(), found.last()) else { return Ok(Vec::new()) };
        let span = (second(first), second(last) + monitor.interval_seconds);
        let listed = monitor.calendar.between(&monitor.default_zone, span.0, span.1);
        let here = listed.iter().filter(|listed| listed.entry.scope.holds(&self.slice));
        let mut events: Vec<SpecialTimeWire> =
            here.map(|listed| SpecialTimeWire::of(listed, &monitor.dimensions)).collect();
        let ledger = Ledger::of(&app.parts.history.instructed(&monitor.name).await?);
        events.extend(entered(&ledger, &monitor.dimensions, span, Some(&self.slice)));
        Ok(events)
    }

    /// Starts of the windows to look through; `None` when none has closed.
    fn range(&self, app: &App, monitor: &MonitorInfo) -> Option<(i64, i64)> {
        let to_millis = self.to_millis.unwrap_or(i64::MAX);
        if let Some(from_millis) = self.from_millis {
            return Some((from_millis, to_millis));
        }
        let status = app.parts.board.monitor(&monitor.name)?;
        let end = status.closed_through_millis?.min(to_millis);
        let interval_millis = monitor.interval_seconds * 1000;
        let slack = if monitor.interval_seconds > 3600 { CLOCK_CHANGE_MILLIS } else { 0 };
        let from_millis = end.saturating_sub(self.limit as i64 * interval_millis).saturating_sub(slack);
        Some((from_millis, to_millis))
    }

    /// The earliest from `from` on, or else the newest.
    fn cut(&self, mut found: Vec<Window>) -> Vec<Window> {
        match self.from_millis {
            Some(_) => found.truncate(self.limit),
            None => drop(found.drain(..found.len().saturating_sub(self.limit))),
        }
        found
    }
}

/// The number of a measure.
pub(super) fn measure(monitor: &MonitorInfo, name: Option<String>) -> Result<usize, ApiError> {
    let known = || names(monitor.measures.iter().map(|measure| measure.name.as_str()));
    let Some(name) = name else {
        let error =
            format!("parameter `measure` is missing; the measures of `{}` are: {}", monitor.name, known());
        return Err(ApiError::bad_request(error));
    };
    monitor.measures.iter().position(|measure| measure.name == name).ok_or_else(|| {
        ApiError::bad_request(format!(
            "parameter `measure` is `{name}`; the measures of `{}` are: {}",
            monitor.name,
            known()
        ))
    })
}

/// The slice that parameters such as `slice.country=DE` name.
pub(super) fn slice(monitor: &MonitorInfo, params: &mut Params) -> Result<SliceKey, ApiError> {
    slice_of(monitor, params.starting("slice.")?)
}

/// The slice with these values; dimensions left out are rolled up.
pub(super) fn slice_of(
    monitor: &MonitorInfo,
    mut values: BTreeMap<String, String>,
) -> Result<SliceKey, ApiError> {
    let key = monitor.dimensions.iter().map(|dimension| values.remove(dimension).map(String::into_boxed_str));
    let key = SliceKey(key.collect());
    let Some((unknown, _)) = values.first_key_value() else { return Ok(key) };
    let known = names(monitor.dimensions.iter().map(String::as_str));
    Err(ApiError::bad_request(format!(
        "parameter `slice.{unknown}` names no dimension; the dimensions of `{}` are: {known}",
        monitor.name
    )))
}

/// There is no such slice.
pub(super) fn not_kept(monitor: &MonitorInfo, slice: &SliceKey) -> ApiError {
    let (name, slice) = (&monitor.name, slice.describe(&monitor.dimensions));
    ApiError::not_found(format!(
        "monitor `{name}` keeps no series of the slice `{slice}`; /api/v1/monitors/{name}/series lists \
         those it keeps"
    ))
}
