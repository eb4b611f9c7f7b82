//! What the fuzz targets share: the limits of time and memory that every input must keep, and a mutator of JSON.
//! Knows nothing of what is fuzzed. Breaking a limit is a panic, which libFuzzer reports with the input.

pub mod limits;
pub mod mutate;
