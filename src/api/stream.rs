//! What happens, as it happens: server-sent events.
//!
//! The run loops are not held up: what an incident has become is handed to a bounded queue that drops what nobody
//! takes, and the status is the copy that everybody sees. A client that cannot keep up is let go; it comes back and
//! reads anew what it shows, so nothing has to be repeated.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue},
    response::{IntoResponse, Response, Sse, sse::Event, sse::KeepAlive},
};
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast},
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    error::ApiError,
    params::Params,
    state::App,
    wire::{ErrorWire, rfc3339},
};
use crate::anomaly::{Incident, IncidentState};

/// Clients at a time; each is a browser that somebody looks at.
const CLIENTS_MAX: usize = 64;
/// Changes that a client may be behind.
const CHANGES_MAX: usize = 256;
/// How often the status may be told.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// How often a silent stream says that it is there.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// Proxies that gather answers must not gather this one.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Where run loops tell of incidents, and clients listen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Feed {
    changes: broadcast::Sender<Arc<str>>,
    seats: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Feed {
    /// A feed that ends when the service does.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            changes: broadcast::Sender::new(CHANGES_MAX),
            seats: Arc::new(Semaphore::new(CLIENTS_MAX)),
            stop,
        }
    }

    /// Tells every client what an incident has become. Never waits.
    pub fn tell(&self, incident: &Incident) {
        if self.changes.receiver_count() == 0 {
            return;
        }
        let text = serde_json::to_string(&ChangeWire::from(incident)).expect("plain data");
        // Whoever listened may be gone by now.
        drop(self.changes.send(text.into()));
    }
}

/// An incident that opened, changed or closed.
#[derive(Debug, Serialize)]
struct ChangeWire<'i> {
    id: &'i str,
    monitor: &'i str,
    state: &'static str,
    severity: f64,
    summary: &'i str,
}

impl<'i> From<&'i Incident> for ChangeWire<'i> {
    fn from(incident: &'i Incident) -> Self {
        Self {
            id: &incident.id,
            monitor: &incident.monitor,
            state: match incident.state {
                IncidentState::Open => "open",
                IncidentState::Closed => "closed",
                IncidentState::Retracted => "retracted",
            },
            severity: incident.severity.peak,
            summary: &incident.summary,
        }
    }
}

/// What changes all the time, in short.
#[derive(Debug, Serialize)]
struct BriefWire {
    sources: Vec<BriefSourceWire>,
    monitors: Vec<BriefMonitorWire>,
}

#[derive(Debug, Serialize)]
struct BriefSourceWire {
    name: String,
    state: &'static str,
    lag_millis: Option<i64>,
}

#[derive(Debug, Serialize)]
struct BriefMonitorWire {
    name: String,
    closed_through: Option<String>,
    num_open_incidents: usize,
    num_learning: usize,
}

impl BriefWire {
    fn of(app: &App) -> Self {
        let sources = app.parts.board.sources().into_iter().map(|source| BriefSourceWire {
            name: source.source.to_string(),
            state: source.state.as_str(),
            lag_millis: source.lag_millis,
        });
        let monitors = app.parts.board.monitors().into_iter().map(|monitor| BriefMonitorWire {
            name: monitor.monitor,
            closed_through: monitor.closed_through_millis.map(rfc3339),
            num_open_incidents: monitor.num_open_incidents,
            num_learning: monitor.num_learning,
        });
        Self { sources: sources.collect(), monitors: monitors.collect() }
    }
}

/// One client.
struct Client {
    app: Arc<App>,
    changes: broadcast::Receiver<Arc<str>>,
    ticks: Interval,
    /// What it was last told of the status, without the time.
    told: String,
    _seat: OwnedSemaphorePermit,
}

impl Client {
    /// The next event; `None` when the service stops or the client is too far behind.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let stop = self.app.parts.feed.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                change = self.changes.recv() => {
                    let Ok(change) = change else {
                        self.app.parts.telemetry.note_stream_dropped();
                        return None;
                    };
                    return Some((Ok(Event::default().event("incident").data(&*change)), self));
                }
                _ = self.ticks.tick() => if let Some(event) = self.status() {
                    return Some((Ok(event), self));
                },
            }
        }
    }

    /// The status, if it is another than last told.
    fn status(&mut self) -> Option<Event> {
        let brief = serde_json::to_string(&BriefWire::of(&self.app)).expect("plain data");
        if brief == self.told {
            return None;
        }
        let now = rfc3339(self.app.parts.clock.now_millis());
        let text = format!(r#"{{"now":"{now}",{}"#, &brief[1..]);
        self.told = brief;
        Some(Event::default().event("status").data(text))
    }
}

/// What happens, as it happens: `incident` events whenever one opens, changes or closes (`id`, `monitor`, `state`,
/// `severity`, `summary`), `status` events at most every two seconds and only when it changed (`now`, `sources`,
/// `monitors`), and a comment every 15 seconds. Read anew what you show after every connection.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    tag = "incidents",
    responses(
        (status = 200, body = String, content_type = "text/event-stream", description = "Events without an end"),
        (status = 503, body = ErrorWire, description = "Too many clients listen"),
    )
)]
pub(super) async fn listen(State(app): State<Arc<App>>, params: Params) -> Result<Response, ApiError> {
    params.finish(&[])?;
    let feed = &app.parts.feed;
    let Ok(seat) = Arc::clone(&feed.seats).try_acquire_owned() else {
        app.parts.telemetry.note_stream_refused();
        let error =
            format!("{CLIENTS_MAX} clients listen already; ask for the lists every few seconds instead");
        return Err(ApiError::unavailable(error));
    };
    let mut ticks = tokio::time::interval(STATUS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let changes = feed.changes.subscribe();
    let client = Client { app: Arc::clone(&app), changes, ticks, told: String::new(), _seat: seat };
    let events = futures_util::stream::unfold(client, Client::next);
    let heartbeat = KeepAlive::new().interval(HEARTBEAT_EVERY);
    Ok(([UNBUFFERED], Sse::new(events).keep_alive(heartbeat)).into_response())
}
