//! What people say about alarms, and about the lack of them; what it would do, and taking it back.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
};
use serde::Deserialize;
use tidewatch_detectors::Side;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    json::{JsonBody, choice, millis, required, text, word},
    monitors::Name,
    observations,
    params::Params,
    past::HeldPast,
    state::{App, MonitorInfo},
    wire::{ErrorWire, InstructedListWire, InstructedWire, PreviewWire},
};
use crate::{
    anomaly::Incident,
    pipeline::{
        Ask, GivenFeedback, IncidentQuery, Label, MissedIncident, Preview, Reach, RestoreError, SeriesAt,
        Target,
    },
    window::SliceKey,
};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Incidents that a preview looks at: the newest.
const PREVIEW_INCIDENTS_MAX: usize = 2_000;
/// Incidents after one that may have shown the same series again.
const LATER_MAX: usize = 200;
/// Severity from which detectors know an alarm as one.
const KNOWN_FROM: f64 = 70.0;

const LABELS: [(&str, Label); 4] = [
    ("confirmed", Label::Confirmed),
    ("expected", Label::Expected),
    ("false_alarm", Label::FalseAlarm),
    ("new_normal", Label::NewNormal),
];
const REACHES: [(&str, Reach); 5] = [
    ("incident", Reach::Incident),
    ("series", Reach::Series),
    ("slice", Reach::Slice),
    ("measure", Reach::Measure),
    ("monitor", Reach::Monitor),
];
const SIDES: [(&str, Side); 2] = [("drop", Side::Drop), ("rise", Side::Rise)];

/// Feedback about an incident.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FeedbackBody {
    /// `confirmed`, `expected`, `false_alarm` or `new_normal`.
    #[schema(example = "expected")]
    label: Option<String>,
    /// Why it happened, in a word.
    #[schema(example = "newsletter")]
    cause: Option<String>,
    /// Anything else, at most 4000 characters.
    comment: Option<String>,
    /// How far it reaches: `incident` (all series that took part; the default), `series` (the most unusual one),
    /// `slice` (every measure of its slice), `measure` (its measure in every slice) or `monitor`.
    scope: Option<String>,
    /// Later alarms are silenced no more from this RFC 3339 time on; only of `expected` and `false_alarm`.
    expires_at: Option<String>,
    /// Who says so.
    by: Option<String>,
}

/// Feedback about a range of a slice.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RangeFeedbackBody {
    /// The monitor.
    monitor: Option<String>,
    /// The measure; every measure of the slice if left out.
    measure: Option<String>,
    /// The slice; `{}` is the whole.
    slice: BTreeMap<String, String>,
    /// Start, RFC 3339.
    from: Option<String>,
    /// End, RFC 3339.
    to: Option<String>,
    /// `confirmed`, `expected`, `false_alarm` or `new_normal`.
    label: Option<String>,
    /// Why it happened, in a word.
    cause: Option<String>,
    /// Anything else.
    comment: Option<String>,
    /// As of an incident.
    scope: Option<String>,
    /// As of an incident.
    expires_at: Option<String>,
    /// Who says so.
    by: Option<String>,
}

/// An incident that nobody was told of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MissedBody {
    /// The monitor.
    monitor: Option<String>,
    /// The measure.
    measure: Option<String>,
    /// The slice; `{}` is the whole.
    slice: BTreeMap<String, String>,
    /// Start, RFC 3339.
    from: Option<String>,
    /// End, RFC 3339.
    to: Option<String>,
    /// `drop` or `rise`; that of the largest deviation if left out.
    direction: Option<String>,
    /// Anything else.
    comment: Option<String>,
    /// Who says so.
    by: Option<String>,
}

/// A monitor and a number of one of its instructions.
#[derive(Debug, Deserialize, FromRequestParts)]
#[from_request(via(Path), rejection(ApiError))]
pub(super) struct Numbered {
    pub(super) name: String,
    pub(super) number: u64,
}

