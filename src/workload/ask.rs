//! An ask: everything filters and scores read of a pod. Equal pods share one ask,
//! so that a gang of 4,096 equal pods is judged once.
//! Plain data: holds neither the pod's name nor its group, or equal pods would not be equal here.

use std::sync::Arc;

use super::constraints::{NodeTerm, PreferredTerm, Toleration};
use super::profile::{BOND_WEIGHT, Profile, TermsOfOthers, Weighing, WishesOfOthers};
use super::relations::Relations;
use super::scored::Scored;
use super::volumes::PodVolume;
use crate::base::names::Name;

/// Amounts by resource name, sorted by name, no zeros, no duplicates.
/// Units: `cpu` in millicores; everything else in whole units (bytes, devices).
pub type Amounts = Vec<(Name, i64)>;

/// What one pod asks of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    /// Requests by kube-scheduler's formula (init containers, sidecars, overhead, pod level).
    pub requests: Amounts,
    /// `spec.nodeSelector`, sorted by key.
    pub node_selector: Vec<(Name, Name)>,
    /// Required node affinity: `None` if absent; one of the terms must match.
    pub required_terms: Option<Vec<NodeTerm>>,
    /// Preferred node affinity.
    pub preferred_terms: Vec<PreferredTerm>,
    /// Tolerations, as written.
    pub tolerations: Vec<Toleration>,
    /// Features that a node must declare for what its spec uses, sorted.
    pub features: Vec<Name>,
    /// What it wants of other pods; `None` where it wants nothing of them.
    pub relations: Option<Box<Relations>>,
    /// What its scheduler's profile changes; `None` for the default profile.
    pub profile: Option<Arc<Profile>>,
    /// What kube-scheduler's scores read of it; `None` where no profile ranks nodes by them.
    pub scored: Option<Box<Scored>>,
    /// Volumes that bind it to nodes or to other pods, as listed in the pod.
    pub volumes: Vec<PodVolume>,
    /// What this pod wants and Muster cannot honour: each entry names field and remedy.
    /// A pod with any entry is refused (`Unsupported`), never placed as if it had not asked.
    pub unsupported: Vec<Name>,
}

impl Ask {
    /// True if the filter of the plugin `name` is off for this pod.
    pub fn turns_off(&self, name: &str) -> bool {
        self.profile.as_ref().is_some_and(|profile| profile.turns_off(name))
    }

    /// True if which nodes it may use follows from their labels.
    pub fn reads_node_labels(&self) -> bool {
        let added = self.profile.as_ref().is_some_and(|profile| profile.added_required.is_some());
        !self.node_selector.is_empty() || self.required_terms.is_some() || added
    }

    /// True if it has volumes whose claims are bound before it is, unless they are already: its profile may leave claims
    /// to others.
    pub fn has_claims_bound(&self) -> bool {
        !self.volumes.is_empty() && !self.turns_off("VolumeBinding")
    }

    /// Whether what other pods prefer makes nodes better or worse for this pod.
    pub fn wishes_of_others(&self) -> WishesOfOthers {
        let Some(profile) = &self.profile else {
            return WishesOfOthers::Count { bond: BOND_WEIGHT };
        };
        let has_own = self.relations.as_ref().is_some_and(|wants| !wants.wishes.is_empty());
        match profile.terms_of_others {
            TermsOfOthers::CountForThoseWithTerms if !has_own => WishesOfOthers::Ignored,
            TermsOfOthers::CountForThoseWithTerms | TermsOfOthers::Count => {
                WishesOfOthers::Count { bond: profile.bond_weight.unwrap_or(BOND_WEIGHT) }
            }
        }
    }

    /// The scores by which its nodes are ranked, where its profile asks for kube-scheduler's.
    pub fn weighing(&self) -> Option<&Weighing> {
        self.profile.as_ref()?.weighing.as_ref()
    }
}

/// An ask as facts carry it: shared, compared by content.
pub type SharedAsk = Arc<Ask>;
