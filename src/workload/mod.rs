//! Floor 2: what is asked for. Asks (one per distinct pod shape) and the constraints they carry.
//! Knows no node, no state, no Kubernetes client types.
//! Plain data: which nodes an ask may use is for `plugins` to say.

pub mod ask;
pub mod constraints;
pub mod node_terms;
pub mod profile;
pub mod relations;
pub mod scored;
pub mod volumes;
