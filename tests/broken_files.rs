//! Broken files through the real program: each a clear message with the file and the place, the rest processed and
//! counted, and nothing held in memory that a limit should have kept out.
#![cfg(feature = "parquet")]

mod support;

use std::{
    fmt::Write as _,
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use parquet::file::{reader::FileReader, serialized_reader::SerializedFileReader};
use serde_json::Value;
use support::process::{Said, finish, tidewatch};
use tempfile::TempDir;

const START: i64 = 1_772_409_600; // 2026-03-02T00:00:00Z
const ROWS: i64 = 1_000;
/// What a run may take at most, whatever its file holds: some ten times what it needs in a build for tests.
const MEMORY_MAX_KIB: u64 = 220 * 1_024;

/// A folder with a configuration for rows of `at,value` in one-minute windows.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = |format: &str| {
            format!(
                "[sources.data]\nkind = \"file\"\npath = \"x\"\nformat = \"{format}\"\n[monitors.shop]\nsource = \"data\"\n\
                 timestamp = \"at\"\ninterval = \"1m\"\nallowed_lateness = \"10m\"\n[monitors.shop.measures]\n\
                 value = {{ total = \"value\" }}\n"
            )
        };
        std::fs::write(folder.path().join("csv.toml"), config("csv")).expect("a temporary file");
        std::fs::write(folder.path().join("json.toml"), config("json")).expect("a temporary file");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("a temporary file");
    }

    fn run(&self, arguments: &[&str]) -> Said {
        finish(tidewatch(arguments).current_dir(self.folder.path()))
    }

    /// A backtest of one file: what it said, and its summary.
    fn backtest(&self, file: &str) -> (Said, Value) {
        let config = if file.contains("json") { "json.toml" } else { "csv.toml" };
        let said =
            self.run(&["backtest", "--config", config, "--monitor", "shop", "--json", "found.json", file]);
        assert_eq!(said.code, Some(0), "{file}: {}", said.stderr);
        let found = std::fs::read(self.path("found.json")).expect("written");
        let found: Value = serde_json::from_slice(&found).expect("JSON");
        (said, found["summary"].clone())
    }

    /// A backtest that cannot say anything: the code it ends with, and why.
    fn refused(&self, file: &str) -> (Option<i32>, String) {
        let config = if file.contains("json") { "json.toml" } else { "csv.toml" };
        let said = self.run(&["backtest", "--config", config, "--monitor", "shop", file]);
        (said.code, said.stderr)
    }

    fn score(&self, file: &str) -> Said {
        self.run(&[
            "score",
            file,
            "--timestamp",
            "at",
            "--value",
            "value",
            "--interval",
            "1m",
            "--out",
            "scored",
        ])
    }
}

/// So many rows a second apart, which are few windows.
fn quick_rows(range: std::ops::Range<i64>) -> String {
    let rows: Vec<String> =
        range.map(|index| format!("{},{}\n", START + index, index * index % 9_973)).collect();
    rows.concat()
}

fn row(index: i64) -> String {
    format!("{},{}\n", START + index * 60, 100 + index % 7)
}

fn rows(range: std::ops::Range<i64>) -> String {
    range.map(row).collect()
}

/// A header and a thousand rows.
fn whole() -> String {
    format!("at,value\n{}", rows(0..ROWS))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

fn counts(summary: &Value) -> [u64; 4] {
    ["records_in", "counted", "rejected", "late"].map(|name| summary[name].as_u64().expect("a number"))
}

#[test]
fn a_wrong_delimiter_is_guessed_and_named() {
    let desk = Desk::new();
    desk.put("semicolons.csv", whole().replace(',', ";"));
    let (code, said) = desk.refused("semicolons.csv");
    assert_eq!(code, Some(2), "{said}");
    let expected = "`semicolons.csv`: line 1: the columns lack `value`; they are: at;value (are its columns separated by `;`?)";
    assert!(said.contains(expected), "{said}");
    let said = desk.score("semicolons.csv");
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("no column `at`; there are: at;value (are its columns separated by `;`?)"));
}

