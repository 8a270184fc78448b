//! Seeded random draws: the only source of chance in this crate.
//!
//! Promises: the same (seed, stream, position) gives the same numbers on every platform. Streams are
//! independent of each other, so changing what one stream draws never moves another; that is what
//! keeps a fault in one slice out of all others.
//!
//! Not for cryptography, and no entropy from outside.

/// A SplitMix64 generator (Steele, Lea, Flood 2014): eight bytes of state, so a fresh one per stream
/// and minute costs a few nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Draw {
    /// The generator of one stream at one position (a minute, a day, a fault's number).
    pub(crate) fn stream(seed: u64, stream: u64, position: u64) -> Draw {
        let of_seed = mix(seed.wrapping_add(GOLDEN));
        let of_stream = mix(of_seed ^ stream.wrapping_add(1).wrapping_mul(GOLDEN));
        Draw(mix(of_stream ^ position.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0. The bias is below `bound / 2^32`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        scale(self.bits(), bound)
    }

    /// Standard normal (Box-Muller, the cosine half).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(core::f64::consts::TAU * self.uniform())
    }

    /// Poisson with the given mean; 0 when the mean is not positive.
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        if mean >= 30.0 {
            self.poisson_large(mean)
        } else if mean > 0.0 {
            self.poisson_small(mean)
        } else {
            0
        }
    }

    /// Gamma with the given shape and scale 1 (Marsaglia and Tsang 2000).
    pub(crate) fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let power = libm::log(1.0 - self.uniform()) / shape;
            return self.gamma(shape + 1.0) * libm::exp(power);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = 1.0 + c * x;
            if v <= 0.0 {
                continue;
            }
            let cube = v * v * v;
            if libm::log(1.0 - self.uniform()) < 0.5 * x * x + d - d * cube + d * libm::log(cube) {
                return d * cube;
            }
        }
    }

    /// Of `count` things, how many are kept when each is with this probability.
    pub(crate) fn kept(&mut self, count: u32, probability: f64) -> u32 {
        (0..count).map(|_| u32::from(self.uniform() < probability)).sum()
    }

    /// Inversion by sequential search: one uniform, about `mean` steps.
    fn poisson_small(&mut self, mean: f64) -> u32 {
        let target = self.uniform();
        let mut probability = libm::exp(-mean);
        let mut cumulated = probability;
        let mut count = 0;
        // The bound is far in the tail; it ends the search when rounding keeps the sum below the target.
        while target > cumulated && count < 200 {
            count += 1;
            probability *= mean / f64::from(count);
            cumulated += probability;
        }
        count
    }

    /// Transformed rejection, PTRS of Hörmann (1993): constant time for any large mean.
    fn poisson_large(&mut self, mean: f64) -> u32 {
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.024_83 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let squeeze = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.uniform() - 0.5;
            let v = 1.0 - self.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= squeeze {
                return k as u32;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let accepted = libm::log(v * inverse_alpha / (a / (us * us) + b));
            if accepted <= k * libm::log(mean) - mean - libm::lgamma(k + 1.0) {
                return k as u32;
            }
        }
    }
}

/// Maps the upper half of `bits` to `0..bound`.
pub(crate) fn scale(bits: u64, bound: u32) -> u32 {
    (((bits >> 32) * u64::from(bound)) >> 32) as u32
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_variance(mut next: impl FnMut() -> f64) -> (f64, f64) {
        let n = 40_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = next();
            sum += x;
            squares += x * x;
        }
        let mean = sum / f64::from(n);
        (mean, squares / f64::from(n) - mean * mean)
    }

    #[test]
    fn poisson_has_its_mean_and_variance_on_both_branches() {
        for lambda in [0.05, 3.0, 29.9, 30.0, 400.0] {
            let mut draw = Draw::stream(7, 1, 2);
            let (mean, variance) = mean_and_variance(|| f64::from(draw.poisson(lambda)));
            assert!((mean - lambda).abs() < 5.0 * (lambda / 40_000.0).sqrt(), "{lambda}: mean {mean}");
            assert!((variance / lambda - 1.0).abs() < 0.12, "{lambda}: variance {variance}");
        }
        assert_eq!(Draw::stream(1, 1, 1).poisson(0.0), 0);
        assert_eq!(Draw::stream(1, 1, 1).poisson(f64::NAN), 0);
    }

    #[test]
    fn gamma_and_thinning_have_their_means_and_variances() {
        for shape in [0.2, 1.0, 30.0] {
            let mut draw = Draw::stream(7, 4, 0);
            let (mean, variance) = mean_and_variance(|| draw.gamma(shape));
            assert!(
                (mean / shape - 1.0).abs() < 0.06 && (variance / shape - 1.0).abs() < 0.12,
                "{shape}: {mean}"
            );
        }
        let mut draw = Draw::stream(7, 5, 0);
        let (mean, variance) = mean_and_variance(|| f64::from(draw.kept(40, 0.3)));
        assert!((mean - 12.0).abs() < 0.1 && (variance / 8.4 - 1.0).abs() < 0.06, "{mean} {variance}");
    }

    #[test]
    fn normal_is_standard() {
        let mut draw = Draw::stream(7, 3, 0);
        let (mean, variance) = mean_and_variance(|| draw.normal());
        assert!(mean.abs() < 0.025 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }

    #[test]
    fn streams_differ_and_repeat() {
        let first = |seed, stream, position| Draw::stream(seed, stream, position).bits();
        assert_eq!(first(1, 2, 3), first(1, 2, 3));
        assert_ne!(first(1, 2, 3), first(1, 3, 2));
        assert_ne!(first(1, 2, 3), first(2, 2, 3));
    }
}
