//! Tests against a real kube-apiserver and etcd, and the contract that the in-memory API shares with them.
//!
//! The real ones come from `tests/envtest/build` (or `MUSTER_ENVTEST`, or `KUBEBUILDER_ASSETS`, see `cluster`).
//! Where there are none, tests that need them say so on stderr and pass without having tested anything; what the
//! in-memory API promises is tested everywhere.

mod atomic;
mod board;
#[allow(dead_code, reason = "benches/apiserver uses more of it")]
mod cluster;
mod contract;
#[allow(dead_code, reason = "benches/apiserver uses more of it")]
mod instance;
mod quickstart;
