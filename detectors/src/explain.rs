//! Why a score is what it is, in numbers and in plain words.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::score::{Contrast, Reason, Score, severity_of_log10_rate};

/// The severity from which an anomaly pages by default.
const PAGE: f64 = 70.0;

/// Everything that speaks for and against an anomaly at one observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The value that came, in the unit of the measure.
    pub value: f64,
    /// What was expected, in the unit of the measure.
    pub expected: f64,
    /// The score with its band, rates and reason; `None` while the detector warms up.
    pub score: Option<Score>,
    /// What each comparison of the seasonal detector found; empty for other detectors.
    pub comparisons: Vec<Comparison>,
    /// log10 of the false alarms per week, both sides counted, of the present silence, if a run of zeros goes on.
    pub silence_log10_rate: Option<f64>,
    /// What kept an observation from paging; empty if it pages, or if nothing stands out.
    pub held_back: Vec<HeldBack>,
}

/// One comparison of recent windows with a reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Which one.
    pub statistic: Contrast,
    /// How many of the newest observations it sums up.
    pub windows: u32,
    /// Whether it can page, or feeds the minor class only.
    pub pages: bool,
    /// What came to what the reference made expect, less 1: -0.12 is 12 % below.
    pub change: f64,
    /// Strength in standard deviations as usual on this series, positive for a rise.
    pub strength: f64,
    /// log10 of the false alarms per week, both sides counted, that it alone would make by its strength; `None`
    /// where it is as usual.
    pub log10_rate: Option<f64>,
    /// How rare for this hour: strength in multiples of its threshold.
    pub relative: f64,
    /// How large for the whole week: residual in multiples of its threshold; only where it can page.
    pub absolute: Option<f64>,
}

/// A cause that kept an observation from paging.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBack {
    /// The detector does not score yet.
    WarmingUp {
        /// Observations so far.
        seen: u64,
        /// Observations needed.
        needed: u64,
    },
    /// Long comparisons and silence do not speak yet.
    LongWarmingUp {
        /// Observations so far.
        seen: u64,
        /// Observations needed.
        needed: u64,
    },
    /// In the first week strengths count by this factor only.
    FirstWeek {
        /// From .5 to 1.
        factor: f64,
    },
    /// Rare for this hour, but small beside the usual deviations of the whole week.
    SmallForTheWeek {
        /// Residual in multiples of its threshold.
        absolute: f64,
    },
    /// Large for the week, but not rare for this hour.
    UsualForTheHour {
        /// Strength in multiples of its threshold.
        relative: f64,
    },
    /// The series has alarmed so often that its thresholds were raised.
    AlarmsTooOften {
        /// By this factor.
        factor: f64,
    },
    /// A series of zeros has values of this size often.
    UsualSize,
    /// The side is switched off in the settings.
    Direction,
    /// Somebody marked such an alarm as expected or false.
    Expected,
    /// The calendar names an occasion that was never seen before; a rise within it is no news.
    NewOccasion,
    /// Nothing comes, but not for long enough.
    SilenceTooShort,
}

impl Explanation {
    /// The explanation of a detector that gives its score and no more.
    pub(crate) fn plain(value: f64, score: Score) -> Self {
        let (comparisons, held_back) = (Vec::new(), Vec::new());
        Self {
            value,
            expected: score.expected,
            score: Some(score),
            comparisons,
            silence_log10_rate: None,
            held_back,
        }
    }

