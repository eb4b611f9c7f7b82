//! Interned asks: each distinct ask once, its requests by resource id, its constraints shared with
//! every ask that differs only in amounts. An ask lives while somebody uses it, and a while longer.
//! Invariants: equal asks have one id; a constraint lives as long as one of its asks. Knows no pod and no node.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::ids::{AskId, ConstraintId, ResourceId};
use super::resources::{CPU, MEMORY, PODS, ResourceClass, ResourceSet, Resources};
use crate::base::id::Id;
use crate::base::table::Table;
use crate::workload::ask::{Amounts, Ask, SharedAsk};
use crate::workload::scored::Counted;

/// Amounts by resource id, sorted by id; units as in [`Amounts`].
pub type Requests = SmallVec<[(ResourceId, i64); 6]>;

/// Unused asks that are kept, so that a stream of short-lived equal pods builds its ask once.
const IDLE_ASKS_KEPT: usize = 4_096;

/// An ask as the believed state keeps it.
#[derive(Clone, Debug)]
pub struct InternedAsk {
    /// The ask itself.
    pub ask: SharedAsk,
    /// What one pod takes from a node, one of `pods` included.
    pub requests: Requests,
    /// What of it a node must have left: all of it, but for what its profile does not look for.
    pub looked_for: Requests,
    /// The kinds in `requests`.
    pub requested: ResourceSet,
    /// The resource by whose free amount nodes are packed: the scarcest kind that is looked for.
    pub packed_by: ResourceId,
    /// Whether it wants anything of other pods.
    pub relation: Relation,
    /// What a pod with it counts as in kube-scheduler's scores once it is placed.
    pub counted: Counted,
    /// Its node constraints, shared with other asks.
    pub constraint: ConstraintId,
}

/// What became of an ask that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is still there, or wanted nothing of other pods.
    Kept,
    /// It wanted something of other pods, and is gone.
    Dropped,
}

/// Whether an ask wants anything of other pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Nothing: each node is judged by itself, once for all equal pods.
    None,
    /// Nothing, but its nodes are ranked by kube-scheduler's scores: which is best changes with each pod placed.
    Ranked,
    /// Something: see [`Ask::relations`].
    Some,
}

impl InternedAsk {
    /// How much of `resource` one pod takes; 0 where it asks for none.
    #[inline]
    pub fn request(&self, resource: ResourceId) -> i64 {
        amount(&self.requests, resource)
    }

    /// How much of `resource` a node must have left for one pod; 0 where any node will do.
    #[inline]
    pub fn need(&self, resource: ResourceId) -> i64 {
        amount(&self.looked_for, resource)
    }
}

#[inline]
fn amount(requests: &Requests, resource: ResourceId) -> i64 {
    requests.iter().find(|(id, _)| *id == resource).map_or(0, |(_, amount)| *amount)
}

/// All asks in use.
#[derive(Clone, Debug, Default)]
pub(super) struct AskTable {
    asks: Table<AskId, Option<AskSlot>>,
    free_asks: Vec<AskId>,
    by_content: FxHashMap<SharedAsk, AskId>,
    idle: VecDeque<AskId>,
    /// The ask that was interned last: equal pods come one after the other, and share it.
    recent: Option<AskId>,
    constraints: Table<ConstraintId, Option<ConstraintSlot>>,
    free_constraints: Vec<ConstraintId>,
    by_constraint: FxHashMap<ByConstraints, ConstraintId>,
}

#[derive(Clone, Debug)]
struct AskSlot {
    interned: InternedAsk,
    users: u32,
    queued_as_idle: bool,
}

#[derive(Clone, Debug)]
struct ConstraintSlot {
    /// Any ask with these constraints; its amounts mean nothing here.
    example: SharedAsk,
    asks: u32,
}

/// Compares asks by what rules read of node objects: everything but amounts.
#[derive(Clone, Debug)]
struct ByConstraints(SharedAsk);

/// True if the ask asks for a card or a MIG slice.
pub fn wants_accelerator(ask: &Ask) -> bool {
    ask.requests.iter().any(|(name, _)| ResourceClass::of(name) == ResourceClass::Accelerator)
}

/// True if a node must have left what the ask asks for of this resource: its profile neither ignores the resource nor
/// turns the filter off. Cards are never ignored: a node that was promised more of them than it has turns pods away.
pub fn looks_for(ask: &Ask, resource: &str) -> bool {
    let Some(profile) = &ask.profile else { return true };
    let is_card = || ResourceClass::of(resource) == ResourceClass::Accelerator;
    !profile.turns_off("NodeResourcesFit") && (!profile.ignored.holds(resource) || is_card())
}

impl PartialEq for ByConstraints {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        a.node_selector == b.node_selector
            && a.required_terms == b.required_terms
            && a.preferred_terms == b.preferred_terms
            && a.tolerations == b.tolerations
            && a.features == b.features
            && a.unsupported == b.unsupported
            && a.profile == b.profile
            && wants_accelerator(a) == wants_accelerator(b)
    }
}

