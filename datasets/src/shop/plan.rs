//! The seeded plan: which faults a run has, and its promotion weekend.
//!
//! Promises: [`super::Shop::truth`] states what a plan keeps. Every slice named has at least
//! [`EVENTS_PER_WINDOW_MIN`] expected events of its measure in each five minutes of the fault; when the
//! draws find no such slice, the fault is one on the page views of the whole shop.

use super::clock::MINUTE_MILLIS;
use super::fault::{Fault, FaultKind};
use super::rhythm::Rhythm;
use super::tables::{COUNTRIES, DEVICES, NUM_CELLS, NUM_DEVICES, conversions};
use crate::draw::Draw;

const EVENTS_PER_WINDOW_MIN: f64 = 50.0;
const WINDOW_MINUTES: f64 = 5.0;
const APART_MINUTES: u64 = 6 * 60;
const LENGTH_MINUTES_MIN: u64 = 60;
const LENGTH_MINUTES_MAX: u64 = 6 * 60;
/// Room for the longest gap and the shortest fault, with some to choose from.
const SLOT_MINUTES_MIN: u64 = 10 * 60;
/// The end of a run that belongs to its shift, which starts in the first half of it.
const SHIFT_MINUTES: u64 = 48 * 60;
/// Draws for one fault. Its damage is redrawn only every [`TRIES_PER_DAMAGE`], so that small measures
/// get a fair chance to find a time and slice; the last ones settle for the whole shop.
const TRIES: u32 = 40;
const TRIES_PER_DAMAGE: u32 = 10;

const DAY_MINUTES: u64 = 1440;
const WEEK_MINUTES: u64 = 7 * DAY_MINUTES;

const FAULT_STREAM: u64 = 2000;
const SHIFT_STREAM: u64 = 2001;
const PROMOTION_STREAM: u64 = 2002;

/// What a plan is drawn for.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) seed: u64,
    pub(super) start_millis: i64,
    pub(super) days: u32,
    /// Kept free of faults: `start..end` in milliseconds.
    pub(super) promotion: Option<(i64, i64)>,
}

impl Span {
    fn millis(&self, minute: u64) -> i64 {
        self.start_millis + minute as i64 * MINUTE_MILLIS
    }
}

/// The Saturday, as a local day, of the promotion weekend: one in runs of four weeks or more, after the
/// first two weeks.
pub(super) fn promotion_saturday(seed: u64, start_millis: i64, days: u32) -> Option<i64> {
    let first = start_millis.div_euclid(DAY_MINUTES as i64 * MINUTE_MILLIS);
    // It ends before a shift may start, with a day of grace on both sides for the zones.
    let saturdays: Vec<i64> =
        (first + 15..first + i64::from(days) - 5).filter(|day| (day + 3).rem_euclid(7) == 5).collect();
    let chosen = Draw::stream(seed, PROMOTION_STREAM, 0).below(saturdays.len() as u32);
    if days < 28 { None } else { saturdays.get(chosen as usize).copied() }
}

/// The faults of a run in order of time.
pub(super) fn seeded(span: &Span, per_week: f64, rhythm: &mut Rhythm) -> Vec<Fault> {
    let end = u64::from(span.days) * DAY_MINUTES;
    let healthy = if span.days > 21 { 14 * DAY_MINUTES } else { end / 2 };
    let wanted = (per_week.max(0.0) * (end - healthy) as f64 / WEEK_MINUTES as f64).round() as u64;
    // Every second run with room for it ends with a shift.
    let mut shift_draw = Draw::stream(span.seed, SHIFT_STREAM, 0);
    let has_shift = wanted >= 2 && end - healthy >= 2 * SHIFT_MINUTES && shift_draw.uniform() < 0.5;
    let room = end - healthy - if has_shift { SHIFT_MINUTES } else { 0 };
    let num_slots = (wanted - u64::from(has_shift)).min(room / SLOT_MINUTES_MIN);
    let mut faults: Vec<Fault> = (0..num_slots)
        .filter_map(|number| {
            let slot = (healthy + room * number / num_slots, healthy + room * (number + 1) / num_slots);
            let mut draw = Draw::stream(span.seed, FAULT_STREAM, number);
            let mut damage = (FaultKind::Drop, "views", -0.5);
            (0..TRIES).find_map(|attempt| {
                if attempt % TRIES_PER_DAMAGE == 0 {
                    damage = draw_damage(&mut draw);
                }
                draw_fault(span, slot, damage, is_last(attempt), &mut draw, rhythm)
            })
        })
        .collect();
    if has_shift {
        faults.extend(
            (0..TRIES).find_map(|attempt| {
                draw_shift(span, healthy + room, is_last(attempt), &mut shift_draw, rhythm)
            }),
        );
    }
    faults
}

