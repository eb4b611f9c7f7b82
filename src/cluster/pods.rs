//! What each placed pod holds, and where; and by node, who is there. Rows are indexed by the engine's pod ids.

use smallvec::SmallVec;

use super::asks::Requests;
use super::ids::{AskId, NodeId, PodId};
use crate::base::id::Id;

/// What a pod holds on its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    /// Exactly what its ask says.
    Ask(AskId),
    /// Something else (resized in place), by resource.
    Amounts(Box<Requests>),
}

/// A placed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) node: NodeId,
    pub(super) holding: Holding,
}

/// All placed pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Pods {
    rows: Vec<Option<Row>>,
    by_node: Vec<SmallVec<[PodId; 4]>>,
}

#[derive(Clone, Debug)]
struct Row {
    placement: Placement,
    /// Position in the list of the node.
    at: u32,
}

impl Pods {
    pub(super) fn get(&self, pod: PodId) -> Option<&Placement> {
        self.rows.get(pod.index())?.as_ref().map(|row| &row.placement)
    }

    /// Places a pod that is not placed.
    pub(super) fn put(&mut self, pod: PodId, placement: Placement) {
        let (row, node) = (pod.index(), placement.node.index());
        if self.rows.len() <= row {
            self.rows.resize(row + 1, None);
        }
        if self.by_node.len() <= node {
            self.by_node.resize(node + 1, SmallVec::new());
        }
        let at = self.by_node[node].len() as u32;
        self.by_node[node].push(pod);
        self.rows[row] = Some(Row { placement, at });
    }

    pub(super) fn take(&mut self, pod: PodId) -> Option<Placement> {
        let Row { placement, at } = self.rows.get_mut(pod.index())?.take()?;
        let neighbours = &mut self.by_node[placement.node.index()];
        neighbours.swap_remove(at as usize);
        if let Some(moved) = neighbours.get(at as usize) {
            self.rows[moved.index()].as_mut().expect("who is on a node has a row").at = at;
        }
        Some(placement)
    }

    /// The pods on `node`, in no particular order.
    pub(super) fn on(&self, node: NodeId) -> &[PodId] {
        self.by_node.get(node.index()).map_or(&[], |pods| pods)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Placement> {
        self.rows.iter().flatten().map(|row| &row.placement)
    }
}
