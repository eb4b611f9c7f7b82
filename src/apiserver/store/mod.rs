//! The pure part of the in-memory Kubernetes API: versions, conflicts, watches, selectors, patches,
//! defaults, admission, and validation over JSON objects. Requests come in as values with their time;
//! nothing here reads a clock, a socket, or the environment, so the same requests give the same
//! answers, uids included.

pub mod admission;
pub mod apply;
pub mod binding;
pub mod create;
pub mod custom;
pub mod decode;
pub mod defaults;
pub mod eviction;
pub mod failure;
pub mod faults;
pub mod garbage;
pub mod hooks;
pub mod json;
pub mod kinds;
pub mod listing;
pub mod patch;
pub mod removal;
pub mod request;
pub mod resource;
pub mod rules;
pub mod scale;
pub mod schema;
mod schema_check;
pub mod selection;
pub mod shelf;
pub mod state;
pub mod structure;
mod tracked;
pub mod update;
mod validate;
pub mod view;
pub mod watch;
mod workloads;
