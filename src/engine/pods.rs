//! Every pod the engine knows, of every scheduler: the fact as last observed and where the pod is
//! believed to be. Knows no gang beyond its id. Invariant: a name leads to one row, and that row has
//! the uid observed last; an id is given out again only after the row is gone.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::gangs::GangId;
use super::order::{BindRole, OrderId};
use crate::base::names::ObjectName;
use crate::base::slab::Slab;
use crate::cluster::facts::{PodFact, PodPhase};
use crate::cluster::ids::{AskId, NodeId, PodId};
use crate::cluster::renumbering::Renumbering;

/// A pod and what the engine believes of it.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    /// As observed last. Its `node` is filled in too once a bind is known to have been done.
    pub(super) fact: Box<PodFact>,
    /// What it asks, interned.
    pub(super) ask: AskId,
    /// Its gang. `None` for pods without a group that are somebody else's, bound, or finished.
    pub(super) gang: Option<GangId>,
    /// Where it counts.
    pub(super) place: Place,
    /// Fingerprint of the condition told last; 0 if none was.
    pub(super) told: u64,
}

/// Where a pod's resources count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On no node: unbound, or finished.
    Nowhere,
    /// A seat is held for it.
    Assumed(Seat),
    /// Bound to this node, by whomever.
    Bound(NodeId),
}

/// A seat that is held while its bind is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// Where.
    pub(super) node: NodeId,
    /// The bind; `OrderId::NONE` where the gang's commitment binds it.
    pub(super) order: OrderId,
    /// The version that the bind names as its precondition.
    pub(super) version: u64,
    /// The epoch of the plan that the bind is of.
    pub(super) epoch: u32,
    /// What the bind is to that plan.
    pub(super) role: BindRole,
    /// How often the bind came back as unknown.
    pub(super) doubts: u32,
    /// Whether the bind's outcome came back.
    pub(super) answer: Answer,
}

/// What is known of a bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is under way.
    Awaited,
    /// It came back as unknown: a fact tells, or the same bind once more.
    Unknown,
}

/// What a pod counts as among the members of its gang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// May be placed.
    Waiting,
    /// Has scheduling gates.
    Gated,
    /// Has a seat, its bind is under way.
    Assumed,
    /// Bound and alive.
    Bound,
    /// Being deleted, bound or not.
    Leaving,
    /// Finished well.
    Succeeded,
    /// Finished otherwise.
    Failed,
}

impl Standing {
    /// Number of standings.
    pub(super) const COUNT: usize = 7;

    /// The word that people read.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Gated => "gated",
            Self::Assumed => "binding",
            Self::Bound => "bound",
            Self::Leaving => "leaving",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

impl Pod {
    /// What it counts as.
    #[inline]
    pub(super) fn standing(&self) -> Standing {
        match self.fact.phase {
            PodPhase::Succeeded => return Standing::Succeeded,
            PodPhase::Failed => return Standing::Failed,
            PodPhase::Pending | PodPhase::Running => {}
        }
        if self.fact.deleting {
            return Standing::Leaving;
        }
        match self.place {
            Place::Bound(_) => Standing::Bound,
            Place::Assumed(_) => Standing::Assumed,
            Place::Nowhere if !self.fact.gates.is_empty() => Standing::Gated,
            Place::Nowhere => Standing::Waiting,
        }
    }

    /// True if its gang's commitment holds a seat for it.
    pub(super) fn has_plan_seat(&self) -> bool {
        self.seat().is_some_and(|seat| seat.role == BindRole::Planned)
    }

    /// The seat that is held for it.
    #[inline]
    pub(super) fn seat(&self) -> Option<Seat> {
        match self.place {
            Place::Assumed(seat) => Some(seat),
            Place::Nowhere | Place::Bound(_) => None,
        }
    }
}

/// All pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Pods {
    rows: Slab<PodId, Pod>,
    /// Pods by the hash of their name; the name itself lies in the row, which is looked at next anyway.
    by_hash: FxHashMap<u64, PodId>,
    /// Pods whose name has the hash of another pod's.
    crowded_out: BTreeMap<ObjectName, PodId>,
}

impl Pods {
    /// The pod of that name, whatever its uid.
    pub(super) fn find(&self, name: &ObjectName) -> Option<PodId> {
        self.find_hashed(hash_of(name), name)
    }

