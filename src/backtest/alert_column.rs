//! When a running severity is worth an alert: at its onset and when it clearly rises further.

/// Below this severity nothing is held.
const QUIET: f64 = 50.0;
/// A rise by more than this over the held peak is told again.
const STEP: f64 = 5.0;
/// The held peak fades by this factor in each quiet window.
const FADE: f64 = 0.99;

/// Holds the peak of a severity.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AlertColumn {
    held: f64,
}

impl AlertColumn {
    /// The severity if it is an onset or an escalation, else 0.
    pub(super) fn next(&mut self, severity: f64) -> f64 {
        let height = severity - QUIET;
        if height <= 0.0 {
            self.held *= FADE;
            0.0
        } else if height > self.held + STEP {
            self.held = height;
            severity
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onsets_and_escalations_are_told_once() {
        let mut column = AlertColumn::default();
        let told: Vec<f64> = [40.0, 72.0, 75.0, 78.0, 70.0, 40.0, 72.0]
            .into_iter()
            .map(|severity| column.next(severity))
            .collect();
        assert_eq!(told, [0.0, 72.0, 0.0, 78.0, 0.0, 0.0, 0.0]);
        for _ in 0..300 {
            column.next(10.0);
        }
        assert_eq!(column.next(72.0), 72.0);
    }
}
