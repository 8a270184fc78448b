//! `tidewatch demo`: a simulated shop, weeks of history learned in seconds, then live at an accelerated clock.

use std::{sync::Arc, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tidewatch_datasets::shop::{Fault, FaultKind, FaultPlan, ShopConfig};

use super::{open, output, run};
use crate::{
    anomaly::{Incident, IncidentKind, IncidentState},
    assemble::{Service, Surroundings, Written},
    config::{Config, SourceKind},
    pipeline::{
        AcceleratedClock, Clock, DeliveryPolicy, IncidentWatcher, RunPolicy, StatusBoard, SystemClock,
    },
    store::{Durability, SqliteStore},
};

const DEMO_CONFIG: &str = include_str!("demo.toml");
const MINUTE_MILLIS: i64 = 60_000;
const HOUR_MILLIS: i64 = 60 * MINUTE_MILLIS;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;
/// Weekly rhythm needs more than two weeks to be trusted.
const HISTORY_DAYS: i64 = 21;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8321")]
    listen: String,
    /// How many times as fast as real time the shop lives
    #[arg(long, default_value_t = 60.0)]
    speed: f64,
    /// Same seed, same shop
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after this long, e.g. 90s
    #[arg(long, value_parser = crate::config::parse_duration)]
    stop_after: Option<Duration>,
}

pub(super) async fn demo(arguments: DemoArguments) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("tidewatch-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let live_millis = live_from(SystemClock.now_millis());
    let clock = Arc::new(AcceleratedClock::new(live_millis, arguments.speed.max(1.0)));
    let file = folder.join("tidewatch.toml");
    std::fs::write(&file, DEMO_CONFIG.replace("127.0.0.1:8321", &arguments.listen))?;
    let (files, mut config) = open::files(&file)?;
    let seed = arguments.seed;
    let prepare = move |config: &mut Config| {
        for source in &mut config.sources {
            if let SourceKind::Simulated(simulated) = &mut source.kind {
                *simulated = shop(seed, live_millis);
            }
        }
    };
    prepare(&mut config);
    let surroundings = Surroundings {
        clock: clock.clone(),
        store: Arc::new(SqliteStore::open(&folder.join("demo.db"), Durability::Normal)?),
        policy: RunPolicy { tick_every: Duration::from_millis(200), ..RunPolicy::default() },
        delivery: DeliveryPolicy::default(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    output::line("A simulated shop in six countries. Everything it does lives in a temporary folder:");
    output::line(format!("  {}", folder.display()));
    let watcher =
        move || Some(Box::new(move |incident: &Incident| show(incident, live_millis)) as IncidentWatcher);
    let written = Written { files, prepare: Box::new(prepare) };
    let service = Service::start(config, Some(written), surroundings, watcher).await?;
    tokio::spawn(run::reload_on_signal(service.reloader()));
    output::line(format!("Open  http://{}/  in a browser.", service.address));
    output::line(format!("Learning {HISTORY_DAYS} days of history ..."));
    let (board, stop) = (service.board.clone(), service.stopping());
    tokio::spawn(show_learning(board, live_millis, clock));
    tokio::spawn(async move {
        match arguments.stop_after {
            Some(after) => tokio::select! {
                () = run::wait_for_signal() => {}
                () = tokio::time::sleep(after) => {}
            },
            None => run::wait_for_signal().await,
        }
        stop.cancel();
    });
    let outcome = service.run().await;
    std::fs::remove_dir_all(&folder)?;
    outcome?;
    Ok(())
}

/// The shop lives from early afternoon in Europe on, when all its countries but one are awake.
fn live_from(now_millis: i64) -> i64 {
    let midday = now_millis.div_euclid(DAY_MILLIS) * DAY_MILLIS + 12 * HOUR_MILLIS;
    if midday > now_millis { midday - DAY_MILLIS } else { midday }
}

fn shop(seed: u64, live_millis: i64) -> ShopConfig {
    let start_millis = (live_millis - HISTORY_DAYS * DAY_MILLIS).div_euclid(DAY_MILLIS) * DAY_MILLIS;
    ShopConfig {
        seed,
        start_millis,
        days: HISTORY_DAYS as u32 + 60,
        rate: 500.0,
        faults: FaultPlan::Given(faults(live_millis)),
    }
}

/// A day of trouble that comes again every day: payments fail in a country, bots on a device, an outage,
/// a broken cart, and a sale.
fn faults(live_millis: i64) -> Vec<Fault> {
    let fault =
        |day: i64, from: i64, minutes: i64, measure, slice: &[(&'static str, &'static str)], kind, size| {
            let start_millis = live_millis + day * DAY_MILLIS + from * MINUTE_MILLIS;
            let end_millis = start_millis + minutes * MINUTE_MILLIS;
            Fault { start_millis, end_millis, measure, slice: slice.to_vec(), kind, size }
        };
    let day = |day: i64| {
        [
            fault(day, 25, 60, "views", &[("country", "DE")], FaultKind::Drop, -0.6),
            fault(day, 130, 45, "views", &[("device", "mobile")], FaultKind::Rise, 1.5),
            fault(day, 250, 20, "*", &[], FaultKind::Outage, -1.0),
            fault(day, 360, 90, "orders", &[], FaultKind::PaymentStep, -0.8),
            fault(day, 700, 60, "views", &[("country", "US"), ("device", "desktop")], FaultKind::Drop, -0.7),
        ]
    };
    (0..60).flat_map(day).collect()
}

/// Prints incidents of the live part: of the history only what is still open matters.
fn show(incident: &Incident, live_millis: i64) {
    if incident.kind == IncidentKind::Minor
        || incident.severity.peak < 70.0
        || incident.until_millis < live_millis
    {
        return;
    }
    let severity = incident.severity.peak;
    match incident.state {
        IncidentState::Closed => output::line(format!("  closed  {:8} {}", incident.id, incident.summary)),
        IncidentState::Retracted => {
            output::line(format!("  revoked {:8} {}", incident.id, incident.summary));
        }
        IncidentState::Open if incident.is_new() => {
            let share = incident.share * 100.0;
            output::line(format!(
                "{severity:5.0}     {:8} {} [explains {share:.0} %, {} series]",
                incident.id, incident.summary, incident.num_members
            ));
        }
        IncidentState::Open => {}
    }
}

async fn show_learning(board: StatusBoard, live_millis: i64, clock: Arc<AcceleratedClock>) {
    let style = ProgressStyle::with_template("{bar:40} {percent} %  {msg}").expect("the template is valid");
    let bar = ProgressBar::new(HISTORY_DAYS as u64 * 24).with_style(style);
    let start = live_millis - HISTORY_DAYS * DAY_MILLIS;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let Some(monitor) = board.monitors().into_iter().next() else { continue };
        let reached = monitor.newest_event_millis.unwrap_or(start);
        bar.set_position(((reached - start) / HOUR_MILLIS).max(0) as u64);
        bar.set_message(format!("{} events", monitor.totals.events));
        if clock.now_millis() - reached < 30 * MINUTE_MILLIS && monitor.totals.events > 0 {
            bar.finish_and_clear();
            output::line(format!(
                "Learned {} events in {} series. Live now: a minute of the shop every second. Ctrl-C ends it.",
                monitor.totals.events, monitor.num_series
            ));
            return;
        }
    }
}
