//! What makes the shop less regular than its rhythm: a slow wander of the whole, and good and bad days.
//!
//! Promises: both have mean 1 and depend on the seed only, never on faults. The wander is a log-normal
//! AR(1) of 3 % with a memory of three hours, common to all cells; a country's day is off by about
//! 2.5 %, the same all day.

use super::tables::COUNTRIES;
use crate::draw::Draw;

const WANDER_DEVIATION: f64 = 0.03;
const WANDER_MEMORY_MINUTES: f64 = 180.0;
const DAY_DEVIATION: f64 = 0.025;

const WANDER_STREAM: u64 = 1000;
const DAY_STREAM: u64 = 1001;

#[derive(Debug)]
pub(super) struct Noise {
    seed: u64,
    wander: f64,
    keep: f64,
    renew: f64,
    /// Per country: the local day and its level.
    days: [(i64, f64); COUNTRIES.len()],
}

impl Noise {
    pub(super) fn new(seed: u64) -> Noise {
        let keep = libm::exp(-1.0 / WANDER_MEMORY_MINUTES);
        let wander = WANDER_DEVIATION * Draw::stream(seed, WANDER_STREAM, u64::MAX).normal();
        let renew = WANDER_DEVIATION * (1.0 - keep * keep).sqrt();
        Noise { seed, wander, keep, renew, days: [(i64::MIN, 1.0); COUNTRIES.len()] }
    }

    /// Moves the wander on to `minute` and returns its level. Called once per minute, in order.
    pub(super) fn step(&mut self, minute: u64) -> f64 {
        let innovation = Draw::stream(self.seed, WANDER_STREAM, minute).normal();
        self.wander = self.keep * self.wander + self.renew * innovation;
        log_normal(self.wander, WANDER_DEVIATION)
    }

    /// The level of a country's local day.
    pub(super) fn day(&mut self, country: usize, local_day: i64) -> f64 {
        let (known, level) = &mut self.days[country];
        if *known != local_day {
            let mut draw = Draw::stream(self.seed, DAY_STREAM + country as u64, local_day as u64);
            (*known, *level) = (local_day, log_normal(DAY_DEVIATION * draw.normal(), DAY_DEVIATION));
        }
        *level
    }
}

/// `exp(x)` for a normal `x`, corrected to mean 1.
fn log_normal(x: f64, deviation: f64) -> f64 {
    libm::exp(x - 0.5 * deviation * deviation)
}
