//! The client: region, credentials and limits of one call; and the calls that are about the whole stream.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region, retry::RetryConfig, sts::AssumeRoleProvider, timeout::TimeoutConfig,
};
use aws_sdk_kinesis::{Client, config::StalledStreamProtectionConfig};

use super::{
    KinesisSourceConfig,
    failure::{Failure, judge},
    lineage::{Listed, Shards},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For one call; an answer may hold 10 MiB.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of a listing before it is given up as endless; 1,000 shards each.
const PAGES_MAX: usize = 1_000;

/// A client that has not connected yet. Completes the region where AWS's own configuration names it. The SDK's
/// retries are off: retries are ours, so that they are counted.
pub(super) async fn client(config: &mut KinesisSourceConfig) -> Result<Client, Failure> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(CALL_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        // A push connection may be silent for seconds; it is watched in push.rs.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts);
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let found = loader.load().await;
    let Some(region) = found.region().map(ToString::to_string) else {
        return Err(Failure::Final(format!(
            "Kinesis stream `{}`: {} is not set, and AWS's own configuration names no region",
            config.stream,
            config.setting("region")
        )));
    };
    config.region = Some(region);
    let mut own = aws_sdk_kinesis::config::Builder::from(&found);
    if let Some(endpoint) = &config.endpoint {
        own = own.endpoint_url(endpoint);
    }
    if let Some(role) = &config.role {
        let session = format!("tidewatch-{}", config.name);
        let mut provider = AssumeRoleProvider::builder(&role.arn).session_name(session).configure(&found);
        if let Some(id) = &role.external_id {
            provider = provider.external_id(id);
        }
        own = own.credentials_provider(provider.build().await);
    }
    Ok(Client::from_conf(own.build()))
}

/// Name and ARN as requests take them: one of the two.
pub(super) fn names(config: &KinesisSourceConfig) -> (Option<String>, Option<String>) {
    match &config.stream_arn {
        Some(arn) => (None, Some(arn.clone())),
        None => (Some(config.stream.clone()), None),
    }
}

/// All shards, page by page.
pub(super) async fn list_shards(client: &Client, config: &KinesisSourceConfig) -> Result<Shards, Failure> {
    let mut shards = Shards::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let request = client.list_shards();
        // A token stands for the stream and must come without it.
        let request = if let Some(token) = token.take() {
            request.next_token(token)
        } else {
            let (name, arn) = names(config);
            request.set_stream_name(name).set_stream_arn(arn)
        };
        let answer = request.send().await.map_err(|error| judge(config, "ListShards", &error))?;
        for shard in answer.shards.unwrap_or_default() {
            let range = shard.sequence_number_range;
            let starts_at = range.as_ref().and_then(|range| range.starting_sequence_number.parse().ok());
            let is_closed = range.is_some_and(|range| range.ending_sequence_number.is_some());
            let parents = shard.parent_shard_id.into_iter().chain(shard.adjacent_parent_shard_id).collect();
            shards.insert(
                shard.shard_id,
                Listed { parents, starts_at: starts_at.unwrap_or_default(), is_closed },
            );
        }
        token = answer.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(shards);
        }
    }
    Err(Failure::Away(format!("{}: ListShards: the list has no end", config.place())))
}
