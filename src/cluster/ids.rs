//! The ids of the believed state: nodes, asks, pods, resource kinds, constraints.
//! They are given out in the order of first sight, so the same facts in the same order give the same ids.
//! All but resource kinds are given out again: whoever keeps one must hear when its row goes.

use crate::id_type;

id_type!(
    /// A node. Ids are given out anew when nodes came out of the order of names; see `renumbering`.
    NodeId
);
id_type!(
    /// An interned ask.
    AskId
);
id_type!(
    /// A pod, given out by the engine; reused after the pod is gone.
    PodId
);
id_type!(
    /// A resource kind, in the order in which kinds were first seen.
    ResourceId
);
id_type!(
    /// A selector of pods that some ask uses; given out again once none does.
    SelectorId
);
id_type!(
    /// A term that running pods carry against, or for, the pods that it selects.
    TermId
);
id_type!(
    /// A node label whose values are domains to some ask.
    KeyId
);

/// Which of the selectors that are in use match a pod: pods with equal asks and equal signatures are equal to
/// every rule. Given out once and never again, so that a number that is kept too long is merely unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureId(pub u32);

impl SignatureId {
    /// No selector that is in use matches.
    pub const NONE: Self = Self(0);
}

id_type!(
    /// Node constraints that several asks share: all that rules read of node objects for an ask.
    ConstraintId
);
