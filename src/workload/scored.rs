//! What kube-scheduler's scores read of a pod beyond what its filters do. Only filled in where some profile ranks
//! nodes by those scores: pods that differ in nothing else share one ask in all other clusters.
//! Plain data. Knows no node and no score.

use super::ask::Amounts;
use crate::base::names::Name;

/// cpu and memory as scores count them: a container that asks for none counts as one that asks for a little, so that
/// nodes full of such pods do not look empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counted {
    /// In millicores.
    pub cpu: i64,
    /// In bytes.
    pub memory: i64,
}

impl Counted {
    /// Nothing: no pod is counted so.
    pub const NONE: Self = Self { cpu: 0, memory: 0 };

    /// What a container counts as that asks for none: upstream's `DefaultMilliCPURequest` and `DefaultMemoryRequest`.
    pub const UNSTATED: Self = Self { cpu: 100, memory: 200 * 1024 * 1024 };

    /// With `count` times `other` added. Beyond an `i64` it wraps, as upstream's sums do, so that what is taken and
    /// given back cancels out.
    #[must_use]
    pub const fn plus(self, other: Self, count: i64) -> Self {
        Self {
            cpu: self.cpu.wrapping_add(other.cpu.wrapping_mul(count)),
            memory: self.memory.wrapping_add(other.memory.wrapping_mul(count)),
        }
    }
}

/// What scores read of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scored {
    /// What NodeResourcesFit scores it by while it is to be placed: cpu and memory as they are counted, and what it asks
    /// for as a whole left out.
    pub asking: Amounts,
    /// As it counts on its node.
    pub holding: Counted,
    /// The images of its containers, init containers, and image volumes, sorted, each as often as it is used; with
    /// a tag.
    pub images: Vec<Name>,
}
