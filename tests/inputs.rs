//! The same rows as CSV, JSON lines and Parquet, plain, packed, in many files, from a web server and from a bucket give
//! the same backtest; and ready-made series long and wide.
#![cfg(all(feature = "s3", feature = "parquet"))]

#[path = "support/bucket.rs"]
mod bucket;
mod support;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use bucket::Bucket;
use flate2::{Compression, write::GzEncoder};
use parquet::{
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::Value;
use support::process::{finish, tidewatch};

const START: i64 = 1_772_409_600; // 2026-03-02T00:00:00Z, a Monday
const STEP: i64 = 1_800;
const WINDOWS: i64 = 21 * 48;
const COUNTRIES: [&str; 3] = ["DE", "FR", "US"];

/// Time in seconds, country, value: a daily rhythm, and one country that loses half for two hours.
fn rows() -> Vec<(i64, &'static str, f64)> {
    let value = |window: i64, country: usize| {
        let day = (window % 48) as f64 / 48.0 * std::f64::consts::TAU;
        let noise = ((window * 7_919 + country as i64 * 104_729) % 101) as f64 / 101.0 - 0.5;
        let lost = if country == 0 && (900..904).contains(&window) { 0.5 } else { 1.0 };
        ((300.0 - 120.0 * day.cos()) * (1.0 + country as f64 * 0.3) * lost + 12.0 * noise).round()
    };
    (0..WINDOWS)
        .flat_map(|window| {
            let row = move |country| (START + window * STEP, COUNTRIES[country], value(window, country));
            (0..COUNTRIES.len()).map(row)
        })
        .collect()
}

fn csv(rows: &[(i64, &str, f64)]) -> Vec<u8> {
    let mut text = "at,country,value\n".to_owned();
    for (at, country, value) in rows {
        writeln!(text, "{at},{country},{value}").expect("writing to memory");
    }
    text.into_bytes()
}

fn json(rows: &[(i64, &str, f64)]) -> Vec<u8> {
    let line = |(at, country, value): &(i64, &str, f64)| {
        format!("{{\"at\":{at},\"country\":\"{country}\",\"value\":{value}}}\n")
    };
    rows.iter().map(line).collect::<String>().into_bytes()
}

/// In row groups of a thousand.
fn parquet(rows: &[(i64, &str, f64)]) -> Vec<u8> {
    let schema =
        "message rows { REQUIRED INT64 at (TIMESTAMP(MILLIS,true)); OPTIONAL BYTE_ARRAY country (STRING);
        REQUIRED DOUBLE value; REQUIRED DOUBLE unused; }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut file =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default())).expect("memory");
    for rows in rows.chunks(1_000) {
        let mut group = file.next_row_group().expect("memory");
        let times: Vec<i64> = rows.iter().map(|row| row.0 * 1_000).collect();
        let mut column = group.next_column().expect("memory").expect("four columns");
        column.typed::<Int64Type>().write_batch(&times, None, None).expect("memory");
        column.close().expect("memory");
        let names: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(row.1)).collect();
        let mut column = group.next_column().expect("memory").expect("four columns");
        column
            .typed::<ByteArrayType>()
            .write_batch(&names, Some(&vec![1; rows.len()]), None)
            .expect("memory");
        column.close().expect("memory");
        let values: Vec<f64> = rows.iter().map(|row| row.2).collect();
        for _ in 0..2 {
            let mut column = group.next_column().expect("memory").expect("four columns");
            column.typed::<DoubleType>().write_batch(&values, None, None).expect("memory");
            column.close().expect("memory");
        }
        group.close().expect("memory");
    }
    file.into_inner().expect("memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory")
}

/// A folder with a configuration and the rows in many forms, made once; and what a backtest of the plain CSV says.
struct Forms {
    folder: PathBuf,
    files: BTreeMap<&'static str, Vec<u8>>,
    expected: Value,
    _kept: tempfile::TempDir,
}

