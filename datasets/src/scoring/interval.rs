//! The interval of a rate of which only a few events were counted.

/// A 95 % interval of a Poisson rate: `events` counted over `exposure` (weeks, say).
///
/// The cube-root approximation of the exact interval (Wilson and Hilferty, as used by Byar): within a few
/// hundredths of an event from three events on, and a little wide below.
pub fn rate_interval(events: usize, exposure: f64) -> (f64, f64) {
    const Z: f64 = 1.96;
    let count = events as f64;
    let cube = |k: f64, sign: f64| k * (1.0 - 1.0 / (9.0 * k) + sign * Z / (3.0 * k.sqrt())).powi(3);
    let low = if events == 0 { 0.0 } else { cube(count, -1.0).max(0.0) };
    (low / exposure, cube(count + 1.0, 1.0) / exposure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_exact_interval() {
        // Exact for 10 events: 4.795 to 18.39; for none: 0 to 3.689.
        let (low, high) = rate_interval(10, 1.0);
        assert!((low - 4.795).abs() < 0.02 && (high - 18.39).abs() < 0.02, "{low} {high}");
        let (low, high) = rate_interval(0, 10.0);
        assert!(low == 0.0 && (high - 0.3689).abs() < 0.01, "{high}");
    }
}
