//! The words and the HTML of a mail.
//!
//! Plain enough for mail programs: tables, styles on the elements, and one style sheet, which only adds dark colours
//! and narrow screens where it is understood.

use super::render::AlertWire;
use crate::anomaly::AlertKind;

/// The name of the chart inside a mail.
pub(super) const CHART_ID: &str = "chart@tidewatch";

const STYLE: &str = "\
@media (prefers-color-scheme:dark){\
.page{background:#0b1120!important}.card{background:#111827!important;border-left-color:#334155!important;\
border-right-color:#334155!important;border-bottom-color:#334155!important}\
.text{color:#e5e7eb!important}.soft{color:#9ca3af!important}.line{border-color:#334155!important}\
.button{background:#60a5fa!important;color:#0b1120!important}}\
@media (max-width:480px){.page{padding:0!important}.card{border-width:4px 0 0!important;border-radius:0!important}\
.name{width:84px!important}}";

/// The same through an incident, but for what mail programs put before it: threads need that.
pub(super) fn subject(wire: &AlertWire) -> String {
    let incident = &wire.incident;
    match wire.kind {
        AlertKind::Digest | AlertKind::Suppressed => format!("[Tidewatch] {}", wire.title()),
        kind => {
            let again = if kind == AlertKind::Opened { "" } else { "Re: " };
            let what = match (&incident.measure, incident.direction) {
                (Some(measure), Some(direction)) => format!("{measure} {direction}"),
                _ => incident.kind.replace('_', " "),
            };
            format!("{again}[Tidewatch] {}: {what}", incident.id)
        }
    }
}

/// The whole page.
pub(super) fn html(wire: &AlertWire, has_chart: bool) -> String {
    let about_one = !matches!(wire.kind, AlertKind::Digest | AlertKind::Suppressed);
    let heading = if about_one { wire.incident.summary.clone() } else { wire.title() };
    let label = match wire.label().as_str() {
        "" => String::new(),
        label => format!(
            "<p style=\"margin:0 0 4px;font-size:13px;font-weight:bold;color:{}\">{}</p>",
            color(wire),
            escaped(label)
        ),
    };
    let facts: String =
        if wire.kind == AlertKind::Digest { String::new() } else { wire.facts().iter().map(fact).collect() };
    let parts = [
        label,
        format!(
            "<h1 class=\"text\" style=\"margin:0 0 16px;font-size:18px;line-height:1.35;font-weight:bold;color:#0f172a\">\
             {}</h1>",
            escaped(&heading)
        ),
        wire.notes().iter().map(|note| paragraph(note)).collect(),
        if has_chart { chart() } else { String::new() },
        format!(
            "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
             style=\"border-collapse:collapse\">{facts}</table>"
        ),
        wire.link.as_deref().map(button).unwrap_or_default(),
    ];
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head>\
         <body class=\"page\" style=\"margin:0;padding:24px 12px;background:#f1f5f9;\
         font:15px/1.5 -apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif\">\
         <table role=\"presentation\" align=\"center\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" class=\"card\" \
         style=\"max-width:608px;margin:0 auto;background:#ffffff;border:1px solid #e2e8f0;border-top:4px solid {color};\
         border-radius:6px;border-collapse:separate\"><tr><td style=\"padding:20px 24px 24px\">{}</td></tr></table>\
         </body></html>",
        parts.concat(),
        title = escaped(&wire.title()),
        color = color(wire),
    )
}

fn color(wire: &AlertWire) -> &'static str {
    match (wire.kind, wire.urgency()) {
        (AlertKind::Closed | AlertKind::Retracted | AlertKind::Recovered, _) => "#16a34a",
        (AlertKind::Acknowledged | AlertKind::Suppressed | AlertKind::Digest, _) => "#64748b",
        (_, "critical" | "error") => "#dc2626",
        _ => "#d97706",
    }
}

fn paragraph(text: &str) -> String {
    format!("<p class=\"text\" style=\"margin:0 0 8px;color:#0f172a\">{}</p>", escaped(text))
}

fn fact((name, value): &(&str, String)) -> String {
    let cell = "padding:6px 0;vertical-align:top;border-top:1px solid #e2e8f0";
    format!(
        "<tr><td class=\"name soft line\" width=\"110\" style=\"{cell};width:110px;color:#64748b\">{name}</td>\
         <td class=\"text line\" style=\"{cell};color:#0f172a;overflow-wrap:anywhere\">{}</td></tr>",
        escaped(value)
    )
}

fn chart() -> String {
    format!(
        "<img src=\"cid:{CHART_ID}\" width=\"560\" alt=\"Chart of actual and expected values with the expected band\" \
         style=\"display:block;width:100%;max-width:560px;height:auto;border-radius:4px\">\
         <p class=\"soft\" style=\"margin:4px 0 16px;font-size:12px;color:#64748b\">Black: actual. Blue: expected, with its \
         band. Red: outside the band. Grey: the beginning.</p>"
    )
}

fn button(link: &str) -> String {
    format!(
        "<p style=\"margin:20px 0 0\"><a class=\"button\" href=\"{}\" style=\"display:inline-block;padding:9px 16px;\
         border-radius:4px;background:#1d4ed8;color:#ffffff;text-decoration:none\">Open the incident</a></p>",
        escaped(link)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
