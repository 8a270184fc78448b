//! The section of a source that reads objects in S3.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;

use super::{
    Environment, Problem, SourceConfig, SourceKind,
    units::{duration_millis, size_bytes},
    written::WrittenMonitor,
};
use crate::{
    pipeline::MonitorSpec,
    record::{FieldPaths, Format},
    sources::{PathTemplate, S3Format, S3Keys, S3SourceConfig, S3Start},
};

const HOUR: i64 = 3_600_000;
const LATE_MAX: i64 = 12 * HOUR;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenS3 {
    url: String,
    region: Option<String>,
    endpoint: Option<String>,
    /// `earliest`, `latest`, an RFC 3339 time, or a duration before now.
    start: Option<String>,
    follow: Option<bool>,
    refresh: Option<String>,
    late_objects: Option<String>,
    timezone: Option<String>,
    queue_url: Option<String>,
    /// Also `parquet`.
    pub(super) format: Option<String>,
    pub(super) columns: Option<Vec<String>>,
    pub(super) record_bytes_max: Option<String>,
    object_bytes_max: Option<String>,
    pub(super) dead_letter: Option<String>,
}

/// `format` is that of rows; `None` is Parquet.
pub(super) fn check(
    name: &str,
    written: &WrittenS3,
    format: Option<Format>,
    record_bytes_max: usize,
    fields: &FieldPaths,
    monitors: &[Arc<MonitorSpec>],
    environment: &Environment,
) -> Result<S3SourceConfig, Problem> {
    let section = Section { name, environment };
    let (bucket, keys) = section.keys(written, monitors)?;
    let follow = written.follow.unwrap_or(true);
    // What a monitor can still use is read.
    let corrected = monitors.iter().map(|spec| spec.window.correction_millis).max().unwrap_or(0);
    let late_default = format!("{}ms", corrected.clamp(HOUR, LATE_MAX));
    let late_millis = section.millis("late_objects", written.late_objects.as_deref(), &late_default)?;
    let awaited_millis = if written.late_objects.is_some() { late_millis } else { HOUR };
    if late_millis > LATE_MAX {
        return Err(Problem::new(section.at("late_objects"), "expected at most 12h"));
    }
    if written.queue_url.is_some() && !follow {
        return Err(Problem::new(section.at("queue_url"), "a queue never ends; leave out `follow = false`"));
    }
    let refresh = section.millis("refresh", written.refresh.as_deref(), "30s")?.max(100);
    let object_bytes_max = written.object_bytes_max.as_deref().unwrap_or("256MiB");
    let optional = |key: &str, text: Option<&String>| {
        text.map(|text| environment.expand(&section.at(key), text)).transpose()
    };
    Ok(S3SourceConfig {
        name: name.to_owned(),
        start: section.start(written.start.as_deref(), &keys)?,
        bucket,
        keys,
        follow,
        refresh: Duration::from_millis(refresh as u64),
        late_objects: Duration::from_millis(late_millis as u64),
        awaited: Duration::from_millis(awaited_millis as u64),
        format: format.map_or(S3Format::Parquet, S3Format::Rows),
        fields: fields.names().to_vec(),
        record_bytes_max,
        object_bytes_max: size_bytes(&section.at("object_bytes_max"), object_bytes_max)? as u64,
        region: optional("region", written.region.as_ref())?,
        endpoint: optional("endpoint", written.endpoint.as_ref())?,
        queue_url: optional("queue_url", written.queue_url.as_ref())?,
    })
}

/// Events come when their object does: monitors that say nothing else wait so long before silence means anything.
pub(super) fn wait_for_objects(source: &mut SourceConfig, written: &BTreeMap<String, WrittenMonitor>) {
    let SourceKind::S3(bucket) = &source.kind else { return };
    let patience = bucket.patience_millis();
    for spec in &mut source.monitors {
        if written.get(&spec.facts.monitor).is_some_and(|monitor| monitor.idle_timeout.is_none()) {
            Arc::make_mut(spec).idle_timeout_millis = patience;
        }
    }
}

struct Section<'a> {
    name: &'a str,
    environment: &'a Environment,
}

