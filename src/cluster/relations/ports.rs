//! Host ports in use, node by node, each with how many pods have it: facts are believed, so that two pods may
//! have one port, and the one that leaves first does not free it.
//! Knows neither pods nor which ports conflict.

use crate::base::id::Id;
use crate::cluster::ids::NodeId;
use crate::cluster::renumbering::Renumbering;
use crate::workload::relations::HostPort;

/// A port and how many pods of the node have it.
type Used = (HostPort, i64);

/// Ports in use on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PortsInUse {
    by_node: Vec<Vec<Used>>,
}

impl PortsInUse {
    /// The ports in use on `node`, sorted.
    #[inline]
    pub(super) fn on(&self, node: NodeId) -> &[Used] {
        self.by_node.get(node.index()).map_or(&[], |used| used)
    }

    /// Counts `count` more pods of `node` with `port`, or fewer.
    pub(super) fn shift(&mut self, node: NodeId, port: &HostPort, count: i64) {
        if self.by_node.len() <= node.index() {
            self.by_node.resize_with(node.index() + 1, Vec::new);
        }
        let used = &mut self.by_node[node.index()];
        match used.binary_search_by(|(known, _)| known.cmp(port)) {
            Ok(at) => {
                used[at].1 += count;
                if used[at].1 == 0 {
                    used.remove(at);
                }
            }
            Err(at) => used.insert(at, (port.clone(), count)),
        }
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        self.by_node = new.rows(&mut self.by_node);
    }
}
