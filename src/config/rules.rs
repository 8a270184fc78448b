//! Alert rules: `[[monitors.NAME.alerts]]`.

use jiff::{Timestamp, civil::Time};
use tidewatch_detectors::Side;

use super::{
    Problem,
    monitor::either,
    units::duration_millis,
    written::{WrittenAlertRule, WrittenMonitor, WrittenSchedule},
};
use crate::anomaly::{AlertRule, Conditions, DURATION_WINDOWS_MAX, MinDuration, Pacing, Schedule, Threshold};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Checks the alert rules of a monitor.
pub(super) fn rules(
    name: &str,
    monitor: &WrittenMonitor,
    default: Threshold,
    notifiers: &[&str],
) -> Result<Vec<AlertRule>, Problem> {
    let rule = |(index, rule)| {
        let path = format!("monitors.{name}.alerts[{index}]");
        rule_at(&path, format!("{name}/{index}"), rule, monitor, default, notifiers)
    };
    let rules: Vec<AlertRule> = monitor.alerts.iter().enumerate().map(rule).collect::<Result<_, _>>()?;
    for (index, rule) in rules.iter().enumerate() {
        if rules[..index].iter().any(|earlier| earlier.name == rule.name) {
            let path = format!("monitors.{name}.alerts[{index}].name");
            return Err(Problem::new(path, format!("`{}` is taken by an earlier rule", rule.name)));
        }
    }
    Ok(rules)
}

fn rule_at(
    path: &str,
    default_name: String,
    rule: &WrittenAlertRule,
    monitor: &WrittenMonitor,
    default: Threshold,
    notifiers: &[&str],
) -> Result<AlertRule, Problem> {
    for to in &rule.to {
        known(&format!("{path}.to"), to, notifiers.iter().copied(), "configured notifier")?;
    }
    let threshold = either(path, rule.severity, rule.budget.as_deref())?.unwrap_or(default);
    let cool_down_millis = match &rule.cool_down {
        Some(text) => duration_millis(&format!("{path}.cool_down"), text)?,
        None => 0,
    };
    if rule.max_per_hour == Some(0) {
        return Err(Problem::new(format!("{path}.max_per_hour"), "0; expected at least 1"));
    }
    if rule.digest.is_some() && (rule.max_per_hour.is_some() || rule.cool_down.is_some()) {
        return Err(Problem::new(format!("{path}.digest"), "needs neither max_per_hour nor cool_down"));
    }
    Ok(AlertRule {
        name: rule.name.clone().unwrap_or(default_name),
        threshold,
        to: rule.to.clone(),
        conditions: conditions(path, rule, monitor)?,
        pacing: Pacing { cool_down_millis, per_hour: rule.max_per_hour, digest: rule.digest },
    })
}

fn conditions(path: &str, rule: &WrittenAlertRule, monitor: &WrittenMonitor) -> Result<Conditions, Problem> {
    for measure in &rule.measures {
        let names = monitor.measures.keys().map(String::as_str);
        known(&format!("{path}.measures"), measure, names, "measure of this monitor")?;
    }
    for dimension in rule.slices.keys() {
        let names = monitor.dimensions.keys().map(String::as_str);
        known(&format!("{path}.slices"), dimension, names, "dimension of this monitor")?;
    }
    let side = match rule.direction.as_deref() {
        None | Some("both") => None,
        Some("drop") => Some(Side::Drop),
        Some("rise") => Some(Side::Rise),
        Some(other) => {
            let why = format!("`{other}`; expected rise, drop or both");
            return Err(Problem::new(format!("{path}.direction"), why));
        }
    };
    let min_impact = rule.min_impact.unwrap_or(0.0);
    if !(min_impact >= 0.0 && min_impact.is_finite()) {
        return Err(Problem::new(format!("{path}.min_impact"), format!("{min_impact}; expected 0 or more")));
    }
    Ok(Conditions {
        measures: rule.measures.clone(),
        slices: rule.slices.clone(),
        side,
        min_impact,
        duration: rule.min_duration.as_deref().map(|text| min_duration(path, text)).transpose()?,
        schedule: rule.schedule.as_ref().map(|written| schedule(path, written)).transpose()?,
        mutes: rule.mute.iter().map(|pair| mute(path, pair)).collect::<Result<_, _>>()?,
        events: rule.events.clone(),
    })
}

fn known<'n>(
    path: &str,
    name: &str,
    mut names: impl Iterator<Item = &'n str> + Clone,
    what: &str,
) -> Result<(), Problem> {
    let all: Vec<&str> = names.clone().collect();
    if names.any(|known| known == name) {
        return Ok(());
    }
    Err(Problem::new(path, format!("`{name}` is no {what}; there are: {}", all.join(", "))))
}

fn min_duration(path: &str, text: &str) -> Result<MinDuration, Problem> {
    let parse = || {
        let (n, m) = text.split_once(" of ").unwrap_or((text, text));
        let (n, m) = (n.trim().parse().ok()?, m.trim().parse().ok()?);
        (1 <= n && n <= m && m <= DURATION_WINDOWS_MAX).then_some(MinDuration { n, m })
    };
    parse().ok_or_else(|| {
        let why =
            format!("`{text}`; expected windows such as `3` or `3 of 5`, at most {DURATION_WINDOWS_MAX}");
        Problem::new(format!("{path}.min_duration"), why)
    })
}

fn schedule(path: &str, written: &WrittenSchedule) -> Result<Schedule, Problem> {
    let path = format!("{path}.schedule");
    let mut days = [written.days.is_none(); 7];
    for day in written.days.iter().flatten() {
        let index = DAYS.iter().position(|known| known == day).ok_or_else(|| {
            Problem::new(format!("{path}.days"), format!("`{day}`; expected {}", DAYS.join(", ")))
        })?;
        days[index] = true;
    }
    let minute = |key: &str, text: Option<&str>, default: u32| {
        let Some(text) = text else { return Ok(default) };
        let time: Time = text.parse().map_err(|_| {
            Problem::new(format!("{path}.{key}"), format!("`{text}`; expected a time such as 08:30"))
        })?;
        Ok(u32::from(time.hour().unsigned_abs()) * 60 + u32::from(time.minute().unsigned_abs()))
    };
    let to_minute = match written.to.as_deref() {
        Some("24:00") => 24 * 60,
        text => minute("to", text, 24 * 60)?,
    };
    Ok(Schedule { days, from_minute: minute("from", written.from.as_deref(), 0)?, to_minute })
}

fn mute(path: &str, [from, to]: &[String; 2]) -> Result<(i64, i64), Problem> {
    let instant = |text: &String| {
        text.parse().map(Timestamp::as_millisecond).map_err(|_| {
            let why = format!("`{text}`; expected RFC 3339, e.g. 2026-03-01T00:00:00Z");
            Problem::new(format!("{path}.mute"), why)
        })
    };
    let (from_millis, to_millis) = (instant(from)?, instant(to)?);
    if from_millis < to_millis {
        return Ok((from_millis, to_millis));
    }
    Err(Problem::new(format!("{path}.mute"), format!("`{from}` is not before `{to}`")))
}
