//! Alert rules as configured.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use tidewatch_detectors::{Side, severity_of_log10_rate};
use utoipa::ToSchema;

use super::{
    error::ApiError,
    params::Params,
    state::{App, MonitorInfo},
    wire::{ErrorWire, rfc3339},
};
use crate::anomaly::{AlertRule, DigestEvery, RuleEvent, Schedule, Threshold};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The alert rules of all monitors.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Rules")]
pub(super) struct RulesWire {
    /// In the order of the configuration.
    rules: Vec<RuleWire>,
}

/// One rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Rule")]
pub(super) struct RuleWire {
    /// The monitor.
    monitor: String,
    /// Its name; `MONITOR/NUMBER` if it has none.
    name: String,
    /// The least severity it tells; `null` where it has a budget.
    severity: Option<f64>,
    /// False alarms a week that it may cost; `null` where it has a severity.
    budget_per_week: Option<f64>,
    /// The severity that this means with the series judged now.
    severity_now: f64,
    /// The notifiers it speaks to.
    to: Vec<String>,
    /// Only of these measures; empty is any.
    measures: Vec<String>,
    /// Only with one of these values in each dimension.
    slices: BTreeMap<String, Vec<String>>,
    /// Only `drop` or only `rise`.
    direction: Option<&'static str>,
    /// Only if it amounts to at least this; 0 is anything.
    min_impact: f64,
    /// Only if so many of so many windows were anomalous.
    duration: Option<DurationWire>,
    /// Only at these times of the week; `null` is always.
    schedule: Option<ScheduleWire>,
    /// Not within these spans.
    mutes: Vec<SpanWire>,
    /// What is told; `null` is everything but recoveries and revisions.
    events: Option<Vec<&'static str>>,
    /// After an alert no other incident is told for so long.
    cool_down_seconds: i64,
    /// At most so many in an hour.
    max_per_hour: Option<u32>,
    /// All of an `hour` or a `day` in one message.
    digest: Option<&'static str>,
}

/// So many of so many windows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "RuleDuration")]
pub(super) struct DurationWire {
    /// Anomalous windows.
    windows: u32,
    /// Out of the last so many.
    of: u32,
}

/// Times of the week in the monitor's zone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "RuleSchedule")]
pub(super) struct ScheduleWire {
    /// `mon` to `sun`.
    days: Vec<&'static str>,
    /// First minute of the day.
    #[schema(example = "08:00")]
    from: String,
    /// Minute of the day at which it ends; not after `from`: on the following day.
    #[schema(example = "18:00")]
    to: String,
    /// The zone.
    zone: String,
}

/// From a time until another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Span")]
pub(super) struct SpanWire {
    /// First moment.
    #[schema(format = DateTime)]
    from: String,
    /// First moment after.
    #[schema(format = DateTime)]
    to: String,
}

impl RuleWire {
    fn of(rule: &AlertRule, monitor: &MonitorInfo, num_judged: usize) -> Self {
        let (conditions, pacing) = (&rule.conditions, rule.pacing);
        let (severity, budget_per_week) = match rule.threshold {
            Threshold::Severity(severity) => (Some(severity), None),
            Threshold::Budget { per_week } => (None, Some(per_week)),
        };
        let span = |(from, to): &(i64, i64)| SpanWire { from: rfc3339(*from), to: rfc3339(*to) };
        let duration =
            |duration: crate::anomaly::MinDuration| DurationWire { windows: duration.n, of: duration.m };
        Self {
            monitor: monitor.name.clone(),
            name: rule.name.clone(),
            severity,
            budget_per_week,
            severity_now: severity_of_log10_rate(rule.threshold.log10_rate(num_judged)),
            to: rule.to.clone(),
            measures: conditions.measures.clone(),
            slices: conditions.slices.clone(),
            direction: conditions.side.map(|side| if side == Side::Drop { "drop" } else { "rise" }),
            min_impact: conditions.min_impact,
            duration: conditions.duration.map(duration),
            schedule: conditions.schedule.map(|schedule| ScheduleWire::of(schedule, &monitor.zone)),
            mutes: conditions.mutes.iter().map(span).collect(),
            events: conditions
                .events
                .as_ref()
                .map(|events| events.iter().map(|event| word(*event)).collect()),
            cool_down_seconds: pacing.cool_down_millis / 1_000,
            max_per_hour: pacing.per_hour,
            digest: pacing.digest.map(|every| match every {
                DigestEvery::Hour => "hour",
                DigestEvery::Day => "day",
            }),
        }
    }
}

impl ScheduleWire {
    fn of(schedule: Schedule, zone: &str) -> Self {
        let time = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let days = DAYS.iter().zip(schedule.days).filter(|(_, told)| *told).map(|(day, _)| *day);
        Self {
            days: days.collect(),
            from: time(schedule.from_minute),
            to: time(schedule.to_minute),
            zone: zone.to_owned(),
        }
    }
}

fn word(event: RuleEvent) -> &'static str {
    match event {
        RuleEvent::Opened => "opened",
        RuleEvent::Escalated => "escalated",
        RuleEvent::Recovered => "recovered",
        RuleEvent::Revised => "revised",
        RuleEvent::Retracted => "retracted",
        RuleEvent::Closed => "closed",
        RuleEvent::NoData => "no_data",
        RuleEvent::Acknowledged => "acknowledged",
        RuleEvent::EngineTrouble => "engine_trouble",
    }
}

/// The alert rules of all monitors, as configured.
#[utoipa::path(
    get,
    path = "/api/v1/rules",
    tag = "alerts",
    params(("monitor" = Option<String>, Query, description = "Only of this monitor")),
    responses(
        (status = 200, body = RulesWire, description = "Rules"),
        (status = 404, body = ErrorWire, description = "No such monitor"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<RulesWire>, ApiError> {
    let wanted = params.text("monitor")?;
    params.finish(&["monitor"])?;
    if let Some(name) = &wanted {
        app.monitor(name)?;
    }
    let monitors = app.parts.monitors.iter();
    let monitors = monitors.filter(|monitor| wanted.as_ref().is_none_or(|name| *name == monitor.name));
    let rules = monitors.flat_map(|monitor| {
        let num_judged = app.parts.board.monitor(&monitor.name).map_or(0, |status| status.num_judged);
        monitor.facts.rules.iter().map(move |rule| RuleWire::of(rule, monitor, num_judged))
    });
    Ok(Json(RulesWire { rules: rules.collect() }))
}
