//! What alert rules would have told over the stored history.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    monitors::Name,
    params::Params,
    state::{App, names},
    wire::{ErrorWire, IncidentWire, rfc3339},
};
use crate::pipeline::{PreviewError, PreviewedAlert, RulesPreview, preview};

/// How far back is looked when `since` is left out.
const DEFAULT_SPAN_MILLIS: i64 = 7 * 86_400_000;

/// What rules would have told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "AlertPreview")]
pub(super) struct PreviewWire {
    /// Start of the first window that was looked at.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// End of the last one.
    #[schema(format = DateTime)]
    to: Option<String>,
    /// Windows that were looked at.
    num_windows: usize,
    /// The messages in order.
    alerts: Vec<PreviewedWire>,
    /// Alerts that would have been held back.
    held_back: HeldBackWire,
}

/// One message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "PreviewedAlert")]
pub(super) struct PreviewedWire {
    /// The rule's name; `MONITOR/NUMBER` if it has none.
    rule: String,
    /// The notifiers it would have gone to.
    to: Vec<String>,
    /// `opened`, `escalated`, `recovered`, `resumed`, `revised`, `closed`, `retracted`, `suppressed` or `digest`.
    kind: &'static str,
    /// Event time.
    #[schema(format = DateTime)]
    at: String,
    /// Incidents that the cap held back before it.
    held_back: u64,
    /// Events in a digest.
    num_events: usize,
    /// The incident as it stood; its id is empty when none with this beginning is stored.
    incident: IncidentWire,
}

/// Alerts held back, each counted once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "HeldBack")]
pub(super) struct HeldBackWire {
    /// By the cap per hour.
    cap: u64,
    /// By the cool-down.
    cool_down: u64,
    /// By the schedule or a mute.
    schedule: u64,
}

impl From<&PreviewedAlert> for PreviewedWire {
    fn from(previewed: &PreviewedAlert) -> Self {
        let alert = &previewed.alert;
        Self {
            rule: previewed.rule.clone(),
            to: previewed.to.clone(),
            kind: alert.kind.as_str(),
            at: rfc3339(alert.at_millis),
            held_back: alert.held_back,
            num_events: alert.digest.len(),
            incident: (&alert.incident).into(),
        }
    }
}

impl From<RulesPreview> for PreviewWire {
    fn from(preview: RulesPreview) -> Self {
        let held = preview.held_back;
        Self {
            from: preview.from_millis.map(rfc3339),
            to: preview.to_millis.map(rfc3339),
            num_windows: preview.num_windows,
            alerts: preview.alerts.iter().map(PreviewedWire::from).collect(),
            held_back: HeldBackWire { cap: held.cap, cool_down: held.cool_down, schedule: held.schedule },
        }
    }
}

/// What the alert rules of a monitor would have told over its stored windows. Nothing is sent.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}/alerts/preview",
    tag = "monitors",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("rule" = Option<String>, Query, description = "Only this rule; all if left out"),
        ("since" = Option<String>, Query,
            description = "Windows from this RFC 3339 time on; seven days back if left out"),
    ),
    responses(
        (status = 200, body = PreviewWire, description = "What would have been told"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor or rule"),
    )
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Name(name): Name,
    mut params: Params,
) -> Result<Json<PreviewWire>, ApiError> {
    let monitor = app.monitor(&name)?;
    let rule = params.text("rule")?;
    let since = params.millis("since")?;
    params.finish(&["rule", "since"])?;
    let since = since.unwrap_or_else(|| app.parts.clock.now_millis() - DEFAULT_SPAN_MILLIS);
    let mut facts = monitor.facts.clone();
    if let Some(rule) = rule {
        let known = names(facts.rules.iter().map(|rule| rule.name.as_str()));
        facts.rules.retain(|known| known.name == rule);
        if facts.rules.is_empty() {
            let error = format!("`{name}` has no rule `{rule}`; its rules are: {known}");
            return Err(ApiError::not_found(error));
        }
    }
    let found = preview(app.parts.history.as_ref(), &facts, monitor.measures.len(), since).await;
    let found = found.map_err(|error| match error {
        PreviewError::Store(error) => ApiError::from(error),
        PreviewError::Blob(error) => ApiError::from(error),
    })?;
    Ok(Json(found.into()))
}
