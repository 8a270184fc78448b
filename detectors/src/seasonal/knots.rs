//! A circular profile of evenly spaced knots, each a shrunken ratio of two fading sums.
//!
//! A reading lies between two knots and is interpolated; learning reaches the same two in the same shares.
//! Sums are single precision: they fade within weeks, and halving them halves what a series costs in memory.
//! Saved as a plain list of pairs, whose length is checked on loading.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The largest sum kept: the largest finite `f32`, rounded down.
const MOST: f64 = 3.0e38;

/// `N` knots around a circle; each holds what came and what was promised.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Knots<const N: usize> {
    sums: [[f32; 2]; N],
}

/// A position between two neighbouring knots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    left: usize,
    right: usize,
    /// Share of the right knot.
    share: f64,
}

impl Place {
    /// The place at `position` knots, -0.5 up to just below `N - 0.5`, on a circle of `N`.
    pub(super) fn of<const N: usize>(position: f64) -> Self {
        let floor = position.floor();
        let left = (floor + N as f64) as usize % N;
        Self { left, right: (left + 1) % N, share: position - floor }
    }

    /// Its two knots.
    pub(super) fn knots(self) -> [usize; 2] {
        [self.left, self.right]
    }
}

impl<const N: usize> Knots<N> {
    pub(super) fn new() -> Self {
        Self { sums: [[0.0; 2]; N] }
    }

    /// The profile's ratio at `place` and the part of it that is shrinkage, 0..=1. `shrink` must be positive.
    pub(super) fn read(&self, place: Place, shrink: f64) -> (f64, f64) {
        let ([came, promised], [next_came, next_promised]) = (self.knot(place.left), self.knot(place.right));
        let (left, right) = (1.0 - place.share, place.share);
        let ratio = left * (came + shrink) / (promised + shrink)
            + right * (next_came + shrink) / (next_promised + shrink);
        (ratio, shrink / (left * promised + right * next_promised + shrink))
    }

    /// As [`Self::read`], with the two knots shrunk towards these ratios.
    pub(super) fn read_toward(&self, place: Place, shrink: f64, toward: [f64; 2]) -> (f64, f64) {
        let ([came, promised], [next_came, next_promised]) = (self.knot(place.left), self.knot(place.right));
        let (left, right) = (1.0 - place.share, place.share);
        let ratio = left * (came + shrink * toward[0]) / (promised + shrink)
            + right * (next_came + shrink * toward[1]) / (next_promised + shrink);
        (ratio, shrink / (left * promised + right * next_promised + shrink))
    }

    /// The ratio of every knot.
    pub(super) fn ratios(&self, shrink: f64) -> impl Iterator<Item = f64> {
        let sums = self.sums.iter();
        sums.map(move |knot| (f64::from(knot[0]) + shrink) / (f64::from(knot[1]) + shrink))
    }

    /// As [`Self::read`], with knots shrunk towards the ratio of the group of `size` knots they belong to, which
    /// itself is shrunk towards 1.
    pub(super) fn read_grouped(&self, place: Place, shrink: f64, size: usize) -> (f64, f64) {
        let left_group = self.group_ratio(place.left / size, shrink, size);
        let right_group = if place.left / size == place.right / size {
            left_group
        } else {
            self.group_ratio(place.right / size, shrink, size)
        };
        self.read_toward(place, shrink, [left_group, right_group])
    }

    #[inline]
    fn knot(&self, index: usize) -> [f64; 2] {
        self.sums[index].map(f64::from)
    }

    fn group_ratio(&self, group: usize, shrink: f64, size: usize) -> f64 {
        let knots = &self.sums[group * size..(group + 1) * size];
        let [came, promised] = knots.iter().fold([0.0; 2], |[came, promised], knot| {
            [came + f64::from(knot[0]), promised + f64::from(knot[1])]
        });
        (came + shrink) / (promised + shrink)
    }

    /// Adds what `came` where `promised` was due, with `weight`; a full hit forgets a share of `rate`.
    pub(super) fn learn(&mut self, place: Place, rate: f64, weight: f64, came: f64, promised: f64) {
        for (knot, share) in [(place.left, 1.0 - place.share), (place.right, place.share)] {
            let keep = 1.0 - rate * share * weight;
            let [before_came, before_promised] = self.knot(knot);
            self.sums[knot] = [
                (before_came * keep + share * weight * came).min(MOST) as f32,
                (before_promised * keep + share * weight * promised).min(MOST) as f32,
            ];
        }
    }
}

impl<const N: usize> Serialize for Knots<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.sums.as_slice().serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Knots<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sums = Vec::<[f32; 2]>::deserialize(deserializer)?;
        let sums = <[[f32; 2]; N]>::try_from(sums.as_slice())
            .map_err(|_| D::Error::invalid_length(sums.len(), &"one pair per knot"))?;
        Ok(Self { sums })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_wrap_around() {
        assert_eq!(Place::of::<96>(-0.5), Place { left: 95, right: 0, share: 0.5 });
        assert_eq!(Place::of::<96>(95.25), Place { left: 95, right: 0, share: 0.25 });
        assert_eq!(Place::of::<96>(3.0), Place { left: 3, right: 4, share: 0.0 });
    }

    #[test]
    fn an_empty_profile_is_flat_and_says_it_knows_nothing() {
        assert_eq!(Knots::<4>::new().read(Place::of::<4>(1.5), 2.0), (1.0, 1.0));
    }

    #[test]
    fn a_knot_that_knows_little_follows_its_group() {
        let mut knots = Knots::<4>::new();
        for _ in 0..100 {
            knots.learn(Place::of::<4>(0.0), 0.0, 1.0, 0.0, 1.0);
        }
        let (ratio, _) = knots.read_grouped(Place::of::<4>(1.0), 2.0, 2);
        assert!(ratio < 0.02, "{ratio}");
        assert_eq!(knots.read_grouped(Place::of::<4>(2.0), 2.0, 2), (1.0, 1.0));
        assert_eq!(knots.read(Place::of::<4>(1.0), 2.0), (1.0, 1.0));
    }

    #[test]
    fn a_saved_profile_of_another_length_is_refused() {
        let saved = serde_json::to_string(&Knots::<4>::new()).unwrap();
        assert!(serde_json::from_str::<Knots<4>>(&saved).is_ok());
        assert!(serde_json::from_str::<Knots<5>>(&saved).is_err());
    }
}
