//! What the claims of a pod would get on a node: the search of kube-scheduler's volume binder, on believed objects and
//! promises. Small claims first, each the smallest volume that will do; what finds none is provisioned, if it can be.
//! Chooses no node and changes nothing. Invariant: the same state gives the same choice, ties by name.

use std::collections::BTreeSet;

use super::Storage;
use super::facts::{Backing, BindingMode, CapacityFact, ClaimFact, ClassFact, VolumeFact};
use super::promises::Promise;
use crate::base::names::{Name, ObjectName};
use crate::workload::constraints::NodeTerm;

/// The provisioner of classes that provision nothing.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// How far a claim is from being bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState<'a> {
    /// Fully bound to this volume.
    Bound(&'a Name),
    /// Not bound, and not for a scheduler to bind.
    Immediate,
    /// Not bound: it waits for a node.
    Delayed,
}

/// Why the unbound claims of a pod cannot be bound on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No volume matches, and none can be provisioned there.
    Volume,
    /// One could be provisioned there, were there enough space.
    Space,
}

/// A node as storage sees it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its name.
    pub node: &'a Name,
    /// Its labels, sorted by key.
    pub labels: &'a [(Name, Name)],
}

impl<'a> Place<'a> {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&'a str> {
        let at = self.labels.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        Some(&self.labels[at].1)
    }

    /// True if a volume with these terms can be reached from here.
    fn meets(&self, terms: Option<&[NodeTerm]>) -> bool {
        let meets = |term: &NodeTerm| term.matches_labels(|key| self.label(key));
        terms.is_none_or(|terms| terms.iter().any(meets))
    }
}

impl VolumeFact {
    /// True if the volume can be reached from `place`, as its object says.
    pub(super) fn is_reached_from(&self, place: Place<'_>) -> bool {
        place.meets(self.node_terms.as_deref())
    }

    /// True if the volume is for `claim`, as far as its own object says.
    fn is_for(&self, claim: &ClaimFact) -> bool {
        self.claim.as_ref().is_some_and(|reference| {
            reference.claim == claim.name
                && (reference.uid.is_empty() || reference.uid == claim.uid)
        })
    }

    /// True if the volume can serve what `claim` asks for, wherever that is.
    fn can_hold(&self, claim: &ClaimFact) -> bool {
        let shape = &claim.shape;
        self.capacity >= shape.request.unwrap_or(0)
            && self.mode == shape.mode
            && self.attributes_class == shape.attributes_class
            && !self.deleting
    }

    /// True if nobody has the volume, and `claim` may take it.
    fn may_be_taken_by(&self, claim: &ClaimFact) -> bool {
        let shape = &claim.shape;
        let label = |key: &str| {
            let at = self.labels.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
            Some(&*self.labels[at].1)
        };
        self.claim.is_none()
            && self.available
            && self.modes.include(shape.modes)
            && shape.selector.as_ref().is_none_or(|selector| selector.matches(label))
    }
}

impl ClassFact {
    /// True if volumes can be provisioned for `place`, as far as the class says.
    fn provisions_for(&self, place: Place<'_>) -> bool {
        let reaches = |term: &super::facts::TopologyTerm| {
            let meets = |(key, values): &(Name, Vec<Name>)| {
                place.label(key).is_some_and(|value| values.iter().any(|known| **known == *value))
            };
            !term.is_empty() && term.iter().all(meets)
        };
        !self.provisioner.is_empty()
            && &*self.provisioner != NO_PROVISIONER
            && (self.topologies.is_empty() || self.topologies.iter().any(reaches))
    }
}

impl Storage {
    /// True if `volume`, to which a claim is bound, can be reached from `place`: where the volume's in-tree plugin was
    /// migrated to CSI, as the driver reads its affinity.
    pub fn is_reached(&self, volume: &VolumeFact, place: Place<'_>) -> bool {
        match &volume.backing {
            Backing::InTree { volume: in_tree, node_terms }
                if self.is_migrated(&in_tree.plugin, place.node) =>
            {
                place.meets(node_terms.as_deref())
            }
            Backing::InTree { .. } | Backing::Csi { .. } | Backing::Uncounted => {
                volume.is_reached_from(place)
            }
        }
    }

    fn is_migrated(&self, plugin: &Name, node: &str) -> bool {
        self.csi_node(node).is_some_and(|known| known.migrated.contains(plugin))
    }

