//! Topology keys that asks use, and of each which domain every node is in. Domains are numbered anew whenever a
//! node object changes; between two changes a lookup is one read.
//! Knows no pod. Invariant: a key lives as long as somebody uses it.

use rustc_hash::FxHashMap;

use crate::base::id::Id;
use crate::base::names::Name;
use crate::base::slab::Slab;
use crate::cluster::ids::{KeyId, NodeId};
use crate::cluster::labels::NodeGroup;
use crate::cluster::node_set::NodeSet;
use crate::cluster::nodes::Nodes;

/// A domain of one key: all nodes with one value of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(u32);

impl Domain {
    const NONE: u32 = u32::MAX;

    /// Its number among the domains of its key.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One key and its domains.
#[derive(Clone, Debug)]
pub struct TopologyKey {
    name: Name,
    users: u32,
    /// By node; [`Domain::NONE`] where the node lacks the key.
    domains: Vec<u32>,
    /// How many there are.
    count: usize,
    /// Nodes that carry the key.
    nodes: NodeSet,
    /// The version of the nodes that this speaks of.
    version: Option<u64>,
}

impl TopologyKey {
    /// The domain of a node, if it carries the key.
    #[inline]
    pub fn domain(&self, node: NodeId) -> Option<Domain> {
        self.domains.get(node.index()).copied().filter(|at| *at != Domain::NONE).map(Domain)
    }

    /// The node label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many domains there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The nodes that carry the key.
    pub const fn nodes(&self) -> &NodeSet {
        &self.nodes
    }

    fn refresh(&mut self, nodes: &Nodes) {
        if self.version == Some(nodes.version()) {
            return;
        }
        self.version = Some(nodes.version());
        self.domains.clear();
        self.nodes.clear();
        self.count = 0;
        let Some(key) = nodes.labels().key(&self.name) else { return };
        self.domains.resize(nodes.capacity(), Domain::NONE);
        key.nodes.add_to(&mut self.nodes);
        let mut number = 0;
        for group in key.values.values() {
            match group {
                NodeGroup::List(list) => list.iter().for_each(|n| self.domains[n.index()] = number),
                NodeGroup::Set(set) => set.iter().for_each(|n| self.domains[n.index()] = number),
            }
            number += 1;
        }
        self.count = number as usize;
    }
}

/// All keys in use.
#[derive(Clone, Debug, Default)]
pub(super) struct TopologyKeys {
    keys: Slab<KeyId, TopologyKey>,
    by_name: FxHashMap<Name, KeyId>,
}

impl TopologyKeys {
    /// The key of that name; counts one more user.
    pub(super) fn intern(&mut self, name: &Name) -> KeyId {
        if let Some(id) = self.by_name.get(name) {
            self.keys[*id].users += 1;
            return *id;
        }
        let id = self.keys.insert(TopologyKey {
            name: name.clone(),
            users: 1,
            domains: Vec::new(),
            count: 0,
            nodes: NodeSet::new(),
            version: None,
        });
        self.by_name.insert(name.clone(), id);
        id
    }

    /// Counts one user less.
    pub(super) fn forget(&mut self, id: KeyId) {
        self.keys[id].users -= 1;
        if self.keys[id].users == 0
            && let Some(gone) = self.keys.remove(id)
        {
            self.by_name.remove(&gone.name);
        }
    }

    /// The names of all keys, in id order.
    pub(super) fn names(&self) -> impl Iterator<Item = (KeyId, &str)> {
        self.keys.iter().map(|(id, key)| (id, &*key.name))
    }

    #[inline]
    pub(super) fn get(&self, id: KeyId) -> &TopologyKey {
        &self.keys[id]
    }

    /// Brings all keys up to date with the node objects.
    pub(super) fn refresh(&mut self, nodes: &Nodes) {
        for (_, key) in self.keys.iter_mut() {
            key.refresh(nodes);
        }
    }
}
