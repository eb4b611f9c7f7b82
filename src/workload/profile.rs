//! What a profile of the configuration changes for the pods that name its scheduler: which filters are off,
//! and what it adds to their node affinity. Part of the ask, so that rules and the referee find it where they look
//! anyway, and pods of other profiles do not pay for it.
//! Plain data; the default profile is the absence of one.

use super::constraints::NodeTerm;
use super::constraints::PreferredTerm;

/// What differs from the default profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Profile {
    /// Plugins whose filters are off, by kube-scheduler's names; sorted, no duplicates.
    pub filters_off: Vec<&'static str>,
    /// `addedAffinity`, required: beside the pod's own terms one of these must match. `None` if there are none.
    pub added_required: Option<Vec<NodeTerm>>,
    /// `addedAffinity`, preferred: their weights add to those of the pod's own.
    pub added_preferred: Vec<PreferredTerm>,
}

impl Profile {
    /// True if the filter of the plugin `name` is off.
    pub fn turns_off(&self, name: &str) -> bool {
        self.filters_off.binary_search(&name).is_ok()
    }
}