fn forms() -> &'static Forms {
    static FORMS: OnceLock<Forms> = OnceLock::new();
    FORMS.get_or_init(|| {
        let kept = tempfile::tempdir().expect("a temporary folder");
        let folder = kept.path().to_owned();
        let config = "[sources.data]\nkind = \"file\"\npath = \"rows.csv\"\nformat = \"csv\"\n[monitors.shop]\n\
            source = \"data\"\ntimestamp = \"at\"\ninterval = \"30m\"\ndimensions = { country = \"country\" }\n\
            [monitors.shop.measures]\nviews = { total = \"value\" }\n";
        std::fs::write(folder.join("config.toml"), config).expect("a temporary file");
        let rows = rows();
        let (first, second) = rows.split_at(rows.len() / 2);
        let files = BTreeMap::from([
            ("rows.csv", csv(&rows)),
            ("rows.csv.gz", gzip(&csv(&rows))),
            ("rows.csv.zst", zstandard(&csv(&rows))),
            ("rows.ndjson", json(&rows)),
            ("rows.ndjson.gz", gzip(&json(&rows))),
            ("rows.parquet", parquet(&rows)),
            ("rows.parquet.gz", gzip(&parquet(&rows))),
            ("rows.parquet.zst", zstandard(&parquet(&rows))),
            ("part-1.parquet", parquet(first)),
            ("part-2.parquet", parquet(second)),
            ("many/2026/1.csv.gz", gzip(&csv(first))),
            ("many/2026/2.csv.gz", gzip(&csv(second))),
        ]);
        for (name, bytes) in &files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("in the folder")).expect("a temporary folder");
            std::fs::write(path, bytes).expect("a temporary file");
        }
        let expected = backtest(&folder, &["rows.csv"]);
        assert_eq!(expected["summary"]["counted"], 3 * WINDOWS);
        let heard: Vec<&Value> = expected["incidents"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|one| one["kind"] == "deviation" && one["severity"]["peak"].as_f64() >= Some(70.0))
            .collect();
        assert!(heard.len() == 1 && heard[0]["slices"][0]["country"] == "DE", "{heard:?}");
        Forms { folder, files, expected, _kept: kept }
    })
}

fn backtest(folder: &Path, inputs: &[&str]) -> Value {
    backtest_with(folder, "config.toml", inputs)
}

fn backtest_with(folder: &Path, config: &str, inputs: &[&str]) -> Value {
    let out = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut command = tidewatch(["backtest", "--config", config, "--monitor", "shop", "--json"]);
    command.arg(out.path()).args(inputs).current_dir(folder);
    {
        let bucket = Bucket::shared();
        command
            .env("AWS_ENDPOINT_URL", &bucket.url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", &bucket.key)
            .env("AWS_SECRET_ACCESS_KEY", &bucket.secret)
            .env("AWS_EC2_METADATA_DISABLED", "true");
    }
    let said = finish(&mut command);
    assert_eq!(said.code, Some(0), "{inputs:?}: {}{}", said.stdout, said.stderr);
    serde_json::from_slice(&std::fs::read(out.path()).expect("written")).expect("JSON")
}

#[test]
fn every_form_of_a_local_file_says_the_same() {
    let forms = forms();
    for inputs in [
        &["rows.csv.gz"][..],
        &["rows.csv.zst"],
        &["rows.ndjson"],
        &["rows.ndjson.gz"],
        &["rows.parquet"],
        &["rows.parquet.gz"],
        &["rows.parquet.zst"],
        &["part-*.parquet"],
        &["many/*/*.csv.gz"],
    ] {
        assert_eq!(backtest(&forms.folder, inputs), forms.expected, "{inputs:?}");
    }
}

#[test]
fn web_servers_and_buckets_say_the_same_also_when_connections_break() {
    let forms = forms();
    let server = serve(&forms.files);
    for path in
        ["rows.csv", "rows.csv.gz?breaks", "rows.ndjson.gz", "rows.parquet?breaks", "rows.parquet.zst"]
    {
        let url = format!("http://{server}/{path}");
        assert_eq!(backtest(&forms.folder, &[&url]), forms.expected, "{url}");
    }
    let objects: Vec<_> =
        forms.files.iter().map(|(name, bytes)| (format!("inputs/{name}"), &bytes[..], None)).collect();
    Bucket::shared().put(&objects);
    for path in ["rows.csv.zst", "rows.parquet", "part-*.parquet", "many/*/?.csv.gz", "many/2026/"] {
        let url = format!("s3://shop/inputs/{path}");
        assert_eq!(backtest(&forms.folder, &[&url]), forms.expected, "{url}");
    }
    let missing = |url: &str| {
        let run = ["backtest", "--config", "config.toml", "--monitor", "shop", url];
        let said = finish(tidewatch(run).current_dir(&forms.folder));
        assert_eq!(said.code, Some(2), "{}", said.stderr);
        said.stderr
    };
    let said = missing(&format!("http://{server}/nothing.csv"));
    assert!(said.contains("/nothing.csv`: 404 Not Found"), "{said}");
}

/// A web server on a free port. After `?breaks` it hangs up in the middle, and goes on where it is asked to.
fn serve(files: &BTreeMap<&'static str, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let files: BTreeMap<String, Vec<u8>> =
        files.iter().map(|(name, bytes)| (format!("/{name}"), bytes.clone())).collect();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.expect("a connection"), &files).ok();
        }
    });
    address
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let header = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let line = line.to_ascii_lowercase();
        line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
    });
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let Some(bytes) = files.get(path) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let from = header.unwrap_or(0);
    let status = if header.is_some() { "206 Partial Content" } else { "200 OK" };
    let rest = &bytes[from..];
    let sent = if query == "breaks" && header.is_none() { rest.len() / 2 } else { rest.len() };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(&rest[..sent])
}

