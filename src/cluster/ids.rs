//! The ids of the believed state.

use crate::id_type;

id_type!(
    /// A node. Ids are reused after a node is gone.
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
    /// Node constraints that several asks share: all that rules read of node objects for an ask.
    ConstraintId
);
