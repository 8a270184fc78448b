//! Swim lanes: when something was off, by monitor, measure or value of a dimension.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    json::required,
    params::Params,
    state::{App, MonitorInfo, names},
    wire::{ErrorWire, rfc3339},
};
use crate::{anomaly::Incident, pipeline::IncidentQuery};

/// Lanes of one answer, besides that of everything.
const LANES_MAX: usize = 20;
/// Incidents named in a lane.
const INCIDENTS_NAMED: usize = 5;
/// Incidents that lanes are made of: the newest.
const INCIDENTS_MAX: usize = 2_000;
const HOURS: usize = 24;
const HOURS_MAX: usize = 24 * 366;
const BUCKETS: usize = 48;
const BUCKETS_MAX: usize = 500;
/// Slices looked through for values that are quiet.
const SLICES_MAX: usize = 10_000;

/// Lanes, that of everything first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Lanes")]
pub(super) struct LanesWire {
    /// Start of the first cell.
    #[schema(format = DateTime)]
    from: String,
    /// End of the last one.
    #[schema(format = DateTime)]
    to: String,
    /// Length of a cell.
    bucket_seconds: i64,
    /// The zone of the monitors; UTC where they have several.
    zone: String,
    /// What a lane is.
    by: String,
    /// The lanes: all, then the worst first.
    lanes: Vec<LaneWire>,
    /// Lanes that are left out.
    hidden: usize,
}

/// One lane.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "Lane")]
pub(super) struct LaneWire {
    /// `All`, or the value.
    name: String,
    /// The highest peak severity of what was off then; `null` where nothing was.
    cells: Vec<Option<f64>>,
    /// The worst incidents, newest first.
    incidents: Vec<String>,
}

/// What a lane is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Monitor,
    Measure,
    Dimension(String),
}

/// The cells of a lane.
#[derive(Clone, Copy, Debug)]
struct Grid {
    from_millis: i64,
    width_millis: i64,
    buckets: usize,
}

/// Something that was off: how severe at most, from when until when.
#[derive(Clone, Copy, Debug)]
struct Off {
    severity: f64,
    from_millis: i64,
    to_millis: i64,
}

/// A lane while it is filled.
#[derive(Debug)]
struct Lane {
    cells: Vec<Option<f64>>,
    /// By id: severity and when it opened.
    incidents: BTreeMap<String, (f64, i64)>,
}

impl Grid {
    /// Over the hours that are asked for. Cells begin at multiples of their length, so that a view that moves with
    /// the time does not flicker.
    fn read(params: &mut Params, now_millis: i64) -> Result<Self, ApiError> {
        let (from, to) = (params.millis("from")?, params.millis("to")?);
        let hours = params.within("hours", 1..=HOURS_MAX)?;
        let buckets = params.within("buckets", 1..=BUCKETS_MAX)?.unwrap_or(BUCKETS);
        if hours.is_some() && from.is_some() {
            return Err(ApiError::bad_request("give `from` or `hours`, not both"));
        }
        let end = to.unwrap_or(now_millis);
        let start = from.unwrap_or(end - hours.unwrap_or(HOURS) as i64 * 3_600_000);
        if !(1..=HOURS_MAX as i64 * 3_600_000).contains(&(end - start)) {
            return Err(ApiError::bad_request("`to` must be after `from`, by 366 days at most"));
        }
        // Whole seconds, since that is how they are told.
        let seconds = (end - start + 999) / 1_000;
        let width_millis = (seconds + buckets as i64 - 1) / buckets as i64 * 1_000;
        let from_millis = if from.is_some() {
            start
        } else {
            (end + width_millis - 1).div_euclid(width_millis) * width_millis - width_millis * buckets as i64
        };
        Ok(Self { from_millis, width_millis, buckets })
    }

    fn end_millis(self) -> i64 {
        self.from_millis + self.width_millis * self.buckets as i64
    }

    fn empty(self) -> Lane {
        Lane { cells: vec![None; self.buckets], incidents: BTreeMap::new() }
    }
}

impl Lane {
    fn add(&mut self, grid: Grid, incident: &Incident, off: Off) {
        let cell = |millis: i64| (millis - grid.from_millis).div_euclid(grid.width_millis);
        let last = cell((off.to_millis - 1).max(off.from_millis)).min(grid.buckets as i64 - 1);
        let first = cell(off.from_millis).max(0);
        if first > last {
            return;
        }
        for cell in &mut self.cells[first as usize..=last as usize] {
            *cell = Some(cell.map_or(off.severity, |known| known.max(off.severity)));
        }
        let known = self.incidents.entry(incident.id.clone()).or_insert((0.0, incident.opened_millis));
        known.0 = known.0.max(off.severity);
    }

