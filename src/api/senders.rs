//! Who may post to a source: programs that show a token, and pages of the origins that the source allows.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};
use subtle::ConstantTimeEq;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{error::ApiError, guard::shows, state::App};
use crate::sources::HttpIntake;

/// How long a browser may remember what it is allowed.
const ALLOWED_FOR: std::time::Duration = std::time::Duration::from_hours(24);

/// Who posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// With a token, or where none is asked for.
    Program,
    /// A page of an allowed origin: anybody, in the end.
    Page,
}

/// Lets in who shows the server's token or the source's, and pages of allowed origins. A page of another origin is
/// refused even where no token is asked for, since it speaks for whoever looks at it.
pub(super) fn admit(app: &App, intake: &HttpIntake, headers: &HeaderMap) -> Result<Sender, ApiError> {
    let config = intake.config();
    let tokens = [app.parts.token.as_deref(), config.token.as_deref()];
    if tokens.into_iter().flatten().any(|token| shows(headers, token)) {
        return Ok(Sender::Program);
    }
    let Some(origin) = origin(headers) else {
        let is_open = tokens.iter().all(Option::is_none);
        return if is_open { Ok(Sender::Program) } else { Err(ApiError::unauthorized()) };
    };
    if is_allowed(intake, &origin) {
        return Ok(Sender::Page);
    }
    Err(ApiError::forbidden(format!(
        "pages of `{origin}` may not send events; the key `origins` of the source lists those that may"
    )))
}

/// Refuses whoever may not even know which sources there are.
pub(super) fn admit_stranger(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    match app.parts.token.as_deref() {
        Some(token) if !shows(headers, token) => Err(ApiError::unauthorized()),
        _ => Ok(()),
    }
}

/// Whether a secret is the expected one, compared in constant time.
pub(super) fn is_same(shown: &[u8], expected: &str) -> bool {
    bool::from(shown.ct_eq(expected.as_bytes()))
}

pub(super) fn is_allowed(intake: &HttpIntake, origin: &str) -> bool {
    intake.config().origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
}

/// The page's origin; of an image, which has no such header, from where it was referred.
fn origin(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(origin) = text(header::ORIGIN) {
        return Some(origin.to_owned());
    }
    let (scheme, rest) = text(header::REFERER)?.split_once("://")?;
    Some(format!("{scheme}://{}", rest.split(['/', '?', '#']).next().unwrap_or_default()))
}

/// Answers browsers that ask whether they may send, by the source that the query names.
pub(super) fn cors(intakes: std::collections::BTreeMap<String, HttpIntake>) -> CorsLayer {
    let may = move |origin: &HeaderValue, parts: &Parts| {
        let query = parts.uri.query().unwrap_or_default();
        let name = query.split('&').find_map(|pair| pair.strip_prefix("source="));
        let intake = match name {
            Some(name) => intakes.get(name),
            None => intakes.values().next().filter(|_| intakes.len() == 1),
        };
        origin.to_str().is_ok_and(|origin| intake.is_some_and(|intake| is_allowed(intake, origin)))
    };
    let key = HeaderName::from_static("idempotency-key");
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(may))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::CONTENT_ENCODING, key])
        .allow_credentials(true)
        .max_age(ALLOWED_FOR)
}
