//! Leadership on a `coordination.k8s.io` Lease: who of several processes may write. Decides nothing about pods.
//! The lease keeps two leaders apart in time, not for certain: no safety of a gang rests on it.
//! Invariants: the lease changes by compare-and-swap only; it expires by the local monotonic clock; no write is
//! begun after the time that the latest renewal, counted from before it was sent, has bought.

pub mod candidate;
pub mod election;
pub mod line;
pub mod obstacle;
pub mod record;
pub mod tenure;