/// Who takes something back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UndoBody {
    /// Who.
    by: Option<String>,
}

/// Says what an incident was. The next window is judged under it.
#[utoipa::path(
    post,
    path = "/api/v1/incidents/{id}/feedback",
    tag = "feedback",
    params(("id" = String, Path, description = "The incident")),
    request_body = FeedbackBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "The body cannot be read, or reaches too far"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn give(
    State(app): State<Arc<App>>,
    Name(id): Name,
    JsonBody(mut body): JsonBody<FeedbackBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let incident = app.incident(&id).await?;
    let by = body.by.take();
    let past = app.past(&incident.monitor).await?;
    let feedback = about_incident(&app, &past, &incident, body).await?;
    let row = app.tell(&incident.monitor, by, Ask::Feedback(feedback)).await?;
    Ok(Json(InstructedWire::of(&row, true)))
}

/// What feedback would have done to the stored past; changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/incidents/{id}/feedback/preview",
    tag = "feedback",
    params(("id" = String, Path, description = "The incident")),
    request_body = FeedbackBody,
    responses(
        (status = 200, body = PreviewWire, description = "What it would have done"),
        (status = 400, body = ErrorWire, description = "The body cannot be read"),
        (status = 404, body = ErrorWire, description = "No such incident"),
    )
)]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Name(id): Name,
    JsonBody(body): JsonBody<FeedbackBody>,
) -> Result<Json<PreviewWire>, ApiError> {
    let incident = app.incident(&id).await?;
    let past = app.past(&incident.monitor).await?;
    let feedback = about_incident(&app, &past, &incident, body).await?;
    previewed(&app, past, &incident.monitor, feedback).await
}

/// Says what a range of a series or slice was, where no incident shows it.
#[utoipa::path(
    post,
    path = "/api/v1/feedback",
    tag = "feedback",
    request_body = RangeFeedbackBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "The body cannot be read, or reaches too far"),
        (status = 404, body = ErrorWire, description = "No such monitor, or it keeps no such slice"),
    )
)]
pub(super) async fn give_range(
    State(app): State<Arc<App>>,
    JsonBody(mut body): JsonBody<RangeFeedbackBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let by = body.by.take();
    let (monitor, _, feedback) = about_range(&app, body).await?;
    let row = app.tell(&monitor, by, Ask::Feedback(feedback)).await?;
    Ok(Json(InstructedWire::of(&row, true)))
}

/// What feedback about a range would have done to the stored past; changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/feedback/preview",
    tag = "feedback",
    request_body = RangeFeedbackBody,
    responses(
        (status = 200, body = PreviewWire, description = "What it would have done"),
        (status = 400, body = ErrorWire, description = "The body cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor, or it keeps no such slice"),
    )
)]
pub(super) async fn preview_range(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<RangeFeedbackBody>,
) -> Result<Json<PreviewWire>, ApiError> {
    let (monitor, past, feedback) = about_range(&app, body).await?;
    previewed(&app, past, &monitor, feedback).await
}

/// Reports an incident that nobody was told of: the series unlearns the range, and its thresholds fall by a step.
#[utoipa::path(
    post,
    path = "/api/v1/missed",
    tag = "feedback",
    request_body = MissedBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "The body cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor, or it keeps no such slice"),
    )
)]
pub(super) async fn missed(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<MissedBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let name = required("monitor", body.monitor)?;
    let monitor = app.monitor(&name)?;
    let measure = observations::measure(monitor, body.measure)?;
    let past = app.past(&name).await?;
    let series = kept(monitor, &past, measure, &body.slice)?;
    let (from_millis, to_millis) = range(body.from.as_deref(), body.to.as_deref())?;
    let side = match body.direction.as_deref() {
        Some(word) => choice("direction", word, &SIDES)?,
        None => match past.look().targets(&[(series, None)], (from_millis, to_millis)).await?.first() {
            Some(target) => target.alarm.side,
            None => {
                let error = "no window of the range was judged: say `direction`, drop or rise";
                return Err(ApiError::bad_request(error));
            }
        },
    };
    let comment = text("comment", body.comment)?;
    let ask = Ask::Missed(MissedIncident { series, side, from_millis, to_millis, comment });
    let row = app.tell(&name, body.by, ask).await?;
    Ok(Json(InstructedWire::of(&row, true)))
}

