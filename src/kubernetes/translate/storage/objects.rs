//! Our own lean struct for objects of storage: one for all seven kinds, since their fields do not collide and each
//! type that is read costs build time. Serde's mirror of the API, nothing else: no defaults, no meaning.
//! Everything is optional here, as in the other lean structs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::kubernetes::translate::objects::{
    HasMetadata, Metadata, NodeTermObject, RawQuantity, Resources,
};
use crate::kubernetes::translate::read::nullable;

/// An object of storage: PersistentVolumeClaim, PersistentVolume, StorageClass, CSINode, CSIDriver,
/// CSIStorageCapacity, or VolumeAttachment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(
    missing_docs,
    reason = "field names and meanings are those of core/v1 and storage.k8s.io/v1"
)]
pub struct StorageObject {
    #[serde(deserialize_with = "nullable")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable")]
    pub spec: StorageSpec,
    #[serde(deserialize_with = "nullable")]
    pub status: StorageStatus,
    // StorageClass
    pub provisioner: Option<String>,
    pub volume_binding_mode: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub allowed_topologies: Vec<TopologyTermObject>,
    // CSIStorageCapacity
    pub storage_class_name: Option<String>,
    pub node_topology: Option<Value>,
    pub capacity: Option<RawQuantity>,
    pub maximum_volume_size: Option<RawQuantity>,
}

impl HasMetadata for StorageObject {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// `spec` of an object of storage.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(
    missing_docs,
    reason = "field names and meanings are those of core/v1 and storage.k8s.io/v1"
)]
pub struct StorageSpec {
    // claims and volumes
    pub storage_class_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub access_modes: Vec<String>,
    pub volume_mode: Option<String>,
    pub volume_attributes_class_name: Option<String>,
    // claims
    pub volume_name: Option<String>,
    pub resources: Option<Resources>,
    pub selector: Option<Value>,
    // volumes
    #[serde(deserialize_with = "nullable")]
    pub capacity: BTreeMap<String, RawQuantity>,
    pub claim_ref: Option<ClaimRefObject>,
    pub node_affinity: Option<VolumeAffinityObject>,
    pub csi: Option<CsiSource>,
    #[serde(flatten)]
    pub in_tree: VolumeObject,
    // CSINode
    #[serde(deserialize_with = "nullable")]
    pub drivers: Vec<DriverOnNode>,
    // CSIDriver
    pub storage_capacity: Option<bool>,
    pub prevent_pod_scheduling_if_missing: Option<bool>,
    // VolumeAttachment
    pub attacher: Option<String>,
    pub node_name: Option<String>,
    pub source: Option<AttachmentSource>,
}

/// A volume of a pod, as far as it binds the pod to nodes or to other pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeObject {
    /// Its name.
    pub name: String,
    /// A claim that it names.
    pub persistent_volume_claim: Option<ClaimSource>,
    /// A claim that is made for it.
    pub ephemeral: Option<IgnoredAny>,
    /// An image that is mounted.
    pub image: Option<ImageSource>,
    /// A disk of an in-tree plugin, by plugin.
    pub gce_persistent_disk: Option<DiskObject>,
    /// The same.
    pub aws_elastic_block_store: Option<DiskObject>,
    /// The same.
    pub azure_disk: Option<DiskObject>,
    /// The same.
    pub cinder: Option<DiskObject>,
    /// The same.
    pub portworx_volume: Option<DiskObject>,
    /// The same.
    pub iscsi: Option<DiskObject>,
    /// The same.
    pub rbd: Option<DiskObject>,
}

/// An image that a volume mounts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageSource {
    /// Its name.
    pub reference: String,
}

/// `persistentVolumeClaim` of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimSource {
    /// The claim, in the pod's namespace.
    pub claim_name: String,
}

/// A disk of any in-tree plugin; each names itself by other fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "field names and meanings are those of core/v1")]
pub struct DiskObject {
    pub pd_name: String,
    #[serde(alias = "volumeID")]
    pub volume_id: String,
    #[serde(alias = "diskURI")]
    pub disk_uri: String,
    pub iqn: String,
    #[serde(deserialize_with = "nullable")]
    pub monitors: Vec<String>,
    pub pool: Option<String>,
    pub image: String,
    #[serde(deserialize_with = "nullable")]
    pub read_only: bool,
}

/// `spec.claimRef` of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "field names and meanings are those of core/v1 ObjectReference")]
pub struct ClaimRefObject {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// `spec.nodeAffinity` of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VolumeAffinityObject {
    /// The terms, one of which must match.
    pub required: Option<NodeTerms>,
}

/// A node selector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeTerms {
    /// Its terms.
    #[serde(deserialize_with = "nullable")]
    pub node_selector_terms: Vec<NodeTermObject>,
}

/// `spec.csi` of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CsiSource {
    /// The driver.
    pub driver: String,
    /// The volume's handle there.
    pub volume_handle: String,
}

/// A driver of a CSINode.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DriverOnNode {
    /// The driver.
    pub name: String,
    /// What it can attach.
    #[serde(deserialize_with = "nullable")]
    pub allocatable: DriverLimits,
}

/// What a driver can attach to a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DriverLimits {
    /// How many volumes.
    pub count: Option<i64>,
}

/// `spec.source` of a VolumeAttachment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AttachmentSource {
    /// The volume; absent where the volume is written out in the attachment.
    pub persistent_volume_name: Option<String>,
}

/// `status` of an object of storage.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StorageStatus {
    /// `Available`, `Bound`, `Lost`, ...
    pub phase: Option<String>,
}

/// A term of `allowedTopologies`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopologyTermObject {
    /// Its requirements.
    #[serde(deserialize_with = "nullable")]
    pub match_label_expressions: Vec<TopologyRequirement>,
}

/// A requirement of a topology term.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TopologyRequirement {
    /// Label key.
    pub key: String,
    /// Values, one of which the node has.
    #[serde(deserialize_with = "nullable")]
    pub values: Vec<String>,
}
