//! One event of the shop and its JSON.
//!
//! Promises: [`ShopEvent::write_json`] writes one object of roughly 180 to 260 bytes, with no line
//! end and no allocation beyond growing `out`; the same event gives the same bytes everywhere.

use crate::draw::mix;

/// Something a visitor did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShopEvent {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time_millis: i64,
    /// What.
    pub kind: EventKind,
    /// Who; a visitor belongs to one country.
    pub visitor_id: u64,
    /// Country code, one of [`super::COUNTRIES`].
    pub country: &'static str,
    /// One of [`super::DEVICES`].
    pub device: &'static str,
    /// Path of the page.
    pub page: &'static str,
    /// What was bought; `Some` exactly for purchases.
    pub order: Option<Order>,
    /// How long the checkout took, in milliseconds; `Some` exactly for purchases.
    pub checkout_millis: Option<u32>,
}

/// The step of the funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A page was looked at.
    PageView,
    /// A product was put into the cart.
    AddToCart,
    /// An order was placed.
    Purchase,
}

impl EventKind {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::PageView => "page_view",
            EventKind::AddToCart => "add_to_cart",
            EventKind::Purchase => "purchase",
        }
    }
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Unique in a run.
    pub id: u64,
    /// Total in cents of a dollar.
    pub total_cents: u64,
    /// Number of items.
    pub items: u32,
}

/// Events of one visitor in the same half hour share a session id.
const SESSION_MILLIS: i64 = 1_800_000;

impl ShopEvent {
    /// Appends the event as one JSON object:
    /// `{"event_time","type","visitor_id","geo":{"country"},"device","page","session_id"}`; purchases
    /// add `"order":{"id","total","items"},"checkout_ms"`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"event_time\":\"");
        write_time(self.time_millis, out);
        out.extend_from_slice(b"\",\"type\":\"");
        out.extend_from_slice(self.kind.as_str().as_bytes());
        out.extend_from_slice(b"\",\"visitor_id\":\"v");
        write_number(self.visitor_id, 7, out);
        out.extend_from_slice(b"\",\"geo\":{\"country\":\"");
        out.extend_from_slice(self.country.as_bytes());
        out.extend_from_slice(b"\"},\"device\":\"");
        out.extend_from_slice(self.device.as_bytes());
        out.extend_from_slice(b"\",\"page\":\"");
        out.extend_from_slice(self.page.as_bytes());
        out.extend_from_slice(b"\",\"session_id\":\"s");
        write_hex(self.session(), out);
        out.push(b'"');
        if let Some(order) = &self.order {
            order.write_json(out);
        }
        if let Some(millis) = self.checkout_millis {
            out.extend_from_slice(b",\"checkout_ms\":");
            write_number(u64::from(millis), 1, out);
        }
        out.push(b'}');
    }

    fn session(&self) -> u64 {
        mix(self.visitor_id ^ mix(self.time_millis.div_euclid(SESSION_MILLIS) as u64))
    }
}

impl Order {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"order\":{\"id\":\"o");
        write_number(self.id, 1, out);
        out.extend_from_slice(b"\",\"total\":");
        write_number(self.total_cents / 100, 1, out);
        out.push(b'.');
        write_number(self.total_cents % 100, 2, out);
        out.extend_from_slice(b",\"items\":");
        write_number(u64::from(self.items), 1, out);
        out.push(b'}');
    }
}

/// Appends an instant as RFC 3339 UTC with milliseconds, for the years 0 to 9999.
pub(super) fn write_time(millis: i64, out: &mut Vec<u8>) {
    let (day, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000) as u64);
    let (year, month, day) = civil_date(day);
    let parts = [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (of_day / 3_600_000, 2, b':'),
        (of_day / 60_000 % 60, 2, b':'),
        (of_day / 1000 % 60, 2, b'.'),
        (of_day % 1000, 3, b'Z'),
    ];
    for (number, digits, end) in parts {
        write_number(number, digits, out);
        out.push(end);
    }
}

/// Year, month and day of a day since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms"),
/// counted in eras of 400 years that start on 1 March.
fn civil_date(days_since_1970: i64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year as u64, month as u64, day as u64)
}

/// Appends `number` in decimal, padded with zeros to `digits_min`.
fn write_number(mut number: u64, digits_min: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut start = text.len();
    while number > 0 {
        start -= 1;
        text[start] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text[start.min(text.len() - digits_min)..]);
}

fn write_hex(number: u64, out: &mut Vec<u8>) {
    let digits: [u8; 16] =
        core::array::from_fn(|i| b"0123456789abcdef"[(number >> (60 - 4 * i) & 15) as usize]);
    out.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_equal_those_of_a_date_library() {
        let mut millis = -62_100_000_000_000_i64;
        while millis < 253_000_000_000_000 {
            let mut ours = Vec::new();
            write_time(millis, &mut ours);
            let instant = jiff::Timestamp::from_millisecond(millis).unwrap();
            assert_eq!(String::from_utf8(ours).unwrap(), format!("{instant:.3}"));
            millis += 86_399_999 * 37;
        }
    }

    #[test]
    fn numbers_are_padded_but_not_cut() {
        for (number, digits, expected) in
            [(0, 1, "0"), (7, 3, "007"), (12_345_678, 7, "12345678"), (u64::MAX, 1, "18446744073709551615")]
        {
            let mut out = Vec::new();
            write_number(number, digits, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
