//! Which measures go ahead of or behind which: association of their residuals over a few windows, learned from history.
//!
//! Residuals of the whole shop, in standard deviations and cut at five, are correlated at lags of up to three windows with
//! a half-life of 2,000 windows. What goes ahead of a measure is a likely cause of its incidents, what follows a likely
//! effect. The share of a cause is its squared correlation, the rest is unknown. It is association and no proof; measures
//! beyond the first 24 are left out.

use serde::{Deserialize, Serialize};

use super::{WindowView, space::BAND_DEVIATIONS};

const LAGS: usize = 3;
const MEASURES_MAX: usize = 24;
const HALF_LIFE_WINDOWS: f64 = 2_000.0;
const RESIDUAL_MAX: f64 = 5.0;
/// Below this many windows a correlation is chance.
const WINDOWS_MIN: u32 = 500;
/// A correlation below this is not told: five times its standard error at the half-life.
const CORRELATION_MIN: f64 = 0.1;

/// A measure that goes ahead of another, or follows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Related {
    /// The measure.
    pub measure: String,
    /// Whether it goes ahead (a likely cause) or follows (a likely effect).
    pub is_cause: bool,
    /// By how many windows.
    pub windows: u32,
    /// The part of the residual variance that goes with it, 0 to 1.
    pub share: f64,
}

/// What is learned about a monitor's measures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Associations {
    num_windows: u32,
    /// Newest first.
    recent: Vec<Vec<f64>>,
    /// Mean squares per measure.
    squares: Vec<f64>,
    /// Mean products: earlier measure x later measure x lag from 1.
    products: Vec<f64>,
}

impl Associations {
    /// Learns a window.
    pub(super) fn learn(&mut self, view: &WindowView<'_>) {
        let Some(whole) = view.slices.iter().position(crate::window::SliceKey::is_whole) else { return };
        let width = view.facts.measures.len().min(MEASURES_MAX);
        let residual = |measure: usize| {
            let reading = view.at(whole, measure)?;
            let score = reading.score?;
            let deviation = (score.upper - score.lower) / (2.0 * BAND_DEVIATIONS);
            let residual = (reading.actual - score.expected) / deviation.max(f64::MIN_POSITIVE);
            Some(residual.clamp(-RESIDUAL_MAX, RESIDUAL_MAX))
        };
        let now: Vec<f64> = (0..width).map(|measure| residual(measure).unwrap_or(0.0)).collect();
        self.squares.resize(width, 0.0);
        self.products.resize(width * width * LAGS, 0.0);
        self.num_windows = self.num_windows.saturating_add(1);
        let rate = (1.0 / f64::from(self.num_windows)).max(1.0 - (-1.0 / HALF_LIFE_WINDOWS).exp2());
        for (square, residual) in self.squares.iter_mut().zip(&now) {
            *square += rate * (residual * residual - *square);
        }
        for (lag, then) in self.recent.iter().enumerate() {
            for (earlier, ahead) in then.iter().enumerate() {
                for (later, behind) in now.iter().enumerate() {
                    let product = &mut self.products[(earlier * width + later) * LAGS + lag];
                    *product += rate * (ahead * behind - *product);
                }
            }
        }
        self.recent.insert(0, now);
        self.recent.truncate(LAGS);
    }

    /// What goes ahead of a measure and what follows it, the strongest first.
    pub(super) fn of(&self, measure: usize, names: impl Fn(usize) -> String) -> Vec<Related> {
        let width = self.squares.len();
        if self.num_windows < WINDOWS_MIN || measure >= width {
            return Vec::new();
        }
        let mut related = Vec::new();
        for other in (0..width).filter(|other| *other != measure) {
            for is_cause in [true, false] {
                let (earlier, later) = if is_cause { (other, measure) } else { (measure, other) };
                let (correlation, windows) = self.strongest(earlier, later);
                if correlation.abs() >= CORRELATION_MIN
                    && correlation.abs() > self.strongest(later, earlier).0.abs()
                {
                    let share = correlation * correlation;
                    related.push(Related { measure: names(other), is_cause, windows, share });
                }
            }
        }
        let causes: f64 = related.iter().filter(|one| one.is_cause).map(|one| one.share).sum();
        // Causes that go together are not counted twice.
        for one in related.iter_mut().filter(|one| one.is_cause && causes > 1.0) {
            one.share /= causes;
        }
        related.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.measure.cmp(&b.measure)));
        related
    }

    fn strongest(&self, earlier: usize, later: usize) -> (f64, u32) {
        let width = self.squares.len();
        let scale = (self.squares[earlier] * self.squares[later]).sqrt().max(f64::MIN_POSITIVE);
        let first = (earlier * width + later) * LAGS;
        let lags = self.products[first..first + LAGS].iter().zip(1_u32..);
        lags.map(|(product, lag)| (product / scale, lag))
            .max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()))
            .unwrap_or((0.0, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        anomaly::merge::tests::{facts, reading},
        window::SliceKey,
    };

    #[test]
    fn what_goes_ahead_is_a_cause_and_what_follows_an_effect() {
        let facts = facts(&["errors", "orders", "weather"]);
        let slices = [SliceKey(vec![None])];
        let noise = |window: i64, salt: i64| ((window * 7_919 + salt * 104_729) % 1_009) as f64 / 50.0 - 10.0;
        let mut learned = Associations::default();
        for window in 0..2_000 {
            let orders = 100.0 - 0.9 * noise(window - 2, 1) + 0.3 * noise(window, 2);
            let values = [100.0 + noise(window, 1), orders, 100.0 + noise(window * window, 3)];
            let readings = values.map(|value| reading(100.0, value, 1.0));
            let (start_millis, end_millis) = (window * 60_000, window * 60_000 + 60_000);
            let view =
                WindowView { facts: &facts, slices: &slices, readings: &readings, start_millis, end_millis };
            learned.learn(&view);
        }
        let name = |measure: usize| facts.measures[measure].name.clone();
        let of_orders = learned.of(1, name);
        assert_eq!(
            (of_orders[0].measure.as_str(), of_orders[0].is_cause, of_orders[0].windows),
            ("errors", true, 2)
        );
        assert!(of_orders[0].share > 0.5 && of_orders[0].share < 1.0, "{of_orders:?}");
        let of_errors = learned.of(0, name);
        assert!(of_errors.iter().any(|one| one.measure == "orders" && !one.is_cause), "{of_errors:?}");
        assert!(learned.of(2, name).iter().all(|one| one.share < 0.1));
    }
}
