//! Incidents as stored, with what people did with them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};

use super::{
    error::ApiError,
    monitors::Name,
    params::Params,
    past::entered,
    state::App,
    wire::{
        CareWire, ErrorWire, IncidentDetailWire, IncidentWire, IncidentsWire, InstructedWire,
        ListedIncidentWire, TimelineWire,
    },
};
use crate::{
    anomaly::{Incident, IncidentKind, IncidentState, MEMBERS_KEPT},
    calendar::SpecialTimeWire,
    pipeline::{Ask, CareQuery, IncidentQuery, Instructed, Label, Ledger},
};

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 500;
/// Special times are shown from so long before an incident on.
const EVENTS_BEFORE_MILLIS: i64 = 6 * 3_600_000;

const STATES: [(&str, IncidentState); 3] = [
    ("open", IncidentState::Open),
    ("closed", IncidentState::Closed),
    ("retracted", IncidentState::Retracted),
];
const KINDS: [(&str, IncidentKind); 4] = [
    ("deviation", IncidentKind::Deviation),
    ("minor", IncidentKind::Minor),
    ("no_data", IncidentKind::NoData),
    ("engine_trouble", IncidentKind::EngineTrouble),
];
const CARES: [(&str, CareQuery); 6] = [
    ("acknowledged", CareQuery::Acknowledged),
    ("unanswered", CareQuery::Unanswered),
    ("confirmed", CareQuery::Labelled(Label::Confirmed)),
    ("expected", CareQuery::Labelled(Label::Expected)),
    ("false_alarm", CareQuery::Labelled(Label::FalseAlarm)),
    ("new_normal", CareQuery::Labelled(Label::NewNormal)),
];

/// What incidents can be asked for by.
pub(super) const FILTERS: [&str; 10] = [
    "monitor",
    "state",
    "kind",
    "min_severity",
    "measure",
    "slice.<dimension>",
    "care",
    "assigned_to",
    "from",
    "before",
];

/// The incidents that are asked for.
pub(super) fn wanted(params: &mut Params) -> Result<IncidentQuery, ApiError> {
    Ok(IncidentQuery {
        monitor: params.text("monitor")?,
        state: params.word("state", &STATES)?,
        kind: params.word("kind", &KINDS)?,
        min_severity: params.severity("min_severity")?,
        opened_before_millis: params.millis("before")?,
        opened_from_millis: params.millis("from")?,
        measure: params.text("measure")?,
        slice: params.starting("slice.")?,
        care: params.word("care", &CARES)?,
        assigned: params.text("assigned_to")?,
        ..IncidentQuery::default()
    })
}

