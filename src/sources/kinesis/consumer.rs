//! The consumer that enhanced fan-out asks for: registered once, and found again by its name afterwards.

use std::time::Duration;

use aws_sdk_kinesis::{Client, error::ProvideErrorMetadata, types::ConsumerStatus};

use super::{
    KinesisSourceConfig,
    client::names,
    failure::{Failure, judge},
    pace,
};

/// How often to look whether a consumer is ready, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS_MAX: u32 = 120;
/// Attempts while the service is out of reach.
const TRIES_MAX: u32 = 5;

/// The ARN of a consumer of this name that is ready. The error says why there is none.
pub(super) async fn register(
    client: &Client,
    config: &KinesisSourceConfig,
    name: &str,
    random: &mut u64,
) -> Result<String, Failure> {
    let mut tries = 1;
    loop {
        match try_register(client, config, name).await {
            Err(Failure::Throttled | Failure::Busy | Failure::Away(_)) if tries < TRIES_MAX => {
                tokio::time::sleep(pace::after_failure(tries, pace::next_random(random))).await;
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn try_register(client: &Client, config: &KinesisSourceConfig, name: &str) -> Result<String, Failure> {
    let stream = match &config.stream_arn {
        Some(arn) => arn.clone(),
        None => stream_arn(client, config).await?,
    };
    let asked = client.register_stream_consumer().stream_arn(&stream).consumer_name(name).send().await;
    match asked {
        Ok(_) => {}
        Err(error) if error.code() == Some("ResourceInUseException") => {}
        // Here a limit is no throttling: a stream has so many consumers and no more.
        Err(error) if error.code() == Some("LimitExceededException") => {
            return Err(Failure::Refused(format!("{}: it has no room for a consumer", config.place())));
        }
        Err(error) => return Err(judge(config, "RegisterStreamConsumer", &error)),
    }
    for _ in 0..LOOKS_MAX {
        let request = client.describe_stream_consumer().stream_arn(&stream).consumer_name(name);
        let answer = request.send().await.map_err(|error| judge(config, "DescribeStreamConsumer", &error))?;
        let consumer = answer.consumer_description;
        if let Some(consumer) = consumer.filter(|found| found.consumer_status == ConsumerStatus::Active) {
            return Ok(consumer.consumer_arn);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::Refused(format!("{}: the consumer `{name}` does not become active", config.place())))
}

async fn stream_arn(client: &Client, config: &KinesisSourceConfig) -> Result<String, Failure> {
    let (name, arn) = names(config);
    let request = client.describe_stream_summary().set_stream_name(name).set_stream_arn(arn);
    let answer = request.send().await.map_err(|error| judge(config, "DescribeStreamSummary", &error))?;
    let summary = answer.stream_description_summary;
    let missing = || Failure::Refused(format!("{}: DescribeStreamSummary: no ARN", config.place()));
    summary.map(|summary| summary.stream_arn).ok_or_else(missing)
}
