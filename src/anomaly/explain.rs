//! Which slice explains an incident: the narrowest anomalous one that holds nearly as much of the deviation as
//! the widest. For measures that do not add up, the one that is most unusual.
//!
//! First form: it looks at the slices of the incident's own anomalies, for the measure that is most unusual.
//! It does not yet search sets of slices, nor explain ratios by their parts.

use tidewatch_detectors::Side;

use super::{Anomaly, WindowView};

/// A narrower slice explains as well as a wider one when it keeps at least this much of its share; the rest is
/// noise of the other slices.
const KEPT_SHARE: f64 = 0.85;

/// The slice to look at first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Explanation {
    /// The explaining series: slice and measure.
    pub series: usize,
    /// The part of the deviation it holds, 0..=1; 1 when there is no larger slice to compare with.
    pub share: f64,
}

/// Explains the anomalies of an incident; `None` without anomalies.
pub(super) fn explain<'a>(
    view: &WindowView<'_>,
    anomalies: impl Iterator<Item = &'a Anomaly> + Clone,
) -> Option<Explanation> {
    let primary = anomalies
        .clone()
        .min_by(|a, b| a.page_log10_rate.total_cmp(&b.page_log10_rate).then(a.series.cmp(&b.series)))?;
    let measure = view.measure(primary.series);
    let whole = whole_deviation(view, measure, primary.side);
    let (true, Some(whole)) = (view.facts.measures[measure].additive, whole) else {
        return Some(Explanation { series: primary.series, share: 1.0 });
    };
    let shares: Vec<(usize, f64)> = anomalies
        .filter(|anomaly| view.measure(anomaly.series) == measure && anomaly.side == primary.side)
        .filter_map(|anomaly| Some((anomaly.series, deviation_now(view, anomaly.series)? / whole)))
        .map(|(series, share)| (series, share.clamp(0.0, 1.0)))
        .collect();
    let largest = shares.iter().map(|(_, share)| *share).fold(0.0, f64::max);
    let (series, share) = shares.into_iter().filter(|(_, share)| *share >= KEPT_SHARE * largest).max_by(
        |(a, a_share), (b, b_share)| {
            let depths = view.slice(*a).depth().cmp(&view.slice(*b).depth());
            depths.then(a_share.total_cmp(b_share)).then(b.cmp(a))
        },
    )?;
    Some(Explanation { series, share })
}

/// The deviation of the largest slice there is, in the direction of the anomaly.
fn whole_deviation(view: &WindowView<'_>, measure: usize, side: Side) -> Option<f64> {
    let whole = view.slices.iter().position(crate::window::SliceKey::is_whole)?;
    let deviation = deviation_now(view, whole * view.facts.measures.len() + measure)?;
    let agrees = match side {
        Side::Rise => deviation > 0.0,
        Side::Drop => deviation < 0.0,
    };
    agrees.then_some(deviation)
}

fn deviation_now(view: &WindowView<'_>, series: usize) -> Option<f64> {
    let reading = view.reading(series)?;
    Some(reading.actual - reading.score?.expected)
}
