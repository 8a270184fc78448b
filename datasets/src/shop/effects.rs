//! What the faults do to each cell now.
//!
//! Promises: looked at once per minute, worked out only when a fault starts or ends, so a hundred
//! faults cost no more per minute than none.

use super::fault::Fault;
use super::tables::{COUNTRIES, DEVICES, NUM_CELLS, NUM_DEVICES};

/// Factors on a cell's steps; 1 is healthy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Factors {
    pub(super) views: f64,
    pub(super) carts: f64,
    pub(super) orders: f64,
    pub(super) total: f64,
    pub(super) checkout: f64,
}

const HEALTHY: Factors = Factors { views: 1.0, carts: 1.0, orders: 1.0, total: 1.0, checkout: 1.0 };

#[derive(Debug)]
pub(super) struct Effects {
    cells: [Factors; NUM_CELLS],
    /// `cells` holds for instants before this one.
    valid_until_exclusive: i64,
}

impl Effects {
    pub(super) fn new() -> Effects {
        Effects { cells: [HEALTHY; NUM_CELLS], valid_until_exclusive: i64::MIN }
    }

    /// The factors of every cell at `millis`, which never goes back.
    pub(super) fn at(&mut self, faults: &[Fault], millis: i64) -> &[Factors; NUM_CELLS] {
        if millis >= self.valid_until_exclusive {
            self.cells = [HEALTHY; NUM_CELLS];
            for fault in faults.iter().filter(|f| (f.start_millis..f.end_millis).contains(&millis)) {
                self.apply(fault);
            }
            let edges = faults.iter().flat_map(|f| [f.start_millis, f.end_millis]);
            self.valid_until_exclusive = edges.filter(|&edge| edge > millis).min().unwrap_or(i64::MAX);
        }
        &self.cells
    }

    fn apply(&mut self, fault: &Fault) {
        let factor = (1.0 + fault.size).max(0.0);
        for (cell, factors) in self.cells.iter_mut().enumerate() {
            if fault.covers(COUNTRIES[cell / NUM_DEVICES].0, DEVICES[cell % NUM_DEVICES]) {
                factors.multiply(fault.measure, factor);
            }
        }
    }
}

impl Factors {
    fn multiply(&mut self, measure: &str, factor: f64) {
        match measure {
            "revenue" => self.total *= factor,
            "checkout" => self.checkout *= factor,
            _ => {}
        }
        if matches!(measure, "*" | "views") {
            self.views *= factor;
        }
        if matches!(measure, "*" | "views" | "carts") {
            self.carts *= factor;
        }
        if matches!(measure, "*" | "views" | "carts" | "orders") {
            self.orders *= factor;
        }
    }
}
