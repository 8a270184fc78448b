//! Which slice explains an incident: the most specific anomalous one that holds most of the deviation.
//!
//! First form: it looks at the slices of the incident's own anomalies, for the measure that is most unusual.
//! It does not yet search sets of slices, nor explain ratios by their parts.

use tidewatch_detectors::Side;

use super::{Anomaly, WindowView};

/// A slice explains an incident when it holds at least this share of the whole deviation.
const SHARE_NEEDED: f64 = 0.7;

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
    let candidates =
        anomalies.filter(|anomaly| view.measure(anomaly.series) == measure && anomaly.side == primary.side);
    let mut best: Option<(usize, f64, usize)> = None;
    for candidate in candidates {
        let deviation = deviation_now(view, candidate.series).unwrap_or_else(|| candidate.deviation());
        let share = match whole {
            Some(whole) if view.facts.measures[measure].additive => (deviation / whole).clamp(0.0, 1.0),
            _ => 1.0,
        };
        let depth = view.slice(candidate.series).depth();
        let better = best.is_none_or(|(best_depth, best_share, _)| (depth, share) > (best_depth, best_share));
        if share >= SHARE_NEEDED && better && candidate.page_log10_rate <= primary.page_log10_rate + 3.0 {
            best = Some((depth, share, candidate.series));
        }
    }
    let (_, share, series) = best.unwrap_or_else(|| {
        let deviation = deviation_now(view, primary.series).unwrap_or_else(|| primary.deviation());
        let share = whole.map_or(1.0, |whole| (deviation / whole).clamp(0.0, 1.0));
        (0, share, primary.series)
    });
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
