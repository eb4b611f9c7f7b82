//! Storage as believed: claims, volumes, and what drivers offer, as their objects say; what was promised beyond that;
//! and which pods use which volumes where. Judges nothing: what follows for nodes is for `plugins` to say.
//! Invariants: a promise lasts as long as a pod holds it; who uses what equals a recount of the placed pods.

pub(super) mod audit;
pub mod facts;
pub mod matching;
pub mod promises;

#[cfg(test)]
pub(crate) mod fixture;
mod mounts;
mod observe;
mod pools;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::facts::{
    AttachmentFact, CapacityFact, ClaimFact, ClassFact, CsiNodeFact, DriverFact, StorageFact,
    StorageKind, VolumeFact,
};
pub use self::mounts::Mounts;
use self::pools::{Pin, Pools};
use self::promises::Promises;
use crate::base::labels::Operator;
use crate::base::names::{Name, ObjectName};
use crate::workload::constraints::NodeOperator;

/// Everything that is believed about storage.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    claims: BTreeMap<ObjectName, ClaimFact>,
    volumes: BTreeMap<Name, VolumeFact>,
    /// Volumes that are nobody's, by class: size and name.
    free_volumes: Pools<(i64, Name)>,
    /// Volumes by the claim that they are for.
    by_claim: BTreeMap<ObjectName, BTreeSet<Name>>,
    classes: BTreeMap<Name, ClassFact>,
    csi_nodes: BTreeMap<Name, CsiNodeFact>,
    drivers: BTreeMap<Name, DriverFact>,
    capacities: BTreeMap<ObjectName, CapacityFact>,
    capacity_pools: Pools<ObjectName>,
    attachments: BTreeMap<Name, AttachmentFact>,
    /// Attachments by node.
    by_node: BTreeMap<Name, BTreeSet<Name>>,
    /// What was promised and is not in the objects yet.
    promises: Promises,
    /// Who uses what.
    pub(super) mounts: Mounts,
    /// Kinds that cannot be watched.
    hidden: BTreeSet<StorageKind>,
}

impl Storage {
    /// Takes in a fact. True if it says anything new.
    fn observe(&mut self, fact: StorageFact) -> bool {
        match fact {
            StorageFact::Claim(fact) => replace(&mut self.claims, fact.name.clone(), fact),
            StorageFact::Volume(fact) => self.observe_volume(fact),
            StorageFact::Class(fact) => replace(&mut self.classes, fact.name.clone(), fact),
            StorageFact::CsiNode(fact) => replace(&mut self.csi_nodes, fact.node.clone(), fact),
            StorageFact::Driver(fact) => replace(&mut self.drivers, fact.name.clone(), fact),
            StorageFact::Capacity(fact) => self.observe_capacity(fact),
            StorageFact::Attachment(fact) => self.observe_attachment(fact),
        }
    }

    fn observe_volume(&mut self, fact: VolumeFact) -> bool {
        let name = fact.name.clone();
        if self.volumes.get(&name) == Some(&fact) {
            return false;
        }
        self.take_volume(&name);
        match &fact.claim {
            Some(reference) => {
                let own = self.by_claim.entry(reference.claim.clone()).or_default();
                own.insert(name.clone());
            }
            None => {
                let thing = (fact.capacity, name.clone());
                self.free_volumes.insert(&fact.class, pin_of_volume(&fact).as_ref(), thing);
            }
        }
        self.volumes.insert(name, fact);
        true
    }

    fn take_volume(&mut self, name: &Name) {
        let Some(fact) = self.volumes.remove(name) else { return };
        match &fact.claim {
            Some(reference) => unlist(&mut self.by_claim, &reference.claim, name),
            None => {
                let thing = (fact.capacity, name.clone());
                self.free_volumes.remove(&fact.class, pin_of_volume(&fact).as_ref(), &thing);
            }
        }
    }

