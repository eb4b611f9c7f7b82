//! The believed cluster: nodes as their objects say, pods as they are bound or assumed, and what is left.
//! Facts replace what was known and may come in any order and twice. One owner; nothing here decides.
//! Invariants: free amounts, sums, and indices equal a recount.
//! A node keeps its id while its object exists or a pod is held there.

use super::asks::{AskTable, Fate, InternedAsk, compile_amounts};
use super::change::Changes;
use super::counts::Counts;
use super::device_classes::DeviceClasses;
use super::facts::{DeviceClassFact, NodeFact};
use super::ids::{AskId, ConstraintId, NodeId, PodId, ResourceId, SignatureId};
use super::load::Load;
use super::node_set::Membership;
use super::nodes::Nodes;
use super::nominations::Nominations;
use super::pods::{Holding, Pods};
use super::relations::moved::{Moved, NodeChange, Tenants};
use super::relations::{PodTraits, Relations};
use super::renumbering::Renumbering;
use super::resources::{ResourceClass, ResourceSet, Resources};
use super::storage::Storage;
use crate::base::id::Id;
use crate::base::names::Name;
use crate::workload::ask::{Amounts, Ask, SharedAsk};
use crate::workload::scored::Counted;

/// The believed state of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub(super) resources: Resources,
    pub(super) asks: AskTable,
    pub(super) nodes: Nodes,
    pub(super) load: Load,
    pub(super) pods: Pods,
    pub(super) relations: Relations,
    /// What the pods on each node count as in kube-scheduler's scores.
    pub(super) counts: Counts,
    /// Sum of free amounts over present nodes that are not cordoned, by resource.
    pub(super) schedulable_free: Vec<i128>,
    pub(super) storage: Storage,
    pub(super) nominations: Nominations,
    pub(super) device_classes: DeviceClasses,
    pub(super) version: u64,
}

/// What a pod that is bound already holds.
#[derive(Clone, Copy, Debug)]
pub enum Held<'a> {
    /// What its ask says.
    AsAsked(AskId),
    /// Other amounts (resized in place).
    Other {
        /// What it holds.
        amounts: &'a Amounts,
        /// What that counts as in kube-scheduler's scores.
        counted: Counted,
    },
}

impl Cluster {
    /// A cluster without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves with every change that could matter to a filter.
    #[inline]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How many nodes exist.
    pub const fn node_count(&self) -> usize {
        self.nodes.present().len()
    }

    /// What pods mean to each other.
    #[inline]
    pub const fn relations(&self) -> &Relations {
        &self.relations
    }

    /// The nodes, with the sets that rules read.
    #[inline]
    pub const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// What nodes offer and have left.
    #[inline]
    pub const fn load(&self) -> &Load {
        &self.load
    }

    /// What the pods on `node` count as in kube-scheduler's scores, taken together.
    #[inline]
    pub fn counted(&self, node: NodeId) -> Counted {
        self.counts.on(node)
    }