/// Incidents, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/incidents",
    tag = "incidents",
    params(
        ("monitor" = Option<String>, Query, description = "Only of this monitor"),
        ("state" = Option<String>, Query, description = "Only `open`, `closed` or `retracted` ones"),
        ("kind" = Option<String>, Query, description = "Only `deviation`, `minor`, `no_data` or `engine_trouble`"),
        ("min_severity" = Option<f64>, Query, minimum = 0, maximum = 100,
            description = "Only with at least this peak severity"),
        ("measure" = Option<String>, Query, description = "Only with a series of this measure"),
        ("slice" = Option<std::collections::BTreeMap<String, String>>, Query,
            description = "Only with a series that has these values, such as `slice.country=DE`"),
        ("care" = Option<String>, Query,
            description = "Only `acknowledged`, `unanswered`, or with this label: `confirmed`, `expected`, \
                `false_alarm`, `new_normal`"),
        ("assigned_to" = Option<String>, Query, description = "Only assigned to this person"),
        ("from" = Option<String>, Query, description = "Only opened at or after this RFC 3339 time"),
        ("before" = Option<String>, Query, description = "Only opened before this RFC 3339 time"),
        ("after" = Option<String>, Query, description = "Go on behind this one: the `next` of the answer before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 500,
            description = "At most this many; 50 if left out"),
        ("members" = Option<usize>, Query, minimum = 0, maximum = 100,
            description = "At most so many anomalous series of each; 100 if left out. A list that shows none is smaller"),
    ),
    responses(
        (status = 200, body = IncidentsWire, description = "Incidents"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<IncidentsWire>, ApiError> {
    let query = IncidentQuery {
        after: params.text("after")?.map(|text| cursor(&text)).transpose()?,
        limit: params.limit(LIMIT, LIMIT_MAX)?,
        ..wanted(&mut params)?
    };
    let members = params.within("members", 0..=MEMBERS_KEPT)?;
    params.finish(&[&FILTERS[..], &["after", "limit", "members"]].concat())?;
    let history = &app.parts.history;
    let mut incidents = history.incidents(&query).await?;
    if let Some(members) = members {
        for incident in &mut incidents {
            incident.members.truncate(members);
        }
    }
    let ids: Vec<&str> = incidents.iter().map(|incident| incident.id.as_str()).collect();
    let told = history.instructed_about(&ids).await?;
    let undone = undone(&app, &incidents, &told).await?;
    let next = (incidents.len() == query.limit).then(|| incidents.last().map(of_cursor)).flatten();
    let listed = incidents.iter().map(|incident| {
        let about = told.iter().filter(|row| row.instruction.ask.incident() == Some(incident.id.as_str()));
        let nothing = Vec::new();
        let undone = undone.get(&incident.monitor).unwrap_or(&nothing);
        ListedIncidentWire { incident: incident.into(), care: CareWire::of(incident, about, undone) }
    });
    Ok(Json(IncidentsWire { incidents: listed.collect(), next }))
}

/// One incident with its timeline, what people said of it, and special times around it.
#[utoipa::path(
    get,
    path = "/api/v1/incidents/{id}",
    tag = "incidents",
    params(("id" = String, Path, description = "Its id, such as `shop-3`")),
    responses(
        (status = 200, body = IncidentDetailWire, description = "The incident"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Name(id): Name,
    params: Params,
) -> Result<Json<IncidentDetailWire>, ApiError> {
    params.finish(&[])?;
    let incident = app.incident(&id).await?;
    let history = &app.parts.history;
    let rows = history.instructed(&incident.monitor).await?;
    let ledger = Ledger::of(&rows);
    let told: Vec<&Instructed> =
        rows.iter().filter(|row| row.instruction.ask.incident() == Some(id.as_str())).collect();
    let undone: Vec<u64> = rows.iter().filter_map(taken_back).collect();
    let mut timeline: Vec<TimelineWire> = history.milestones(&id).await?.iter().map(Into::into).collect();
    timeline.extend(told.iter().map(|row| TimelineWire::from(*row)));
    timeline.sort_by(|one, other| one.at.cmp(&other.at));
    let said = told.iter().rev().filter(|row| matches!(row.instruction.ask, Ask::Feedback(_)));
    let feedback = said.map(|row| InstructedWire::of(row, !undone.contains(&row.number))).collect();
    Ok(Json(IncidentDetailWire {
        care: CareWire::of(&incident, told.iter().copied(), &undone),
        events: events(&app, &incident, &ledger),
        incident: IncidentWire::from(&incident),
        timeline,
        feedback,
    }))
}

/// Special times shortly before and during an incident.
fn events(app: &App, incident: &Incident, ledger: &Ledger) -> Vec<SpecialTimeWire> {
    let Ok(monitor) = app.monitor(&incident.monitor) else { return Vec::new() };
    let span = (
        (incident.opened_millis - EVENTS_BEFORE_MILLIS).div_euclid(1000),
        incident.until_millis.div_euclid(1000) + 1,
    );
    let listed = monitor.calendar.between(&monitor.default_zone, span.0, span.1);
    let mut events: Vec<SpecialTimeWire> =
        listed.iter().map(|listed| SpecialTimeWire::of(listed, &monitor.dimensions)).collect();
    events.extend(entered(ledger, &monitor.dimensions, span, None));
    events
}

/// By monitor: numbers of instructions that were taken back. Reads only monitors of which something was said.
async fn undone(
    app: &App,
    incidents: &[Incident],
    told: &[Instructed],
) -> Result<BTreeMap<String, Vec<u64>>, ApiError> {
    let mut undone = BTreeMap::new();
    for incident in incidents {
        let is_told = || told.iter().any(|row| row.instruction.ask.incident() == Some(incident.id.as_str()));
        if !undone.contains_key(&incident.monitor) && is_told() {
            let rows = app.parts.history.instructed(&incident.monitor).await?;
            undone.insert(incident.monitor.clone(), rows.iter().filter_map(taken_back).collect());
        }
    }
    Ok(undone)
}

fn taken_back(row: &Instructed) -> Option<u64> {
    if let Ask::Undo { number } = row.instruction.ask { Some(number) } else { None }
}

/// Where a list goes on: when an incident opened, and its id.
fn of_cursor(incident: &Incident) -> String {
    format!("{}:{}", incident.opened_millis, incident.id)
}

fn cursor(text: &str) -> Result<(i64, String), ApiError> {
    let parts = text.split_once(':').and_then(|(opened, id)| Some((opened.parse().ok()?, id.to_owned())));
    parts.ok_or_else(|| {
        ApiError::bad_request(format!(
            "parameter `after` is `{text}`; it must be the `next` of an answer before"
        ))
    })
}
