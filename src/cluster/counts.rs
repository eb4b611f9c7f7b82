//! What the pods on each node count as in kube-scheduler's scores, which take a pod that asks for nothing for one that
//! asks for a little. Stays empty, and costs a test per place or release, until the first pod that counts so comes.
//! Invariant: what is kept equals a recount of the placed pods. Knows no pod and no score.

use super::ids::NodeId;
use super::renumbering::Renumbering;
use crate::base::id::Id;
use crate::workload::scored::Counted;

/// Sums by node.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    rows: Vec<Counted>,
}

impl Counts {
    /// What is counted on `node`.
    #[inline]
    pub(super) fn on(&self, node: NodeId) -> Counted {
        self.rows.get(node.index()).copied().unwrap_or(Counted::NONE)
    }

    /// Adds `count` times `counted` to what is counted on `node`.
    #[inline]
    pub(super) fn shift(&mut self, node: NodeId, counted: Counted, count: i64) {
        if counted == Counted::NONE {
            return;
        }
        if self.rows.len() <= node.index() {
            self.rows.resize(node.index() + 1, Counted::NONE);
        }
        let row = &mut self.rows[node.index()];
        *row = row.plus(counted, count);
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        if !self.rows.is_empty() {
            self.rows = new.rows(&mut self.rows);
        }
    }
}
