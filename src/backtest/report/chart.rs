//! Charts as SVG: a series with its band, incidents and labels; the severity curve; the calendar.

use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};

use super::series::Point;
use crate::anomaly::number;

const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 20.0;

/// A stretch of time to be marked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) start_millis: i64,
    pub(super) end_millis: i64,
    /// Class of its fill.
    pub(super) class: &'static str,
}

/// Text safe inside HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A time of day and date in the shop's zone.
pub(super) fn local(millis: i64, zone: &TimeZone, format: &str) -> String {
    let instant = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.to_zoned(zone.clone()).strftime(format).to_string()
}

/// Where a value of a range lies between two ends.
#[derive(Clone, Copy, Debug)]
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let share = (value - self.from) / (self.to - self.from).max(f64::MIN_POSITIVE);
        self.start + share * (self.end - self.start)
    }
}

/// A round number at or above `value`: a few times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let step =
        [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter().find(|step| step * power >= value);
    step.unwrap_or(10.0) * power
}

/// A series over time. `described` says for a screen reader what is seen.
pub(super) fn series(
    points: &[Point],
    marks: &[Mark],
    zone: &TimeZone,
    height: f64,
    described: &str,
) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let step = points.get(1).map_or(60_000, |second| second.start_millis - first.start_millis);
    // The band of a detector that still learns may be far wider than anything that came: it is cut off.
    let values = points.iter().flat_map(|point| [point.actual, point.band.map(|band| band[0])]).flatten();
    let (bottom, top) =
        values.fold((0.0, 0.0), |(low, high), value| (f64::min(low, value), f64::max(high, value)));
    let x = Scale {
        from: first.start_millis as f64,
        to: (last.start_millis + step) as f64,
        start: LEFT,
        end: WIDTH,
    };
    let lowest = if bottom < 0.0 { -round_up(-bottom) } else { 0.0 };
    let y = Scale { from: lowest, to: round_up(1.1 * top), start: height - BOTTOM, end: 6.0 };
    let mut svg = format!(
        "<div class=\"scroll\"><svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\" \
         data-points=\"{}\">",
        escape(described),
        escape(&readout(points, zone)),
    );
    axes(&mut svg, &x, &y, zone, height);
    band(&mut svg, points, &x, &y);
    for mark in marks {
        let (start, end) = (x.at(mark.start_millis as f64), x.at(mark.end_millis as f64));
        let (start, end) = (start.max(LEFT), end.min(WIDTH));
        if end > start {
            let width = (end - start).max(2.0);
            let tall = height - BOTTOM - 6.0;
            let (at, tall) = if mark.class == "label" { (height - BOTTOM + 1.0, 4.0) } else { (6.0, tall) };
            put(
                &mut svg,
                format_args!(
                    "<rect class=\"{}\" x=\"{start:.1}\" y=\"{at:.1}\" width=\"{width:.1}\" height=\"{tall:.1}\"/>",
                    mark.class
                ),
            );
        }
    }
    line(&mut svg, "expected", points, &x, &y, |point| point.band.map(|band| band[0]));
    line(&mut svg, "actual", points, &x, &y, |point| point.actual);
    svg + "<line class=\"hair\" y1=\"6\" y2=\"6\" x1=\"0\" x2=\"0\"/></svg></div><p class=\"readout\" aria-hidden=\"true\">&nbsp;</p>"
}

/// What the crosshair reads: one entry a point, `time|actual|expected|severity`.
fn readout(points: &[Point], zone: &TimeZone) -> String {
    let text = |value: Option<f64>| value.map(number).unwrap_or_default();
    let entry = |point: &Point| {
        let time = local(point.start_millis, zone, "%a %d %b %H:%M");
        let expected = text(point.band.map(|band| band[0]));
        format!("{time}|{}|{expected}|{:.0}", text(point.actual), point.severity)
    };
    points.iter().map(entry).collect::<Vec<_>>().join(";")
}

fn axes(svg: &mut String, x: &Scale, y: &Scale, zone: &TimeZone, height: f64) {
    for share in [0.0, 0.5, 1.0] {
        let value = y.from + share * (y.to - y.from);
        let at = y.at(value);
        put(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" class=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                number(value)
            ),
        );
    }
    let millis = x.to - x.from;
    let format = if millis > 3.0 * 86_400_000.0 { "%d %b" } else { "%a %H:%M" };
    for part in 0..6 {
        let value = x.from + millis * f64::from(part) / 6.0;
        put(
            svg,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x.at(value),
                height - 4.0,
                local(value as i64, zone, format)
            ),
        );
    }
}