    /// The comparison that the reason names, or else the rarest.
    pub fn loudest(&self) -> Option<&Comparison> {
        if let Some(Score { reason: Reason::Contrast { statistic, .. }, .. }) = self.score {
            return self.comparisons.iter().find(|comparison| comparison.statistic == statistic);
        }
        let rate = |comparison: &&Comparison| comparison.log10_rate.unwrap_or(f64::INFINITY);
        let rarest = self.comparisons.iter().min_by(|one, other| rate(one).total_cmp(&rate(other)));
        rarest.filter(|comparison| comparison.log10_rate.is_some())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} came where {} was expected", Number(self.value), Number(self.expected))?;
        if let Some(score) = &self.score {
            write!(f, " (alone, from {} to {} would not page)", Number(score.lower), Number(score.upper))?;
        }
        f.write_str(".")?;
        if let Some(comparison) = self.loudest() {
            write!(f, " {comparison}.")?;
        } else if let Some(score) = &self.score {
            let reason = score.reason.to_string();
            let (first, rest) = reason.split_at(reason.chars().next().map_or(0, char::len_utf8));
            write!(f, " {}{rest}.", first.to_uppercase())?;
        }
        let pages = self.score.is_some_and(|score| score.severity() >= PAGE);
        if let Some(score) = &self.score {
            let (page, minor) = (score.severity(), score.minor());
            write!(f, " Severity {page:.0} to page and {minor:.0} for the list of minor changes.")?;
            if score.reason == Reason::Silence {
                write!(f, " Nothing has come for so long {}.", Often(score.page_log10_rate))?;
            }
        }
        if !pages && !self.held_back.is_empty() {
            let quiet = self.score.is_none_or(|score| score.reason == Reason::Quiet);
            f.write_str(if quiet { " Mind that " } else { " It did not page because " })?;
            for (index, cause) in self.held_back.iter().enumerate() {
                write!(f, "{}{cause}", if index == 0 { "" } else { "; and " })?;
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.windows {
            1 => f.write_str("The last window is")?,
            several => write!(f, "The last {several} windows are")?,
        }
        let side = if self.change < 0.0 { "below" } else { "above" };
        write!(f, " {} {side} ", Percent(self.change.abs()))?;
        match self.statistic.reference() {
            Some(before) => write!(f, "the {before} before, the usual rhythm allowed for")?,
            None => f.write_str("the level of the last days")?,
        }
        match self.log10_rate {
            Some(rate) => write!(f, "; so much happens by chance {}", Often(rate)),
            None => f.write_str("; that is as usual"),
        }
    }
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WarmingUp { seen, needed } => {
                write!(f, "the detector still warms up ({seen} of {needed} values seen)")
            }
            Self::LongWarmingUp { seen, needed } => {
                write!(f, "slow changes and silence are judged later ({seen} of {needed} values seen)")
            }
            Self::FirstWeek { factor } => {
                write!(f, "in the first week deviations count {} only", Percent(*factor))
            }
            Self::SmallForTheWeek { absolute } => write!(
                f,
                "it is unusual for this hour but small for the whole week ({} of the size for a page)",
                Percent(*absolute)
            ),
            Self::UsualForTheHour { relative } => write!(
                f,
                "it is large but not unusual for this hour ({} of what makes a page)",
                Percent(*relative)
            ),
            Self::AlarmsTooOften { factor } => {
                write!(f, "this series has alarmed so often that it now takes {factor:.2} times as much")
            }
            Self::UsualSize => f.write_str("values of this size are common on this series of zeros"),
            Self::Direction => f.write_str("alarms on this side are switched off"),
            Self::Expected => f.write_str("it is as large and as long as what was marked as expected"),
            Self::NewOccasion => {
                f.write_str("the calendar names an occasion of which it is not known what it does")
            }
            Self::SilenceTooShort => f.write_str("nothing comes, but not yet for an unusually long time"),
        }
    }
}

/// A share as a percentage.
struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.0;
        if percent < 1_000.0 { write!(f, "{percent:.0} %") } else { write!(f, "{:.0} times", self.0) }
    }
}

/// A value with three or four digits that matter.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = if self.0 == self.0.round() || self.0.abs() >= 1_000.0 { 0 } else { 2 };
        write!(f, "{:.*}", decimals, self.0)
    }
}

/// How often something happens, from log10 of times a week.
struct Often(f64);

impl fmt::Display for Often {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WEEKS_PER_YEAR: f64 = 52.0;
        let weeks = 10_f64.powf(-self.0);
        if severity_of_log10_rate(self.0) <= 0.0 {
            f.write_str("all the time")
        } else if weeks < 0.75 {
            write!(f, "about {:.0} times a week", 1.0 / weeks)
        } else if weeks < 1.5 {
            f.write_str("about once a week")
        } else if weeks < 2.0 * WEEKS_PER_YEAR {
            write!(f, "about once in {weeks:.0} weeks")
        } else if weeks < 1_000.0 * WEEKS_PER_YEAR {
            write!(f, "about once in {:.0} years", weeks / WEEKS_PER_YEAR)
        } else {
            f.write_str("practically never")
        }
    }
}
