//! The band around the expected value that a chart shows.
//!
//! Its edges are the values at which the newest observation alone, without its neighbours, would reach page
//! severity 70: both surprises inverted together. Centred on what the profile expects, as if the
//! last hour had been ordinary, so that a long event lies outside of it from its start to its end. The longer
//! comparisons may alarm inside the band.

use super::contrast::{Calibration, Frame, count_at_deviate};
use super::judgement::Threshold;
use super::rate::{ABSOLUTE_REACH, BOTH};

/// Weight of the single-window comparison.
const WEIGHT: f64 = 0.9;

/// Lower and upper edge, in the shifted unit the detector works in.
pub(super) fn band(
    frame: &Frame<'_>,
    calibration: &Calibration,
    typical_residual: f64,
    thresholds: [Threshold; 2],
) -> (f64, f64) {
    let mean = frame.expectation.mean;
    let variance = frame.single_window_variance();
    let [rise, drop] = thresholds;
    let reach = calibration.page_scale() / (WEIGHT * frame.ramp);
    let highest = calibration.mean + rise.strength * reach;
    let lowest = calibration.mean - drop.strength * reach;
    let (lower, upper) = if frame.mode.count {
        (count_at_deviate(lowest, mean, variance), count_at_deviate(highest, mean, variance))
    } else {
        let deviation = variance.sqrt();
        (mean + lowest * deviation, mean + highest * deviation)
    };
    let lower = mean - together((mean - lower).max(0.0), drop.residual * typical_residual);
    let upper = mean + together((upper - mean).max(0.0), rise.residual * typical_residual);
    if frame.mode.count { (lower.max(0.0), upper) } else { (lower, upper) }
}

/// How far from the mean both surprises together reach severity 70, from how far each reaches its threshold.
/// Exact where a surprise grows in proportion to the distance; close to it for counts.
fn together(relative: f64, absolute: f64) -> f64 {
    relative.max(absolute / ABSOLUTE_REACH).max(BOTH * (relative * absolute).sqrt())
}
