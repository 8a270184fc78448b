//! The page, built into the program. It holds no data of its own: everything it shows comes from the API.

use axum::{
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};

use super::{error::ApiError, monitors::Name, state::names, wire::ErrorWire};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Every file of the page: its name, its type and its text.
const FILES: [(&str, &str, &str); 7] = [
    ("index.html", HTML, include_str!("page/index.html")),
    ("style.css", CSS, include_str!("page/style.css")),
    ("app.js", JS, include_str!("page/app.js")),
    ("api.js", JS, include_str!("page/api.js")),
    ("chart.js", JS, include_str!("page/chart.js")),
    ("health.js", JS, include_str!("page/health.js")),
    ("incident.js", JS, include_str!("page/incident.js")),
];

/// Only what this server serves may run, be shown or be asked; nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The page.
#[utoipa::path(
    get,
    path = "/",
    tag = "page",
    responses((status = 200, body = String, content_type = "text/html", description = "The page"))
)]
pub(super) async fn index() -> Result<Response, ApiError> {
    answer("index.html")
}

/// One file of the page.
#[utoipa::path(
    get,
    path = "/page/{name}",
    tag = "page",
    params(("name" = String, Path, description = "Such as `app.js`")),
    responses(
        (status = 200, body = String, content_type = "text/plain",
            description = "The file, under its own type"),
        (status = 404, body = ErrorWire, description = "No such file"),
    )
)]
pub(super) async fn file(Name(name): Name) -> Result<Response, ApiError> {
    answer(&name)
}

fn answer(name: &str) -> Result<Response, ApiError> {
    let Some((_, kind, text)) = FILES.iter().find(|(known, ..)| *known == name) else {
        let known = names(FILES.iter().map(|(known, ..)| *known));
        return Err(ApiError::not_found(format!("the page has no file `{name}`; it has: {known}")));
    };
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    Ok((headers, *text).into_response())
}
