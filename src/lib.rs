//! Tidewatch.
pub mod anomaly;
pub mod pipeline;
pub mod record;
pub mod sources;
pub mod store;
pub mod window;
pub mod config;
pub mod notifiers;
pub mod backtest;
pub mod cli;
