//! Dead letters: refused records go on to a topic as they were, with where they came from and why they were
//! refused in headers. They are written before the commit that counts them, so each is there at least once.

use std::{collections::BTreeSet, fmt, time::Duration};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

use super::{
    KafkaSourceConfig,
    client::{Context, explain},
};
use crate::{
    pipeline::{DeadLetters, LettersKept, SourceError, StoreError},
    record::{Envelope, RejectSample},
};

/// How long one letter may take before all of them are tried again.
const PATIENCE: Duration = Duration::from_secs(20);
/// Letters under way at a time.
const UNDER_WAY_MAX: usize = 1_000;

/// Passes refused records on to a topic.
pub struct KafkaLetters {
    config: KafkaSourceConfig,
    topic: String,
    context: Context,
    producer: FutureProducer<Context>,
    /// Written by an attempt that failed for others.
    written: BTreeSet<(String, u64)>,
    kept: LettersKept,
}

impl fmt::Debug for KafkaLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLetters").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// One record, and why it was refused.
struct Letter<'r> {
    sample: &'r RejectSample,
    payload: &'r [u8],
    envelope: &'r Envelope,
    offset: u64,
}

impl KafkaLetters {
    /// Makes the client; connecting happens when there is something to write.
    pub(super) fn new(
        config: &KafkaSourceConfig,
        topic: &str,
        context: Context,
    ) -> Result<Self, SourceError> {
        let mut client = ClientConfig::new();
        for (key, value) in config.producer_properties() {
            client.set(key, value);
        }
        // One that is too large must not take its neighbours in a batch with it.
        client.set("batch.num.messages", "1");
        client.set("message.timeout.ms", PATIENCE.as_millis().to_string());
        let producer = client.create_with_context(context.clone()).map_err(|error| {
            SourceError::Unusable(format!(
                "`sources.{}.dead_letters`: the client for Kafka at {} could not be made: {error}",
                config.name, config.brokers
            ))
        })?;
        Ok(Self {
            config: config.clone(),
            topic: topic.to_owned(),
            context,
            producer,
            written: BTreeSet::new(),
            kept: LettersKept::default(),
        })
    }

    /// What a letter is made of. The same record refused by several monitors is one letter.
    fn letters<'r>(&self, rejects: &'r [RejectSample]) -> Vec<Letter<'r>> {
        let mut seen = self.written.clone();
        let letter = |sample: &'r RejectSample| {
            let whole = sample.whole.as_ref()?;
            let envelope = whole.envelope.as_deref()?;
            let offset = envelope.offset?;
            let new = seen.insert((sample.partition.clone(), offset));
            new.then_some(Letter { sample, payload: &whole.payload, envelope, offset })
        };
        rejects.iter().filter_map(letter).collect()
    }

    fn headers(&self, letter: &Letter<'_>) -> OwnedHeaders {
        let Letter { sample, envelope, offset, .. } = letter;
        let (topic, partition) = sample.partition.rsplit_once('/').unwrap_or((&sample.partition, ""));
        let mut headers = OwnedHeaders::new();
        for (key, value) in &envelope.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        for (key, value) in [
            ("tidewatch.source", self.config.name.clone()),
            ("tidewatch.reason", sample.reason.as_str().to_owned()),
            ("tidewatch.message", sample.detail.clone()),
            ("tidewatch.topic", topic.to_owned()),
            ("tidewatch.partition", partition.to_owned()),
            ("tidewatch.offset", offset.to_string()),
        ] {
            headers = headers.insert(Header { key, value: Some(&value) });
        }
        if let Some(millis) = envelope.timestamp_millis {
            let value = millis.to_string();
            headers = headers.insert(Header { key: "tidewatch.timestamp", value: Some(&value) });
        }
        headers
    }

    /// Writes letters that may be under way together; an error says which broker would not take them.
    async fn write(&mut self, letters: &[Letter<'_>]) -> Result<(), StoreError> {
        let mut under_way = Vec::with_capacity(letters.len());
        let mut failed = None;
        for letter in letters {
            let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic)
                .payload(letter.payload)
                .headers(self.headers(letter));
            record.key = letter.envelope.key.as_deref();
            match self.producer.send_result(record) {
                Ok(delivery) => under_way.push((letter, delivery)),
                Err((error, _)) => self.settle(letter, Err(error), &mut failed),
            }
        }
        for (letter, delivery) in under_way {
            let outcome = match delivery.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(error),
                Err(_) => Err(KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue)),
            };
            self.settle(letter, outcome, &mut failed);
        }
        failed.map_or(Ok(()), |error| Err(StoreError::Unavailable(self.told(&error))))
    }

    fn settle(
        &mut self,
        letter: &Letter<'_>,
        outcome: Result<(), KafkaError>,
        failed: &mut Option<KafkaError>,
    ) {
        match outcome {
            Ok(()) => self.kept.written += 1,
            // Nobody will ever take it.
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                self.kept.dropped += 1;
                tracing::error!(
                    source = self.config.name,
                    partition = letter.sample.partition,
                    offset = letter.offset,
                    topic = self.topic,
                    "a dead letter is larger than its topic takes and was dropped"
                );
            }
            Err(error) => {
                *failed = Some(error);
                return;
            }
        }
        self.written.insert((letter.sample.partition.clone(), letter.offset));
    }

    fn told(&self, error: &KafkaError) -> String {
        let setting = format!("`sources.{}.dead_letters.topic`", self.config.name);
        let topic = &self.topic;
        let what = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
                format!("topic `{topic}` does not exist; make it, or check {setting}")
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                format!("the user may not write to topic `{topic}`; ask for WRITE on {setting}")
            }
            code => {
                let noted = self.context.notes().trouble.clone();
                let (code, reason) =
                    noted.unwrap_or_else(|| (code.unwrap_or(RDKafkaErrorCode::Unknown), error.to_string()));
                return explain(&self.config, &self.context, code, &reason).0;
            }
        };
        format!("Kafka at {}: {what}", self.config.brokers)
    }
}

#[async_trait]
impl DeadLetters for KafkaLetters {
    async fn keep(&mut self, rejects: &[RejectSample]) -> Result<LettersKept, StoreError> {
        for letters in self.letters(rejects).chunks(UNDER_WAY_MAX) {
            self.write(letters).await?;
        }
        self.written.clear();
        Ok(std::mem::take(&mut self.kept))
    }
}
