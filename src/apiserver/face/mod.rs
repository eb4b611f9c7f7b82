//! The HTTP face of the in-memory Kubernetes API: everything between a socket and the store.
//! Discovery, OpenAPI, Tables, watch streams, and the forms that clients negotiate; objects and
//! their rules are the store's. HTTP/1.1, loopback only. The clock is handed in.

use std::sync::Arc;

use crate::base::time::Time;

mod accept;
mod descriptions;
mod discovery;
mod messages;
mod openapi;
mod protobuf;
mod schemas;
mod serve;
mod shared;
mod tables;
mod watches;

pub use serve::{ServeError, bind, router, serve};
pub use shared::{Changes, SharedServer};

/// What tells the time: the composition root passes the process's clock, tests what they like.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// The version that the server reports: the Kubernetes release whose behaviour it follows.
pub const SERVER_VERSION: &str = "v1.37.1+muster";
