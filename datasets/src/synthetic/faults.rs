//! Faults of known size and length, one every three to four days after the warm-up.
//!
//! A fault below 0 removes that share of the events, each by chance; one above 0 adds events.

use super::model::{CountSeries, WARM_UP_WEEKS, WEEK_MINUTES};
use crate::draw::Draw;

/// Relative sizes: -0.5 is half of the events gone, 3.0 is four times as many.
pub const FAULT_SIZES: [f64; 10] = [-0.8, -0.5, -0.3, -0.2, -0.1, 0.15, 0.3, 0.5, 1.0, 3.0];
/// Lengths in minutes.
pub const FAULT_MINUTES: [usize; 4] = [5, 15, 60, 240];

/// A fault that was put into a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// First minute.
    pub start: usize,
    /// How many minutes.
    pub minutes: usize,
    /// Relative size.
    pub size: f64,
}

/// Changes the counts in place; every pair of size and length comes once before any comes again. `number` keeps
/// the faults of one seed's series apart.
pub fn inject(series: &mut CountSeries, seed: u64, number: u64) -> Vec<Fault> {
    let mut draw = Draw::stream(seed, u64::MAX, number);
    let mut start = WARM_UP_WEEKS * WEEK_MINUTES + 300 + draw.below(1_500) as usize;
    let mut cells: Vec<(f64, usize)> = Vec::new();
    let mut faults = Vec::new();
    while start + 1_000 < series.counts.len() {
        if cells.is_empty() {
            cells = shuffled(&mut draw);
        }
        let Some((size, minutes)) = cells.pop() else { break };
        for minute in start..start + minutes {
            series.counts[minute] = changed(&mut draw, series.counts[minute], series.means[minute], size);
        }
        faults.push(Fault { start, minutes, size });
        start += 3 * 1_440 + draw.below(1_440) as usize;
    }
    faults
}

fn changed(draw: &mut Draw, count: u32, mean: f64, size: f64) -> u32 {
    if size < 0.0 { draw.kept(count, 1.0 + size) } else { count + draw.poisson(size * mean) }
}

fn shuffled(draw: &mut Draw) -> Vec<(f64, usize)> {
    let mut cells: Vec<(f64, usize)> =
        FAULT_SIZES.iter().flat_map(|size| FAULT_MINUTES.map(|minutes| (*size, minutes))).collect();
    for last in (1..cells.len()).rev() {
        cells.swap(last, draw.below(last as u32 + 1) as usize);
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_change_their_minutes_and_nothing_else() {
        let clean = CountSeries::new(1, 500.0, 0, 8);
        let mut faulty = clean.clone();
        let faults = inject(&mut faulty, 1, 0);
        assert!((6..=9).contains(&faults.len()), "{}", faults.len());
        let inside = |minute: usize| {
            faults.iter().any(|fault| (fault.start..fault.start + fault.minutes).contains(&minute))
        };
        for minute in (0..clean.counts.len()).filter(|minute| !inside(*minute)) {
            assert_eq!(clean.counts[minute], faulty.counts[minute]);
        }
        for fault in faults.iter().filter(|fault| fault.minutes == 240) {
            let sum = |series: &CountSeries| -> f64 {
                series.counts[fault.start..fault.start + 240].iter().copied().map(f64::from).sum()
            };
            let change = sum(&faulty) / sum(&clean) - 1.0;
            assert!((change - fault.size).abs() < 0.03 * (1.0 + fault.size.abs()), "{fault:?}: {change}");
        }
    }
}
