//! What a detector says about one observation, and the published map from rarity to severity.
//!
//! The map is fixed: a severity means the same number of false events per series and week on every detector
//! and every monitor. Rates are kept as logarithms, because near certainty a probability loses its digits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The verdict on one observation.
///
/// Always finite, and `lower <= expected <= upper`. Values are in the unit of the measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What the detector expected before it saw the value.
    pub expected: f64,
    /// Below this value the observation alone would have severity 70.
    pub lower: f64,
    /// Above this value the observation alone would have severity 70.
    pub upper: f64,
    /// log10 of false events per series and week at this rarity, both sides counted; for paging.
    ///
    /// Not cut to the range of severities; never below -300, so that a power of ten stays above 0.
    pub page_log10_rate: f64,
    /// The same for the minor class: small or slow changes that are significant but do not page.
    pub minor_log10_rate: f64,
    /// On which side of the expected the more unusual evidence lies.
    pub side: Side,
    /// The evidence that speaks loudest.
    pub reason: Reason,
}

impl Score {
    /// Severity of the page class, 0..=100.
    pub fn severity(&self) -> f64 {
        severity_of_log10_rate(self.page_log10_rate)
    }

    /// Severity of the minor class, 0..=100.
    pub fn minor(&self) -> f64 {
        severity_of_log10_rate(self.minor_log10_rate)
    }
}

/// Above or below the expected value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// More than expected.
    Rise,
    /// Less than expected.
    Drop,
}

/// Which sides may raise an alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Rises and drops.
    #[default]
    Both,
    /// Rises only.
    Rise,
    /// Drops only.
    Drop,
}

impl Direction {
    /// Whether `side` may raise an alarm.
    pub fn allows(self, side: Side) -> bool {
        match self {
            Self::Both => true,
            Self::Rise => side == Side::Rise,
            Self::Drop => side == Side::Drop,
        }
    }
}

/// Why a score is what it is; `Display` says it in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing stands out.
    Quiet,
    /// The sum of the newest windows differs from what it was compared with.
    Contrast {
        /// Which comparison.
        statistic: Contrast,
        /// How many of the newest observations it sums up.
        windows: u32,
    },
    /// Nothing has come for an unusually long time.
    Silence,
    /// A value, or a level of the residual, that the series has not shown before.
    Novel,
    /// The pattern of the newest windows fits none that is remembered.
    Pattern,
    /// The change against the reference is too large.
    Change,
    /// A hard bound is crossed.
    Bound,
    /// Nothing has changed for too long.
    Flat,
    /// The measures do not stand to each other as they usually do.
    Relation,
    /// An occasion of the calendar does not bring what its earlier ones did.
    Occasion,
    /// An alarm as large and as long as one that somebody marked as expected or false; kept below severity 60.
    Expected,
}

/// The comparisons of the seasonal detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contrast {
    /// The newest observation against the last 64.
    One,
    /// The last 2 against the last 16.
    Two,
    /// The last 4 against the last 32.
    Four,
    /// The last 32 against the slow level.
    LongLevel,
    /// The last 128 against the slow level.
    LongerLevel,
    /// The last 32 against the last 512.
    Long,
    /// The last 128 against the last 1024.
    Longer,
}

impl Contrast {
    /// How many of the newest observations the comparison sums up (the length of its fading memory).
    pub fn windows(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::LongLevel | Self::Long => 32,
            Self::LongerLevel | Self::Longer => 128,
        }
    }

    /// The length of what it is compared with, in observations; `None` for the level of the last days.
    pub fn reference(self) -> Option<u32> {
        match self {
            Self::One => Some(64),
            Self::Two => Some(16),
            Self::Four => Some(32),
            Self::LongLevel | Self::LongerLevel => None,
            Self::Long => Some(512),
            Self::Longer => Some(1024),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quiet => f.write_str("nothing stands out"),
            Self::Silence => f.write_str("nothing has come for an unusually long time"),
            Self::Novel => f.write_str("a value it has not shown before"),
            Self::Pattern => f.write_str("the last windows follow no pattern that is remembered"),
            Self::Change => f.write_str("too large a change against its reference"),
            Self::Bound => f.write_str("a bound is crossed"),
            Self::Flat => f.write_str("nothing has changed for too long"),
            Self::Relation => f.write_str("the measures do not stand to each other as usual"),
            Self::Occasion => f.write_str("this occasion is not what it usually is"),
            Self::Expected => f.write_str("as large and as long as what was marked as expected"),
            Self::Contrast { statistic, windows } => {
                match windows {
                    1 => f.write_str("last window")?,
                    several => write!(f, "last {several} windows")?,
                }
                match statistic.reference() {
                    Some(before) => write!(f, " against the {before} before"),
                    None => f.write_str(" against the level of the last days"),
                }
            }
        }
    }
}

/// The published map: severity of a rate given as log10 of false events per series and week.
///
/// 70 is one false event a week, 80 one in 10 weeks, 90 one in 100 weeks, 50 ten a week; cut to 0..=100.
/// A rate that is not a number has severity 0.
pub fn severity_of_log10_rate(log10_rate: f64) -> f64 {
    let severity = if log10_rate < 0.0 { 70.0 - 10.0 * log10_rate } else { 70.0 - 20.0 * log10_rate };
    if severity.is_nan() { 0.0 } else { severity.clamp(0.0, 100.0) }
}

/// The rate that has this severity; the inverse of [`severity_of_log10_rate`] on (0, 100).
pub fn log10_rate_of_severity(severity: f64) -> f64 {
    if severity > 70.0 { (70.0 - severity) / 10.0 } else { (70.0 - severity) / 20.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_as_published() {
        for (log10_rate, severity) in
            [(0.0, 70.0), (-1.0, 80.0), (-2.0, 90.0), (1.0, 50.0), (-9.0, 100.0), (4.0, 0.0)]
        {
            assert_eq!(severity_of_log10_rate(log10_rate), severity);
        }
        for severity in 1..100 {
            let there_and_back = severity_of_log10_rate(log10_rate_of_severity(f64::from(severity)));
            assert!((there_and_back - f64::from(severity)).abs() < 1e-12);
        }
        assert_eq!(severity_of_log10_rate(f64::NAN), 0.0);
    }

    #[test]
    fn reasons_speak_plainly() {
        let says =
            |statistic: Contrast| Reason::Contrast { statistic, windows: statistic.windows() }.to_string();
        assert_eq!(says(Contrast::Four), "last 4 windows against the 32 before");
        assert_eq!(says(Contrast::One), "last window against the 64 before");
        assert_eq!(says(Contrast::LongerLevel), "last 128 windows against the level of the last days");
        assert_eq!(Reason::Silence.to_string(), "nothing has come for an unusually long time");
    }

    #[test]
    fn directions_are_lower_case_words() {
        assert_eq!(serde_json::to_string(&Direction::default()).unwrap(), "\"both\"");
        assert!(Direction::Drop.allows(Side::Drop) && !Direction::Drop.allows(Side::Rise));
    }
}