impl Eq for ByConstraints {}

impl Hash for ByConstraints {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ask = &*self.0;
        ask.node_selector.hash(state);
        ask.required_terms.hash(state);
        ask.preferred_terms.hash(state);
        ask.tolerations.hash(state);
        ask.features.hash(state);
        ask.unsupported.hash(state);
        ask.profile.hash(state);
        wants_accelerator(ask).hash(state);
    }
}

impl AskTable {
    /// The id of an equal ask; counts one more user, who gives it back with [`Self::forget`].
    pub(super) fn intern(&mut self, ask: &SharedAsk, resources: &mut Resources) -> AskId {
        let known = self.recent.filter(|id| self.is_same(*id, ask));
        if let Some(id) = known.or_else(|| self.by_content.get(ask).copied()) {
            self.recent = Some(id);
            self.retain(id);
            return id;
        }
        let interned = self.compile(ask, resources);
        let slot = Some(AskSlot { interned, users: 1, queued_as_idle: false });
        let id = match self.free_asks.pop() {
            Some(id) => {
                self.asks[id] = slot;
                id
            }
            None => self.asks.push(slot),
        };
        self.by_content.insert(ask.clone(), id);
        id
    }

    /// True if `ask` is the very one that is kept under `id`, which may be gone.
    fn is_same(&self, id: AskId, ask: &SharedAsk) -> bool {
        self.asks[id].as_ref().is_some_and(|slot| Arc::ptr_eq(&slot.interned.ask, ask))
    }

    fn compile(&mut self, ask: &SharedAsk, resources: &mut Resources) -> InternedAsk {
        let requests = compile_amounts(&ask.requests, resources);
        let requested = ResourceSet::of(&requests);
        let mut looked_for = requests.clone();
        looked_for.retain(|(id, _)| looks_for(ask, resources.name(*id)));
        let packed_by = packed_by(&looked_for, resources);
        let constraint = self.intern_constraint(ask);
        let related = ask.relations.is_some() || !ask.volumes.is_empty();
        let relation = match (related, ask.weighing()) {
            (true, _) => Relation::Some,
            (false, Some(_)) => Relation::Ranked,
            (false, None) => Relation::None,
        };
        let counted = ask.scored.as_ref().map_or(Counted::NONE, |scored| scored.holding);
        InternedAsk {
            ask: ask.clone(),
            requests,
            looked_for,
            requested,
            packed_by,
            relation,
            counted,
            constraint,
        }
    }

    fn intern_constraint(&mut self, ask: &SharedAsk) -> ConstraintId {
        if let Some(&id) = self.by_constraint.get(&ByConstraints(ask.clone())) {
            self.constraint_slot(id).asks += 1;
            return id;
        }
        let slot = Some(ConstraintSlot { example: ask.clone(), asks: 1 });
        let id = match self.free_constraints.pop() {
            Some(id) => {
                self.constraints[id] = slot;
                id
            }
            None => self.constraints.push(slot),
        };
        self.by_constraint.insert(ByConstraints(ask.clone()), id);
        id
    }

    /// Counts one more user.
    #[inline]
    pub(super) fn retain(&mut self, id: AskId) {
        self.slot_mut(id).users += 1;
    }

    /// Counts one user less. Unused asks are dropped once many have gathered; those that want something of
    /// other pods at once, since what they want is followed for as long as they live.
    pub(super) fn forget(&mut self, id: AskId) -> Fate {
        let slot = self.slot_mut(id);
        slot.users =
            slot.users.checked_sub(1).expect("an ask is given back as often as it was taken");
        if slot.users > 0 || slot.queued_as_idle {
            return Fate::Kept;
        }
        match slot.interned.relation {
            Relation::Some => {
                self.drop_if_unused(id);
                return Fate::Dropped;
            }
            Relation::None | Relation::Ranked => {}
        }
        slot.queued_as_idle = true;
        self.idle.push_back(id);
        while self.idle.len() > IDLE_ASKS_KEPT {
            let oldest = self.idle.pop_front().expect("the queue is longer than its limit");
            self.drop_if_unused(oldest);
        }
        Fate::Kept
    }

    fn drop_if_unused(&mut self, id: AskId) {
        let slot = self.slot_mut(id);
        slot.queued_as_idle = false;
        if slot.users > 0 {
            return;
        }
        let slot = self.asks[id].take().expect("it was there a moment ago");
        self.by_content.remove(&slot.interned.ask);
        self.free_asks.push(id);
        let constraint = slot.interned.constraint;
        let shared = self.constraint_slot(constraint);
        shared.asks -= 1;
        if shared.asks == 0 {
            let slot = self.constraints[constraint].take().expect("it was there a moment ago");
            self.by_constraint.remove(&ByConstraints(slot.example));
            self.free_constraints.push(constraint);
        }
    }

