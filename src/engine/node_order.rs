//! Brings node ids into the order of names before anything is decided, so that the choice between equally
//! good nodes does not depend on the order in which they were heard of. Knows every place of this room
//! where node ids are kept from cycle to cycle; decides nothing.

use super::Engine;
use super::pods::{Place, Seat};
use crate::cluster::renumbering::Renumbering;

impl Engine {
    /// Gives nodes ids in the order of their names, if some came out of it since the last cycle.
    pub(super) fn put_nodes_in_order(&mut self) {
        let Some(new) = self.cluster.put_nodes_in_order() else { return };
        self.pods.renumber_nodes(&new);
        self.kept_places.renumber_nodes(&new);
        self.changes.retain_mut(|pending| {
            let node = &mut pending.changes.node;
            *node = node.and_then(|node| new.of(node));
            node.is_some()
        });
    }
}

impl Place {
    /// The same place by the new id of its node.
    pub(super) fn renumbered(self, new: &Renumbering) -> Self {
        let of = |node| new.of(node).expect("nodes that hold pods are known");
        match self {
            Self::Nowhere => Self::Nowhere,
            Self::Assumed(seat) => Self::Assumed(Seat { node: of(seat.node), ..seat }),
            Self::Bound(node) => Self::Bound(of(node)),
        }
    }
}
