//! Alerts on their way: what was sent, what waits, what failed, and a message to try a notifier with.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    error::ApiError,
    json::JsonBody,
    monitors::Name,
    params::Params,
    state::{App, names},
    wire::{ErrorWire, rfc3339},
};
use crate::{
    anomaly::Alert,
    pipeline::{DeliveryQuery, DeliveryRow, DeliveryState, Notifier, NotifierRecord},
};

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 500;
/// Failures are counted over a day.
const FAILED_WITHIN_MILLIS: i64 = 86_400_000;
/// A notifier is tried once in so long.
const TEST_EVERY_MILLIS: i64 = 10_000;
/// Notifiers end an attempt by themselves; this is for one that does not.
const TEST_PATIENCE: Duration = Duration::from_secs(45);

const STATES: [(&str, DeliveryState); 3] = [
    ("waiting", DeliveryState::Waiting),
    ("sent", DeliveryState::Sent),
    ("given_up", DeliveryState::GivenUp),
];

/// A notifier that runs.
#[derive(Clone)]
pub struct NotifierInfo {
    /// Its kind, as configured.
    pub kind: &'static str,
    /// The notifier itself.
    pub notifier: Arc<dyn Notifier>,
}

impl fmt::Debug for NotifierInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifierInfo").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// When each notifier was last tried, milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Tests(Mutex<BTreeMap<String, i64>>);

impl Tests {
    /// Whether a notifier may be tried now; notes it if so.
    fn admit(&self, name: &str, now_millis: i64) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = last.get(name).is_none_or(|before| now_millis - before >= TEST_EVERY_MILLIS);
        if free {
            last.insert(name.to_owned(), now_millis);
        }
        free
    }
}

/// The notifiers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Notifiers")]
pub(super) struct NotifiersWire {
    /// By name.
    notifiers: Vec<NotifierWire>,
}

/// One notifier.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Notifier")]
pub(super) struct NotifierWire {
    /// Its name.
    name: String,
    /// `webhook`, `email` or `sns`.
    kind: &'static str,
    /// Alerts that wait to be sent.
    pending: u64,
    /// Alerts given up in the last 24 hours.
    failed_24h: u64,
    /// When it last took an alert.
    #[schema(format = DateTime)]
    last_success: Option<String>,
    /// Why the newest alert that has failed did so.
    last_error: Option<String>,
}

/// Alerts, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Deliveries")]
pub(super) struct DeliveriesWire {
    /// The alerts.
    deliveries: Vec<DeliveryWire>,
    /// What to ask for as `after` to go on; `null` at the end.
    next: Option<String>,
}

/// One alert to one notifier.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Delivery")]
pub(super) struct DeliveryWire {
    /// Its id, as receivers get it.
    id: String,
    /// The incident.
    incident: String,
    /// What the incident says of itself in it.
    summary: String,
    /// The rule; `null` when it is configured no more.
    rule: Option<String>,
    /// The notifier.
    notifier: String,
    /// `opened`, `escalated`, `recovered`, `resumed`, `revised`, `closed`, `suppressed`, `digest` or `acknowledged`.
    kind: String,
    /// Event time of the window that caused it.
    #[schema(format = DateTime)]
    at: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was sent or given up.
    #[schema(format = DateTime)]
    settled_at: Option<String>,
    /// `waiting`, `sent` or `given_up`.
    state: &'static str,
    /// Attempts so far.
    attempts: u32,
    /// Why the last attempt failed.
    last_error: Option<String>,
}

/// Nothing needs saying.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TestBody {}

/// What became of a test.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "TestOutcome")]
pub(super) struct TestWire {
    /// Whether the receiver took it.
    ok: bool,
    /// Why not.
    error: Option<String>,
    /// How long it took.
    took_millis: u64,
    /// The id that the receiver got.
    id: String,
}

