//! Floor 9: metrics, logs, and the HTTP endpoints of `run`. Reads counters; changes nothing.
