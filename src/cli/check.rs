//! `tidewatch check`: is a configuration usable, and, with `--online`, can everything be reached?

use std::{path::PathBuf, time::Duration};

use clap::Args;
use tokio::net::{TcpListener, TcpStream};

use super::{open, output};
use crate::{
    anomaly::{AlertRule, Threshold},
    config::{Config, NotifierConfig, SourceConfig, SourceKind},
    pipeline::Source,
    record::{Checkpoint, Decoder, Header},
    sources::{FileSource, FileSourceConfig},
    store::SqliteStore,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The configuration
    #[arg(long)]
    config: PathBuf,
    /// Also open the store, look at what each source reads and connect to each notifier
    #[arg(long)]
    online: bool,
}

pub(super) async fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let config = open::config(&arguments.config)?;
    for source in &config.sources {
        output::line(format!("source {} ({})", source.id, source.kind.as_str()));
        for monitor in &source.monitors {
            output::line(format!("  monitor {}: {}", monitor.facts.monitor, monitor.shape()));
            for evidence in monitor.facts.rules.iter().filter_map(evidence) {
                output::line(evidence);
            }
        }
        if source.monitors.is_empty() {
            output::line("  no monitor reads it");
        }
    }
    if arguments.online {
        let failures = Box::pin(check_online(config)).await;
        anyhow::ensure!(failures == 0, "{failures} parts cannot be used");
    }
    output::line("the configuration is valid");
    Ok(())
}

/// Up to where the evidence supports a rule's budget.
fn evidence(rule: &AlertRule) -> Option<String> {
    let Threshold::Budget { per_week } = rule.threshold else { return None };
    let series = rule.threshold.measured_up_to()?;
    Some(format!(
        "    rule to {}: {per_week:.3} false alarms per week is a measured rate up to {series} judged series; \
         with more, the threshold is extrapolated",
        rule.to.join(", ")
    ))
}

/// Tries each part and says how many failed.
async fn check_online(config: Config) -> usize {
    let mut failures = 0;
    let mut tell = |what: String, outcome: Result<String, String>| match outcome {
        Ok(detail) => output::line(format!("ok      {what}: {detail}")),
        Err(detail) => {
            failures += 1;
            output::line(format!("FAILED  {what}: {detail}"));
        }
    };
    let listen = config.server.listen;
    tell(
        format!("listen on {listen}"),
        TcpListener::bind(listen).await.map(|_| "free".to_owned()).map_err(|error| error.to_string()),
    );
    let store = SqliteStore::open(&config.store.path, config.store.durability);
    tell(
        format!("store `{}`", config.store.path.display()),
        store.map(|_| "can be opened".to_owned()).map_err(|error| error.to_string()),
    );
    for source in config.sources {
        let what = format!("source {} ({})", source.id, source.kind.as_str());
        tell(what, check_source(source).await);
    }
    for (name, notifier) in &config.notifiers {
        let outcome = match notifier {
            NotifierConfig::Webhook(webhook) => connect(webhook.url.expose()).await,
            NotifierConfig::Email(email) => {
                connect(&format!("smtp://{}:{}", email.host, email.port.unwrap_or(587))).await
            }
            NotifierConfig::Sns(sns) => match &sns.endpoint {
                Some(endpoint) => connect(endpoint).await,
                None => Ok("not tried; see `tidewatch notify test`".to_owned()),
            },
        };
        tell(format!("notifier {name}"), outcome);
    }
    failures
}

async fn check_source(config: SourceConfig) -> Result<String, String> {
    match config.kind {
        SourceKind::File(files) => first_batch(files, config.decoder).await,
        #[cfg(feature = "kafka")]
        SourceKind::Kafka(topics) => partitions(*topics).await,
        #[cfg(feature = "kinesis")]
        SourceKind::Kinesis(stream) => {
            crate::sources::KinesisSource::check(*stream).await.map_err(|error| error.to_string())
        }
        #[cfg(feature = "s3")]
        SourceKind::S3(bucket) => {
            use crate::pipeline::{Clock as _, SystemClock};
            let found = crate::sources::S3Source::check(&bucket, SystemClock.now_millis()).await;
            found.map_err(|error| error.to_string())
        }
        _ => Ok("nothing to connect to".to_owned()),
    }
}

async fn first_batch(files: FileSourceConfig, mut decoder: Decoder) -> Result<String, String> {
    let mut source = FileSource::new(files, &Checkpoint::default()).map_err(|error| error.to_string())?;
    let batch = source.next_batch().await.map_err(|error| error.to_string())?;
    if let Some(damage) = source.damages().list().first() {
        return Err(damage.clone());
    }
    let Some(batch) = batch else { return Err("no file".to_owned()) };
    if let Some(Header::Row(header)) = &batch.header {
        decoder.set_header(header).map_err(|error| error.to_string())?;
    }
    Ok(format!("{} records in the first batch", batch.records.len()))
}

/// Begins to read as a new monitor would, and tells the broker nothing.
#[cfg(feature = "kafka")]
async fn partitions(topics: crate::sources::KafkaSourceConfig) -> Result<String, String> {
    let (brokers, clock) = (topics.brokers.clone(), std::sync::Arc::new(crate::pipeline::SystemClock));
    let mut source = crate::sources::KafkaSource::new(topics, &Checkpoint::default(), clock)
        .map_err(|error| error.to_string())?;
    match tokio::time::timeout(PATIENCE, source.next_batches()).await {
        Ok(read) => read.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("Kafka at {brokers}: no answer in {} s", PATIENCE.as_secs())),
    };
    Ok(format!("{} partitions", source.partitions().len()))
}

/// Opens a connection to the host of a URL; nothing is sent, since a webhook would take it for an alert.
async fn connect(url: &str) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let port = if scheme == "https" { 443 } else { 80 };
    let address = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    match tokio::time::timeout(PATIENCE, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Ok(format!("{address} can be reached")),
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address}: no answer in {} s", PATIENCE.as_secs())),
    }
}