    /// The ask of `id`.
    #[inline]
    pub(super) fn get(&self, id: AskId) -> &InternedAsk {
        &self.asks[id].as_ref().expect("an ask id is used only while the ask is held").interned
    }

    /// An ask whose constraints are those of `id`.
    #[inline]
    pub(super) fn constraint(&self, id: ConstraintId) -> &SharedAsk {
        &self.constraints[id].as_ref().expect("a constraint lives as long as its asks").example
    }

    #[inline]
    fn slot_mut(&mut self, id: AskId) -> &mut AskSlot {
        self.asks[id].as_mut().expect("an ask id is used only while the ask is held")
    }

    fn constraint_slot(&mut self, id: ConstraintId) -> &mut ConstraintSlot {
        self.constraints[id].as_mut().expect("a constraint lives as long as its asks")
    }
}

/// What a pod with these amounts takes from its node: the amounts, and one of `pods`.
pub(super) fn compile_amounts(amounts: &Amounts, resources: &mut Resources) -> Requests {
    let mut requests: Requests = SmallVec::with_capacity(amounts.len() + 1);
    requests.push((PODS, 1));
    for (name, amount) in amounts {
        let id = resources.id(name);
        if id != PODS && *amount > 0 {
            requests.push((id, *amount));
        }
    }
    requests.sort_unstable_by_key(|(id, _)| id.index());
    requests
}

/// Accelerators are packed before other devices, these before cpu and memory.
/// Between two kinds of one class the smaller name decides, so that it does not hang on arrival order.
fn packed_by(requests: &Requests, resources: &Resources) -> ResourceId {
    let preference = |id: ResourceId| match (resources.class(id), id) {
        (ResourceClass::Accelerator, _) => 0,
        (ResourceClass::Extended, _) => 1,
        (ResourceClass::Native, CPU) => 2,
        (ResourceClass::Native, MEMORY) => 3,
        (ResourceClass::Native, _) => 4,
        (ResourceClass::Pods, _) => 5,
    };
    let best =
        requests.iter().min_by_key(|(id, _)| (preference(*id), Arc::clone(resources.name(*id))));
    best.map_or(PODS, |(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{AskTable, IDLE_ASKS_KEPT, Resources};
    use crate::workload::ask::{Ask, SharedAsk};

    fn ask(requests: &[(&str, i64)]) -> SharedAsk {
        let requests = requests.iter().map(|(name, amount)| ((*name).into(), *amount)).collect();
        Arc::new(Ask { requests, ..Ask::default() })
    }

    #[test]
    fn equal_asks_share_an_id_and_other_amounts_share_constraints() {
        let (mut asks, mut resources) = (AskTable::default(), Resources::new());
        let one = asks.intern(&ask(&[("cpu", 100)]), &mut resources);
        let same = asks.intern(&ask(&[("cpu", 100)]), &mut resources);
        let more = asks.intern(&ask(&[("cpu", 200)]), &mut resources);
        let gpu = asks.intern(&ask(&[("cpu", 100), ("nvidia.com/gpu", 1)]), &mut resources);
        assert_eq!(one, same);
        assert_ne!(one, more);
        assert_eq!(asks.get(one).constraint, asks.get(more).constraint);
        assert_ne!(asks.get(one).constraint, asks.get(gpu).constraint);
    }

    #[test]
    fn the_scarcest_kind_is_packed() {
        let (mut asks, mut resources) = (AskTable::default(), Resources::new());
        let cases: [(&[(&str, i64)], &str); 5] = [
            (
                &[("cpu", 1), ("memory", 1), ("nvidia.com/gpu", 1), ("rdma/hca", 1)],
                "nvidia.com/gpu",
            ),
            (&[("cpu", 1), ("memory", 1), ("rdma/hca", 1)], "rdma/hca"),
            (&[("cpu", 1), ("memory", 1)], "cpu"),
            (&[("hugepages-2Mi", 1), ("memory", 1)], "memory"),
            (&[], "pods"),
        ];
        for (requests, expected) in cases {
            let id = asks.intern(&ask(requests), &mut resources);
            assert_eq!(&**resources.name(asks.get(id).packed_by), expected);
        }
    }

    #[test]
    fn unused_asks_do_not_pile_up() {
        let (mut asks, mut resources) = (AskTable::default(), Resources::new());
        let kept = asks.intern(&ask(&[("cpu", 1)]), &mut resources);
        for amount in 2..20_000 {
            let id = asks.intern(&ask(&[("cpu", amount)]), &mut resources);
            asks.forget(id);
        }
        assert!(asks.by_content.len() <= IDLE_ASKS_KEPT + 1, "{} asks kept", asks.by_content.len());
        assert_eq!(asks.intern(&ask(&[("cpu", 1)]), &mut resources), kept);
    }
}
