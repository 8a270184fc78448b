//! Tidewatch.
pub mod record;
pub mod window;