/// The notifiers and how they fare.
#[utoipa::path(
    get,
    path = "/api/v1/notifiers",
    tag = "alerts",
    responses((status = 200, body = NotifiersWire, description = "Notifiers"))
)]
pub(super) async fn notifiers(
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<NotifiersWire>, ApiError> {
    params.finish(&[])?;
    let since_millis = app.parts.clock.now_millis() - FAILED_WITHIN_MILLIS;
    let mut notifiers = Vec::new();
    for (name, NotifierInfo { kind, .. }) in &app.parts.notifiers {
        let NotifierRecord { waiting, failed, last_sent_millis, last_error } =
            app.parts.history.notifier_record(name, since_millis).await?;
        notifiers.push(NotifierWire {
            name: name.clone(),
            kind,
            pending: waiting,
            failed_24h: failed,
            last_success: last_sent_millis.map(rfc3339),
            last_error,
        });
    }
    Ok(Json(NotifiersWire { notifiers }))
}

/// Alerts and what became of them, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/deliveries",
    tag = "alerts",
    params(
        ("notifier" = Option<String>, Query, description = "Only to this notifier"),
        ("incident" = Option<String>, Query, description = "Only of this incident"),
        ("state" = Option<String>, Query, description = "Only `waiting`, `sent` or `given_up`"),
        ("after" = Option<i64>, Query, description = "Go on behind this one: the `next` of the answer before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 500,
            description = "At most this many; 50 if left out"),
    ),
    responses(
        (status = 200, body = DeliveriesWire, description = "Alerts"),
        (status = 400, body = ErrorWire, description = "A parameter cannot be read"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<DeliveriesWire>, ApiError> {
    let query = DeliveryQuery {
        notifier: params.text("notifier")?,
        incident: params.text("incident")?,
        state: params.word("state", &STATES)?,
        before: params.count("after")?.map(|number| number as i64),
        limit: params.limit(LIMIT, LIMIT_MAX)?,
    };
    params.finish(&["notifier", "incident", "state", "after", "limit"])?;
    let rows = app.parts.history.deliveries(&query).await?;
    let next = rows.last().filter(|_| rows.len() == query.limit).map(|row| row.number.to_string());
    Ok(Json(DeliveriesWire { deliveries: rows.into_iter().map(|row| wire(&app, row)).collect(), next }))
}

/// Sends an example through a notifier, once, and says what became of it. Nothing is stored or tried again.
#[utoipa::path(
    post,
    path = "/api/v1/notifiers/{name}/test",
    tag = "alerts",
    params(("name" = String, Path, description = "The notifier")),
    request_body = TestBody,
    responses(
        (status = 200, body = TestWire, description = "It was tried; `ok` says whether the receiver took it"),
        (status = 404, body = ErrorWire, description = "No such notifier"),
        (status = 429, body = ErrorWire, description = "It was tried in the last ten seconds"),
    )
)]
pub(super) async fn test(
    State(app): State<Arc<App>>,
    Name(name): Name,
    JsonBody(TestBody {}): JsonBody<TestBody>,
) -> Result<Json<TestWire>, ApiError> {
    let NotifierInfo { notifier, .. } = app.parts.notifiers.get(&name).ok_or_else(|| {
        let known = names(app.parts.notifiers.keys().map(String::as_str));
        ApiError::not_found(format!("there is no notifier `{name}`; the notifiers are: {known}"))
    })?;
    let now_millis = app.parts.clock.now_millis();
    if !app.tests.admit(&name, now_millis) {
        let seconds = TEST_EVERY_MILLIS / 1_000;
        return Err(ApiError::behind(format!("`{name}` is tried at most once in {seconds} s")));
    }
    let alert = Alert::example(&name, now_millis);
    let started = tokio::time::Instant::now();
    let outcome = tokio::time::timeout(TEST_PATIENCE, notifier.send(&alert)).await;
    let error = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("unavailable: no answer within {} s", TEST_PATIENCE.as_secs())),
    };
    tracing::info!(notifier = name, error, "a notifier was tried");
    let took_millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(TestWire { ok: error.is_none(), error, took_millis, id: alert.id }))
}

fn wire(app: &App, row: DeliveryRow) -> DeliveryWire {
    let DeliveryRow { id, incident, monitor, summary, notifier, kind, .. } = row;
    // The number of the rule stands behind the incident: see `Alert::id`.
    let rule = id.strip_prefix(&incident).or_else(|| id.strip_prefix(&monitor));
    let number = rule.and_then(|rest| rest.split(':').nth(1)).and_then(|number| number.parse().ok());
    let rules = app.monitor(&monitor).map(|monitor| &monitor.facts.rules).ok();
    let rule = number.and_then(|number: usize| rules?.get(number)).map(|rule| rule.name.clone());
    DeliveryWire {
        rule,
        id,
        incident,
        summary,
        notifier,
        kind,
        at: rfc3339(row.at_millis),
        created_at: rfc3339(row.made_millis),
        settled_at: row.settled_millis.map(rfc3339),
        state: STATES.iter().find(|(_, state)| *state == row.state).map_or("waiting", |(word, _)| word),
        attempts: row.attempts,
        last_error: row.error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notifier_is_tried_once_in_ten_seconds() {
        let tests = Tests::default();
        let admitted = [0, 9_999, 10_000, 19_999].map(|now| tests.admit("mail", now));
        assert_eq!(admitted, [true, false, true, false]);
        assert!(tests.admit("pager", 0));
    }
}
