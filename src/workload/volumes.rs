//! Volumes of a pod, as far as they bind it to nodes or to other pods: claims, and disks named in the pod itself.
//! Semantics: kube-scheduler 1.37, plugins VolumeRestrictions, NodeVolumeLimits, VolumeBinding, VolumeZone.
//! Plain data. Volumes that constrain nothing (`emptyDir`, `configMap`, `nfs`, ...) are left out.

use crate::base::names::{Name, ObjectName};

/// A volume that matters for where a pod may run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodVolume {
    /// A PersistentVolumeClaim.
    Claim(ClaimUse),
    /// A disk that the pod names itself.
    Disk(Disk),
}

/// The use of a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimUse {
    /// Its namespace, the pod's own, and name.
    pub claim: ObjectName,
    /// How the pod comes by it.
    pub origin: ClaimOrigin,
}

/// How a pod comes by a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimOrigin {
    /// `persistentVolumeClaim`: it names it.
    Named,
    /// `ephemeral`: the ephemeral volume controller makes it for the pod of this name and uid alone.
    Ephemeral {
        /// The pod.
        pod: Name,
        /// Its uid, which must be that of the claim's controller.
        uid: Name,
    },
}

/// A disk in a pod's own spec.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Disk {
    /// What it is, and which.
    pub source: DiskSource,
    /// Whether the pod only reads it.
    pub access: DiskAccess,
}

/// Whether a pod writes to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiskAccess {
    /// `readOnly: true`.
    ReadOnly,
    /// The default.
    ReadWrite,
}

/// Which disk, by what makes two uses the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiskSource {
    /// `gcePersistentDisk.pdName`.
    Gce(Name),
    /// `awsElasticBlockStore.volumeID`.
    Ebs(Name),
    /// `iscsi.iqn`.
    Iscsi(Name),
    /// `rbd`: monitors, sorted; pool; image.
    Rbd(Vec<Name>, Name, Name),
    /// A disk of an in-tree plugin that no rule keeps to one pod; counted where the plugin is migrated to CSI.
    Counted(InTree),
}

/// A volume of an in-tree plugin, in the words of the CSI driver that it is migrated to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InTree {
    /// The plugin: `kubernetes.io/azure-disk`.
    pub plugin: Name,
    /// The driver: `disk.csi.azure.com`.
    pub driver: Name,
    /// The volume's handle there.
    pub handle: Name,
}

/// In-tree plugins that nodes may have migrated to CSI, and the drivers that they become; of others kube-scheduler
/// asks nothing.
const MIGRATED: [(&str, &str); 5] = [
    ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
    ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("kubernetes.io/portworx-volume", "pxd.portworx.com"),
];

/// The CSI driver that an in-tree plugin is migrated to; `None` for what is no such plugin.
pub fn driver_of_plugin(plugin: &str) -> Option<&'static str> {
    MIGRATED.iter().find(|(known, _)| *known == plugin).map(|(_, driver)| *driver)
}

impl Disk {
    /// True if a node cannot hold two pods with these disks at once.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let both_read = [self.access, other.access] == [DiskAccess::ReadOnly; 2];
        match (&self.source, &other.source) {
            (DiskSource::Ebs(one), DiskSource::Ebs(another)) => one == another,
            (DiskSource::Gce(one), DiskSource::Gce(another))
            | (DiskSource::Iscsi(one), DiskSource::Iscsi(another)) => one == another && !both_read,
            (
                DiskSource::Rbd(monitors, pool, image),
                DiskSource::Rbd(others, its_pool, its_image),
            ) => {
                let shared = monitors.iter().any(|monitor| others.contains(monitor));
                shared && pool == its_pool && image == its_image && !both_read
            }
            (
                DiskSource::Gce(_)
                | DiskSource::Ebs(_)
                | DiskSource::Iscsi(_)
                | DiskSource::Rbd(..)
                | DiskSource::Counted(_),
                _,
            ) => false,
        }
    }

    /// What it counts as where its plugin is migrated to CSI; `None` for plugins that never are.
    pub fn in_tree(&self) -> Option<InTree> {
        let of = |plugin: &str, handle: Name| {
            let driver = driver_of_plugin(plugin).expect("the plugins named here are listed");
            InTree { plugin: plugin.into(), driver: driver.into(), handle }
        };
        match &self.source {
            DiskSource::Gce(disk) => {
                let handle = format!("projects/UNSPECIFIED/zones/UNSPECIFIED/disks/{disk}");
                Some(of("kubernetes.io/gce-pd", handle.into()))
            }
            DiskSource::Ebs(volume) => {
                // `aws://ZONE/vol-1` means `vol-1`.
                let id = volume.rsplit('/').next().unwrap_or_default();
                Some(of("kubernetes.io/aws-ebs", id.into()))
            }
            DiskSource::Iscsi(_) | DiskSource::Rbd(..) => None,
            DiskSource::Counted(volume) => Some(volume.clone()),
        }
    }
}

