//! The report of a backtest: one HTML file that needs nothing else, for people to look at and pass on.

mod chart;
mod incidents;
mod series;

use std::fmt::Write;

use chart::{Mark, curve, escape, local, put, series as draw, tone};
use series::thin_out;
pub(super) use series::{Point, read_slice};

use super::{Backtest, Label, Review, Tuning};
use crate::{
    anomaly::{Incident, IncidentKind, number},
    pipeline::{History, StoreError},
};

/// Incidents with a chart of their own: the most severe.
const CHARTS: usize = 60;
/// Windows of a chart before an incident and after it.
const AROUND: i64 = 96;
/// Points of an overview chart.
const BUCKETS: usize = 1_000;
/// Days of the calendar shown hour by hour.
const CALENDAR_DAYS: i64 = 120;
const HOUR_MILLIS: i64 = 3_600_000;

/// A report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The stored windows cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a report is made of.
#[derive(Clone, Copy, Debug)]
struct Parts<'b> {
    found: &'b Backtest,
    tuning: &'b Tuning,
    labels: &'b [Label],
    review: Option<&'b Review>,
    severity: f64,
}

/// The HTML of a backtest whose incidents count from `severity` on.
pub async fn write_report(
    found: &Backtest,
    tuning: &Tuning,
    labels: &[Label],
    review: Option<&Review>,
    severity: f64,
) -> Result<String, ReportError> {
    let parts = Parts { found, tuning, labels, review, severity };
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>Backtest of {}</title><style>{}</style><main>",
        escape(&found.facts.monitor),
        include_str!("report.css")
    );
    html += &parts.head();
    html += &parts.overview().await?;
    html += &parts.threshold();
    html += &parts.calendar();
    html += &parts.incidents().await?;
    put(&mut html, format_args!("</main><script>{}</script></html>\n", include_str!("report.js")));
    Ok(html)
}

