//! Muster: a gang scheduler for GPU clusters.
//!
//! Pure rooms decide and touch nothing; the rim rooms touch everything and decide nothing.
//! `docs/ARCHITECTURE.md` is the map; a room uses only rooms above it in this list.

pub mod base;
pub mod workload;

pub mod cluster;

pub mod plugins;

pub mod planner;

pub mod engine;

pub mod config;

pub mod apiserver;
pub mod kubernetes;

pub mod sim;
pub mod telemetry;

pub mod cli;
