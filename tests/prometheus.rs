//! A real Prometheus scrapes `/metrics`, and `promtool check metrics` has nothing to say against it.

use std::{
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{net::TcpListener, time::Instant};

const PATIENCE: Duration = Duration::from_mins(1);

const CONFIG: &str = r#"
    [server]
    listen = "ADDRESS"
    [store]
    path = "FOLDER/tidewatch.db"
    [sources.clicks]
    kind = "http"
    [monitors.shop]
    source = "clicks"
    timestamp = "at"
    interval = "1m"
    dimensions = { country = "country" }
    [monitors.shop.measures]
    views = { count = true }
    revenue = { sum = "total" }
"#;

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

fn spawn(program: &str, arguments: &[String], folder: &Path) -> Running {
    let log = std::fs::File::create(folder.join("log.txt")).expect("a temporary file");
    let child = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(log).spawn();
    Running(child.unwrap_or_else(|error| {
        panic!("could not start `{program}` ({error}): `make test` installs the Debian package prometheus")
    }))
}

/// Polls a URL until its answer passes.
async fn wait_for(url: &str, passes: impl Fn(&str) -> bool) -> String {
    let client = reqwest::Client::new();
    let deadline = Instant::now() + PATIENCE;
    let mut last = String::new();
    while Instant::now() < deadline {
        if let Ok(response) = client.get(url).timeout(Duration::from_secs(5)).send().await {
            last = response.text().await.unwrap_or_default();
            if passes(&last) {
                return last;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("`{url}` never answered as expected; last: {last}");
}

fn promtool_complaints(metrics: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`make test` installs the Debian package prometheus, which holds promtool");
    let mut input = promtool.stdin.take().expect("piped");
    input.write_all(metrics.as_bytes()).expect("promtool reads its input");
    drop(input);
    let output = promtool.wait_with_output().expect("promtool ends");
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    if output.status.success() { text } else { format!("promtool failed: {text}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_what_promtool_accepts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ours, prometheus) = (free_address().await, free_address().await);
    let path = folder.path().display().to_string();
    let config = CONFIG.replace("ADDRESS", &ours).replace("FOLDER", &path);
    std::fs::write(folder.path().join("config.toml"), config).expect("a temporary file");
    let arguments = ["run", "--config", &format!("{path}/config.toml")].map(str::to_owned);
    let _tidewatch = spawn(env!("CARGO_BIN_EXE_tidewatch"), &arguments, folder.path());
    wait_for(&format!("http://{ours}/health/ready"), |text| text.contains("\"ready\":true")).await;

    let events =
        r#"[{"at":1772323200,"country":"DE","total":12.5},{"at":1772323260,"country":"DE"},{"at":"soon"}]"#;
    let posted = reqwest::Client::new()
        .post(format!("http://{ours}/v1/events?source=clicks"))
        .body(events)
        .send()
        .await
        .expect("the service answers");
    assert_eq!(posted.status(), 400, "the bad event is named, the others are kept");

    let counted = r#"tidewatch_record_events_total{monitor="shop",outcome="counted"} 2"#;
    let metrics = wait_for(&format!("http://{ours}/metrics"), |text| text.contains(counted)).await;
    assert!(
        metrics
            .contains(r#"tidewatch_record_events_rejected_total{monitor="shop",reason="bad_timestamp"} 1"#)
    );
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("tidewatch_") || line.starts_with("process_"), "{line}");
    }
    assert_eq!(promtool_complaints(&metrics), "");

    let scrape = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: tidewatch\n    static_configs: [{{targets: ['{ours}']}}]\n"
    );
    std::fs::write(folder.path().join("prometheus.yml"), scrape).expect("a temporary file");
    let arguments = [
        format!("--config.file={path}/prometheus.yml"),
        format!("--storage.tsdb.path={path}/prometheus"),
        format!("--web.listen-address={prometheus}"),
    ];
    let _prometheus = spawn("prometheus", &arguments, folder.path());
    let query = r#"tidewatch_record_events_total{outcome="counted",job="tidewatch"}"#;
    let url =
        reqwest::Url::parse_with_params(&format!("http://{prometheus}/api/v1/query"), [("query", query)])
            .expect("a valid URL");
    let answer = wait_for(url.as_str(), |text| text.contains("\"value\":[")).await;
    assert!(answer.contains(r#","2"]"#), "{answer}");
}