/// Runs of points for which `value` has something.
fn runs<T>(points: &[Point], value: impl Fn(&Point) -> Option<T>) -> Vec<Vec<(i64, T)>> {
    let mut found: Vec<Vec<(i64, T)>> = Vec::new();
    let mut is_running = false;
    for point in points {
        if let Some(value) = value(point) {
            match found.last_mut().filter(|_| is_running) {
                Some(run) => run.push((point.start_millis, value)),
                None => found.push(vec![(point.start_millis, value)]),
            }
            is_running = true;
        } else {
            is_running = false;
        }
    }
    found
}

fn band(svg: &mut String, points: &[Point], x: &Scale, y: &Scale) {
    for run in runs(points, |point| point.band) {
        let edge =
            |index: usize| move |(millis, band): &(i64, [f64; 3])| (*millis, band[index].clamp(y.from, y.to));
        let upper = run.iter().map(edge(2));
        let lower = run.iter().rev().map(edge(1));
        let path: Vec<String> = upper
            .chain(lower)
            .map(|(millis, value)| format!("{:.1},{:.1}", x.at(millis as f64), y.at(value)))
            .collect();
        put(svg, format_args!("<polygon class=\"band\" points=\"{}\"/>", path.join(" ")));
    }
}

fn line(
    svg: &mut String,
    class: &str,
    points: &[Point],
    x: &Scale,
    y: &Scale,
    value: impl Fn(&Point) -> Option<f64>,
) {
    for run in runs(points, value) {
        let path: Vec<String> = run
            .iter()
            .map(|(millis, value)| format!("{:.1},{:.1}", x.at(*millis as f64), y.at(*value)))
            .collect();
        put(svg, format_args!("<polyline class=\"{class}\" points=\"{}\"/>", path.join(" ")));
    }
}

/// Steps of a figure over severities from 60 to 100, in the range 0 to `most`, with a line at the severity that was chosen.
pub(super) fn curve(
    lines: &[(&'static str, Vec<(f64, f64)>)],
    most: f64,
    unit: &str,
    chosen: f64,
    described: &str,
) -> String {
    let height = 180.0;
    let x = Scale { from: 60.0, to: 100.0, start: LEFT, end: WIDTH };
    let y = Scale { from: 0.0, to: round_up(most), start: height - BOTTOM, end: 6.0 };
    let mut svg = format!(
        "<div class=\"scroll\"><svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(described)
    );
    for share in [0.0, 0.5, 1.0] {
        let value = share * y.to;
        let at = y.at(value);
        put(
            &mut svg,
            format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" class=\"end\">{}{unit}</text>",
                LEFT - 6.0,
                at + 4.0,
                number(value)
            ),
        );
    }
    for severity in [60.0, 70.0, 80.0, 90.0] {
        put(
            &mut svg,
            format_args!("<text x=\"{:.1}\" y=\"{:.1}\">{severity}</text>", x.at(severity), height - 4.0),
        );
    }
    for (class, values) in lines {
        let path: Vec<String> = values
            .iter()
            .map(|(severity, value)| format!("{:.1},{:.1}", x.at(*severity), y.at(value.min(y.to))))
            .collect();
        put(&mut svg, format_args!("<polyline class=\"{class}\" points=\"{}\"/>", path.join(" ")));
    }
    let at = x.at(chosen);
    put(
        &mut svg,
        format_args!(
            "<line class=\"chosen\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"6\" y2=\"{:.1}\"/>",
            height - BOTTOM
        ),
    );
    svg + "</svg></div>"
}

/// The class of a severity's colour band, as in the console.
pub(super) fn tone(severity: f64) -> &'static str {
    match severity {
        _ if severity >= 90.0 => "critical",
        _ if severity >= 80.0 => "serious",
        _ if severity >= 70.0 => "notable",
        _ if severity >= 50.0 => "slight",
        _ => "quiet",
    }
}

pub(super) fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a String cannot fail");
}
