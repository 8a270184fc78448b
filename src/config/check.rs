//! Checks a whole configuration, section by section.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use tidewatch_datasets::shop::{FaultPlan, ShopConfig};

use super::{
    Config, Environment, Problem, ServerConfig, SourceConfig, SourceKind, StoreConfig, http, kafka, kinesis,
    monitor, notifier, s3, schema,
    units::size_bytes,
    written::{WrittenConfig, WrittenMonitor, WrittenServer, WrittenSource, WrittenStore},
};
use crate::{
    pipeline::MonitorSpec,
    record::{Decoder, Envelope, FieldPaths, Format, SourceId},
    sources::{FileSourceConfig, KinesisReading},
    store::Durability,
};

const DEFAULT_LISTEN: &str = "127.0.0.1:8321";
const DEFAULT_RECORD_BYTES: usize = 1 << 20;

/// Keeps the first problem of each section.
struct Problems(Vec<Problem>);

impl Problems {
    fn take<T>(&mut self, checked: Result<T, Problem>) -> Option<T> {
        checked.map_err(|problem| self.0.push(problem)).ok()
    }
}

pub(super) fn check(written: &WrittenConfig, environment: &Environment) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems(Vec::new());
    let server = problems.take(server(&written.server, environment));
    let store = problems.take(store(&written.store, environment));
    let mut notifiers = BTreeMap::new();
    for (name, written) in &written.notifiers {
        let path = format!("notifiers.{name}");
        let checked = check_name(&path, name).and_then(|()| notifier::check(&path, written, environment));
        if let Some(checked) = problems.take(checked) {
            notifiers.insert(name.clone(), checked);
        }
    }
    let notifier_names: Vec<&str> = written.notifiers.keys().map(String::as_str).collect();
    for (name, monitor) in &written.monitors {
        problems.take(check_source_name(name, monitor, &written.sources));
    }
    let mut sources = Vec::new();
    for (name, source) in &written.sources {
        let mut fields = FieldPaths::default();
        let mut monitors = Vec::new();
        for (monitor_name, monitor) in written.monitors.iter().filter(|(_, monitor)| monitor.source == *name)
        {
            let checked =
                problems.take(check_name(&format!("monitors.{monitor_name}"), monitor_name)).and_then(|()| {
                    problems.take(monitor::check(monitor_name, monitor, &notifier_names, &mut fields))
                });
            monitors.extend(checked);
        }
        if let Some(mut checked) = problems.take(self::source(name, source, fields, monitors, environment)) {
            s3::wait_for_objects(&mut checked, &written.monitors);
            sources.push(checked);
        }
    }
    let is_reachable = server.as_ref().is_some_and(|server| !server.listen.ip().is_loopback());
    for source in &sources {
        if let SourceKind::Http(config) = &source.kind {
            problems.take(http::check_access(source.id.as_str(), config, is_reachable));
        }
    }
    match (server, store) {
        (Some(server), Some(store)) if problems.0.is_empty() => {
            let threshold = |(name, monitor): (&String, &WrittenMonitor)| {
                Some((name.clone(), monitor::threshold("", &monitor.detector).ok()?))
            };
            let thresholds = written.monitors.iter().filter_map(threshold).collect();
            Ok(Config { server, store, sources, notifiers, thresholds })
        }
        _ => Err(problems.0),
    }
}

fn check_source_name(
    name: &str,
    monitor: &WrittenMonitor,
    sources: &BTreeMap<String, WrittenSource>,
) -> Result<(), Problem> {
    if sources.contains_key(&monitor.source) {
        return Ok(());
    }
    let known: Vec<&str> = sources.keys().map(String::as_str).collect();
    Err(Problem::new(
        format!("monitors.{name}.source"),
        format!("`{}` is not configured; there are: {}", monitor.source, known.join(", ")),
    ))
}

fn check_name(path: &str, name: &str) -> Result<(), Problem> {
    let fits = !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits { Ok(()) } else { Err(Problem::new(path, "a name has 1 to 63 letters, digits, `-` or `_`")) }
}

