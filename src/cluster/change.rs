//! What a fact changed about one node, as a value: waiting gangs are woken by it, not by retrying.
//! Tells only what may help somebody: a loss is left out, since it cures nothing.
//! Knows no gang and no ask; who could be helped is for the planner to say.

use super::ids::NodeId;
use super::resources::ResourceSet;

/// What one fact changed. Every fact concerns at most one node. Losses need no mention: they cure nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The node; `None` if nothing changed that a filter could notice.
    pub node: Option<NodeId>,
    /// The node came into being (or back).
    pub added: bool,
    /// Its labels changed.
    pub labels: bool,
    /// Its taints changed.
    pub taints: bool,
    /// It was uncordoned, or let out of quarantine.
    pub uncordoned: bool,
    /// More of these resources is free on it than before.
    pub grew: ResourceSet,
}

impl Changes {
    /// Nothing that could help anybody.
    pub const NONE: Self = Self {
        node: None,
        added: false,
        labels: false,
        taints: false,
        uncordoned: false,
        grew: ResourceSet::EMPTY,
    };

    /// Takes in a later change of the same node.
    pub fn absorb(&mut self, later: &Self) {
        assert_eq!(self.node, later.node, "changes of two nodes do not add up");
        self.added |= later.added;
        self.labels |= later.labels;
        self.taints |= later.taints;
        self.uncordoned |= later.uncordoned;
        self.grew.unite(later.grew);
    }

    /// True if no waiting pod could be helped by it.
    pub const fn is_none(&self) -> bool {
        self.node.is_none()
            || !(self.added || self.labels || self.taints || self.uncordoned)
                && self.grew.is_empty()
    }
}
