//! A rhythm that another series has lent.
//!
//! A knot that has seen little leans on the lender's instead of on a flat profile, with the same few counts of
//! prior: what the series shows itself soon outweighs them. Half the logarithm is lent: the middle between the
//! lender's profile and none, because relatives differ. One byte a knot.

use serde::{Deserialize, Serialize};

use super::knots::{Knots, Place};

/// Steps in the logarithm of a ratio: 3 %.
const STEPS: f64 = 32.0;

/// Profiles to lean on: a byte for each knot of the day, then of the week.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lent {
    halves: Vec<i8>,
}

impl Lent {
    /// Half of two profiles, each read with its prior.
    pub(super) fn of<const D: usize, const W: usize>(
        (daily, daily_prior): (&Knots<D>, f64),
        (weekly, weekly_prior): (&Knots<W>, f64),
    ) -> Self {
        let half = |ratio: f64| (0.5 * ratio.max(1e-9).ln() * STEPS).round() as i8;
        Self { halves: daily.ratios(daily_prior).chain(weekly.ratios(weekly_prior)).map(half).collect() }
    }

    /// The ratios at the two knots of a place, of the profile whose first knot is `first`.
    pub(super) fn at(&self, first: usize, place: Place) -> [f64; 2] {
        place
            .knots()
            .map(|knot| (f64::from(self.halves.get(first + knot).copied().unwrap_or(0)) / STEPS).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_profile_is_lent() {
        let (mut daily, weekly) = (Knots::<4>::new(), Knots::<3>::new());
        daily.learn(Place::of::<4>(2.0), 0.0, 1.0, 9.0, 1.0);
        let lent = Lent::of((&daily, 1e-6), (&weekly, 1.0));
        let [ratio, next] = lent.at(0, Place::of::<4>(2.0));
        assert!((ratio / 3.0 - 1.0).abs() < 0.02 && next == 1.0, "{ratio}");
        assert_eq!(lent.at(4, Place::of::<3>(1.0)), [1.0; 2], "nothing known, nothing lent");
        let saved = serde_json::to_string(&lent).unwrap();
        assert_eq!(serde_json::from_str::<Lent>(&saved).unwrap(), lent);
    }
}
