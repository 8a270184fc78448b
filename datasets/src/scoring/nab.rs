//! The score of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015), as its own program computes it.
//!
//! Rows count in the order of the file; the first 15 % (at most 750 rows) are not judged. In each labelled
//! window the best detection earns the more the earlier it comes; a window without one costs; every detection
//! outside of windows costs, the more the further it is from the window before it. Doing nothing is 0, finding
//! everything at once without a false alarm is 100.
//!
//! The benchmark chooses the threshold on the test labels, one for all files: [`nab_best`]. [`nab_at`] is the
//! score at a threshold that was fixed before.

/// What the kinds of detections are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NabProfile {
    /// Its published name.
    pub name: &'static str,
    /// Worth of a detection at the start of a window.
    pub found: f64,
    /// Price of a window without a detection.
    pub missed: f64,
    /// Price of a detection far from any window.
    pub false_alarm: f64,
}

/// The published profiles.
pub const NAB_PROFILES: [NabProfile; 3] = [
    NabProfile { name: "standard", found: 1.0, missed: 1.0, false_alarm: 0.11 },
    NabProfile { name: "reward_low_FP_rate", found: 1.0, missed: 1.0, false_alarm: 0.22 },
    NabProfile { name: "reward_low_FN_rate", found: 1.0, missed: 2.0, false_alarm: 0.11 },
];

/// One file of the benchmark: a score per row, and the rows of its labelled windows.
#[derive(Clone, Debug)]
pub struct NabFile {
    scores: Vec<f64>,
    places: Vec<Place>,
    windows: usize,
}

/// A score of the whole benchmark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NabScore {
    /// Rows with at least this score are detections.
    pub threshold: f64,
    /// The total.
    pub raw: f64,
    /// The total on the scale of 0 (nothing) to 100 (perfect).
    pub normalised: f64,
}

/// Where a row lies, and what a detection there is worth per unit.
#[derive(Clone, Copy, Debug)]
enum Place {
    Inside(usize, f64),
    Outside(f64),
}

/// A judged row: its score and its place, windows counted over all files.
type Judged = (f64, Place);

impl NabFile {
    /// `windows` are the first and the last row of each window, ascending and apart from each other. Missing
    /// scores count as 0.
    pub fn new(scores: &[f64], windows: &[(usize, usize)]) -> Self {
        let mut next = 0;
        let place = |row: usize| {
            while windows.get(next).is_some_and(|(_, last)| *last < row) {
                next += 1;
            }
            match windows.get(next) {
                Some((first, last)) if *first <= row => {
                    let width = (last - first + 1) as f64;
                    Place::Inside(next, worth(-((last - row + 1) as f64) / width) / worth(-1.0))
                }
                _ => match next.checked_sub(1).map(|before| windows[before]) {
                    None => Place::Outside(-1.0),
                    Some((first, last)) => {
                        Place::Outside(worth((row - last) as f64 / (last - first).max(1) as f64))
                    }
                },
            }
        };
        Self {
            places: (0..scores.len()).map(place).collect(),
            scores: scores.iter().map(|score| if score.is_nan() { 0.0 } else { *score }).collect(),
            windows: windows.len(),
        }
    }

    /// Rows at the start that are not judged.
    pub fn probation(rows: usize) -> usize {
        (rows * 15 / 100).min(750)
    }
}

/// Falls from 1 (far before) through 0 (at the right edge of a window) to -1 (far after).
fn worth(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + libm::exp(5.0 * position)) - 1.0 }
}

/// The score at the one threshold that is best for all files together.
pub fn nab_best(files: &[NabFile], profile: &NabProfile) -> NabScore {
    let mut rows = judged(files);
    rows.sort_by(|left, right| right.0.total_cmp(&left.0));
    let mut total = Total::new(files, profile);
    let mut best = (total.raw, 1.1);
    for (index, row) in rows.iter().enumerate() {
        total.detect(row.1);
        let level_ends = rows.get(index + 1).is_none_or(|next| next.0 != row.0);
        if level_ends && total.raw > best.0 {
            best = (total.raw, row.0);
        }
    }
    total.scored(best.0, best.1)
}

/// The score at a fixed threshold.
pub fn nab_at(files: &[NabFile], profile: &NabProfile, threshold: f64) -> NabScore {
    let mut total = Total::new(files, profile);
    for row in judged(files) {
        if row.0 >= threshold {
            total.detect(row.1);
        }
    }
    total.scored(total.raw, threshold)
}

