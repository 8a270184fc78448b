//! The section of a Kinesis source.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Environment, Problem, units::duration_millis};
use crate::sources::{KinesisReading, KinesisRole, KinesisSourceConfig, KinesisStart};

/// A shard answers five calls a second, whoever asks.
const LEAST_POLL: Duration = Duration::from_millis(200);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenKinesis {
    stream: Option<String>,
    stream_arn: Option<String>,
    region: Option<String>,
    endpoint: Option<String>,
    /// `trim_horizon`, `latest`, an RFC 3339 time, or a duration before now.
    start: Option<String>,
    #[serde(default)]
    fan_out: bool,
    consumer: Option<String>,
    role_arn: Option<String>,
    external_id: Option<String>,
    pub(super) format: Option<String>,
    pub(super) columns: Option<Vec<String>>,
    max_skew: Option<String>,
    poll: Option<String>,
    pub(super) record_bytes_max: Option<String>,
    pub(super) dead_letter: Option<String>,
}

pub(super) fn check(
    name: &str,
    written: &WrittenKinesis,
    reading: KinesisReading,
    environment: &Environment,
) -> Result<KinesisSourceConfig, Problem> {
    let at = |key: &str| format!("sources.{name}.{key}");
    let expand = |key: &str, text: &Option<String>| {
        text.as_ref().map(|text| environment.expand(&at(key), text)).transpose()
    };
    let stream_arn = expand("stream_arn", &written.stream_arn)?;
    let (stream, arn_region) = match (expand("stream", &written.stream)?, &stream_arn) {
        (Some(stream), None) => (stream, None),
        (None, Some(arn)) => stream_of(&at("stream_arn"), arn)?,
        _ => return Err(Problem::new(at("stream"), "expected one of stream and stream_arn")),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if stream.is_empty() || stream.len() > 128 || !stream.bytes().all(fits) {
        let detail = format!("`{stream}`; expected 1 to 128 letters, digits, `_`, `.` or `-`");
        return Err(Problem::new(at("stream"), detail));
    }
    let endpoint = expand("endpoint", &written.endpoint)?;
    if let Some(url) =
        endpoint.as_ref().filter(|url| !url.starts_with("http://") && !url.starts_with("https://"))
    {
        return Err(Problem::new(at("endpoint"), format!("`{url}`; expected http:// or https://")));
    }
    let poll = duration(&at("poll"), written.poll.as_deref().unwrap_or("1s"))?;
    if poll < LEAST_POLL {
        let detail = format!("a shard answers five calls a second: at least {} ms", LEAST_POLL.as_millis());
        return Err(Problem::new(at("poll"), detail));
    }
    if written.consumer.is_some() && !written.fan_out {
        return Err(Problem::new(at("consumer"), "names the consumer of fan_out, which is not on"));
    }
    let consumer = written.consumer.clone().unwrap_or_else(|| format!("tidewatch-{name}"));
    Ok(KinesisSourceConfig {
        name: name.to_owned(),
        stream,
        stream_arn,
        region: expand("region", &written.region)?.or(arn_region),
        endpoint,
        start: start(&at("start"), written.start.as_deref().unwrap_or("trim_horizon"))?,
        consumer: written.fan_out.then_some(consumer),
        role: role(&at("external_id"), written)?,
        reading,
        max_skew: duration(&at("max_skew"), written.max_skew.as_deref().unwrap_or("1h"))?,
        poll,
    })
}

fn duration(path: &str, text: &str) -> Result<Duration, Problem> {
    Ok(Duration::from_millis(duration_millis(path, text)? as u64))
}

/// Name and region in an ARN.
fn stream_of(path: &str, arn: &str) -> Result<(String, Option<String>), Problem> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts[..] {
        ["arn", _, "kinesis", region, _, resource] if resource.starts_with("stream/") => {
            let name = resource.trim_start_matches("stream/").to_owned();
            Ok((name, Some(region.to_owned()).filter(|region| !region.is_empty())))
        }
        _ => Err(Problem::new(path, format!("`{arn}`; expected arn:aws:kinesis:REGION:ACCOUNT:stream/NAME"))),
    }
}

fn role(path: &str, written: &WrittenKinesis) -> Result<Option<KinesisRole>, Problem> {
    match (&written.role_arn, &written.external_id) {
        (None, Some(_)) => Err(Problem::new(path, "belongs to role_arn, which is missing")),
        (arn, id) => Ok(arn.clone().map(|arn| KinesisRole { arn, external_id: id.clone() })),
    }
}

fn start(path: &str, text: &str) -> Result<KinesisStart, Problem> {
    match text {
        "trim_horizon" => return Ok(KinesisStart::TrimHorizon),
        "latest" => return Ok(KinesisStart::Latest),
        _ => {}
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(KinesisStart::At(time.as_millisecond()));
    }
    let millis = duration_millis("", text).map_err(|_| {
        let detail = format!(
            "`{text}`; expected trim_horizon, latest, a time like 2026-03-01T00:00:00Z, or a duration like 2h"
        );
        Problem::new(path, detail)
    })?;
    Ok(KinesisStart::Back(Duration::from_millis(millis as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<KinesisSourceConfig, String> {
        let written: WrittenKinesis = toml::from_str(text).unwrap();
        let reading = KinesisReading { wants_envelope: false, bytes_max: 1_000, opens_logs: false };
        check("clicks", &written, reading, &Environment::default())
            .map_err(|problem| format!("{}: {}", problem.path, problem.detail))
    }

    #[test]
    fn an_arn_names_stream_and_region() {
        let config = checked(
            "stream_arn = \"arn:aws:kinesis:eu-west-1:123456789012:stream/orders\"\nfan_out = true\nstart = \"2h\"",
        )
        .unwrap();
        assert_eq!((config.stream.as_str(), config.region.as_deref()), ("orders", Some("eu-west-1")));
        assert_eq!(config.consumer.as_deref(), Some("tidewatch-clicks"));
        assert_eq!(config.start, KinesisStart::Back(Duration::from_hours(2)));
    }

    #[test]
    fn problems_name_the_key_and_what_is_allowed() {
        for (text, expected) in [
            ("region = \"eu-west-1\"", "sources.clicks.stream: expected one of stream and stream_arn"),
            ("stream = \"a b\"", "sources.clicks.stream: `a b`; expected"),
            ("stream_arn = \"orders\"", "sources.clicks.stream_arn: `orders`; expected arn:aws:kinesis"),
            (
                "stream = \"a\"\nstart = \"earliest\"",
                "sources.clicks.start: `earliest`; expected trim_horizon",
            ),
            ("stream = \"a\"\npoll = \"50ms\"", "sources.clicks.poll: a shard answers five"),
            ("stream = \"a\"\nconsumer = \"x\"", "sources.clicks.consumer: names the consumer"),
            ("stream = \"a\"\nexternal_id = \"x\"", "sources.clicks.external_id: belongs to role_arn"),
            (
                "stream = \"a\"\nendpoint = \"localhost\"",
                "sources.clicks.endpoint: `localhost`; expected http://",
            ),
        ] {
            let problem = checked(text).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
