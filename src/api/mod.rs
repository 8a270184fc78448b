//! Floor 6: where people and programs look in, and where events are posted.
//!
//! Promises: a post is answered after the commit that holds its events, and a repeated `Idempotency-Key`
//! gets the first answer again, however the repetition races with the original. Every refusal is JSON
//! `{"error": ...}` that names the parameter, its value and what is allowed. Routes and OpenAPI are one
//! list. Reading never disturbs a run loop: it sees the store and a copy of the status.
//!
//! Posts of events look after who sends them by themselves (`senders.rs`), since a source may have a token of its
//! own, take what pages send, or be fed by Firehose. What people ask of a monitor is carried out by its run loop and
//! answered after the commit, as posts are.
//!
//! Not here: TLS, users and roles; a proxy in front does these. Nothing is changed but by POST, PUT and
//! DELETE.

mod backfill;
mod backtests;
mod body;
mod calendar;
mod care;
mod change;
mod column;
mod config;
mod configuring;
mod deliveries;
mod entered;
mod error;
mod events;
mod feedback;
mod firehose;
mod front;
mod guard;
mod health;
mod histogram;
mod import;
mod incidents;
mod json;
mod keys;
mod lanes;
mod learning;
mod monitors;
mod observations;
mod openapi;
mod page;
mod params;
mod past;
mod pixel;
mod preview;
mod rules;
mod said;
mod senders;
mod slices;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod why;
pub mod wire;

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
};
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use configuring::{
    BeforeAfter, ConfigChange, ConfigProblemWire, ConfigWire, Configuring, ConfiguringError, ProposalWire,
    ProposedDimensionWire, ProposedMeasureWire, ReloadedWire, TriedChange,
};
pub use deliveries::NotifierInfo;
pub use front::{Front, Pass};
use state::App;
pub use state::{ApiLimits, ApiState, MeasureInfo, MonitorInfo};
pub use stream::Feed;

/// How long requests under way may take to end once stopping has begun.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// All routes over these parts.
pub fn router(state: ApiState, limits: ApiLimits) -> Router {
    let token = state.token.as_deref().map(Arc::from);
    let (open, mut document) = open_routes().split_for_parts();
    let (guarded, more) = guarded_routes().split_for_parts();
    document.merge(more);
    let (firehose, more) = firehose_routes().split_for_parts();
    document.merge(more);
    let (events, more) = OpenApiRouter::new().routes(routes!(events::post, pixel::get)).split_for_parts();
    document.merge(more);
    // The layer must lie around the answer to methods that no route has, since browsers ask with one.
    let events =
        events.method_not_allowed_fallback(error::unknown_method).layer(senders::cors(state.intakes.clone()));
    openapi::complete(&mut document, state.token.is_some());
    let app = Arc::new(App::new(state, limits, openapi::text(&document)));
    let guarded = guarded.layer(from_fn_with_state(token, guard::authorize));
    open.merge(firehose)
        .merge(events)
        .merge(guarded)
        .fallback(page::other)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(DefaultBodyLimit::max(limits.body_bytes_max))
        .layer(from_fn_with_state(limits, guard::limit_time))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn(guard::no_sniffing))
        // Neither images nor the stream of changes are compressed: the first gain nothing, the second must not wait.
        .layer(CompressionLayer::new())
        .with_state(app)
}

/// What anyone may see: the page itself, and that the process answers.
fn open_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(page::index))
        .routes(routes!(page::asset))
        .routes(routes!(health::live))
}

/// Where Firehose delivers.
fn firehose_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(firehose::post))
        .routes(routes!(firehose::post_to))
        .layer(DefaultBodyLimit::max(firehose::BODY_BYTES_MAX))
}

/// What needs the token, if one is configured.
fn guarded_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(monitors::status))
        .routes(routes!(monitors::list))
        .routes(routes!(monitors::one))
        .routes(routes!(monitors::series))
        .routes(routes!(learning::list))
        .routes(routes!(calendar::list))
        .routes(routes!(import::import))
        .routes(routes!(preview::show))
        .routes(routes!(observations::list))
        .routes(routes!(lanes::list))
        .routes(routes!(histogram::show))
        .routes(routes!(incidents::list))
        .routes(routes!(incidents::one))
        .routes(routes!(care::acknowledge))
        .routes(routes!(care::assign))
        .routes(routes!(care::mute))
        .routes(routes!(care::note))
        .routes(routes!(feedback::give))
        .routes(routes!(feedback::preview))
        .routes(routes!(feedback::give_range))
        .routes(routes!(feedback::preview_range))
        .routes(routes!(feedback::missed))
        .routes(routes!(feedback::list))
        .routes(routes!(feedback::undo))
        .routes(routes!(backfill::step))
        .routes(routes!(backtests::list, backtests::order))
        .routes(routes!(backtests::compare))
        .routes(routes!(backtests::one, backtests::remove))
        .routes(routes!(backtests::report))
        .routes(routes!(entered::add))
        .routes(routes!(entered::remove))
        .routes(routes!(config::show, config::save))
        .routes(routes!(config::preview))
        .routes(routes!(config::create))
        .routes(routes!(config::reload, config::reloaded))
        .routes(routes!(config::propose))
        .routes(routes!(stream::listen))
        .routes(routes!(rules::list))
        .routes(routes!(deliveries::notifiers))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::test))
        .routes(routes!(why::explain))
        .routes(routes!(openapi::document))
}

/// Answers until `stop` is cancelled, then lets requests under way end, for at most ten seconds.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let out_of_patience = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_PATIENCE).await;
    };
    tokio::select! {
        outcome = serving.into_future() => outcome,
        () = out_of_patience => Ok(()),
    }
}
