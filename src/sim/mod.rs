//! Floor 9: simulated worlds: fleets, kubelets, controllers, virtual time, manifests, scenarios, traces.
//! Contains no rule of scheduling: these worlds drive the engine of production and judge what comes of it.
//! Kubelets, controllers, and the replay are pure: objects or jobs in, writes or figures out, no clock of their own.
//! Invariant: in virtual time the same input gives the same bytes.

pub mod attached;
pub mod checkers;
pub mod controllers;
pub mod fleet;
mod ground;
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