    /// How far `claim` is from being bound.
    pub fn state_of<'a>(&self, claim: &'a ClaimFact) -> ClaimState<'a> {
        if let Some(volume) = claim.bound_to() {
            return ClaimState::Bound(volume);
        }
        let class = Some(&claim.shape.class).filter(|class| !class.is_empty());
        let waits = class
            .and_then(|class| self.class(class))
            .is_some_and(|class| class.binding == BindingMode::WaitForFirstConsumer);
        if waits && claim.volume.is_none() { ClaimState::Delayed } else { ClaimState::Immediate }
    }

    /// The node that `claim` is being provisioned for.
    fn selected_node<'a>(&'a self, claim: &'a ClaimFact) -> Option<&'a Name> {
        match self.promises.of(&claim.name) {
            Some(Promise::Provisioned(node)) => Some(node),
            Some(Promise::Volume(_)) => None,
            None => claim.selected_node.as_ref(),
        }
    }

    /// What each of `claims`, which wait for a node, would get at `place`.
    ///
    /// # Errors
    /// What one of them lacks there.
    pub fn choose(
        &self,
        claims: &[&ClaimFact],
        place: Place<'_>,
    ) -> Result<Vec<(ObjectName, Promise)>, Lack> {
        let (mut to_match, mut to_provision) = (Vec::new(), Vec::new());
        for claim in claims {
            match self.selected_node(claim) {
                Some(node) if node != place.node => return Err(Lack::Volume),
                Some(_) => to_provision.push(*claim),
                None => to_match.push(*claim),
            }
        }
        to_match.sort_by_key(|claim| claim.shape.request.unwrap_or(0));
        let (mut chosen, mut taken) = (Vec::new(), BTreeSet::new());
        for claim in to_match {
            match self.find_volume(claim, place, &taken) {
                Some(volume) => {
                    taken.insert(volume.clone());
                    chosen.push((claim.name.clone(), Promise::Volume(volume.clone())));
                }
                None => to_provision.push(claim),
            }
        }
        for claim in to_provision {
            self.check_provision(claim, place)?;
            chosen.push((claim.name.clone(), Promise::Provisioned(place.node.clone())));
        }
        Ok(chosen)
    }

    /// The volume that `claim` would get: one that is for it already, else the smallest that will do.
    fn find_volume<'a>(
        &'a self,
        claim: &ClaimFact,
        place: Place<'_>,
        taken: &BTreeSet<Name>,
    ) -> Option<&'a Name> {
        if let Some(Promise::Volume(volume)) = self.promises.of(&claim.name) {
            let volume = self.volume(volume)?;
            return volume.is_reached_from(place).then_some(&volume.name);
        }
        let own = self.volumes_for(&claim.name);
        let own = own.filter(|volume| volume.class == claim.shape.class && volume.is_for(claim));
        if let Some(own) = own.into_iter().find(|volume| volume.can_hold(claim)) {
            // It may have been somebody else's a moment ago, who is yet to find out.
            let is_free = self.promises.claim_of(&own.name).is_none();
            return (is_free && own.is_reached_from(place)).then_some(&own.name);
        }
        let least = (claim.shape.request.unwrap_or(0), Name::from(""));
        let fits = |name: &Name| {
            let volume = self.volume(name).expect("what is pooled exists");
            !taken.contains(name)
                && self.promises.claim_of(name).is_none()
                && volume.can_hold(claim)
                && volume.may_be_taken_by(claim)
                && volume.is_reached_from(place)
        };
        let sets = self.free_volumes.sets(&claim.shape.class, |key| place.label(key));
        let smallest = sets
            .into_iter()
            .filter_map(|set| set.range(least.clone()..).find(|(_, name)| fits(name)))
            .min();
        smallest.map(|(_, name)| name)
    }

    /// Whether a volume for `claim` can be provisioned for `place`.
    fn check_provision(&self, claim: &ClaimFact, place: Place<'_>) -> Result<(), Lack> {
        self.provided_from(claim, place).map(|_| ())
    }

    /// What a volume for `claim` would be provisioned from at `place`: the first by name of what is large enough;
    /// nothing where its driver does not say what it has.
    ///
    /// # Errors
    /// What is lacking there.
    pub fn provided_from(
        &self,
        claim: &ClaimFact,
        place: Place<'_>,
    ) -> Result<Option<&CapacityFact>, Lack> {
        let class = self.class(&claim.shape.class).ok_or(Lack::Volume)?;
        if !class.provisions_for(place) {
            return Err(Lack::Volume);
        }
        let publishes =
            self.driver(&class.provisioner).is_some_and(|driver| driver.publishes_capacity);
        let Some(request) = claim.shape.request.filter(|_| publishes) else { return Ok(None) };
        let suffices = |name: &ObjectName| {
            let capacity = &self.capacities[name];
            capacity.limit.is_some_and(|limit| limit >= request)
                && capacity
                    .topology
                    .as_ref()
                    .is_some_and(|topology| topology.matches(|key| place.label(key)))
        };
        let sets = self.capacity_pools.sets(&class.name, |key| place.label(key)).into_iter();
        let name = sets.filter_map(|set| set.iter().find(|name| suffices(name))).min();
        name.map(|name| Some(&self.capacities[name])).ok_or(Lack::Space)
    }
}
