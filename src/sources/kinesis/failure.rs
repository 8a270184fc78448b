//! What a failed call means, in words that name stream, region and setting.

use aws_sdk_kinesis::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};

use super::KinesisSourceConfig;

/// Characters of the service's own words that are kept.
const WORDS: usize = 400;

/// What to do about a failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Slow down.
    Throttled,
    /// Something of it is being changed, or was asked for a moment ago.
    Busy,
    /// The iterator has expired, or was never one of this stream.
    Iterator,
    /// The service does not take what was asked for.
    Refused(String),
    /// Only a person can mend it.
    Final(String),
    /// It may pass.
    Away(String),
}

impl Failure {
    /// In words.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Throttled => "it is throttled",
            Self::Busy => "it is busy",
            Self::Iterator => "its iterator has expired",
            Self::Refused(text) | Self::Final(text) | Self::Away(text) => text,
        }
    }
}

/// What a failure of `call` means.
pub(super) fn judge<E>(config: &KinesisSourceConfig, call: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let words = DisplayErrorContext(error).to_string();
    let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS).collect();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let told = Told { config, call, words };
    match error {
        SdkError::ServiceError(context) => told.by_service(context.err().code().unwrap_or_default(), status),
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) if told.is_about_credentials() => {
            told.lasts(&format!(
                "no credentials were found for source `{}`; give them where AWS tools look for them \
                 (environment, shared files, role of the machine) or check {}",
                config.name,
                config.setting("role_arn")
            ))
        }
        SdkError::TimeoutError(_) => told.passes("no answer in time"),
        // An answer that is no JSON, as something in between may give.
        SdkError::ResponseError(_) if matches!(status, Some(401 | 403)) => told.by_service("", status),
        _ => told.passes(&format!("it cannot be reached; check {}", config.setting("endpoint"))),
    }
}

/// A failed call, and what was said about it.
struct Told<'a> {
    config: &'a KinesisSourceConfig,
    call: &'a str,
    words: String,
}

impl Told<'_> {
    fn sentence(&self, what: &str) -> String {
        format!("{}: {}: {what} ({})", self.config.place(), self.call, self.words)
    }

    fn passes(&self, what: &str) -> Failure {
        Failure::Away(self.sentence(what))
    }

    fn lasts(&self, what: &str) -> Failure {
        Failure::Final(self.sentence(what))
    }

    fn is_about_credentials(&self) -> bool {
        self.words.contains("credentials") || self.words.contains("identity")
    }

    fn by_service(&self, code: &str, status: Option<u16>) -> Failure {
        let config = self.config;
        match code {
            _ if code.contains("Throttl") || code.contains("ThroughputExceeded") => Failure::Throttled,
            "LimitExceededException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
                Failure::Throttled
            }
            "ResourceInUseException" => Failure::Busy,
            "ExpiredIteratorException" => Failure::Iterator,
            "ResourceNotFoundException" => {
                let key = if config.stream_arn.is_some() { "stream_arn" } else { "stream" };
                let (key, region) = (config.setting(key), config.setting("region"));
                self.passes(&format!("there is no such stream; check {key} and {region}"))
            }
            _ if is_about_keys(code, status) => self.lasts(&format!(
                "the access key was refused; check the credentials that `sources.{}` runs with",
                config.name
            )),
            _ if code.contains("AccessDenied") => self.lasts(&format!(
                "the credentials that `sources.{}` runs with may not do this; allow kinesis:{} or check {}",
                config.name,
                self.call,
                config.setting("role_arn")
            )),
            "InvalidArgumentException" | "ValidationException" | "UnknownOperationException" => {
                Failure::Refused(self.sentence("it does not take this"))
            }
            _ => self.passes("the service failed"),
        }
    }
}

/// A key that is unknown, wrong or missing. An expired one is renewed by the chain it came from.
fn is_about_keys(code: &str, status: Option<u16>) -> bool {
    const CODES: [&str; 8] = [
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
    ];
    CODES.contains(&code) || code.is_empty() && matches!(status, Some(401 | 403))
}
