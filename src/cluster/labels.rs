//! The labels of all nodes, inverted: for each key and value the nodes that carry it, so that selectors
//! are set algebra. A value with few nodes is a short sorted list (hostnames have a value per node).
//! Invariant: a key or value that no node carries is not in the index. Knows no selector: rules combine the sets.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::ids::NodeId;
use super::node_set::NodeSet;
use super::renumbering::Renumbering;
use crate::base::names::Name;

/// A group with more nodes than this becomes a bitset; with fewer than half of it, a list again.
const LIST_MAX: usize = 64;

/// Nodes that share something, in whichever form is small.
#[derive(Clone, Debug)]
pub enum NodeGroup {
    /// Sorted ids.
    List(SmallVec<[NodeId; 2]>),
    /// A bitset.
    Set(Box<NodeSet>),
}

impl NodeGroup {
    fn new() -> Self {
        Self::List(SmallVec::new())
    }

    /// How many nodes.
    pub fn len(&self) -> usize {
        match self {
            Self::List(nodes) => nodes.len(),
            Self::Set(nodes) => nodes.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if `node` is one of them.
    pub fn contains(&self, node: NodeId) -> bool {
        match self {
            Self::List(nodes) => nodes.binary_search(&node).is_ok(),
            Self::Set(nodes) => nodes.contains(node),
        }
    }

    /// Adds all of them to `set`.
    pub fn add_to(&self, set: &mut NodeSet) {
        match self {
            Self::List(nodes) => {
                for node in nodes {
                    set.insert(*node);
                }
            }
            Self::Set(nodes) => set.unite_with(nodes),
        }
    }

    fn renumber(&mut self, new: &Renumbering) {
        match self {
            Self::List(nodes) => {
                for node in nodes.iter_mut() {
                    *node = new.of(*node).expect("nodes with labels are known");
                }
                nodes.sort_unstable();
            }
            Self::Set(nodes) => **nodes = new.set(nodes),
        }
    }

    fn insert(&mut self, node: NodeId) {
        match self {
            Self::List(nodes) => {
                if let Err(at) = nodes.binary_search(&node) {
                    nodes.insert(at, node);
                }
                if nodes.len() > LIST_MAX {
                    *self = Self::Set(Box::new(nodes.iter().copied().collect()));
                }
            }
            Self::Set(nodes) => {
                nodes.insert(node);
            }
        }
    }

    fn remove(&mut self, node: NodeId) {
        match self {
            Self::List(nodes) => {
                if let Ok(at) = nodes.binary_search(&node) {
                    nodes.remove(at);
                }
            }
            Self::Set(nodes) => {
                nodes.remove(node);
                if nodes.len() < LIST_MAX / 2 {
                    *self = Self::List(nodes.iter().collect());
                }
            }
        }
    }
}

/// The nodes that carry one key.
#[derive(Clone, Debug)]
pub struct LabelKey {
    /// All that carry it, whatever the value.
    pub nodes: NodeGroup,
    /// By value.
    pub values: BTreeMap<Name, NodeGroup>,
}

/// Labels of all nodes.
#[derive(Clone, Debug, Default)]
pub struct LabelIndex {
    keys: FxHashMap<Name, LabelKey>,
}

impl LabelIndex {
    /// The nodes that carry `key`; `None` if no node does.
    pub fn key(&self, key: &str) -> Option<&LabelKey> {
        self.keys.get(key)
    }

    /// The nodes that carry `key` with exactly `value`.
    pub fn value(&self, key: &str, value: &str) -> Option<&NodeGroup> {
        self.keys.get(key)?.values.get(value)
    }

    /// The index's own copies of a key and value that it holds.
    pub(super) fn shared(&self, (key, value): &(Name, Name)) -> (Name, Name) {
        let (key, entry) = self.keys.get_key_value(key).expect("the label is in the index");
        let (value, _) = entry.values.get_key_value(value).expect("the label is in the index");
        (key.clone(), value.clone())
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        // Each group is renumbered by itself, so the order in which they come does not matter.
        #[expect(clippy::iter_over_hash_type)]
        for key in self.keys.values_mut() {
            key.nodes.renumber(new);
            for nodes in key.values.values_mut() {
                nodes.renumber(new);
            }
        }
    }

    pub(super) fn insert(&mut self, node: NodeId, labels: &[(Name, Name)]) {
        for (key, value) in labels {
            let entry = self
                .keys
                .entry(key.clone())
                .or_insert_with(|| LabelKey { nodes: NodeGroup::new(), values: BTreeMap::new() });
            entry.nodes.insert(node);
            entry.values.entry(value.clone()).or_insert_with(NodeGroup::new).insert(node);
        }
    }

    pub(super) fn remove(&mut self, node: NodeId, labels: &[(Name, Name)]) {
        for (key, value) in labels {
            let Some(entry) = self.keys.get_mut(key) else { continue };
            entry.nodes.remove(node);
            if let Some(nodes) = entry.values.get_mut(value) {
                nodes.remove(node);
                if nodes.is_empty() {
                    entry.values.remove(value);
                }
            }
            if entry.nodes.is_empty() {
                self.keys.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LIST_MAX, LabelIndex, NodeGroup, NodeId, NodeSet};

    fn label(key: &str, value: &str) -> (super::Name, super::Name) {
        (key.into(), value.into())
    }

    #[test]
    fn groups_change_form_and_keep_their_nodes() {
        let mut index = LabelIndex::default();
        let nodes = 3 * LIST_MAX as u32;
        for node in 0..nodes {
            index.insert(NodeId(node), &[label("zone", "a"), label("host", &node.to_string())]);
        }
        let zone = index.value("zone", "a").expect("all nodes carry it");
        assert!(matches!(zone, NodeGroup::Set(_)));
        assert_eq!(zone.len(), nodes as usize);
        let host = index.value("host", "7").expect("one node carries it");
        assert!(matches!(host, NodeGroup::List(_)) && host.contains(NodeId(7)));
        for node in 0..nodes - 3 {
            index.remove(NodeId(node), &[label("zone", "a"), label("host", &node.to_string())]);
        }
        let zone = index.value("zone", "a").expect("three nodes carry it");
        assert!(matches!(zone, NodeGroup::List(_)));
        let mut set = NodeSet::new();
        zone.add_to(&mut set);
        assert!(set.iter().eq((nodes - 3..nodes).map(NodeId)));
        assert!(index.value("host", "7").is_none());
        for node in nodes - 3..nodes {
            index.remove(NodeId(node), &[label("zone", "a"), label("host", &node.to_string())]);
        }
        assert!(index.key("zone").is_none() && index.key("host").is_none());
    }
}
