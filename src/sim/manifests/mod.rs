//! Plain Kubernetes manifests as the input of a simulated world.
//!
//! Reading (`read`) turns paths into documents, sorting (`sort`) turns documents into what happens when.
//! Whether an object is acceptable is asked of the in-memory API server, never decided here; this room
//! checks only what no API server looks at: kinds, duplicates, and the `muster.dev/` annotations.
//! Invariant: every complaint names file, document, object, field, value, and remedy.

pub mod error;
mod expand;
pub mod kind;
pub mod read;
pub mod sort;
