//! A monitor's configuration: shown, tried over the stored past, saved, taken in.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use similar::{ChangeTag, TextDiff};

use super::{
    change::{ChangeBody, ConfigPreviewWire, CreateBody, CreatedWire, EffectWire, ProposeBody},
    configuring::{ConfigWire, Configuring, ConfiguringError, ProposalWire, ReloadedWire, TriedChange},
    error::ApiError,
    front::Pass,
    json::{JsonBody, required},
    monitors::Name,
    params::Params,
    state::App,
    wire::ErrorWire,
};
use crate::pipeline::{EffectOf, RescoreLimits, effect};

/// How far back a preview looks.
const LOOKED_AT_MILLIS: i64 = 30 * 86_400_000;
/// What a preview may do: an answer is waited for.
const LIMITS: RescoreLimits = RescoreLimits { values: 20_000_000, time: Duration::from_secs(20) };

impl App {
    pub(super) fn configuring(&self) -> Result<Arc<dyn Configuring>, ApiError> {
        let why = "the service was started without a configuration file";
        self.parts.configuring.clone().ok_or_else(|| ApiError::forbidden(why))
    }

    /// What a change would have done to the stored past. One at a time: each takes a core.
    async fn effect(&self, monitor: &str, tried: &TriedChange) -> Result<Option<EffectWire>, ApiError> {
        let Ok((before, after)) = &tried.settings else { return Ok(None) };
        let _turn = self.rescoring.acquire().await;
        let past = self.past(monitor).await?;
        let look = past.look();
        let settings = (before.as_ref(), after.as_ref());
        let of = EffectOf { history: look.history, slices: look.slices, ledger: look.ledger, settings };
        let now = self.parts.clock.now_millis();
        let found = effect(of, (now - LOOKED_AT_MILLIS, now), LIMITS).await?;
        Ok(Some(EffectWire::new(found, look.ledger)))
    }
}

