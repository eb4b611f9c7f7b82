//! The nodes: names, ids, and what rules read of node objects, as sets of nodes.
//! A node is *present* while its object exists; pods may name nodes whose object is not (or no longer)
//! there: such an id holds their use and is in no set. Every change of a set moves the static version.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::facts::NodeFact;
use super::ids::NodeId;
use super::labels::LabelIndex;
use super::node_set::{Membership, NodeSet};
use crate::base::names::Name;
use crate::base::table::Table;
use crate::workload::constraints::Taint;

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: Name,
    /// Its object, while that exists.
    pub fact: Option<Box<NodeFact>>,
}

/// All nodes, and the sets that rules combine.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    table: Table<NodeId, Option<Node>>,
    unused: Vec<NodeId>,
    by_name: FxHashMap<Name, NodeId>,
    present: NodeSet,
    cordoned: NodeSet,
    accelerated: NodeSet,
    labels: LabelIndex,
    taints: BTreeMap<Taint, NodeSet>,
    version: u64,
}

impl Nodes {
    /// Nodes whose object exists.
    pub const fn present(&self) -> &NodeSet {
        &self.present
    }

    /// Present nodes with `spec.unschedulable`.
    pub const fn cordoned(&self) -> &NodeSet {
        &self.cordoned
    }

    /// Present nodes that offer accelerators.
    pub const fn accelerated(&self) -> &NodeSet {
        &self.accelerated
    }

    /// Labels of present nodes.
    pub const fn labels(&self) -> &LabelIndex {
        &self.labels
    }

    /// The distinct taints of present nodes, and who carries them.
    pub fn taints(&self) -> impl Iterator<Item = (&Taint, &NodeSet)> {
        self.taints.iter()
    }

    /// The id of the node `name`.
    pub fn id(&self, name: &str) -> Option<NodeId> {
        self.by_name.get(name).copied()
    }

    /// The present node `name`.
    pub fn present_id(&self, name: &str) -> Option<NodeId> {
        self.id(name).filter(|id| self.present.contains(*id))
    }

    /// The node of `id`.
    pub fn get(&self, id: NodeId) -> &Node {
        self.table[id].as_ref().expect("a node id is used only while its node is known")
    }

    /// Moves with every change that could change a rule's verdict on a node object.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Ids are below this.
    pub(super) fn capacity(&self) -> usize {
        self.table.len()
    }

    /// The ids in use, present or only named by pods, in id order.
    pub(super) fn known(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.table.iter().filter_map(|(id, node)| Some((id, node.as_ref()?)))
    }

    /// The id of `name`, given out on first sight.
    pub(super) fn id_or_new(&mut self, name: &Name) -> NodeId {
        if let Some(id) = self.id(name) {
            return id;
        }
        let node = Some(Node { name: name.clone(), fact: None });
        let id = match self.unused.pop() {
            Some(id) => {
                self.table[id] = node;
                id
            }
            None => self.table.push(node),
        };
        self.by_name.insert(name.clone(), id);
        id
    }

    /// Takes in the node's object; returns the one it replaces.
    pub(super) fn put_fact(
        &mut self,
        id: NodeId,
        mut fact: Box<NodeFact>,
    ) -> Option<Box<NodeFact>> {
        let before = self.get_mut(id).fact.take();
        let (old_labels, old_taints) =
            before.as_deref().map_or((&[][..], &[][..]), |old| (&old.labels, &old.taints));
        let mut changed = self.present.insert(id);
        if old_labels != fact.labels.as_slice() {
            self.labels.remove(id, old_labels);
            self.labels.insert(id, &fact.labels);
            changed = true;
        }
        if old_taints != fact.taints.as_slice() {
            self.untaint(id, old_taints);
            for taint in &fact.taints {
                self.taints.entry(taint.clone()).or_default().insert(id);
            }
            changed = true;
        }
        changed |= self.cordoned.set(id, fact.unschedulable.into());
        self.version += u64::from(changed);
        self.share_names(id, &mut fact);
        self.get_mut(id).fact = Some(fact);
        before
    }

    /// Makes the fact use the copies of names that the indices hold: thousands of nodes repeat them, and
    /// equal names at one address are compared, and cached by the processor, once.
    fn share_names(&self, id: NodeId, fact: &mut NodeFact) {
        fact.name = self.get(id).name.clone();
        for label in &mut fact.labels {
            *label = self.labels.shared(label);
        }
        for taint in &mut fact.taints {
            let (shared, _) = self.taints.get_key_value(taint).expect("it was just put in");
            *taint = shared.clone();
        }
    }

    /// Says whether `id` offers accelerators.
    pub(super) fn set_accelerated(&mut self, id: NodeId, membership: Membership) {
        let changed = self.accelerated.set(id, membership);
        self.version += u64::from(changed);
    }

    /// Forgets the node's object. The id stays while pods are held on it.
    pub(super) fn take_fact(&mut self, id: NodeId) -> Option<Box<NodeFact>> {
        let fact = self.get_mut(id).fact.take()?;
        self.present.remove(id);
        self.cordoned.remove(id);
        self.accelerated.remove(id);
        self.labels.remove(id, &fact.labels);
        self.untaint(id, &fact.taints);
        self.version += 1;
        Some(fact)
    }

    /// Frees the id of a node whose object is gone and which no pod names any more.
    pub(super) fn forget(&mut self, id: NodeId) {
        let node = self.table[id].take().expect("a node is forgotten once");
        assert!(node.fact.is_none(), "a node is forgotten after its object is gone");
        self.by_name.remove(&node.name);
        self.unused.push(id);
    }

    fn untaint(&mut self, id: NodeId, taints: &[Taint]) {
        for taint in taints {
            if let Some(nodes) = self.taints.get_mut(taint) {
                nodes.remove(id);
                if nodes.is_empty() {
                    self.taints.remove(taint);
                }
            }
        }
    }

    fn get_mut(&mut self, id: NodeId) -> &mut Node {
        self.table[id].as_mut().expect("a node id is used only while its node is known")
    }
}
