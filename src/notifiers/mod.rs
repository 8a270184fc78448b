//! Floor 5: where alerts go.
//!
//! A notifier sends once and says whether the message was refused, the receiver unavailable, or a pause asked
//! for. Retries, order, limits and duplicates are the business of delivery, so each notifier stays small. What
//! is told is the same everywhere: `render` makes a [`crate::anomaly::IncidentWire`] readable, and the others dress
//! it for their receivers.

#[cfg(feature = "email")]
mod chart;
mod charts;
#[cfg(feature = "email")]
mod email;
#[cfg(feature = "webhook")]
mod formats;
#[cfg(feature = "email")]
mod letter;
#[cfg(feature = "sns")]
mod lookout;
#[cfg(feature = "webhook")]
mod pagers;
#[cfg(any(feature = "webhook", feature = "email", feature = "sns"))]
mod render;
#[cfg(feature = "sns")]
mod sns;
#[cfg(feature = "webhook")]
mod template;
#[cfg(feature = "email")]
mod trace;
#[cfg(feature = "webhook")]
mod webhook;

pub use charts::Charts;
#[cfg(feature = "email")]
pub use email::{Email, EmailError, EmailOptions, EmailSecurity};
#[cfg(feature = "sns")]
pub use sns::{Sns, SnsFormat, SnsOptions};
#[cfg(feature = "webhook")]
pub use template::Template;
#[cfg(feature = "webhook")]
pub use webhook::{Webhook, WebhookError, WebhookFormat, WebhookOptions, WebhookTemplates, sign};