#[test]
fn times_with_and_without_a_zone_are_both_read_and_told() {
    let desk = Desk::new();
    let mut text = "at,value\n".to_owned();
    for index in 0..ROWS {
        let time = jiff::Timestamp::from_second(START + index * 60).expect("a time");
        let time = match index % 3 {
            0 => time.to_string(),
            1 => time
                .to_zoned(jiff::tz::TimeZone::get("Asia/Tokyo").expect("a zone"))
                .strftime("%FT%T%:z")
                .to_string(),
            _ => time.strftime("%F %T").to_string(),
        };
        writeln!(text, "{time},{index}").expect("memory");
    }
    desk.put("zones.csv", text);
    let (said, summary) = desk.backtest("zones.csv");
    assert_eq!(counts(&summary), [1_000, 1_000, 0, 0]);
    assert_eq!(summary["windows"], 1_000, "each is in a minute of its own: {summary}");
    let expected = "`zones.csv`: its times are mixed: that of row 1 names a zone, that of row 3 does not";
    assert!(said.stderr.contains(expected), "{}", said.stderr);
    let said = desk.run(&["inspect", "zones.csv"]);
    assert!(said.stderr.contains("that of row 1 names a zone, that of row 3 does not"), "{}", said.stderr);
}

#[test]
fn duplicates_and_rows_out_of_order_are_counted() {
    let desk = Desk::new();
    let text = format!("at,value\n{}{}{}", rows(0..500), rows(400..402), rows(499..ROWS));
    desk.put("unsorted.csv", &text);
    let (said, summary) = desk.backtest("unsorted.csv");
    // Two rows are an hour and a half late; a time that comes twice is added up.
    assert_eq!(counts(&summary), [1_003, 1_001, 0, 2]);
    assert!(
        said.stderr.contains("`unsorted.csv`: not in the order of its times: row 501 and "),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("2 events were late"), "{}", said.stderr);
    let said = desk.score("unsorted.csv");
    assert_eq!(said.code, Some(0));
    assert!(
        said.stderr.contains("`unsorted.csv`: 2 rows are not in order of time, first on line 502"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("1 rows repeat a time, first on line 504"), "{}", said.stderr);
    let scored = std::fs::read_to_string(desk.path("scored/unsorted.csv")).expect("written");
    assert_eq!(scored.lines().count(), 1_004, "one row for each, and the header");
}

#[test]
fn what_is_no_number_costs_its_row() {
    let desk = Desk::new();
    let mut text = whole();
    for (index, bad) in [(10, "NaN"), (20, "inf"), (30, "-Infinity"), (40, "1,5"), (50, "many"), (60, "")] {
        text = text.replace(&row(index), &format!("{},{bad}\n", START + index * 60));
    }
    desk.put("numbers.csv", text);
    let (said, summary) = desk.backtest("numbers.csv");
    // An empty cell says nothing, and is no mistake.
    assert_eq!(counts(&summary), [1_000, 995, 5, 0]);
    for expected in [
        "`numbers.csv` line 12: field `value`: `NaN` is not a finite number",
        "`numbers.csv` line 22: field `value`: `inf` is not a finite number",
        "`numbers.csv` line 42: the row has 3 cells, the header 2",
        "`numbers.csv` line 52: field `value`: `many` is not a finite number",
    ] {
        assert!(said.stderr.contains(expected), "{expected}: {}", said.stderr);
    }
    let said = desk.score("numbers.csv");
    assert!(said.stderr.contains("`numbers.csv`: line 22: `inf` is not a finite number"), "{}", said.stderr);
}

#[test]
fn files_that_were_cut_off_are_read_to_the_cut() {
    let desk = Desk::new();
    let text = format!("at,value\n{}", quick_rows(0..40_000));
    let (packed, zipped) = (gzip(&text), zstd::encode_all(text.as_bytes(), 3).expect("memory"));
    for (name, bytes, what) in [("cut.csv.gz", packed, "gzip"), ("cut.csv.zst", zipped, "Zstandard")] {
        desk.put(name, &bytes[..bytes.len() * 2 / 3]);
        let (said, summary) = desk.backtest(name);
        let [events, counted, rejected, _] = counts(&summary);
        assert!(counted > 10_000 && events == counted && rejected == 0, "{summary}");
        let line = counted + 2;
        let expected = format!("`{name}` breaks off at line {line} (byte ");
        assert!(said.stderr.contains(&expected), "{expected} {}", said.stderr);
        assert!(said.stderr.contains(&format!("its {what} data is cut off")), "{}", said.stderr);
        let said = desk.score(name);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        assert!(said.stderr.contains(&format!("`{name}`: breaks off at line ")), "{}", said.stderr);
        let said = desk.run(&["inspect", name]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        assert!(said.stderr.contains("data is cut off"), "{}", said.stderr);
    }
    // Of two files, the whole one is read.
    desk.put("a.csv", whole());
    desk.put("b.csv", &gzip(&text)[..15]);
    let (said, summary) = desk.backtest("[ab].csv");
    assert_eq!(counts(&summary), [1_000, 1_000, 0, 0], "{}", said.stderr);
    assert!(said.stderr.contains("`b.csv`: its gzip data is cut off; left out"), "{}", said.stderr);
}

/// `ROWS` rows in four row groups.
fn parquet() -> Vec<u8> {
    use parquet::{
        data_type::{DoubleType, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    let schema = "message rows { REQUIRED INT64 at (TIMESTAMP(MILLIS,true)); REQUIRED DOUBLE value; }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().set_dictionary_enabled(false).build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).expect("memory");
    for part in 0..4 {
        let range = part * ROWS / 4..(part + 1) * ROWS / 4;
        let mut group = file.next_row_group().expect("memory");
        let times: Vec<i64> = range.clone().map(|index| (START + index * 60) * 1_000).collect();
        let mut column = group.next_column().expect("memory").expect("two columns");
        column.typed::<Int64Type>().write_batch(&times, None, None).expect("memory");
        column.close().expect("memory");
        let values: Vec<f64> = range.map(|index| index as f64).collect();
        let mut column = group.next_column().expect("memory").expect("two columns");
        column.typed::<DoubleType>().write_batch(&values, None, None).expect("memory");
        column.close().expect("memory");
        group.close().expect("memory");
    }
    file.into_inner().expect("memory")
}

#[test]
fn a_damaged_parquet_file_loses_one_row_group_and_one_that_was_cut_off_all() {
    let desk = Desk::new();
    let good = parquet();
    desk.put("good.parquet", &good);
    assert_eq!(counts(&desk.backtest("good.parquet").1), [1_000, 1_000, 0, 0]);
    let mut bad = good.clone();
    let reader = SerializedFileReader::new(bytes::Bytes::from(good.clone())).expect("a good file");
    let head = reader.metadata().row_group(1).column(0).data_page_offset() as usize;
    bad[head..head + 20].fill(0xff);
    desk.put("bad.parquet", bad);
    let (said, summary) = desk.backtest("bad.parquet");
    assert_eq!(counts(&summary), [750, 750, 0, 0], "{}", said.stderr);
    let expected = "`bad.parquet` rows 251 to 500 are lost (row group 2 of 4, from byte ";
    assert!(said.stderr.contains(expected), "{}", said.stderr);
    desk.put("cut.parquet", &good[..good.len() / 2]);
    let (code, said) = desk.refused("cut.parquet");
    assert_eq!(code, Some(2));
    let expected =
        format!("`cut.parquet`: no Parquet file, or cut off: the index at its end (byte {})", good.len() / 2);
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn empty_files_marks_and_line_ends_of_other_systems() {
    let desk = Desk::new();
    desk.put("empty.csv", "");
    let (code, said) = desk.refused("empty.csv");
    assert!(code == Some(2) && said.contains("`empty.csv`: it is empty; left out"), "{said}");
    desk.put("header.csv", "at,value\n");
    let (code, said) = desk.refused("header.csv");
    assert!(code == Some(1) && said.contains("none of 0 events could be used"), "{said}");

    let (_, plain) = {
        desk.put("plain.csv", whole());
        desk.backtest("plain.csv")
    };
    desk.put("mark.csv", format!("\u{feff}{}", whole().replace('\n', "\r\n")));
    assert_eq!(desk.backtest("mark.csv").1, plain);
    desk.put(
        "mark.json",
        format!("\u{feff}{{\"at\":{START},\"value\":1}}\r\n{{\"at\":{},\"value\":2}}\r\n", START + 60),
    );
    assert_eq!(counts(&desk.backtest("mark.json").1), [2, 2, 0, 0]);
    let said = desk.score("mark.csv");
    assert_eq!((said.code, said.stderr.contains("warning")), (Some(0), false), "{}", said.stderr);
}

#[test]
fn junk_is_told_from_text() {
    let desk = Desk::new();
    let junk: Vec<u8> =
        (0..200_000_u32).flat_map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    desk.put("junk.csv", &junk);
    let (code, said) = desk.refused("junk.csv");
    assert_eq!(code, Some(2));
    assert!(
        said.contains("`junk.csv`: byte 1 is zero: it is no text in UTF-8, nor gzip, Zstandard or Parquet"),
        "{said}"
    );
    let said = desk.run(&["inspect", "junk.csv"]);
    assert!(said.code == Some(2) && said.stderr.contains("byte 1 is zero: it is no text"), "{}", said.stderr);
    // In the middle of a text it costs its lines.
    let lines = |range: std::ops::Range<i64>| -> String {
        let lines: Vec<String> =
            range.map(|index| format!("{{\"at\":{},\"value\":{index}}}\n", START + index)).collect();
        lines.concat()
    };
    let mut text = lines(0..20_000).into_bytes();
    text.extend(junk.iter().filter(|byte| **byte != b'\n'));
    text.push(b'\n');
    text.extend(lines(20_000..21_000).into_bytes());
    desk.put("inside.json", text);
    let (said, summary) = desk.backtest("inside.json");
    assert_eq!(counts(&summary), [21_001, 21_000, 1, 0]);
    assert!(said.stderr.contains("`inside.json` line 20001: no valid JSON"), "{}", said.stderr);
}

#[test]
fn an_open_quote_takes_no_more_than_a_record_may_be() {
    let desk = Desk::new();
    let text = format!("at,value\n{}{},\"1\n{}", quick_rows(0..100), START + 100, quick_rows(101..200_000));
    desk.put("quote.csv", text);
    let (said, summary) = desk.backtest("quote.csv");
    let [events, counted, rejected, _] = counts(&summary);
    assert!(rejected == 1 && events == counted + 1 && counted > 100_000, "{summary}");
    let expected =
        "`quote.csv` line 102: the record is over the limit of 1048576 bytes; is a quote left open?";
    assert!(said.stderr.contains(expected), "{}", said.stderr);
}

/// A file with a line of a gigabyte in its middle, which takes no room on the disk.
fn huge_line(path: &Path, before: &str, opens: &str, after: &str) {
    let mut file = File::create(path).expect("a temporary file");
    file.write_all(before.as_bytes()).expect("written");
    file.write_all(opens.as_bytes()).expect("written");
    file.seek(SeekFrom::Current(1 << 30)).expect("in a file");
    file.write_all(b"\n").expect("written");
    file.write_all(after.as_bytes()).expect("written");
}

/// Runs a command and looks at the most memory it ever held.
fn peak_kib(command: &mut Command) -> (Option<i32>, u64) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let now = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("our child") {
            return (status.code(), peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_line_of_a_gigabyte_is_passed_by_and_never_held() {
    let desk = Desk::new();
    huge_line(
        &desk.path("huge.csv"),
        &format!("at,value\n{}", quick_rows(0..20_000)),
        "1,",
        &quick_rows(20_000..21_000),
    );
    let (said, summary) = desk.backtest("huge.csv");
    assert_eq!(counts(&summary), [21_001, 21_000, 1, 0], "{}", said.stderr);
    let expected = "`huge.csv` line 20002: the record is over the limit of 1048576 bytes";
    assert!(said.stderr.contains(expected), "{}", said.stderr);

    let folder = desk.folder.path();
    let run = ["backtest", "--config", "csv.toml", "--monitor", "shop", "huge.csv"];
    let (code, peak) = peak_kib(tidewatch(run).current_dir(folder));
    assert!(code == Some(0) && (1..MEMORY_MAX_KIB).contains(&peak), "{code:?} {peak} KiB");
    let score =
        ["score", "huge.csv", "--timestamp", "at", "--value", "value", "--interval", "1m", "--out", "scored"];
    let (code, peak) = peak_kib(tidewatch(score).current_dir(folder));
    assert!(code == Some(0) && (1..MEMORY_MAX_KIB).contains(&peak), "{code:?} {peak} KiB");
    let scored = std::fs::read_to_string(desk.path("scored/huge.csv")).expect("written");
    assert_eq!(scored.lines().count(), 21_002, "a row for each, and the header");

    // As the first line, so that nothing else is there to look at.
    huge_line(&desk.path("first.json"), "", "{\"at\":\"", &format!("\n{{\"at\":{START},\"value\":1}}\n"));
    let inspect = ["inspect", "first.json"];
    let (code, peak) = peak_kib(tidewatch(inspect).current_dir(folder));
    assert!(code == Some(2) && (1..MEMORY_MAX_KIB).contains(&peak), "{code:?} {peak} KiB");
}
