#![doc = include_str!("../README.md")]

mod draw;

pub mod scoring;
pub mod shop;
pub mod synthetic;