fn server(written: &WrittenServer, environment: &Environment) -> Result<ServerConfig, Problem> {
    let text = written.listen.as_deref().unwrap_or(DEFAULT_LISTEN);
    let listen: SocketAddr = text.parse().map_err(|_| {
        Problem::new(
            "server.listen",
            format!("`{text}` is no address; expected for example {DEFAULT_LISTEN}"),
        )
    })?;
    let token = match &written.token {
        Some(token) => Some(environment.secret("server.token", token)?),
        None => None,
    };
    if token.as_ref().is_some_and(|token| token.expose().is_empty()) {
        return Err(Problem::new("server.token", "is empty"));
    }
    if token.is_none() && !listen.ip().is_loopback() {
        return Err(Problem::new(
            "server.token",
            format!("required, since {listen} is reachable from outside"),
        ));
    }
    Ok(ServerConfig { listen, token })
}

fn store(written: &WrittenStore, environment: &Environment) -> Result<StoreConfig, Problem> {
    let path = environment.expand("store.path", written.path.as_deref().unwrap_or("tidewatch.db"))?;
    let durability = match written.durability.as_deref() {
        None | Some("full") => Durability::Full,
        Some("normal") => Durability::Normal,
        Some(other) => {
            return Err(Problem::new("store.durability", format!("`{other}`; expected full or normal")));
        }
    };
    Ok(StoreConfig { path: path.into(), durability })
}

fn source(
    name: &str,
    written: &WrittenSource,
    fields: FieldPaths,
    monitors: Vec<Arc<MonitorSpec>>,
    environment: &Environment,
) -> Result<SourceConfig, Problem> {
    let at = |key: &str| format!("sources.{name}.{key}");
    check_name(&format!("sources.{name}"), name)?;
    let (kind, format, record_bytes_max, dead_letter) = match written {
        WrittenSource::File { path, format, columns, wide, speed, record_bytes_max, dead_letter } => {
            // The rows of Parquet are JSON.
            let format = format.as_deref().filter(|format| *format != "parquet");
            let format = match self::format(name, format, columns.as_deref())? {
                Format::Delimited { delimiter, columns: None } if *wide => Format::Wide { delimiter },
                _ if *wide => return Err(Problem::new(at("wide"), "goes with CSV or TSV that has a header")),
                format => format,
            };
            let limit = record_bytes(&at("record_bytes_max"), record_bytes_max.as_deref())?;
            if speed.is_some_and(|speed| !(speed > 0.0 && speed.is_finite())) {
                return Err(Problem::new(at("speed"), "expected a number above 0"));
            }
            let config = FileSourceConfig {
                paths: vec![environment.expand(&at("path"), path)?],
                format: format.clone(),
                fields: fields.names().to_vec(),
                record_bytes_max: limit,
                speed: *speed,
            };
            (SourceKind::File(config), format, limit, dead_letter)
        }
        WrittenSource::Http(written) => {
            let config = http::check_http(name, written, environment)?;
            let limit = config.body_bytes_max;
            (SourceKind::Http(config), Format::Json, limit, &written.dead_letter)
        }
        WrittenSource::Firehose(written) => {
            let format = self::format(name, written.format.as_deref(), written.columns.as_deref())?;
            if format.has_header() {
                return Err(Problem::new(at("columns"), "required: a batch has no header row"));
            }
            let config = http::check_firehose(name, written, environment)?;
            let limit = config.body_bytes_max;
            (SourceKind::Http(config), format, limit, &written.dead_letter)
        }
        WrittenSource::Kafka(written) => {
            let (format, registry) = match schema::format(name, written, environment)? {
                Some(found) => found,
                None => (self::format(name, written.format.as_deref(), written.columns.as_deref())?, None),
            };
            if format.has_header() {
                return Err(Problem::new(at("columns"), "required: a topic has no header row"));
            }
            let limit = record_bytes(&at("record_bytes_max"), written.record_bytes_max.as_deref())?;
            let wants_envelope = fields.names().iter().any(|path| Envelope::holds(path));
            let config = kafka::check(name, written, wants_envelope, registry, environment)?;
            (SourceKind::Kafka(Box::new(config)), format, limit, &written.dead_letter)
        }
        WrittenSource::Kinesis(written) => {
            let format = self::format(name, written.format.as_deref(), written.columns.as_deref())?;
            if format.has_header() {
                return Err(Problem::new(at("columns"), "required: a stream has no header row"));
            }
            let written_limit = written.record_bytes_max.as_deref().or(Some("10MiB"));
            let limit = record_bytes(&at("record_bytes_max"), written_limit)?;
            let reading = KinesisReading {
                wants_envelope: fields.names().iter().any(|path| Envelope::holds(path)),
                bytes_max: limit,
                opens_logs: format == Format::Json,
            };
            let config = kinesis::check(name, written, reading, environment)?;
            (SourceKind::Kinesis(Box::new(config)), format, limit, &written.dead_letter)
        }
        WrittenSource::S3(written) => {
            let format = match written.format.as_deref() {
                Some("parquet") => None,
                format => Some(self::format(name, format, written.columns.as_deref())?),
            };
            let limit = record_bytes(&at("record_bytes_max"), written.record_bytes_max.as_deref())?;
            let config = s3::check(name, written, format.clone(), limit, &fields, &monitors, environment)?;
            (SourceKind::S3(Box::new(config)), format.unwrap_or(Format::Json), limit, &written.dead_letter)
        }
        WrittenSource::Simulated { seed, start, days, rate, faults_per_week } => {
            let start: Timestamp = start.parse().map_err(|_| {
                Problem::new(at("start"), format!("`{start}`; expected RFC 3339, e.g. 2026-03-01T00:00:00Z"))
            })?;
            let shop = ShopConfig {
                seed: seed.unwrap_or(1),
                start_millis: start.as_millisecond(),
                days: days.unwrap_or(365),
                rate: rate.unwrap_or(200.0),
                faults: faults_per_week.map_or(FaultPlan::None, |per_week| FaultPlan::Seeded { per_week }),
            };
            (SourceKind::Simulated(shop), Format::Json, DEFAULT_RECORD_BYTES, &None)
        }
    };
    let dead_letter = match dead_letter {
        Some(path) => Some(environment.expand(&at("dead_letter"), path)?.into()),
        None => None,
    };
    let decoder = Decoder::new(format.clone(), fields, record_bytes_max);
    Ok(SourceConfig {
        id: SourceId::new(name),
        kind,
        format,
        record_bytes_max,
        decoder,
        monitors,
        dead_letter,
    })
}

