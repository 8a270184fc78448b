//! The shop's events into a Kafka topic: what is past as fast as the broker takes it, what is to come when its
//! time comes. The producer is idempotent, and an event's key is its visitor's id.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use tidewatch_datasets::shop::Shop;
use tokio_util::sync::CancellationToken;

use super::{Exit, TopicArguments, output};
use crate::{
    cli::run::wait_for_signal,
    pipeline::{Clock, SystemClock},
};

/// For one question to the broker.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait between looks at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Events between two chances for the rest of the process.
const EVENTS_PER_TURN: u64 = 1_000;

/// Producer settings beside those given: no event twice or out of order, large batches, and the end of one
/// that no broker takes within half a minute.
const SETTINGS: &[(&str, &str)] = &[
    ("client.id", "tidewatch-simulate"),
    ("compression.type", "lz4"),
    ("linger.ms", "20"),
    ("message.timeout.ms", "30000"),
];

/// What became of events that were sent.
#[derive(Clone, Default)]
struct Fates(Arc<Mutex<Lost>>);

#[derive(Default)]
struct Lost {
    count: u64,
    reason: Option<KafkaError>,
}

impl Fates {
    fn lost(&self) -> (u64, Option<KafkaError>) {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (lost.count, lost.reason.clone())
    }
}

impl ClientContext for Fates {}

impl ProducerContext for Fates {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lost.count += 1;
            lost.reason = Some(error.clone());
        }
    }
}

/// Sends the shop's events until its end, Ctrl-C, or an event that no broker took.
pub(super) async fn produce(arguments: &TopicArguments, shop: Shop) -> anyhow::Result<()> {
    let wanted = |value: &Option<String>, option: &str| {
        value.clone().ok_or_else(|| Exit::Usage(format!("{option}: needed with `--to kafka`")))
    };
    let (brokers, topic) = (wanted(&arguments.brokers, "--brokers")?, wanted(&arguments.topic, "--topic")?);
    let mut config = client_config(&brokers, arguments.client_config.as_deref())?;
    make_topic(&config, &brokers, &topic, arguments.partitions).await?;
    for (key, value) in SETTINGS {
        if config.get(key).is_none() {
            config.set(*key, *value);
        }
    }
    config.set("enable.idempotence", "true");
    let fates = Fates::default();
    let producer: ThreadedProducer<Fates> =
        config.create_with_context(fates.clone()).context("no Kafka producer could be made")?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let listening = tokio::spawn(async move {
        wait_for_signal().await;
        asked.cancel();
    });
    let sent = send_all(&producer, &topic, shop, &fates, &stop).await;
    listening.abort();
    // Those under way end within `message.timeout.ms`.
    while producer.in_flight_count() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sent = sent?;
    match fates.lost() {
        (0, _) => output::line(format!("{sent} events in topic `{topic}`")),
        (count, reason) => {
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            bail!("{count} of {sent} events were not taken by Kafka at {brokers}{reason}");
        }
    }
    Ok(())
}

fn client_config(brokers: &str, file: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut config = ClientConfig::new();
    if let Some(file) = file {
        let at = || format!("--client-config: `{}`", file.display());
        let text = std::fs::read_to_string(file).with_context(at)?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| Exit::Usage(format!("{}, line {}: expected name=value", at(), index + 1)))?;
            config.set(name.trim(), value.trim());
        }
    }
    config.set("bootstrap.servers", brokers);
    Ok(config)
}

async fn make_topic(
    config: &ClientConfig,
    brokers: &str,
    topic: &str,
    partitions: i32,
) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        config.create().context("no Kafka client could be made")?;
    // -1: as many copies as the broker makes by default.
    let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let made = admin.create_topics(&[wanted], &options).await;
    for answer in made.with_context(|| format!("Kafka at {brokers} does not answer; check --brokers"))? {
        match answer {
            Ok(_) => output::line(format!("made topic `{topic}` with {partitions} partitions")),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => bail!("Kafka at {brokers} could not make topic `{topic}`: {code}"),
        }
    }
    Ok(())
}

/// How many events were handed to the producer.
async fn send_all(
    producer: &ThreadedProducer<Fates>,
    topic: &str,
    shop: Shop,
    fates: &Fates,
    stop: &CancellationToken,
) -> anyhow::Result<u64> {
    let bar = ProgressBar::new_spinner();
    let (mut line, mut sent, mut live) = (Vec::new(), 0_u64, false);
    for event in shop {
        let mut ahead = event.time_millis - SystemClock.now_millis();
        if ahead > 0 && !live {
            live = true;
            bar.finish_and_clear();
            output::line(format!("{sent} events of the past sent. Live now; Ctrl-C ends it."));
        }
        while ahead > 0 && !stop.is_cancelled() {
            tokio::time::sleep(LOOK_EVERY.min(Duration::from_millis(ahead as u64))).await;
            ahead = event.time_millis - SystemClock.now_millis();
        }
        if sent.is_multiple_of(EVENTS_PER_TURN) {
            bar.set_message(format!("{sent} events"));
            tokio::task::yield_now().await;
        }
        if stop.is_cancelled() || fates.lost().0 > 0 {
            break;
        }
        line.clear();
        event.write_json(&mut line);
        let key = format!("v{:07}", event.visitor_id);
        let mut record = BaseRecord::<str, [u8]>::to(topic).key(&key).payload(&line);
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error).with_context(|| format!("an event could not be sent to `{topic}`"));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            record = back;
        }
        sent += 1;
    }
    bar.finish_and_clear();
    Ok(sent)
}