    /// Adds a pod whose name is not taken.
    pub(super) fn insert(&mut self, pod: Pod) -> PodId {
        let hash = hash_of(&pod.fact.name);
        self.insert_hashed(hash, pod)
    }

    /// Takes a pod out.
    pub(super) fn remove(&mut self, id: PodId) -> Pod {
        let hash = hash_of(&self.rows[id].fact.name);
        self.remove_hashed(hash, id)
    }

    fn find_hashed(&self, hash: u64, name: &ObjectName) -> Option<PodId> {
        match self.by_hash.get(&hash) {
            Some(id) if self.rows[*id].fact.name == *name => Some(*id),
            Some(_) | None => self.crowded_out.get(name).copied(),
        }
    }

    fn insert_hashed(&mut self, hash: u64, pod: Pod) -> PodId {
        assert!(self.find_hashed(hash, &pod.fact.name).is_none(), "two pods of one name");
        let id = self.rows.insert(pod);
        if let Some(other) = self.by_hash.insert(hash, id) {
            self.crowded_out.insert(self.rows[other].fact.name.clone(), other);
        }
        id
    }

    fn remove_hashed(&mut self, hash: u64, id: PodId) -> Pod {
        let pod = self.rows.remove(id).expect("only known pods are removed");
        if self.by_hash.get(&hash) == Some(&id) {
            self.by_hash.remove(&hash);
        } else {
            self.crowded_out.remove(&pod.fact.name);
        }
        pod
    }

    /// The pod of `id`, which must exist.
    #[inline]
    pub(super) fn get(&self, id: PodId) -> &Pod {
        &self.rows[id]
    }

    /// The pod of `id`, if it still exists.
    pub(super) fn known(&self, id: PodId) -> Option<&Pod> {
        self.rows.get(id)
    }

    /// The pod of `id`, which must exist.
    #[inline]
    pub(super) fn get_mut(&mut self, id: PodId) -> &mut Pod {
        &mut self.rows[id]
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber_nodes(&mut self, new: &Renumbering) {
        for (_, pod) in self.rows.iter_mut() {
            pod.place = pod.place.renumbered(new);
        }
    }

    /// All pods, in id order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.rows.iter()
    }
}

fn hash_of(name: &ObjectName) -> u64 {
    let mut hasher = FxHasher::default();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Place, Pod, Pods};
    use crate::base::names::ObjectName;
    use crate::base::time::Time;
    use crate::cluster::facts::{PodFact, PodPhase};
    use crate::cluster::ids::AskId;
    use crate::workload::scored::Counted;

    fn pod(name: &str) -> Pod {
        let fact = Box::new(PodFact {
            name: ObjectName::new("team", name),
            uid: name.into(),
            resource_version: 1,
            created: Time::EPOCH,
            scheduler: "muster".into(),
            labels: Arc::default(),
            group: None,
            priority: 0,
            node: None,
            nominated: None,
            phase: PodPhase::Pending,
            reason: None,
            deleting: false,
            gates: Vec::new(),
            ask: Arc::default(),
            held: None,
            held_counted: Counted::NONE,
            controller: None,
            selected_by: None,
            pinned_to_node: false,
            malformed: None,
        });
        Pod { fact, ask: AskId(0), gang: None, place: Place::Nowhere, told: 0 }
    }

    #[test]
    fn names_of_one_hash_are_told_apart() {
        let mut pods = Pods::default();
        let names = ["a", "b", "c"].map(|name| ObjectName::new("team", name));
        let ids = ["a", "b", "c"].map(|name| pods.insert_hashed(7, pod(name)));
        let found = |pods: &Pods| [0, 1, 2].map(|at| pods.find_hashed(7, &names[at]));
        assert_eq!(found(&pods), ids.map(Some));
        // Whoever is found by the hash goes first, then one that was crowded out.
        pods.remove_hashed(7, ids[2]);
        assert_eq!(found(&pods), [Some(ids[0]), Some(ids[1]), None]);
        pods.remove_hashed(7, ids[0]);
        assert_eq!(found(&pods), [None, Some(ids[1]), None]);
        let again = pods.insert_hashed(7, pod("a"));
        assert_eq!(found(&pods), [Some(again), Some(ids[1]), None]);
    }
}
