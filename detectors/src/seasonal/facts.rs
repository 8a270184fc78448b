//! What one observation shows before it is judged: the expectation, the windows after it, all comparisons.

use super::baseline::Expectation;
use super::contrast::{CONTRASTS, Reading};
use super::occasion::Calendar;
use super::size::Run;
use super::window::Windows;

/// Clip of values that are learned, in standard deviations.
const CLIP: f64 = 4.0;
/// What a judgement rests on; borrowed, because scoring must not copy it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) learned: f64,
    /// Factor on strengths, half at the start and 1 after a week.
    pub(super) ramp: f64,
    pub(super) expectation: &'a Expectation,
    pub(super) closes: bool,
    pub(super) windows: &'a Windows,
    pub(super) readings: &'a [Reading; CONTRASTS],
    pub(super) zero_share: f64,
    pub(super) clock: f64,
    pub(super) run: Run,
    pub(super) calendar: &'a Calendar,
}

/// `x` as far as it may be learned.
pub(super) fn clip(x: f64, expectation: &Expectation) -> f64 {
    let reach = CLIP * expectation.deviation;
    x.max(expectation.mean - reach).min(expectation.mean + reach)
}