/// How a monitor is configured.
#[utoipa::path(
    get,
    path = "/api/v1/monitors/{name}/config",
    tag = "configuration",
    params(("name" = String, Path, description = "The monitor")),
    responses(
        (status = 200, body = ConfigWire, description = "Its tables as written"),
        (status = 403, body = ErrorWire, description = "The service has no configuration file"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Name(name): Name,
    params: Params,
) -> Result<Json<ConfigWire>, ApiError> {
    params.finish(&[])?;
    Ok(Json(app.configuring()?.written(&name)?))
}

/// What a change would have done to the stored past; nothing is written.
#[utoipa::path(
    post,
    path = "/api/v1/monitors/{name}/config/preview",
    tag = "configuration",
    params(("name" = String, Path, description = "The monitor")),
    request_body = ChangeBody,
    responses(
        (status = 200, body = ConfigPreviewWire, description = "Problems, or the effect"),
        (status = 400, body = ErrorWire, description = "The body cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Name(name): Name,
    JsonBody(body): JsonBody<ChangeBody>,
) -> Result<Json<ConfigPreviewWire>, ApiError> {
    let tried = app.configuring()?.try_change(&name, body.change()?)?;
    let effect = app.effect(&name, &tried).await?;
    let diff = diff(&tried.before, &tried.toml);
    let problems = tried.settings.err().unwrap_or_default();
    Ok(Json(ConfigPreviewWire { valid: problems.is_empty(), problems, toml: tried.toml, diff, effect }))
}

/// Writes a change to its file, with what is not changed as it was, and takes it in.
#[utoipa::path(
    put,
    path = "/api/v1/monitors/{name}/config",
    tag = "configuration",
    params(("name" = String, Path, description = "The monitor")),
    request_body = ChangeBody,
    responses(
        (status = 200, body = ConfigWire, description = "Written, and in force"),
        (status = 400, body = ErrorWire, description = "Something is wrong; nothing was written"),
        (status = 403, body = ErrorWire, description = "It cannot be changed here"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
        (status = 409, body = ErrorWire, description = "The file was changed since, or the change cannot be taken in"),
    )
)]
pub(super) async fn save(
    State(app): State<Arc<App>>,
    Name(name): Name,
    pass: Option<Extension<Pass>>,
    JsonBody(mut body): JsonBody<ChangeBody>,
) -> Result<Json<ConfigWire>, ApiError> {
    let revision = required("revision", body.revision.take())?;
    let change = body.change()?;
    let configuring = app.configuring()?;
    if let Some(Extension(pass)) = &pass {
        pass.let_go();
    }
    // Whoever asks may go away: what was begun is ended.
    let saving = tokio::spawn(async move { configuring.save(&name, change, &revision).await });
    Ok(Json(saving.await??))
}

/// Writes a new monitor, and takes it in.
#[utoipa::path(
    post,
    path = "/api/v1/monitors",
    tag = "configuration",
    request_body = CreateBody,
    responses(
        (status = 201, body = CreatedWire, description = "Written, and it runs"),
        (status = 200, body = CreatedWire, description = "Something is wrong; nothing was written"),
        (status = 403, body = ErrorWire, description = "The configuration cannot be changed here"),
        (status = 409, body = ErrorWire, description = "It cannot be taken in"),
    )
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    pass: Option<Extension<Pass>>,
    JsonBody(body): JsonBody<CreateBody>,
) -> Result<Response, ApiError> {
    let (name, toml) = (required("name", body.name)?, required("toml", body.toml)?);
    let configuring = app.configuring()?;
    if let Some(Extension(pass)) = &pass {
        pass.let_go();
    }
    match tokio::spawn(async move { configuring.create(&name, &toml).await }).await? {
        Ok(config) => {
            let created = CreatedWire { valid: true, problems: Vec::new(), config: Some(config) };
            Ok((StatusCode::CREATED, Json(created)).into_response())
        }
        Err(ConfiguringError::Invalid(problems)) => {
            Ok(Json(CreatedWire { valid: false, problems, config: None }).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the configuration again and takes it in; when it is wrong, what ran before goes on.
#[utoipa::path(
    post,
    path = "/api/v1/reload",
    tag = "configuration",
    responses(
        (status = 200, body = ReloadedWire, description = "In force"),
        (status = 403, body = ErrorWire, description = "The service has no configuration file"),
        (status = 409, body = ErrorWire, description = "Refused, and why"),
    )
)]
pub(super) async fn reload(
    State(app): State<Arc<App>>,
    pass: Option<Extension<Pass>>,
) -> Result<Json<ReloadedWire>, ApiError> {
    let configuring = app.configuring()?;
    if let Some(Extension(pass)) = &pass {
        pass.let_go();
    }
    Ok(Json(configuring.reload().await?))
}

/// What became of the last attempt to read the configuration again.
#[utoipa::path(
    get,
    path = "/api/v1/reload",
    tag = "configuration",
    responses(
        (status = 200, body = ReloadedWire, description = "The last attempt"),
        (status = 403, body = ErrorWire, description = "The service has no configuration file"),
    )
)]
pub(super) async fn reloaded(
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<ReloadedWire>, ApiError> {
    params.finish(&[])?;
    Ok(Json(app.configuring()?.reloaded()))
}

/// Proposes a monitor for sample records.
#[utoipa::path(
    post,
    path = "/api/v1/propose",
    tag = "configuration",
    request_body = ProposeBody,
    responses(
        (status = 200, body = ProposalWire, description = "Guesses by names and values"),
        (status = 400, body = ErrorWire, description = "Nothing can be made of them"),
        (status = 403, body = ErrorWire, description = "The service has no configuration file"),
    )
)]
pub(super) async fn propose(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<ProposeBody>,
) -> Result<Json<ProposalWire>, ApiError> {
    let samples = required("samples", body.samples)?;
    let name = body.name.unwrap_or_else(|| "shop".to_owned());
    app.configuring()?.propose(&samples, &name).map(Json).map_err(ApiError::bad_request)
}

impl From<ConfiguringError> for ApiError {
    fn from(error: ConfiguringError) -> Self {
        let why = error.to_string();
        match error {
            ConfiguringError::NotFound(_) => Self::not_found(why),
            ConfiguringError::NotEditable(_) => Self::forbidden(why),
            ConfiguringError::Stale(_) | ConfiguringError::Refused(_) => Self::conflict(why),
            ConfiguringError::Invalid(_) => Self::bad_request(why),
            ConfiguringError::Unavailable(_) => Self::unavailable(why),
        }
    }
}

/// Lines that come and go.
fn diff(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let sign = |tag| match tag {
        ChangeTag::Delete => Some('-'),
        ChangeTag::Insert => Some('+'),
        ChangeTag::Equal => None,
    };
    let line = |change: similar::Change<&str>| {
        Some(format!("{} {}", sign(change.tag())?, change.value().trim_end()).trim_end().to_owned())
    };
    diff.iter_all_changes().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_what_comes_and_goes() {
        let (before, after) = ("a = 1\nb = 2\n\nc = 3\n", "a = 1\nb = 5\n\nc = 3\nd = 4\n");
        assert_eq!(diff(before, after), ["- b = 2", "+ b = 5", "+ d = 4"]);
        assert_eq!(diff(before, before), [""; 0]);
    }
}
