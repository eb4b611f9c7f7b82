//! Floor 6: the scheduler as one owner of all state. Facts and time in; orders, notices, and a wake-up time out.
//! No I/O, no clock, no threads: the same facts at the same times give the same orders, byte for byte.

pub mod event;
pub mod order;
pub mod settings;
