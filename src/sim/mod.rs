//! Floor 9: simulated worlds: kubelets, controllers, fleets, arrivals, virtual time. Objects in, writes out.

pub mod controllers;
pub mod fleet;
pub mod kubelet;
pub mod machinery;
pub mod object;
pub mod timetable;
pub mod traces;
pub mod write;