fn record_bytes(path: &str, written: Option<&str>) -> Result<usize, Problem> {
    written.map_or(Ok(DEFAULT_RECORD_BYTES), |text| size_bytes(path, text))
}

fn format(name: &str, written: Option<&str>, columns: Option<&[String]>) -> Result<Format, Problem> {
    let columns = columns.map(<[String]>::to_vec);
    match written {
        None | Some("json") if columns.is_some() => {
            Err(Problem::new(format!("sources.{name}.columns"), "JSON has no columns"))
        }
        None | Some("json") => Ok(Format::Json),
        Some("csv") => Ok(Format::Delimited { delimiter: b',', columns }),
        Some("tsv") => Ok(Format::Delimited { delimiter: b'\t', columns }),
        Some("cloudfront") => Format::cloudfront(columns.as_deref()).map_err(|unknown| {
            let detail = format!("`{unknown}` is no field of CloudFront's real-time logs");
            Problem::new(format!("sources.{name}.columns"), detail)
        }),
        Some("snowplow") if columns.is_some() => {
            Err(Problem::new(format!("sources.{name}.columns"), "Snowplow's columns are fixed"))
        }
        Some("snowplow") => Ok(Format::snowplow()),
        Some(other) => Err(Problem::new(
            format!("sources.{name}.format"),
            format!(
                "`{other}`; expected json, csv, tsv, cloudfront or snowplow (from Kafka also avro or protobuf)"
            ),
        )),
    }
}
