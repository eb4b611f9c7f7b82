//! Floor 2: what is asked for. Asks (one per distinct pod shape) and the constraints they carry.
//! Knows no node, no state, no Kubernetes client types.

pub mod ask;
pub mod constraints;
