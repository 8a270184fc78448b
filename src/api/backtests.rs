//! Backtests over stored history: ordering, following, reading and comparing them.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::Html,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    configuring::{ConfigChange, ConfiguringError},
    error::ApiError,
    json::{JsonBody, millis, required, word},
    monitors::Name,
    params::Params,
    state::App,
    wire::{ErrorWire, rfc3339},
};
use crate::pipeline::{BacktestOrder, BacktestRow, Backtests, MonitorSpec};

/// From which peak severity on incidents count when nobody says.
const SEVERITY: f64 = 70.0;

/// The report carries its own style and script, and may do nothing else.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; sandbox allow-scripts";

/// What is to be tried.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OrderBody {
    /// The monitor whose stored windows are judged again.
    monitor: Option<String>,
    /// What to call it.
    name: Option<String>,
    /// Other settings: all tables of the monitor, as text.
    toml: Option<String>,
    /// Or keys from the monitor's table on, such as `severity`, `alerts.0.severity`; `null` takes one out.
    set: Option<Map<String, Value>>,
    /// Incidents from this RFC 3339 time on are told; what was before is learned.
    from: Option<String>,
    /// Windows before this RFC 3339 time.
    to: Option<String>,
    /// Without `from`: this share of the time is history and not told; none by default.
    split: Option<f64>,
    /// Where the monitor has no alert rules: from which peak severity on incidents count; 70 by default.
    severity: Option<f64>,
}

/// One that was ordered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ordered {
    /// Its id.
    id: String,
}

/// All backtests, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "BacktestList")]
pub(super) struct ListWire {
    backtests: Vec<RowWire>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Backtest")]
pub(super) struct RowWire {
    id: String,
    name: Option<String>,
    monitor: String,
    /// `queued`, `running`, `done`, `failed` or `stopped`.
    state: String,
    /// From 0 to 1.
    progress: f64,
    #[schema(format = DateTime)]
    created_at: String,
    /// Incidents that people would have heard of.
    incidents: Option<usize>,
    /// One sentence about it.
    summary: Option<String>,
    /// Why it failed.
    error: Option<String>,
}

impl From<BacktestRow> for RowWire {
    fn from(row: BacktestRow) -> Self {
        Self {
            created_at: rfc3339(row.created_millis),
            id: row.id,
            name: row.name,
            monitor: row.monitor,
            state: row.state,
            progress: row.progress,
            incidents: row.incidents,
            summary: row.summary,
            error: row.error,
        }
    }
}

impl App {
    fn backtests(&self) -> Result<&dyn Backtests, ApiError> {
        let kept = self.parts.backtests.as_deref();
        kept.ok_or_else(|| ApiError::unavailable("backtests need a store that is a file".to_owned()))
    }

    /// The settings of a monitor as they run, or with a change.
    fn settings(
        &self,
        monitor: &str,
        toml: Option<String>,
        set: Option<Map<String, Value>>,
    ) -> Result<Arc<MonitorSpec>, ApiError> {
        let spec = self.parts.specs.get(monitor);
        let spec =
            spec.ok_or_else(|| ApiError::not_found(format!("monitor `{monitor}` has no past here")))?;
        let change = match (toml, set) {
            (None, None) => return Ok(Arc::clone(spec)),
            (Some(text), None) => ConfigChange::Text(text),
            (None, Some(keys)) => ConfigChange::Keys(keys.into_iter().collect()),
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_request("give one of `toml` and `set`, not both"));
            }
        };
        let tried = self.configuring()?.try_change(monitor, change)?;
        let (_, changed) = tried.settings.map_err(ConfiguringError::Invalid)?;
        if changed.shape() != spec.shape() {
            return Err(ApiError::bad_request(format!(
                "stored windows have another shape than these settings ask for (`{}`, not `{}`)",
                spec.shape(),
                changed.shape()
            )));
        }
        Ok(changed)
    }
}

