//! What one observation shows before it is judged: the expectation, the windows after it, all comparisons.

use super::Mode;
use super::baseline::Expectation;
use super::cadence::Cadence;
use super::contrast::{CONTRASTS, Frame, Reading};
use super::core::Core;
use super::size::Run;
use super::window::Windows;

/// Clip of values that are learned, in standard deviations.
const CLIP: f64 = 4.0;
/// What one observation shows, before it is judged.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The value, shifted and cut to what the detector works with.
    pub(super) x: f64,
    pub(super) learned: f64,
    /// Factor on strengths, half at the start and 1 after a week.
    pub(super) ramp: f64,
    pub(super) expectation: Expectation,
    pub(super) closes: bool,
    pub(super) windows: Windows,
    pub(super) readings: [Reading; CONTRASTS],
    pub(super) zero_share: f64,
    pub(super) clock: f64,
    pub(super) run: Run,
}

impl Facts {
    /// What the readings are measured by.
    pub(super) fn frame<'a>(&'a self, cadence: &'a Cadence, mode: Mode) -> Frame<'a> {
        Frame {
            windows: &self.windows,
            expectation: &self.expectation,
            cadence,
            mode,
            learned: self.learned,
            ramp: self.ramp,
        }
    }
}

impl Core {
    /// What all comparisons find; see [`Self::score`].
    #[inline]
    pub(super) fn facts(
        &self,
        civil_seconds: i64,
        (x, exposure): (f64, f64),
        cadence: &Cadence,
        mode: Mode,
    ) -> Facts {
        let learned = self.baseline.learned as f64;
        let closes = self.absolute.closes(self.baseline.slow_level, cadence);
        let expectation = self.baseline.expect(civil_seconds, (x, exposure), cadence, mode, closes);
        let clipped = if learned <= cadence.clip_after { x } else { clip(x, &expectation) };
        let windows = self.windows.after(x, clipped, &expectation);
        let mut facts = Facts {
            x,
            learned,
            ramp: 1.0 / (1.0 + (1.0 - learned / cadence.points_per_week).max(0.0)),
            expectation,
            closes,
            windows,
            readings: [Reading::default(); CONTRASTS],
            zero_share: self.absolute.zero_share_after(x, learned, cadence),
            clock: if mode.count { self.silence.clock_after(x, &expectation) } else { 0.0 },
            run: self.sizes.run_after(x),
        };
        let mut readings = [Reading::default(); CONTRASTS];
        let frame = facts.frame(cadence, mode);
        for (index, reading) in readings.iter_mut().enumerate() {
            frame.read(index, &self.calibrations[index], reading);
        }
        facts.readings = readings;
        facts
    }
}

/// `x` as far as it may be learned.
pub(super) fn clip(x: f64, expectation: &Expectation) -> f64 {
    let reach = CLIP * expectation.deviation;
    x.max(expectation.mean - reach).min(expectation.mean + reach)
}
