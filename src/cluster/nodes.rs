//! The nodes: names, ids, and what rules read of node objects, as sets of nodes.
//! A node is *present* while its object exists; pods may name nodes whose object is not (or no longer)
//! there: such an id holds their use and is in no set. Every change of a set moves the static version.
//! Ids are in the order of names, as people count them, except of those listed as out of order.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::facts::NodeFact;
use super::ids::NodeId;
use super::images::Images;
use super::labels::LabelIndex;
use super::node_set::{Membership, NodeSet};
use super::renumbering::Renumbering;
use crate::base::names::{Name, compare_naturally};
use crate::base::table::Table;
use crate::workload::constraints::Taint;

/// More unused ids than this, and than there are nodes, are given up.
const UNUSED_KEPT: usize = 64;

/// One node. From the start of a cache line: every plan has the objects of its nodes judged.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Node {
    /// Its name.
    pub name: Name,
    /// Its object, while that exists.
    pub fact: Option<NodeFact>,
}

/// All nodes, and the sets that rules combine.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    table: Table<NodeId, Option<Node>>,
    unused: Vec<NodeId>,
    /// Nodes whose ids are not in the order of names.
    out_of_order: Vec<NodeId>,
    /// No name with an id in order comes after this one.
    last: Option<Name>,
    by_name: FxHashMap<Name, NodeId>,
    present: NodeSet,
    cordoned: NodeSet,
    accelerated: NodeSet,
    quarantined: NodeSet,
    labels: LabelIndex,
    taints: BTreeMap<Taint, NodeSet>,
    images: Images,
    version: u64,
}

impl Nodes {
    /// Nodes whose object exists.
    #[inline]
    pub const fn present(&self) -> &NodeSet {
        &self.present
    }

    /// Present nodes with `spec.unschedulable`.
    #[inline]
    pub const fn cordoned(&self) -> &NodeSet {
        &self.cordoned
    }

    /// Present nodes that offer accelerators.
    pub const fn accelerated(&self) -> &NodeSet {
        &self.accelerated
    }

    /// Present nodes that take no new pods for a while, since they turned some away.
    pub const fn quarantined(&self) -> &NodeSet {
        &self.quarantined
    }

    /// Labels of present nodes.
    pub const fn labels(&self) -> &LabelIndex {
        &self.labels
    }

    /// The distinct taints of present nodes, and who carries them.
    pub fn taints(&self) -> impl Iterator<Item = (&Taint, &NodeSet)> {
        self.taints.iter()
    }

    /// The images of present nodes.
    pub const fn images(&self) -> &Images {
        &self.images
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
    #[inline]
    pub fn get(&self, id: NodeId) -> &Node {
        self.table[id].as_ref().expect("a node id is used only while its node is known")
    }

    /// Moves with every change that could change a rule's verdict on a node object.
    #[inline]
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
        let in_order = self.last.as_ref().is_none_or(|last| compare_naturally(last, name).is_lt());
        let id = match self.unused.pop_if(|_| !in_order) {
            Some(id) => {
                self.table[id] = node;
                id
            }
            None => self.table.push(node),
        };
        if in_order {
            self.last = Some(name.clone());
        } else {
            self.out_of_order.push(id);
        }
        self.by_name.insert(name.clone(), id);
        id
    }

    /// New ids for all nodes, in the order of names and without gaps; `None` if they are as good as that.
    pub(super) fn renumbering(&self) -> Option<Renumbering> {
        let wasteful = self.unused.len() > UNUSED_KEPT + self.by_name.len();
        if self.out_of_order.is_empty() && !wasteful {
            return None;
        }
        let name = |id: &NodeId| &*self.get(*id).name;
        let mut late = self.out_of_order.clone();
        late.sort_by(|a, b| compare_naturally(name(a), name(b)));
        let is_late: NodeSet = late.iter().copied().collect();
        let mut order = Vec::with_capacity(self.by_name.len());
        let mut late = late.into_iter().peekable();
        for (id, node) in self.known().filter(|(id, _)| !is_late.contains(*id)) {
            let goes_first = |late: &NodeId| compare_naturally(name(late), &node.name).is_lt();
            while let Some(late) = late.next_if(goes_first) {
                order.push(late);
            }
            order.push(id);
        }
        order.extend(late);
        Some(Renumbering::in_order(&order, self.table.len()))
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        let mut table = Table::new();
        for node in new.rows(self.table.rows_mut()) {
            table.push(node);
        }
        self.table = table;
        self.unused.clear();
        self.out_of_order.clear();
        self.last = self.table.rows().last().and_then(|node| Some(node.as_ref()?.name.clone()));
        for (id, node) in self.table.iter() {
            let node = node.as_ref().expect("only known nodes have new ids");
            *self.by_name.get_mut(&node.name).expect("known nodes are found by name") = id;
        }
        for set in
            [&mut self.present, &mut self.cordoned, &mut self.accelerated, &mut self.quarantined]
        {
            *set = new.set(set);
        }
        for nodes in self.taints.values_mut() {
            *nodes = new.set(nodes);
        }
        self.labels.renumber(new);
        self.images.renumber(new);
        self.version += 1;
    }

    /// Takes in the node's object; returns the one it replaces.
    pub(super) fn put_fact(&mut self, id: NodeId, mut fact: NodeFact) -> Option<NodeFact> {
        let before = self.get_mut(id).fact.take();
        let (old_labels, old_taints) =
            before.as_ref().map_or((&[][..], &[][..]), |old| (&old.labels, &old.taints));
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
        let old_images = before.as_ref().map_or(&[][..], |old| &old.images);
        if old_images != fact.images.as_slice() {
            // No verdict on a node hangs on them.
            self.images.remove(id, old_images);
            self.images.insert(id, &fact.images);
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

    /// Puts a present node into quarantine or lets it out; true if that changed anything.
    pub(super) fn set_quarantined(&mut self, id: NodeId, membership: Membership) -> bool {
        let changed = self.quarantined.set(id, membership);
        self.version += u64::from(changed);
        changed
    }

    /// Forgets the node's object. The id stays while pods are held on it.
    pub(super) fn take_fact(&mut self, id: NodeId) -> Option<NodeFact> {
        let fact = self.get_mut(id).fact.take()?;
        self.present.remove(id);
        self.cordoned.remove(id);
        self.accelerated.remove(id);
        self.quarantined.remove(id);
        self.labels.remove(id, &fact.labels);
        self.untaint(id, &fact.taints);
        self.images.remove(id, &fact.images);
        self.version += 1;
        Some(fact)
    }

    /// Frees the id of a node whose object is gone and which no pod names any more.
    pub(super) fn forget(&mut self, id: NodeId) {
        let node = self.table[id].take().expect("a node is forgotten once");
        assert!(node.fact.is_none(), "a node is forgotten after its object is gone");
        self.by_name.remove(&node.name);
        self.out_of_order.retain(|late| *late != id);
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