/// The claims among `volumes`, each once, in order.
pub fn claims_of(volumes: &[PodVolume]) -> impl Iterator<Item = &ObjectName> {
    uses_of(volumes).map(|claim| &claim.claim)
}

/// The uses of claims among `volumes`, of each claim the first, in order.
pub fn uses_of(volumes: &[PodVolume]) -> impl Iterator<Item = &ClaimUse> {
    let uses = volumes.iter().enumerate().filter_map(|(at, volume)| Some((at, volume.claim()?)));
    // A pod has a handful of volumes.
    let is_first = |at: usize, claim: &ClaimUse| {
        !volumes[..at].iter().filter_map(PodVolume::claim).any(|other| other.claim == claim.claim)
    };
    uses.filter(move |(at, claim)| is_first(*at, claim)).map(|(_, claim)| claim)
}

/// The disks among `volumes`.
pub fn disks_of(volumes: &[PodVolume]) -> impl Iterator<Item = &Disk> {
    volumes.iter().filter_map(|volume| match volume {
        PodVolume::Claim(_) => None,
        PodVolume::Disk(disk) => Some(disk),
    })
}

impl PodVolume {
    /// The claim, if it is one.
    pub const fn claim(&self) -> Option<&ClaimUse> {
        match self {
            Self::Claim(claim) => Some(claim),
            Self::Disk(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Disk, DiskAccess, DiskSource};
    use DiskAccess::{ReadOnly, ReadWrite};

    fn disk(source: DiskSource, access: DiskAccess) -> Disk {
        Disk { source, access }
    }

    #[test]
    fn disks_are_shared_by_readers_alone_and_ebs_by_nobody() {
        let rbd = |monitors: &[&str], pool: &str| {
            let monitors = monitors.iter().map(|name| (*name).into()).collect();
            DiskSource::Rbd(monitors, pool.into(), "image".into())
        };
        let gce = || DiskSource::Gce("a".into());
        let ebs = || DiskSource::Ebs("a".into());
        let cases = [
            (disk(gce(), ReadWrite), disk(gce(), ReadWrite), true),
            (disk(gce(), ReadOnly), disk(gce(), ReadWrite), true),
            (disk(gce(), ReadOnly), disk(gce(), ReadOnly), false),
            (disk(gce(), ReadWrite), disk(DiskSource::Gce("b".into()), ReadWrite), false),
            (disk(ebs(), ReadOnly), disk(ebs(), ReadOnly), true),
            (disk(gce(), ReadWrite), disk(ebs(), ReadWrite), false),
            (
                disk(DiskSource::Iscsi("i".into()), ReadOnly),
                disk(DiskSource::Iscsi("i".into()), ReadWrite),
                true,
            ),
            (disk(rbd(&["m", "n"], "p"), ReadWrite), disk(rbd(&["n", "o"], "p"), ReadWrite), true),
            (disk(rbd(&["m"], "p"), ReadWrite), disk(rbd(&["n"], "p"), ReadWrite), false),
            (disk(rbd(&["m"], "p"), ReadWrite), disk(rbd(&["m"], "q"), ReadWrite), false),
            (disk(rbd(&["m"], "p"), ReadOnly), disk(rbd(&["m"], "p"), ReadOnly), false),
        ];
        for (one, another, conflict) in cases {
            assert_eq!(one.conflicts_with(&another), conflict, "{one:?} {another:?}");
            assert_eq!(another.conflicts_with(&one), conflict, "{another:?} {one:?}");
        }
    }

    #[test]
    fn migrated_disks_have_the_handles_of_their_drivers() {
        let handle = |source| disk(source, ReadWrite).in_tree().map(|volume| volume.handle);
        assert_eq!(handle(DiskSource::Ebs("aws://eu-1a/vol-7".into())).as_deref(), Some("vol-7"));
        assert_eq!(handle(DiskSource::Ebs("vol-7".into())).as_deref(), Some("vol-7"));
        let disk = "projects/UNSPECIFIED/zones/UNSPECIFIED/disks/d";
        assert_eq!(handle(DiskSource::Gce("d".into())).as_deref(), Some(disk));
        assert_eq!(handle(DiskSource::Iscsi("i".into())), None);
    }
}
