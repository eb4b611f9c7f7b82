//! How far the claims of one pod are from being bound as they were promised, and what is to be written next.
//! Judges facts and versions; orders nothing. Follows the checks of kube-scheduler's volume binder.
//! Invariant: what was written once and is seen undone is a failure, never written again for the same seat.

use super::Wanted;
use crate::base::names::{Name, ObjectName};
use crate::cluster::Cluster;
use crate::cluster::ids::NodeId;
use crate::cluster::storage::facts::{ClaimFact, VolumeFact};
use crate::cluster::storage::matching::{Lack, Place};
use crate::cluster::storage::promises::Promise;
use crate::engine::action::{Reservation, VolumeWrite};

/// What upstream says of a lack.
pub(super) const fn words(lack: Lack) -> &'static str {
    match lack {
        Lack::Volume => "node(s) didn't find available persistent volumes to bind",
        Lack::Space => "node(s) did not have enough free storage",
    }
}

/// How far the claims of a pod are.
#[derive(Debug)]
pub(super) enum Judgement {
    /// All are bound, and reachable from the node.
    Bound,
    /// Not all are; this is to be written now.
    Open(Vec<(ObjectName, VolumeWrite)>),
    /// One of them cannot be bound as promised.
    Failed(String),
}

/// How far one claim is.
enum Step {
    Bound,
    Waiting,
    ToWrite(VolumeWrite),
    Failed(String),
}

/// Judges the claims of a pod that is to be bound to `node`, which exists.
pub(super) fn judge(cluster: &Cluster, node: NodeId, claims: &mut [Wanted]) -> Judgement {
    let node = cluster.nodes().get(node);
    let labels = node.fact.as_ref().map_or(&[][..], |fact| &fact.labels);
    let place = Place { node: &node.name, labels };
    let (mut open, mut writes) = (false, Vec::new());
    for wanted in claims {
        match judge_claim(cluster, place, wanted) {
            Step::Bound => {}
            Step::Waiting => open = true,
            Step::ToWrite(write) => {
                open = true;
                writes.push((wanted.claim.clone(), write));
            }
            Step::Failed(why) => return Judgement::Failed(why),
        }
    }
    if open { Judgement::Open(writes) } else { Judgement::Bound }
}

fn judge_claim(cluster: &Cluster, place: Place<'_>, wanted: &mut Wanted) -> Step {
    let storage = cluster.storage();
    let name = &wanted.claim.name;
    let Some(claim) = storage.claim(&wanted.claim) else {
        return Step::Failed(format!("persistentvolumeclaim \"{name}\" not found"));
    };
    if let Some(volume) = claim.bound_to() {
        return match storage.volume(volume) {
            // The volume's own watch is behind.
            None => Step::Waiting,
            Some(fact) if storage.is_reached(fact, place) => Step::Bound,
            Some(_) => Step::Failed(elsewhere(volume, place.node)),
        };
    }
    if claim.deleting {
        return Step::Failed(format!("persistentvolumeclaim \"{name}\" is being deleted"));
    }
    if wanted.order.is_some() {
        return Step::Waiting;
    }
    match &wanted.promise {
        Promise::Volume(volume) => match storage.volume(volume) {
            None => Step::Failed(format!("persistentvolume \"{volume}\" not found")),
            Some(volume) => judge_volume(claim, volume, &mut wanted.tried, &mut wanted.written),
        },
        Promise::Provisioned(node) => {
            judge_selection(claim, node, &mut wanted.tried, &mut wanted.written)
        }
    }
}

fn elsewhere(volume: &str, node: &str) -> String {
    format!("pv \"{volume}\" node affinity doesn't match node \"{node}\"")
}

/// A claim that was promised a volume which exists.
fn judge_volume(
    claim: &ClaimFact,
    volume: &VolumeFact,
    tried: &mut u64,
    written: &mut Option<u64>,
) -> Step {
    let reference = volume.claim.as_ref();
    if reference.is_some_and(|to| to.claim == claim.name && to.uid == claim.uid) {
        written.get_or_insert(volume.resource_version);
        return Step::Waiting;
    }
    if reference.is_some_and(|to| to.claim != claim.name || !to.uid.is_empty()) {
        return Step::Failed(format!("pv \"{}\" is bound to another claim", volume.name));
    }
    if let Some(step) = step_after(*written, *tried, volume.resource_version) {
        return match step {
            Behind::Watch => Step::Waiting,
            Behind::Nobody => {
                Step::Failed(format!("ClaimRef got reset for pv \"{}\"", volume.name))
            }
        };
    }
    *tried = volume.resource_version;
    Step::ToWrite(VolumeWrite::BindVolume {
        volume: volume.name.clone(),
        uid: volume.uid.clone(),
        resource_version: volume.resource_version,
        claim: claim.name.clone(),
        claim_uid: claim.uid.clone(),
        before: if reference.is_some() { Reservation::ByName } else { Reservation::Nobody },
    })
}

/// A claim that is to be provisioned for `node`.
fn judge_selection(
    claim: &ClaimFact,
    node: &Name,
    tried: &mut u64,
    written: &mut Option<u64>,
) -> Step {
    let name = &claim.name.name;
    if claim.selected_node.as_ref() == Some(node) {
        written.get_or_insert(claim.resource_version);
        return Step::Waiting;
    }
    if let Some(step) = step_after(*written, *tried, claim.resource_version) {
        return match step {
            Behind::Watch => Step::Waiting,
            Behind::Nobody => Step::Failed(format!("provisioning failed for PVC \"{name}\"")),
        };
    }
    if claim.selected_node.is_some() {
        return Step::Failed(format!("PVC \"{name}\" is being provisioned for another node"));
    }
    *tried = claim.resource_version;
    Step::ToWrite(VolumeWrite::SelectNode {
        claim: claim.name.clone(),
        uid: claim.uid.clone(),
        resource_version: claim.resource_version,
        node: node.clone(),
    })
}

/// Who is behind when an object does not say what it should.
enum Behind {
    /// The watch: it has yet to show what was written, or what came in between.
    Watch,
    /// Nobody: what was written is undone.
    Nobody,
}

/// What an object in version `now` says that does not carry what was written in `written`, or tried on `tried`.
/// `None`: it is to be written.
fn step_after(written: Option<u64>, tried: u64, now: u64) -> Option<Behind> {
    match written {
        Some(written) if now < written => Some(Behind::Watch),
        Some(_) => Some(Behind::Nobody),
        // The write on this version failed: a newer one is awaited.
        None if now != 0 && tried == now => Some(Behind::Watch),
        None => None,
    }
}
