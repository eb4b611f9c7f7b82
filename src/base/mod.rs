//! Floor 0: the vocabulary that every room shares: ids, names, selectors, quantities, time, random numbers, tables.
//! Knows no kind of object, no scheduling, and no I/O; of Kubernetes only how such values are written.
//! Everything here is a plain value: nothing reads a clock, and random numbers come from a seed.

pub mod binary64;
pub mod id;
pub mod label_syntax;
pub mod labels;
pub mod names;
pub mod quantity;
pub mod random;
pub mod slab;
pub mod table;
pub mod time;
