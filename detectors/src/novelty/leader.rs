//! Values seen before, as a bounded list of prototypes within a slowly forgetting range.

use serde::{Deserialize, Serialize};

const PROTOTYPES: usize = 64;
/// A value further than this share of the range from every prototype founds a new one.
pub(super) const RADIUS: f64 = 0.05;
/// How far a prototype moves towards a value it stands for.
const PULL: f64 = 0.02;
const MOST_DISTANCE: f64 = 100.0;
/// Observations before a distance means anything.
const SETTLE: u64 = 30;

/// Rates of forgetting in observations; follow from the interval, never saved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forgetting {
    keep: f64,
    centre_rate: f64,
    unused_after: u64,
}

impl Forgetting {
    pub(super) fn new(interval_seconds: u32) -> Self {
        let per_day = 86_400.0 / f64::from(interval_seconds);
        Self {
            keep: 1.0 - 1.0 / (35.0 * per_day).max(1e4),
            centre_rate: 1.0 / (7.0 * per_day).max(2_000.0),
            unused_after: (14.0 * per_day).max(4_000.0) as u64,
        }
    }
}

/// The prototypes of one signal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Leader {
    seen: u64,
    least: f64,
    most: f64,
    centre: f64,
    prototypes: Vec<Prototype>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Prototype {
    at: f64,
    used: u64,
}

impl Leader {
    /// Width of the range; a count's is never narrower than ten of its standard deviations.
    fn range(&self, count: bool) -> f64 {
        let range = self.most - self.least + 1e-12;
        if count { range.max(10.0 * self.most.abs().max(self.least.abs()).max(1.0).sqrt()) } else { range }
    }

    fn nearest(&self, value: f64, forgetting: Forgetting) -> Option<(usize, f64)> {
        let mut nearest: Option<(usize, f64)> = None;
        for (index, prototype) in self.prototypes.iter().enumerate() {
            let distance = (value - prototype.at).abs();
            let is_known = self.seen.saturating_sub(prototype.used) <= forgetting.unused_after;
            if is_known && nearest.is_none_or(|(_, least)| distance < least) {
                nearest = Some((index, distance));
            }
        }
        nearest
    }

    /// Distance of `value` from everything known, as a share of the range.
    pub(super) fn distance(&self, value: f64, count: bool, forgetting: Forgetting) -> f64 {
        if self.seen <= SETTLE {
            return 0.0;
        }
        let nearest = self.nearest(value, forgetting);
        nearest.map_or(0.0, |(_, distance)| (distance / self.range(count)).min(MOST_DISTANCE))
    }

    /// Between which values nothing would be further than `distance` outside all that is known.
    pub(super) fn edges(&self, distance: f64, count: bool) -> (f64, f64) {
        let reach = distance * self.range(count);
        let ends = self.prototypes.iter().map(|prototype| (prototype.at, prototype.at));
        let (least, most) =
            ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((self.centre, self.centre));
        (least - reach, most + reach)
    }

    pub(super) fn learn(&mut self, value: f64, count: bool, forgetting: Forgetting) {
        if self.seen == 0 {
            (self.least, self.most, self.centre) = (value, value, value);
        }
        let now = self.seen;
        self.prototypes.retain(|prototype| now - prototype.used <= forgetting.unused_after);
        match self.nearest(value, forgetting) {
            Some((index, distance)) if distance <= RADIUS * self.range(count) => {
                let prototype = &mut self.prototypes[index];
                prototype.used = now;
                prototype.at += PULL * (value - prototype.at);
            }
            _ => self.found(value),
        }
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        self.seen += 1;
        self.centre += (value - self.centre) * forgetting.centre_rate.max(1.0 / self.seen as f64);
        self.least = self.centre + (self.least - self.centre) * forgetting.keep;
        self.most = self.centre + (self.most - self.centre) * forgetting.keep;
    }

    fn found(&mut self, at: f64) {
        let prototype = Prototype { at, used: self.seen };
        if self.prototypes.len() < PROTOTYPES {
            self.prototypes.push(prototype);
        } else if let Some(oldest) = self.prototypes.iter_mut().min_by_key(|prototype| prototype.used) {
            *oldest = prototype;
        }
    }
}
