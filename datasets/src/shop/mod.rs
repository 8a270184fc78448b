//! A seeded shop: page views, adds to cart and orders of six countries on three devices.
//!
//! # What is in it
//! - Each country lives in its own civil time: a night trough, a lunch and an evening peak, its own
//!   weekend. Mobile rises in the evening, desktop in office hours.
//! - Adds to cart and orders follow from page views at rates that differ by country and device.
//! - The whole wanders by 3 % over hours and each country has good and bad days.
//! - Promotions, which are normal and not faults: a newsletter every Tuesday at 10:00 local time
//!   (+40 %, gone in two hours), and in runs of four weeks or more one weekend of +25 %, which
//!   [`Shop::promotions`] announces.
//! - Faults, which [`Shop::truth`] lists.
//!
//! # Promises
//! Same configuration, same events, on every platform. Times never go back. A fault changes nothing
//! outside its slice, nor the steps of the funnel above it: with the same seed those events are equal
//! one by one; after it, only who the slice's visitors are may differ. Memory is one minute of events;
//! the work is lazy.
//!
//! # Not in it
//! New and dying countries, late or broken records, holidays.
//!
//! ```
//! use tidewatch_datasets::shop::{FaultPlan, Shop, ShopConfig};
//!
//! let start_millis = 1_772_323_200_000; // 2026-03-01T00:00:00Z
//! let config = ShopConfig { seed: 7, start_millis, days: 1, rate: 5.0, faults: FaultPlan::None };
//! let mut line = Vec::new();
//! for event in Shop::new(&config).take(3) {
//!     event.write_json(&mut line);
//!     line.push(b'\n');
//! }
//! assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 3);
//! ```

mod clock;
mod effects;
mod event;
mod fault;
mod journey;
mod noise;
mod plan;
mod rhythm;
mod tables;

pub use event::{EventKind, Order, ShopEvent};
pub use fault::{Fault, FaultKind, FaultPlan, truth_json};
pub use tables::{COUNTRIES, DEVICES};

use clock::{MINUTE_MILLIS, MINUTES_PER_DAY};
use effects::Effects;
use journey::{Cell, Minute};
use noise::Noise;
use rhythm::Rhythm;
use tables::{NUM_CELLS, NUM_DEVICES};

/// The most events per minute a shop makes; a higher [`ShopConfig::rate`] counts as this.
pub const RATE_MAX: f64 = 1_000_000.0;

/// Everything that decides a run.
#[derive(Debug, Clone, PartialEq)]
pub struct ShopConfig {
    /// Chooses all that is random.
    pub seed: u64,
    /// First instant, in milliseconds since 1970-01-01 UTC.
    pub start_millis: i64,
    /// Length in days of 24 hours.
    pub days: u32,
    /// Mean events per minute of the whole shop over a healthy week: page views, adds to cart and
    /// orders together. At most [`RATE_MAX`]; what is not positive makes no events.
    pub rate: f64,
    /// What breaks.
    pub faults: FaultPlan,
}

/// A promotion that was announced: more of everything, and normal.
#[derive(Debug, Clone, PartialEq)]
pub struct Promotion {
    /// What it is called.
    pub name: &'static str,
    /// When the first country's day begins, in milliseconds since 1970-01-01 UTC.
    pub start_millis: i64,
    /// When the last country's day has ended.
    pub end_millis: i64,
    /// Signed fraction, as in [`Fault::size`].
    pub size: f64,
}

/// The shop's events in order of time.
#[derive(Debug)]
pub struct Shop {
    seed: u64,
    start_millis: i64,
    next_minute: u64,
    end_minute_exclusive: u64,
    rhythm: Rhythm,
    noise: Noise,
    effects: Effects,
    faults: Vec<Fault>,
    promotions: Vec<Promotion>,
    cells: Vec<Cell>,
    /// The current minute's events as made, and their order: offset in the minute, then index.
    events: Vec<ShopEvent>,
    order: Vec<u64>,
    num_given: usize,
}

