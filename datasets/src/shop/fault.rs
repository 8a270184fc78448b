//! Faults: what is broken, where, when and by how much, and the truth file that says so.
//!
//! A fault multiplies the rate of its measure in its slice by `1 + size` while it lasts. The funnel
//! flows down: what `views` lose, `carts` and `orders` lose too.
//!
//! | measure | touches |
//! |---|---|
//! | `*`, `views` | page views, adds to cart, orders |
//! | `carts` | adds to cart, orders |
//! | `orders` | orders |
//! | `revenue` | the totals of orders |
//! | `checkout` | the duration of checkouts |

use core::fmt::Write;

use super::event::write_time;

/// Which faults a shop has.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultPlan {
    /// A healthy shop.
    None,
    /// Faults drawn from the shop's seed, about `per_week` of them in each week after the healthy start.
    /// See [`super::Shop::truth`] for the promises.
    Seeded {
        /// Faults per week; a fault needs at least ten hours of its own, so about 16 is the most.
        per_week: f64,
    },
    /// These faults. They may overlap; their factors multiply.
    Given(Vec<Fault>),
}

/// One fault, and one line of the truth.
///
/// It acts on whole minutes of the shop: those that start in `start_millis..end_millis`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// First instant, in milliseconds since 1970-01-01 UTC.
    pub start_millis: i64,
    /// First instant after it.
    pub end_millis: i64,
    /// `views`, `carts`, `orders`, `revenue`, `checkout` or `*`. Any other name changes nothing.
    pub measure: &'static str,
    /// Pairs of dimension (`country` or `device`) and value; empty for the whole shop. An unknown name
    /// matches nothing.
    pub slice: Vec<(&'static str, &'static str)>,
    /// What happened, in the operator's words. It does not change the arithmetic.
    pub kind: FaultKind,
    /// Signed fraction: -1 is an outage, -0.5 halves, 1 doubles. Below -1 counts as -1.
    pub size: f64,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Nothing arrives.
    Outage,
    /// Less than normal, for hours.
    Drop,
    /// More than normal, for hours.
    Rise,
    /// A new level that stays.
    Shift,
    /// Carts are filled but payment fails.
    PaymentStep,
    /// Checkouts take longer.
    Slow,
}

impl FaultKind {
    /// The name in the truth file, lower snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            FaultKind::Outage => "outage",
            FaultKind::Drop => "drop",
            FaultKind::Rise => "rise",
            FaultKind::Shift => "shift",
            FaultKind::PaymentStep => "payment_step",
            FaultKind::Slow => "slow",
        }
    }
}

impl Fault {
    /// Whether the fault's slice holds this country and device.
    pub fn covers(&self, country: &str, device: &str) -> bool {
        self.slice.iter().all(|&(dimension, value)| match dimension {
            "country" => value == country,
            "device" => value == device,
            _ => false,
        })
    }
}

/// The faults as JSON: `[{"start","end","measure","slice":{},"kind","size"}]` on one line, times in
/// RFC 3339 UTC with milliseconds. A size that is not finite becomes `null`.
pub fn truth_json(faults: &[Fault]) -> String {
    let mut out = String::from("[");
    for (index, fault) in faults.iter().enumerate() {
        out.push_str(if index == 0 { "{\"start\":\"" } else { ",{\"start\":\"" });
        push_time(&mut out, fault.start_millis);
        out.push_str("\",\"end\":\"");
        push_time(&mut out, fault.end_millis);
        out.push_str("\",\"measure\":");
        push_string(&mut out, fault.measure);
        out.push_str(",\"slice\":{");
        for (position, (dimension, value)) in fault.slice.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            push_string(&mut out, dimension);
            out.push(':');
            push_string(&mut out, value);
        }
        out.push_str("},\"kind\":");
        push_string(&mut out, fault.kind.as_str());
        out.push_str(",\"size\":");
        push_number(&mut out, fault.size);
        out.push('}');
    }
    out.push(']');
    out
}

fn push_time(out: &mut String, millis: i64) {
    let mut text = Vec::with_capacity(24);
    write_time(millis, &mut text);
    out.extend(text.into_iter().map(char::from));
}

fn push_number(out: &mut String, number: f64) {
    if number.is_finite() {
        write!(out, "{number}").expect("writing to a String cannot fail");
    } else {
        out.push_str("null");
    }
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control < ' ' => {
                write!(out, "\\u{:04x}", control as u32).expect("writing to a String cannot fail");
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_has_the_shape_of_the_contract() {
        let fault = |slice, size| Fault {
            start_millis: 1_772_353_574_123,
            end_millis: 1_772_360_774_123,
            measure: "orders",
            slice,
            kind: FaultKind::PaymentStep,
            size,
        };
        let faults =
            [fault(vec![("country", "DE"), ("device", "mobile")], -0.55), fault(vec![("a\"", "\n")], 1.0)];
        let truth: serde_json::Value = serde_json::from_str(&truth_json(&faults)).unwrap();
        let expected = serde_json::json!({
            "start": "2026-03-01T08:26:14.123Z", "end": "2026-03-01T10:26:14.123Z", "measure": "orders",
            "slice": {"country": "DE", "device": "mobile"}, "kind": "payment_step", "size": -0.55,
        });
        assert_eq!(truth[0], expected);
        assert_eq!(truth[1]["slice"]["a\""], "\n");
        assert_eq!(truth_json(&[]), "[]");
    }
}
