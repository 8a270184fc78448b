//! Tidewatch.
pub mod anomaly;
pub mod api;
pub mod assemble;
pub mod backtest;
pub mod calendar;
pub mod cli;
pub mod config;
pub mod notifiers;
pub mod pipeline;
pub mod record;
pub mod sources;
pub mod store;
pub mod window;
