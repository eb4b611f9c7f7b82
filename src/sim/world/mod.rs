//! A whole cluster in virtual time.

pub mod chronicle;
