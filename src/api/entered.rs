//! Special times that people enter while the service runs.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    feedback::Numbered,
    json::{JsonBody, choice, millis, required, word},
    monitors::Name,
    state::{App, names},
    wire::{ErrorWire, InstructedWire},
};
use crate::{
    calendar::{EntryKind, SPAN_SECONDS_MAX},
    pipeline::{Ask, EnteredEvent},
};

/// A special time.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EventBody {
    /// Its name; the same name is the same occasion.
    #[schema(example = "newsletter")]
    name: Option<String>,
    /// `holiday`, `promotion`, `deploy` or `outage`. What is seen in an outage is not learned; what was seen in the
    /// part of it that is over is unlearned.
    #[schema(example = "promotion")]
    kind: Option<String>,
    /// Start, RFC 3339.
    from: Option<String>,
    /// End, RFC 3339, at most 366 days later.
    to: Option<String>,
    /// The values of dimensions it holds for; empty for everything.
    scope: BTreeMap<String, Vec<String>>,
    /// By what the usual value is expected to be multiplied.
    uplift: Option<f64>,
    /// Who enters it.
    by: Option<String>,
}

/// Enters a special time. Windows from the next on know it.
#[utoipa::path(
    post,
    path = "/api/v1/monitors/{name}/events",
    tag = "monitors",
    params(("name" = String, Path, description = "The monitor")),
    request_body = EventBody,
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored; `number` takes it back"),
        (status = 400, body = ErrorWire, description = "The body cannot be read"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Name(name): Name,
    JsonBody(body): JsonBody<EventBody>,
) -> Result<Json<InstructedWire>, ApiError> {
    let monitor = app.monitor(&name)?;
    let from_seconds = required("from", millis("from", body.from.as_deref())?)?.div_euclid(1000);
    let to_seconds = required("to", millis("to", body.to.as_deref())?)?.div_euclid(1000);
    if !(1..=SPAN_SECONDS_MAX).contains(&(to_seconds - from_seconds)) {
        return Err(ApiError::bad_request("`to` must be 1 second to 366 days after `from`"));
    }
    if body.uplift.is_some_and(|uplift| !(uplift > 0.0 && uplift.is_finite())) {
        return Err(ApiError::bad_request("`uplift` must be a number above 0, such as 1.8 for 80 % more"));
    }
    let mut scope = Vec::new();
    for (dimension, values) in body.scope {
        let number = monitor.dimensions.iter().position(|known| *known == dimension).ok_or_else(|| {
            let known = names(monitor.dimensions.iter().map(String::as_str));
            ApiError::bad_request(format!("`scope.{dimension}` names no dimension; there are: {known}"))
        })?;
        scope.push((number, values.into_iter().map(String::into_boxed_str).collect()));
    }
    let event = EnteredEvent {
        name: required("name", word("name", body.name)?)?,
        kind: choice("kind", &required("kind", body.kind)?, &EntryKind::WORDS)?,
        from_seconds,
        to_seconds,
        scope,
        uplift: body.uplift,
    };
    let row = app.tell(&name, body.by, Ask::Event(event)).await?;
    Ok(Json(InstructedWire::of(&row, true)))
}

/// Takes an entered event back: windows from the next on do not know it, and what it unlearned is learned again.
#[utoipa::path(
    delete,
    path = "/api/v1/monitors/{name}/events/{number}",
    tag = "monitors",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("number" = u64, Path, description = "The number it was entered under"),
    ),
    responses(
        (status = 200, body = InstructedWire, description = "Done and stored"),
        (status = 404, body = ErrorWire, description = "No such monitor or event"),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Numbered { name, number }: Numbered,
) -> Result<Json<InstructedWire>, ApiError> {
    let ledger = &app.past(&name).await?.ledger;
    if !ledger.events().iter().any(|known| known.number == number && !known.is_removed()) {
        return Err(ApiError::not_found(format!("monitor `{name}` has no entered event {number}")));
    }
    let row = app.tell(&name, None, Ask::Undo { number }).await?;
    Ok(Json(InstructedWire::of(&row, false)))
}