impl Shop {
    /// Opens the shop at its first event. Nothing is generated yet.
    pub fn new(config: &ShopConfig) -> Shop {
        let rate = if config.rate > 0.0 { config.rate.min(RATE_MAX) } else { 0.0 };
        let mut rhythm = Rhythm::new(rate);
        let saturday = plan::promotion_saturday(config.seed, config.start_millis, config.days);
        rhythm.promote_weekend(saturday);
        let promotion = saturday.map(|saturday| rhythm.weekend_span(saturday));
        let span =
            plan::Span { seed: config.seed, start_millis: config.start_millis, days: config.days, promotion };
        let faults = match &config.faults {
            FaultPlan::None => Vec::new(),
            FaultPlan::Seeded { per_week } => plan::seeded(&span, *per_week, &mut rhythm),
            FaultPlan::Given(faults) => faults.clone(),
        };
        let promotions = promotion.into_iter().map(|(start_millis, end_millis)| Promotion {
            name: "promotion weekend",
            start_millis,
            end_millis,
            size: rhythm::WEEKEND_PROMOTION,
        });
        Shop {
            seed: config.seed,
            start_millis: config.start_millis,
            next_minute: 0,
            end_minute_exclusive: u64::from(config.days) * MINUTES_PER_DAY as u64,
            noise: Noise::new(config.seed),
            effects: Effects::new(),
            promotions: promotions.collect(),
            faults,
            rhythm,
            cells: (0..NUM_CELLS).map(Cell::new).collect(),
            events: Vec::new(),
            order: Vec::new(),
            num_given: 0,
        }
    }

    /// The faults of this run.
    ///
    /// A seeded plan gives them in order of time, at least six hours apart, one hour or longer, of size
    /// 0.4 or more either way. The first 14 days are healthy; in runs of 21 days or less, the first half.
    /// The promotion weekend is healthy too. A slice has at least 50 expected events of its measure in
    /// every five minutes of the fault where the rate permits; else the fault is a drop or rise of the
    /// whole shop's views (orders in one country need about 2,000 events a minute). Every second run with
    /// room for it ends with a `shift` that lasts to the end. Very dense plans drop what does not fit.
    pub fn truth(&self) -> &[Fault] {
        &self.faults
    }

    /// The announced promotions of this run; the weekly newsletter is part of the normal week.
    pub fn promotions(&self) -> &[Promotion] {
        &self.promotions
    }

    fn fill_minute(&mut self) {
        let start_millis = self.start_millis + self.next_minute as i64 * MINUTE_MILLIS;
        let minute = Minute { seed: self.seed, number: self.next_minute, start_millis };
        self.next_minute += 1;
        self.events.clear();
        let factors = self.effects.at(&self.faults, start_millis);
        let wander = self.noise.step(minute.number);
        for (country, cells) in self.cells.chunks_exact_mut(NUM_DEVICES).enumerate() {
            let now = self.rhythm.country(country, start_millis);
            let level = wander * self.noise.day(country, now.local_day);
            for (device, cell) in cells.iter_mut().enumerate() {
                let factors = &factors[country * NUM_DEVICES + device];
                cell.fill(minute, now.views[device] * level, factors, &mut self.events);
            }
        }
        self.order.clear();
        self.order.extend(self.events.iter().enumerate().map(|(index, event)| {
            let offset_millis = (event.time_millis - start_millis) as u64;
            offset_millis << 32 | index as u64
        }));
        self.order.sort_unstable();
        self.num_given = 0;
    }
}

impl Iterator for Shop {
    type Item = ShopEvent;

    fn next(&mut self) -> Option<ShopEvent> {
        while self.num_given == self.order.len() {
            if self.next_minute == self.end_minute_exclusive {
                return None;
            }
            self.fill_minute();
        }
        let index = self.order[self.num_given] & 0xFFFF_FFFF;
        self.num_given += 1;
        Some(self.events[index as usize])
    }
}
