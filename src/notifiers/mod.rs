//! Floor 5: where alerts go.
//!
//! A notifier sends once and says whether the message was refused, the receiver unavailable, or a pause asked
//! for. Retries, order, limits and duplicates are the business of delivery, so each notifier stays small.

#[cfg(feature = "webhook")]
mod webhook;

#[cfg(feature = "webhook")]
pub use webhook::{Webhook, WebhookError, sign};
