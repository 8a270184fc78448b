//! What speaks for a set of cells being off by one common factor: a likelihood ratio of counts.
//!
//! Counts of a cell are negative binomial around what was expected: Poisson noise, and a scatter of the cell itself
//! that no model of single cells foresees. Without the scatter, large cells would outvote everything.

use super::Level;

/// The cells of a level as counts.
#[derive(Debug)]
pub(super) struct Evidence {
    /// Seen and expected.
    counts: Vec<(f64, f64)>,
    dispersion: f64,
}

impl Evidence {
    pub(super) fn new(level: &Level, dispersion: f64) -> Self {
        let counts = level.cells.iter().map(|cell| {
            let expected = cell.strength.max(MIN_EXPECTED);
            let unit = if cell.strength > MIN_EXPECTED { cell.expected / cell.strength } else { 1.0 };
            ((cell.actual / unit).max(0.0), expected)
        });
        Self { counts: counts.collect(), dispersion }
    }

    /// Twice the log of the likelihood ratio of "all of these are off by the same factor", at the best factor of their
    /// sums, to "all are as expected". Negative when the cells disagree.
    pub(super) fn gain(&self, cells: &[usize]) -> f64 {
        let (mut seen, mut expected) = (0.0, 0.0);
        for (actual, mean) in cells.iter().map(|cell| self.counts[*cell]) {
            (seen, expected) = (seen + actual, expected + mean);
        }
        // Half an event keeps the factor of an empty slice above zero.
        let factor: f64 = (seen + 0.5) / (expected + 0.5);
        let log = factor.ln();
        let size = self.dispersion;
        let of_cell = |cell: &usize| {
            let (actual, mean) = self.counts[*cell];
            actual * log + (actual + size) * ((size + mean) / (size + factor * mean)).ln()
        };
        2.0 * cells.iter().map(of_cell).sum::<f64>()
    }
}

const MIN_EXPECTED: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::locate::CubeCell;

    #[test]
    fn cells_that_agree_speak_for_a_cause_and_cells_that_do_not_against_it() {
        let cells = [20.0, 22.0, 100.0].map(|actual| CubeCell::of_count(actual, 100.0, 1.0)).to_vec();
        let level = Level { dimensions: vec![0], values: vec![vec![0], vec![1], vec![2]], cells };
        let evidence = Evidence::new(&level, 100.0);
        let both = evidence.gain(&[0, 1]);
        assert!(both > evidence.gain(&[0]) && both > evidence.gain(&[0, 1, 2]), "{both}");
        assert!(evidence.gain(&[2]).abs() < 1e-3);
    }
}
