//! The mixture detector: a Gaussian mixture over the residuals of several measures.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::GaussianMixtureModel;
use ndarray::Array2;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;
use serde::{Deserialize, Serialize};

use super::relation::{Law, Relation};

/// Ordinary hours and unquiet ones.
const GAUSSIANS: usize = 2;
/// Added to every variance (residuals have variance 1), so that measures in lockstep have a law too.
const RIDGE: f64 = 1e-3;

/// Measures of one slice that usually move together.
///
/// # What it finds
///
/// A relation that breaks: views rise by a tenth and orders do not, carts fall while views stay. Each measure by itself
/// may be within its band.
///
/// # When it works
///
/// Two to eight measures that share causes (traffic, season, campaigns) and each have enough events. Common swings are
/// learned as ordinary, in every mixture of directions that has been seen.
///
/// # When it does not
///
/// Measures that have nothing to do with each other: then it says what the single series say, later. Relations over
/// time (orders follow views by an hour) are for [`Components`](super::Components). It looks at one window; a small
/// lasting shift of a relation is below its noise.
///
/// # Severity
///
/// The distance is the root of twice the log-likelihood lost against the likeliest vector. Its own history of peaks gives the
/// rarity (peaks over threshold).
///
/// # Parameters
///
/// [`JointConfig`](super::JointConfig): interval, kinds of the measures, seed. Two Gaussians, fitted anew about once
/// a day to 512 ordinary vectors of the last two weeks. Warm-up: six hours for the residuals, 200 windows for the
/// first fit, two days for the tail. What alarms is not learned until it has lasted half a day.
///
/// # Cost
///
/// A seasonal model per measure (0.5 µs, 5.5 KB), 1 µs for the density, and a fit of some milliseconds once
/// a day; 512 vectors of 8 bytes per measure. One thread decides the same as many.
///
/// # Reference
///
/// McLachlan and Peel 2000, *Finite mixture models*; the fit is linfa's expectation maximisation.
pub type Mixture = Relation<Gaussians>;

/// A fitted mixture, in plain numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gaussians(Vec<Gaussian>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Gaussian {
    mean: Vec<f64>,
    /// Inverse of the covariance, row by row.
    precision: Vec<f64>,
    /// ln of weight and normalisation: the log-density at the mean.
    ln_peak: f64,
}

impl Gaussian {
    fn new(weight: f64, mean: Vec<f64>, covariance: Vec<f64>) -> Option<Self> {
        let (precision, ln_determinant) = invert(covariance, mean.len())?;
        let ln_peak = weight.max(1e-300).ln() - 0.5 * ln_determinant;
        ln_peak.is_finite().then_some(Self { mean, precision, ln_peak })
    }

    /// Log-density (without the constant), and each value's deviation once the others are known.
    fn read(&self, vector: &[f64]) -> (f64, Vec<f64>) {
        let width = self.mean.len();
        let off: Vec<f64> = vector.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        let mut square = 0.0;
        let mut parts = Vec::with_capacity(width);
        for row in 0..width {
            let precision = &self.precision[row * width..(row + 1) * width];
            let pull: f64 = precision.iter().zip(&off).map(|(precision, off)| precision * off).sum();
            square += pull * off[row];
            parts.push(pull / precision[row].max(1e-12).sqrt());
        }
        (self.ln_peak - 0.5 * square.max(0.0), parts)
    }
}

impl Law for Gaussians {
    const WINDOWS: usize = 1;

    fn fit(sample: &[Vec<f64>], seed: u64) -> Option<Self> {
        let width = sample.first()?.len();
        let flat: Vec<f64> = sample.iter().flatten().copied().collect();
        let records = Array2::from_shape_vec((sample.len(), width), flat).ok()?;
        let dataset = DatasetBase::from(records);
        let fitted = GaussianMixtureModel::params_with_rng(GAUSSIANS, Xoshiro256Plus::seed_from_u64(seed))
            .n_runs(1)
            .max_n_iterations(200)
            .tolerance(1e-3)
            .reg_covariance(RIDGE)
            .fit(&dataset);
        let gaussians = match fitted {
            Ok(model) => (0..GAUSSIANS)
                .map(|index| {
                    let mean = model.means().row(index).to_vec();
                    let covariance =
                        model.covariances().index_axis(ndarray::Axis(0), index).iter().copied().collect();
                    Gaussian::new(model.weights()[index], mean, covariance)
                })
                .collect::<Option<Vec<_>>>(),
            Err(_) => None,
        };
        gaussians.or_else(|| Some(vec![single(sample, width)?])).map(Self)
    }

    fn distance(&self, vector: &[f64]) -> (f64, Vec<f64>) {
        let mut best: Option<(f64, Vec<f64>)> = None;
        let mut density = 0.0;
        let peak = self.0.iter().map(|gaussian| gaussian.ln_peak).fold(f64::MIN, f64::max);
        let readings: Vec<(f64, Vec<f64>)> = self.0.iter().map(|gaussian| gaussian.read(vector)).collect();
        let most = readings.iter().map(|(ln_density, _)| *ln_density).fold(f64::MIN, f64::max);
        for (ln_density, parts) in readings {
            density += (ln_density - most).exp();
            if best.as_ref().is_none_or(|(least, _)| ln_density > *least) {
                best = Some((ln_density, parts));
            }
        }
        let lost = peak - (most + density.ln());
        ((2.0 * lost.max(0.0)).sqrt(), best.map(|(_, parts)| parts).unwrap_or_default())
    }
}

/// One Gaussian, where the mixture finds none.
fn single(sample: &[Vec<f64>], width: usize) -> Option<Gaussian> {
    let count = sample.len() as f64;
    let mean: Vec<f64> =
        (0..width).map(|i| sample.iter().map(|vector| vector[i]).sum::<f64>() / count).collect();
    let mut covariance = vec![0.0; width * width];
    for row in 0..width {
        for column in 0..width {
            let products =
                sample.iter().map(|vector| (vector[row] - mean[row]) * (vector[column] - mean[column]));
            covariance[row * width + column] =
                products.sum::<f64>() / count + if row == column { RIDGE } else { 0.0 };
        }
    }
    Gaussian::new(1.0, mean, covariance)
}

/// Inverse and ln of the determinant of a positive definite matrix (Gauss-Jordan); `None` for any other.
fn invert(mut matrix: Vec<f64>, width: usize) -> Option<(Vec<f64>, f64)> {
    let mut inverse = vec![0.0; width * width];
    (0..width).for_each(|index| inverse[index * width + index] = 1.0);
    let mut ln_determinant = 0.0;
    for pivot in 0..width {
        let head = matrix[pivot * width + pivot];
        if head.is_nan() || head <= 1e-12 {
            return None;
        }
        ln_determinant += head.ln();
        for column in 0..width {
            matrix[pivot * width + column] /= head;
            inverse[pivot * width + column] /= head;
        }
        for row in (0..width).filter(|row| *row != pivot) {
            let factor = matrix[row * width + pivot];
            for column in 0..width {
                matrix[row * width + column] -= factor * matrix[pivot * width + column];
                inverse[row * width + column] -= factor * inverse[pivot * width + column];
            }
        }
    }
    Some((inverse, ln_determinant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_is_one() {
        let (inverse, ln_determinant) = invert(vec![4.0, 2.0, 2.0, 3.0], 2).unwrap();
        for (found, wanted) in inverse.iter().zip([0.375, -0.25, -0.25, 0.5]) {
            assert!((found - wanted).abs() < 1e-12);
        }
        assert!((ln_determinant - 8.0_f64.ln()).abs() < 1e-12);
        assert!(invert(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
    }
}
