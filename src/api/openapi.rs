//! The OpenAPI document: made from the routes themselves, with what all of them share added once.

use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};
use utoipa::openapi::{
    ContentBuilder, OpenApi, PathItem, Ref, Response, ResponseBuilder,
    path::Operation,
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use super::state::App;

/// This document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "openapi",
    responses((status = 200, body = Object, description = "OpenAPI 3.1"))
)]
pub(super) async fn document(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone())
}

/// The document as it is served.
pub(super) fn text(document: &OpenApi) -> String {
    document.to_json().expect("the document is plain data")
}

/// Adds title, token and the answers that every route shares.
pub(super) fn complete(document: &mut OpenApi, has_token: bool) {
    "Tidewatch".clone_into(&mut document.info.title);
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document.info.description =
        Some("Streaming anomaly detection for ecommerce traffic. Times are RFC 3339 in UTC.".to_owned());
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", scheme);
    for (path, item) in &mut document.paths.paths {
        let is_open = path == "/" || path == "/health/live" || path.starts_with("/assets/")
            // Firehose shows a key of its own.
            || path.starts_with("/firehose");
        for operation in operations(item) {
            share(operation, has_token && !is_open);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().filter_map(Option::as_mut)
}

fn share(operation: &mut Operation, is_guarded: bool) {
    let responses = &mut operation.responses.responses;
    let mut add = |status: &str, description: &str| {
        responses.entry(status.to_owned()).or_insert_with(|| error(description).into());
    };
    add("500", "The request failed");
    add("503", "Not now; see Retry-After");
    if is_guarded {
        add("401", "No token, or another one");
        let nothing: [&str; 0] = [];
        operation.security = Some(vec![SecurityRequirement::new("token", nothing)]);
    }
}

fn error(description: &str) -> Response {
    let schema = Ref::from_schema_name("ErrorWire");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
}
