//! Disks that pods of one node cannot share, and claims that are one pod's alone. Follows kube-scheduler's
//! VolumeRestrictions: a GCE, iSCSI, or RBD disk is shared by readers only, an EBS volume by nobody;
//! a claim with `ReadWriteOncePod` is in use on whichever node of the cluster its pod runs. A pod whose node is gone
//! uses nothing, as in kube-scheduler's snapshot.

use std::borrow::Cow;

use super::cures::Cures;
use super::relation::{Judge, Newcomer, Reasons};
use super::{Filter, Rule};
use crate::base::names::{Name, ObjectName};
use crate::cluster::ids::NodeId;
use crate::workload::volumes::{ClaimOrigin, PodVolume, claims_of, disks_of, uses_of};

/// The row.
pub const RULE: Rule = Rule {
    name: "VolumeRestrictions",
    filter: Filter::Relation(&VolumeRestrictions),
    score: None,
    cured_by: CURED_BY,
};

/// What may turn its no: pods that leave.
const CURED_BY: Cures = Cures::CAPACITY.and(Cures::STORAGE);

/// A pod of the node has the disk.
const DISK: &str = "node(s) had no available disk";

/// Another pod, on whichever node, has the claim.
const ONE_POD: &str = "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already \
                       in-use by another pod";

#[derive(Debug)]
struct VolumeRestrictions;

impl Judge for VolumeRestrictions {
    fn admits(&self, newcomer: &Newcomer<'_>, node: NodeId) -> bool {
        newcomer.ask.ask.volumes.is_empty() || reject(newcomer, node).is_none()
    }

    fn fault(&self, newcomer: &Newcomer<'_>) -> Option<Cow<'static, str>> {
        let missing = named_claims(&newcomer.ask.ask.volumes)
            .find(|claim| newcomer.cluster.storage().claim(claim).is_none())?;
        Some(format!("persistentvolumeclaim \"{}\" not found", missing.name).into())
    }

    fn reasons(&self, newcomer: &Newcomer<'_>, node: NodeId) -> Reasons {
        reject(newcomer, node).into_iter().map(Into::into).collect()
    }
}

/// The claims that the pod names, and does not bring along.
fn named_claims(volumes: &[PodVolume]) -> impl Iterator<Item = &ObjectName> {
    uses_of(volumes).filter_map(|used| match used.origin {
        ClaimOrigin::Named => Some(&used.claim),
        ClaimOrigin::Ephemeral { .. } => None,
    })
}

/// Why `node` does not take the newcomer beside those that are placed; `None` if nothing speaks against it.
fn reject(newcomer: &Newcomer<'_>, node: NodeId) -> Option<&'static str> {
    let (ask, cluster) = (&newcomer.ask.ask, newcomer.cluster);
    let node = cluster.nodes().get(node);
    let storage = cluster.storage();
    let on_node = || storage.mounts().on(&node.name).flat_map(disks_of);
    if disks_of(&ask.volumes).any(|disk| on_node().any(|other| disk.conflicts_with(other))) {
        return Some(DISK);
    }
    let exists = |node: &Name| cluster.nodes().present_id(node).is_some();
    let taken = claims_of(&ask.volumes).any(|claim| {
        let for_one = storage.claim(claim).is_some_and(|fact| fact.shape.modes.is_for_one_pod());
        for_one && storage.mounts().users(claim).any(|(node, _)| exists(node))
    });
    taken.then_some(ONE_POD)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{DISK, ONE_POD, RULE};
    use crate::base::names::ObjectName;
    use crate::cluster::ids::PodId;
    use crate::cluster::storage::facts::{AccessModes, StorageFact};
    use crate::cluster::storage::fixture::claim;
    use crate::workload::ask::Ask;
    use crate::workload::volumes::{
        ClaimOrigin, ClaimUse, Disk, DiskAccess, DiskSource, PodVolume,
    };

    fn using(name: &str) -> Ask {
        let claim = ClaimUse { claim: ObjectName::new("d", name), origin: ClaimOrigin::Named };
        Ask { volumes: vec![PodVolume::Claim(claim)], ..Ask::default() }
    }

    fn mounting(name: &str, access: DiskAccess) -> Ask {
        let disk = Disk { source: DiskSource::Gce(name.into()), access };
        Ask { volumes: vec![PodVolume::Disk(disk)], ..Ask::default() }
    }

    #[test]
    fn a_disk_is_shared_by_the_readers_of_a_node() {
        let mut fixture = Fixture::new([node("idle"), node("reads"), node("writes")]);
        fixture.run(0, "reads", &mounting("disk", DiskAccess::ReadOnly), &[]);
        fixture.run(1, "writes", &mounting("disk", DiskAccess::ReadWrite), &[]);
        let reader = mounting("disk", DiskAccess::ReadOnly);
        assert_eq!(fixture.objections(&RULE, &reader, &[]), ["", "", DISK]);
        let writer = mounting("disk", DiskAccess::ReadWrite);
        assert_eq!(fixture.objections(&RULE, &writer, &[]), ["", DISK, DISK]);
        let other = mounting("another", DiskAccess::ReadWrite);
        assert_eq!(fixture.objections(&RULE, &other, &[]), [""; 3]);
        fixture.cluster.release(PodId(1));
        assert_eq!(fixture.objections(&RULE, &writer, &[]), ["", DISK, ""]);
    }

    #[test]
    fn a_claim_for_one_pod_is_in_use_wherever_that_pod_is() {
        let mut fixture = Fixture::new([node("a"), node("b")]);
        let mut own = claim("own", 1);
        own.shape.modes = AccessModes::of(["ReadWriteOncePod"]);
        fixture.cluster.observe_storage(StorageFact::Claim(own));
        fixture.cluster.observe_storage(StorageFact::Claim(claim("many", 1)));
        assert_eq!(fixture.objections(&RULE, &using("own"), &[]), ["", ""]);
        fixture.run(0, "a", &using("own"), &[]);
        fixture.run(1, "a", &using("many"), &[]);
        assert_eq!(fixture.objections(&RULE, &using("own"), &[]), [ONE_POD, ONE_POD]);
        assert_eq!(fixture.objections(&RULE, &using("many"), &[]), ["", ""]);
        fixture.cluster.release(PodId(0));
        assert_eq!(fixture.objections(&RULE, &using("own"), &[]), ["", ""]);
        fixture.run(2, "gone", &using("own"), &[]);
        assert_eq!(fixture.objections(&RULE, &using("own"), &[]), ["", ""], "no such node");
    }
}
