//! What a profile of the configuration changes for the pods that name its scheduler: which filters are off, what it
//! adds to their node affinity, and by which scores their nodes are ranked. Part of the ask, so that rules and the referee find it where they look
//! anyway, and pods of other profiles do not pay for it.
//! Plain data; the default profile is the absence of one.

use super::constraints::NodeTerm;
use super::constraints::PreferredTerm;
use super::relations::Spread;
use super::relations::SpreadBy;
use crate::base::names::Name;
use crate::base::time::Span;

/// What differs from the default profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Profile {
    /// Plugins whose filters are off, by kube-scheduler's names; sorted, no duplicates.
    pub filters_off: Vec<&'static str>,
    /// Resources that are not looked for on nodes, though pods ask for them.
    pub ignored: Ignored,
    /// `addedAffinity`, required: beside the pod's own terms one of these must match. `None` if there are none.
    pub added_required: Option<Vec<NodeTerm>>,
    /// `addedAffinity`, preferred: their weights add to those of the pod's own.
    pub added_preferred: Vec<PreferredTerm>,
    /// What a pod that runs is worth to the pods that a term of its required affinity matches, from 0 to 100;
    /// `None` for [`BOND_WEIGHT`].
    pub bond_weight: Option<i64>,
    /// For whom the terms of pods that run count as wishes.
    pub terms_of_others: TermsOfOthers,
    /// How pods are spread that do not say it themselves; `None` where they are not.
    pub default_spread: Option<DefaultSpread>,
    /// How long the claims of a pod may take to be bound: `bindTimeoutSeconds`. `None` for what the engine is set to.
    pub bind_timeout: Option<Span>,
    /// kube-scheduler's scores, where nodes are ranked by them; `None` for Muster's own order.
    pub weighing: Option<Weighing>,
}

/// How pods are spread that say nothing of it, and that a Service or their controller selects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefaultSpread {
    /// Constraints that a node must meet; their selectors and namespaces are filled in for each pod.
    pub required: Vec<Spread>,
    /// Constraints that are only wished for, in the same form.
    pub wished: Vec<Spread>,
    /// Whose they are: of the profile, or of the system.
    pub by: SpreadBy,
}

/// Extended resources that somebody else looks after.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ignored {
    /// By name.
    pub resources: Vec<Name>,
    /// By what stands before the slash of their names.
    pub groups: Vec<Name>,
}

impl Ignored {
    /// True if `name` is one of them. As upstream, only an extended resource can be.
    pub fn holds(&self, name: &str) -> bool {
        let Some((group, _)) = name.split_once('/') else { return false };
        let is_extended = !name.contains("kubernetes.io/") && !name.starts_with("requests.");
        let is = |known: &Name| &**known == name;
        let is_of = |known: &Name| &**known == group;
        is_extended && (self.resources.iter().any(is) || self.groups.iter().any(is_of))
    }
}

/// Upstream's default of `hardPodAffinityWeight`.
pub const BOND_WEIGHT: i64 = 1;

/// For whom the terms of pods that run count as wishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TermsOfOthers {
    /// For every pod.
    #[default]
    Count,
    /// For pods with preferred terms of their own: `ignorePreferredTermsOfExistingPods`.
    CountForThoseWithTerms,
}

/// Whether what other pods prefer makes nodes better or worse for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WishesOfOthers {
    /// It does.
    Count {
        /// What a pod is worth whose required affinity matches.
        bond: i64,
    },
    /// It does not.
    Ignored,
}

/// kube-scheduler's scores and what each counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weighing {
    /// Plugins that score, with their weights from 1; sorted by name, no duplicates.
    pub weights: Vec<(&'static str, i64)>,
    /// How NodeResourcesFit scores.
    pub strategy: Strategy,
    /// The resources by which it scores, with their weights from 1, in the order in which they are written.
    pub resources: Vec<(Name, i64)>,
    /// The resources that NodeResourcesBalancedAllocation balances.
    pub balanced: Vec<Name>,
    /// How VolumeBinding scores by the share of storage that is asked for: points as of
    /// [`Strategy::RequestedToCapacityRatio`].
    pub storage: Vec<(i64, i64)>,
}

/// How good it is that much of a resource is asked for on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// The less, the better.
    #[default]
    LeastAllocated,
    /// The more, the better.
    MostAllocated,
    /// As a function of the share that is asked for, in percent, says: its points by rising share, each with a score
    /// from 0 to 100. Not empty.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

impl Weighing {
    /// The weight of the plugin `name`; 0 where it does not score.
    pub fn weight(&self, name: &str) -> i64 {
        let at = self.weights.binary_search_by_key(&name, |(known, _)| known);
        at.map_or(0, |at| self.weights[at].1)
    }
}

impl Profile {
    /// True if the filter of the plugin `name` is off.
    pub fn turns_off(&self, name: &str) -> bool {
        self.filters_off.binary_search(&name).is_ok()
    }
}
