//! The components detector: what principal components over several windows cannot rebuild.

use linfa_linalg::eigh::{EigSort, Eigh};
use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use super::relation::{Law, Relation};

/// Share of the variance that the kept components explain.
const EXPLAINED: f64 = 0.9;

/// Measures of one slice that move together within a few windows.
///
/// # What it finds
///
/// Vectors over the last four windows that the usual joint movements cannot rebuild: orders that do not follow views
/// within four windows, a measure that runs ahead of the others.
///
/// # When it works
///
/// Two to eight measures with strong common movements, also with a delay of up to three windows.
///
/// # When it does not
///
/// Measures without common movements: there is nothing to rebuild by. An anomaly along a usual direction (all
/// measures fall together) is rebuilt and not seen; single series see it.
///
/// # Severity
///
/// The distance is the root of the mean square that is not rebuilt; its own history of peaks gives the rarity (peaks over
/// threshold).
///
/// # Parameters
///
/// [`JointConfig`](super::JointConfig): interval, kinds of the measures, seed (of the sample). Components for nine tenths of
/// the variance, at most half of the dimensions; refits, sample and warm-up as those of [`Mixture`](super::Mixture).
///
/// # Cost
///
/// A seasonal model per measure, 1 µs for the rebuilding, and a fit of some milliseconds once a day; 512 vectors of
/// 32 bytes per measure.
///
/// # Reference
///
/// Jackson and Mudholkar 1979, *Control procedures for residuals associated with principal component analysis*; the
/// eigenvectors are linfa-linalg's.
pub type Components = Relation<Subspace>;

/// The fitted components, in plain numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subspace {
    mean: Vec<f64>,
    /// Orthonormal rows.
    components: Vec<Vec<f64>>,
}

impl Law for Subspace {
    const WINDOWS: usize = 4;

    /// By the eigenvectors of the covariance. linfa-reduction's `Pca` finds them by LOBPCG, which panics on samples of
    /// low rank (a shop that sells nothing at night).
    fn fit(sample: &[Vec<f64>], _seed: u64) -> Option<Self> {
        let width = sample.first()?.len();
        let flat: Vec<f64> = sample.iter().flatten().copied().collect();
        let mut records = Array2::from_shape_vec((sample.len(), width), flat).ok()?;
        let mean = records.mean_axis(Axis(0))?;
        records -= &mean;
        let covariance = records.t().dot(&records) / sample.len() as f64;
        let total = covariance.diag().sum();
        if !total.is_finite() {
            return None;
        }
        let (variances, vectors) = covariance.eigh().ok()?.sort_eig_desc();
        let (mut explained, mut components) = (0.0, Vec::new());
        for (variance, vector) in variances.iter().zip(vectors.columns()).take(width / 2) {
            if explained >= EXPLAINED * total {
                break;
            }
            explained += variance;
            components.push(vector.to_vec());
        }
        let sound = mean.iter().chain(components.iter().flatten()).all(|value| value.is_finite());
        (sound && !components.is_empty()).then(|| Self { mean: mean.to_vec(), components })
    }

    fn distance(&self, vector: &[f64]) -> (f64, Vec<f64>) {
        let mut rest: Vec<f64> = vector.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        for component in &self.components {
            let along: f64 = component.iter().zip(&rest).map(|(component, rest)| component * rest).sum();
            for (rest, component) in rest.iter_mut().zip(component) {
                *rest -= along * component;
            }
        }
        let square: f64 = rest.iter().map(|rest| rest * rest).sum();
        ((square / rest.len().max(1) as f64).sqrt(), rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_low_rank_has_components_too() {
        let nothing = vec![vec![0.0; 8]; 300];
        assert_eq!(Subspace::fit(&nothing, 0), None);
        let line: Vec<Vec<f64>> = (0..300).map(|index| vec![f64::from(index % 7), 0.0, 0.0, 0.0]).collect();
        let law = Subspace::fit(&line, 0).unwrap();
        assert_eq!(law.components.len(), 1);
        assert!(law.distance(&[50.0, 0.0, 0.0, 0.0]).0 < 1e-9);
        assert!((law.distance(&[3.0, 2.0, 0.0, 0.0]).0 - 1.0).abs() < 1e-9);
        let mut rare = nothing;
        rare[17][3] = 1e-3;
        assert_eq!(Subspace::fit(&rare, 0).unwrap().components.len(), 1);
    }
}
