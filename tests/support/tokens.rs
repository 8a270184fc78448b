//! An authorization server that grants tokens without a signature to one client, for a broker that takes such.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Seconds that a token is good for: few, so that a test sees the next one asked for.
const GOOD_FOR: i64 = 4;

#[derive(Deserialize)]
struct Asked {
    grant_type: String,
    scope: Option<String>,
}

/// The server, and how many tokens it has granted.
pub(crate) struct Tokens {
    pub(crate) url: String,
    pub(crate) granted: Arc<AtomicUsize>,
}

impl Tokens {
    /// Grants to the client `engine` with the secret `engine-secret`.
    pub(crate) async fn serve() -> Self {
        let granted = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/token", listener.local_addr().expect("bound"));
        let router = Router::new().route("/token", post(grant)).with_state(Arc::clone(&granted));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, granted }
    }
}

async fn grant(
    State(granted): State<Arc<AtomicUsize>>,
    headers: HeaderMap,
    Form(asked): Form<Asked>,
) -> (StatusCode, Json<Value>) {
    let login = format!("Basic {}", BASE64_STANDARD.encode("engine:engine-secret"));
    let known = headers.get("authorization").is_some_and(|given| given.as_bytes() == login.as_bytes());
    if !known || asked.grant_type != "client_credentials" {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" })));
    }
    granted.fetch_add(1, Ordering::Relaxed);
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({ "sub": "engine", "iat": now, "exp": now + 60, "scope": asked.scope });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims));
    (StatusCode::OK, Json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": GOOD_FOR })))
}
