//! How many volumes a CSI driver can attach to a node. Follows kube-scheduler's NodeVolumeLimits: the distinct volumes
//! of the node's pods and its attachments beyond those count against `CSINode.spec.drivers[].allocatable.count`;
//! a driver that says so takes pods only where it runs.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::cures::Cures;
use super::relation::{Judge, Newcomer, Reasons};
use super::{Filter, Rule};
use crate::base::names::{Name, ObjectName};
use crate::cluster::ids::NodeId;
use crate::cluster::storage::Storage;
use crate::cluster::storage::facts::{Backing, CsiNodeFact};
use crate::workload::volumes::{
    ClaimOrigin, ClaimUse, InTree, PodVolume, disks_of, driver_of_plugin, uses_of,
};

/// The row.
pub const RULE: Rule = Rule {
    name: "NodeVolumeLimits",
    filter: Filter::Relation(&NodeVolumeLimits),
    score: None,
    cured_by: CURED_BY,
};

/// What may turn its no: pods that leave, and what drivers and attachments say.
const CURED_BY: Cures = Cures::CAPACITY.and(Cures::STORAGE);

/// The node's driver has no room.
const FULL: &str = "node(s) exceed max volume count";

/// A volume as a driver counts it: the driver, and a handle that is unique for it.
type Counted = (Name, Name);

#[derive(Debug)]
struct NodeVolumeLimits;

impl Judge for NodeVolumeLimits {
    fn admits(&self, newcomer: &Newcomer<'_>, node: NodeId) -> bool {
        newcomer.ask.ask.volumes.is_empty() || reject(newcomer, node).is_none()
    }

    fn reasons(&self, newcomer: &Newcomer<'_>, node: NodeId) -> Reasons {
        reject(newcomer, node).into_iter().collect()
    }
}

/// What keeps a claim's volume from being counted: it is not there, or another pod's.
fn uncountable(used: &ClaimUse, storage: &Storage) -> Option<String> {
    let ObjectName { namespace, name } = &used.claim;
    let Some(claim) = storage.claim(&used.claim) else {
        return Some(format!(
            "looking up PVC {namespace}/{name}: persistentvolumeclaim \"{name}\" not found"
        ));
    };
    match &used.origin {
        ClaimOrigin::Ephemeral { pod, uid } if claim.controller.as_ref() != Some(uid) => {
            Some(format!(
                "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
            ))
        }
        ClaimOrigin::Ephemeral { .. } | ClaimOrigin::Named => None,
    }
}