    fn observe_capacity(&mut self, fact: CapacityFact) -> bool {
        if self.capacities.get(&fact.name) == Some(&fact) {
            return false;
        }
        self.take_capacity(&fact.name);
        let pin = pin_of_capacity(&fact);
        self.capacity_pools.insert(&fact.class, pin.as_ref(), fact.name.clone());
        self.capacities.insert(fact.name.clone(), fact);
        true
    }

    fn take_capacity(&mut self, name: &ObjectName) {
        let Some(fact) = self.capacities.remove(name) else { return };
        self.capacity_pools.remove(&fact.class, pin_of_capacity(&fact).as_ref(), name);
    }

    fn observe_attachment(&mut self, fact: AttachmentFact) -> bool {
        let (name, node) = (fact.name.clone(), fact.node.clone());
        let before = self.attachments.get(&name).map(|before| before.node.clone());
        if before.as_ref() != Some(&node) {
            if let Some(before) = before {
                unlist(&mut self.by_node, &before, &name);
            }
            self.by_node.entry(node).or_default().insert(name.clone());
        }
        replace(&mut self.attachments, name, fact)
    }

    /// Takes in that an object is gone. True if it was known by this uid.
    fn forget(&mut self, kind: StorageKind, name: &ObjectName, uid: &str) -> bool {
        let bare = &name.name;
        match kind {
            StorageKind::Claim => take(&mut self.claims, name, |fact| *fact.uid == *uid).is_some(),
            StorageKind::Volume => {
                let known = self.volumes.get(bare).is_some_and(|fact| *fact.uid == *uid);
                if known {
                    self.take_volume(bare);
                }
                known
            }
            StorageKind::Class => take(&mut self.classes, bare, |fact| *fact.uid == *uid).is_some(),
            StorageKind::CsiNode => {
                take(&mut self.csi_nodes, bare, |fact| *fact.uid == *uid).is_some()
            }
            StorageKind::Driver => {
                take(&mut self.drivers, bare, |fact| *fact.uid == *uid).is_some()
            }
            StorageKind::Capacity => {
                let known = self.capacities.get(name).is_some_and(|fact| *fact.uid == *uid);
                if known {
                    self.take_capacity(name);
                }
                known
            }
            StorageKind::Attachment => {
                let gone = take(&mut self.attachments, bare, |fact| *fact.uid == *uid);
                if let Some(gone) = &gone {
                    unlist(&mut self.by_node, &gone.node, bare);
                }
                gone.is_some()
            }
        }
    }

    /// Takes in that a kind cannot be watched, or can. True if that is new.
    fn set_hidden(&mut self, kind: StorageKind, sight: Sight) -> bool {
        match sight {
            Sight::Hidden => self.hidden.insert(kind),
            Sight::Shown => self.hidden.remove(&kind),
        }
    }

    /// The first kind that cannot be watched: while there is one, no pod with volumes can be judged.
    pub fn hidden(&self) -> Option<StorageKind> {
        self.hidden.first().copied()
    }

    /// A claim.
    pub fn claim(&self, name: &ObjectName) -> Option<&ClaimFact> {
        self.claims.get(name)
    }

    /// A volume.
    pub fn volume(&self, name: &str) -> Option<&VolumeFact> {
        self.volumes.get(name)
    }

    /// The volumes whose objects say that they are for `claim`, by name.
    pub fn volumes_for(&self, claim: &ObjectName) -> impl Iterator<Item = &VolumeFact> {
        let names = self.by_claim.get(claim).into_iter().flatten();
        names.map(|name| self.volumes.get(name).expect("what is listed by claim exists"))
    }

    /// All volumes, by name.
    pub fn volumes(&self) -> impl Iterator<Item = &VolumeFact> {
        self.volumes.values()
    }

    /// A storage class.
    pub fn class(&self, name: &str) -> Option<&ClassFact> {
        self.classes.get(name)
    }

    /// The drivers of a node.
    pub fn csi_node(&self, node: &str) -> Option<&CsiNodeFact> {
        self.csi_nodes.get(node)
    }

