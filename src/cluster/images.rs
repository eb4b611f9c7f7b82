//! Which nodes hold which container image, and how large it is there. Read by one of kube-scheduler's scores, and empty
//! where no profile ranks nodes by those.
//! Invariant: an image that no present node holds is not in the index. Knows no pod.

use std::collections::BTreeMap;

use super::ids::NodeId;
use super::renumbering::Renumbering;
use crate::base::names::Name;

/// Images by name.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// By node, lowest id first, with the size in bytes.
    holders: BTreeMap<Name, Vec<(NodeId, i64)>>,
}

impl Images {
    /// The nodes that hold the image `name`, with its size in bytes there.
    pub fn holders(&self, name: &str) -> &[(NodeId, i64)] {
        self.holders.get(name).map_or(&[], Vec::as_slice)
    }

    /// Takes in what a node holds.
    pub(super) fn insert(&mut self, node: NodeId, images: &[(Name, i64)]) {
        for (name, size) in images {
            let holders = self.holders.entry(name.clone()).or_default();
            match holders.binary_search_by_key(&node, |(holder, _)| *holder) {
                Ok(at) => holders[at].1 = *size,
                Err(at) => holders.insert(at, (node, *size)),
            }
        }
    }

    /// Forgets what a node held.
    pub(super) fn remove(&mut self, node: NodeId, images: &[(Name, i64)]) {
        for (name, _) in images {
            let Some(holders) = self.holders.get_mut(name) else { continue };
            holders.retain(|(holder, _)| *holder != node);
            if holders.is_empty() {
                self.holders.remove(name);
            }
        }
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        for holders in self.holders.values_mut() {
            for (node, _) in holders.iter_mut() {
                *node = new.of(*node).expect("nodes that hold images are known");
            }
            holders.sort_unstable();
        }
    }
}
