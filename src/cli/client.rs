//! Talking to a running service over its API.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::{Exit, open};

/// Where the service is.
#[derive(Clone, Debug, Args)]
pub(super) struct ServiceArguments {
    /// The configuration of the service: tells where it listens, and its token
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Where it listens, e.g. http://127.0.0.1:8321
    #[arg(long, global = true)]
    url: Option<String>,
    /// The token it asks for
    #[arg(long, global = true, env = "TIDEWATCH_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print the JSON of the answer
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// A service to ask.
pub(super) struct Client {
    url: String,
    token: Option<String>,
}

impl ServiceArguments {
    /// The service they name.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let (mut url, mut token) = (self.url.clone(), self.token.clone());
        if let Some(config) = &self.config {
            let server = open::config(config)?.server;
            url = url.or_else(|| Some(format!("http://{}", server.listen)));
            token = token.or_else(|| server.token.map(|token| token.expose().to_owned()));
        }
        let url = url.ok_or_else(|| Exit::Usage("say where the service is: --url or --config".to_owned()))?;
        Ok(Client::new(&url, token))
    }
}

impl Client {
    /// A service at a URL.
    pub(super) fn new(url: &str, token: Option<String>) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), token }
    }

    /// Reads; `query` is left out where it has no value.
    pub(super) async fn get(&self, path: &str, query: &[(&str, Option<String>)]) -> anyhow::Result<Value> {
        let pairs: Vec<String> = query
            .iter()
            .filter_map(|(name, value)| Some(format!("{}={}", encoded(name), encoded(value.as_deref()?))))
            .collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        self.send("GET", &format!("{path}{query}"), None).await
    }

    /// Asks for something to be done.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send("POST", path, Some(body.to_string())).await
    }

    #[cfg(feature = "webhook")]
    async fn send(&self, method: &str, path: &str, body: Option<String>) -> anyhow::Result<Value> {
        use anyhow::Context;
        use reqwest::{Method, header};

        let method = if method == "GET" { Method::GET } else { Method::POST };
        let url = format!("{}{path}", self.url);
        let mut request = reqwest::Client::new().request(method, &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let unanswered = || format!("no answer from `{}`; does the service run?", self.url);
        let response = request.send().await.with_context(unanswered)?;
        let status = response.status();
        let text = response.text().await.with_context(unanswered)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        let why = answer["error"].as_str().map_or(text.clone(), str::to_owned);
        if status.is_client_error() {
            return Err(Exit::Usage(why).into());
        }
        Err(anyhow::anyhow!("the service answered {status}: {why}"))
    }

    #[cfg(not(feature = "webhook"))]
    #[expect(clippy::unused_async, reason = "the other build waits")]
    async fn send(&self, _: &str, path: &str, _: Option<String>) -> anyhow::Result<Value> {
        let (url, token) = (&self.url, self.token.as_ref().map_or("no", |_| "a"));
        Err(anyhow::anyhow!(
            "this build has no `webhook` and cannot ask `{url}{path}` with {token} token; use curl, or build it \
             with `--features webhook`"
        ))
    }
}

/// One part of a path or query.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn what_urls_reserve_is_encoded() {
        assert_eq!(encoded("slice.country"), "slice.country");
        assert_eq!(encoded("a b/ü+&"), "a%20b%2F%C3%BC%2B%26");
    }
}
