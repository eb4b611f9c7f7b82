//! What facts about members and groups mean to the commitment of a gang: it is shown each of them, and says itself what
//! follows. Orders nothing, and knows no seat.
//! Invariant: whoever was shown something is looked at before the cycle ends.

use super::Engine;
use super::atomic::sight;
use super::commitment::{Sight, State};
use super::gangs::GangId;
use crate::base::names::Name;
use crate::cluster::facts::{GroupFact, GroupStatus};
use crate::cluster::ids::PodId;

impl Engine {
    /// Shows a pod to the commitment of its gang.
    pub(super) fn show_member(&mut self, id: PodId) {
        let pod = self.pods.get(id);
        let Some(gang) = pod.gang else { return };
        let sight = sight(pod);
        let uid = pod.fact.uid.clone();
        if let Some(commitment) = &mut self.gangs.get_mut(gang).commitment {
            commitment.pod_seen(&uid, sight, self.now);
            self.busy.insert(gang);
        }
    }

    /// Tells the commitment of a gang that a pod is no member any more.
    pub(super) fn lose_member(&mut self, gang: GangId, uid: &Name) {
        if let Some(commitment) = &mut self.gangs.get_mut(gang).commitment {
            commitment.pod_seen(uid, Sight::Lost, self.now);
            self.busy.insert(gang);
        }
    }

    /// The group was seen in another version.
    pub(super) fn show_group(&mut self, id: GangId, before: Option<&GroupFact>) {
        let gang = self.gangs.get_mut(id);
        let (Some(fact), Some(commitment)) = (&gang.fact, &mut gang.commitment) else { return };
        // Another scheduler may have decided on another plan: this one is not worth a decision then.
        let is_decided_otherwise = fact.commit.is_some_and(|mark| {
            mark != commitment.mark() && before.and_then(|before| before.commit) != fact.commit
        });
        if !is_decided_otherwise && before.is_some_and(|before| wishes_the_same(before, fact)) {
            commitment.group_seen(fact.resource_version);
        } else if commitment.state() == State::Holding {
            // The plan was made for other wishes, and nothing is decided yet.
            commitment.give_up();
        }
        self.busy.insert(id);
    }
}

/// True if only what Muster itself writes differs.
pub(super) fn wishes_the_same(left: &GroupFact, right: &GroupFact) -> bool {
    let wishes = |fact: &GroupFact| GroupFact {
        resource_version: 0,
        commit: None,
        status: GroupStatus::default(),
        ..fact.clone()
    };
    wishes(left) == wishes(right)
}
