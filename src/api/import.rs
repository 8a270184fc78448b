//! A calendar file that somebody hands in: its events are entered like others, as one instruction.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, header},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    body,
    error::ApiError,
    json::word,
    monitors::Name,
    params::Params,
    state::{App, MonitorInfo},
    wire::ErrorWire,
};
use crate::{
    calendar::{Entry, EntryKind, IcsDefaults, IcsProblem, Scope, Span, read_ics},
    pipeline::{Ask, EnteredEvent, Ledger},
};

/// Largest calendar file.
const BYTES_MAX: usize = 1 << 20;
/// Events of one import.
const EVENTS_MAX: usize = 2_000;
/// Events that are named as left out.
const SKIPPED_NAMED: usize = 100;
/// What ended longer ago is of no use.
const PAST_SECONDS: i64 = 366 * 86_400;
/// What begins later comes with a later import.
const FUTURE_SECONDS: i64 = 800 * 86_400;

/// What became of a calendar file.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "CalendarImport")]
pub(super) struct ImportWire {
    /// Special times that were entered.
    added: usize,
    /// The number that takes all of them back; `null` where there is none.
    number: Option<u64>,
    /// Those that were left out, or not taken as they are; the first hundred.
    skipped: Vec<SkippedWire>,
    /// How many were left out or not taken as they are.
    num_skipped: usize,
}

/// An event that was left out.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(title = "SkippedEvent")]
pub(super) struct SkippedWire {
    /// Line at which it begins, where the file has a fault there.
    line: Option<usize>,
    /// Its summary.
    summary: String,
    /// Why.
    reason: String,
}

impl From<IcsProblem> for SkippedWire {
    fn from(problem: IcsProblem) -> Self {
        Self { line: Some(problem.line), summary: problem.summary, reason: problem.detail }
    }
}

/// Enters the events of a calendar file (RFC 5545). What is entered already is left out, so the same file can be handed
/// in again. Windows from the next on know them.
#[utoipa::path(
    post,
    path = "/api/v1/monitors/{name}/calendar/import",
    tag = "monitors",
    params(
        ("name" = String, Path, description = "The monitor"),
        ("name" = Option<String>, Query, description = "What people call the calendar; `calendar` if left out"),
        ("kind" = Option<String>, Query, description = "What its events are where their `CATEGORIES` do not say: \
            `holiday`, `promotion`, `deploy` or `outage`; `promotion` if left out"),
        ("by" = Option<String>, Query, description = "Who asks"),
    ),
    request_body(content = String, content_type = "text/calendar", description = "The file, at most 1 MiB"),
    responses(
        (status = 200, body = ImportWire, description = "Done and stored"),
        (status = 400, body = ErrorWire, description = "It is no calendar file"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
        (status = 413, body = ErrorWire, description = "Too large"),
        (status = 415, body = ErrorWire, description = "Another content type than text/calendar"),
    )
)]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Name(name): Name,
    mut params: Params,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<ImportWire>, ApiError> {
    let monitor = app.monitor(&name)?;
    let called = word("name", params.text("name")?)?.unwrap_or_else(|| "calendar".to_owned());
    let kind = params.word("kind", &EntryKind::WORDS)?.unwrap_or(EntryKind::Promotion);
    let by = params.text("by")?;
    params.finish(&["name", "kind", "by"])?;
    // A page elsewhere cannot send this without the browser asking us first.
    let content = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !content.is_some_and(|content| content.to_ascii_lowercase().starts_with("text/calendar")) {
        return Err(ApiError::unsupported("the header Content-Type must be text/calendar"));
    }
    let bytes = body::read(request, BYTES_MAX).await?;
    let bytes = body::decoded(&headers, bytes, BYTES_MAX).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| ApiError::bad_request("the file is not UTF-8"))?;
    if !text.to_ascii_uppercase().contains("BEGIN:VCALENDAR") {
        return Err(ApiError::bad_request("the file has no BEGIN:VCALENDAR; it must be iCalendar (.ics)"));
    }
    let (entries, problems) = read_ics(text, &IcsDefaults { kind, scope: Scope::default() });
    let ledger = Ledger::of(&app.parts.history.instructed(&name).await?);
    let mut skipped: Vec<SkippedWire> = problems.into_iter().map(Into::into).collect();
    let now_seconds = app.parts.clock.now_millis().div_euclid(1000);
    let events = chosen(entries, monitor, &ledger, now_seconds, &mut skipped);
    let (added, num_skipped) = (events.len(), skipped.len());
    skipped.truncate(SKIPPED_NAMED);
    let number = if events.is_empty() {
        None
    } else {
        Some(app.tell(&name, by, Ask::Events { name: called, events }).await?.number)
    };
    Ok(Json(ImportWire { added, number, skipped, num_skipped }))
}

/// The events to enter, and why others are not.
fn chosen(
    entries: Vec<(Entry, Vec<Span>)>,
    monitor: &MonitorInfo,
    ledger: &Ledger,
    now_seconds: i64,
    skipped: &mut Vec<SkippedWire>,
) -> Vec<EnteredEvent> {
    let mut known: BTreeSet<(String, i64, i64)> = ledger
        .events()
        .iter()
        .filter(|known| !known.is_removed())
        .map(|known| (known.event.name.clone(), known.event.from_seconds, known.event.to_seconds))
        .collect();
    let mut events = Vec::new();
    for (entry, spans) in entries {
        let name = entry.name.to_string();
        let mut skip = |count: usize, why: &str| {
            if count > 0 {
                let reason = format!("{count} of its {} times: {why}", spans.len());
                skipped.push(SkippedWire { line: None, summary: name.clone(), reason });
            }
        };
        let (mut twice, mut far, mut over) = (0, 0, 0);
        for span in spans.iter().map(|span| span.in_zone(&monitor.default_zone)) {
            if span.to < now_seconds - PAST_SECONDS || span.from > now_seconds + FUTURE_SECONDS {
                far += 1;
            } else if known.contains(&(name.clone(), span.from, span.to)) {
                twice += 1;
            } else if events.len() >= EVENTS_MAX {
                over += 1;
            } else {
                known.insert((name.clone(), span.from, span.to));
                events.push(EnteredEvent {
                    name: name.clone(),
                    kind: entry.kind,
                    from_seconds: span.from,
                    to_seconds: span.to,
                    scope: Vec::new(),
                    uplift: entry.uplift,
                });
            }
        }
        skip(twice, "entered already");
        skip(far, "more than a year ago, or more than 800 days ahead");
        skip(over, "one import takes 2000 at most");
    }
    events
}