/// Orders one. One runs at a time, the others wait.
#[utoipa::path(
    post,
    path = "/api/v1/backtests",
    tag = "backtests",
    request_body = OrderBody,
    responses(
        (status = 200, body = Ordered, description = "It waits, or runs"),
        (status = 400, body = ErrorWire, description = "The body cannot be read, or the settings are wrong"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
        (status = 503, body = ErrorWire, description = "Too many wait"),
    )
)]
pub(super) async fn order(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<OrderBody>,
) -> Result<Json<Ordered>, ApiError> {
    let monitor = required("monitor", body.monitor)?;
    app.monitor(&monitor)?;
    let spec = app.settings(&monitor, body.toml, body.set)?;
    let split = body.split.unwrap_or(0.0);
    if !(0.0..1.0).contains(&split) {
        return Err(ApiError::bad_request(format!("`split`: {split}; expected 0 up to 1")));
    }
    let severity = body.severity.unwrap_or(SEVERITY);
    if !(0.0..=100.0).contains(&severity) {
        return Err(ApiError::bad_request(format!("`severity`: {severity}; expected 0 to 100")));
    }
    let id = app.backtests()?.order(BacktestOrder {
        name: word("name", body.name)?,
        spec,
        from_millis: millis("from", body.from.as_deref())?,
        to_millis: millis("to", body.to.as_deref())?.unwrap_or(i64::MAX),
        split,
        severity,
    })?;
    Ok(Json(Ordered { id }))
}

/// Lists them.
#[utoipa::path(
    get,
    path = "/api/v1/backtests",
    tag = "backtests",
    responses((status = 200, body = ListWire, description = "Newest first"))
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<ListWire>, ApiError> {
    let rows = app.backtests()?.list();
    Ok(Json(ListWire { backtests: rows.into_iter().map(Into::into).collect() }))
}

/// What one found, as `tidewatch backtest --json` writes it.
#[utoipa::path(
    get,
    path = "/api/v1/backtests/{id}",
    tag = "backtests",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = Object, description = "Incidents and summary"),
        (status = 404, body = ErrorWire, description = "No such backtest, or no result of it"),
    )
)]
pub(super) async fn one(State(app): State<Arc<App>>, Name(id): Name) -> Result<Json<Value>, ApiError> {
    Ok(Json(app.backtests()?.result(&id)?))
}

/// The report on one, for browsers.
#[utoipa::path(
    get,
    path = "/api/v1/backtests/{id}/report",
    tag = "backtests",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = String, content_type = "text/html", description = "One page that needs nothing else"),
        (status = 404, body = ErrorWire, description = "No such backtest, or no result of it"),
    )
)]
pub(super) async fn report(
    State(app): State<Arc<App>>,
    Name(id): Name,
) -> Result<([(HeaderName, &'static str); 1], Html<String>), ApiError> {
    let report = app.backtests()?.report(&id)?;
    Ok(([(header::CONTENT_SECURITY_POLICY, REPORT_POLICY)], Html(report)))
}

/// From backtest `a` to backtest `b`, or to `live`, what really was told.
#[utoipa::path(
    get,
    path = "/api/v1/backtests/compare",
    tag = "backtests",
    params(
        ("a" = String, Query, description = "Before"),
        ("b" = String, Query, description = "After; `live` for what really was told"),
    ),
    responses(
        (status = 200, body = Object, description = "`gained`, `lost`, `moved`, and `confirmed_lost`: confirmed \
            incidents that `a` would have told and `b` not"),
        (status = 400, body = ErrorWire, description = "A parameter is missing"),
        (status = 404, body = ErrorWire, description = "No such backtest, or no result of it"),
    )
)]
pub(super) async fn compare(
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Value>, ApiError> {
    let a = required("a", params.text("a")?)?;
    let b = required("b", params.text("b")?)?;
    params.finish(&["a", "b"])?;
    Ok(Json(app.backtests()?.compare(&a, &b).await?))
}

/// Stops one that waits or runs; forgets it.
#[utoipa::path(
    delete,
    path = "/api/v1/backtests/{id}",
    tag = "backtests",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 204, description = "Done"),
        (status = 404, body = ErrorWire, description = "No such backtest"),
    )
)]
pub(super) async fn remove(State(app): State<Arc<App>>, Name(id): Name) -> Result<StatusCode, ApiError> {
    app.backtests()?.remove(&id)?;
    Ok(StatusCode::NO_CONTENT)
}
