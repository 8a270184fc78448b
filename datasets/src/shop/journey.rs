//! The events of one cell in one minute: how many, when, who, and what they bought.
//!
//! Promises: page views, adds to cart and orders of a cell are Poisson, each drawn from a stream of its
//! own, so that a fault on orders leaves the page views of the same slice byte for byte as they were.
//! Whoever adds to the cart is one of the cell's last visitors to a product page, and whoever buys is
//! one of the last who added; only the first events of a shop have nobody before them.
//!
//! Does not promise that each order has a cart of its own: one visitor may buy twice from one cart.

use super::effects::Factors;
use super::event::{EventKind, Order, ShopEvent};
use super::tables::{
    CHECKOUT_MILLIS, CHECKOUT_PAGE, COUNTRIES, DEVICES, NUM_DEVICES, PAGES, PRODUCTS, SHAPES, conversions,
};
use crate::draw::{Draw, scale};

/// Visitors of one country; ids of country `c` start at `c * VISITORS_PER_COUNTRY`.
const VISITORS_PER_COUNTRY: u32 = 1_500_000;
/// Part of the page views that come from a visitor seen lately in the same cell, of 2^32.
const RETURNING: u64 = (0.55 * 4_294_967_296.0) as u64;
/// Part of the page views that are product pages.
const PRODUCT_VIEWS: f64 = 0.7;
const MINUTE_MILLIS: u32 = 60_000;
/// More orders of one cell in one minute than this would share an id.
const ORDER_IDS_PER_MINUTE: u64 = 100_000;

/// One minute of the shop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Minute {
    pub(super) seed: u64,
    pub(super) number: u64,
    pub(super) start_millis: i64,
}

/// A country on a device, with the visitors seen there lately.
#[derive(Debug)]
pub(super) struct Cell {
    index: usize,
    country: &'static str,
    device: &'static str,
    carts_per_view: f64,
    orders_per_view: f64,
    viewers: Recent,
    buyers: Recent,
}

impl Cell {
    pub(super) fn new(index: usize) -> Cell {
        let (carts_per_view, orders_per_view) = conversions(index);
        Cell {
            index,
            country: COUNTRIES[index / NUM_DEVICES].0,
            device: DEVICES[index % NUM_DEVICES],
            carts_per_view,
            orders_per_view,
            viewers: Recent::default(),
            buyers: Recent::default(),
        }
    }

    /// Appends the cell's events of one minute, in no order of time. `views` is the healthy mean.
    pub(super) fn fill(&mut self, minute: Minute, views: f64, factors: &Factors, out: &mut Vec<ShopEvent>) {
        let first = out.len();
        self.view(minute, views * factors.views, out);
        let carts = out.len();
        self.add_to_carts(minute, views * self.carts_per_view * factors.carts, out);
        let orders = out.len();
        self.order(minute, views * self.orders_per_view, factors, out);
        // Remembered only now: nobody's cart comes before the page view that led to it.
        self.viewers.remember(&out[first..carts]);
        self.buyers.remember(&out[carts..orders]);
    }

    fn draw(&self, minute: Minute, step: u64) -> Draw {
        Draw::stream(minute.seed, self.index as u64 * 3 + step, minute.number)
    }

    fn view(&self, minute: Minute, mean: f64, out: &mut Vec<ShopEvent>) {
        let mut draw = self.draw(minute, 0);
        let count = draw.poisson(mean);
        out.reserve(count as usize);
        for _ in 0..count {
            let time = draw.bits();
            let who = draw.bits();
            // The lower half decides whether the visitor is known, the upper half which one it is.
            let known = if (who & 0xFFFF_FFFF) < RETURNING { self.viewers.pick(who) } else { None };
            let visitor = known.map_or_else(|| self.stranger(who), |visit| visit.visitor_id);
            out.push(self.event(minute, time, EventKind::PageView, visitor, viewed_page(&mut draw)));
        }
    }

