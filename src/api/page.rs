//! The console, built into the program. It holds no data of its own: everything it shows comes from the API.
//!
//! Its addresses are read by the page itself, so every path that is nothing else answers with the page.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderName, Method, header},
    response::{IntoResponse, Response},
};

use super::{
    error::{self, ApiError},
    guard,
    monitors::Name,
    state::App,
    wire::ErrorWire,
};

/// Every file of the console: its path, its type and its bytes; `build.rs` lists them.
const FILES: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// Files under this have a name that changes with what they hold.
const HASHED: &str = "assets/";
/// What is not the page's, whatever follows.
const RESERVED: [&str; 5] = ["api", "v1", "metrics", "health", "firehose"];

/// Only what this server serves may run, be shown or be asked; nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The console.
#[utoipa::path(
    get,
    path = "/",
    tag = "page",
    responses((status = 200, body = String, content_type = "text/html", description = "The console"))
)]
pub(super) async fn index() -> Result<Response, ApiError> {
    file("index.html")
}

/// One file of the console; its name changes with what it holds.
#[utoipa::path(
    get,
    path = "/assets/{name}",
    tag = "page",
    params(("name" = String, Path, description = "As the page names it")),
    responses(
        (status = 200, body = String, content_type = "text/plain",
            description = "The file, under its own type"),
        (status = 404, body = ErrorWire, description = "No such file"),
    )
)]
pub(super) async fn asset(Name(name): Name) -> Result<Response, ApiError> {
    file(&format!("{HASHED}{name}"))
}

/// What no route has: a file of the console, or the console itself, which reads its own addresses.
pub(super) async fn other(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let path = request.uri().path().trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    if RESERVED.contains(&first) || !matches!(*request.method(), Method::GET | Method::HEAD) {
        let token = app.parts.token.as_deref();
        if token.is_some_and(|token| !guard::shows(request.headers(), token)) {
            return Err(ApiError::unauthorized());
        }
        return Err(error::unknown_route(request.uri()));
    }
    if path.starts_with(HASHED) || FILES.iter().any(|(known, ..)| *known == path) {
        return file(path);
    }
    file("index.html")
}

fn file(path: &str) -> Result<Response, ApiError> {
    let Some((_, kind, bytes)) = FILES.iter().find(|(known, ..)| *known == path) else {
        return Err(ApiError::not_found(format!(
            "the console has no file `/{path}`; reload the page if the program was updated"
        )));
    };
    let cache = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    Ok((headers, *bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashed_files_are_kept_and_others_asked_for_again() {
        let cached = |path: &str| file(path).unwrap().headers()[header::CACHE_CONTROL].clone();
        assert_eq!(cached("index.html"), "no-cache");
        for (path, ..) in FILES {
            let kept = cached(path).to_str().unwrap().contains("immutable");
            assert_eq!(kept, path.starts_with("assets/"), "{path}");
        }
        assert!(FILES.is_sorted(), "the same files make the same program");
    }
}
