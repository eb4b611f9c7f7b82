//! What each placed pod holds, and where. The holdings of a node's pods lie side by side, so that a node
//! can be recounted with few memory accesses. Rows are indexed by the engine's pod ids.
//! Invariant: a pod's row points at its tenant, and back. Knows neither gangs nor what a node offers.

use smallvec::SmallVec;

use super::asks::Requests;
use super::ids::{AskId, NodeId, PodId};
use super::renumbering::Renumbering;
use crate::base::id::Id;
use crate::base::slab::Slab;
use crate::id_type;

id_type!(
    /// Amounts held by one pod that are not those of its ask.
    OtherId
);

/// What a pod holds on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    /// Exactly what its ask says.
    Ask(AskId),
    /// Something else (resized in place).
    Other(OtherId),
}

/// A pod on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) pod: PodId,
    pub(super) holding: Holding,
}

/// All placed pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Pods {
    rows: Vec<Option<Spot>>,
    by_node: Vec<SmallVec<[Tenant; 8]>>,
    others: Slab<OtherId, Requests>,
}

/// Where a pod is: its node, and its position among the node's tenants.
#[derive(Clone, Copy, Debug)]
struct Spot {
    node: NodeId,
    at: u32,
}

impl Pods {
    pub(super) fn node_of(&self, pod: PodId) -> Option<NodeId> {
        self.spot(pod).map(|spot| spot.node)
    }

    pub(super) fn holding(&self, pod: PodId) -> Option<Holding> {
        let Spot { node, at } = self.spot(pod)?;
        Some(self.by_node[node.index()][at as usize].holding)
    }

    /// Amounts that are not those of an ask. Discarded by the caller once nobody holds them.
    pub(super) fn keep(&mut self, amounts: Requests) -> OtherId {
        self.others.insert(amounts)
    }

    pub(super) fn kept(&self, id: OtherId) -> &Requests {
        self.others.get(id).expect("amounts are kept while a pod holds them")
    }

    pub(super) fn discard(&mut self, id: OtherId) {
        self.others.remove(id);
    }

    /// Places a pod that is not placed.
    pub(super) fn put(&mut self, pod: PodId, node: NodeId, holding: Holding) {
        let row = pod.index();
        if self.rows.len() <= row {
            self.rows.resize(row + 1, None);
        }
        if self.by_node.len() <= node.index() {
            self.by_node.resize(node.index() + 1, SmallVec::new());
        }
        let tenants = &mut self.by_node[node.index()];
        self.rows[row] = Some(Spot { node, at: tenants.len() as u32 });
        tenants.push(Tenant { pod, holding });
    }

    pub(super) fn take(&mut self, pod: PodId) -> Option<(NodeId, Holding)> {
        let Spot { node, at } = self.rows.get_mut(pod.index())?.take()?;
        let tenants = &mut self.by_node[node.index()];
        let tenant = tenants.swap_remove(at as usize);
        if let Some(moved) = tenants.get(at as usize) {
            self.rows[moved.pod.index()] = Some(Spot { node, at });
        }
        Some((node, tenant.holding))
    }

    /// The pods on `node`, in no particular order.
    pub(super) fn on(&self, node: NodeId) -> &[Tenant] {
        self.by_node.get(node.index()).map_or(&[], |tenants| tenants)
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        self.by_node = new.rows(&mut self.by_node);
        for spot in self.rows.iter_mut().flatten() {
            spot.node = new.of(spot.node).expect("nodes that hold pods are known");
        }
    }

    /// Every row that says where a pod is.
    pub(super) fn placed(&self) -> impl Iterator<Item = (PodId, NodeId)> {
        let spots = self.rows.iter().enumerate();
        spots.filter_map(|(row, spot)| Some((PodId::from_index(row), (*spot)?.node)))
    }

    fn spot(&self, pod: PodId) -> Option<Spot> {
        *self.rows.get(pod.index())?
    }
}
