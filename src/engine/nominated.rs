//! Pods that are expected on a node, by `status.nominatedNodeName`: of kube-scheduler beside us, of an autoscaler, or of
//! a quota system. Others of no higher priority leave them their place there, and they are tried there first.
//! Where nobody is nominated, nothing here costs more than a test. Muster nominates nobody itself.

use std::collections::BTreeMap;

use super::Engine;
use super::gangs::GangId;
use crate::cluster::facts::PodPhase;
use crate::cluster::ids::{NodeId, PodId};
use crate::cluster::node_set::NodeSet;
use crate::cluster::nominations::{Expected, Nomination};
use crate::planner::demand::Demand;
use crate::planner::plan::Plan;

impl Engine {
    /// Takes in what a pod's fact says of where it is expected. Pods that are bound, over, or leaving are not.
    pub(super) fn settle_nomination(&mut self, id: PodId) {
        let pod = self.pods.get(id);
        let fact = &pod.fact;
        let waits = fact.node.is_none() && fact.phase == PodPhase::Pending && !fact.deleting;
        let node = fact.nominated.clone().filter(|_| waits);
        if node.is_none() && self.cluster.nominations().is_empty() {
            return;
        }
        let (ask, priority) = (pod.ask, fact.priority);
        let before = self.cluster.nominations().of(id).cloned();
        let changes =
            self.cluster.nominate(id, node.map(|node| Nomination { node, ask, priority }));
        // Who was expected there and is there now leaves nothing.
        let came = before.zip(self.pods.get(id).fact.node.as_ref());
        if came.is_none_or(|(before, node)| before.node != *node) {
            self.note(changes);
        }
        if let Some(gang) = self.pods.get(id).gang {
            self.mark(gang);
        }
    }

    /// A pod is gone.
    pub(super) fn forget_nomination(&mut self, id: PodId) {
        let changes = self.cluster.nominate(id, None);
        self.note(changes);
    }

    /// Counts a pod as placed. Where it was expected elsewhere, others may go there now.
    pub(super) fn seat(&mut self, id: PodId, node: NodeId) {
        let left = self.cluster.left_by_expected(id);
        self.cluster.assume(id, self.pods.get(id).ask, node);
        if left.node != Some(node) {
            self.note(left);
        }
    }

    /// True if a waiting member is expected on some node.
    pub(super) fn has_nominated(&self, id: GangId) -> bool {
        let nominations = self.cluster.nominations();
        !nominations.is_empty()
            && self.gangs.get(id).members.iter().any(|pod| nominations.of(*pod).is_some())
    }

    /// Those to whom the gang leaves their place: of no lower priority, and no members of it.
    pub(super) fn expected_beside(&self, id: GangId) -> Vec<Expected> {
        if self.cluster.nominations().is_empty() {
            return Vec::new();
        }
        let priority = self.gangs.get(id).priority();
        let others = |one: &Expected| self.pods.get(one.pod).gang != Some(id);
        self.cluster.expected(priority).filter(others).collect()
    }

    /// The nodes where the demand's members are expected, if all of them are: they are tried there first.
    pub(super) fn nominated_for(&self, demand: &Demand) -> Option<NodeSet> {
        if self.cluster.nominations().is_empty() {
            return None;
        }
        let members = demand.roles.iter().flat_map(|role| &role.members);
        members.map(|pod| self.nominated_node(*pod)).collect()
    }

    /// Gives members who are alike each other's seats, so that whoever is expected on a node has its seat there.
    pub(super) fn seat_where_nominated(&self, demand: &Demand, plan: &mut Plan) {
        if self.cluster.nominations().is_empty() {
            return;
        }
        let mut role_of: BTreeMap<PodId, usize> = BTreeMap::new();
        for (at, role) in demand.roles.iter().enumerate() {
            role_of.extend(role.members.iter().map(|pod| (*pod, at)));
        }
        for at in 0..plan.seats.len() {
            let pod = plan.seats[at].pod;
            let Some(wanted) = self.nominated_node(pod).filter(|node| *node != plan.seats[at].node)
            else {
                continue;
            };
            let is_better = |other: &usize| {
                let seat = plan.seats[*other];
                let stays = self.nominated_node(seat.pod) == Some(seat.node);
                seat.node == wanted && role_of[&seat.pod] == role_of[&pod] && !stays
            };
            if let Some(other) = (0..plan.seats.len()).find(is_better) {
                plan.seats[at].pod = std::mem::replace(&mut plan.seats[other].pod, pod);
            }
        }
    }

    fn nominated_node(&self, pod: PodId) -> Option<NodeId> {
        let nomination = self.cluster.nominations().of(pod)?;
        let node = self.cluster.node(&nomination.node)?;
        self.cluster.node_exists(node).then_some(node)
    }
}
