//! Workload controllers, small and pure: objects in, writes and a wake-up time out.
//! They make and remove pods as Kubernetes' own controllers do and decide nothing about nodes.

mod expand;
mod template;

pub use self::expand::Expansion;
pub use self::expand::expand;
use super::machinery::Kind;
use super::machinery::Sight;
use super::write::Write;
use crate::base::time::Time;

/// The controllers of one cluster.
#[derive(Debug, Default)]
pub struct Controllers {}

impl Controllers {
    /// Takes in what was seen of an object.
    pub fn observe(&mut self, _now: Time, _kind: Kind, _sight: Sight<'_>) {}

    /// What is to be written now, in order.
    pub fn act(&mut self, _now: Time) -> Vec<Write> {
        Vec::new()
    }

    /// When to act again if nothing is observed before.
    pub fn wakeup(&self) -> Option<Time> {
        None
    }
}
