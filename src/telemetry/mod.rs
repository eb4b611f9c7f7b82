//! Floor 9: metrics, logs, and the HTTP endpoints of `run`.
//! Reads counters that other rooms keep; changes nothing and decides nothing.
//! Labels and field names come from closed lists, so that a busy cluster does not make them grow.

pub mod http;
pub mod log;
pub mod metrics;
