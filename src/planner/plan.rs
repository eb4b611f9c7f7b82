//! A plan: everything that has to happen for one gang, decided at once; complete and immutable.
//! A value: it holds no capacity. The referee judges it, and only then the engine holds its seats and gives orders.
//! Later capabilities add evictions, recuts, claims, and volumes here.

use smallvec::SmallVec;

use crate::cluster::ids::{NodeId, PodId};

/// One bind of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub pod: PodId,
    /// Where.
    pub node: NodeId,
}

/// Everything that has to happen for one gang, decided at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Binds: role by role in the demand's order, or, where members mean something to each other, in an order
    /// in which each is admitted beside those before it.
    pub seats: SmallVec<[Seat; 4]>,
}