/// What people said to a monitor, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}/feedback",
    tag = "feedback",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000,
            description = "At most this many; 100 if left out"),
    ),
    responses(
        (status = 200, body = InstructedListWire, description = "Instructions"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Name(name): Name,
    mut params: Params,
) -> Result<Json<InstructedListWire>, ApiError> {
    let limit = params.limit(LIMIT, LIMIT_MAX)?;
    params.finish(&["limit"])?;
    app.monitor(&name)?;
    let rows = app.parts.history.instructed(&name).await?;
    let ledger = crate::pipeline::Ledger::of(&rows);
    let said = rows
        .iter()
        .rev()
        .filter(|row| matches!(row.instruction.ask, Ask::Feedback(_) | Ask::Missed(_) | Ask::Undo { .. }));
    let feedback = said.take(limit).map(|row| InstructedWire::of(row, ledger.holds(row.number))).collect();
    Ok(Json(InstructedListWire { feedback }))
}

/// Takes feedback or a missed incident back: detectors are as if it had never been said.
#[utoipa::path(
    post,
    path = "/api/v1/monitors/{name}/feedback/{number}/undo",
    tag = "feedback",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("number" = u64, Path, description = "The number of what is taken back"),
    ),
    request_body = UndoBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 404, body = ErrorWire, description = "No such monitor, or nothing to take back"),
    )
)]
pub(super) async fn undo(
    State(app): State<Arc<App>>,
    Numbered { name, number }: Numbered,
    JsonBody(body): JsonBody<UndoBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let row = app.tell(&name, body.by, Ask::Undo { number }).await?;
    Ok(Json(InstructedWire::of(&row, false)))
}

/// What both kinds of feedback say.
struct Words {
    label: Label,
    cause: Option<String>,
    comment: Option<String>,
    reach: Reach,
    expires_millis: Option<i64>,
}

impl Words {
    fn read(body: FeedbackBody) -> Result<Self, ApiError> {
        let label = choice("label", &required("label", body.label)?, &LABELS)?;
        let scope = body.scope.as_deref().unwrap_or("incident");
        let expires_millis = millis("expires_at", body.expires_at.as_deref())?;
        if expires_millis.is_some() && !matches!(label, Label::Expected | Label::FalseAlarm) {
            let label = label.as_str();
            return Err(ApiError::bad_request(format!(
                "`expires_at` means nothing with the label `{label}`"
            )));
        }
        Ok(Self {
            label,
            cause: word("cause", body.cause)?,
            comment: text("comment", body.comment)?,
            reach: choice("scope", scope, &REACHES)?,
            expires_millis,
        })
    }

    fn about(
        self,
        incident: Option<&Incident>,
        (from_millis, to_millis): (i64, i64),
        targets: Vec<Target>,
    ) -> GivenFeedback {
        GivenFeedback {
            label: self.label,
            incident: incident.map(|incident| incident.id.clone()),
            from_millis,
            to_millis,
            targets,
            latest: false,
            reach: self.reach,
            cause: self.cause,
            comment: self.comment,
            expires_millis: self.expires_millis,
        }
    }
}

async fn about_incident(
    app: &App,
    past: &HeldPast,
    incident: &Incident,
    body: FeedbackBody,
) -> Result<GivenFeedback, ApiError> {
    let words = Words::read(body)?;
    let look = past.look();
    let wanted: Vec<(SeriesAt, Option<Side>)> = incident
        .members
        .iter()
        .filter_map(|member| Some((look.series_of(member.anomaly.series)?, Some(member.anomaly.side))))
        .collect();
    let span = (incident.opened_millis, incident.until_millis.max(incident.opened_millis + 1));
    let targets = look.targets(&wanted, span).await?;
    let latest = is_latest(app, incident).await?;
    Ok(GivenFeedback { latest, ..words.about(Some(incident), span, targets) })
}

