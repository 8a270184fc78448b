//! Every refusal and failure as JSON: `{"error": "..."}`.
//!
//! A failure of our own is logged with its cause; the client reads what it can act upon.

use std::any::Any;

use axum::{
    Json,
    extract::rejection::{BytesRejection, PathRejection},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use tokio::task::JoinError;

use super::wire::ErrorWire;
use crate::{
    pipeline::{BacktestsError, BlobError, DeskError, Refused, RestoreError, StoreError},
    sources::HttpIntakeError,
};

/// Seconds after which the queue of posts has moved on.
const RETRY_BEHIND_SECONDS: u16 = 1;
/// Seconds after which a service that starts, stops or fails may be back.
const RETRY_AWAY_SECONDS: u16 = 5;

/// Why a request was refused or failed.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    error: String,
    retry_after_seconds: Option<u16>,
}

impl ApiError {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), retry_after_seconds: None }
    }

    /// 400: the client must say it differently.
    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// 404: there is no such thing.
    pub(super) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// 401: no token, or another one.
    pub(super) fn unauthorized() -> Self {
        let error =
            "a token is required: send the header `Authorization: Bearer TOKEN` with `[server] token`";
        Self::unauthorized_because(error)
    }

    /// 401: another secret than the server's token.
    pub(super) fn unauthorized_because(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error)
    }

    /// 403: it is known who asks, and they may not.
    pub(super) fn forbidden(error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, error)
    }

    /// 409: things are not as the client thinks, or cannot become so.
    pub(super) fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error)
    }

    /// 413: over the limit.
    pub(super) fn too_large(bytes_max: usize) -> Self {
        let error = format!("the body has more than {bytes_max} bytes, decompressed; send it in parts");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    /// 415: the body's encoding.
    pub(super) fn unsupported(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
    }

    /// 429: come back in a moment.
    pub(super) fn behind(error: impl Into<String>) -> Self {
        let retry_after_seconds = Some(RETRY_BEHIND_SECONDS);
        Self { retry_after_seconds, ..Self::new(StatusCode::TOO_MANY_REQUESTS, error) }
    }

    /// 503: come back later.
    pub(super) fn unavailable(error: impl Into<String>) -> Self {
        let retry_after_seconds = Some(RETRY_AWAY_SECONDS);
        Self { retry_after_seconds, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, error) }
    }

    /// For answers in a form that others prescribe.
    pub(super) fn into_parts(self) -> (StatusCode, Option<String>) {
        (self.status, Some(self.error))
    }

    fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the request failed: {error}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorWire { error: self.error })).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidewatch\""));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => {
                tracing::warn!(why, "a request found the store unavailable");
                Self::unavailable(why)
            }
            StoreError::Conflict(_) | StoreError::Unusable(_) => Self::internal(&error),
        }
    }
}

impl From<BacktestsError> for ApiError {
    fn from(error: BacktestsError) -> Self {
        match error {
            BacktestsError::Full(_) => Self::unavailable(error.to_string()),
            BacktestsError::Unknown(_) | BacktestsError::Unfinished { .. } => {
                Self::not_found(error.to_string())
            }
            BacktestsError::Files(_) => Self::internal(&error),
            BacktestsError::Store(error) => error.into(),
            BacktestsError::Damaged(error) => error.into(),
        }
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Refused(Refused::NothingToUndo(_)) => Self::not_found(error.to_string()),
            DeskError::Refused(_) => Self::bad_request(error.to_string()),
            DeskError::Behind => Self::behind(error.to_string()),
            DeskError::Stopping => Self::unavailable(error.to_string()),
        }
    }
}

impl From<RestoreError> for ApiError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Store(error) => error.into(),
            RestoreError::Damaged { .. } | RestoreError::Reshaped { .. } => Self::internal(&error),
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        Self::internal(&error)
    }
}

impl From<JoinError> for ApiError {
    fn from(error: JoinError) -> Self {
        Self::internal(&error)
    }
}

impl From<HttpIntakeError> for ApiError {
    fn from(error: HttpIntakeError) -> Self {
        match error {
            HttpIntakeError::Behind | HttpIntakeError::TooFast(_) | HttpIntakeError::InFlight => {
                Self::behind(error.to_string())
            }
            HttpIntakeError::Stopping => Self::unavailable(format!(
                "{error}; whether these events were stored is not known: repeat the post with the same \
                 Idempotency-Key"
            )),
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(format!("the path cannot be read: {}", rejection.body_text()))
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), format!("the body cannot be read: {}", rejection.body_text()))
    }
}

/// No route has this path.
pub(super) fn unknown_route(uri: &Uri) -> ApiError {
    ApiError::not_found(format!(
        "there is nothing at `{}`; /api/v1/openapi.json lists all routes",
        uri.path()
    ))
}

/// A route has this path, but not with this method.
pub(super) async fn unknown_method(method: Method, uri: Uri) -> ApiError {
    let error = format!("`{}` does not take {method}; /api/v1/openapi.json lists all routes", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, error)
}

/// A route panicked: our fault, and only this request fails.
#[expect(clippy::needless_pass_by_value, reason = "the shape that tower-http calls")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let why = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(why, "a request panicked");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed: an internal error, see the log")
        .into_response()
}
