//! One shard by enhanced fan-out: SubscribeToShard. The service ends a subscription after five minutes; it is made
//! anew from the last record that was handed over, as after any error.

use std::{sync::Arc, time::Duration};

use aws_sdk_kinesis::{
    error::{DisplayErrorContext, ProvideErrorMetadata},
    operation::subscribe_to_shard::SubscribeToShardOutput,
    primitives::DateTime,
    types::{ShardIteratorType, StartingPosition, SubscribeToShardEventStream},
};
use tokio::time::Instant;

use super::{
    failure::{Failure, judge},
    place::{Place, place},
    shard::{Over, ShardTask},
};

/// The service sends an event every few seconds, also without records.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// A subscription that ends sooner did not end because its time was up.
const SHORT: Duration = Duration::from_secs(5);

/// How a subscription ended.
enum Outcome {
    /// It is to be made anew.
    Again,
    /// The shard was closed and is read to its end.
    End,
}

impl ShardTask {
    /// Takes what is pushed until the shard ends.
    pub(super) async fn receive(mut self, consumer: Arc<str>) {
        loop {
            match self.subscription(&consumer).await {
                Ok(Outcome::Again) => {}
                Ok(Outcome::End) => return self.end().await,
                Err(Over) => return,
            }
        }
    }

    async fn subscription(&mut self, consumer: &str) -> Result<Outcome, Over> {
        self.wait_for_others().await;
        let began = Instant::now();
        let mut answer = match self.subscribe(consumer).await {
            Ok(answer) => answer,
            Err(failure) => {
                self.fail(failure).await?;
                return Ok(Outcome::Again);
            }
        };
        loop {
            let failure = match tokio::time::timeout(SILENCE_MAX, answer.event_stream.recv()).await {
                Ok(Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)))) => {
                    let ended = event.child_shards.is_some_and(|children| !children.is_empty());
                    let behind_millis = (!ended).then_some(event.millis_behind_latest);
                    self.hand_over(event.records, behind_millis, None).await?;
                    if ended {
                        return Ok(Outcome::End);
                    }
                    self.wait_for_others().await;
                    continue;
                }
                Ok(Ok(Some(_))) => continue,
                Ok(Ok(None)) if began.elapsed() >= SHORT => return Ok(Outcome::Again),
                Ok(Ok(None)) => self.away("the subscription ended at once"),
                Ok(Err(error)) => match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                    Some("ResourceInUseException") => Failure::Busy,
                    Some(code) if code.contains("Throttl") || code.contains("LimitExceeded") => {
                        Failure::Throttled
                    }
                    _ => self.away(&DisplayErrorContext(&error).to_string()),
                },
                Err(_) => self.away("the subscription is silent"),
            };
            self.fail(failure).await?;
            return Ok(Outcome::Again);
        }
    }

    fn away(&self, words: &str) -> Failure {
        let words: String = words.chars().take(300).collect();
        Failure::Away(format!("{}: SubscribeToShard: {words}", self.config.place()))
    }

    /// Begins with the record that was read last, which shows whether it is still there; where the service does
    /// not take that, with the oldest: what was read is left out.
    async fn subscribe(&self, consumer: &str) -> Result<SubscribeToShardOutput, Failure> {
        let place = place(self.cutter.position());
        let is_sequence = matches!(place, Place::Sequence(_));
        match self.subscribe_at(consumer, place).await {
            Err(Failure::Refused(_)) if is_sequence => self.subscribe_at(consumer, Place::Horizon).await,
            outcome => outcome,
        }
    }

    async fn subscribe_at(&self, consumer: &str, place: Place) -> Result<SubscribeToShardOutput, Failure> {
        let start = StartingPosition::builder();
        let start = match place {
            Place::Horizon => start.r#type(ShardIteratorType::TrimHorizon),
            Place::Time(millis) => {
                start.r#type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(millis))
            }
            Place::Sequence(number) => {
                start.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(number)
            }
        };
        let start = start.build().map_err(|error| Failure::Refused(error.to_string()))?;
        let request = self.client.subscribe_to_shard().consumer_arn(consumer).shard_id(&self.shard);
        let asked = request.starting_position(start).send().await;
        asked.map_err(|error| judge(&self.config, "SubscribeToShard", &error))
    }
}
