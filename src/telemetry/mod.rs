//! Floor 9: metrics, logs, and the HTTP endpoints of `run`. Reads counters; changes nothing.

pub mod http;
pub mod log;
pub mod metrics;