    fn add_to_carts(&self, minute: Minute, mean: f64, out: &mut Vec<ShopEvent>) {
        let mut draw = self.draw(minute, 1);
        for _ in 0..draw.poisson(mean) {
            let time = draw.bits();
            let who = draw.bits();
            let visit = self.viewers.pick(who);
            let visitor = visit.map_or_else(|| self.stranger(who), |visit| visit.visitor_id);
            let page = visit.map_or(PRODUCTS[0], |visit| visit.page);
            out.push(self.event(minute, time, EventKind::AddToCart, visitor, page));
        }
    }

    fn order(&self, minute: Minute, mean: f64, factors: &Factors, out: &mut Vec<ShopEvent>) {
        let mut draw = self.draw(minute, 2);
        let shape = &SHAPES[self.index / NUM_DEVICES];
        let first_id = (minute.number * 1000 + self.index as u64) * ORDER_IDS_PER_MINUTE;
        for number in 0..draw.poisson(mean * factors.orders) {
            let time = draw.bits();
            let who = draw.bits();
            let visit = self.buyers.pick(who);
            let visitor = visit.map_or_else(|| self.stranger(who), |visit| visit.visitor_id);
            let mut event = self.event(minute, time, EventKind::Purchase, visitor, CHECKOUT_PAGE);
            let items = basket_items(&mut draw);
            let cents = f64::from(items) * shape.item_cents * libm::exp(0.5 * draw.normal());
            let total_cents = (cents * factors.total) as u64;
            event.order = Some(Order { id: first_id + u64::from(number), total_cents, items });
            let millis = CHECKOUT_MILLIS[self.index % NUM_DEVICES] * libm::exp(0.35 * draw.normal());
            event.checkout_millis = Some((millis * factors.checkout) as u32);
            out.push(event);
        }
    }

    fn event(
        &self,
        minute: Minute,
        time: u64,
        kind: EventKind,
        visitor_id: u64,
        page: &'static str,
    ) -> ShopEvent {
        ShopEvent {
            time_millis: minute.start_millis + i64::from(scale(time, MINUTE_MILLIS)),
            kind,
            visitor_id,
            country: self.country,
            device: self.device,
            page,
            order: None,
            checkout_millis: None,
        }
    }

    /// Anyone of the country.
    fn stranger(&self, who: u64) -> u64 {
        let country = (self.index / NUM_DEVICES) as u64;
        country * u64::from(VISITORS_PER_COUNTRY) + u64::from(scale(who, VISITORS_PER_COUNTRY))
    }
}

/// Popular pages come first in their lists, so a squared uniform prefers them.
fn viewed_page(draw: &mut Draw) -> &'static str {
    let u = draw.uniform();
    if u < PRODUCT_VIEWS {
        pick_popular(&PRODUCTS, u / PRODUCT_VIEWS)
    } else {
        pick_popular(&PAGES, (u - PRODUCT_VIEWS) / (1.0 - PRODUCT_VIEWS))
    }
}

fn pick_popular(pages: &[&'static str], u: f64) -> &'static str {
    let index = (u * u * pages.len() as f64) as usize;
    pages[index.min(pages.len() - 1)]
}

/// One item, and another with probability 0.4 each time, up to nine.
fn basket_items(draw: &mut Draw) -> u32 {
    let mut items = 1;
    while items < 9 && draw.uniform() < 0.4 {
        items += 1;
    }
    items
}

const RECENT: usize = 32;

/// The last visits of a cell; the oldest is forgotten first.
#[derive(Debug, Default)]
struct Recent {
    visits: [Visit; RECENT],
    len: usize,
    next: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Visit {
    visitor_id: u64,
    page: &'static str,
}

impl Recent {
    fn pick(&self, who: u64) -> Option<Visit> {
        (self.len > 0).then(|| self.visits[scale(who, self.len as u32) as usize])
    }

    /// Keeps the visits to product pages among the last of `events`.
    fn remember(&mut self, events: &[ShopEvent]) {
        let last = &events[events.len().saturating_sub(2 * RECENT)..];
        for event in last.iter().filter(|event| event.page.starts_with("/product/")) {
            self.visits[self.next] = Visit { visitor_id: event.visitor_id, page: event.page };
            self.next = (self.next + 1) % RECENT;
            self.len = (self.len + 1).min(RECENT);
        }
    }
}