/// Why `node` does not take the newcomer beside those that are placed; `None` if nothing speaks against it.
fn reject(newcomer: &Newcomer<'_>, node: NodeId) -> Option<Cow<'static, str>> {
    let (ask, cluster) = (&newcomer.ask.ask, newcomer.cluster);
    let node = cluster.nodes().get(node);
    let storage = cluster.storage();
    let csi_node = storage.csi_node(&node.name);
    // Whoever looks at claims has looked for them before.
    if !ask.has_claims_bound()
        && let Some(why) = uses_of(&ask.volumes).find_map(|used| uncountable(used, storage))
    {
        return Some(why.into());
    }
    let mut new = BTreeSet::new();
    count(&ask.volumes, storage, csi_node, &mut new);
    for (driver, _) in &new {
        let required = storage.driver(driver).is_some_and(|driver| driver.required_on_node);
        let runs = csi_node
            .is_some_and(|csi_node| csi_node.drivers.iter().any(|(known, _)| known == driver));
        if required && !runs {
            return Some(format!("{driver} CSI driver is not installed on the node").into());
        }
    }
    let limits = csi_node.map_or(&[][..], |csi_node| &csi_node.drivers);
    let limited =
        |driver: &Name| limits.iter().any(|(known, limit)| known == driver && limit.is_some());
    new.retain(|(driver, _)| limited(driver));
    if new.is_empty() {
        return None;
    }
    let mut attached = BTreeSet::new();
    for volumes in storage.mounts().on(&node.name) {
        count(volumes, storage, csi_node, &mut attached);
    }
    new.retain(|volume| !attached.contains(volume));
    // As upstream, a volume that is attached and that no pod uses counts beside the pod that is about to use it.
    for attachment in storage.attachments_of(&node.name) {
        let volume = attachment.volume.as_ref().and_then(|volume| storage.volume(volume));
        if let Some(Backing::Csi { handle, .. }) = volume.map(|volume| &volume.backing)
            && !attachment.attacher.is_empty()
        {
            attached.insert((attachment.attacher.clone(), handle.clone()));
        }
    }
    let exceeded = limits.iter().any(|(driver, limit)| {
        let of_driver = |(known, _): &&Counted| known == driver;
        let more = new.iter().filter(of_driver).count();
        let all = attached.iter().filter(of_driver).count() + more;
        more > 0 && limit.is_some_and(|limit| i64::try_from(all).is_ok_and(|all| all > limit))
    });
    exceeded.then(|| FULL.into())
}

/// Adds what drivers count of `volumes` on a node with these drivers.
fn count(
    volumes: &[PodVolume],
    storage: &Storage,
    csi_node: Option<&CsiNodeFact>,
    counted: &mut BTreeSet<Counted>,
) {
    let migrated = |plugin: &Name| csi_node.is_some_and(|node| node.migrated.contains(plugin));
    let in_tree =
        |volume: InTree| migrated(&volume.plugin).then_some((volume.driver, volume.handle));
    for used in uses_of(volumes) {
        let Some(claim) = storage.claim(&used.claim) else { continue };
        let volume = claim.volume.as_ref().and_then(|volume| storage.volume(volume));
        counted.extend(match volume.map(|volume| volume.backing.clone()) {
            Some(Backing::Csi { driver, handle }) => Some((driver, handle)),
            Some(Backing::InTree { volume, .. }) => in_tree(volume),
            Some(Backing::Uncounted) => None,
            // What is not there yet counts for the driver that will make it; no handle has a slash and no driver.
            None => storage.class(&claim.shape.class).and_then(|class| {
                let handle = format!("/{}", used.claim).into();
                match driver_of_plugin(&class.provisioner) {
                    Some(driver) => {
                        let plugin = class.provisioner.clone();
                        in_tree(InTree { plugin, driver: driver.into(), handle })
                    }
                    None => Some((class.provisioner.clone(), handle)),
                }
            }),
        });
    }
    counted.extend(disks_of(volumes).filter_map(|disk| in_tree(disk.in_tree()?)));
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{FULL, RULE};
    use crate::base::names::ObjectName;
    use crate::cluster::ids::PodId;
    use crate::cluster::storage::facts::{
        AttachmentFact, Backing, BindingMode, ClaimFact, CsiNodeFact, DriverFact, StorageFact,
        VolumeFact,
    };
    use crate::cluster::storage::fixture::{claim, class, volume};
    use crate::workload::ask::Ask;
    use crate::workload::volumes::{
        ClaimOrigin, ClaimUse, Disk, DiskAccess, DiskSource, PodVolume,
    };

    const DRIVER: &str = "csi.example.com";

    fn using(names: &[&str]) -> Ask {
        let used = |name: &&str| {
            let claim = ObjectName::new("d", name);
            PodVolume::Claim(ClaimUse { claim, origin: ClaimOrigin::Named })
        };
        Ask { volumes: names.iter().map(used).collect(), ..Ask::default() }
    }

    fn csi_node(name: &str, limit: Option<i64>) -> StorageFact {
        StorageFact::CsiNode(CsiNodeFact {
            node: name.into(),
            uid: name.into(),
            drivers: vec![(DRIVER.into(), limit)],
            migrated: vec!["kubernetes.io/gce-pd".into()],
        })
    }

    /// A node whose driver attaches `limit` volumes, and claims `a` to `d` that are bound to volumes of it.
    fn fixture(limit: Option<i64>) -> Fixture {
        let mut fixture = Fixture::new([node("n")]);
        fixture.cluster.observe_storage(csi_node("n", limit));
        for name in ["a", "b", "c", "d"] {
            let backing = Backing::Csi { driver: DRIVER.into(), handle: name.into() };
            let fact = VolumeFact { backing, ..volume(name, 1, None) };
            fixture.cluster.observe_storage(StorageFact::Volume(fact));
            let bound =
                ClaimFact { volume: Some(name.into()), bind_completed: true, ..claim(name, 1) };
            fixture.cluster.observe_storage(StorageFact::Claim(bound));
        }
        fixture
    }

    #[test]
    fn distinct_volumes_count_and_shared_ones_count_once() {
        let mut fixture = fixture(Some(2));
        assert_eq!(fixture.objections(&RULE, &using(&["a", "b"]), &[]), [""]);
        assert_eq!(fixture.objections(&RULE, &using(&["a", "b", "c"]), &[]), [FULL]);
        fixture.run(0, "n", &using(&["a", "b"]), &[]);
        assert_eq!(fixture.objections(&RULE, &using(&["a"]), &[]), [""], "it is there already");
        assert_eq!(fixture.objections(&RULE, &using(&["c"]), &[]), [FULL]);
        fixture.cluster.release(PodId(0));
        assert_eq!(fixture.objections(&RULE, &using(&["c"]), &[]), [""]);
        fixture.cluster.observe_storage(csi_node("n", None));
        fixture.run(1, "n", &using(&["a", "b", "d"]), &[]);
        assert_eq!(fixture.objections(&RULE, &using(&["c"]), &[]), [""], "it names no limit");
    }

    #[test]
    fn what_is_attached_counts_though_no_pod_uses_it() {
        let mut fixture = fixture(Some(1));
        let attachment = |volume: Option<&str>| {
            StorageFact::Attachment(AttachmentFact {
                name: "x".into(),
                uid: "x".into(),
                attacher: DRIVER.into(),
                node: "n".into(),
                volume: volume.map(Into::into),
            })
        };
        fixture.cluster.observe_storage(attachment(Some("a")));
        assert_eq!(fixture.objections(&RULE, &using(&["b"]), &[]), [FULL]);
        fixture.cluster.observe_storage(attachment(Some("missing")));
        assert_eq!(fixture.objections(&RULE, &using(&["b"]), &[]), [""]);
        fixture.cluster.observe_storage(attachment(None));
        assert_eq!(fixture.objections(&RULE, &using(&["b"]), &[]), [""]);
    }

    #[test]
    fn what_is_to_be_provisioned_counts_for_its_driver() {
        let mut fixture = fixture(Some(1));
        fixture.cluster.observe_storage(class("local", DRIVER, BindingMode::WaitForFirstConsumer));
        for name in ["new", "newer"] {
            fixture.cluster.observe_storage(StorageFact::Claim(claim(name, 1)));
        }
        assert_eq!(fixture.objections(&RULE, &using(&["new"]), &[]), [""]);
        assert_eq!(fixture.objections(&RULE, &using(&["new", "newer"]), &[]), [FULL]);
        fixture.run(0, "n", &using(&["new"]), &[]);
        assert_eq!(fixture.objections(&RULE, &using(&["new"]), &[]), [""]);
        assert_eq!(fixture.objections(&RULE, &using(&["a"]), &[]), [FULL]);
    }

    #[test]
    fn a_driver_that_must_run_on_the_node_is_named_where_it_does_not() {
        let mut fixture = Fixture::new([node("n"), node("bare")]);
        fixture.cluster.observe_storage(csi_node("n", None));
        fixture.cluster.observe_storage(class("local", DRIVER, BindingMode::WaitForFirstConsumer));
        fixture.cluster.observe_storage(StorageFact::Claim(claim("new", 1)));
        assert_eq!(fixture.objections(&RULE, &using(&["new"]), &[]), ["", ""]);
        fixture.cluster.observe_storage(StorageFact::Driver(DriverFact {
            name: DRIVER.into(),
            uid: "1".into(),
            publishes_capacity: false,
            required_on_node: true,
        }));
        let missing = "csi.example.com CSI driver is not installed on the node";
        assert_eq!(fixture.objections(&RULE, &using(&["new"]), &[]), ["", missing]);
    }

    #[test]
    fn disks_of_migrated_plugins_count_for_the_driver_that_they_become() {
        let mut fixture = Fixture::new([node("n")]);
        let disk = |name: &str| {
            let source = DiskSource::Gce(name.into());
            let disk = Disk { source, access: DiskAccess::ReadOnly };
            Ask { volumes: vec![PodVolume::Disk(disk)], ..Ask::default() }
        };
        let with = |migrated: &[&str]| {
            StorageFact::CsiNode(CsiNodeFact {
                node: "n".into(),
                uid: "n".into(),
                drivers: vec![("pd.csi.storage.gke.io".into(), Some(1))],
                migrated: migrated.iter().map(|plugin| (*plugin).into()).collect(),
            })
        };
        fixture.cluster.observe_storage(with(&["kubernetes.io/gce-pd"]));
        fixture.run(0, "n", &disk("one"), &[]);
        assert_eq!(fixture.objections(&RULE, &disk("two"), &[]), [FULL]);
        assert_eq!(fixture.objections(&RULE, &disk("one"), &[]), [""]);
        fixture.cluster.observe_storage(with(&[]));
        assert_eq!(fixture.objections(&RULE, &disk("two"), &[]), [""]);
    }
}
