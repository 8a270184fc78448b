//! Tidewatch.
pub mod record;
pub mod window;
pub mod anomaly;
pub mod pipeline;
