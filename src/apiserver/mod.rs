//! Floor 8: an in-memory Kubernetes API: a pure store and its HTTP face. Knows no scheduling and no scheduler.

pub mod face;
pub mod server;
pub mod store;

#[cfg(test)]
mod tests;