impl Section<'_> {
    fn at(&self, key: &str) -> String {
        format!("sources.{}.{key}", self.name)
    }

    fn millis(&self, key: &str, text: Option<&str>, default: &str) -> Result<i64, Problem> {
        duration_millis(&self.at(key), text.unwrap_or(default))
    }

    fn keys(&self, written: &WrittenS3, monitors: &[Arc<MonitorSpec>]) -> Result<(String, S3Keys), Problem> {
        let url = self.environment.expand(&self.at("url"), &written.url)?;
        let path = url.strip_prefix("s3://").unwrap_or_default();
        let (bucket, keys) = path.split_once('/').unwrap_or((path, ""));
        if bucket.is_empty() || bucket.contains('{') {
            return Err(Problem::new(self.at("url"), format!("`{url}`; expected s3://BUCKET/PREFIX")));
        }
        let zone = written.timezone.as_deref().unwrap_or("UTC");
        let zone = TimeZone::get(zone)
            .map_err(|_| Problem::new(self.at("timezone"), format!("`{zone}` is no known time zone")))?;
        let step = monitors.iter().map(|spec| spec.window.grid.width().seconds() * 1_000).min();
        let template = PathTemplate::parse(keys, zone, step.unwrap_or(HOUR).clamp(60_000, HOUR))
            .map_err(|why| Problem::new(self.at("url"), why))?;
        let keys = template.map_or_else(|| S3Keys::Prefix(keys.to_owned()), S3Keys::Folders);
        Ok((bucket.to_owned(), keys))
    }

    fn start(&self, written: Option<&str>, keys: &S3Keys) -> Result<S3Start, Problem> {
        let has_folders = matches!(keys, S3Keys::Folders(_));
        let text = written.unwrap_or(if has_folders { "latest" } else { "earliest" });
        match text {
            "earliest" if has_folders => {
                let detail = "`earliest`; a path with times needs the first time, or a duration like 7d";
                return Err(Problem::new(self.at("start"), detail));
            }
            "earliest" => return Ok(S3Start::Earliest),
            "latest" => return Ok(S3Start::Latest),
            _ => {}
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(S3Start::At(time.as_millisecond()));
        }
        let millis = duration_millis("", text).map_err(|_| {
            let detail = format!(
                "`{text}`; expected earliest, latest, a time like 2026-03-01T00:00:00Z, or a duration like 7d"
            );
            Problem::new(self.at("start"), detail)
        })?;
        Ok(S3Start::Back(Duration::from_millis(millis as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn checked(keys: &str) -> Result<S3SourceConfig, String> {
        let text = format!(
            "[sources.logs]\nkind = \"s3\"\n{keys}\n[monitors.shop]\nsource = \"logs\"\ntimestamp = \"at\"\n\
             interval = \"5m\"\n[monitors.shop.measures]\nviews = {{ count = true }}\n"
        );
        let config = Config::parse(&text, &Environment::default()).map_err(|error| error.to_string())?;
        let source = config.sources.into_iter().next().expect("there is one");
        let SourceKind::S3(bucket) = source.kind else { panic!("another kind") };
        assert_eq!(source.monitors[0].idle_timeout_millis, bucket.patience_millis());
        Ok(*bucket)
    }

    #[test]
    fn paths_with_and_without_times_get_their_defaults() {
        let plain = checked("url = \"s3://shop/logs/a\"").unwrap();
        assert_eq!((plain.bucket.as_str(), plain.start, plain.follow), ("shop", S3Start::Earliest, true));
        assert!(matches!(&plain.keys, S3Keys::Prefix(prefix) if prefix == "logs/a"));
        assert_eq!(plain.fields, ["at"]);
        let folders = checked("url = \"s3://shop/{{yyyyMMdd}}/{{HHmm}}/\"\nformat = \"parquet\"").unwrap();
        assert_eq!((folders.start, folders.format), (S3Start::Latest, S3Format::Parquet));
        let S3Keys::Folders(template) = folders.keys else { panic!("no folders") };
        assert_eq!(template.width_millis(), 300_000, "the monitor's interval");
    }

    #[test]
    fn problems_name_the_key_and_what_is_allowed() {
        for (keys, expected) in [
            ("url = \"https://x\"", "`sources.logs.url`: `https://x`; expected s3://BUCKET/PREFIX"),
            ("url = \"s3://b/{{HHmm}}\"", "`sources.logs.url`: a path with times needs at least yyyy and MM"),
            ("url = \"s3://b/{{yyyyMM}}\"\nstart = \"earliest\"", "`sources.logs.start`: `earliest`; a path"),
            ("url = \"s3://b/\"\nstart = \"soon\"", "`sources.logs.start`: `soon`; expected earliest"),
            ("url = \"s3://b/\"\nlate_objects = \"2d\"", "`sources.logs.late_objects`: expected at most 12h"),
            ("url = \"s3://b/\"\nformat = \"orc\"", "`sources.logs.format`: `orc`"),
        ] {
            let problem = checked(keys).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
