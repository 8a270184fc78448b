//! The alert documents of Amazon Lookout for Metrics, so that subscribers written for it keep working.
//!
//! One document per impacted measure of an incident. Every key is there even when a list is empty, since
//! subscribers index them without looking. The ARNs are identifiers and need no account.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::render::AlertWire;
use crate::anomaly::MemberWire;

/// Whose names the ARNs carry.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) region: String,
    pub(super) account: String,
    /// The notifier.
    pub(super) alert: String,
}

/// The documents of an alert, the incident's own measure first; none for an incident without a measure.
pub(super) fn documents(alert: &AlertWire, names: &Names) -> Vec<Value> {
    let incident = &alert.incident;
    let mut measures: Vec<&str> = incident.measure.iter().map(String::as_str).collect();
    for member in &incident.members {
        if !measures.contains(&member.measure.as_str()) {
            measures.push(&member.measure);
        }
    }
    measures.into_iter().map(|measure| document(alert, names, measure)).collect()
}

fn document(alert: &AlertWire, names: &Names, measure: &str) -> Value {
    let incident = &alert.incident;
    let prefix = format!("arn:aws:lookoutmetrics:{}:{}", names.region, names.account);
    let alert_arn = format!("{prefix}:Alert:{}", names.alert);
    let members: Vec<&MemberWire> =
        incident.members.iter().filter(|member| member.measure == measure).collect();
    let series: Vec<Value> = members
        .iter()
        .map(|member| {
            let dimensions: Vec<Value> = member
                .slice
                .iter()
                .map(|(name, value)| json!({"dimensionName": name, "dimensionValue": value}))
                .collect();
            json!({
                "timeSeriesId": series_id(&incident.monitor, member),
                "dimensions": dimensions,
                "metricValue": member.actual,
            })
        })
        .collect();
    json!({
        "anomalyDetectorArn": format!("{prefix}:AnomalyDetector:{}", incident.monitor),
        "anomalyScore": incident.severity.peak,
        "consoleUrl": alert.link.clone().unwrap_or_default(),
        "anomalyGroupId": incident.id,
        "alertName": names.alert,
        "alertArn": alert_arn,
        "alertEventId": format!("{alert_arn}:event/{}", incident.id),
        "alertDescription": incident.summary,
        "impactedMetric": {
            "metricName": measure,
            "dimensionContribution": contributions(&members),
            "relevantTimeSeries": series,
        },
        "timestamp": minute(&incident.opened_at),
    })
}

/// `2022-01-15T04:25Z[UTC]`: no seconds, and the zone in brackets.
fn minute(rfc3339: &str) -> String {
    format!("{}Z[UTC]", rfc3339.get(..16).unwrap_or(rfc3339))
}

fn series_id(monitor: &str, member: &MemberWire) -> String {
    let mut id = format!("{monitor}/{}", member.measure);
    for (name, value) in &member.slice {
        id.extend(["/", name, "=", value]);
    }
    id
}

/// Per dimension, how the deviation divides over its values, in whole percent that add up to 100.
fn contributions(members: &[&MemberWire]) -> Vec<Value> {
    let mut shares: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for member in members {
        for (name, value) in &member.slice {
            let deviation = (member.actual - member.expected).abs();
            *shares.entry(name).or_default().entry(value).or_default() += deviation;
        }
    }
    let list = |(name, values): (&str, BTreeMap<&str, f64>)| {
        let weights: Vec<f64> = values.values().copied().collect();
        let mut parts: Vec<(&str, u32)> = values.keys().copied().zip(percents(&weights)).collect();
        parts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let parts: Vec<Value> = parts
            .into_iter()
            .map(|(value, percent)| json!({"dimensionValue": value, "valueContribution": percent}))
            .collect();
        json!({"dimensionName": name, "dimensionValueContributions": parts})
    };
    shares.into_iter().map(list).collect()
}

/// Whole percents by largest remainder.
fn percents(weights: &[f64]) -> Vec<u32> {
    let total: f64 = weights.iter().sum();
    let exact = |weight: &f64| {
        if total > 0.0 { weight / total * 100.0 } else { 100.0 / weights.len() as f64 }
    };
    let exact: Vec<f64> = weights.iter().map(exact).collect();
    let mut whole: Vec<u32> = exact.iter().map(|share| share.floor() as u32).collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    let missing = 100_u32.saturating_sub(whole.iter().sum()) as usize;
    for index in order.into_iter().take(missing) {
        whole[index] += 1;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifiers::render::tests::alert;

    #[test]
    fn one_document_per_measure_with_the_keys_that_subscribers_know() {
        let names = Names {
            region: "eu-west-1".to_owned(),
            account: "123456789012".to_owned(),
            alert: "ops".to_owned(),
        };
        let documents = documents(&AlertWire::new(&alert("opened"), None), &names);
        assert_eq!(documents.len(), 2);
        let first = &documents[0];
        assert_eq!(
            first["alertEventId"],
            "arn:aws:lookoutmetrics:eu-west-1:123456789012:Alert:ops:event/shop-3"
        );
        assert_eq!(first["anomalyScore"], 93.5);
        assert_eq!(first["timestamp"], "2026-03-01T08:25Z[UTC]");
        let metric = &first["impactedMetric"];
        assert_eq!(metric["metricName"], "revenue");
        assert_eq!(metric["relevantTimeSeries"][0]["dimensions"][0]["dimensionName"], "country");
        assert_eq!(
            metric["dimensionContribution"][0]["dimensionValueContributions"],
            json!([{"dimensionValue": "DE", "valueContribution": 70}, {"dimensionValue": "FR", "valueContribution": 30}])
        );
        assert_eq!(documents[1]["impactedMetric"]["metricName"], "orders");
    }

    #[test]
    fn percents_add_up_to_a_hundred() {
        assert_eq!(percents(&[1.0, 1.0, 1.0]), [34, 33, 33]);
        assert_eq!(percents(&[0.0, 0.0]), [50, 50]);
        assert_eq!(percents(&[]), [0_u32; 0]);
    }
}
