//! Stories.

pub mod transcript;
