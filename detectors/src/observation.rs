//! What a detector sees: one series' value for one closed window.
//!
//! An observation is finite by construction, so detectors need no error path. A window without a value is
//! not an observation: the next one simply comes later. Time zones are not known here; the caller turns
//! instants into the wall clock of the shop.

use serde::{Deserialize, Serialize};

/// One value of one series at one civil time, with the number of events behind it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Observation {
    civil_seconds: i64,
    value: f64,
    events: u64,
    weight: f64,
    occasion: Option<Occasion>,
}

/// A day or an hour that the calendar knows: a holiday, a promotion, an outage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Occasion {
    /// Which occasion; the same number every time it comes back, across restarts and changes of settings.
    pub class: u64,
    /// By what the usual value is expected to be multiplied, if somebody knows; positive and finite.
    pub uplift: Option<f64>,
}

/// What a series has learned of an occasion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnedOccasion {
    /// Which one.
    pub class: u64,
    /// What the usual value was multiplied by as a whole, the mean over its occurrences.
    pub uplift: f64,
    /// Occurrences that were learned.
    pub times: u32,
}

impl Observation {
    /// An observation, or `None` unless `value` is finite.
    ///
    /// `civil_seconds` are seconds of the shop's local wall clock since 1970-01-01T00:00 local time: the
    /// hour that a change to summer time skips is a jump, the one it repeats comes twice.
    pub fn new(civil_seconds: i64, value: f64, events: u64) -> Option<Self> {
        value.is_finite().then_some(Self { civil_seconds, value, events, weight: 1.0, occasion: None })
    }

    /// The same with what the value rests on: the denominator of a ratio, the numbers behind a mean or a
    /// quantile. `None` unless `weight` is finite and positive.
    pub fn with_weight(self, weight: f64) -> Option<Self> {
        (weight.is_finite() && weight > 0.0).then_some(Self { weight, ..self })
    }

    /// The same on an occasion of the calendar.
    #[must_use]
    pub fn with_occasion(self, occasion: Occasion) -> Self {
        Self { occasion: Some(occasion), ..self }
    }

    /// Seconds of the local wall clock since 1970-01-01T00:00 local time.
    pub fn civil_seconds(&self) -> i64 {
        self.civil_seconds
    }

    /// The value of the window, in the unit of the measure; always finite.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// How many events the value was made of.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// What the value rests on; 1 where nobody said.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The occasion of the calendar, if it is one.
    pub fn occasion(&self) -> Option<Occasion> {
        self.occasion
    }
}

#[derive(Deserialize)]
struct Unchecked {
    civil_seconds: i64,
    value: f64,
    events: u64,
    weight: f64,
    occasion: Option<Occasion>,
}

impl TryFrom<Unchecked> for Observation {
    type Error = &'static str;

    fn try_from(raw: Unchecked) -> Result<Self, Self::Error> {
        let plain =
            Self::new(raw.civil_seconds, raw.value, raw.events).ok_or("an observation must be finite")?;
        let weighed = plain.with_weight(raw.weight).ok_or("what an observation rests on must be positive")?;
        Ok(Self { occasion: raw.occasion, ..weighed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_values_become_observations() {
        assert!(Observation::new(0, f64::NAN, 0).is_none());
        assert!(Observation::new(0, f64::INFINITY, 0).is_none());
        let observation = Observation::new(-60, -1.5, 3).unwrap();
        assert_eq!((observation.civil_seconds(), observation.value(), observation.events()), (-60, -1.5, 3));
    }

    #[test]
    fn a_saved_observation_is_checked_again() {
        let saved = serde_json::to_string(&Observation::new(5, 2.0, 2).unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<Observation>(&saved).unwrap().value(), 2.0);
    }
}
