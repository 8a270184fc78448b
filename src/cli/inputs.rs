//! The inputs of a run over files: found, looked at, and put together as a source.

use std::path::Path;

use super::{Exit, output};
use crate::{
    config::SourceConfig,
    pipeline::MonitorSpec,
    record::{Checkpoint, Decoder, Format, Mapping, Sample, TimestampFormat},
    sources::{FileSource, FileSourceConfig, beginning, find_objects, is_parquet, is_url},
};

/// Bytes and rows of each input that are looked at before anything is read.
const LOOK_BYTES: usize = 256 << 10;
const LOOK_ROWS: usize = 1_000;

/// Inputs that can be read.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) config: FileSourceConfig,
    pub(super) decoder: Decoder,
}

impl Inputs {
    /// From their beginning.
    pub(super) fn files(&self) -> Result<FileSource, Exit> {
        let files = FileSource::new(self.config.clone(), &Checkpoint::default());
        files.map_err(|error| Exit::Usage(error.to_string()))
    }
}

/// Those of a run: finds files, patterns, addresses or standard input, looks at the beginning of each, and leaves out those of which no row
/// can be read.
pub(super) async fn inputs(
    paths: &[String],
    source: &SourceConfig,
    spec: &MonitorSpec,
) -> anyhow::Result<Inputs> {
    let mut found = Vec::new();
    for path in paths {
        found.extend(find(path).await?);
    }
    let format = format_of(&found, &source.format)?;
    let decoder = source.decoder.reading(format.clone());
    let mut readable = Vec::new();
    for path in found {
        match look(&path, &decoder, &spec.mapping).await? {
            Ok(warnings) => {
                for warning in warnings {
                    output::warn(format!("`{path}`: {warning}"));
                }
                readable.push(path);
            }
            Err(why) => output::warn(format!("`{path}`: {why}; left out")),
        }
    }
    if readable.is_empty() {
        return Err(Exit::Usage("no input can be read".to_owned()).into());
    }
    let config = FileSourceConfig {
        paths: readable.iter().map(|path| glob_escaped(path)).collect(),
        format,
        fields: decoder.fields().to_vec(),
        record_bytes_max: source.record_bytes_max,
        speed: None,
    };
    Ok(Inputs { config, decoder })
}

/// A path that is meant as it is.
fn glob_escaped(path: &str) -> String {
    let has_pattern = path.contains(['*', '?', '[']) && !is_url(path);
    if has_pattern { glob::Pattern::escape(path) } else { path.to_owned() }
}

/// The inputs that a path, a pattern or an address means; at least one.
pub(super) async fn find(path: &str) -> anyhow::Result<Vec<String>> {
    if is_url(path) {
        return Ok(find_objects(path).await.map_err(|error| Exit::Usage(error.to_string()))?);
    }
    if path == "-" || Path::new(path).exists() {
        return Ok(vec![path.to_owned()]);
    }
    let wrong = |why: String| Exit::Usage(format!("`{path}`: {why}"));
    let entries = glob::glob(path).map_err(|error| wrong(error.to_string()))?;
    let files: Vec<String> = (entries.filter_map(Result::ok).filter(|entry| entry.is_file()))
        .map(|entry| entry.to_string_lossy().into_owned())
        .collect();
    if files.is_empty() {
        return Err(Exit::Usage(format!("no file `{path}`")).into());
    }
    Ok(files)
}

/// How inputs are written: as their names say, else as the monitor's own source is.
fn format_of(paths: &[String], configured: &Format) -> Result<Format, Exit> {
    let mut format: Option<(&str, Format)> = None;
    for path in paths {
        let one = ending_format(path, configured);
        match &format {
            Some((other, known)) if *known != one => {
                return Err(Exit::Usage(format!(
                    "`{other}` and `{path}` are of different formats; read them in runs of their own"
                )));
            }
            _ => format = Some((path, one)),
        }
    }
    Ok(format.map_or_else(|| configured.clone(), |(_, format)| format))
}

fn ending_format(path: &str, configured: &Format) -> Format {
    let name = if is_url(path) { path.split(['?', '#']).next().unwrap_or(path) } else { path };
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    let delimited = |delimiter| match configured {
        Format::Delimited { columns, .. } if delimiter == b'\t' => {
            Format::Delimited { delimiter, columns: columns.clone() }
        }
        Format::Wide { .. } if delimiter == b'\t' => Format::Wide { delimiter },
        Format::Delimited { .. } | Format::Wide { .. } | Format::Tabbed { .. } => configured.clone(),
        _ => Format::Delimited { delimiter, columns: None },
    };
    match plain.rsplit_once('.').map(|(_, ending)| ending) {
        _ if is_parquet(path) => Format::Json,
        Some("csv") => delimited(b','),
        Some("tsv") => delimited(b'\t'),
        Some("json" | "ndjson" | "jsonl") => Format::Json,
        _ => configured.clone(),
    }
}