/// A new level that starts within a day of `from` and stays to the end of the run.
fn draw_shift(span: &Span, from: u64, settle: bool, draw: &mut Draw, rhythm: &mut Rhythm) -> Option<Fault> {
    let start = from + u64::from(draw.below(DAY_MINUTES as u32));
    let (low, high) = if draw.uniform() < 0.7 { (-0.7, -0.4) } else { (0.5, 1.0) };
    let size = two_decimals(draw.between(low, high));
    let measure = if settle || draw.uniform() < 0.5 { "views" } else { "orders" };
    let slice = draw_slice(draw);
    let fault = Fault {
        start_millis: span.millis(start),
        end_millis: span.millis(u64::from(span.days) * DAY_MINUTES),
        measure,
        slice: if settle { Vec::new() } else { slice },
        kind: FaultKind::Shift,
        size,
    };
    (settle || is_big_enough(&fault, rhythm)).then_some(fault)
}

/// A fault in its slot, or `None` when this draw does not fit: it meets the promotion, or the slice is
/// too small. One that settles hits the whole shop, whatever its size.
fn draw_fault(
    span: &Span,
    slot: (u64, u64),
    (kind, measure, size): Damage,
    settle: bool,
    draw: &mut Draw,
    rhythm: &mut Rhythm,
) -> Option<Fault> {
    let latest_end = slot.1 - APART_MINUTES;
    let length_max = LENGTH_MINUTES_MAX.min(latest_end - slot.0);
    let length = LENGTH_MINUTES_MIN + u64::from(draw.below((length_max - LENGTH_MINUTES_MIN + 1) as u32));
    let start = slot.0 + u64::from(draw.below((latest_end - slot.0 - length + 1) as u32));
    let (start_millis, end_millis) = (span.millis(start), span.millis(start + length));
    if span.promotion.is_some_and(|(from, to)| start_millis < to && from < end_millis) {
        return None;
    }
    let (kind, measure) = match kind {
        drawn if !settle || drawn == FaultKind::Outage => (drawn, measure),
        _ if size < 0.0 => (FaultKind::Drop, "views"),
        _ => (FaultKind::Rise, "views"),
    };
    let whole_only = settle || kind == FaultKind::Outage;
    let slice = if whole_only { Vec::new() } else { draw_slice(draw) };
    let fault = Fault { start_millis, end_millis, measure, slice, kind, size };
    (settle || is_big_enough(&fault, rhythm)).then_some(fault)
}

fn is_last(attempt: u32) -> bool {
    attempt >= TRIES - TRIES_PER_DAMAGE
}

/// Kind, measure and size.
type Damage = (FaultKind, &'static str, f64);

fn draw_damage(draw: &mut Draw) -> Damage {
    let which = draw.uniform();
    let (kind, measure, low, high) = match draw.below(10) {
        0 => (FaultKind::Outage, "*", -1.0, -1.0),
        1..=3 if which < 0.6 => (FaultKind::Drop, "views", -0.8, -0.4),
        1..=3 if which < 0.8 => (FaultKind::Drop, "carts", -0.9, -0.4),
        1..=3 => (FaultKind::Drop, "revenue", -0.8, -0.4),
        4 | 5 if which < 0.7 => (FaultKind::Rise, "views", 0.5, 1.5),
        4 | 5 => (FaultKind::Rise, "revenue", 0.6, 2.0),
        6..=8 => (FaultKind::PaymentStep, "orders", -0.95, -0.5),
        _ => (FaultKind::Slow, "checkout", 0.6, 2.0),
    };
    (kind, measure, two_decimals(draw.between(low, high)))
}

fn two_decimals(size: f64) -> f64 {
    (size * 100.0).round() / 100.0
}

fn draw_slice(draw: &mut Draw) -> Vec<(&'static str, &'static str)> {
    let level = draw.below(10);
    let country = ("country", COUNTRIES[draw.below(COUNTRIES.len() as u32) as usize].0);
    let device = ("device", DEVICES[draw.below(NUM_DEVICES as u32) as usize]);
    match level {
        0 | 1 => vec![],
        2..=5 => vec![country],
        6 | 7 => vec![device],
        _ => vec![country, device],
    }
}

/// Whether the slice has enough events of the measure at every quarter of an hour of the fault.
fn is_big_enough(fault: &Fault, rhythm: &mut Rhythm) -> bool {
    let mut weights = [0.0; NUM_CELLS];
    for (cell, weight) in weights.iter_mut().enumerate() {
        if fault.covers(COUNTRIES[cell / NUM_DEVICES].0, DEVICES[cell % NUM_DEVICES]) {
            let (carts, orders) = conversions(cell);
            *weight = match fault.measure {
                "*" | "views" => 1.0,
                "carts" => carts,
                _ => orders,
            };
        }
    }
    let mut millis = fault.start_millis;
    while millis < fault.end_millis {
        let cells = rhythm.cells(millis);
        let per_minute: f64 = cells.iter().zip(&weights).map(|(views, weight)| views * weight).sum();
        if per_minute * WINDOW_MINUTES < EVENTS_PER_WINDOW_MIN {
            return false;
        }
        millis += 15 * MINUTE_MILLIS;
    }
    true
}
