//! Floor 8: an in-memory Kubernetes API, for tests, scenarios, and the playground: a pure store, the server
//! around it, and its HTTP face.
//! Knows no scheduling and runs no controller: objects change within requests only, what a request causes included.
//! Store and server get the time with each request and do the same for the same requests, to the byte;
//! only `face` has sockets and threads, and it listens on loopback addresses only.
//! There is no authentication and no authorization, and nothing outlives the process.

pub mod face;
pub mod server;
pub mod store;

#[cfg(test)]
mod tests;
