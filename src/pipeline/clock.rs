//! The wall clock as a port. Only the run loop, delivery and the API hold one.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
};

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since the Unix epoch.
    fn now_millis(&self) -> i64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_millis(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }
}

/// A clock that starts somewhere else and runs at another speed: for the demo.
#[derive(Clone, Copy, Debug)]
pub struct AcceleratedClock {
    started_millis: i64,
    starts_at_millis: i64,
    speed: f64,
}

impl AcceleratedClock {
    /// A clock that shows `starts_at_millis` now and then runs `speed` times as fast as the machine's.
    pub fn new(starts_at_millis: i64, speed: f64) -> Self {
        Self { started_millis: SystemClock.now_millis(), starts_at_millis, speed }
    }
}

impl Clock for AcceleratedClock {
    fn now_millis(&self) -> i64 {
        let elapsed = SystemClock.now_millis() - self.started_millis;
        self.starts_at_millis + (elapsed as f64 * self.speed) as i64
    }
}

/// A clock that stands until it is moved: for tests and backtests.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Shows this time.
    pub fn at(millis: i64) -> Self {
        Self(AtomicI64::new(millis))
    }

    /// Moves to this time.
    pub fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_millis(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