    fn worst(&self) -> f64 {
        self.cells.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn num_off(&self) -> usize {
        self.cells.iter().flatten().count()
    }

    fn into_wire(self, name: String) -> LaneWire {
        let tenths = |severity: f64| (severity * 10.0).round() / 10.0;
        let mut incidents: Vec<(String, (f64, i64))> = self.incidents.into_iter().collect();
        incidents.sort_by(|one, other| other.1.0.total_cmp(&one.1.0));
        incidents.truncate(INCIDENTS_NAMED);
        incidents.sort_by_key(|(_, (_, opened_millis))| std::cmp::Reverse(*opened_millis));
        LaneWire {
            name,
            cells: self.cells.into_iter().map(|cell| cell.map(tenths)).collect(),
            incidents: incidents.into_iter().map(|(id, _)| id).collect(),
        }
    }
}

/// The lanes that an incident lies in, with what was off in each. Its series say so with their own severities and
/// times; where nothing has a series, as when there is no data, only the lane of its monitor and that of everything do.
fn off_in(incident: &Incident, by: &By) -> Vec<(String, Off)> {
    if *by == By::Monitor {
        return vec![(incident.monitor.clone(), whole(incident))];
    }
    let members = incident.members.iter().filter_map(|member| {
        let name = match by {
            By::Dimension(dimension) => member.slice.get(dimension)?,
            By::Monitor | By::Measure => &member.measure,
        };
        let anomaly = &member.anomaly;
        let (from_millis, to_millis) = (anomaly.opened_millis, anomaly.until_millis);
        Some((name.clone(), Off { severity: anomaly.severity.peak, from_millis, to_millis }))
    });
    members.collect()
}

fn whole(incident: &Incident) -> Off {
    Off {
        severity: incident.severity.peak,
        from_millis: incident.opened_millis,
        to_millis: incident.until_millis,
    }
}

/// All first, then the worst, then those that are quiet.
fn lanes(incidents: &[Incident], by: &By, quiet: BTreeSet<String>, grid: Grid) -> (Vec<LaneWire>, usize) {
    let mut all = grid.empty();
    let mut lanes: BTreeMap<String, Lane> = quiet.into_iter().map(|name| (name, grid.empty())).collect();
    for incident in incidents {
        all.add(grid, incident, whole(incident));
        for (name, off) in off_in(incident, by) {
            lanes.entry(name).or_insert_with(|| grid.empty()).add(grid, incident, off);
        }
    }
    let mut ordered: Vec<(String, Lane)> = lanes.into_iter().collect();
    ordered.sort_by(|(_, one), (_, other)| {
        other.worst().total_cmp(&one.worst()).then(other.num_off().cmp(&one.num_off()))
    });
    let hidden = ordered.len().saturating_sub(LANES_MAX);
    ordered.truncate(LANES_MAX);
    let rest = ordered.into_iter().map(|(name, lane)| lane.into_wire(name));
    (std::iter::once(all.into_wire("All".to_owned())).chain(rest).collect(), hidden)
}

/// When something was off, by monitor, measure or value of a dimension.
#[utoipa::path(
    get,
    path = "/api/v1/lanes",
    tag = "incidents",
    params(
        ("by" = String, Query, description = "`monitor`, `measure`, or the name of a dimension"),
        ("monitor" = Option<String>, Query, description = "Only this monitor"),
        ("from" = Option<String>, Query, description = "From this RFC 3339 time on"),
        ("to" = Option<String>, Query, description = "Until this RFC 3339 time; now if left out"),
        ("hours" = Option<usize>, Query, minimum = 1, maximum = 8784,
            description = "Instead of `from`: so long; 24 if both are left out"),
        ("buckets" = Option<usize>, Query, minimum = 1, maximum = 500,
            description = "So many cells a lane; 48 if left out"),
    ),
    responses(
        (status = 200, body = LanesWire, description = "At most 20 lanes besides that of everything"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read, or no such dimension"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<LanesWire>, ApiError> {
    let text = required("by", params.text("by")?)?;
    let monitor = params.text("monitor")?;
    let monitors: Vec<&MonitorInfo> = match &monitor {
        Some(name) => vec![app.monitor(name)?],
        None => app.parts.monitors.iter().collect(),
    };
    let by = by(&text, &monitors)?;
    let grid = Grid::read(&mut params, app.parts.clock.now_millis())?;
    params.finish(&["by", "monitor", "from", "to", "hours", "buckets"])?;
    let query = IncidentQuery {
        monitor,
        opened_before_millis: Some(grid.end_millis()),
        lasting_after_millis: Some(grid.from_millis),
        limit: INCIDENTS_MAX,
        ..IncidentQuery::default()
    };
    let incidents = app.parts.history.incidents(&query).await?;
    let (lanes, hidden) = lanes(&incidents, &by, quiet(&app, &monitors, &by).await?, grid);
    let zones: BTreeSet<&str> = monitors.iter().map(|monitor| monitor.zone.as_str()).collect();
    let zone = zones.first().filter(|_| zones.len() == 1).map_or("UTC", |zone| zone);
    Ok(Json(LanesWire {
        from: rfc3339(grid.from_millis),
        to: rfc3339(grid.end_millis()),
        bucket_seconds: grid.width_millis / 1_000,
        zone: zone.to_owned(),
        by: text,
        lanes,
        hidden,
    }))
}

fn by(text: &str, monitors: &[&MonitorInfo]) -> Result<By, ApiError> {
    match text {
        "monitor" => return Ok(By::Monitor),
        "measure" => return Ok(By::Measure),
        _ => {}
    }
    let known: BTreeSet<&str> =
        monitors.iter().flat_map(|monitor| &monitor.dimensions).map(String::as_str).collect();
    if known.contains(text) {
        return Ok(By::Dimension(text.to_owned()));
    }
    let known = names(["monitor", "measure"].into_iter().chain(known));
    Err(ApiError::bad_request(format!("parameter `by` is `{text}`; it must be one of {known}")))
}

/// The names of lanes that are shown also where nothing is off.
async fn quiet(app: &App, monitors: &[&MonitorInfo], by: &By) -> Result<BTreeSet<String>, ApiError> {
    let mut found = BTreeSet::new();
    for monitor in monitors {
        match by {
            By::Monitor => drop(found.insert(monitor.name.clone())),
            By::Measure => found.extend(monitor.measures.iter().map(|measure| measure.name.clone())),
            By::Dimension(dimension) => {
                let Some(at) = monitor.dimensions.iter().position(|known| known == dimension) else {
                    continue;
                };
                let slices = app.slices.known(app.parts.history.as_ref(), &monitor.name).await?;
                let values = slices.keys().iter().take(SLICES_MAX).filter_map(|key| key.0[at].as_deref());
                found.extend(values.map(str::to_owned));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::{Alert, SeverityTrack};

    fn incident(id: &str, peak: f64, (from, to): (i64, i64)) -> Incident {
        let mut incident = Alert::example("mail", 0).incident;
        id.clone_into(&mut incident.id);
        "shop".clone_into(&mut incident.monitor);
        (incident.opened_millis, incident.until_millis) = (from, to);
        incident.severity = SeverityTrack::starting(peak);
        incident
    }

    #[test]
    fn cells_hold_the_darkest_and_edges_do_not_spill() {
        let grid = Grid { from_millis: 1_000, width_millis: 100, buckets: 5 };
        let incidents = [
            incident("a", 60.0, (900, 1_200)),
            incident("b", 80.04, (1_100, 1_101)),
            incident("c", 71.0, (1_450, 9_000)),
            incident("d", 99.0, (0, 1_000)),
            incident("e", 99.0, (1_500, 1_600)),
        ];
        let quiet = BTreeSet::from(["other".to_owned()]);
        let (lanes, hidden) = lanes(&incidents, &By::Monitor, quiet, grid);
        assert_eq!(lanes[0].cells, [Some(60.0), Some(80.0), None, None, Some(71.0)]);
        assert_eq!(lanes[0].incidents, ["c", "b", "a"]);
        let named: Vec<&str> = lanes.iter().map(|lane| lane.name.as_str()).collect();
        assert_eq!((named, hidden), (vec!["All", "shop", "other"], 0));
        assert_eq!(lanes[2].cells, [None; 5]);
    }

    #[test]
    fn at_most_twenty_lanes_worst_first() {
        let grid = Grid { from_millis: 0, width_millis: 100, buckets: 1 };
        let incidents: Vec<Incident> = (0..30)
            .map(|number| {
                let mut incident = incident("x", 50.0 + f64::from(number), (0, 50));
                incident.monitor = format!("m{number:02}");
                incident
            })
            .collect();
        let (lanes, hidden) = lanes(&incidents, &By::Monitor, BTreeSet::new(), grid);
        assert_eq!((lanes.len(), hidden), (21, 10));
        assert_eq!((lanes[1].name.as_str(), lanes[20].name.as_str()), ("m29", "m10"));
    }
}
