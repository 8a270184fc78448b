//! The incidents of a report, each with a chart of the series that explains it, and the labels that were missed.

use super::{
    AROUND, BUCKETS, CHARTS, Parts, ReportError,
    chart::{Mark, escape, local, put, series as draw, tone},
    incident_mark,
    series::{read_slice, thin_out},
};
use crate::{
    anomaly::{Incident, number},
    pipeline::History,
    window::SliceKey,
};

impl Parts<'_> {
    pub(super) async fn incidents(self) -> Result<String, ReportError> {
        let mut heard: Vec<&Incident> = self.heard().collect();
        heard.sort_by(|a, b| {
            b.severity.peak.total_cmp(&a.severity.peak).then(a.opened_millis.cmp(&b.opened_millis))
        });
        let mut html = "<section><h2>Incidents, most severe first</h2>".to_owned();
        if heard.is_empty() {
            html += "<p class=\"soft\">None.</p>";
        }
        for (index, incident) in heard.iter().enumerate() {
            let found_label = self.review.and_then(|review| {
                let number = self.found.incidents.iter().position(|one| one.id == incident.id);
                review.labels.iter().find(|(_, first)| first.is_some() && *first == number)
            });
            put(
                &mut html,
                format_args!(
                    "<details class=\"one\"{}><summary><b class=\"badge {}\">{:.0}</b> {}{}</summary>",
                    if index < 3 { " open" } else { "" },
                    tone(incident.severity.peak),
                    incident.severity.peak,
                    escape(&incident.summary),
                    found_label
                        .map(|(label, _)| format!(" <em>found: {}</em>", escape(&label.name)))
                        .unwrap_or_default()
                ),
            );
            if index < CHARTS {
                html += &self.incident_chart(incident).await?;
            }
            html += &self.facts(incident);
            html += "</details>";
        }
        Ok(html + &self.missed() + "</section>")
    }

    async fn incident_chart(self, incident: &Incident) -> Result<String, ReportError> {
        let found = self.found;
        let Some(member) = incident.shown() else { return Ok(String::new()) };
        let slices = found.store.slices(&found.facts.monitor).await?;
        let wanted = |key: &SliceKey| key.to_map(&found.facts.dimensions) == member.slice;
        let place = slices.iter().position(wanted);
        let measure = found.facts.measures.iter().position(|measure| measure.name == member.measure);
        let Some((slice, measure)) = place.zip(measure) else { return Ok(String::new()) };
        let (from, to) = (
            incident.opened_millis - AROUND * found.interval_millis,
            incident.until_millis + AROUND / 4 * found.interval_millis,
        );
        let series = read_slice(&found.store, &found.facts.monitor, slice, from, to).await?;
        let Some(points) = series.get(measure) else { return Ok(String::new()) };
        let marks: Vec<Mark> =
            std::iter::once(incident_mark(incident, found)).chain(self.label_marks()).collect();
        Ok(draw(&thin_out(points, BUCKETS), &marks, &found.facts.zone, 200.0, &incident.summary))
    }

    fn facts(self, incident: &Incident) -> String {
        let zone = &self.found.facts.zone;
        let mut html = format!(
            "<p class=\"soft\">{} to {}; severity first {:.0}, peak {:.0}, final {:.0}; {} series. {}</p>",
            local(incident.opened_millis, zone, "%a %d %b %H:%M"),
            local(incident.until_millis, zone, "%a %d %b %H:%M"),
            incident.severity.first,
            incident.severity.peak,
            incident.severity.last,
            incident.num_members,
            incident
                .impact
                .as_ref()
                .map(|impact| format!(
                    "Impact {} {} ({} to {}).",
                    number(impact.value),
                    escape(&impact.unit),
                    number(impact.lower),
                    number(impact.upper)
                ))
                .unwrap_or_default()
        );
        if incident.slices.iter().any(|slice| !slice.is_empty()) {
            put(
                &mut html,
                format_args!(
                    "<p class=\"soft\">{:.0} % of what is off lies in the slices that are named.</p>",
                    100.0 * incident.share
                ),
            );
        }
        html += "<table><tr><th>Series</th><th>Severity</th><th>Expected</th><th>Actual</th></tr>";
        for member in incident.members.iter().take(8) {
            let values: Vec<&str> = member.slice.values().map(String::as_str).collect();
            put(
                &mut html,
                format_args!(
                    "<tr><td>{} {}</td><td>{:.0}</td><td>{}</td><td>{}</td></tr>",
                    escape(&member.measure),
                    escape(&values.join(", ")),
                    member.anomaly.severity.peak,
                    number(member.anomaly.expected / f64::from(member.anomaly.num_windows.max(1))),
                    number(member.anomaly.actual / f64::from(member.anomaly.num_windows.max(1)))
                ),
            );
        }
        html + "</table>"
    }

    /// Labels that nothing found.
    fn missed(self) -> String {
        let zone = &self.found.facts.zone;
        let missed: Vec<String> = self
            .review
            .into_iter()
            .flat_map(|review| &review.labels)
            .filter(|(_, alert)| alert.is_none())
            .map(|(label, _)| {
                format!(
                    "<li>{} {}</li>",
                    local(label.start_millis, zone, "%a %d %b %H:%M"),
                    escape(&label.name)
                )
            })
            .collect();
        if missed.is_empty() {
            return String::new();
        }
        format!("<h2>Labels that were not found</h2><ul>{}</ul>", missed.concat())
    }
}
