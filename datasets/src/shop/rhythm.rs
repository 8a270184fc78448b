//! The expected page views of every cell at every minute: day curve, week, device mix, promotions.
//!
//! Promises: a curve belongs to the country's civil time, so it stays put when the clocks change.
//! Averaged over a local week, all events of all cells come to the configured rate. The promotion
//! weekend comes on top of it. No chance lives here; [`super::noise`] adds that.

use super::clock::{LocalClock, MINUTES_PER_DAY, MINUTES_PER_WEEK};
use super::tables::{COUNTRIES, CountryShape, NUM_CELLS, NUM_DEVICES, SHAPES, conversions};

/// Page views per minute are raised by this fraction on a promotion weekend.
pub(super) const WEEKEND_PROMOTION: f64 = 0.25;
/// The newsletter goes out on Tuesdays at this local minute, weekly: part of the normal week.
const NEWSLETTER_MINUTE: usize = 1440 + 10 * 60;
const NEWSLETTER_LIFT: f64 = 0.40;
const NEWSLETTER_MINUTES: usize = 120;

#[derive(Debug)]
pub(super) struct Rhythm {
    clocks: Vec<LocalClock>,
    /// Per country and local minute of the week: page views per minute on each device.
    weeks: Vec<Vec<[f64; NUM_DEVICES]>>,
    /// The local day that is the promotion's Saturday.
    promotion_saturday: Option<i64>,
}

/// One country at one minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountryMinute {
    pub(super) local_day: i64,
    /// Expected page views on each device.
    pub(super) views: [f64; NUM_DEVICES],
}

impl Rhythm {
    /// `rate`: mean events per minute of the whole shop, page views, carts and orders together.
    pub(super) fn new(rate: f64) -> Rhythm {
        let mut weeks: Vec<_> =
            SHAPES.iter().zip(COUNTRIES).map(|(shape, country)| week(shape, country.2)).collect();
        let events_per_view = weeks.iter().enumerate().map(|(c, week)| mean_events(c, week)).sum::<f64>();
        let factor = rate / events_per_view;
        for views in weeks.iter_mut().flatten().flatten() {
            *views *= factor;
        }
        let clocks = COUNTRIES.iter().map(|country| LocalClock::new(country.1)).collect();
        Rhythm { clocks, weeks, promotion_saturday: None }
    }

    pub(super) fn promote_weekend(&mut self, saturday: Option<i64>) {
        self.promotion_saturday = saturday;
    }

    /// From the first country's Saturday 00:00 to the last country's Monday 00:00, in UTC milliseconds.
    pub(super) fn weekend_span(&self, saturday: i64) -> (i64, i64) {
        let starts = self.clocks.iter().map(|clock| clock.start_of_day(saturday));
        let ends = self.clocks.iter().map(|clock| clock.start_of_day(saturday + 2));
        (starts.fold(i64::MAX, i64::min), ends.fold(i64::MIN, i64::max))
    }

    pub(super) fn country(&mut self, country: usize, millis: i64) -> CountryMinute {
        let local = self.clocks[country].at(millis);
        let mut views = self.weeks[country][local.minute_of_week];
        if self.promotion_saturday.is_some_and(|saturday| (saturday..saturday + 2).contains(&local.day)) {
            views = views.map(|v| v * (1.0 + WEEKEND_PROMOTION));
        }
        CountryMinute { local_day: local.day, views }
    }

    /// Expected page views per minute of every cell.
    pub(super) fn cells(&mut self, millis: i64) -> [f64; NUM_CELLS] {
        let mut cells = [0.0; NUM_CELLS];
        for (country, views) in cells.chunks_exact_mut(NUM_DEVICES).enumerate() {
            views.copy_from_slice(&self.country(country, millis).views);
        }
        cells
    }
}

/// Views by minute of the week and device, with `share` as their mean over the week.
fn week(shape: &CountryShape, share: f64) -> Vec<[f64; NUM_DEVICES]> {
    let weekday = day(shape, false);
    let weekend = day(shape, true);
    let mut week = Vec::with_capacity(MINUTES_PER_WEEK as usize);
    for weekday_number in 0..7 {
        let (minutes, level) = match weekday_number {
            5 | 6 => (&weekend, shape.weekend[weekday_number - 5]),
            _ => (&weekday, 1.0),
        };
        week.extend(minutes.iter().map(|views| views.map(|v| v * level)));
    }
    for minute in 0..NEWSLETTER_MINUTES {
        let lift = 1.0 + NEWSLETTER_LIFT * libm::exp(-(minute as f64) / 40.0);
        let views = &mut week[NEWSLETTER_MINUTE + minute];
        *views = views.map(|v| v * lift);
    }
    let factor = share * week.len() as f64 / week.iter().flatten().sum::<f64>();
    for views in week.iter_mut().flatten() {
        *views *= factor;
    }
    week
}

fn day(shape: &CountryShape, is_weekend: bool) -> Vec<[f64; NUM_DEVICES]> {
    (0..MINUTES_PER_DAY)
        .map(|minute| {
            let hour = minute as f64 / 60.0;
            let level = day_level(shape, hour, is_weekend);
            device_mix(hour, is_weekend).map(|share| level * share)
        })
        .collect()
}

/// The evening peak is about 1. Weekends start later and have a flatter lunch.
fn day_level(shape: &CountryShape, hour: f64, is_weekend: bool) -> f64 {
    let (morning_hour, lunch) = if is_weekend { (11.5, shape.lunch * 0.7) } else { (10.0, shape.lunch) };
    shape.night
        + 0.45 * bump(hour, morning_hour, 2.0)
        + lunch * bump(hour, shape.lunch_hour, 1.3)
        + 0.35 * bump(hour, 16.5, 2.5)
        + 0.85 * bump(hour, shape.evening_hour, 2.1)
}

/// Shares of mobile, desktop, tablet: desktop in office hours, mobile and tablet in the evening.
fn device_mix(hour: f64, is_weekend: bool) -> [f64; NUM_DEVICES] {
    let office = if is_weekend { 0.15 } else { 0.6 } * bump(hour, 13.0, 3.5);
    let evening = bump(hour, 21.0, 3.0);
    let weights = [0.52 * (1.0 + 0.35 * evening), 0.36 * (1.0 + office), 0.09 * (1.0 + 0.6 * evening)];
    let total: f64 = weights.iter().sum();
    weights.map(|weight| weight / total)
}

/// A Gaussian hill on the 24-hour circle, 1 at its centre.
fn bump(hour: f64, centre: f64, width_hours: f64) -> f64 {
    let apart = (hour - centre).abs();
    let distance = apart.min(24.0 - apart) / width_hours;
    libm::exp(-0.5 * distance * distance)
}

/// Mean events per minute of one country while its table is still in shares of all views.
fn mean_events(country: usize, week: &[[f64; NUM_DEVICES]]) -> f64 {
    let mut sum = 0.0;
    for device in 0..NUM_DEVICES {
        let (carts, orders) = conversions(country * NUM_DEVICES + device);
        sum += week.iter().map(|views| views[device]).sum::<f64>() * (1.0 + carts + orders);
    }
    sum / week.len() as f64
}