#[test]
fn inspect_reads_parquet_and_addresses_too() {
    let forms = forms();
    let server = serve(&forms.files);
    for input in
        ["rows.parquet".to_owned(), format!("http://{server}/rows.csv.gz"), "part-*.parquet".to_owned()]
    {
        let said =
            finish(tidewatch(["inspect", &input, "--out", "proposed.toml"]).current_dir(&forms.folder));
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        assert!(said.stdout.contains("a ready-made series from 2026-03-02T00:00:00Z"), "{}", said.stdout);
        let found = backtest_with(&forms.folder, "proposed.toml", &[&input]);
        assert_eq!(found["summary"]["counted"], 3 * WINDOWS, "{input}");
        let first = &found["incidents"][0];
        assert!(
            first["slices"][0]["country"] == "DE"
                && ["value", "unused"].iter().any(|name| first["measure"] == *name),
            "{first}"
        );
    }
}

#[test]
fn wide_series_are_recognised_and_score_as_the_long_ones_do() {
    let forms = forms();
    // Twelve columns: the three countries, four times.
    let names: Vec<String> = (0..12).map(|column| format!("{} {column}", COUNTRIES[column % 3])).collect();
    let mut wide = format!("at,{}\n", names.join(","));
    for row in rows().chunks(3) {
        let cells: Vec<String> = (0..12).map(|column| row[column % 3].2.to_string()).collect();
        writeln!(wide, "{},{}", row[0].0, cells.join(",")).expect("memory");
    }
    std::fs::write(forms.folder.join("wide.csv"), wide).expect("a temporary file");
    let said = finish(tidewatch(["inspect", "wide.csv", "--out", "wide.toml"]).current_dir(&forms.folder));
    assert!(
        said.stdout.contains("ready-made series, one in each column, from"),
        "{}{}",
        said.stdout,
        said.stderr
    );
    let found = backtest_with(&forms.folder, "wide.toml", &["wide.csv"]);
    assert_eq!(found["summary"]["counted"], 12 * WINDOWS);
    assert_eq!(found["summary"]["series"], 13, "twelve and the whole");
    let members = found["incidents"][0]["members"].as_array().expect("a list");
    let lost = members.iter().filter_map(|member| member["slice"]["series"].as_str());
    assert_eq!(lost.filter(|name| name.starts_with("DE")).count(), 4, "{}", found["incidents"][0]);

    let score = |arguments: &[&str], file: &str| {
        let said = finish(
            tidewatch(["score", file, "--timestamp", "at"])
                .args(arguments)
                .args(["--out", "scored"])
                .current_dir(&forms.folder),
        );
        assert_eq!(said.code, Some(0), "{}", said.stderr);
    };
    score(&["--value", "*"], "wide.csv");
    score(&["--value", "value", "--by", "country"], "rows.csv.zst");
    let read = |name: &str| std::fs::read_to_string(forms.folder.join("scored").join(name)).expect("written");
    assert_eq!(read("wide.DE 0.csv"), read("rows.DE.csv"));
    assert_eq!(read("wide.US 11.csv"), read("rows.US.csv"));
    // The engine says the same of such a series as the bare detector.
    let peak = read("rows.DE.csv")
        .lines()
        .skip(1)
        .filter_map(|row| row.split(',').nth(5)?.parse::<f64>().ok())
        .fold(0.0, f64::max);
    let whole = found["incidents"][0]["members"].as_array().expect("a list").iter();
    let of_engine = whole
        .filter(|member| member["slice"]["series"] == "DE 0")
        .filter_map(|member| member["severity"]["peak"].as_f64())
        .fold(0.0, f64::max);
    // Incidents are told with two digits.
    assert!((peak - of_engine).abs() < 0.0051, "{peak} {of_engine}");
}
