//! From the outbox to a notifier: at least once, each incident in order, with bounded retries.
//!
//! One task per notifier, so that one that is down does not hold up another. A crash between sending and
//! noting it sends the alert again with the same id; receivers drop repetitions by that id.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Clock, Notifier, NotifyError, Outbox, OutboxRow, Retry, StoreError, Telemetry, telemetry::Delivery,
};

/// How patient delivery is.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryPolicy {
    /// Pause after the first failure; doubles with each.
    pub pause_first: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// Attempts before an alert is given up.
    pub attempts_max: u32,
    /// How often the outbox is looked at without being woken.
    pub look_every: Duration,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            pause_first: Duration::from_secs(1),
            pause_max: Duration::from_mins(5),
            attempts_max: 100,
            look_every: Duration::from_millis(500),
        }
    }
}

/// Alerts taken from the outbox at a time.
const PAGE: usize = 50;

const MINUTE_MILLIS: i64 = 60_000;

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// Sent or given up.
    ForGood,
    /// To be tried again.
    Postponed,
}

/// Carries the alerts of one notifier.
#[derive(Debug)]
pub struct Courier {
    /// The notifier's name.
    pub name: String,
    /// Where alerts go.
    pub notifier: Arc<dyn Notifier>,
    /// Where they wait.
    pub outbox: Arc<dyn Outbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Metrics.
    pub telemetry: Arc<Telemetry>,
    /// How patient to be.
    pub policy: DeliveryPolicy,
    /// Attempts in any minute; further alerts wait.
    pub per_minute: Option<u32>,
    /// Woken when alerts were stored.
    pub alerts_stored: Arc<Notify>,
}

impl Courier {
    /// Sends alerts until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StoreError> {
        let mut rate = Rate { per_minute: self.per_minute, attempts: VecDeque::new() };
        loop {
            let due = self.outbox.due(&self.name, self.clock.now_millis(), PAGE).await?;
            let mut held_up = BTreeSet::new();
            let mut is_limited = false;
            for row in &due {
                let incident = row.alert.incident.id.as_str();
                if held_up.contains(incident) {
                    continue;
                }
                if !rate.admits(self.clock.now_millis()) {
                    is_limited = true;
                    self.telemetry.note_rate_limited(&self.name);
                    break;
                }
                let outcome = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    outcome = self.notifier.send(&row.alert) => outcome,
                };
                if self.settle(row, outcome).await? == Settled::Postponed {
                    held_up.insert(incident);
                }
            }
            self.telemetry.set_waiting(&self.name, self.outbox.num_waiting(&self.name).await?);
            if is_limited || due.len() < PAGE {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = self.alerts_stored.notified() => {}
                    () = tokio::time::sleep(self.policy.look_every) => {}
                }
            }
        }
    }

    async fn settle(&self, row: &OutboxRow, outcome: Result<(), NotifyError>) -> Result<Settled, StoreError> {
        let (id, notifier) = (row.alert.id.as_str(), self.name.as_str());
        let now_millis = self.clock.now_millis();
        let Err(error) = outcome else {
            Delivery::Sent { id, notifier }.emit(&self.telemetry);
            self.outbox.delivered(id, now_millis).await?;
            return Ok(Settled::ForGood);
        };
        let why = error.to_string();
        let attempts = row.attempts + 1;
        let pause = match error.retry() {
            Retry::Never => None,
            _ if attempts >= self.policy.attempts_max => None,
            Retry::Backoff => Some(pause(id, attempts, self.policy)),
            // Never less than without the wish, or a short one would use up all attempts in no time.
            Retry::After(asked) => {
                Some(asked.max(pause(id, attempts, self.policy)).min(self.policy.pause_max))
            }
        };
        if let Some(pause) = pause {
            Delivery::Failed { id, notifier, error: &why }.emit(&self.telemetry);
            self.outbox.postpone(id, now_millis + pause.as_millis() as i64, &why).await?;
            Ok(Settled::Postponed)
        } else {
            Delivery::Dropped { id, notifier, error: &why }.emit(&self.telemetry);
            self.outbox.give_up(id, now_millis, &why).await?;
            Ok(Settled::ForGood)
        }
    }
}

/// The attempts of the last minute.
struct Rate {
    per_minute: Option<u32>,
    attempts: VecDeque<i64>,
}

impl Rate {
    /// Whether another attempt may be made now; counts it if so.
    fn admits(&mut self, now_millis: i64) -> bool {
        let Some(most) = self.per_minute else { return true };
        while self.attempts.front().is_some_and(|when| *when <= now_millis - MINUTE_MILLIS) {
            self.attempts.pop_front();
        }
        let admitted = self.attempts.len() < most as usize;
        if admitted {
            self.attempts.push_back(now_millis);
        }
        admitted
    }
}

/// Doubling from the first pause, spread by up to a quarter either way so that many alerts do not come back
/// at once. The spread follows from the id and the attempt, so no randomness is needed.
fn pause(id: &str, attempts: u32, policy: DeliveryPolicy) -> Duration {
    let doubled = policy.pause_first.saturating_mul(1 << (attempts - 1).min(20)).min(policy.pause_max);
    let hash = id
        .bytes()
        .fold(u64::from(attempts), |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    doubled.mul_f64(0.75 + (hash >> 11) as f64 / (1_u64 << 53) as f64 / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_spread_and_stay_bounded() {
        let policy = DeliveryPolicy::default();
        for attempts in 1..40 {
            let pause = pause("shop-1:0:1:opened:mail", attempts, policy);
            let centre = policy.pause_first.saturating_mul(1 << (attempts - 1).min(20)).min(policy.pause_max);
            assert!(pause >= centre.mul_f64(0.75) && pause <= centre.mul_f64(1.25), "{attempts}: {pause:?}");
        }
        assert_ne!(pause("a", 3, policy), pause("b", 3, policy));
    }

    #[test]
    fn a_rate_holds_in_any_minute() {
        let mut rate = Rate { per_minute: Some(2), attempts: VecDeque::new() };
        let admitted: Vec<bool> =
            [0, 30_000, 59_999, 60_000, 89_999, 90_000].map(|now| rate.admits(now)).to_vec();
        assert_eq!(admitted, [true, true, false, true, false, true]);
        let mut free = Rate { per_minute: None, attempts: VecDeque::new() };
        assert!((0..1_000).all(|_| free.admits(0)));
    }
}