impl<'b> Parts<'b> {
    fn heard(self) -> impl Iterator<Item = &'b Incident> {
        let deviations = |incident: &&Incident| incident.kind == IncidentKind::Deviation;
        self.found
            .incidents
            .iter()
            .filter(deviations)
            .filter(move |incident| incident.severity.peak >= self.severity)
    }

    fn day(self, millis: i64) -> String {
        local(millis, &self.found.facts.zone, "%d %b %Y")
    }

    fn head(self) -> String {
        let (summary, (from, to)) = (&self.found.summary, self.found.span_millis);
        let weeks = (to - from) as f64 / 604_800_000.0;
        let heard = self.heard().count();
        let mut html = format!(
            "<header><h1>{}: {heard} {} in {:.1} weeks</h1><p class=\"soft\">Backtest from {} to {}, times in {}; \
             severity {} and more.</p><dl class=\"tiles\">",
            escape(&self.found.facts.monitor),
            if heard == 1 { "incident" } else { "incidents" },
            weeks,
            self.day(from),
            self.day(to),
            escape(self.found.facts.zone.iana_name().unwrap_or("local time")),
            self.severity
        );
        let mut tile = |name: &str, value: String| {
            put(&mut html, format_args!("<div><dt>{name}</dt><dd>{value}</dd></div>"));
        };
        tile("Incidents a week", format!("{:.2}", heard as f64 / weeks.max(f64::MIN_POSITIVE)));
        if let Some(figures) = self.review.map(Review::figures) {
            tile("Labels found", format!("{} of {}", figures.found, figures.labels));
            tile("Precision", share(figures.precision));
            tile("F1", format!("{:.2}", figures.f1));
            tile("Known after", minutes(figures.delay_minutes));
            tile("False a week", format!("{:.2}", figures.false_per_week));
        }
        tile("Events", number(summary.records_in as f64));
        tile("Not counted", number((summary.records_in - summary.counted) as f64));
        tile("Series", number(summary.series as f64));
        tile("Windows", number(summary.windows as f64));
        html + "</dl></header>"
    }

    /// Every measure of the whole shop, with incidents and labels.
    async fn overview(self) -> Result<String, ReportError> {
        let found = self.found;
        let slices = found.store.slices(&found.facts.monitor).await?;
        let Some(whole) = slices.iter().position(crate::window::SliceKey::is_whole) else {
            return Ok(String::new());
        };
        let (from, to) = found.span_millis;
        let measures = read_slice(&found.store, &found.facts.monitor, whole, from, to).await?;
        let mut html = "<section><h2>Everything, over the whole time</h2><p class=\"key\">\
            <span class=\"actual\">actual</span> <span class=\"expected\">expected</span> \
            <span class=\"band\">band</span> <span class=\"incident\">incident</span> \
            <span class=\"label\">label</span></p>"
            .to_owned();
        for (measure, points) in found.facts.measures.iter().zip(&measures) {
            let about = |incident: &&Incident| incident.measure == measure.name;
            let marks: Vec<Mark> = self
                .heard()
                .filter(about)
                .map(|incident| incident_mark(incident, found))
                .chain(self.label_marks())
                .collect();
            let svg = draw(
                &thin_out(points, BUCKETS),
                &marks,
                &found.facts.zone,
                150.0,
                &format!("{} over the whole time", measure.name),
            );
            put(
                &mut html,
                format_args!("<h3>{}</h3>{svg}", escape(&with_unit(&measure.name, measure.unit.as_deref()))),
            );
        }
        Ok(html + "</section>")
    }

    fn label_marks(self) -> impl Iterator<Item = Mark> + 'b {
        let mark = |label: &Label| Mark {
            start_millis: label.start_millis,
            end_millis: label.end_millis,
            class: "label",
        };
        self.labels.iter().map(mark)
    }

    /// What other thresholds would have said.
    fn threshold(self) -> String {
        let immediate = || self.tuning.settings.iter().filter(|setting| setting.min_windows == 1);
        let per_week: Vec<(f64, f64)> = immediate().map(|one| (one.severity, one.per_week)).collect();
        let most = per_week.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let mut html = format!(
            "<section><h2>What another threshold would say</h2><h3>Incidents a week by severity</h3>{}",
            curve(
                &[("actual", per_week)],
                most,
                "",
                self.severity,
                "Incidents a week for every severity from 60 to 99"
            )
        );
        if self.review.is_some() {
            let of = |value: fn(&super::Setting) -> Option<f64>| -> Vec<(f64, f64)> {
                immediate().filter_map(|one| Some((one.severity, 100.0 * value(one)?))).collect()
            };
            let recall = of(|one| one.found.map(|(found, labels)| found as f64 / labels.max(1) as f64));
            let f1 = of(|one| one.f1);
            put(
                &mut html,
                format_args!(
                    "<h3>Labels found (solid) and F1 (dashed) by severity</h3>{}",
                    curve(
                        &[("actual", recall), ("expected", f1)],
                        100.0,
                        " %",
                        self.severity,
                        "Share of labels found and F1 for every severity"
                    )
                ),
            );
        }
        html + "</section>"
    }

    /// Days by hours, coloured by the highest severity of an incident in them.
    fn calendar(self) -> String {
        let zone = &self.found.facts.zone;
        let (from, to) = self.found.span_millis;
        let from = from.max(to - CALENDAR_DAYS * 24 * HOUR_MILLIS);
        let mut rows: Vec<(String, Vec<(String, f64)>)> = Vec::new();
        let mut hour = from - from.rem_euclid(HOUR_MILLIS);
        while hour < to {
            let peak = self
                .heard()
                .filter(|incident| {
                    incident.opened_millis < hour + HOUR_MILLIS && incident.until_millis > hour
                })
                .map(|incident| incident.severity.peak)
                .fold(0.0, f64::max);
            let day = local(hour, zone, "%a %d %b");
            if rows.last().is_none_or(|(last, _)| *last != day) {
                rows.push((day, Vec::new()));
            }
            let cell = (local(hour, zone, "%H:00"), peak);
            rows.last_mut().into_iter().for_each(|(_, cells)| cells.push(cell.clone()));
            hour += HOUR_MILLIS;
        }
        let mut html =
            "<section><h2>When</h2><div class=\"calendar\" role=\"img\" aria-label=\"Hours with an \
            incident, by day\">"
                .to_owned();
        let hour = |hour: u32| if hour.is_multiple_of(6) { hour.to_string() } else { String::new() };
        let hours: Vec<String> = (0..24).map(|number| format!("<b>{}</b>", hour(number))).collect();
        put(&mut html, format_args!("<div><span></span>{}</div>", hours.concat()));
        for (day, cells) in rows {
            put(&mut html, format_args!("<div><span>{day}</span>"));
            // The first day begins in its hour.
            let first = cells.first().and_then(|(hour, _)| hour[..2].parse::<usize>().ok()).unwrap_or(0);
            html += &"<i></i>".repeat(first);
            for (hour, peak) in cells {
                let class = if peak > 0.0 { tone(peak) } else { "none" };
                put(&mut html, format_args!("<i class=\"{class}\" title=\"{day} {hour}, {peak:.0}\"></i>"));
            }
            html += "</div>";
        }
        html + "</div><p class=\"key tones\"><span class=\"notable\">severity 70</span> <span class=\"serious\">80</span> \
                <span class=\"critical\">90 and more</span></p></section>"
    }
}

fn incident_mark(incident: &Incident, found: &Backtest) -> Mark {
    let end_millis = incident.until_millis.max(incident.opened_millis + found.interval_millis);
    Mark { start_millis: incident.opened_millis, end_millis, class: "incident" }
}

fn with_unit(name: &str, unit: Option<&str>) -> String {
    let mut text = name.to_owned();
    if let Some(unit) = unit {
        write!(text, " ({unit})").expect("writing to a String cannot fail");
    }
    text
}

fn share(share: f64) -> String {
    if share.is_nan() { "-".to_owned() } else { format!("{:.0} %", 100.0 * share) }
}

fn minutes(minutes: f64) -> String {
    if minutes.is_nan() { "-".to_owned() } else { format!("{minutes:.0} min") }
}