fn judged(files: &[NabFile]) -> Vec<Judged> {
    let mut rows = Vec::new();
    let mut windows_before = 0;
    for file in files {
        for row in NabFile::probation(file.scores.len())..file.scores.len() {
            let place = match file.places[row] {
                Place::Inside(window, worth) => Place::Inside(window + windows_before, worth),
                outside @ Place::Outside(_) => outside,
            };
            rows.push((file.scores[row], place));
        }
        windows_before += file.windows;
    }
    rows
}

/// The running total while detections are added.
struct Total<'a> {
    profile: &'a NabProfile,
    raw: f64,
    best: Vec<Option<f64>>,
}

impl<'a> Total<'a> {
    fn new(files: &[NabFile], profile: &'a NabProfile) -> Self {
        let windows = files.iter().map(|file| file.windows).sum();
        Self { profile, raw: -profile.missed * windows as f64, best: vec![None; windows] }
    }

    fn detect(&mut self, place: Place) {
        match place {
            Place::Outside(unit) => self.raw += self.profile.false_alarm * unit,
            Place::Inside(window, unit) => {
                let worth = self.profile.found * unit;
                let before = self.best[window].unwrap_or(-self.profile.missed);
                if worth > before {
                    self.raw += worth - before;
                    self.best[window] = Some(worth);
                }
            }
        }
    }

    fn scored(&self, raw: f64, threshold: f64) -> NabScore {
        let windows = self.best.len() as f64;
        let nothing = -self.profile.missed * windows;
        let perfect = self.profile.found * windows;
        NabScore { threshold, raw, normalised: 100.0 * (raw - nothing) / (perfect - nothing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: &NabProfile = &NAB_PROFILES[0];

    /// 100 rows (15 of probation), windows 40..=49 and 80..=89.
    fn file(detections: &[(usize, f64)]) -> NabFile {
        let mut scores = vec![0.0; 100];
        for (row, score) in detections {
            scores[*row] = *score;
        }
        NabFile::new(&scores, &[(40, 49), (80, 89)])
    }

    #[test]
    fn nothing_is_zero_and_everything_at_once_is_a_hundred() {
        assert_eq!(nab_at(&[file(&[])], STANDARD, 0.5).normalised, 0.0);
        let perfect = nab_at(&[file(&[(40, 1.0), (80, 1.0)])], STANDARD, 0.5);
        assert_eq!((perfect.raw, perfect.normalised), (2.0, 100.0));
        assert_eq!(nab_best(&[file(&[(40, 0.6), (80, 0.9)])], STANDARD).threshold, 0.6);
    }

    #[test]
    fn the_rules_row_by_row() {
        // The last row of a window: y = -1/10. Two rows after a window of ten: y = 2/9. Before any: -1.
        let unit = |y: f64| 2.0 / (1.0 + (5.0 * y).exp()) - 1.0;
        let raw = |row: usize| nab_at(&[file(&[(row, 1.0)])], STANDARD, 0.5).raw;
        assert!((raw(49) - (-1.0 + unit(-0.1) / unit(-1.0))).abs() < 1e-12);
        assert!((raw(51) - (-2.0 + 0.11 * unit(2.0 / 9.0))).abs() < 1e-12);
        assert!((raw(20) - (-2.0 - 0.11)).abs() < 1e-12);
        assert!((raw(79) - (-2.0 - 0.11)).abs() < 1e-12, "30 rows after the window: beyond three widths");
        assert_eq!(raw(14), -2.0, "probation");
    }

    #[test]
    fn only_the_best_detection_of_a_window_counts_and_false_alarms_all_do() {
        let once = nab_at(&[file(&[(42, 1.0)])], STANDARD, 0.5).raw;
        assert_eq!(nab_at(&[file(&[(42, 1.0), (45, 1.0)])], STANDARD, 0.5).raw, once);
        let twice = nab_at(&[file(&[(20, 1.0), (30, 1.0)])], &NAB_PROFILES[1], 0.5).raw;
        assert!((twice - (-2.0 - 0.44)).abs() < 1e-12);
    }

    #[test]
    fn the_best_threshold_may_be_silence() {
        let silent = nab_best(&[file(&[(20, 0.9)])], STANDARD);
        assert_eq!((silent.threshold, silent.raw), (1.1, -2.0));
    }
}
