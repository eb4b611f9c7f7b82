//! Facts about storage: claims, volumes, classes, drivers, capacities, attachments; whole, as observed, kube-free.
//! A fact replaces what was known of its object. Speaks names and uids. Judges nothing.
//! What a scheduler does not read of these objects is not here.

use crate::base::labels::LabelSelector;
use crate::base::names::{Name, ObjectName};
use crate::workload::constraints::NodeTerm;
use crate::workload::volumes::InTree;

/// A fact about one object of storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageFact {
    /// `v1` PersistentVolumeClaim.
    Claim(ClaimFact),
    /// `v1` PersistentVolume.
    Volume(VolumeFact),
    /// `storage.k8s.io/v1` StorageClass.
    Class(ClassFact),
    /// `storage.k8s.io/v1` CSINode.
    CsiNode(CsiNodeFact),
    /// `storage.k8s.io/v1` CSIDriver.
    Driver(DriverFact),
    /// `storage.k8s.io/v1` CSIStorageCapacity.
    Capacity(CapacityFact),
    /// `storage.k8s.io/v1` VolumeAttachment.
    Attachment(AttachmentFact),
}

/// The kinds of objects of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageKind {
    /// `v1` PersistentVolumeClaim.
    Claim,
    /// `v1` PersistentVolume.
    Volume,
    /// `storage.k8s.io/v1` StorageClass.
    Class,
    /// `storage.k8s.io/v1` CSINode.
    CsiNode,
    /// `storage.k8s.io/v1` CSIDriver.
    Driver,
    /// `storage.k8s.io/v1` CSIStorageCapacity.
    Capacity,
    /// `storage.k8s.io/v1` VolumeAttachment.
    Attachment,
}

impl StorageKind {
    /// Every kind, in the order in which they are best told: what others refer to comes first.
    pub const ALL: [Self; 7] = [
        Self::Class,
        Self::Driver,
        Self::CsiNode,
        Self::Capacity,
        Self::Volume,
        Self::Claim,
        Self::Attachment,
    ];

    /// The plural name of its resource.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Claim => "persistentvolumeclaims",
            Self::Volume => "persistentvolumes",
            Self::Class => "storageclasses",
            Self::CsiNode => "csinodes",
            Self::Driver => "csidrivers",
            Self::Capacity => "csistoragecapacities",
            Self::Attachment => "volumeattachments",
        }
    }

    /// Its API group: that of `persistentvolumes` is the core group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Claim | Self::Volume => "",
            Self::Class | Self::CsiNode | Self::Driver | Self::Capacity | Self::Attachment => {
                "storage.k8s.io"
            }
        }
    }

    /// True for kinds that live in a namespace.
    pub const fn is_namespaced(self) -> bool {
        match self {
            Self::Claim | Self::Capacity => true,
            Self::Volume | Self::Class | Self::CsiNode | Self::Driver | Self::Attachment => false,
        }
    }

    /// Its `apiVersion`.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Claim | Self::Volume => "v1",
            Self::Class | Self::CsiNode | Self::Driver | Self::Capacity | Self::Attachment => {
                "storage.k8s.io/v1"
            }
        }
    }

    /// Its `kind`.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Claim => "PersistentVolumeClaim",
            Self::Volume => "PersistentVolume",
            Self::Class => "StorageClass",
            Self::CsiNode => "CSINode",
            Self::Driver => "CSIDriver",
            Self::Capacity => "CSIStorageCapacity",
            Self::Attachment => "VolumeAttachment",
        }
    }
}

impl StorageFact {
    /// What kind of object it is about.
    pub const fn kind(&self) -> StorageKind {
        match self {
            Self::Claim(_) => StorageKind::Claim,
            Self::Volume(_) => StorageKind::Volume,
            Self::Class(_) => StorageKind::Class,
            Self::CsiNode(_) => StorageKind::CsiNode,
            Self::Driver(_) => StorageKind::Driver,
            Self::Capacity(_) => StorageKind::Capacity,
            Self::Attachment(_) => StorageKind::Attachment,
        }
    }

