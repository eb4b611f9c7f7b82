//! What pods mean to each other, as far as somebody asks: host ports in use, node by node.
//! Kept current by every place and release, of facts and of drafts alike; pods that want nothing of others,
//! and whom nobody selects, cost a test. Knows no rule: who keeps whom away is for `plugins` to say.
//! Invariant: what is kept equals a recount of the described pods (`audit`).

mod ports;

use self::ports::PortsInUse;
use super::asks::{AskTable, InternedAsk, Relation};
use super::draft::Step;
use super::ids::{AskId, NodeId, PodId, SignatureId};
use super::renumbering::Renumbering;
use crate::base::id::Id;
use crate::workload::relations::{HostPort, SharedLabels};

/// Everything about a pod that other pods may ask for.
#[derive(Clone, Copy, Debug)]
pub struct PodTraits<'a> {
    /// What it asks for.
    pub ask: AskId,
    /// Its namespace and labels.
    pub labels: &'a SharedLabels,
    /// Whether it is being deleted.
    pub life: Life,
}

/// Whether a pod is being deleted: some rules count such pods and some do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It is not.
    #[default]
    Staying,
    /// `metadata.deletionTimestamp` is set.
    Leaving,
}

/// The relations of all described pods.
#[derive(Clone, Debug, Default)]
pub struct Relations {
    rows: Vec<Option<Row>>,
    ports: PortsInUse,
}

/// A described pod.
#[derive(Clone, Debug)]
struct Row {
    labels: SharedLabels,
    ask: AskId,
    life: Life,
    relation: Relation,
}

impl Relations {
    /// The host ports in use on `node`.
    pub fn ports_on(&self, node: NodeId) -> impl Iterator<Item = &HostPort> {
        self.ports.on(node).iter().map(|(port, _)| port)
    }

    /// What was said of a pod; `None` if nothing was.
    pub fn traits_of(&self, pod: PodId) -> Option<PodTraits<'_>> {
        let row = self.row(pod)?;
        Some(PodTraits { ask: row.ask, labels: &row.labels, life: row.life })
    }

    /// Takes in what a pod is, which stands on `node` if on any. True if a filter could notice.
    pub(super) fn describe(
        &mut self,
        asks: &AskTable,
        pod: PodId,
        traits: &PodTraits<'_>,
        node: Option<NodeId>,
    ) -> bool {
        if self.rows.len() <= pod.index() {
            self.rows.resize(pod.index() + 1, None);
        }
        let relation = asks.get(traits.ask).relation;
        let row =
            Row { labels: traits.labels.clone(), ask: traits.ask, life: traits.life, relation };
        if let Some(node) = node {
            self.shift_pod(asks, pod, node, -1);
        }
        let before = self.rows[pod.index()].replace(row);
        let Some(node) = node else { return false };
        self.shift_pod(asks, pod, node, 1);
        let was_related = before.is_some_and(|before| before.relation == Relation::Some);
        was_related || relation == Relation::Some
    }

    /// Forgets a pod that stands on no node.
    pub(super) fn undescribe(&mut self, pod: PodId) {
        if let Some(row) = self.rows.get_mut(pod.index()) {
            *row = None;
        }
    }

    /// Which selectors match a pod. None is in use.
    pub(super) const fn signature_of(&self, _: PodId) -> SignatureId {
        SignatureId::NONE
    }

    /// Counts a described pod in on `node` (1), or out (-1).
    #[inline]
    pub(super) fn shift_pod(&mut self, asks: &AskTable, pod: PodId, node: NodeId, count: i64) {
        let Some(row) = self.row(pod) else { return };
        match row.relation {
            Relation::None => {}
            Relation::Some => {
                let ask = row.ask;
                self.shift_wants(asks.get(ask), node, count);
            }
        }
    }

    /// Counts in as many pods as `count` says that a draft places by `step`; a negative count takes them back.
    #[inline]
    pub(super) fn shift(&mut self, asks: &AskTable, step: Step, count: i64) {
        let interned = asks.get(step.ask);
        match interned.relation {
            Relation::None => {}
            Relation::Some => self.shift_wants(interned, step.node, count),
        }
    }

    fn shift_wants(&mut self, interned: &InternedAsk, node: NodeId, count: i64) {
        let Some(wants) = &interned.ask.relations else { return };
        for port in &wants.host_ports {
            self.ports.shift(node, port, count);
        }
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        self.ports.renumber(new);
    }

    #[inline]
    fn row(&self, pod: PodId) -> Option<&Row> {
        self.rows.get(pod.index())?.as_ref()
    }
}
