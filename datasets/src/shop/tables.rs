//! What the shop looks like: countries, devices, pages, conversion rates, rhythms. Numbers only.
//!
//! A *cell* is one country on one device, numbered `country * DEVICES.len() + device`.

/// Country code, IANA zone, share of the shop's page views over a week. The shares sum to 1.
pub const COUNTRIES: &[(&str, &str, f64)] = &[
    ("US", "America/New_York", 0.40),
    ("DE", "Europe/Berlin", 0.18),
    ("GB", "Europe/London", 0.16),
    ("FR", "Europe/Paris", 0.10),
    ("JP", "Asia/Tokyo", 0.10),
    ("BR", "America/Sao_Paulo", 0.06),
];

/// Devices, the most used first.
pub const DEVICES: &[&str] = &["mobile", "desktop", "tablet"];

pub(super) const NUM_DEVICES: usize = DEVICES.len();
pub(super) const NUM_CELLS: usize = COUNTRIES.len() * NUM_DEVICES;

/// Adds to cart per page view, on mobile, desktop and tablet; [`CountryShape::conversion`] scales it.
const CARTS_PER_VIEW: [f64; NUM_DEVICES] = [0.080, 0.110, 0.095];
/// Orders per add to cart.
const ORDERS_PER_CART: [f64; NUM_DEVICES] = [0.28, 0.40, 0.34];
/// Median time of a checkout.
pub(super) const CHECKOUT_MILLIS: [f64; NUM_DEVICES] = [1700.0, 1200.0, 1500.0];

/// How one country lives. Hours are local civil time.
#[derive(Debug)]
pub(super) struct CountryShape {
    /// Level at night, relative to an evening peak of about 1.
    pub(super) night: f64,
    pub(super) lunch_hour: f64,
    pub(super) lunch: f64,
    pub(super) evening_hour: f64,
    /// Level of Saturday and of Sunday, relative to a weekday.
    pub(super) weekend: [f64; 2],
    pub(super) conversion: f64,
    /// Median price of one item in cents.
    pub(super) item_cents: f64,
}

/// In the order of [`COUNTRIES`].
pub(super) const SHAPES: [CountryShape; COUNTRIES.len()] = [
    shape(0.14, (12.5, 0.45), 20.5, [0.95, 1.05], 1.00, 3200.0),
    shape(0.08, (12.5, 0.40), 20.0, [0.92, 1.22], 1.10, 2900.0),
    shape(0.09, (13.0, 0.45), 20.5, [1.00, 1.10], 1.15, 2700.0),
    shape(0.08, (13.0, 0.60), 21.0, [0.85, 0.95], 0.90, 2800.0),
    shape(0.16, (12.2, 0.50), 22.0, [1.15, 1.25], 0.85, 3500.0),
    shape(0.12, (12.5, 0.50), 21.0, [0.80, 0.75], 0.70, 1900.0),
];

const fn shape(
    night: f64,
    (lunch_hour, lunch): (f64, f64),
    evening_hour: f64,
    weekend: [f64; 2],
    conversion: f64,
    item_cents: f64,
) -> CountryShape {
    CountryShape { night, lunch_hour, lunch, evening_hour, weekend, conversion, item_cents }
}

/// Adds to cart and orders per page view of a cell.
pub(super) fn conversions(cell: usize) -> (f64, f64) {
    let (country, device) = (cell / NUM_DEVICES, cell % NUM_DEVICES);
    let carts = CARTS_PER_VIEW[device] * SHAPES[country].conversion;
    (carts, carts * ORDERS_PER_CART[device])
}

/// Pages that are not a product, the most visited first.
pub(super) const PAGES: [&str; 8] = [
    "/",
    "/search",
    "/category/shoes",
    "/category/kitchen",
    "/sale",
    "/category/toys",
    "/help",
    "/category/garden",
];

pub(super) const CHECKOUT_PAGE: &str = "/checkout";

/// Product pages, the best seller first.
pub(super) const PRODUCTS: [&str; 40] = [
    "/product/123",
    "/product/207",
    "/product/118",
    "/product/342",
    "/product/155",
    "/product/290",
    "/product/401",
    "/product/176",
    "/product/223",
    "/product/364",
    "/product/139",
    "/product/258",
    "/product/311",
    "/product/187",
    "/product/275",
    "/product/430",
    "/product/102",
    "/product/219",
    "/product/388",
    "/product/164",
    "/product/246",
    "/product/333",
    "/product/195",
    "/product/412",
    "/product/128",
    "/product/267",
    "/product/350",
    "/product/203",
    "/product/181",
    "/product/299",
    "/product/376",
    "/product/147",
    "/product/234",
    "/product/325",
    "/product/420",
    "/product/111",
    "/product/285",
    "/product/399",
    "/product/169",
    "/product/357",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_one() {
        let total: f64 = COUNTRIES.iter().map(|country| country.2).sum();
        assert!((total - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_funnel_narrows() {
        for cell in 0..NUM_CELLS {
            let (carts, orders) = conversions(cell);
            assert!(0.0 < orders && orders < carts && carts < 0.2, "{cell}");
        }
    }
}