    /// Namespace (empty where the kind has none) and name.
    pub fn name(&self) -> ObjectName {
        let bare = |name: &Name| ObjectName { namespace: "".into(), name: name.clone() };
        match self {
            Self::Claim(fact) => fact.name.clone(),
            Self::Capacity(fact) => fact.name.clone(),
            Self::Volume(fact) => bare(&fact.name),
            Self::Class(fact) => bare(&fact.name),
            Self::CsiNode(fact) => bare(&fact.node),
            Self::Driver(fact) => bare(&fact.name),
            Self::Attachment(fact) => bare(&fact.name),
        }
    }

    /// `metadata.uid`.
    pub const fn uid(&self) -> &Name {
        match self {
            Self::Claim(fact) => &fact.uid,
            Self::Capacity(fact) => &fact.uid,
            Self::Volume(fact) => &fact.uid,
            Self::Class(fact) => &fact.uid,
            Self::CsiNode(fact) => &fact.uid,
            Self::Driver(fact) => &fact.uid,
            Self::Attachment(fact) => &fact.uid,
        }
    }
}

/// `spec.accessModes`, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessModes(u8);

impl AccessModes {
    /// Modes by their names; one that does not exist counts as a mode that no other object has.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let bit = |name: &str| match name {
            "ReadWriteOnce" => 1,
            "ReadOnlyMany" => 2,
            "ReadWriteMany" => 4,
            "ReadWriteOncePod" => 8,
            _ => 16,
        };
        Self(names.into_iter().fold(0, |set, name| set | bit(name)))
    }

    /// True if all of `others` are here.
    pub const fn include(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// True if `ReadWriteOncePod` is among them.
    pub const fn is_for_one_pod(self) -> bool {
        self.0 & 8 != 0
    }
}

/// `spec.volumeMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VolumeMode {
    /// The default.
    #[default]
    Filesystem,
    /// A raw device.
    Block,
}

/// What a claim asks of a volume. Claims of one template have equal shapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimShape {
    /// The storage class; empty for none.
    pub class: Name,
    /// Bytes; `None` where nothing is requested.
    pub request: Option<i64>,
    /// Access modes.
    pub modes: AccessModes,
    /// Volume mode.
    pub mode: VolumeMode,
    /// `spec.volumeAttributesClassName`; empty for none.
    pub attributes_class: Name,
    /// `spec.selector`, where there is one.
    pub selector: Option<LabelSelector>,
}

/// A claim as its object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimFact {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`.
    pub uid: Name,
    /// `metadata.resourceVersion`.
    pub resource_version: u64,
    /// True once its deletion has begun.
    pub deleting: bool,
    /// True if `status.phase` is `Lost`.
    pub lost: bool,
    /// `spec.volumeName`.
    pub volume: Option<Name>,
    /// True if it carries `pv.kubernetes.io/bind-completed`.
    pub bind_completed: bool,
    /// `volume.kubernetes.io/selected-node`.
    pub selected_node: Option<Name>,
    /// Uid of the controller that owns it: a pod, for an ephemeral volume.
    pub controller: Option<Name>,
    /// What it asks for.
    pub shape: ClaimShape,
}

impl ClaimFact {
    /// The volume that it is fully bound to.
    pub fn bound_to(&self) -> Option<&Name> {
        self.volume.as_ref().filter(|_| self.bind_completed)
    }
}

/// `spec.claimRef` of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimReference {
    /// The claim's namespace and name.
    pub claim: ObjectName,
    /// Its uid; empty where an administrator wrote the reference by hand.
    pub uid: Name,
}