    /// Resource names and their ids.
    pub const fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The node `name`: existing, or named by a pod that is held.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.id(name)
    }

    /// The node `name`, which need not exist yet. Occupy it before the next fact comes in.
    pub fn node_or_unknown(&mut self, name: &Name) -> NodeId {
        let id = self.nodes.id_or_new(name);
        self.make_room();
        id
    }

    /// The name of a node.
    #[inline]
    pub fn node_name(&self, id: NodeId) -> &Name {
        &self.nodes.get(id).name
    }

    /// True while the node's object exists; false for one that only pods name.
    #[inline]
    pub fn node_exists(&self, id: NodeId) -> bool {
        self.nodes.present().contains(id)
    }

    /// The id of an equal ask. Each call is matched by one [`Self::forget_ask`] when its user is gone.
    pub fn intern(&mut self, ask: &SharedAsk) -> AskId {
        let id = self.asks.intern(ask, &mut self.resources);
        if let Some(relations) = &ask.relations {
            self.relations.adopt(id, relations, &self.pods);
        }
        self.make_room();
        id
    }

    /// Gives back one use of an ask.
    pub fn forget_ask(&mut self, ask: AskId) {
        match self.asks.forget(ask) {
            Fate::Kept => {}
            Fate::Dropped => self.relations.disown(ask, &self.pods),
        }
    }

    /// The ask as its pod wrote it.
    #[inline]
    pub fn ask(&self, id: AskId) -> &Ask {
        &self.asks.get(id).ask
    }

    /// The ask with its requests by id.
    #[inline]
    pub fn interned(&self, id: AskId) -> &InternedAsk {
        self.asks.get(id)
    }

    /// An ask whose constraints are those of `id`.
    #[inline]
    pub fn constraint(&self, id: ConstraintId) -> &SharedAsk {
        self.asks.constraint(id)
    }

    /// Takes in a node's object.
    pub fn observe_node(&mut self, fact: &NodeFact) -> Changes {
        let known = self.nodes.id(&fact.name);
        if known.is_some_and(|id| self.nodes.get(id).fact.as_ref() == Some(fact)) {
            return Changes::NONE;
        }
        let id = self.nodes.id_or_new(&fact.name);
        let mut kept = fact.clone();
        for (name, _) in &mut kept.allocatable {
            let kind = self.resources.id(name);
            *name = self.resources.name(kind).clone();
        }
        self.make_room();
        self.sum_free(id, Sign::Minus);
        let objects = self.nodes.version();
        let before = self.nodes.put_fact(id, kept);
        let mut changes = Changes { node: Some(id), added: before.is_none(), ..Changes::NONE };
        if let Some(before) = &before {
            // Features that a node declares are as good as labels.
            changes.labels = before.labels != fact.labels || before.features != fact.features;
            changes.taints = before.taints != fact.taints;
            changes.uncordoned = before.unschedulable && !fact.unschedulable;
        } else {
            self.load.enter_index(id);
        }
        changes.grew = self.set_allocatable(id, &fact.allocatable);
        self.sum_free(id, Sign::Plus);
        if self.nodes.version() != objects {
            let change = NodeChange {
                before: before.as_ref(),
                after: Some(fact),
                tenants: self.tenants(id),
            };
            self.relations.note_node(change);
        }
        self.version += 1;
        changes
    }

    fn tenants(&self, node: NodeId) -> Tenants {
        if self.pods.on(node).is_empty() { Tenants::None } else { Tenants::Some }
    }

    /// Puts a node whose object exists into quarantine, or lets it out. Not a fact, and forgotten with the
    /// object: whoever decides it says it again.
    pub fn quarantine(&mut self, node: NodeId, membership: Membership) -> Changes {
        assert!(self.node_exists(node), "only nodes that exist are in quarantine");
        if !self.nodes.set_quarantined(node, membership) {
            return Changes::NONE;
        }
        self.version += 1;
        match membership {
            Membership::In => Changes::NONE,
            Membership::Out => Changes { node: Some(node), uncordoned: true, ..Changes::NONE },
        }
    }

    /// Takes in that a node's object is gone. Its pods stay held until facts about them come.
    pub fn remove_node(&mut self, name: &str) -> Changes {
        let Some(id) = self.nodes.present_id(name) else { return Changes::NONE };
        self.sum_free(id, Sign::Minus);
        let tenants = self.tenants(id);
        if let Some(before) = self.nodes.take_fact(id) {
            self.relations.note_node(NodeChange { before: Some(&before), after: None, tenants });
        }
        self.load.leave_index(id);
        self.set_allocatable(id, &[]);
        self.forget_if_unnamed(id);
        self.version += 1;
        Changes::NONE
    }

    /// Makes the order of node ids the order of names, if it is not: of nodes that are equally good, the one
    /// whose name comes first is chosen then, whichever was heard of first. Costs time in proportion to all
    /// that is known, so it is for once per cycle, and does nothing unless nodes came out of order.
    /// Returns the new ids, for whoever keeps any.
    pub fn put_nodes_in_order(&mut self) -> Option<Renumbering> {
        let new = self.nodes.renumbering()?;
        self.nodes.renumber(&new);
        self.load.renumber(&new);
        self.pods.renumber(&new);
        self.counts.renumber(&new);
        self.relations.renumber(&new);
        self.version += 1;
        Some(new)
    }

    /// Takes in what a pod is to other pods, wherever it is. The ask must be held by the caller until the
    /// pod is described otherwise, or undescribed. A pod that is not described means nothing to any other.
    pub fn describe(&mut self, pod: PodId, traits: &PodTraits<'_>) {
        let node = self.pods.node_of(pod);
        if self.relations.describe(&self.asks, pod, traits, node) {
            self.version += 1;
        }
    }

    /// Forgets what a pod, which is on no node, is to other pods.
    pub fn undescribe(&mut self, pod: PodId) {
        assert!(self.node_of(pod).is_none(), "a pod is released before it is forgotten");
        self.relations.undescribe(pod);
    }

    /// Takes in the labels of a namespace, or that it is gone: selectors of namespaces read them.
    pub fn observe_namespace(&mut self, name: &Name, labels: Option<&[(Name, Name)]>) {
        self.relations.observe_namespace(name, labels, &self.pods);
        self.version += 1;
    }

    /// Takes in a DeviceClass. The resources of which it says something new.
    pub fn observe_device_class(&mut self, fact: &DeviceClassFact) -> Vec<ResourceId> {
        let changed = self.device_classes.put(fact, &mut self.resources);
        self.make_room();
        changed
    }

    /// Takes in that a DeviceClass is gone. The resources behind which it stood.
    pub fn forget_device_class(&mut self, name: &str, uid: &str) -> Vec<ResourceId> {
        self.device_classes.remove(name, uid, &mut self.resources)
    }

    /// The classes that stand behind resources.
    #[inline]
    pub const fn device_classes(&self) -> &DeviceClasses {
        &self.device_classes
    }

    /// True if a node that exists reports some of the resource, free or not.
    pub fn is_offered(&self, resource: ResourceId) -> bool {
        self.nodes.present().iter().any(|node| self.load.allocatable(node, resource) > 0)
    }

    /// Brings the domains of topology keys up to date; to be called before they are read, and not needed again
    /// until a node object changes.
    pub fn refresh_domains(&mut self) {
        self.relations.refresh_domains(&self.nodes);
    }

    /// What facts changed about other pods since this was asked last.
    pub fn take_moved(&mut self) -> Moved {
        self.relations.take_moved()
    }

    /// Pods on no node whose signature is another than when this was asked last; some more than once, some
    /// gone since.
    pub fn take_resigned(&mut self) -> Vec<PodId> {
        self.relations.take_resigned()
    }

    /// Which of the selectors in use match a pod that was described.
    #[inline]
    pub fn signature_of(&self, pod: PodId) -> SignatureId {
        self.relations.signature_of(pod)
    }

    /// Counts a decision as true: `pod` will run on `node` and holds what its ask says.
    pub fn assume(&mut self, pod: PodId, ask: AskId, node: NodeId) {
        self.occupy(pod, Held::AsAsked(ask), node);
    }

    /// Takes in that `pod` holds `held` on `node`, replacing what it held before, anywhere.
    pub fn occupy(&mut self, pod: PodId, held: Held<'_>, node: NodeId) -> Changes {
        let here = self.pods.node_of(pod) == Some(node);
        let before = self.pods.holding(pod).filter(|_| here);
        let holding = match held {
            Held::AsAsked(ask) if before == Some(Holding::Ask(ask)) => return Changes::NONE,
            Held::AsAsked(ask) => {
                // Taken before the old holding is given back, so that the ask is not forgotten between.
                self.asks.retain(ask);
                Holding::Ask(ask)
            }
            Held::Other { amounts, counted } => {
                let amounts = compile_amounts(amounts, &mut self.resources);
                self.make_room();
                let is_same = |before| {
                    self.amounts(before) == &amounts[..] && self.counted_of(before) == counted
                };
                if before.is_some_and(is_same) {
                    return Changes::NONE;
                }
                Holding::Other(self.pods.keep(amounts, counted))
            }
        };
        let freed = self.vacate(pod);
        self.shift(node, holding, Sign::Minus);
        self.pods.put(pod, node, holding);
        self.relations.arrive(&self.asks, pod, node);
        self.storage.mounts.place(pod, &self.nodes.get(node).name);
        if let Some((old, _)) = freed {
            self.forget_if_unnamed(old);
        }
        self.version += 1;
        freed.map_or(Changes::NONE, |(node, grew)| self.growth(node, grew))
    }

    /// Takes in that `pod` holds nothing any more.
    pub fn release(&mut self, pod: PodId) -> Changes {
        let Some((node, grew)) = self.vacate(pod) else { return Changes::NONE };
        let changes = self.growth(node, grew);
        self.forget_if_unnamed(node);
        self.version += 1;
        changes
    }

    /// Gives back what `pod` holds; says where and which resources.
    fn vacate(&mut self, pod: PodId) -> Option<(NodeId, ResourceSet)> {
        let (node, holding) = self.pods.take(pod)?;
        self.storage.mounts.unplace(pod);
        let grew = self.shift(node, holding, Sign::Plus);
        self.relations.leave(&self.asks, pod, node);
        match holding {
            Holding::Ask(ask) => self.forget_ask(ask),
            Holding::Other(amounts) => self.pods.discard(amounts),
        }
        Some((node, grew))
    }

    fn growth(&self, node: NodeId, grew: ResourceSet) -> Changes {
        if self.node_exists(node) {
            Changes { node: Some(node), grew, ..Changes::NONE }
        } else {
            Changes::NONE
        }
    }

    fn forget_if_unnamed(&mut self, node: NodeId) {
        if !self.node_exists(node) && self.pods.on(node).is_empty() {
            self.nodes.forget(node);
        }
    }

    /// Where `pod` is held.
    #[inline]
    pub fn node_of(&self, pod: PodId) -> Option<NodeId> {
        self.pods.node_of(pod)
    }

    /// What `pod` holds, by resource; empty if it is not placed.
    #[inline]
    pub fn holding(&self, pod: PodId) -> &[(ResourceId, i64)] {
        self.pods.holding(pod).map_or(&[], |holding| self.amounts(holding))
    }

    /// The pods held on `node` and what each holds, in no particular order.
    pub fn pods_on(
        &self,
        node: NodeId,
    ) -> impl ExactSizeIterator<Item = (PodId, &[(ResourceId, i64)])> {
        self.pods.on(node).iter().map(|tenant| (tenant.pod, self.amounts(tenant.holding())))
    }

    /// What is left of `resource` on all nodes that exist and are not cordoned, taken together.
    pub fn schedulable_free(&self, resource: ResourceId) -> i128 {
        self.schedulable_free.get(resource.index()).copied().unwrap_or(0)
    }

    /// True if new pods may go to `node` as far as its object's cordon says.
    #[inline]
    pub fn is_schedulable(&self, node: NodeId) -> bool {
        self.node_exists(node) && !self.nodes.cordoned().contains(node)
    }

    /// Gives `node` back `count` times `requests`, or takes it. For drafts, which undo it.
    pub(super) fn shift_free(&mut self, node: NodeId, requests: &[(ResourceId, i64)], count: i64) {
        let counts = self.is_schedulable(node);
        shift(&mut self.load, counts.then_some(&mut self.schedulable_free), node, requests, count);
    }

    #[inline]
    fn amounts(&self, holding: Holding) -> &[(ResourceId, i64)] {
        match holding {
            Holding::Ask(ask) => &self.asks.get(ask).requests,
            Holding::Other(amounts) => self.pods.kept(amounts),
        }
    }

    /// What a placed pod counts as in scores.
    pub(super) fn counted_by(&self, pod: PodId) -> Counted {
        self.pods.holding(pod).map_or(Counted::NONE, |holding| self.counted_of(holding))
    }

    #[inline]
    fn counted_of(&self, holding: Holding) -> Counted {
        match holding {
            Holding::Ask(ask) => self.asks.get(ask).counted,
            Holding::Other(amounts) => self.pods.counted(amounts),
        }
    }

    fn shift(&mut self, node: NodeId, holding: Holding, sign: Sign) -> ResourceSet {
        let counted = self.counted_of(holding);
        self.counts.shift(node, counted, -sign.factor());
        let counts = self.is_schedulable(node);
        let requests = match holding {
            Holding::Ask(ask) => &self.asks.get(ask).requests,
            Holding::Other(amounts) => self.pods.kept(amounts),
        };
        let sums = counts.then_some(&mut self.schedulable_free);
        shift(&mut self.load, sums, node, requests, sign.factor());
        ResourceSet::of(requests)
    }

    /// Sets every kind's allocatable, absent ones to 0; says which grew.
    fn set_allocatable(&mut self, node: NodeId, amounts: &[(Name, i64)]) -> ResourceSet {
        let mut offered = vec![0; self.resources.len()];
        for (name, amount) in amounts {
            let id = self.resources.known(name).expect("the caller made every name known");
            offered[id.index()] = *amount;
        }
        let mut grew = ResourceSet::EMPTY;
        let mut accelerated = false;
        for (at, amount) in offered.into_iter().enumerate() {
            let id = ResourceId::from_index(at);
            if self.load.set_allocatable(node, id, amount) > 0 {
                grew.insert(id);
            }
            accelerated |= amount > 0 && self.resources.class(id) == ResourceClass::Accelerator;
        }
        self.nodes.set_accelerated(node, accelerated.into());
        grew
    }

    /// Adds the node's free amounts to the sums over schedulable nodes, or takes them out.
    fn sum_free(&mut self, node: NodeId, sign: Sign) {
        if !self.is_schedulable(node) {
            return;
        }
        for (at, sum) in self.schedulable_free.iter_mut().enumerate() {
            let free = self.load.exact_free(node, ResourceId::from_index(at));
            *sum += free * i128::from(sign.factor());
        }
    }

    /// Brings the indices of free amounts up to date, those that wait to be asked too. Changes nothing
    /// that a filter could notice.
    pub fn catch_up(&mut self) {
        self.load.catch_up();
    }

    fn make_room(&mut self) {
        let kinds = self.resources.len();
        self.load.reserve(self.nodes.capacity(), self.resources.indexing());
        if self.schedulable_free.len() < kinds {
            self.schedulable_free.resize(kinds, 0);
        }
    }
}

/// Gives `node` back `count` times `requests`, or takes it; `sums` are those over schedulable nodes, if it
/// is one.
fn shift(
    load: &mut Load,
    sums: Option<&mut Vec<i128>>,
    node: NodeId,
    requests: &[(ResourceId, i64)],
    count: i64,
) {
    load.shift_free(node, requests, count);
    if let Some(sums) = sums {
        for (resource, amount) in requests {
            sums[resource.index()] += i128::from(amount.saturating_mul(count));
        }
    }
}

/// Whether an amount is given or taken.
#[derive(Clone, Copy, Debug)]
enum Sign {
    Plus,
    Minus,
}

impl Sign {
    const fn factor(self) -> i64 {
        match self {
            Self::Plus => 1,
            Self::Minus => -1,
        }
    }
}
