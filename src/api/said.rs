//! What somebody says of an incident or of a range, made into an instruction: which series it is about, how large
//! their alarms were, how far it reaches.

use std::collections::BTreeMap;

use serde::Deserialize;
use tidewatch_detectors::Side;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    json::{choice, millis, required, text, word},
    observations,
    past::HeldPast,
    state::{App, MonitorInfo},
};
use crate::{
    anomaly::Incident,
    pipeline::{GivenFeedback, IncidentQuery, Label, Reach, SeriesAt, Target},
};

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
    pub(super) by: Option<String>,
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
    pub(super) by: Option<String>,
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

pub(super) async fn about_incident(
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

pub(super) async fn about_range(
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

pub(super) fn range(from: Option<&str>, to: Option<&str>) -> Result<(i64, i64), ApiError> {
    let from_millis = required("from", millis("from", from)?)?;
    let to_millis = required("to", millis("to", to)?)?;
    if from_millis < to_millis {
        Ok((from_millis, to_millis))
    } else {
        Err(ApiError::bad_request("`to` must be after `from`"))
    }
}

/// The series of a measure and slice that the monitor keeps.
pub(super) fn kept(
    monitor: &MonitorInfo,
    past: &HeldPast,
    measure: usize,
    slice: &BTreeMap<String, String>,
) -> Result<SeriesAt, ApiError> {
    let key = observations::slice_of(monitor, slice.clone())?;
    past.series(measure, &key).ok_or_else(|| observations::not_kept(monitor, &key))
}
