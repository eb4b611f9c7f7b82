//! Undoing what was written for claims whose pods are not bound after all. What a provisioner or controller has bound
//! stays, and pins the next attempt to where it is. Goes by what the objects say, not by memory: whoever takes a plan
//! over undoes it the same way. Invariant: nothing is undone that another seat relies on.

use super::{Called, Undoing};
use crate::base::names::{Name, ObjectName};
use crate::cluster::facts::CommitMark;
use crate::cluster::storage::matching::ClaimState;
use crate::engine::Engine;
use crate::engine::action::VolumeWrite;
use crate::engine::commitment::{Call, PrepareStep};
use crate::engine::event::Outcome;
use crate::engine::gangs::GangId;
use crate::engine::order::Order;
use crate::workload::volumes::claims_of;

impl Engine {
    /// What is to be written so that these claims, which were to be bound for `node`, are as before.
    pub(super) fn writes_to_undo(&self, claims: &[ObjectName], node: &Name) -> Vec<VolumeWrite> {
        let storage = self.cluster.storage();
        let mut writes = Vec::new();
        for name in claims {
            let Some(claim) = storage.claim(name) else { continue };
            let open = storage.state_of(claim) == ClaimState::Delayed;
            if !open || storage.promises().of(name).is_some() {
                continue;
            }
            if claim.selected_node.as_ref() == Some(node) {
                writes.push(VolumeWrite::UnselectNode {
                    claim: name.clone(),
                    uid: claim.uid.clone(),
                    resource_version: claim.resource_version,
                });
            }
            let taken = storage.volumes_for(name).filter(|volume| {
                let reference = volume.claim.as_ref();
                // Only what a controller or scheduler wrote: an administrator's reference has no uid, or no mark.
                volume.bound_by_controller && reference.is_some_and(|to| to.uid == claim.uid)
            });
            writes.extend(taken.map(|volume| VolumeWrite::ReleaseVolume {
                volume: volume.name.clone(),
                uid: volume.uid.clone(),
                resource_version: volume.resource_version,
            }));
        }
        writes
    }

    /// A plan is being undone: what was written for the claims of its members too.
    pub(in crate::engine) fn undo_plan(
        &mut self,
        gang: GangId,
        mark: CommitMark,
        orders: &mut Vec<Order>,
    ) {
        let known = self.gangs.get(gang);
        let name = known.identity.name().clone();
        let seats: Vec<_> =
            known.commitment.iter().flat_map(|plan| plan.seats().cloned()).collect();
        let mut writes = Vec::new();
        for seat in seats {
            let found = self.pods.find(&seat.pod);
            let Some(pod) = found.filter(|pod| self.pods.get(*pod).fact.uid == seat.uid) else {
                continue;
            };
            let ask = self.pods.get(pod).fact.ask.clone();
            if !ask.has_claims_bound() || self.pods.get(pod).fact.node.is_some() {
                continue;
            }
            self.drop_provision(pod);
            let claims: Vec<ObjectName> = claims_of(&ask.volumes).cloned().collect();
            writes.extend(self.writes_to_undo(&claims, &seat.node));
        }
        // Members that share a claim name it once each.
        writes.sort();
        writes.dedup();
        let left = writes.len();
        self.provisions.undoing.insert(gang, Undoing { mark, left, doubt: None });
        for write in writes {
            self.order_write(Called::UndoPlan(gang), &name, write, orders);
        }
        self.check_undone(gang);
    }

    /// A write that undoes another came back.
    pub(super) fn undo_settled(&mut self, gang: GangId, outcome: &Outcome) {
        let Some(undoing) = self.provisions.undoing.get_mut(&gang) else { return };
        undoing.left = undoing.left.saturating_sub(1);
        match outcome {
            // Undone by now, or moved on: what was bound meanwhile stays.
            Outcome::Done
            | Outcome::Written { .. }
            | Outcome::Conflict(_)
            | Outcome::Gone
            | Outcome::Refused(_)
            | Outcome::BoundTo(_)
            | Outcome::Superseded(_) => {}
            Outcome::Unknown(why) => undoing.doubt = Some(why.clone()),
        }
        self.check_undone(gang);
    }

    fn check_undone(&mut self, gang: GangId) {
        if self.provisions.undoing.get(&gang).is_none_or(|undoing| undoing.left > 0) {
            return;
        }
        let Some(undoing) = self.provisions.undoing.remove(&gang) else { return };
        let outcome = undoing.doubt.map_or(Outcome::Done, Outcome::Unknown);
        self.plan_call_settled(gang, undoing.mark, Call::Undo(PrepareStep::Volumes), &outcome);
    }
}