/// Whether detectors know its alarms as the running or last ones of their series.
async fn is_latest(app: &App, incident: &Incident) -> Result<bool, ApiError> {
    if incident.severity.peak.max(incident.minor_peak) < KNOWN_FROM {
        return Ok(false);
    }
    let query = IncidentQuery {
        monitor: Some(incident.monitor.clone()),
        opened_from_millis: Some(incident.opened_millis),
        limit: LATER_MAX,
        ..IncidentQuery::default()
    };
    let later = app.parts.history.incidents(&query).await?;
    let mine = |series: usize| incident.members.iter().any(|member| member.anomaly.series == series);
    let again = later
        .iter()
        .filter(|other| other.id != incident.id)
        .any(|other| other.members.iter().any(|member| mine(member.anomaly.series)));
    Ok(!again && later.len() < LATER_MAX)
}

async fn about_range(
    app: &App,
    body: RangeFeedbackBody,
) -> Result<(String, HeldPast, GivenFeedback), ApiError> {
    let name = required("monitor", body.monitor)?;
    let monitor = app.monitor(&name)?;
    let measures = match body.measure {
        Some(measure) => vec![observations::measure(monitor, Some(measure))?],
        None => (0..monitor.measures.len()).collect(),
    };
    let span = range(body.from.as_deref(), body.to.as_deref())?;
    let words = Words::read(FeedbackBody {
        label: body.label,
        cause: body.cause,
        comment: body.comment,
        scope: body.scope,
        expires_at: body.expires_at,
        by: None,
    })?;
    let past = app.past(&name).await?;
    let mut wanted = Vec::new();
    for measure in measures {
        wanted.push((kept(monitor, &past, measure, &body.slice)?, None));
    }
    let targets = past.look().targets(&wanted, span).await?;
    if targets.is_empty() {
        return Err(ApiError::bad_request("no window of the range was judged, so nothing can be said of it"));
    }
    Ok((name, past, words.about(None, span, targets)))
}

async fn previewed(
    app: &App,
    past: HeldPast,
    monitor: &str,
    feedback: GivenFeedback,
) -> Result<Json<PreviewWire>, ApiError> {
    let query = IncidentQuery {
        monitor: Some(monitor.to_owned()),
        limit: PREVIEW_INCIDENTS_MAX,
        ..IncidentQuery::default()
    };
    let incidents = app.parts.history.incidents(&query).await?;
    let runtime = tokio::runtime::Handle::current();
    let work = move || -> Result<Preview, RestoreError> {
        runtime.block_on(past.look().preview(&feedback, &incidents))
    };
    let preview = tokio::task::spawn_blocking(work).await??;
    Ok(Json(PreviewWire::from(&preview)))
}

fn range(from: Option<&str>, to: Option<&str>) -> Result<(i64, i64), ApiError> {
    let from_millis = required("from", millis("from", from)?)?;
    let to_millis = required("to", millis("to", to)?)?;
    if from_millis < to_millis {
        Ok((from_millis, to_millis))
    } else {
        Err(ApiError::bad_request("`to` must be after `from`"))
    }
}

/// The series of a measure and slice that the monitor keeps.
fn kept(
    monitor: &MonitorInfo,
    past: &HeldPast,
    measure: usize,
    slice: &BTreeMap<String, String>,
) -> Result<SeriesAt, ApiError> {
    let key = slice_key(monitor, slice)?;
    past.series(measure, &key).ok_or_else(|| observations::not_kept(monitor, &key))
}

fn slice_key(monitor: &MonitorInfo, slice: &BTreeMap<String, String>) -> Result<SliceKey, ApiError> {
    observations::slice_of(monitor, slice.clone())
}
