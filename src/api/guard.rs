//! What every request passes: the token, the time it may take, and headers that keep browsers honest.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use subtle::ConstantTimeEq;

use super::{ApiLimits, error::ApiError};

/// A post waits for the commit that holds it.
const POST_TIMEOUT: Duration = Duration::from_mins(1);

/// Lets in who shows the token, compared in constant time.
pub(super) async fn authorize(
    State(token): State<Option<Arc<str>>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match token {
        Some(token) if !shows(request.headers(), &token) => Err(ApiError::unauthorized()),
        _ => Ok(next.run(request).await),
    }
}

/// Whether a request shows this bearer token.
pub(super) fn shows(headers: &HeaderMap, token: &str) -> bool {
    let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let Some((scheme, shown)) = shown.split_at_checked(b"Bearer ".len()) else { return false };
    scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(shown.ct_eq(token.as_bytes()))
}

/// Ends requests that take too long. A post under way is stored all the same.
pub(super) async fn limit_time(
    State(limits): State<ApiLimits>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let is_post = matches!(*request.method(), Method::POST | Method::PUT);
    let most = if is_post { POST_TIMEOUT } else { limits.timeout };
    tokio::time::timeout(most, next.run(request)).await.map_err(|_| {
        let seconds = most.as_secs_f64();
        ApiError::unavailable(if is_post {
            format!(
                "not stored within {seconds} s; it may be stored yet: repeat the post with the same \
                 Idempotency-Key"
            )
        } else {
            format!("no answer within {seconds} s; ask for less, or again later")
        })
    })
}

/// Keeps browsers from guessing what an answer is.
pub(super) async fn no_sniffing(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
