//! New ids for all nodes, so that the order of ids is the order of names again: searches take the lowest
//! id of equally good nodes, and which node that is must not depend on which was heard of first.
//! Knows no state; whoever keeps ids applies it to them.

use super::ids::NodeId;
use super::node_set::NodeSet;
use crate::base::id::Id;
use crate::base::table::Table;

/// The new id of each node, by its old one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renumbering {
    new: Table<NodeId, Option<NodeId>>,
    nodes: usize,
}

impl Renumbering {
    /// Numbers nodes from 0 in the order of `old`, which names each known node once, all below `capacity`.
    pub(super) fn in_order(old: &[NodeId], capacity: usize) -> Self {
        let mut new = Table::new();
        new.grow_to(capacity, None);
        for (at, id) in old.iter().enumerate() {
            new[*id] = Some(NodeId::from_index(at));
        }
        Self { new, nodes: old.len() }
    }

    /// The new id of a node; `None` if the node is not known any more.
    pub fn of(&self, old: NodeId) -> Option<NodeId> {
        *self.new.get(old)?
    }

    /// The same nodes by their new ids.
    pub fn set(&self, nodes: &NodeSet) -> NodeSet {
        nodes.iter().filter_map(|node| self.of(node)).collect()
    }

    /// Rows by new id, where `rows` is by old id.
    pub(super) fn rows<T: Default>(&self, rows: &mut [T]) -> Vec<T> {
        let mut moved = Vec::new();
        moved.resize_with(self.nodes, T::default);
        for (old, row) in rows.iter_mut().enumerate() {
            if let Some(new) = self.of(NodeId::from_index(old)) {
                moved[new.index()] = std::mem::take(row);
            }
        }
        moved
    }

    /// How many nodes there are.
    pub(super) const fn nodes(&self) -> usize {
        self.nodes
    }
}