    /// A CSI driver.
    pub fn driver(&self, name: &str) -> Option<&DriverFact> {
        self.drivers.get(name)
    }

    /// A capacity.
    pub fn capacity(&self, name: &ObjectName) -> Option<&CapacityFact> {
        self.capacities.get(name)
    }

    /// All capacities, by name.
    pub fn capacities(&self) -> impl Iterator<Item = &CapacityFact> {
        self.capacities.values()
    }

    /// The attachments of a node, by name.
    pub fn attachments_of(&self, node: &str) -> impl Iterator<Item = &AttachmentFact> {
        let names = self.by_node.get(node).into_iter().flatten();
        names.map(|name| self.attachments.get(name).expect("what is listed by node exists"))
    }

    /// What was promised and is not in the objects yet.
    pub const fn promises(&self) -> &Promises {
        &self.promises
    }

    /// Who uses what.
    pub const fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// True if the very same is known of the object that `fact` is about.
    pub fn agrees_with(&self, fact: &StorageFact) -> bool {
        match fact {
            StorageFact::Claim(fact) => self.claims.get(&fact.name) == Some(fact),
            StorageFact::Volume(fact) => self.volumes.get(&fact.name) == Some(fact),
            StorageFact::Class(fact) => self.classes.get(&fact.name) == Some(fact),
            StorageFact::CsiNode(fact) => self.csi_nodes.get(&fact.node) == Some(fact),
            StorageFact::Driver(fact) => self.drivers.get(&fact.name) == Some(fact),
            StorageFact::Capacity(fact) => self.capacities.get(&fact.name) == Some(fact),
            StorageFact::Attachment(fact) => self.attachments.get(&fact.name) == Some(fact),
        }
    }
}

/// Whether a kind can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It cannot: the right is missing, or the server does not serve it.
    Hidden,
    /// It can.
    Shown,
}

fn replace<K: Ord, F: PartialEq>(map: &mut BTreeMap<K, F>, key: K, fact: F) -> bool {
    if map.get(&key) == Some(&fact) {
        return false;
    }
    map.insert(key, fact);
    true
}

fn take<K: Ord, F>(map: &mut BTreeMap<K, F>, key: &K, is_it: impl Fn(&F) -> bool) -> Option<F> {
    if map.get(key).is_some_and(is_it) { map.remove(key) } else { None }
}

fn unlist<K: Ord>(lists: &mut BTreeMap<K, BTreeSet<Name>>, list: &K, name: &Name) {
    if let Some(names) = lists.get_mut(list) {
        names.remove(name);
        if names.is_empty() {
            lists.remove(list);
        }
    }
}

/// The one value of one label that the nodes of a volume must have, if its affinity says so at once.
fn pin_of_volume(volume: &VolumeFact) -> Option<Pin> {
    let [term] = &volume.node_terms.as_ref()?[..] else { return None };
    term.match_expressions.iter().find_map(|wanted| match (wanted.operator, &wanted.values[..]) {
        (NodeOperator::In, [value]) => Some((wanted.key.clone(), value.clone())),
        (
            NodeOperator::In
            | NodeOperator::NotIn
            | NodeOperator::Exists
            | NodeOperator::DoesNotExist
            | NodeOperator::Gt
            | NodeOperator::Lt,
            _,
        ) => None,
    })
}

/// The one value of one label that the nodes of a capacity must have, if its topology says so at once.
fn pin_of_capacity(capacity: &CapacityFact) -> Option<Pin> {
    let wanted = &capacity.topology.as_ref()?.requirements;
    wanted.iter().find_map(|wanted| match (wanted.operator, &wanted.values[..]) {
        (Operator::In, [value]) => Some((wanted.key.clone(), value.clone())),
        (
            Operator::In
            | Operator::NotIn
            | Operator::Exists
            | Operator::DoesNotExist
            | Operator::GreaterThan
            | Operator::LessThan,
            _,
        ) => None,
    })
}