/// What is odd about the beginning of an input; or why none of its rows can be read.
async fn look(
    path: &str,
    decoder: &Decoder,
    mapping: &Mapping,
) -> anyhow::Result<Result<Vec<String>, String>> {
    if path == "-" {
        return Ok(Ok(Vec::new()));
    }
    let found =
        beginning(path, LOOK_BYTES, LOOK_ROWS).await.map_err(|error| Exit::Usage(error.to_string()))?;
    if found.text.is_empty() {
        return Ok(Err(found.damage.unwrap_or_else(|| "it is empty".to_owned())));
    }
    if let Some(why) = found.damage.filter(|_| memchr::memchr(b'\n', &found.text).is_none()) {
        return Ok(Err(why));
    }
    Ok(look_at(&found.text, decoder, mapping))
}

fn look_at(text: &[u8], decoder: &Decoder, mapping: &Mapping) -> Result<Vec<String>, String> {
    if let Some(at) = memchr::memchr(0, text) {
        return Err(format!(
            "byte {} is zero: it is no text in UTF-8, nor gzip, Zstandard or Parquet",
            at + 1
        ));
    }
    let text = String::from_utf8_lossy(text);
    let mut warnings = Vec::new();
    if let Some(header) = text.lines().next().filter(|_| decoder.has_header()) {
        let mut decoder = decoder.clone();
        if let Err(lacking) = decoder.set_header(header.as_bytes()) {
            let why = format!("line 1: {lacking}{}", hint(header, lacking.columns.len()));
            if !lacking.columns.iter().any(|column| column == mapping.timestamp()) {
                return Err(why);
            }
            warnings.push(why);
        }
    }
    if let Some(sample) = Sample::read(&text, LOOK_ROWS) {
        warnings.extend(odd_times(&sample, mapping.timestamp(), |time| mapping.millis(time)));
    }
    Ok(warnings)
}

/// What is odd about the times in a column of a sample, read by `millis`.
pub(super) fn odd_times(sample: &Sample, column: &str, millis: impl Fn(&str) -> Option<i64>) -> Vec<String> {
    let Some(column) = sample.columns.iter().position(|known| known == column) else { return Vec::new() };
    let times = sample.rows.iter().map(|row| row[column].as_deref());
    let times: Vec<(usize, &str)> = (1..).zip(times).filter_map(|(row, time)| Some((row, time?))).collect();
    mixed_zones(&times).into_iter().chain(unsorted(&times, millis)).collect()
}

/// A guess at another delimiter.
fn hint(header: &str, columns: usize) -> String {
    let other = [(';', "`;`"), ('\t', "tabs"), ('|', "`|`"), (',', "`,`")];
    let other = other.into_iter().find(|(delimiter, _)| columns == 1 && header.contains(*delimiter));
    other.map_or_else(String::new, |(_, name)| format!(" (are its columns separated by {name}?)"))
}

fn mixed_zones(times: &[(usize, &str)]) -> Option<String> {
    let named = |time: &str| TimestampFormat::names_zone(time);
    let (first, is_named) = times.iter().find_map(|(row, time)| Some((row, named(time)?)))?;
    let (other, _) = times.iter().find(|(_, time)| named(time).is_some_and(|zone| zone != is_named))?;
    let (with, without) = if is_named { (first, other) } else { (other, first) };
    Some(format!(
        "its times are mixed: that of row {with} names a zone, that of row {without} does not and is taken to be in the monitor's"
    ))
}

fn unsorted(times: &[(usize, &str)], millis: impl Fn(&str) -> Option<i64>) -> Option<String> {
    let mut newest = i64::MIN;
    let mut behind = times.iter().filter_map(|(row, time)| {
        let millis = millis(time)?;
        let is_behind = millis < newest;
        newest = newest.max(millis);
        is_behind.then_some(*row)
    });
    let first = behind.next()?;
    Some(format!(
        "not in the order of its times: row {first} and {} more of its first rows; rows more than `allowed_lateness` behind \
         are counted as late and left out",
        behind.count()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_how_inputs_are_written() {
        let csv = Format::Delimited { delimiter: b',', columns: None };
        let format = |paths: &[&str], configured: &Format| {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            format_of(&paths, configured).map_err(|error| error.to_string())
        };
        assert_eq!(format(&["a.csv.gz", "https://shop/b.csv?sig=x.json"], &Format::Json), Ok(csv.clone()));
        assert_eq!(format(&["a.parquet", "b.json", "c.pq.zst"], &csv), Ok(Format::Json));
        assert_eq!(format(&["a.log", "-"], &csv), Ok(csv.clone()));
        assert_eq!(
            format(&["a.csv", "b.parquet"], &csv).unwrap_err(),
            "`a.csv` and `b.parquet` are of different formats; read them in runs of their own"
        );
    }

    #[test]
    fn odd_times_are_named_by_their_rows() {
        let mixed =
            [(1, "2026-03-01T08:00:00+01:00"), (2, "2026-03-01 08:05:00"), (3, "2026-03-01T07:10:00Z")];
        assert!(mixed_zones(&mixed).unwrap().contains("row 1 names a zone, that of row 2 does not"));
        assert_eq!(mixed_zones(&[(1, "1772409600"), (2, "2026-03-01")]), None);
        assert_eq!(hint("at;value", 1), " (are its columns separated by `;`?)");
        assert_eq!(hint("at,value", 2), "");
    }
}
