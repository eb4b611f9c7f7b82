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
use crate::workload::scored::Counted;

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

/// A holding in four bytes: an id, and in the highest bit of which kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PackedHolding(u32);

const OTHER: u32 = 1 << 31;

impl PackedHolding {
    #[inline]
    fn of(holding: Holding) -> Self {
        let (id, kind) = match holding {
            Holding::Ask(id) => (id.0, 0),
            Holding::Other(id) => (id.0, OTHER),
        };
        assert!(id < OTHER, "ids are far fewer than two thousand million");
        Self(id | kind)
    }

    #[inline]
    const fn holding(self) -> Holding {
        if self.0 & OTHER == 0 {
            Holding::Ask(AskId(self.0))
        } else {
            Holding::Other(OtherId(self.0 & !OTHER))
        }
    }
}

/// A pod on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) pod: PodId,
    holding: PackedHolding,
}

impl Tenant {
    /// What the pod holds.
    #[inline]
    pub(super) const fn holding(self) -> Holding {
        self.holding.holding()
    }
}

/// The pods of one node, side by side from the start of a cache line: two lines hold fifteen.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
struct Tenants(SmallVec<[Tenant; 15]>);

/// All placed pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Pods {
    rows: Vec<Spot>,
    by_node: Vec<Tenants>,
    others: Slab<OtherId, Other>,
}

/// What a pod holds that is not what its ask says.
#[derive(Clone, Debug)]
struct Other {
    amounts: Requests,
    counted: Counted,
}

/// Where a pod is, and what it holds there. Eight bytes: a release begins with a row at random.
#[derive(Clone, Copy, Debug)]
struct Spot {
    node: NodeId,
    holding: PackedHolding,
}

impl Spot {
    const NOWHERE: Self = Self { node: NodeId(u32::MAX), holding: PackedHolding(0) };

    #[inline]
    const fn is_somewhere(&self) -> bool {
        self.node.0 != u32::MAX
    }
}

impl Pods {
    #[inline]
    pub(super) fn node_of(&self, pod: PodId) -> Option<NodeId> {
        self.spot(pod).map(|spot| spot.node)
    }

    #[inline]
    pub(super) fn holding(&self, pod: PodId) -> Option<Holding> {
        self.spot(pod).map(|spot| spot.holding.holding())
    }

    /// Amounts that are not those of an ask. Discarded by the caller once nobody holds them.
    pub(super) fn keep(&mut self, amounts: Requests, counted: Counted) -> OtherId {
        self.others.insert(Other { amounts, counted })
    }

    pub(super) fn kept(&self, id: OtherId) -> &Requests {
        &self.other(id).amounts
    }

    /// What such amounts count as in scores.
    pub(super) fn counted(&self, id: OtherId) -> Counted {
        self.other(id).counted
    }

    fn other(&self, id: OtherId) -> &Other {
        self.others.get(id).expect("amounts are kept while a pod holds them")
    }

    pub(super) fn discard(&mut self, id: OtherId) {
        self.others.remove(id);
    }

    /// Places a pod that is not placed.
    #[inline]
    pub(super) fn put(&mut self, pod: PodId, node: NodeId, holding: Holding) {
        let row = pod.index();
        if self.rows.len() <= row {
            self.rows.resize(row + 1, Spot::NOWHERE);
        }
        if self.by_node.len() <= node.index() {
            self.by_node.resize(node.index() + 1, Tenants::default());
        }
        let holding = PackedHolding::of(holding);
        self.rows[row] = Spot { node, holding };
        self.by_node[node.index()].0.push(Tenant { pod, holding });
    }

    /// Takes a pod off its node. Looks through the node's pods, which lie side by side: to note for each
    /// where it stands would touch one more row, far away, with every release.
    #[inline]
    pub(super) fn take(&mut self, pod: PodId) -> Option<(NodeId, Holding)> {
        let row = self.rows.get_mut(pod.index())?;
        if !row.is_somewhere() {
            return None;
        }
        let Spot { node, holding } = std::mem::replace(row, Spot::NOWHERE);
        let tenants = &mut self.by_node[node.index()].0;
        let at = tenants.iter().position(|tenant| tenant.pod == pod);
        tenants.swap_remove(at.expect("a placed pod is among the pods of its node"));
        Some((node, holding.holding()))
    }

    /// The pods on `node`, in no particular order.
    #[inline]
    pub(super) fn on(&self, node: NodeId) -> &[Tenant] {
        self.by_node.get(node.index()).map_or(&[], |tenants| &tenants.0)
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        self.by_node = new.rows(&mut self.by_node);
        for spot in self.rows.iter_mut().filter(|spot| spot.is_somewhere()) {
            spot.node = new.of(spot.node).expect("nodes that hold pods are known");
        }
    }

    /// Every row that says where a pod is.
    pub(super) fn placed(&self) -> impl Iterator<Item = (PodId, NodeId)> {
        let spots = self.rows.iter().enumerate().filter(|(_, spot)| spot.is_somewhere());
        spots.map(|(row, spot)| (PodId::from_index(row), spot.node))
    }

    #[inline]
    fn spot(&self, pod: PodId) -> Option<Spot> {
        self.rows.get(pod.index()).copied().filter(Spot::is_somewhere)
    }
}
