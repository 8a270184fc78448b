//! Tokens to log in with: fetched from an authorization server, or signed for Amazon MSK. The client asks for
//! one when it has none and again before the last one ends.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::{KafkaLogin, msk};
use crate::pipeline::Clock;

/// For one token.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a token is good for if its server does not say.
const SECONDS_UNSAID: i64 = 300;

/// A token and until when it is good.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) principal: String,
    pub(super) ends_millis: i64,
}

/// Why there is no token.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum TokenError {
    /// Only a person can mend it.
    #[error("{0}")]
    Refused(String),
    /// Trying again may help.
    #[error("{0}")]
    Away(String),
}

impl TokenError {
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Makes tokens.
pub(super) struct Login {
    config: KafkaLogin,
    clock: Arc<dyn Clock>,
    http: reqwest::Client,
    /// Made on the first call: the threads of the client call this, and none of them runs in a runtime.
    at_work: Mutex<Option<AtWork>>,
}

struct AtWork {
    runtime: Runtime,
    provider: Option<SharedCredentialsProvider>,
}

impl AtWork {
    fn new() -> Result<Self, TokenError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { runtime: runtime.map_err(|error| TokenError::Away(error.to_string()))?, provider: None })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let at_work = self.at_work.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Its owner may be a task of another runtime, which must not wait for this one.
        if let Some(at_work) = at_work {
            at_work.runtime.shutdown_background();
        }
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<i64>,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl Login {
    pub(super) fn new(config: &KafkaLogin, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let mut http = reqwest::Client::builder().timeout(PATIENCE).pool_max_idle_per_host(0);
        if let KafkaLogin::Credentials { ca: Some(ca), .. } = config {
            let roots = reqwest::Certificate::from_pem_bundle(ca.as_bytes());
            http = http.tls_certs_merge(roots.map_err(|error| format!("the token server's ca: {error}"))?);
        }
        Ok(Self {
            config: config.clone(),
            clock,
            http: http.build().map_err(|error| error.to_string())?,
            at_work: Mutex::new(None),
        })
    }

    /// The next token. Waits; not to be called from within a runtime.
    pub(super) fn token(&self) -> Result<Token, TokenError> {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let AtWork { runtime, mut provider } = at_work.take().map_or_else(AtWork::new, Ok)?;
        let token = match &self.config {
            KafkaLogin::Credentials { url, id, secret, scope, .. } => {
                runtime.block_on(self.fetch(url, (id, secret), scope.as_deref()))
            }
            KafkaLogin::Msk { region } => runtime.block_on(async {
                match tokio::time::timeout(PATIENCE, self.sign(region, &mut provider)).await {
                    Ok(token) => token,
                    Err(_) => Err(TokenError::Away("AWS credentials did not come in time".into())),
                }
            }),
        };
        *at_work = Some(AtWork { runtime, provider });
        token
    }

    /// The client credentials grant of OAuth 2 (RFC 6749, section 4.4).
    async fn fetch(
        &self,
        url: &str,
        (id, secret): (&str, &str),
        scope: Option<&str>,
    ) -> Result<Token, TokenError> {
        let away = |what: &dyn fmt::Display| TokenError::Away(format!("{url}: {what}"));
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(scope.map(|scope| ("scope", scope)));
        let request = self.http.post(url).basic_auth(id, Some(secret)).form(&form);
        let asked_millis = self.clock.now_millis();
        let response = request.send().await.map_err(|error| away(&error.without_url()))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| away(&error.without_url()))?;
        if !status.is_success() {
            let said = serde_json::from_slice(&body).map_or_else(
                |_| format!("{url} answered {status}"),
                |refusal: Refusal| {
                    let more =
                        refusal.error_description.map_or_else(String::new, |more| format!(" ({more})"));
                    format!("{url} answered {status}, {}{more}", refusal.error)
                },
            );
            return Err(if status.is_client_error() && status != reqwest::StatusCode::TOO_MANY_REQUESTS {
                TokenError::Refused(said)
            } else {
                TokenError::Away(said)
            });
        }
        let granted: Granted = serde_json::from_slice(&body).map_err(|error| away(&error))?;
        let seconds = granted.expires_in.unwrap_or(SECONDS_UNSAID);
        Ok(Token {
            text: granted.access_token,
            principal: id.to_owned(),
            ends_millis: asked_millis + seconds.clamp(1, 10 * 365 * 86_400) * 1_000,
        })
    }

    async fn sign(
        &self,
        region: &str,
        provider: &mut Option<SharedCredentialsProvider>,
    ) -> Result<Token, TokenError> {
        if provider.is_none() {
            let loader =
                aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region.to_owned()));
            *provider = loader.load().await.credentials_provider();
        }
        let found = provider.as_ref().ok_or_else(|| TokenError::Away("no AWS credentials".into()))?;
        let credentials = found
            .provide_credentials()
            .await
            .map_err(|error| TokenError::Away(format!("no AWS credentials: {}", innermost(&error))))?;
        msk::token(region, &credentials, self.clock.now_millis()).map_err(TokenError::Refused)
    }
}

/// The innermost cause of an AWS error, which alone says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