/// Where a volume's data is, as far as attachments are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backing {
    /// Nothing that is counted.
    Uncounted,
    /// A CSI volume: driver and handle.
    Csi {
        /// The driver.
        driver: Name,
        /// The handle, unique for the driver.
        handle: Name,
    },
    /// A volume of an in-tree plugin, counted where the node has migrated it.
    InTree {
        /// What it is to its driver.
        volume: InTree,
        /// Its node affinity as the driver reads it; `None` for none.
        node_terms: Option<Vec<NodeTerm>>,
    },
}

/// A volume as its object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFact {
    /// Name.
    pub name: Name,
    /// `metadata.uid`.
    pub uid: Name,
    /// `metadata.resourceVersion`.
    pub resource_version: u64,
    /// True once its deletion has begun.
    pub deleting: bool,
    /// True if `status.phase` is `Available`.
    pub available: bool,
    /// The claim that it is for.
    pub claim: Option<ClaimReference>,
    /// True if it carries `pv.kubernetes.io/bound-by-controller`: what wrote the reference may take it back.
    pub bound_by_controller: bool,
    /// Labels sorted by key.
    pub labels: Vec<(Name, Name)>,
    /// `spec.nodeAffinity.required`: `None` where any node will do.
    pub node_terms: Option<Vec<NodeTerm>>,
    /// The storage class; empty for none.
    pub class: Name,
    /// Bytes.
    pub capacity: i64,
    /// Access modes.
    pub modes: AccessModes,
    /// Volume mode.
    pub mode: VolumeMode,
    /// `spec.volumeAttributesClassName`; empty for none.
    pub attributes_class: Name,
    /// What it counts as.
    pub backing: Backing,
}

/// When a class binds its claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingMode {
    /// At once, by kube-controller-manager.
    Immediate,
    /// Once a pod that uses the claim was given a node.
    WaitForFirstConsumer,
}

/// One term of `allowedTopologies`: of every key one of the values. A term without keys matches nothing.
pub type TopologyTerm = Vec<(Name, Vec<Name>)>;

/// A storage class as its object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassFact {
    /// Name.
    pub name: Name,
    /// `metadata.uid`.
    pub uid: Name,
    /// `provisioner`.
    pub provisioner: Name,
    /// `volumeBindingMode`.
    pub binding: BindingMode,
    /// `allowedTopologies`; empty allows every node.
    pub topologies: Vec<TopologyTerm>,
}

/// The CSI drivers of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiNodeFact {
    /// The node's name.
    pub node: Name,
    /// `metadata.uid`.
    pub uid: Name,
    /// Drivers, and how many volumes each can attach where it says so.
    pub drivers: Vec<(Name, Option<i64>)>,
    /// In-tree plugins that are migrated to CSI here.
    pub migrated: Vec<Name>,
}

/// A CSI driver as its object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverFact {
    /// Name.
    pub name: Name,
    /// `metadata.uid`.
    pub uid: Name,
    /// `spec.storageCapacity`: capacities are published, and a volume goes only where there is enough.
    pub publishes_capacity: bool,
    /// `spec.preventPodSchedulingIfMissing`: pods go only to nodes that run the driver.
    pub required_on_node: bool,
}

/// Storage that can be provisioned somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityFact {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`.
    pub uid: Name,
    /// The storage class.
    pub class: Name,
    /// `nodeTopology`: the nodes that can reach it; `None` for none.
    pub topology: Option<LabelSelector>,
    /// Bytes of the largest volume: `maximumVolumeSize`, else `capacity`; `None` where neither is known.
    pub limit: Option<i64>,
    /// Bytes of all volumes together that could still be provisioned: `capacity`, 0 where that is not known.
    pub free: i64,
}

/// A volume that is, or is to be, attached to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentFact {
    /// Name.
    pub name: Name,
    /// `metadata.uid`.
    pub uid: Name,
    /// `spec.attacher`: the driver.
    pub attacher: Name,
    /// `spec.nodeName`.
    pub node: Name,
    /// `spec.source.persistentVolumeName`.
    pub volume: Option<Name>,
}
