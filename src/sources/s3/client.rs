//! The bucket: pages of keys, and whole objects. Credentials are those that AWS tools find.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use bytes::Bytes;
use object_store::{
    CredentialProvider, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AwsCredential},
    list::{PaginatedListOptions, PaginatedListStore},
    path::Path,
};

use crate::pipeline::SourceError;

const DEFAULT_REGION: &str = "us-east-1";
/// Attempts beyond these are left to the run loop, which tells of them.
const RETRIES: usize = 2;
/// Answers that stay the same until a person changes something.
const REFUSALS: [&str; 6] = [
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "NoSuchBucket",
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
];

/// One bucket.
#[derive(Debug)]
pub(in crate::sources) struct Bucket {
    store: AmazonS3,
    name: String,
    /// What AWS tools are configured with, for other services.
    pub(super) sdk: SdkConfig,
}

/// An object as listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sources) struct Listed {
    pub(in crate::sources) modified_millis: i64,
    pub(in crate::sources) key: String,
    pub(in crate::sources) bytes: u64,
}

/// Some keys in their order, and where to go on.
#[derive(Debug)]
pub(in crate::sources) struct Page {
    pub(in crate::sources) objects: Vec<Listed>,
    pub(in crate::sources) next: Option<String>,
}

impl Bucket {
    /// Region and endpoint are those that AWS tools find, unless given.
    pub(in crate::sources) async fn connect(
        name: &str,
        region: Option<&str>,
        endpoint: Option<&str>,
    ) -> Result<Self, SourceError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Some(endpoint) = endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let sdk = loader.load().await;
        let region = sdk.region().map_or_else(|| DEFAULT_REGION.to_owned(), ToString::to_string);
        let provider = sdk.credentials_provider().ok_or_else(|| {
            SourceError::Unusable(
                "no AWS credentials: neither environment, profile nor role has any".to_owned(),
            )
        })?;
        let retry = RetryConfig { max_retries: RETRIES, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(region)
            .with_credentials(Arc::new(Credentials(provider)))
            .with_retry(retry);
        if let Some(endpoint) = sdk.endpoint_url() {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|error| SourceError::Unusable(error.to_string()))?;
        Ok(Self { store, name: name.to_owned(), sdk })
    }

    /// A page of the objects whose keys begin so.
    pub(in crate::sources) async fn list(
        &self,
        prefix: &str,
        page: Option<String>,
    ) -> Result<Page, SourceError> {
        let options = PaginatedListOptions { page_token: page, ..PaginatedListOptions::default() };
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        let listed = self
            .store
            .list_paginated(prefix, options)
            .await
            .map_err(|error| self.failed("list", prefix.unwrap_or_default(), &error))?;
        let objects = listed.result.objects.into_iter().map(|object| Listed {
            modified_millis: object.last_modified.timestamp_millis(),
            key: object.location.to_string(),
            bytes: object.size,
        });
        // A folder's own entry, as consoles make it, is no object.
        let objects = objects.filter(|object| object.bytes > 0).collect();
        Ok(Page { objects, next: listed.page_token })
    }

    /// A whole object; `None` when it is gone.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, SourceError> {
        let path = Path::parse(key).map_err(|error| SourceError::Unavailable(format!("`{key}`: {error}")))?;
        let bytes = match self.store.get(&path).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match bytes {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", key, &error)),
        }
    }

    /// Bytes of an object; `None` when there is no such object.
    pub(in crate::sources) async fn size(&self, key: &str) -> Result<Option<u64>, SourceError> {
        let path = Path::parse(key).map_err(|error| SourceError::Unusable(format!("`{key}`: {error}")))?;
        match self.store.head(&path).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", key, &error)),
        }
    }

    /// Some bytes of an object.
    pub(in crate::sources) async fn part(&self, key: &str, bytes: Range<u64>) -> Result<Bytes, SourceError> {
        let path = Path::parse(key).map_err(|error| SourceError::Unusable(format!("`{key}`: {error}")))?;
        let part = self.store.get_range(&path, bytes).await;
        part.map_err(|error| self.failed("read", key, &error))
    }

    fn failed(&self, what: &str, key: &str, error: &object_store::Error) -> SourceError {
        let (code, why) = plain_words(error);
        let text = format!("could not {what} `s3://{}/{key}`: {why}", self.name);
        let is_refusal = code.is_some_and(|code| REFUSALS.contains(&code.as_str()));
        if is_refusal { SourceError::Unusable(text) } else { SourceError::Unavailable(text) }
    }
}

/// The code of S3's answer, and that with its message, or what else there is.
fn plain_words(error: &object_store::Error) -> (Option<String>, String) {
    let text = error.to_string();
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.to_owned())
    };
    match (tag("Code"), tag("Message")) {
        (Some(code), Some(message)) => (Some(code.clone()), format!("{code}: {message}")),
        (Some(code), None) => (Some(code.clone()), code),
        _ => (None, text),
    }
}

/// The credentials of AWS's own chain, for the object store; it asks for them again before each request, and the
/// chain renews them in time.
#[derive(Debug)]
struct Credentials(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.provide_credentials().await.map_err(|error| {
            object_store::Error::Unauthenticated { path: String::new(), source: Box::new(error) }
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}
