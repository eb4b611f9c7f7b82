//! Floor 0: the vocabulary every room shares. Knows nothing of scheduling, Kubernetes, or I/O.

pub mod id;
pub mod labels;
pub mod names;
pub mod quantity;
pub mod random;
pub mod slab;
pub mod table;
pub mod time;
