//! Floor 9: simulated worlds: kubelets, controllers, fleets, arrivals, virtual time. Objects in, writes out.

pub mod attached;
pub mod checkers;
pub mod controllers;
pub mod fleet;
pub mod kubelet;
pub mod machinery;
pub mod manifests;
pub mod object;
pub mod replay;
pub mod result;
pub mod scenario;
pub mod timetable;
pub mod traces;
pub mod world;
pub mod write;
