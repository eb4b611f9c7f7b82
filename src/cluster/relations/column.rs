//! A count per node, of few nodes: most selectors match pods on a small part of a cluster.
//! Read by walking over those nodes; a draft shifts it and shifts it back.
//! Invariant: a node that counts nothing is not listed. Knows nothing of what is counted.

use std::collections::BTreeMap;

use crate::cluster::ids::NodeId;
use crate::cluster::renumbering::Renumbering;

/// How many of something are on each node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column(BTreeMap<NodeId, i64>);

impl Column {
    /// Nodes that count any, with how many, in id order.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, i64)> {
        self.0.iter().map(|(node, count)| (*node, *count))
    }

    /// True if nothing is counted anywhere.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts `count` more on `node`, or fewer.
    pub(super) fn shift(&mut self, node: NodeId, count: i64) {
        let entry = self.0.entry(node).or_default();
        *entry += count;
        if *entry == 0 {
            self.0.remove(&node);
        }
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        let of = |node| new.of(node).expect("nodes that hold pods are known");
        self.0 = std::mem::take(&mut self.0).into_iter().map(|(node, n)| (of(node), n)).collect();
    }
}
